-- Stores receipts as they came, and moves the messages that they match. c_state is null for a receipt that ends nothing.
-- A batch holds at most one receipt of each carrier id: the caller keeps a second one for the next batch.
-- Receipts that wait for their match are rare, and are written by a statement of their own.
create or replace function settle_receipts(
    p_carrier integer, p_now timestamptz, p_policy integer, p_refund smallint[],
    c_ref text[], c_source text[], c_state smallint[], c_word text[], c_error text[], c_raw bytea[]
) returns void language plpgsql as $$
declare
    messages bigint[];
    parts smallint[];
    states smallint[];
    reasons text[];
    lost bigint[];
    lost_refs text[];
begin
    with stored as (
        insert into receipt (id, carrier_id, received_at, message_id, part, state, word, error, carrier_ref, source, raw)
        select nextval('receipt_number'), p_carrier, p_now, r.message_id, r.part, c_state[i], c_word[i], c_error[i],
               c_ref[i], c_source[i], c_raw[i]
        from (select generate_series(1, cardinality(c_ref)) as i) c
        left join lateral (
            select f.message_id, f.part from reference f
            where f.carrier_id = p_carrier and f.carrier_ref = c_ref[i]
              and (c_source[i] = ''
                   or right(c_source[i], 8) = (select right(m.recipient, 8) from message m where m.id = f.message_id))
            order by f.message_id desc limit 1
        ) r on true
        returning id, message_id, part, state, error, carrier_ref
    )
    select array_agg(s.message_id) filter (where s.message_id is not null and s.state is not null),
           array_agg(s.part) filter (where s.message_id is not null and s.state is not null),
           array_agg(s.state) filter (where s.message_id is not null and s.state is not null),
           array_agg(s.error) filter (where s.message_id is not null and s.state is not null),
           array_agg(s.id) filter (where s.message_id is null),
           array_agg(s.carrier_ref) filter (where s.message_id is null)
    into messages, parts, states, reasons, lost, lost_refs
    from stored s;
    if lost is not null then
        insert into receipt_unmatched (carrier_id, carrier_ref, receipt_id, received_at)
        select p_carrier, lost_refs[i], lost[i], p_now from (select generate_series(1, cardinality(lost)) as i) l;
    end if;
    if messages is not null then
        perform apply_receipts(p_now, p_policy, p_refund, messages, parts, states, reasons);
    end if;
end $$;
