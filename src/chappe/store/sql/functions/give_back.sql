-- Gives back what these messages cost, except for the parts in g_kept. The ledger's primary key makes sure that nothing is
-- given back twice.
create or replace function give_back(p_now timestamptz, g_message bigint[], g_kept smallint[]) returns void language sql as $$
    with back as (
        insert into ledger_entry (kind, reason, account_id, amount_micros, at)
        select 2, m.id, m.account_id, m.price_micros / m.parts * (m.parts - g.kept), p_now
        from unnest(g_message, g_kept) as g(id, kept)
        cross join lateral (select id, account_id, price_micros, parts from message where id = g.id limit 1) m
        where m.price_micros > 0 and g.kept < m.parts
          and exists (select from ledger_entry l where l.kind = 1 and l.reason = m.id >> 16)
        on conflict do nothing
        returning account_id, amount_micros, reason
    ), sums as (
        select account_id, sum(amount_micros) as total,
               count(*) filter (where amount_micros = (select price_micros from message where id = back.reason limit 1))
                   as whole
        from back group by account_id order by account_id
    ), statistics as (
        insert into daily_cost as d (account_id, day, refunded_micros, refunded_messages)
        select account_id, (p_now at time zone 'Europe/Paris')::date, total, whole from sums order by account_id
        on conflict (account_id, day) do update
        set refunded_micros = d.refunded_micros + excluded.refunded_micros,
            refunded_messages = d.refunded_messages + excluded.refunded_messages
    ), locked as (
        select b.account_id, s.total from sums s join balance b using (account_id) order by b.account_id for update of b
    )
    update balance b set balance_micros = b.balance_micros + l.total from locked l where b.account_id = l.account_id
$$;
