-- Functions now live in sql/functions, each in one file. These two are no longer called by any program.
drop function if exists microseconds(timestamptz);
drop function if exists bind_turn(
    integer, smallint, bigint, timestamptz, integer, smallint[], bigint[], smallint[], text[], bigint[], integer[],
    text[], text[], smallint[], text[], text[], bytea[], bigint[], integer[], integer);
