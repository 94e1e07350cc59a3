-- Trigger: tells processes that cache accounts, carriers and routes when these change.
create or replace function tell_configuration() returns trigger language plpgsql as $$
begin
    perform pg_notify('chappe_configuration', tg_table_name);
    return null;
end $$;

create or replace trigger account_changed after insert or update or delete on account
    for each statement execute function tell_configuration();
create or replace trigger carrier_changed after insert or update or delete on carrier
    for each statement execute function tell_configuration();
create or replace trigger route_changed after insert or update or delete on route
    for each statement execute function tell_configuration();
create or replace trigger demo_changed after insert or update or delete on demo
    for each statement execute function tell_configuration();
