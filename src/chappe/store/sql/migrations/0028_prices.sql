-- Prices by destination of the whole installation, by prefix as in account settings; those of account_defaults and of an account come
-- before them.
alter table installation add column prices jsonb not null default '{}';

-- Prices from a day on: of an account, or of the installation (null). price_micros null: refused there; forgotten: as if none had been set.
-- applied_at: since when the account's or the installation's list has it.
create table price_change (
    id bigint generated always as identity primary key,
    account_id integer,
    prefix text not null,
    price_micros bigint,
    forgotten boolean not null default false,
    valid_from timestamptz not null,
    applied_at timestamptz
);
create index price_change_due on price_change (valid_from, id) where applied_at is null;
