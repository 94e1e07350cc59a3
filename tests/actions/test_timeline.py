"""The timeline of a message, from rows as the other rooms write them, on a real PostgreSQL."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio
from shop import opened as opened_shop

from chappe.actions import accept
from chappe.actions import timeline as reports
from chappe.core.carrier_config import CarrierSettings
from chappe.core.lifecycle import State
from chappe.core.model import Accepted, AccountSettings, Moment, Recipient, Send
from chappe.core.routing import Route, Router
from chappe.embedded.server import ConnectionParameters
from chappe.store import accounts, binds, carriers, timeline
from chappe.store.database import Address, Database

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
MESSAGES = 3


@pytest_asyncio.fixture
async def stored(database: ConnectionParameters) -> AsyncIterator[Database]:
    """A database with one account, one carrier, and one submission of three messages of two parts."""
    opened = Database(Address(**database.arguments()))
    await opened.open()
    async with opened.transaction() as tx:
        await accounts.create(tx, "shop", "k" * 32, AccountSettings(), 1_000_000)
    account = await accounts.by_login(opened, "shop")
    assert account is not None
    carrier_id = await carriers.add(opened, "main", CarrierSettings("127.0.0.1", 2775, "us", "x"))
    send = Send(
        account=account,
        dialect="smspartner",
        text="Bonjour",
        sender="ACME",
        recipients=tuple(Recipient(f"+3361234567{n}", parts=2, price_micros=76_000) for n in range(MESSAGES)),
    )
    router = Router([Route("33", None, str(carrier_id))])
    moment = Moment(NOW, secret=await accounts.installation_secret(opened))
    (outcome,) = await accept.accept(opened, [accept.place(send, NOW, router)], moment)
    assert isinstance(outcome, Accepted)
    yield opened
    await opened.close()


async def _claim(database: Database, message_id: int) -> None:
    """What a worker's turn does: out of the queue, into the flight."""
    await database.execute("delete from outbox where message_id = $1", message_id)
    await database.execute("update bind set in_flight = array[$1::bigint]", message_id)


async def _submit(database: Database, message_id: int) -> None:
    """What the next turn does: the carrier's ids in, out of the flight."""
    await _claim(database, message_id)
    await database.execute("update bind set in_flight = '{}'")
    for part in (1, 2):
        await database.execute(
            "insert into reference values (1, $1, $2, $3, $4)",
            f"ref-{message_id}-{part}",
            message_id,
            part,
            NOW + timedelta(seconds=part),
        )


async def _find(database: Database, text: str) -> reports.MessageTimeline:
    found = await reports.find(database, text)
    assert found is not None
    return found.messages[0]


@pytest.mark.asyncio
async def test_a_message_in_the_queue_has_its_place(stored: Database) -> None:
    whole = await reports.find(stored, "1")
    assert whole is not None
    assert (whole.states, whole.charged, whole.more) == ({"queued": 3}, "0.228", 0)
    first, third = whole.messages[0], await _find(stored, "1/3")
    assert (first.state, first.queue and first.queue.ahead, third.queue and third.queue.ahead) == ("queued", 0, 2)
    assert first.queue is not None
    assert (first.queue.carrier, first.queue.lane, first.queue.due_at) == ("main", "commercial", None)


@pytest.mark.asyncio
async def test_the_present_state_is_derived_while_the_row_says_queued(stored: Database) -> None:
    await _submit(stored, 1 << 16)
    await _claim(stored, 1 << 16 | 1)
    whole = await reports.find(stored, "1")
    assert whole is not None
    assert [message.state for message in whole.messages] == ["submitted", "submitting", "queued"]
    assert whole.states == {"queued": 1, "submitting": 1, "submitted": 1}
    assert [message.parts_submitted for message in whole.messages] == [2, 0, 0]


@pytest.mark.asyncio
async def test_everything_that_happened_is_told_in_order(stored: Database) -> None:
    message_id = 1 << 16
    await _submit(stored, message_id)
    at = [NOW + timedelta(seconds=second) for second in range(10)]
    await stored.execute("insert into event values ($1, $2, 'retry', '0x58 Throttled')", message_id, at[0])
    receipt = """insert into receipt (id, carrier_id, received_at, message_id, part, state, word, error, carrier_ref,
                                      source, raw) values ($1, 1, $2, $3, $4, $5, $6, $7, 'r', '', '')"""
    await stored.execute(receipt, 1, at[3], message_id, 1, None, "ENROUTE", "")
    await stored.execute(receipt, 2, at[4], message_id, 2, State.REJECTED, "REJECTD", "042")
    await stored.execute(
        "update message set state = 9, reason = '042', updated_at = $2 where id = $1", message_id, at[4]
    )
    await stored.execute("insert into ledger_entry values (2, $1, 1, 38000, $2)", message_id, at[4])
    await stored.execute(
        "insert into webhook_attempt values (1, $1, $2, 9, 500, 12, 'retry: status 500')", message_id, at[5]
    )
    await stored.execute(
        "insert into webhook values (7, $2, 1, $1, $3, 9, 1)", message_id, 1_900_000_000_000_000, at[4]
    )
    found = await _find(stored, "1/1")
    told = [(entry.what, entry.part) for entry in found.entries]
    assert told == [
        ("accepted", 0),
        ("charged", 0),
        ("retry", 0),
        ("submitted", 1),
        ("submitted", 2),
        ("receipt", 1),
        ("receipt", 2),
        ("state", 0),
        ("refunded", 0),
        ("webhook", 0),
        ("webhook_due", 0),
    ]
    details = [entry.detail for entry in found.entries]
    assert details[3] == "to main, id ref-65536-1"
    assert details[5] == "no end: ENROUTE, id r, of main"
    assert details[6] == "rejected: REJECTD err 042, id r, of main"
    assert details[9] == "rejected: HTTP 500 in 12 ms, retry: status 500"
    assert (found.state, found.reason, found.refunded) == ("rejected", "042", "0.038")


