-- Ends doubts, because a late answer or an operator has said that the carrier has these messages. What would have sent them
-- again is removed, also when it was released already. A message that is on its way again stays so.
create or replace function resolve_doubt(p_now timestamptz, v_message bigint[]) returns void language plpgsql as $$
begin
    with recalled as (
        delete from outbox o using message m
        where m.id = any (v_message) and m.doubts > 0 and m.state in (@queued@, @uncertain@)
          and o.lane = m.lane and o.key = m.key and o.message_id = m.id
        returning m.id
    )
    update message m set state = @submitted@, updated_at = p_now, lane = 0, key = 0
    where m.id = any (v_message) and (m.state = @uncertain@ or m.id in (select id from recalled));
    delete from uncertain where message_id = any (v_message);
    insert into event (message_id, at, what, detail) select v, p_now, 'answered_late', '' from unnest(v_message) as v;
end $$;
