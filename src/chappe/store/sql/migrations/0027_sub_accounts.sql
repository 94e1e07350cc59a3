-- The sub-accounts of a master, whose login stands in their settings.
create index account_master on account (lower(settings ->> 'master'), id) where settings ? 'master';

-- Money that moves between two accounts is two ledger entries of one number: kind 4 is the giver's, kind 5 the receiver's.
create sequence transfer_number;
