-- While somebody holds a snapshot (a dump, a forgotten transaction), what was changed or deleted stays where it was, in the
-- tables and in their indexes. Two places of the hot path walked over all of it: each batch of messages over all versions of
-- its account's balance (0.7 ms after 20,000), each turn of a bind over all receipts that had once waited (76 ms after
-- 300,000) to learn that none does.

-- As in 0008, but for how the balance is found: the newest version of a row mostly stands last among those of its key, so it
-- is looked for from the end of the index. It is found wherever it stands. A range, since of one value the planner would
-- drop the order.
create or replace function accept_batch(
    p_now timestamptz,
    a_id integer[], a_cost bigint[], a_count integer[],
    s_account integer[], s_charge bigint[], s_cost bigint[], s_recipients integer[], s_parts integer[],
    s_flags integer[], s_report_host integer[], s_scheduled_at timestamptz[], s_dialect text[], s_sender text[],
    s_text text[], s_tag text[], s_campaign text[], s_client_reference text[], s_report_url text[], s_reply_url text[],
    m_submission integer[], m_account integer[], m_place integer[], m_turn integer[], m_recipient text[],
    m_state smallint[], m_parts smallint[], m_price bigint[], m_lane integer[], m_key bigint[], m_text text[],
    m_reason text[],
    out ids bigint[], out befores bigint[], out opted integer[]
) language plpgsql as $$
declare
    starts bigint[];
    listed boolean;
    now_key bigint := (extract(epoch from p_now) * 1000000)::bigint;
    b bigint;
    t bigint;
    spent bigint;
begin
    select array(select nextval('submission_number') from generate_series(1, cardinality(s_account))),
           exists (select from opt_out o where o.account_id = any (a_id))
    into ids, listed;
    if listed then
        -- Scalar and limited: such a look-up is never turned into a hash of the whole table.
        opted := array(
            select m.i from unnest(m_recipient) with ordinality as m(recipient, i)
            where s_flags[m_submission[m.i]] & 256 = 0 and m_state[m.i] not in (11, 13)
              and (select true from opt_out o
                   where o.account_id = a_id[m_account[m.i]] and o.number = m.recipient limit 1) is not null);
        if cardinality(opted) > 0 then
            return;
        end if;
    end if;

    for i in 1 .. cardinality(a_id) loop
        update balance set balance_micros = balance_micros - a_cost[i], turn = greatest(turn, now_key) + a_count[i] * 100
        where ctid = (select n.ctid from balance n where n.account_id >= a_id[i] and n.account_id <= a_id[i]
                      order by n.account_id desc limit 1)
          and account_id = a_id[i] and balance_micros >= a_cost[i]
        returning balance_micros + a_cost[i], turn - a_count[i] * 100 into b, t;
        if not found then  -- perhaps since somebody else changed it in this very moment
            update balance set balance_micros = balance_micros - a_cost[i],
                               turn = greatest(turn, now_key) + a_count[i] * 100
            where account_id = a_id[i] and balance_micros >= a_cost[i]
            returning balance_micros + a_cost[i], turn - a_count[i] * 100 into b, t;
        end if;
        if not found then  -- not enough for all: one after the other, as far as it goes
            select balance_micros, greatest(turn, now_key) into b, t from balance where account_id = a_id[i] for update;
            b := coalesce(b, 0);
            spent := 0;
            for j in 1 .. cardinality(s_account) loop
                continue when s_account[j] <> a_id[i];
                if s_charge[j] > 0 and spent + s_charge[j] > b then
                    ids[j] := null;
                else
                    spent := spent + s_charge[j];
                end if;
            end loop;
            update balance set balance_micros = b - spent, turn = t + a_count[i] * 100 where account_id = a_id[i];
        end if;
        befores[i] := b;
        starts[i] := coalesce(t, now_key);
    end loop;

    insert into submission (id, account_id, created_at, cost_micros, recipients, parts, flags, report_host, scheduled_at,
                            dialect, sender, text, tag, campaign, client_reference, report_url, reply_url)
    select ids[i], s_account[i], p_now, s_cost[i], s_recipients[i], s_parts[i], s_flags[i],
           s_report_host[i], s_scheduled_at[i], s_dialect[i], s_sender[i], s_text[i], coalesce(s_tag[i], ''),
           coalesce(s_campaign[i], ''), coalesce(s_client_reference[i], ''), coalesce(s_report_url[i], ''),
           coalesce(s_reply_url[i], '')
    from (select generate_series(1, cardinality(s_text)) as i) s
    where ids[i] is not null;

    if 0 < any (s_charge) then
        insert into ledger_entry (kind, reason, account_id, amount_micros, at)
        select 1, ids[i], s_account[i], -s_charge[i], p_now
        from (select generate_series(1, cardinality(s_charge)) as i) s
        where ids[i] is not null and s_charge[i] > 0;
    end if;

    with stored as (
        insert into message (id, account_id, price_micros, key, lane, parts, state, recipient, text, reason)
        select (ids[m_submission[i]] << 16) | m_place[i], a_id[m_account[i]], m_price[i],
               case when m_key[i] = 0 then starts[m_account[i]] + m_turn[i] * 100 else m_key[i] end,
               m_lane[i], m_parts[i], m_state[i], m_recipient[i], m_text[i], m_reason[i]
        from (select generate_series(1, cardinality(m_recipient)) as i) m
        where ids[m_submission[i]] is not null
        returning id, lane, key
    )
    insert into outbox (lane, key, message_id) select lane, key, id from stored where lane <> 0;
end $$;

