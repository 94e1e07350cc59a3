-- A carrier whose alphabet is not GSM's may cut a long text into more or fewer parts than it was priced as. The receipts of
-- so many parts are waited for; null: of `parts`.
alter table message add column parts_sent smallint;

-- As before, but for that.
create or replace function apply_receipts(
    p_now timestamptz, p_policy integer, p_refund smallint[],
    r_message bigint[], r_part smallint[], r_state smallint[], r_reason text[]
) returns void language plpgsql as $$
declare
    changed bigint[];
    states smallint[];
    one record;
    bits bigint;
    every bigint;
    parts_ smallint;
    now_state smallint;
    decided smallint;
begin
    if 0 = any (r_part) then
        with news as (
            -- a message sent twice has two ids: of two receipts at once the good news counts, else the first
            select distinct on (r_message[i]) r_message[i] as id, r_state[i] as state, r_reason[i] as reason
            from (select generate_series(1, cardinality(r_message)) as i) n
            where r_part[i] = 0 and r_state[i] is not null order by r_message[i], r_state[i] = 6 desc, i
        ), moved as (
            update message m set state = n.state, reason = nullif(n.reason, ''), updated_at = p_now
            from news n
            where m.id = n.id
              and (m.state not in (6, 7, 8, 9, 11, 12, 13) or (n.state = 6 and m.state in (7, 8)))
            returning m.id, m.state
        )
        select array_agg(id), array_agg(state) into changed, states from moved;
    end if;

    if 0 < any (r_part) then
        for one in select * from unnest(r_message, r_part, r_state, r_reason) as n(id, part, state, reason)
                   where n.part > 0 and n.state is not null loop
            select coalesce(part_bits, 0), coalesce(parts_sent, parts), state into bits, parts_, now_state
            from message where id = one.id for update;
            continue when not found;
            if one.state = 6 then
                bits := (bits | (1::bigint << one.part)) & ~(1::bigint << (32 + one.part));
            elsif bits & (1::bigint << one.part) = 0 then
                bits := bits | (1::bigint << (32 + one.part));
            end if;
            every := ((1::bigint << parts_) - 1) << 1;
            decided := case
                when p_policy = 1 and one.state = 6 then 6
                when p_policy = 2 then case when one.part = 1 then one.state end
                when p_policy = 3 then case when one.part = parts_ then one.state end
                when bits & every = every then 6
                when one.state <> 6 then one.state
            end;
            update message set part_bits = bits where id = one.id;
            if decided is not null
               and (now_state not in (6, 7, 8, 9, 11, 12, 13) or (decided = 6 and now_state in (7, 8))) then
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
