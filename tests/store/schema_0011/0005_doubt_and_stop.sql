-- What is in doubt may have arrived: when its number opts out it is not sent again, and stays in doubt. Nobody may say that
-- it was never sent, nor give its money back.

-- End messages because their numbers have opted out. p_met: message id * 32 + how many parts have left.
create or replace function suppress(p_now timestamptz, p_refund smallint[], p_met bigint[], p_detail text)
returns void language plpgsql as $$
declare
    sure bigint[];
    doubted bigint[];
begin
    select array_agg(i) filter (where m.doubts = 0), array_agg(m.id) filter (where m.doubts > 0)
    into sure, doubted
    from unnest(p_met) as i cross join lateral (select id, doubts, state from message where id = i >> 5 limit 1) m
    where m.state not in (6, 7, 8, 9, 11, 12, 13, 14);
    if doubted is not null then
        insert into uncertain (message_id, carrier_id, recipient, since, parts_done)
        select m.id, m.lane / 8, m.recipient, p_now, 0
        from unnest(doubted) as d(id) cross join lateral (select id, lane, recipient from message where id = d.id limit 1) m
        on conflict do nothing;
        update message set state = 10, lane = 0, key = 0, updated_at = p_now where id = any (doubted);
        insert into event (message_id, at, what, detail)
        select d, p_now, 'uncertain_held', p_detail from unnest(doubted) as d;
    end if;
    if sure is not null then
        perform finish(p_now, p_refund, array_agg(m.id), array_agg(11::smallint), array_agg(m.kept),
                       array_agg(text 'opted_out'), array_agg(text 'suppressed'), array_agg(p_detail))
        from (select i >> 5 as id, (i & 31)::smallint as kept from unnest(sure) as i order by 1) m;
    end if;
end $$;
