-- Messages whose whole price came back, by the day on which it did: they count as sent no more, as they cost nothing.
alter table daily_cost add column refunded_messages bigint not null default 0;
