-- What carriers gave us and the database refused, as it came: see store/quarantine.py. Empty but for hostile or broken SMSCs.
create table quarantine (
    id bigint generated always as identity primary key,
    at timestamptz not null,
    carrier_id integer not null,
    kind text not null,     -- result, receipt, message
    error text not null,
    raw bytea not null
);
