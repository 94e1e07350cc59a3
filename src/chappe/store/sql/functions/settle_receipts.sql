-- Stores receipts as they came, and moves the messages that they match. c_state is null for a receipt that ends nothing.
-- c_other (a second id), c_reason and c_oddity are mostly empty: then they may be left out altogether.
-- A batch holds at most one receipt of each carrier id: the caller keeps a second one for the next batch.
-- A receipt whose id and number are those of a message needs one look; what is not so plain, and what waits for its match,
-- is rare, and has statements of its own.
create or replace function settle_receipts(
    p_carrier integer, p_now timestamptz, p_policy integer, p_refund smallint[],
    c_ref text[], c_source text[], c_state smallint[], c_word text[], c_error text[], c_raw bytea[],
    c_other text[], c_reason text[], c_oddity text[]
) returns void language plpgsql as $$
declare
    messages bigint[];
    parts smallint[];
    states smallint[];
    reasons text[];
    refs text[];
    lost bigint[];
    lost_refs text[];
    matched bigint[] := '{}';
    one record;
begin
    with stored as (
        insert into receipt (id, carrier_id, received_at, message_id, part, state, word, error, carrier_ref, source, raw,
                             reason, oddity)
        select nextval('receipt_number'), p_carrier, p_now, r.message_id, r.part, c_state[i], c_word[i], c_error[i],
               c_ref[i], c_source[i], c_raw[i], nullif(c_reason[i], ''), nullif(c_oddity[i], '')
        from (select generate_series(1, cardinality(c_ref)) as i) c
        left join lateral (
            select f.message_id, f.part from reference f
            where f.carrier_id = p_carrier and f.carrier_ref = c_ref[i]
              and (c_source[i] = ''
                   or right(c_source[i], 8) = (select right(m.recipient, 8) from message m where m.id = f.message_id))
            order by f.message_id desc limit 1
        ) r on true
        returning id, message_id, part, state, coalesce(reason, error) as reason, carrier_ref
    )
    select array_agg(s.message_id) filter (where s.message_id is not null and s.state is not null),
           array_agg(s.part) filter (where s.message_id is not null and s.state is not null),
           array_agg(s.state) filter (where s.message_id is not null and s.state is not null),
           array_agg(s.reason) filter (where s.message_id is not null and s.state is not null),
           array_agg(s.carrier_ref) filter (where s.message_id is not null and s.state is not null),
           array_agg(s.id) filter (where s.message_id is null),
           array_agg(s.carrier_ref) filter (where s.message_id is null)
    into messages, parts, states, reasons, refs, lost, lost_refs
    from stored s;
    if lost is not null then
        for one in
            select l.id, p.i, f.message_id, f.part, f.carrier_ref, f.oddity
            from unnest(lost, lost_refs) as l(id, ref)
            cross join lateral (select array_position(c_ref, l.ref) as i) p
            cross join lateral find_part(p_carrier, l.ref, coalesce(c_other[p.i], ''), c_source[p.i],
                                         coalesce(c_oddity[p.i], '') like '%by_text%') f
        loop
            update receipt set message_id = one.message_id, part = one.part, carrier_ref = one.carrier_ref,
                               oddity = concat_ws(',', oddity, one.oddity)
            where id = one.id;
            matched := matched || one.id;
            if c_state[one.i] is not null then
                messages := messages || one.message_id;
                parts := parts || one.part;
                states := states || c_state[one.i];
                reasons := reasons || coalesce(nullif(c_reason[one.i], ''), c_error[one.i]);
                refs := refs || one.carrier_ref;
            end if;
        end loop;
        insert into receipt_unmatched (carrier_id, carrier_ref, receipt_id, received_at)
        select p_carrier, l.ref, l.id, p_now from unnest(lost, lost_refs) as l(id, ref) where l.id <> all (matched);
    end if;
    if messages is not null then
        perform apply_receipts(p_carrier, p_now, p_policy, p_refund, messages, parts, states, reasons, refs);
    end if;
end $$;
