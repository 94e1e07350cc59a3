-- What one subscriber writes to one account is told in the order in which it came, also when a call fails and is repeated.
-- Webhooks of replies of one conversation share a number below zero, their talk; those of reports have none. Only replies
-- are in the index, so that reports cost nothing.
alter table webhook add column talk bigint;
create index webhook_talk on webhook (talk, id) where talk is not null;
