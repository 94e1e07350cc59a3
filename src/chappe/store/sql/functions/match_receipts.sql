-- Gives receipts that came early, or over another bind at the same instant, to their messages. Returns how many.
create or replace function match_receipts(
    p_carrier integer, p_now timestamptz, p_policy integer, p_refund smallint[], p_refs text[]
) returns integer language plpgsql as $$
declare
    one record;
    found_ integer := 0;
begin
    for one in
        select u.carrier_ref, u.receipt_id, f.message_id, f.part, c.state, c.error
        from unnest(p_refs) as p(ref)
        cross join lateral (
            select carrier_ref, receipt_id from receipt_unmatched
            where carrier_id = p_carrier and carrier_ref = p.ref order by receipt_id
        ) u
        cross join lateral (
            select id, state, error, source from receipt where id = u.receipt_id limit 1
        ) c
        cross join lateral (
            select f.message_id, f.part from reference f
            where f.carrier_id = p_carrier and f.carrier_ref = u.carrier_ref
              and (c.source = '' or right(c.source, 8) = (select right(m.recipient, 8) from message m where m.id = f.message_id))
            order by f.message_id desc limit 1
        ) f
    loop
        delete from receipt_unmatched
        where carrier_id = p_carrier and carrier_ref = one.carrier_ref and receipt_id = one.receipt_id;
        continue when not found;  -- another worker was quicker
        update receipt set message_id = one.message_id, part = one.part where id = one.receipt_id;
        if one.state is not null then
            perform apply_receipts(p_now, p_policy, p_refund, array[one.message_id], array[one.part],
                                   array[one.state], array[one.error]);
        end if;
        found_ := found_ + 1;
    end loop;
    return found_;
end $$;
