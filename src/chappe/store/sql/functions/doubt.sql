-- Marks messages as in doubt. d_key 0: held, nothing more is sent; else the instant at which the message is sent once more,
-- by the waiting lane.
create or replace function doubt(
    p_now timestamptz, p_carrier integer, d_message bigint[], d_key bigint[], d_parts_done integer[], d_detail text[]
) returns void language plpgsql as $$
begin
    with unsure as (
        update message m
        set state = @uncertain@, doubts = m.doubts + 1, updated_at = p_now,
            lane = case when d.key = 0 then 0 else p_carrier * 8 + @waiting_class@ end, key = d.key
        from unnest(d_message, d_key, d_parts_done) as d(message, key, parts_done)
        where m.id = d.message and m.state not in (@ended@)
        returning m.id, m.lane, m.key, m.recipient, d.parts_done
    ), listed as (
        insert into uncertain (message_id, carrier_id, recipient, since, parts_done)
        select id, p_carrier, recipient, p_now, parts_done from unsure
        on conflict (message_id) do update set since = excluded.since, parts_done = excluded.parts_done
    )
    insert into outbox (lane, key, message_id, attempts, parts_done)
    select lane, key, id, 1, parts_done from unsure where lane <> 0
    on conflict do nothing;
    insert into event (message_id, at, what, detail)
    select d.message, p_now, case when d.key = 0 then 'uncertain_held' else 'uncertain_resend' end, d.detail
    from unnest(d_message, d_key, d_detail) as d(message, key, detail);
end $$;
