-- Trigger: counts what comes into and leaves the waiting lanes. Rows of the outbox are inserted and deleted, never updated.
-- A statement that moves nothing into or out of a waiting lane pays one look at the lanes of its rows.
create or replace function count_waiting() returns trigger language plpgsql as $$
begin
    if exists (select from moved where lane & 7 = @waiting_class@) then
        insert into waiting_parts_change (account_id, parts)
        select m.account_id, sum(m.parts) * case tg_op when 'INSERT' then 1 else -1 end
        from moved o cross join lateral (select account_id, parts from message where id = o.message_id limit 1) m
        where o.lane & 7 = @waiting_class@ group by 1;
    end if;
    return null;
end $$;

create or replace trigger waiting_came after insert on outbox referencing new table as moved
    for each statement execute function count_waiting();
create or replace trigger waiting_left after delete on outbox referencing old table as moved
    for each statement execute function count_waiting();
