-- The virtual clock in the database, before PostgreSQL's own on the search path; and in which order things were written
-- that the simulation has to tell apart. Statements run one after the other, so a number tells what was there before.
drop schema if exists simulation cascade;
create schema simulation;
create function simulation.now() returns timestamptz language sql stable
    return to_timestamp(pg_catalog.current_setting('simulation.now')::double precision);
create function simulation.clock_timestamp() returns timestamptz language sql volatile
    return to_timestamp(pg_catalog.current_setting('simulation.now')::double precision);

create sequence simulation.tick;
create unlogged table simulation.move (message_id bigint not null, old smallint not null, new smallint not null, tick bigint not null);
create unlogged table simulation.ended (message_id bigint primary key, tick bigint not null);
create unlogged table simulation.claim (message_id bigint primary key, tick bigint not null);
create unlogged table simulation.opted (account_id integer, number text, tick bigint not null, primary key (account_id, number));
create unlogged table simulation.known (message_id bigint not null, part smallint not null, tick bigint not null);
create index on simulation.known (message_id);

create function simulation.moved() returns trigger language plpgsql as $$
begin
    insert into simulation.move values (new.id, old.state, new.state, nextval('simulation.tick'));
    if new.state in (6, 7, 8, 9, 11, 12, 13, 14) then
        insert into simulation.ended values (new.id, nextval('simulation.tick')) on conflict do nothing;
    end if;
    return null;
end $$;
create trigger simulation_move after update of state on public.message
    for each row when (old.state <> new.state) execute function simulation.moved();

create function simulation.claimed() returns trigger language plpgsql as $$
begin
    insert into simulation.claim values (old.message_id, nextval('simulation.tick'))
    on conflict (message_id) do update set tick = excluded.tick;
    return null;
end $$;
create trigger simulation_claim after delete on public.outbox for each row execute function simulation.claimed();

create function simulation.listed() returns trigger language plpgsql as $$
begin
    if tg_op = 'DELETE' then
        delete from simulation.opted where account_id = old.account_id and number = old.number;
    else
        insert into simulation.opted values (new.account_id, new.number, nextval('simulation.tick'));
    end if;
    return null;
end $$;
create trigger simulation_listed after insert or delete on public.opt_out
    for each row execute function simulation.listed();

create function simulation.known() returns trigger language plpgsql as $$
begin
    insert into simulation.known values (new.message_id, new.part, nextval('simulation.tick'));
    return null;
end $$;
create trigger simulation_known after insert on public.reference for each row execute function simulation.known();
