-- Moves messages by receipts that have found them: at most one receipt for each message and part. Part 0 is a message's
-- only part; r_ref: the carrier's id, which several parts may have (bit 0 of part_bits, see share_parts). p_policy for long messages: 0 delivered when all parts are, 1 when any is, 2 the first part decides, 3 the last.
-- p_refund: the states that give money back. A message of which fewer parts were sent than priced (parts_sent) is delivered
-- when those that were sent have arrived. A late `delivered` overrules `undelivered` and `expired`, any receipt overrules
-- `no_receipt`; nothing else moves a message that has ended (core/lifecycle.py).
create or replace function apply_receipts(
    p_carrier integer, p_now timestamptz, p_policy integer, p_refund smallint[],
    r_message bigint[], r_part smallint[], r_state smallint[], r_reason text[], r_ref text[]
) returns void language plpgsql as $$
declare
    changed bigint[];
    states smallint[];
    one record;
    bits bigint;
    every bigint;
    told bigint;
    parts_ smallint;
    now_state smallint;
    decided smallint;
begin
    if 0 = any (r_part) then
        with news as (
            -- a message sent twice has two ids: of two receipts at once the good news counts, else the first
            select distinct on (r_message[i]) r_message[i] as id, r_state[i] as state, r_reason[i] as reason
            from (select generate_series(1, cardinality(r_message)) as i) n
            where r_part[i] = 0 and r_state[i] is not null order by r_message[i], r_state[i] = @delivered@ desc, i
        ), moved as (
            update message m set state = n.state, reason = nullif(n.reason, ''), updated_at = p_now
            from news n
            where m.id = n.id
              and (m.state not in (@settled@) or (n.state = @delivered@ and m.state in (@overruled_by_delivered@)))
            returning m.id, m.state
        )
        select array_agg(id), array_agg(state) into changed, states from moved;
    end if;

    if 0 < any (r_part) then
        for one in select * from unnest(r_message, r_part, r_state, r_reason, r_ref) as n(id, part, state, reason, ref)
                   where n.part > 0 and n.state is not null loop
            select coalesce(part_bits, 0), coalesce(parts_sent, parts), state into bits, parts_, now_state
            from message where id = one.id for update;
            continue when not found;
            told := 1::bigint << one.part;
            if bits & 1 = 1 then
                select told | coalesce(bit_or(1::bigint << f.part), 0) into told from reference f
                where f.carrier_id = p_carrier and f.carrier_ref = one.ref and f.message_id = one.id;
            end if;
            if one.state = @delivered@ then
                bits := (bits | told) & ~(told << 32);
            else
                bits := bits | ((told & ~bits) << 32);
            end if;
            every := ((1::bigint << parts_) - 1) << 1;
            decided := case
                when p_policy = 1 and one.state = @delivered@ then @delivered@
                when p_policy = 2 then case when told & 2 <> 0 then one.state end
                when p_policy = 3 then case when told & (1::bigint << parts_) <> 0 then one.state end
                when bits & every = every then @delivered@
                when one.state <> @delivered@ then one.state
            end;
            update message set part_bits = bits where id = one.id;
            if decided is not null
               and (now_state not in (@settled@) or (decided = @delivered@ and now_state in (@overruled_by_delivered@))) then
                update message set state = decided, reason = nullif(one.reason, ''), updated_at = p_now
                where id = one.id;
                changed := changed || one.id;
                states := states || decided;
            end if;
        end loop;
    end if;

    if changed is null then
        return;
    end if;
    perform end_messages(p_now, p_refund, changed, states, array_fill(0::smallint, array[cardinality(changed)]));
end $$;
