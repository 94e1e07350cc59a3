-- An id may be that of several parts: some carriers give one for the whole of a long message.
alter table reference drop constraint reference_pkey, add primary key (carrier_id, carrier_ref, message_id, part);
-- reason: what the carrier's table of errors makes of `error`, where it has it; oddity: words for what was unusual.
alter table receipt add column reason text, add column oddity text;
-- Receipts that wait are looked at in the order in which they came.
create index receipt_unmatched_order on receipt_unmatched (carrier_id, receipt_id);
-- What Chappe has found out about a carrier by itself, and the operator has not said otherwise.
alter table carrier add column learnt jsonb;
drop function if exists settle_receipts(
    integer, timestamptz, integer, smallint[], text[], text[], smallint[], text[], text[], bytea[]);
drop function if exists apply_receipts(timestamptz, integer, smallint[], bigint[], smallint[], smallint[], text[]);
drop function if exists bind_turn(
    integer, smallint, bigint, timestamptz, integer, smallint[], bigint[], smallint[], text[], bigint[], integer[],
    text[], text[], smallint[], text[], text[], bytea[], bigint[], integer[], integer, bigint[]);
drop function if exists bind_turn(
    integer, smallint, bigint, timestamptz, integer, smallint[], bigint[], smallint[], text[], bigint[], bigint[],
    text[], text[], smallint[], text[], text[], bytea[], bigint[], integer[], integer, bigint[]);
