"""A past put into the tables by SQL: messages delivered, with all that the way of each would have left behind.

So many would take hours by the API. The rows are those of the real way, with every index on: submission (one of 750 a
campaign of 500 numbers), charge, message (one of 50 undelivered), the carrier's reference (hexadecimal, in no order),
receipt, one call of the customer's URL, and what upkeep makes of them behind: conversations, sums of costs,
its own positions. Ids are taken from the sequences, so that new ones follow. They are spread over 51 accounts and 120
days of twelve hours. What is not there: long texts, retries, replies.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from records import SCATTER

if TYPE_CHECKING:
    from chappe.store.database import Connection

CAMPAIGN_EVERY: Final = 750
CAMPAIGN_MESSAGES: Final = 500
ROUND_MESSAGES: Final = CAMPAIGN_EVERY - 1 + CAMPAIGN_MESSAGES
ROUNDS_A_STEP: Final = 80  # 100,000 messages in one transaction
PAST: Final = timedelta(days=125)
SUBMISSIONS_A_DAY: Final = 50_000
MESSAGES_A_CUSTOMER: Final = 5
CUSTOMERS_MIN: Final = 2_000
STATEMENT_S: Final = 1_800.0
FILLED: Final = ("submission", "message", "ledger_entry", "reference", "receipt", "webhook_attempt", "conversation",
                 "daily_cost", "opt_out", "balance")  # fmt: skip

_TABLES: Final = """
create temp table if not exists past_submission (
    id bigint, account_id integer, at timestamptz, recipients integer, tag text) on commit delete rows;
create temp table if not exists past_message (
    id bigint, submission_id bigint, account_id integer, at timestamptz, number bigint, state smallint,
    carrier_ref text) on commit delete rows
"""

# $1, $2: the first and the last, counted since the beginning of the past, $3: accounts, $4: the beginning of the past
_SUBMISSIONS: Final = f"""
insert into past_submission
select nextval('submission_number'), ($3::int[])[1 + g * 7919 % cardinality($3::int[])],
       $4::timestamptz + g / {SUBMISSIONS_A_DAY} * interval '1 day'
           + g % {SUBMISSIONS_A_DAY} / {SUBMISSIONS_A_DAY}.0 * interval '12 hours',
       case when g % {CAMPAIGN_EVERY} = 0 then {CAMPAIGN_MESSAGES} else 1 end,
       case when g % {CAMPAIGN_EVERY} = 0 then 'campaign ' || g when g % 10 = 0 then 'orders' else '' end
from generate_series($1::bigint, $2::bigint) g
"""
# $1: how many customers there are, each of one account; $2: how many accounts
_MESSAGES: Final = f"""
insert into past_message
select id, submission_id, account_id, at,
       33610000000 + ((hashint8(id)::bigint & 2147483647) % ($1::bigint / $2::bigint) * $2 + account_id % $2)
           * {SCATTER} % 10000000,
       case when hashint8extended(id, 1) % 50 = 0 then 7 else 6 end,
       upper(lpad(to_hex(hashint8extended(id, 2)), 16, '0'))
from (select s.id << 16 | p as id, s.id as submission_id, account_id, at
      from past_submission s cross join lateral generate_series(0, s.recipients - 1) p order by 1) m
