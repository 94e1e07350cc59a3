-- Trigger: records each change of an account's sending window.
create or replace function note_window() returns trigger language plpgsql as $$
begin
    if tg_op = 'INSERT' then
        insert into window_change (account_id, name, placed) values (new.id, coalesce(new.settings ->> 'window', ''), true);
    elsif new.settings ->> 'window' is distinct from old.settings ->> 'window' then
        insert into window_change (account_id, name) values (new.id, coalesce(new.settings ->> 'window', ''));
    end if;
    return null;
end $$;

create or replace trigger account_window after insert or update of settings on account
    for each row execute function note_window();