-- As in 0008, but for how its own row is read again, and for this: with p_from, which it has while looks are slow, each
-- reference is looked up among the receipts that wait, instead of asking first whether any do.
create or replace function bind_turn(
    p_carrier integer, p_slot smallint, p_token bigint, p_now timestamptz, p_policy integer, p_refund smallint[],
    r_message bigint[], r_part smallint[], r_ref text[],
    w_message bigint[], w_host integer[],
    c_ref text[], c_source text[], c_state smallint[], c_word text[], c_error text[], c_raw bytea[],
    p_still bigint[], p_lanes integer[], p_want integer, p_from bigint[]
) returns table (
    message_id bigint, lane integer, key bigint, attempts smallint, parts_done integer,
    account_id integer, parts smallint, doubts smallint, recipient text, text text, sender text, flags integer,
    report_host integer, dialect text, due_at timestamptz
) language plpgsql as $$
#variable_conflict use_column
declare
    met bigint[];
    claims boolean := p_want > 0;
begin
    if claims and cardinality(r_message) = 0 then  -- where nothing was answered mostly nothing waits
        claims := exists (
            select from (select generate_series(1, cardinality(p_lanes)) as i) l
            cross join lateral (
                select from outbox o where o.lane = p_lanes[l.i]
                and o.key >= coalesce(p_from[l.i], '-9223372036854775808'::bigint) limit 1) q);
    end if;
    -- before anything that may end a message: what is told first happened first
    if cardinality(w_message) > 0 then
        insert into webhook (host, key, id, message_id, at, state)
        select w_host[i], (extract(epoch from p_now) * 1000000)::bigint, nextval('webhook_number'), w_message[i], p_now, 5
        from (select generate_series(1, cardinality(w_message)) as i) w;
    end if;
    if cardinality(r_message) > 0 then
        insert into reference (carrier_id, carrier_ref, message_id, part, submitted_at)
        select p_carrier, r_ref[i], r_message[i], r_part[i], p_now
        from (select generate_series(1, cardinality(r_message)) as i) r
        on conflict do nothing;
        if p_from is not null or exists (select from receipt_unmatched u where u.carrier_id = p_carrier limit 1) then
            perform match_receipts(p_carrier, p_now, p_policy, p_refund, r_ref);
        end if;
    end if;
    if cardinality(c_ref) > 0 then
        perform settle_receipts(p_carrier, p_now, p_policy, p_refund, c_ref, c_source, c_state, c_word, c_error, c_raw);
    end if;

    -- Of the lanes in their order, what comes next; in the same statement the record of it in the bind's row. What has
    -- ended while it waited (by a receipt for an earlier attempt or another part) only leaves the queue. So does what is
    -- for a number that has opted out meanwhile, unless the account lets such messages pass (flag 256).
    if claims then
        return query
        with gone as (
            delete from outbox o where o.ctid = any (array(
                select q.ctid from (select generate_series(1, cardinality(p_lanes)) as i) l
                cross join lateral (
                    select w.ctid from outbox w
                    where w.lane = p_lanes[l.i] and w.key >= coalesce(p_from[l.i], '-9223372036854775808'::bigint)
                    order by w.lane, w.key, w.message_id limit p_want for update skip locked
                ) q
                limit p_want))
            returning o.lane, o.key, o.message_id, o.attempts, o.parts_done
        ), claimed as (
            select g.*, m.account_id, m.parts, m.doubts, m.recipient, coalesce(m.text, s.text) as text, s.sender, s.flags,
                   s.report_host, s.dialect, coalesce(s.scheduled_at, s.created_at) as due_at,
                   s.flags & 256 = 0
                   and (select true from opt_out o where o.account_id = m.account_id and o.number = m.recipient limit 1) as opted
            from gone g cross join lateral (select * from message where id = g.message_id limit 1) m
            cross join lateral (select * from submission where id = g.message_id >> 16 limit 1) s
            where m.state not in (6, 7, 8, 9, 11, 12, 13, 14)
        ), recorded as (
            update bind b set in_flight = p_still || array(
                select case when c.opted then -(c.message_id << 5 | bit_count(c.parts_done::bit(32))) else c.message_id end
                from claimed c)
            where b.carrier_id = p_carrier and b.slot = p_slot and b.token = p_token
        )
        select c.message_id, c.lane, c.key, c.attempts, c.parts_done,
               c.account_id, c.parts, c.doubts, c.recipient, c.text, c.sender, c.flags,
               c.report_host, c.dialect, c.due_at
        from claimed c
        where c.opted is not true
        order by array_position(p_lanes, c.lane), c.key, c.message_id;
    else
        if cardinality(r_message) = 0 and cardinality(c_ref) = 0 and cardinality(w_message) = 0 then
            -- nothing to write but, perhaps, that the bind holds less: no lock, no transaction id, no flush
            perform from bind b
            where b.carrier_id = p_carrier and b.slot = p_slot and b.token = p_token and b.in_flight = p_still;
            if found then
                return;
            end if;
        end if;
        update bind b set in_flight = p_still where b.carrier_id = p_carrier and b.slot = p_slot and b.token = p_token;
        if found then
            return;
        end if;
    end if;
    -- Checked last, where it is locked anyway; a lease that is another's undoes all of the above.
    select b.in_flight into met from bind b
    where b.carrier_id = p_carrier and b.slot >= p_slot and b.slot <= p_slot and b.token = p_token
    order by b.carrier_id desc, b.slot desc limit 1;
    if not found then
        raise exception 'the lease of this bind is held by another' using errcode = 'CHP01';
    end if;
    if 0 > any (met) then  -- those of opted-out numbers, written down just above: -(id * 32 + parts that have left)
        update bind b set in_flight = array(select i from unnest(b.in_flight) as i where i > 0)
        where b.carrier_id = p_carrier and b.slot = p_slot;
        perform suppress(p_now, p_refund, array(select -i from unnest(met) as i where i < 0),
                         'the number had opted out when its turn came');
    end if;
end $$;
