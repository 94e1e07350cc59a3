-- What waits is counted where it comes and goes; who changed a sending window; which answers subscribers' messages got;
-- confirmations of STOP.

-- How many parts of each account stand in waiting lanes (class 7): the sum of both tables. Statements append to the
-- second one, so that they never wait for each other; upkeep adds its rows up into the first.
create table waiting_parts (
    account_id integer primary key,
    parts bigint not null
) with (fillfactor = 50);
create table waiting_parts_change (
    account_id integer not null,
    parts bigint not null
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0,
        autovacuum_analyze_threshold = 100000);

-- Rows of the outbox come and go, and are never updated. One look at the lanes of a statement's rows is all that it
-- costs those that move nothing into or out of a waiting lane.
create function count_waiting() returns trigger language plpgsql as $$
begin
    if exists (select from moved where lane & 7 = 7) then
        insert into waiting_parts_change (account_id, parts)
        select m.account_id, sum(m.parts) * case tg_op when 'INSERT' then 1 else -1 end
        from moved o cross join lateral (select account_id, parts from message where id = o.message_id limit 1) m
        where o.lane & 7 = 7 group by 1;
    end if;
    return null;
end $$;
create trigger waiting_came after insert on outbox referencing new table as moved
    for each statement execute function count_waiting();
create trigger waiting_left after delete on outbox referencing old table as moved
    for each statement execute function count_waiting();
insert into waiting_parts (account_id, parts)
select m.account_id, sum(m.parts) from outbox o join message m on m.id = o.message_id where o.lane & 7 = 7 group by 1;

-- What stands in the other lanes is counted when somebody asks, and where it is much, now and then: parts by account.
create table ready_count (
    one boolean primary key default true check (one),
    asked_at timestamptz not null default '-infinity',
    counted_at timestamptz not null default '-infinity',
    took_ms integer not null default 0,
    parts jsonb
);
insert into ready_count default values;

-- Which sending window each account has had from when on: for the timeline, and for upkeep, which places anew what an
-- account holds. name '': the default. placed false: not done yet.
create table window_change (
    id bigint generated always as identity primary key,
    account_id integer not null,
    at timestamptz not null default now(),
    name text not null,
    placed boolean not null default false
);
create index window_change_account on window_change (account_id, at);
create index window_change_new on window_change (id) where not placed;
insert into window_change (account_id, at, name, placed)
select id, created_at, coalesce(settings ->> 'window', ''), true from account;

create function note_window() returns trigger language plpgsql as $$
begin
    if tg_op = 'INSERT' then
        insert into window_change (account_id, name, placed) values (new.id, coalesce(new.settings ->> 'window', ''), true);
    elsif new.settings ->> 'window' is distinct from old.settings ->> 'window' then
        insert into window_change (account_id, name) values (new.id, coalesce(new.settings ->> 'window', ''));
    end if;
    return null;
end $$;
create trigger account_window after insert or update of settings on account
    for each row execute function note_window();

-- The profiles as they were when upkeep last looked: the rules behind a name change with a version or by configuration.
create table window_profile (
    name text primary key,
    fingerprint text not null
);

-- answered_at: when our answer to the carrier was written; null while it is not known to have been.
alter table inbound add column answered_at timestamptz;
update inbound set answered_at = received_at where received_at > now() - interval '1 day';
create index inbound_source on inbound (source, id);

-- One confirmation of a STOP a number and day (of UTC), whichever account it is of.
create table stop_confirmation (
    number text not null,
    day date not null,
    account_id integer not null,
    message_id bigint,
    primary key (number, day)
);
