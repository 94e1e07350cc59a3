-- The tables. Those that only grow are looked at by autovacuum seldom: no plan depends on their statistics. Hot ones: submission, message, outbox, reference, receipt, webhook: no index beyond the ones shown,
-- since each costs every message; no foreign keys between them, since those take locks on every insert.
-- Money is micro-euros; keys of queues are microseconds since 1970, so that they sort by time in eight octets.

create table installation (
    one boolean primary key default true check (one),
    -- keys the public ids of messages; two random UUIDs are 244 random bits
    secret bytea not null default decode(replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''), 'hex'),
    created_at timestamptz not null default now()
);
insert into installation default values;

create table account (
    id integer generated always as identity primary key,
    login text not null,
    key_sha256 bytea not null unique,
    state smallint not null default 0,
    api_enabled boolean not null default true,
    settings jsonb not null default '{}',
    created_at timestamptz not null default now()
);
create unique index account_login on account (lower(login));

-- What changes with every batch of messages stands apart from what is read often, in rows small enough to be
-- updated in place. turn: when, in the fair order of the queue, the account's next message has its turn.
create table balance (
    account_id integer primary key,
    balance_micros bigint not null default 0 check (balance_micros >= 0),
    turn bigint not null default 0
) with (fillfactor = 20, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000,
        autovacuum_vacuum_cost_delay = 0);

-- Append-only. The primary key is the unique reason: what kind of movement, and of what.
-- kind 1: charge of submission `reason`; 2: money back for message `reason`; 3: credit number `reason` by an operator.
create table ledger_entry (
    kind smallint not null,
    reason bigint not null,
    account_id integer not null,
    amount_micros bigint not null,
    at timestamptz not null,
    note text,
    primary key (kind, reason)
) with (autovacuum_analyze_threshold = 100000, autovacuum_vacuum_insert_threshold = 200000);
create sequence credit_number;

create sequence submission_number;
create table submission (
    id bigint primary key,
    account_id integer not null,
    created_at timestamptz not null,
    cost_micros bigint not null,
    recipients integer not null,
    parts integer not null,
    flags integer not null,             -- see store/messages.py: Flag
    report_host integer,                -- hash of whom to report to; null: nobody
    scheduled_at timestamptz,
    dialect text not null,
    sender text not null,
    text text not null,
    tag text not null,
    campaign text not null,
    client_reference text not null,
    report_url text not null,
    reply_url text not null
) with (autovacuum_analyze_threshold = 100000, autovacuum_vacuum_insert_threshold = 200000);

-- id = submission.id * 65536 + place. Not touched again until its end or until something unusual happens: a message
-- that is `queued`, no longer in the outbox and not in flight, has been submitted (its rows in reference say so).
create table message (
    id bigint primary key,
    account_id integer not null,
    price_micros bigint not null,
    key bigint not null default 0,      -- with lane: its place in the outbox, while it has one
    lane integer not null default 0,
    parts smallint not null,
    state smallint not null,            -- core/lifecycle.py: State
    doubts smallint not null default 0, -- how often it was left in doubt
    part_bits bigint,                   -- of a long one: bit n part n delivered, bit 32 + n part n failed
    updated_at timestamptz,
    recipient text not null,
    text text,                          -- null: the submission's
    reason text
) with (fillfactor = 85, autovacuum_vacuum_scale_factor = 0.1, autovacuum_analyze_threshold = 100000, autovacuum_vacuum_insert_threshold = 200000);

-- The queue. lane = carrier * 8 + class; key orders within: the fair turn in lanes that are ready, the due time in
-- waiting lanes. A row is deleted when it is claimed: from then on bind.in_flight is the record of it.
create table outbox (
    lane integer not null,
    key bigint not null,
    message_id bigint not null,
    attempts smallint not null default 0,
    parts_done integer not null default 0,  -- bit n: part n was answered well
    primary key (lane, key, message_id)
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0,
        autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 5000);

create table carrier (
    id integer generated always as identity primary key,
    name text not null unique,
    kind text not null default 'smpp',
    settings jsonb not null,
    enabled boolean not null default true,
    created_at timestamptz not null default now()
);

create table route (
    id integer generated always as identity primary key,
    carrier_id integer not null references carrier on delete cascade,
    prefix text not null default '',
    range smallint,
    priority integer not null default 0,
    unique nulls not distinct (carrier_id, prefix, range)
);

