-- What a process noticed that the operator should be told of, until it is settled: `chappe doctor` shows it.
create table notice (
    name text primary key,
    first_at timestamptz not null default now(),
    last_at timestamptz not null default now(),
    detail text not null
);
