-- Gives back what had to wait (refund_later), for every account whose balance is free now. Returns how many accounts still wait.
create or replace function give_back_later(p_now timestamptz, p_limit integer) returns integer language plpgsql as $$
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
