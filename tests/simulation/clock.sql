-- The virtual clock in the database, before PostgreSQL's own on the search path; and a record of each message's moves.
drop schema if exists simulation cascade;
create schema simulation;
create function simulation.now() returns timestamptz language sql stable
    return to_timestamp(pg_catalog.current_setting('simulation.now')::double precision);
create function simulation.clock_timestamp() returns timestamptz language sql volatile
    return to_timestamp(pg_catalog.current_setting('simulation.now')::double precision);

create unlogged table simulation.move (message_id bigint not null, old smallint not null, new smallint not null);
create function simulation.record() returns trigger language plpgsql as $$
begin
    insert into simulation.move values (new.id, old.state, new.state);
    return null;
end $$;
create trigger simulation_move after update of state on public.message
    for each row when (old.state <> new.state) execute function simulation.record();
