-- What accounts did in hours and days that are under way: the sums over all API processes, for their limits.

-- kind: core/velocity.py. key: a country, or the hash of a number; empty where a kind has none. window_at: seconds since
-- 1970 at which the hour or the day began. A small table: every process adds to it a few times a minute, and rows of
-- days that are over are deleted.
create table usage (
    account_id integer not null,
    kind smallint not null,
    key text not null,
    window_at bigint not null,
    amount bigint not null,
    primary key (account_id, kind, key, window_at)
) with (fillfactor = 70);
