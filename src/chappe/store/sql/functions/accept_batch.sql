-- Accepts a batch of submissions, each whole or not at all: debits, ledger entries, submissions, messages, outbox rows.
--
-- a_*: the accounts of the batch in the order of their ids (so that two batches never lock crosswise): id, the cost of all
--   its submissions, the number of messages that go to the queue.
-- s_*: the submissions. s_charge is debited (0 for sandbox submissions), s_cost is shown.
-- m_*: the messages: index of the submission in s_* and of the account in a_* (from 1), place among the submission's
--   recipients (from 0), place among the account's messages of the batch (from 0). m_lane 0: the message is not sent.
--   m_key 0: the message leaves at its fair turn; else the instant at which it is due, in a waiting lane.
-- A rare column may be null as a whole.
-- Returns the id of each submission, null where the credit did not suffice, and the balance of each account before the
-- batch. If recipients of commercial messages have opted out, it returns only their indexes in m_* and stores nothing: the
-- caller tries again without them.
--
-- Most of the time of a call goes into setting up its statements. So a statement that has nothing to do is not begun, a
-- batch is walked by subscripts (arrays in PL/pgSQL are expanded: a subscript is one step), and no SQL function is called,
-- which PL/pgSQL would plan each time.
-- While somebody holds a snapshot, old versions of a balance stay in the index. The newest one is mostly the last of its
-- key, so the look-up reads the index from its end; it asks for a range, since the planner would drop the order for one value.
drop function if exists accept_batch(
    timestamptz, integer[], bigint[], integer[], integer[], bigint[], bigint[], integer[], integer[], integer[], integer[],
    timestamptz[], text[], text[], text[], text[], text[], text[], text[], text[], integer[], integer[], integer[],
    integer[], text[], smallint[], smallint[], bigint[], integer[], bigint[], text[], text[]);
create or replace function accept_batch(
    p_now timestamptz,
    a_id integer[], a_cost bigint[], a_count integer[],
    s_account integer[], s_charge bigint[], s_cost bigint[], s_recipients integer[], s_parts integer[],
    s_flags integer[], s_report_host bigint[], s_scheduled_at timestamptz[], s_dialect text[], s_sender text[],
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
            where s_flags[m_submission[m.i]] & @stop_ignored@ = 0 and m_state[m.i] not in (@suppressed@, @failed@)
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
