-- Carriers that refused a message which another carrier may take: none of them is asked again. Rare, and of use only while the
-- message is in the queue. state, reason, what, detail: how the message ends when no other route is left.
create table refusal (
    message_id bigint not null,
    carrier_id integer not null,
    at timestamptz not null,
    state smallint not null,
    reason text not null,
    what text not null,
    detail text not null,
    primary key (message_id, carrier_id)
);
