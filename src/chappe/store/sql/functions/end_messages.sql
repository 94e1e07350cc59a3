-- Does what follows when messages have ended: webhooks, refunds, end of doubts. kept: how many parts of each message stay
-- charged although its state gives money back, since the carrier has them. p_refund: the states that give money back unless
-- the operator has set them in table installation.
-- It waits at most 200 ms for the lock of a balance: see refund_later.
create or replace function end_messages(
    p_now timestamptz, p_refund smallint[], changed bigint[], states smallint[], kept smallint[])
returns void language plpgsql as $$
declare
    now_key bigint := (extract(epoch from p_now) * 1000000)::bigint;
    wanted smallint[];
    doubtful boolean;
    given bigint[];
    given_kept smallint[];
    patience text;
begin
    insert into webhook (host, key, id, message_id, at, state, reason)
    select s.report_host, now_key, nextval('webhook_number'), changed[c.i], p_now, states[c.i],
           (select reason from message where id = changed[c.i] limit 1)
    from (select generate_series(1, cardinality(changed)) as i) c
    cross join lateral (select report_host from submission where id = changed[c.i] >> 16 limit 1) s
    where s.report_host is not null;

    select (select refund_states from installation), exists (select from uncertain limit 1) into wanted, doubtful;
    p_refund := coalesce(wanted, p_refund);
    if states && p_refund then
        patience := current_setting('lock_timeout');
        select array_agg(c.id), array_agg(c.kept) into given, given_kept
        from unnest(changed, states, kept) as c(id, state, kept) where c.state = any (p_refund);
        begin
            perform set_config('lock_timeout', '200ms', true);
            perform give_back(p_now, given, given_kept);
            perform set_config('lock_timeout', patience, true);
        exception when lock_not_available then  -- which also undoes the setting
            insert into refund_later (message_id, account_id, kept, since)
            select c.id, m.account_id, c.kept, p_now
            from unnest(changed, states, kept) as c(id, state, kept)
            cross join lateral (select account_id from message where id = c.id limit 1) m
            where c.state = any (p_refund)
            on conflict do nothing;
        end;
    end if;

    if doubtful then
        delete from outbox o using message m, uncertain u
        where u.message_id = any (changed) and m.id = u.message_id
          and o.lane = m.lane and o.key = m.key and o.message_id = m.id;
        delete from uncertain where message_id = any (changed);
    end if;
end $$;
