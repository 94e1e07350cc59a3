-- The hot path: one call a batch, set-based. Everything that a plan could get wrong on empty tables is written so that
-- there is one way to do it: unnest, primary-key look-ups, LATERAL ... LIMIT 1. States are core/lifecycle.py's numbers:
-- 1 scheduled, 2 held, 3 queued, 4 submitting, 5 submitted, 6 delivered, 7 undelivered, 8 expired, 9 rejected,
-- 10 uncertain, 11 suppressed, 12 cancelled, 13 failed, 14 no_receipt.

create function microseconds(at timestamptz) returns bigint language sql immutable
    return (extract(epoch from at) * 1000000)::bigint;

-- Accept a batch of submissions, each whole or not at all: debits, ledger, submissions, messages, outbox.
--
-- a_*: the accounts of the batch in the order of their ids (so that two batches never lock crosswise): id, what all its
--   submissions cost, how many messages go to the queue.
-- s_*: the submissions; s_charge is what is debited (0 for sandbox ones), s_cost what is shown.
-- m_*: the messages: place of the submission in s_* and of the account in a_* (from 1), place among the submission's
--   recipients (from 0), place among the account's messages of the batch (from 0). m_lane 0: not to be sent.
--   m_key 0: as soon as its turn comes; else when it is due, in a waiting lane.
-- Arrays of numbers are read by subscript: one scan over the texts is cheaper than one a column. A rare column may be
-- null as a whole.
-- Gives for each submission its id, null where the credit did not suffice, and for each account the balance before. When
-- recipients of commercial messages have opted out, gives only their places in m_*, and nothing is stored or charged: the
-- caller tries again without them.
create function accept_batch(
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
    now_key bigint := microseconds(p_now);
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
        where account_id = a_id[i] and balance_micros >= a_cost[i]
        returning balance_micros + a_cost[i], turn - a_count[i] * 100 into b, t;
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
    select ids[s.i], s_account[s.i], p_now, s_cost[s.i], s_recipients[s.i], s_parts[s.i], s_flags[s.i],
           s_report_host[s.i], s_scheduled_at[s.i], s_dialect[s.i], s_sender[s.i], s.text, coalesce(s_tag[s.i], ''),
           coalesce(s_campaign[s.i], ''), coalesce(s_client_reference[s.i], ''), coalesce(s_report_url[s.i], ''),
           coalesce(s_reply_url[s.i], '')
    from unnest(s_text) with ordinality as s(text, i)
    where ids[s.i] is not null;

    insert into ledger_entry (kind, reason, account_id, amount_micros, at)
    select 1, ids[s.i], s_account[s.i], -s.charge, p_now
    from unnest(s_charge) with ordinality as s(charge, i)
    where ids[s.i] is not null and s.charge > 0;

    with stored as (
        insert into message (id, account_id, price_micros, key, lane, parts, state, recipient, text, reason)
        select (ids[m_submission[m.i]] << 16) | m_place[m.i], a_id[m_account[m.i]], m_price[m.i],
               case when m_key[m.i] = 0 then starts[m_account[m.i]] + m_turn[m.i] * 100 else m_key[m.i] end,
               m_lane[m.i], m_parts[m.i], m_state[m.i], m.recipient, m_text[m.i], m_reason[m.i]
        from unnest(m_recipient) with ordinality as m(recipient, i)
        where ids[m_submission[m.i]] is not null
        returning id, lane, key
    )
    insert into outbox (lane, key, message_id) select lane, key, id from stored where lane <> 0;
end $$;

-- Move messages by receipts that have found them: at most one for each message and part. part 0: a message's only part.
-- p_policy, for long messages: 0 delivered when all parts are, 1 when any is, 2 the first part decides, 3 the last.
-- p_refund: the states that give money back. Late good news wins over undelivered and expired, any news over
-- no_receipt; nothing else changes a message that has ended.
create function apply_receipts(
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
    now_key bigint := microseconds(p_now);
begin
    with news as (
        -- a message sent twice has two ids: of two receipts at once the good news counts, else the first
        select distinct on (n.id) n.*
        from unnest(r_message, r_part, r_state, r_reason) with ordinality as n(id, part, state, reason, place)
        where n.part = 0 and n.state is not null order by n.id, n.state = 6 desc, n.place
    ), moved as (
        update message m set state = n.state, reason = nullif(n.reason, ''), updated_at = p_now
        from news n
        where m.id = n.id
          and (m.state not in (6, 7, 8, 9, 11, 12, 13) or (n.state = 6 and m.state in (7, 8)))
        returning m.id, m.state
    )
    select array_agg(id), array_agg(state) into changed, states from moved;

    if exists (select from unnest(r_part) as p(part) where p.part > 0) then
        for one in select * from unnest(r_message, r_part, r_state, r_reason) as n(id, part, state, reason)
                   where n.part > 0 and n.state is not null loop
            select coalesce(part_bits, 0), parts, state into bits, parts_, now_state
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

-- What follows from messages having come to a state: customers are told, money goes back, doubts are over. kept: how many
-- parts of each stay charged although its state gives money back, since the carrier has them. p_refund: the states that
-- give money back where the operator has not said it in table installation.
create function end_messages(
    p_now timestamptz, p_refund smallint[], changed bigint[], states smallint[], kept smallint[])
returns void language plpgsql as $$
declare
    now_key bigint := microseconds(p_now);
begin
    insert into webhook (host, key, id, message_id, at, state, reason)
    select s.report_host, now_key, nextval('webhook_number'), c.id, p_now, c.state, m.reason
    from unnest(changed, states) as c(id, state)
    cross join lateral (select report_host from submission where id = c.id >> 16 limit 1) s
    cross join lateral (select reason from message where id = c.id limit 1) m
    where s.report_host is not null;

    p_refund := coalesce((select refund_states from installation), p_refund);
    if states && p_refund then
        with back as (
            insert into ledger_entry (kind, reason, account_id, amount_micros, at)
            select 2, m.id, m.account_id, m.price_micros / m.parts * (m.parts - c.kept), p_now
            from unnest(changed, states, kept) as c(id, state, kept)
            cross join lateral (select id, account_id, price_micros, parts from message where id = c.id limit 1) m
            where c.state = any (p_refund) and m.price_micros > 0 and c.kept < m.parts
              and exists (select from ledger_entry l where l.kind = 1 and l.reason = m.id >> 16)
            on conflict do nothing
            returning account_id, amount_micros
        ), sums as (
            select account_id, sum(amount_micros) as total from back group by account_id order by account_id
        ), statistics as (
            insert into daily_cost as d (account_id, day, refunded_micros)
            select account_id, (p_now at time zone 'Europe/Paris')::date, total from sums order by account_id
            on conflict (account_id, day) do update set refunded_micros = d.refunded_micros + excluded.refunded_micros
        ), locked as (
            select b.account_id, s.total from sums s join balance b using (account_id) order by b.account_id for update of b
        )
        update balance b set balance_micros = b.balance_micros + l.total from locked l where b.account_id = l.account_id;
    end if;

    if exists (select from uncertain limit 1) then
        delete from outbox o using message m, uncertain u
        where u.message_id = any (changed) and m.id = u.message_id
          and o.lane = m.lane and o.key = m.key and o.message_id = m.id;
        delete from uncertain where message_id = any (changed);
    end if;
end $$;

-- Store receipts as they came, and move what they match. c_state is null for news that ends nothing. At most one
-- receipt of each carrier id in a batch: the caller keeps a second one for the next.
create function settle_receipts(
    p_carrier integer, p_now timestamptz, p_policy integer, p_refund smallint[],
    c_ref text[], c_source text[], c_state smallint[], c_word text[], c_error text[], c_raw bytea[]
) returns void language plpgsql as $$
declare
    ids bigint[];
    messages bigint[];
    parts smallint[];
    states smallint[];
    reasons text[];
begin
    ids := array(select nextval('receipt_number') from generate_series(1, cardinality(c_ref)));
    with stored as (
        insert into receipt (id, carrier_id, received_at, message_id, part, state, word, error, carrier_ref, source, raw)
        select ids[c.i], p_carrier, p_now, r.message_id, r.part, c.state, c.word, c.error, c.ref, c.source, c.raw
        from unnest(c_ref, c_source, c_state, c_word, c_error, c_raw) with ordinality
             as c(ref, source, state, word, error, raw, i)
        left join lateral (
            select f.message_id, f.part from reference f
            where f.carrier_id = p_carrier and f.carrier_ref = c.ref
              and (c.source = '' or right(c.source, 8) = (select right(m.recipient, 8) from message m where m.id = f.message_id))
            order by f.message_id desc limit 1
        ) r on true
        returning id, message_id, part, state, error, carrier_ref
    ), waiting as (
        insert into receipt_unmatched (carrier_id, carrier_ref, receipt_id, received_at)
        select p_carrier, carrier_ref, id, p_now from stored where message_id is null
    )
    select array_agg(s.message_id), array_agg(s.part), array_agg(s.state), array_agg(s.error)
    into messages, parts, states, reasons
    from stored s
    where s.message_id is not null and s.state is not null;
    if messages is not null then
        perform apply_receipts(p_now, p_policy, p_refund, messages, parts, states, reasons);
    end if;
end $$;

-- Give receipts that came early, or on another bind at the same instant, to the messages that they are of.
create function match_receipts(
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

-- One turn of a bind, all or nothing: what the carrier took (r_*: part 0 for a message of one part), whose customers hear
-- that it was taken (w_*), receipts (c_*), and the next messages, at most p_want, from p_lanes in their order. p_still:
-- what the bind holds besides. Raises CHP01 when the lease is no longer ours: then nothing is recorded.
create function bind_turn(
    p_carrier integer, p_slot smallint, p_token bigint, p_now timestamptz, p_policy integer, p_refund smallint[],
    r_message bigint[], r_part smallint[], r_ref text[],
    w_message bigint[], w_host integer[],
    c_ref text[], c_source text[], c_state smallint[], c_word text[], c_error text[], c_raw bytea[],
    p_still bigint[], p_lanes integer[], p_want integer
) returns table (
    message_id bigint, lane integer, key bigint, attempts smallint, parts_done integer,
    account_id integer, parts smallint, doubts smallint, recipient text, text text, sender text, flags integer,
    report_host integer, dialect text, due_at timestamptz
) language plpgsql as $$
#variable_conflict use_column
declare
    met bigint[];
begin
    if cardinality(r_message) = 0 and cardinality(c_ref) = 0 and cardinality(w_message) = 0
       and (p_want <= 0 or not exists (select from outbox o where o.lane = any (p_lanes))) then
        -- nothing to write but, perhaps, that the bind holds less: no lock, no transaction id, no flush
        if (select in_flight from bind b where b.carrier_id = p_carrier and b.slot = p_slot and b.token = p_token)
           is not distinct from p_still then
            return;
        end if;
    end if;
    -- before anything that may end a message: what is told first happened first
    if cardinality(w_message) > 0 then
        insert into webhook (host, key, id, message_id, at, state)
        select w.host, microseconds(p_now), nextval('webhook_number'), w.message, p_now, 5
        from unnest(w_message, w_host) as w(message, host);
    end if;
    if cardinality(r_message) > 0 then
        insert into reference (carrier_id, carrier_ref, message_id, part, submitted_at)
        select p_carrier, r.ref, r.message, r.part, p_now
        from unnest(r_message, r_part, r_ref) as r(message, part, ref)
        on conflict do nothing;
        if exists (select from receipt_unmatched u where u.carrier_id = p_carrier limit 1) then
            perform match_receipts(p_carrier, p_now, p_policy, p_refund, r_ref);
        end if;
    end if;
    if cardinality(c_ref) > 0 then
        perform settle_receipts(p_carrier, p_now, p_policy, p_refund, c_ref, c_source, c_state, c_word, c_error, c_raw);
    end if;

    -- Of the lanes in their order, what comes next; in the same statement the record of it in the bind's row. What has
    -- ended while it waited (by a receipt for an earlier attempt or another part) only leaves the queue. So does what is
    -- for a number that has opted out meanwhile, unless the account lets such messages pass (flag 256).
    return query
    with gone as (
        delete from outbox o where o.ctid = any (array(
            select q.ctid from unnest(p_lanes) with ordinality as l(lane, place)
            cross join lateral (
                select w.ctid from outbox w where w.lane = l.lane
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
    -- Checked last, where it is locked anyway; a lease that is another's undoes all of the above.
    select b.in_flight into met from bind b where b.carrier_id = p_carrier and b.slot = p_slot and b.token = p_token;
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

-- Put messages back into the queue, or into it again later: k_lane and k_key say where. The row of the message is only
-- touched when its place or its state is another than before. A message that has ended meanwhile, by a receipt for what
-- was sent of it before, stays as it is and is not sent again.
create function requeue(
    p_now timestamptz, k_message bigint[], k_lane integer[], k_key bigint[], k_attempts smallint[], k_parts_done integer[],
    k_state smallint[], k_what text[], k_detail text[]
) returns void language plpgsql as $$
begin
    insert into outbox (lane, key, message_id, attempts, parts_done)
    select k.lane, k.key, k.message, k.attempts, k.parts_done
    from unnest(k_message, k_lane, k_key, k_attempts, k_parts_done) as k(message, lane, key, attempts, parts_done)
    cross join lateral (select state from message where id = k.message limit 1) m
    where m.state not in (6, 7, 8, 9, 11, 12, 13, 14)
    on conflict do nothing;
    update message m set lane = k.lane, key = k.key, state = k.state, updated_at = p_now
    from unnest(k_message, k_lane, k_key, k_state) as k(message, lane, key, state)
    where m.id = k.message and m.state not in (6, 7, 8, 9, 11, 12, 13, 14)
      and (m.lane, m.key, m.state) is distinct from (k.lane, k.key, k.state);
    insert into event (message_id, at, what, detail)
    select k.message, p_now, k.what, k.detail
    from unnest(k_message, k_what, k_detail) as k(message, what, detail) where k.what <> '';
end $$;

-- End messages by what happened on our side or in the carrier's answer. e_kept: how many parts the carrier has already.
create function finish(
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
        where m.id = e.message and m.state not in (6, 7, 8, 9, 11, 12, 13, 14)
        returning m.id, m.state, e.kept
    )
    select array_agg(id), array_agg(state), array_agg(moved.kept) into changed, states, kept from moved;
    insert into event (message_id, at, what, detail)
    select e.message, p_now, e.what, e.detail from unnest(e_message, e_what, e_detail) as e(message, what, detail);
    if changed is not null then
        perform end_messages(p_now, p_refund, changed, states, kept);
    end if;
end $$;

-- End messages because their numbers have opted out. p_met: message id * 32 + how many parts have left.
create function suppress(p_now timestamptz, p_refund smallint[], p_met bigint[], p_detail text)
returns void language sql as $$
    select finish(p_now, p_refund, array_agg(m.id), array_agg(11::smallint), array_agg(m.kept), array_agg(text 'opted_out'),
                  array_agg(text 'suppressed'), array_agg(p_detail))
    from (select i >> 5 as id, (i & 31)::smallint as kept from unnest(p_met) as i order by 1) m
$$;

-- Mark messages as in doubt. d_key 0: held, nothing more is sent; else when they are sent once more, by the waiting lane.
create function doubt(
    p_now timestamptz, p_carrier integer, d_message bigint[], d_key bigint[], d_parts_done integer[], d_detail text[]
) returns void language plpgsql as $$
begin
    with unsure as (
        update message m
        set state = 10, doubts = m.doubts + 1, updated_at = p_now,
            lane = case when d.key = 0 then 0 else p_carrier * 8 + 7 end, key = d.key
        from unnest(d_message, d_key, d_parts_done) as d(message, key, parts_done)
        where m.id = d.message and m.state not in (6, 7, 8, 9, 11, 12, 13, 14)
        returning m.id, m.lane, m.key, m.recipient, d.parts_done
    ), listed as (
        insert into uncertain (message_id, carrier_id, recipient, since, parts_done)
        select id, p_carrier, recipient, p_now, parts_done from unsure
        on conflict (message_id) do update set since = excluded.since, parts_done = excluded.parts_done
    )
    insert into outbox (lane, key, message_id, attempts, parts_done)
    select lane, key, id, 1, parts_done from unsure where lane <> 0
    on conflict do nothing;
    insert into event (message_id, at, what, detail)
    select d.message, p_now, case when d.key = 0 then 'uncertain_held' else 'uncertain_resend' end, d.detail
    from unnest(d_message, d_key, d_detail) as d(message, key, detail);
end $$;

-- A late answer or an operator has settled a doubt: the carrier has these messages; what would have sent them again goes,
-- also where it was released already. What is on its way again stays so.
create function resolve_doubt(p_now timestamptz, v_message bigint[]) returns void language plpgsql as $$
begin
    with recalled as (
        delete from outbox o using message m
        where m.id = any (v_message) and m.doubts > 0 and m.state in (3, 10)
          and o.lane = m.lane and o.key = m.key and o.message_id = m.id
        returning m.id
    )
    update message m set state = 5, updated_at = p_now, lane = 0, key = 0
    where m.id = any (v_message) and (m.state = 10 or m.id in (select id from recalled));
    delete from uncertain where message_id = any (v_message);
    insert into event (message_id, at, what, detail) select v, p_now, 'answered_late', '' from unnest(v_message) as v;
end $$;
