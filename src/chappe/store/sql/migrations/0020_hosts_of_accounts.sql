-- A webhook waits by a number that says whose it is: the account's id above 32 bits of a keyed hash of where it goes
-- (store/webhook_hosts.py). Before, the number was a checksum of the host's name alone: any customer could invent a name with
-- the number of another's host, and the queue was shared. What waits keeps its old checksum below its account's id; only
-- new webhooks have a keyed one. Both tables are written anew: some seconds for each million submissions. Nodes of the
-- version before cannot go on beside it: end them first.
alter table webhook alter column host type bigint;
update webhook w set host = s.account_id::bigint << 32 | (w.host & 4294967295)
from submission s where w.message_id > 0 and s.id = w.message_id >> 16;
update webhook w set host = r.account_id::bigint << 32 | (w.host & 4294967295)
from reply r where w.message_id < 0 and r.id = -w.message_id;

alter table submission alter column report_host type bigint
    using account_id::bigint << 32 | (report_host::bigint & 4294967295);
