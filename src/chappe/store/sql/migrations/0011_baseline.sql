-- Baseline. A database that has 0011_held_snapshots fe703ea02ad6a135c58a14c4208bf56a0036fcd6e29e9b4a4469492b4c64570a has these tables already.
--
-- The tables. Those that only grow are looked at by autovacuum seldom: no plan depends on their statistics. Hot ones: submission, message, outbox, reference, receipt, webhook: no index beyond the ones shown,
-- since each costs every message; no foreign keys between them, since those take locks on every insert.
-- Money is micro-euros; keys of queues are microseconds since 1970, so that they sort by time in eight octets.

create table installation (
    one boolean primary key default true check (one),
    -- keys the public ids of messages; two random UUIDs are 244 random bits
    secret bytea not null default decode(replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''), 'hex'),
    created_at timestamptz not null default now(),
    -- the states that give money back; null: as core/pricing.py has them by default
    refund_states smallint[]
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
    reason text,
    parts_sent smallint                 -- parts on the wire, where these are fewer than the priced ones
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
create index reference_message on reference using brin (message_id int8_minmax_multi_ops (values_per_range = 16))
    with (pages_per_range = 8, autosummarize = on);

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
create index receipt_message on receipt using brin (message_id int8_minmax_multi_ops (values_per_range = 16))
    with (pages_per_range = 8, autosummarize = on);

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
create index webhook_attempt_message on webhook_attempt using brin (message_id int8_minmax_multi_ops (values_per_range = 16))
    with (pages_per_range = 8, autosummarize = on);

-- The unusual in a message's life; the usual is read from the tables above.
create table event (
    message_id bigint not null,
    at timestamptz not null,
    what text not null,
    detail text not null default ''
);
create index event_message on event using brin (message_id int8_minmax_multi_ops (values_per_range = 16))
    with (pages_per_range = 8, autosummarize = on);

-- Messages of carriers that are not receipts: stored before they are answered.
create table inbound (
    id bigint generated always as identity primary key,
    carrier_id integer not null,
    received_at timestamptz not null,
    source text not null,
    destination text not null,
    esm_class smallint not null,
    data_coding smallint not null,
    raw bytea not null,
    -- What became of it. 0: new; 1: a part that waits for the others; 2: sorted into a reply; 3: nobody's, or unreadable.
    state smallint not null default 0,
    reply_id bigint,
    note text,                          -- why it is in its state
    answered_at timestamptz             -- when our answer to the carrier was written; null while that is not known
);
create index inbound_new on inbound (id) where state = 0;
create index inbound_waiting on inbound (carrier_id, source, destination) where state = 1;
create index inbound_source on inbound (source, id);

-- Submissions that the walk through silent messages has passed while they still had something to send.
create table silence_later (submission_id bigint primary key);

create table upkeep (name text primary key, position bigint not null, at timestamptz not null default now());

-- Who wants nothing more from an account. number: E.164. source: reply, api, command, import. comment: stop, refused,
-- manual. detail: why, where that is not plain. A hot table only for reading: by account and number.
create table opt_out (
    account_id integer not null,
    number text not null,
    id bigint generated always as identity unique,
    at timestamptz not null,
    source text not null,
    comment text not null default 'manual',
    detail text not null default '',
    primary key (account_id, number)
);

create index submission_tag on submission (account_id, tag, id) where tag <> '';

-- Long numbers, E.164, and whose they are.
create table virtual_number (
    number text primary key,
    account_id integer not null,
    created_at timestamptz not null default now()
);

-- Replies, whole, each of one account. kind 0: response, 1: stop, 2: start. message_id: the conversation that it answers.
-- Ids are given by one sorter at a time, in the order of commits, so that a customer can read on from the last one.
create table reply (
    id bigint primary key,
    account_id integer not null,
    carrier_id integer not null,
    at timestamptz not null,
    kind smallint not null,
    number text not null,
    destination text not null,
    text text not null,
    parts text[] not null,
    reference integer not null,
    long_number boolean not null,
    message_id bigint,
    dialect text not null,
    target text not null,
    detail text not null default ''
);
create sequence reply_number;
create index reply_account on reply (account_id, id);
create index reply_message on reply (message_id) where message_id is not null;

-- How far each account has read its replies.
create table reply_position (
    account_id integer primary key,
    position bigint not null
);

-- The last message of an account to a number (international digits): what a reply from that number answers. Written in
-- batches behind the hot path: see store/conversations.py.
create table conversation (
    number bigint not null,
    account_id integer not null,
    message_id bigint not null,
    primary key (number, account_id)
) with (fillfactor = 80);

-- What an account was charged and got back, by days of Europe/Paris; behind the hot path too.
create table daily_cost (
    account_id integer not null,
    day date not null,
    charged_micros bigint not null default 0,
    refunded_micros bigint not null default 0,
    messages bigint not null default 0,
    primary key (account_id, day)
);

-- Submissions that are blanked later than others of their age, since they were scheduled.
create table retention_late (
    submission_id bigint primary key,
    due_at timestamptz not null
);
create index retention_late_due on retention_late (due_at);

-- Identifiers by which customers make sure that a repeated request is not sent again.
create table unique_identifier (
    account_id integer not null,
    identifier text not null,
    at timestamptz not null,
    primary key (account_id, identifier)
);

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
-- The profiles as they were when upkeep last looked: the rules behind a name change with a version or by configuration.
create table window_profile (
    name text primary key,
    fingerprint text not null
);

-- One confirmation of a STOP a number and day (of UTC), whichever account it is of.
create table stop_confirmation (
    number text not null,
    day date not null,
    account_id integer not null,
    message_id bigint,
    primary key (number, day)
);

-- Money back to an account whose balance somebody else has locked (a forgotten transaction of an administrator, say) waits
-- here, instead of the turn of a bind, which would keep all other accounts' messages waiting.
create table refund_later (
    message_id bigint primary key,
    account_id integer not null,
    kept smallint not null,
    since timestamptz not null
);
