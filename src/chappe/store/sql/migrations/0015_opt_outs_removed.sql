-- What was taken off the lists of opt-outs: the proof that somebody had opted out, and who undid it.

-- removed_by: api (the customer), command (the operator), reply (the subscriber wrote START).
create table opt_out_removed (
    id bigint generated always as identity primary key,
    account_id integer not null,
    number text not null,
    added_at timestamptz not null,
    source text not null,
    comment text not null,
    detail text not null,
    removed_at timestamptz not null,
    removed_by text not null
);
create index opt_out_removed_account on opt_out_removed (account_id, id);
