-- Finds the message and part that a receipt is about, where its id at its number has not found them at once. p_other: another
-- id that it has, or empty; p_strict: only a message to p_source will do, since anybody can have written the receipt.
--
-- An id is unique at its carrier: one that only one message has needs no address, since carriers give the sender's in place
-- of the number's, mask it, or leave it out. Of several messages with the id the newest to that number is meant. The whole
-- number of somebody else is another matter: carriers use ids again, and the answer with this one may still be on its way.
-- Without a row there is no such id, or several have it. Message 0 stands for probes (`chappe carrier doctor`).
create or replace function find_part(p_carrier integer, p_ref text, p_other text, p_source text, p_strict boolean)
returns table (message_id bigint, part smallint, carrier_ref text, oddity text) language plpgsql stable as $$
#variable_conflict use_column
begin
    return query
        select f.message_id, f.part, f.carrier_ref, case when f.carrier_ref <> p_ref then 'other_id' end
        from reference f
        where f.carrier_id = p_carrier and f.carrier_ref in (p_ref, p_other)
          and (p_source = '' or right(p_source, 8) = (select right(m.recipient, 8) from message m where m.id = f.message_id))
        order by f.carrier_ref = p_ref desc, f.message_id desc, f.part limit 1;
    if found or p_strict then
        return;
    end if;
    return query
        select min(f.message_id), min(f.part), min(f.carrier_ref), 'address'
        from (select f.message_id, f.part, f.carrier_ref from reference f
              where f.carrier_id = p_carrier and f.carrier_ref in (p_ref, p_other) limit 300) f
        having count(distinct f.message_id) = 1
           and (p_source !~ '^[0-9]{8,}$' or min(f.message_id) = 0
                or right(p_source, 8) = (select right(regexp_replace(s.sender, '[^0-9]', '', 'g'), 8)
                                         from submission s where s.id = min(f.message_id) >> 16));
end $$;
