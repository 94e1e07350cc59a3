-- The demo: its account, and the carrier whose phones take its messages. No row: there has never been one.
--
-- everyone: the phones take every account's messages. False as soon as there is another carrier, and never true again
-- while the server runs. An older version marked neither account nor carrier: they are known by what only it wrote.
create table demo (
    one boolean primary key default true check (one),
    account_id integer references account on delete set null,
    carrier_id integer references carrier on delete set null,
    everyone boolean not null default false
);

insert into demo (account_id, carrier_id)
select account_id, carrier_id
from (select (select id from account where login = 'demo' and settings ->> 'email' = 'demo@localhost') as account_id,
             (select id from carrier where name = 'handset' and settings ->> 'host' = '127.0.0.1'
                  and settings ->> 'system_id' = 'handset' and settings ->> 'password' = 'handset') as carrier_id) found
where account_id is not null or carrier_id is not null;
