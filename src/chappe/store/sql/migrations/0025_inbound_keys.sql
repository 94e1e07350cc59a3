-- What a carrier's package says of a message of a subscriber, so that nobody else has to look into its octets.
-- key: equal when the carrier sends the same once more, and else different. message: what the parts of one message have
-- in common, beside their addresses; empty for one that stands alone. Both null: stored by an older version.
alter table inbound add column key bytea, add column message text;
-- They are in raw as well. A process of an older version may still write them.
alter table inbound alter column esm_class drop not null, alter column data_coding drop not null;
-- Until now all carriers spoke SMPP, where a repetition differs in its sequence number alone (octets 13 to 16). A carrier
-- repeats within the hour.
update inbound set key = sha256(substring(raw for 12) || substring(raw from 17))
where received_at > now() - interval '2 hours' and raw <> '';
-- Parts that wait for others are looked at anew, which finds out what they have in common.
update inbound set state = 0, key = null where state = 1;
