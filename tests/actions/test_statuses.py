"""Statuses: the present state of messages by every way of asking, and nobody else's."""

from __future__ import annotations

import pytest
from shop import NOW, PRICE, later, opened

from chappe.actions.queries import answer
from chappe.core.errors import Refusal
from chappe.core.lifecycle import State
from chappe.core.model import (
    Account,
    MessagesFound,
    Moment,
    ReadMessage,
    ReadMessages,
    ReadTagged,
    Selector,
    submission_of,
)
from chappe.embedded.server import ConnectionParameters
from chappe.store import optouts
from chappe.store.database import Database

pytestmark = [pytest.mark.asyncio, pytest.mark.every_postgres]

MOMENT = Moment(NOW, secret=b"secret")


async def ask(database: Database, command: object) -> MessagesFound:
    outcome = await answer(database, command, MOMENT)
    assert isinstance(outcome, MessagesFound)
    return outcome


async def words(database: Database, account: Account, submission_id: int) -> list[str]:
    found = await ask(database, ReadMessages(account, (Selector(submission_id),)))
    assert found.groups[0] is not None
    return [message.state for message in found.groups[0]]


async def test_a_message_is_what_everything_known_says(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        account = await shop.account()
        bind = await shop.bind(await shop.carrier())
        sent = await shop.messages(account, 4, report_url="https://h/")
        submission = submission_of(sent[0])
        assert await words(shop.database, account, submission) == ["queued"] * 4
        await bind.turn(3)
        assert await words(shop.database, account, submission) == ["submitting"] * 3 + ["queued"]
        await bind.turn(0, taken=[(sent[0], 0, "a"), (sent[1], 0, "b")], still=[sent[2]], now=later(seconds=5))
        assert await words(shop.database, account, submission) == ["submitted"] * 2 + ["submitting", "queued"]
        await bind.turn(
            0, receipts=[("a", "", State.DELIVERED), ("b", "", State.REJECTED)], still=[], now=later(seconds=9)
        )
        assert await words(shop.database, account, submission) == ["delivered", "rejected", "submitted", "queued"]
        found = await ask(shop.database, ReadMessages(account, (Selector(submission),)))
        group = found.groups[0]
        assert group is not None
        assert [message.cost_micros for message in group] == [PRICE, 0, PRICE, PRICE], "what came back costs nothing"
        assert group[0].at == later(seconds=9)
        assert {message.accepted_at for message in group} == {NOW}
        assert group[3].at == NOW


async def test_a_submitted_message_says_when_the_carrier_took_it(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        account = await shop.account()
        bind = await shop.bind(await shop.carrier())
        (sent,) = await shop.messages(account)
        await bind.turn(1)
        await bind.turn(0, taken=[(sent, 0, "a")], now=later(seconds=5))
        found = await ask(shop.database, ReadMessage(account, sent))
        assert found.groups[0] is not None
        assert (found.groups[0][0].state, found.groups[0][0].at) == ("submitted", later(seconds=5))


async def test_selectors_are_answered_in_their_order_also_those_of_nobody(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        account, other = await shop.account(), await shop.account("other")
        await shop.carrier()
        numbers = ["+33600000001", "+33600000002", "+33600000003"]
        first = submission_of((await shop.messages(account, 3, numbers=numbers, client_reference="r"))[0])
        second = submission_of((await shop.messages(account, 1, numbers=numbers[:1]))[0])
        theirs = submission_of((await shop.messages(other, 1, numbers=numbers[:1]))[0])
        async with shop.database.transaction() as tx:
            await optouts.add(tx, account.id, numbers[1], NOW, "api", "manual")
        found = await ask(
            shop.database,
            ReadMessages(
                account,
                (
                    Selector(second, numbers[0]),
                    Selector(theirs, numbers[0]),
                    Selector(first, numbers[1]),
                    Selector(second, numbers[2]),
                    Selector(10**30, numbers[0]),
                    Selector(-1),
                    Selector(first, 'quote " and \\ and \x00'),
                    Selector(first),
                ),
            ),
        )
        shown = [None if group is None else [m.recipient for m in group] for group in found.groups]
        assert shown == [numbers[:1], None, [numbers[1]], [], None, None, [], numbers]
        last = found.groups[-1]
        assert last is not None
        assert [(m.opted_out, m.client_reference) for m in last] == [(False, "r"), (True, "r"), (False, "r")]


async def test_a_tag_is_read_page_by_page(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        account, other = await shop.account(), await shop.account("other")
        await shop.carrier()
        mine = [*await shop.messages(account, 3, tag="promo"), *await shop.messages(account, 2, tag="promo")]
        await shop.messages(account, 1, tag="else")
        await shop.messages(account, 1)
        await shop.messages(other, 1, tag="promo")
        seen = []
        for page in (1, 2, 3, 4):
            found = await ask(shop.database, ReadTagged(account, "promo", page, 2))
            assert found.total == 5
            assert found.groups[0] is not None
            seen.append([message.message_id for message in found.groups[0]])
        assert seen == [mine[:2], mine[2:4], mine[4:], []]
        for tag, page in (("nothing", 1), ("", 1), ("a\x00", 1), ("promo", 10**12)):
            nothing = await ask(shop.database, ReadTagged(account, tag, page))
            assert (nothing.groups, nothing.total) == (((),), 0)


async def test_one_message_is_found_by_its_account_only(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        account, other = await shop.account(), await shop.account("other")
        await shop.carrier()
        (sent,) = await shop.messages(account, tag="t")
        found = await ask(shop.database, ReadMessage(account, sent))
        assert found.groups[0] is not None
        assert (found.groups[0][0].message_id, found.groups[0][0].tag) == (sent, "t")
        for who, wanted in ((other, sent), (account, sent + 1), (account, 0), (account, 1 << 70)):
            with pytest.raises(Refusal) as refusal:
                await answer(shop.database, ReadMessage(who, wanted), MOMENT)
            assert refusal.value.code == "not_found"