-- One row a bind that should exist; whoever holds an unexpired lease with the newest token drives it.
create table bind (
    carrier_id integer not null,
    slot smallint not null,
    owner text not null default '',
    token bigint not null default 0,
    expires_at timestamptz not null default '-infinity',
    in_flight bigint[] not null default '{}',
    state text not null default 'down',
    detail text not null default '',
    state_at timestamptz not null default now(),
    figures jsonb not null default '{}',
    primary key (carrier_id, slot)
) with (fillfactor = 20, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000,
        autovacuum_vacuum_cost_delay = 0);

create table lease (
    name text primary key,
    owner text not null,
    token bigint not null,
    expires_at timestamptz not null
) with (fillfactor = 50);

-- The carrier's id of each submitted part. Ids come back after a while on some carriers: the newest wins.
create table reference (
    carrier_id integer not null,
    carrier_ref text not null,
    message_id bigint not null,
    part smallint not null,             -- from 1; 0: the only one
    submitted_at timestamptz not null,
    primary key (carrier_id, carrier_ref, message_id)
) with (fillfactor = 95, autovacuum_analyze_threshold = 100000, autovacuum_vacuum_insert_threshold = 200000);
create index reference_message on reference using brin (message_id) with (pages_per_range = 8, autosummarize = on);

-- Receipts as they came, matched or not.
create sequence receipt_number;
create table receipt (
    id bigint primary key,
    carrier_id integer not null,
    received_at timestamptz not null,
    message_id bigint,
    part smallint,
    state smallint,                     -- null: in transit or unknown; `word` says
    word text not null,
    error text not null,
    carrier_ref text not null,
    source text not null,
    raw bytea not null
) with (autovacuum_analyze_threshold = 100000, autovacuum_vacuum_insert_threshold = 200000);
create index receipt_message on receipt using brin (message_id) with (pages_per_range = 8, autosummarize = on);

-- Receipts that wait for their match: early ones, and ids of nobody.
create table receipt_unmatched (
    carrier_id integer not null,
    carrier_ref text not null,
    receipt_id bigint not null,
    received_at timestamptz not null,
    primary key (carrier_id, carrier_ref, receipt_id)
);

-- Messages of which nobody knows whether the carrier has them.
create table uncertain (
    message_id bigint primary key,
    carrier_id integer not null,
    recipient text not null,
    since timestamptz not null,
    parts_done integer not null default 0
);

-- Events for customers, until they are told or given up. host: hash of host and port, so that a slow one delays only
-- its own; key: when it is due.
create sequence webhook_number;
create table webhook (
    host integer not null,
    key bigint not null,
    id bigint not null,
    message_id bigint not null,
    at timestamptz not null,
    state smallint not null,
    attempts smallint not null default 0,
    reason text,
    primary key (host, key, id)
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0,
        autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 5000);

create table webhook_attempt (
    webhook_id bigint not null,
    message_id bigint not null,
    at timestamptz not null,
    state smallint not null,
    status smallint not null,           -- HTTP status; 0: none came
    took_ms integer not null,
    outcome text not null               -- told, retry, given_up; and why
) with (autovacuum_analyze_threshold = 100000, autovacuum_vacuum_insert_threshold = 200000);
create index webhook_attempt_message on webhook_attempt using brin (message_id)
    with (pages_per_range = 8, autosummarize = on);

-- The unusual in a message's life; the usual is read from the tables above.
create table event (
    message_id bigint not null,
    at timestamptz not null,
    what text not null,
    detail text not null default ''
);
create index event_message on event using brin (message_id) with (pages_per_range = 8, autosummarize = on);

-- Messages of carriers that are not receipts: stored before they are answered.
create table inbound (
    id bigint generated always as identity primary key,
    carrier_id integer not null,
    received_at timestamptz not null,
    source text not null,
    destination text not null,
    esm_class smallint not null,
    data_coding smallint not null,
    raw bytea not null
);

-- Submissions that the walk through silent messages has passed while they still had something to send.
create table silence_later (submission_id bigint primary key);

create table upkeep (name text primary key, position bigint not null, at timestamptz not null default now());

-- Those who cache accounts, carriers and routes are told when these change; all three are changed by hand and rarely.
create function tell_configuration() returns trigger language plpgsql as $$
begin
    perform pg_notify('chappe_configuration', tg_table_name);
    return null;
end $$;
create trigger account_changed after insert or update or delete on account
    for each statement execute function tell_configuration();
create trigger carrier_changed after insert or update or delete on carrier
    for each statement execute function tell_configuration();
create trigger route_changed after insert or update or delete on route
    for each statement execute function tell_configuration();
