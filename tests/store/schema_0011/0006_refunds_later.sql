-- Money back to an account whose balance somebody else has locked (a forgotten transaction of an administrator, say) waits
-- here, instead of the turn of a bind, which would keep all other accounts' messages waiting.
create table refund_later (
    message_id bigint primary key,
    account_id integer not null,
    kept smallint not null,
    since timestamptz not null
);

-- Give back what these messages cost, kept parts excepted. Nobody gets anything twice: the ledger knows each reason.
create function give_back(p_now timestamptz, g_message bigint[], g_kept smallint[]) returns void language sql as $$
    with back as (
        insert into ledger_entry (kind, reason, account_id, amount_micros, at)
        select 2, m.id, m.account_id, m.price_micros / m.parts * (m.parts - g.kept), p_now
        from unnest(g_message, g_kept) as g(id, kept)
        cross join lateral (select id, account_id, price_micros, parts from message where id = g.id limit 1) m
        where m.price_micros > 0 and g.kept < m.parts
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
    update balance b set balance_micros = b.balance_micros + l.total from locked l where b.account_id = l.account_id
$$;

-- As before, but that no lock on a balance is waited for beyond a moment: see refund_later.
create or replace function end_messages(
    p_now timestamptz, p_refund smallint[], changed bigint[], states smallint[], kept smallint[])
returns void language plpgsql as $$
declare
    now_key bigint := microseconds(p_now);
    given bigint[];
    given_kept smallint[];
    patience text := current_setting('lock_timeout');
begin
    insert into webhook (host, key, id, message_id, at, state, reason)
    select s.report_host, now_key, nextval('webhook_number'), c.id, p_now, c.state, m.reason
    from unnest(changed, states) as c(id, state)
    cross join lateral (select report_host from submission where id = c.id >> 16 limit 1) s
    cross join lateral (select reason from message where id = c.id limit 1) m
    where s.report_host is not null;

    p_refund := coalesce((select refund_states from installation), p_refund);
    if states && p_refund then
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

    if exists (select from uncertain limit 1) then
        delete from outbox o using message m, uncertain u
        where u.message_id = any (changed) and m.id = u.message_id
          and o.lane = m.lane and o.key = m.key and o.message_id = m.id;
        delete from uncertain where message_id = any (changed);
    end if;
end $$;

-- Gives back what had to wait, for every account whose balance is free now; gives how many accounts still wait.
create function give_back_later(p_now timestamptz, p_limit integer) returns integer language plpgsql as $$
declare
    one integer;
    waiting integer := 0;
    ids bigint[];
    parts smallint[];
begin
    for one in select distinct account_id from refund_later order by account_id loop
        perform from balance where account_id = one for update skip locked;
        if not found then
            waiting := waiting + 1;
            continue;
        end if;
        with gone as (
            delete from refund_later r
            where r.message_id in (select message_id from refund_later where account_id = one limit p_limit)
            returning r.message_id, r.kept
        )
        select array_agg(message_id), array_agg(kept) into ids, parts from gone;
        if ids is not null then
            perform give_back(p_now, ids, parts);
        end if;
    end loop;
    return waiting;
end $$;
