-- Ends messages by an event on our side or by the carrier's answer. e_kept: how many parts the carrier has already.
create or replace function finish(
    p_now timestamptz, p_refund smallint[],
    e_message bigint[], e_state smallint[], e_kept smallint[], e_reason text[], e_what text[], e_detail text[]
) returns void language plpgsql as $$
declare
    changed bigint[];
    states smallint[];
    kept smallint[];
begin
    with moved as (
        update message m set state = e.state, reason = e.reason, updated_at = p_now
        from unnest(e_message, e_state, e_kept, e_reason) as e(message, state, kept, reason)
        where m.id = e.message and m.state not in (@ended@)
        returning m.id, m.state, e.kept
    )
    select array_agg(id), array_agg(state), array_agg(moved.kept) into changed, states, kept from moved;
    insert into event (message_id, at, what, detail)
    select e.message, p_now, e.what, e.detail from unnest(e_message, e_what, e_detail) as e(message, what, detail);
    if changed is not null then
        perform end_messages(p_now, p_refund, changed, states, kept);
    end if;
end $$;
