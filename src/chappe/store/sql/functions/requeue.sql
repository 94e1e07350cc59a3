-- Puts messages back into the queue: k_lane and k_key say where. The row of the message is only touched when its place or its
-- state changes. A message that has ended meanwhile, by a receipt for an earlier attempt, stays as it is and is not sent again.
-- A message that is held again gets the reason of the hold, as one that was held when it was accepted.
create or replace function requeue(
    p_now timestamptz, k_message bigint[], k_lane integer[], k_key bigint[], k_attempts smallint[], k_parts_done integer[],
    k_state smallint[], k_what text[], k_detail text[]
) returns void language plpgsql as $$
begin
    insert into outbox (lane, key, message_id, attempts, parts_done)
    select k.lane, k.key, k.message, k.attempts, k.parts_done
    from unnest(k_message, k_lane, k_key, k_attempts, k_parts_done) as k(message, lane, key, attempts, parts_done)
    cross join lateral (select state from message where id = k.message limit 1) m
    where m.state not in (@ended@)
    on conflict do nothing;
    update message m set lane = k.lane, key = k.key, state = k.state, updated_at = p_now,
                         reason = case when k.state = @held@ then k.detail else m.reason end
    from unnest(k_message, k_lane, k_key, k_state, k_detail) as k(message, lane, key, state, detail)
    where m.id = k.message and m.state not in (@ended@)
      and (m.lane, m.key, m.state) is distinct from (k.lane, k.key, k.state);
    insert into event (message_id, at, what, detail)
    select k.message, p_now, k.what, k.detail
    from unnest(k_message, k_what, k_detail) as k(message, what, detail) where k.what <> '';
end $$;
