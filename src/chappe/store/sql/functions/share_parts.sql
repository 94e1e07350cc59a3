-- Notes that parts of a long message have one id at the carrier, and so one receipt: s_ref is the id that part s_part was given
-- after another part had it; empty when it was given none: then it has that of the others. Bit 0 of part_bits says so, for the
-- receipts that are still to come; what came while the part was on its way counts for it now.
-- The row of the message is locked before references are read, here and in apply_receipts: one of both sees what the other did.
create or replace function share_parts(
    p_carrier integer, p_now timestamptz, p_policy integer, p_refund smallint[],
    s_message bigint[], s_part smallint[], s_ref text[]
) returns void language plpgsql as $$
declare
    one record;
    bits bigint;
    sharing bigint;
    id_ text;
begin
    for one in select * from unnest(s_message, s_part, s_ref) as n(message, part, ref) order by 1, 2 loop
        select coalesce(part_bits, 0) into bits from message where id = one.message for update;
        continue when not found;
        id_ := one.ref;
        if id_ = '' then
            select carrier_ref into id_ from reference
            where carrier_id = p_carrier and message_id = one.message and carrier_ref not like 'none-%'
            order by part <> one.part - 1, part limit 1;
            continue when not found;
        end if;
        insert into reference (carrier_id, carrier_ref, message_id, part, submitted_at)
        values (p_carrier, id_, one.message, one.part, p_now) on conflict do nothing;
        select bit_or(1::bigint << part) into sharing from reference
        where carrier_id = p_carrier and carrier_ref = id_ and message_id = one.message and part <> one.part;
        continue when sharing is null;
        update message set part_bits = bits | 1 where id = one.message;
        if bits & sharing <> 0 then
            perform apply_receipts(p_carrier, p_now, p_policy, p_refund, array[one.message], array[one.part],
                                   array[@delivered@::smallint], array[''], array[id_]);
        end if;
    end loop;
end $$;
