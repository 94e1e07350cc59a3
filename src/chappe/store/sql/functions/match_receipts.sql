-- Gives receipts that came early, or over another bind at the same instant, to their messages. Returns how many.
create or replace function match_receipts(
    p_carrier integer, p_now timestamptz, p_policy integer, p_refund smallint[], p_refs text[]
) returns integer language plpgsql as $$
declare
    one record;
    found_ integer := 0;
begin
    for one in
        select u.carrier_ref, u.receipt_id, f.message_id, f.part, f.oddity, c.state, c.reason
        from unnest(p_refs) as p(ref)
        cross join lateral (
            select carrier_ref, receipt_id from receipt_unmatched
            where carrier_id = p_carrier and carrier_ref = p.ref order by receipt_id
        ) u
        cross join lateral (
            select id, state, coalesce(reason, error) as reason, source, oddity from receipt where id = u.receipt_id limit 1
        ) c
        cross join lateral find_part(p_carrier, u.carrier_ref, '', c.source, coalesce(c.oddity, '') like '%by_text%') f
    loop
        delete from receipt_unmatched
        where carrier_id = p_carrier and carrier_ref = one.carrier_ref and receipt_id = one.receipt_id;
        continue when not found;  -- another worker was quicker
        update receipt set message_id = one.message_id, part = one.part,
                           oddity = nullif(concat_ws(',', oddity, one.oddity), '')
        where id = one.receipt_id;
        if one.state is not null then
            perform apply_receipts(p_carrier, p_now, p_policy, p_refund, array[one.message_id], array[one.part],
                                   array[one.state], array[one.reason], array[one.carrier_ref]);
        end if;
        found_ := found_ + 1;
    end loop;
    return found_;
end $$;
