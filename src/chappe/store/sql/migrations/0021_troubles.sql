-- Tasks that failed when they were last tried, for a reason that nobody thought of; empty but for faults of ours.
create table trouble (
    task text primary key,
    error text not null,
    times bigint not null,
    since timestamptz not null,
    last_at timestamptz not null
);

-- Messages of subscribers that could not be sorted (state 5): counted, shown and tried again when a worker starts.
create index inbound_put_aside on inbound (id) where state = 5;
