-- Groups of contacts: groups of one provider, lists of another. contacts: how many there are, kept by those who add and remove,
-- under the group's row lock. structure: names of own fields, in their order.
create table contact_group (
    id bigint generated always as identity primary key,
    account_id integer not null,
    name text not null,
    created_at timestamptz not null,
    locked boolean not null default false,
    structure text[] not null default '{}',
    contacts bigint not null default 0 check (contacts >= 0)
);
create index contact_group_account on contact_group (account_id, id);

-- number: E.164. fields: what else is known of the contact, by name.
create table contact (
    id bigint generated always as identity primary key,
    account_id integer not null,
    group_id bigint not null references contact_group on delete cascade,
    number text not null,
    created_at timestamptz not null,
    fields jsonb not null default '{}'
);
create unique index contact_number on contact (group_id, number);
create index contact_place on contact (group_id, id);
