-- Does one turn of a bind, all or nothing: stores what the carrier took (r_*; part 0 for a message of one part), the webhooks
-- that say so (w_*) and receipts (c_*), and claims the next messages, at most p_want, from p_lanes in their order. p_still:
-- what the bind holds besides. p_from: for each of p_lanes the key from which the claim looks; null: from the beginning.
-- Raises CHP01 when the lease belongs to another: then nothing is recorded.
--
-- While somebody holds a snapshot (a dump, a forgotten transaction), deleted rows stay where they were, and each claim from
-- the beginning walks over all of them: p_from avoids that (decision 0022). With p_from, references are also looked up among
-- waiting receipts one by one, instead of asking first whether any receipt waits.
drop function if exists bind_turn(
    integer, smallint, bigint, timestamptz, integer, smallint[], bigint[], smallint[], text[], bigint[], integer[], text[],
    text[], smallint[], text[], text[], bytea[], bigint[], integer[], integer, bigint[]);
create or replace function bind_turn(
    p_carrier integer, p_slot smallint, p_token bigint, p_now timestamptz, p_policy integer, p_refund smallint[],
    r_message bigint[], r_part smallint[], r_ref text[],
    w_message bigint[], w_host bigint[],
    c_ref text[], c_source text[], c_state smallint[], c_word text[], c_error text[], c_raw bytea[],
    c_other text[], c_reason text[], c_oddity text[],
    p_still bigint[], p_lanes integer[], p_want integer, p_from bigint[]
) returns table (
    message_id bigint, lane integer, key bigint, attempts smallint, parts_done integer,
    account_id integer, parts smallint, doubts smallint, recipient text, text text, sender text, flags integer,
    report_host bigint, dialect text, due_at timestamptz
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
        select w_host[i], (extract(epoch from p_now) * 1000000)::bigint, nextval('webhook_number'), w_message[i], p_now, @submitted@
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
        perform settle_receipts(p_carrier, p_now, p_policy, p_refund, c_ref, c_source, c_state, c_word, c_error, c_raw,
                                c_other, c_reason, c_oddity);
    end if;

    -- Of the lanes in their order, what comes next; in the same statement the record of it in the bind's row. What has
    -- ended while it waited (by a receipt for an earlier attempt or another part) only leaves the queue. So does what is
    -- for a number that has opted out meanwhile, unless the account lets such messages pass (flag stop_ignored).
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
                   s.flags & @stop_ignored@ = 0
                   and (select true from opt_out o where o.account_id = m.account_id and o.number = m.recipient limit 1) as opted
            from gone g cross join lateral (select * from message where id = g.message_id limit 1) m
            cross join lateral (select * from submission where id = g.message_id >> 16 limit 1) s
            where m.state not in (@ended@)
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
