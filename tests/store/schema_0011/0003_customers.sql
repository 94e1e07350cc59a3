-- What customers have beside messages: opt-outs, long numbers, replies, conversations, sums of costs.

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

-- The states that give money back, as the operator wants it; null: as core/pricing.py: REFUNDS has it by default.
alter table installation add column refund_states smallint[];

create index submission_tag on submission (account_id, tag, id) where tag <> '';

-- Long numbers, E.164, and whose they are.
create table virtual_number (
    number text primary key,
    account_id integer not null,
    created_at timestamptz not null default now()
);

-- What became of a message of a subscriber. state 0: new; 1: a part that waits for the others; 2: sorted into a reply;
-- 3: nobody's, or nothing that could be read. note says why.
alter table inbound add column state smallint not null default 0;
alter table inbound add column reply_id bigint;
alter table inbound add column note text;
create index inbound_new on inbound (id) where state = 0;
create index inbound_waiting on inbound (carrier_id, source, destination) where state = 1;

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