"""
_PRICE: Final = 45_000
_INTO: Final = (
    f"""insert into submission (id, account_id, created_at, cost_micros, recipients, parts, flags, report_host, dialect,
                               sender, text, tag, campaign, client_reference, report_url, reply_url)
    select id, account_id, at, {_PRICE} * recipients, recipients, 1, 2, account_id, 'smspartner', 'Company',
           lpad(id::text, 12, '0') || ' a message of ordinary length, as a shop would send it to a customer', tag,
           '', '', 'https://company-' || account_id || '.example.com/reports/' || lpad(id::text, 12, '0'), ''
    from past_submission order by id""",
    f"""insert into ledger_entry (kind, reason, account_id, amount_micros, at)
    select 1, id, account_id, -{_PRICE} * recipients, at from past_submission order by id""",
    f"""update balance b set balance_micros = balance_micros - {_PRICE} * s.spent
    from (select account_id, sum(recipients) as spent from past_submission group by 1) s
    where b.account_id = s.account_id""",
    f"""insert into message (id, account_id, price_micros, key, lane, parts, state, updated_at, recipient)
    select id, account_id, {_PRICE}, (extract(epoch from at) * 1000000)::bigint, $1::int * 8, 1, state,
            at + interval '4 s', '+' || number
    from past_message order by id""",
    """insert into reference (carrier_id, carrier_ref, message_id, part, submitted_at)
    select $1::int, carrier_ref, id, 0, at from past_message order by id""",
    """insert into receipt (id, carrier_id, received_at, message_id, part, state, word, error, carrier_ref, source, raw)
    select nextval('receipt_number'), $1::int, at + interval '4 s', id, 0, state,
           case state when 6 then 'DELIVRD' else 'UNDELIV' end, '000', carrier_ref, number::text,
           convert_to('id:' || carrier_ref || ' sub:001 dlvrd:001 submit date:2601010000 done date:2601010000 '
                      'stat:DELIVRD err:000 text:', 'UTF8')
    from past_message order by id""",
    """insert into webhook_attempt (webhook_id, message_id, at, state, status, took_ms, outcome)
    select nextval('webhook_number'), id, at + interval '5 s', state, 200, 20, 'told' from past_message order by id""",
    """insert into conversation as c (number, account_id, message_id)
    select number, account_id, max(id) from past_message group by 1, 2 order by 1, 2
    on conflict (number, account_id) do update set message_id = excluded.message_id""",
    f"""insert into daily_cost as d (account_id, day, charged_micros, messages)
    select account_id, (at at time zone 'Europe/Paris')::date, {_PRICE} * sum(recipients), sum(recipients)
    from past_submission group by 1, 2
    on conflict (account_id, day) do update set charged_micros = d.charged_micros + excluded.charged_micros,
                                                messages = d.messages + excluded.messages""",
    """insert into opt_out (account_id, number, at, source, comment)
    select account_id, '+' || number, at, 'reply', 'stop' from past_message where hashint8extended(id, 3) % 200 = 0
    on conflict do nothing""",
    """insert into upkeep (name, position)
    select n, last from unnest(array['follow', 'vanish', 'silence']) n, (select max(id) as last from past_submission) m
    on conflict (name) do update set position = excluded.position, at = now()""",
)
_OF_CARRIER: Final = ("insert into message", "insert into reference", "insert into receipt")


async def stored(connection: Connection) -> int:
    """How many messages there are."""
    return int(await connection.fetchval("select count(*) from message", timeout=STATEMENT_S))


async def fill(connection: Connection, target: int, accounts: Sequence[int], carrier_id: int) -> int:
    """Adds to the past until `target` messages are stored, or a few more; gives how many there are then.

    A step is one transaction: where it ended it goes on.
    """
    await connection.execute("set statement_timeout = 0")
    await connection.execute(_TABLES)
    count = await stored(connection)
    customers = max(CUSTOMERS_MIN, target // MESSAGES_A_CUSTOMER)
    # The position in the past needs no record of its own: what comes next is later than what was filled last.
    position = int(await connection.fetchval("select coalesce(sum(messages), 0) from daily_cost"))
    place = position // ROUND_MESSAGES * CAMPAIGN_EVERY
    begin = datetime.now(UTC).replace(hour=8, minute=0, second=0, microsecond=0) - PAST
    while count < target:
        rounds = min(ROUNDS_A_STEP, -(-(target - count) // ROUND_MESSAGES))
        async with connection.transaction():
            last = place + rounds * CAMPAIGN_EVERY - 1
            await connection.execute(_SUBMISSIONS, place, last, list(accounts), begin, timeout=STATEMENT_S)
            await connection.execute(_MESSAGES, customers, len(accounts), timeout=STATEMENT_S)
            for statement in _INTO:
                of_carrier = statement.strip().startswith(_OF_CARRIER)
                await connection.execute(statement, *([carrier_id] if of_carrier else []), timeout=STATEMENT_S)
        place = last + 1
        count += rounds * ROUND_MESSAGES
    return count


async def settle(connection: Connection, superuser: Connection) -> None:
    """What autovacuum and a checkpoint would do of themselves in time."""
    for table in FILLED:
        await connection.execute(f"vacuum (analyze) {table}", timeout=STATEMENT_S)
    await superuser.execute("checkpoint", timeout=STATEMENT_S)