@pytest.mark.asyncio
async def test_a_scheduled_message_says_when_it_is_due(stored: Database) -> None:
    due_at = NOW + timedelta(hours=3)
    await stored.execute(
        "update outbox set lane = 15, key = $1 where message_id = 65536", int(due_at.timestamp() * 1e6)
    )
    await stored.execute(
        "update message set state = 1, lane = 15, key = $1 where id = 65536", int(due_at.timestamp() * 1e6)
    )
    found = await _find(stored, "1/1")
    assert found.queue is not None
    assert (found.state, found.queue.lane, found.queue.due_at) == ("scheduled", "waiting", due_at)


@pytest.mark.asyncio
async def test_an_account_that_is_gone_and_a_carrier_that_is_gone_hide_nothing(stored: Database) -> None:
    await _submit(stored, 1 << 16)
    await carriers.remove(stored, "main")
    await stored.execute("delete from account")
    whole = await reports.find(stored, "1")
    assert whole is not None
    assert whole.account == "#1"
    assert whole.messages[0].entries[-1].detail.startswith("to ?, id ref-")


@pytest.mark.asyncio
async def test_a_message_that_waits_for_a_carrier_that_is_down_says_so(database: ConnectionParameters) -> None:
    async with opened_shop(database) as shop:
        red = await shop.carrier("red")
        (sent,) = await shop.messages(await shop.account())
        bind = await shop.bind(red)

        async def queue(state: str, detail: str) -> reports.Queue:
            lease = binds.Lease(bind.key, bind.token, state, detail, {})
            assert (await binds.renew_all(shop.database, [lease], 60)).renewed == [lease]
            found = await _find(shop.database, str(sent))
            assert found.queue is not None
            return found.queue

        assert (await queue("down", "cannot connect: no such host")).down == "cannot connect: no such host"
        assert (await queue("connecting", "")).down == "cannot connect: no such host", "it was the last reason"
        assert (await queue("bound", "")).down is None


@pytest.mark.asyncio
async def test_only_so_many_messages_are_shown(stored: Database) -> None:
    shown = await reports.find(stored, "1", 2)
    assert shown is not None
    assert (len(shown.messages), shown.more) == (2, 1)


@pytest.mark.asyncio
@pytest.mark.parametrize("text", ["2", "1/4", "65540", "2/1", "70000"])
async def test_what_is_not_there_is_not_found(stored: Database, text: str) -> None:
    assert await reports.find(stored, text) is None


@pytest.mark.asyncio
@pytest.mark.parametrize("text", ["", "x", "1/", "1/65537", "-1", "1" * 19, "٣"])
async def test_what_is_no_id_is_refused(stored: Database, text: str) -> None:
    with pytest.raises(reports.IdError):
        await reports.find(stored, text)


@pytest.mark.asyncio
async def test_a_number_of_both_kinds_is_the_submission(stored: Database) -> None:
    await stored.execute(
        """insert into submission
           select 65536, account_id, created_at, cost_micros, recipients, parts, flags, report_host, scheduled_at,
                  dialect, sender, 'the other', tag, campaign, client_reference, report_url, reply_url
           from submission"""
    )
    whole = await reports.find(stored, "65536")
    assert whole is not None
    assert (whole.text, whole.messages) == ("the other", [])


@pytest.mark.asyncio
async def test_tables_of_the_timeline_are_read_by_their_indexes(stored: Database) -> None:
    """No table is read whole when it has grown."""
    async with stored.connection() as connection, connection.transaction():
        await connection.execute(timeline.BY_RANGE)
        for statement in (timeline.REFERENCES, timeline.RECEIPTS, timeline.EVENTS, timeline.ATTEMPTS):
            plan = "\n".join(row[0] for row in await connection.fetch(f"explain {statement}", 65536, 65538))
            assert re.search(r"Bitmap Index Scan on (reference|receipt|event|webhook_attempt)_message", plan), plan


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("warning", "note"),
    [
        ("text_lossy", "characters that the GSM alphabet lacks became ?"),
        ("unicode_forced", "the GSM alphabet lacks a character: sent as Unicode"),
        ("numbers_completed", "numbers without their zero were read as French"),
    ],
)
async def test_what_was_not_taken_as_it_was_written_is_said(
    database: ConnectionParameters, warning: str, note: str
) -> None:
    async with opened_shop(database) as shop:
        account = await shop.account()
        (sent,) = await shop.messages(account, warnings=(warning,))
        found = await reports.find(shop.database, str(sent))
        assert found is not None
        assert found.options == [warning]
        assert found.messages[0].entries[0].detail.endswith(f"; {note}")
