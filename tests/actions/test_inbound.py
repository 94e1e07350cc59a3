"""Receiving: what subscribers write is put together, given to whom it answers, and a STOP is obeyed at once."""

from __future__ import annotations

import itertools
from datetime import datetime, timedelta
from typing import Any

import pytest
from shop import NOW, PRICE, Shop, later, opened

from chappe.actions import inbound as receive
from chappe.actions import optouts as optout_actions
from chappe.actions import upkeep
from chappe.actions.queries import answer
from chappe.carriers import MessageIn
from chappe.carriers.smpp.deliver_parser import Reader
from chappe.core import gsm7
from chappe.core.errors import Refusal
from chappe.core.lifecycle import State
from chappe.core.model import Account, Moment, ReadReplies, Replies, Reply, submission_of
from chappe.core.publicid import public_id
from chappe.core.stop_replies import Words
from chappe.embedded.server import ConnectionParameters
from chappe.smpp import concatenation
from chappe.smpp.pdu import DeliverSm
from chappe.smpp.profile import LongMethod, profile
from chappe.store import carriers, conversations, inbound, optouts, virtual_numbers
from chappe.store.lanes import LaneClass

pytestmark = [pytest.mark.asyncio, pytest.mark.every_postgres]

PHONE = "+33600000001"
CODE = "36111"
LONG = "+33700000001"
PARSER = Reader(profile())
_sequences = itertools.count(1)


def frame(text: str, source: str, to: str) -> DeliverSm:
    septets = gsm7.septets(text)
    return DeliverSm(
        sequence=next(_sequences),
        source_addr=source.encode(),
        destination_addr=to.encode(),
        data_coding=0x08 if septets is None else 0,
        short_message=text.encode("utf-16-be") if septets is None else septets,
    )


def parts(texts: list[str], reference: int, source: str = PHONE[1:], to: str = CODE) -> list[DeliverSm]:
    """A long message as a phone sends it."""
    made = []
    for cut in concatenation.cut([gsm7.encode(text) for text in texts], LongMethod.UDH8, reference):
        made.append(frame("", source, to))
        made[-1].esm_class = cut.esm_class
        made[-1].short_message = cut.short_message
    return made


async def arrive(
    shop: Shop, carrier_id: int, *pdus: DeliverSm, now: datetime = NOW, sort: bool = True, answered: bool = True
) -> list[int]:
    rows = [one for one in (PARSER.read(0, pdu, pdu.encode()) for pdu in pdus) if isinstance(one, MessageIn)]
    assert len(rows) == len(pdus)
    async with shop.database.transaction() as tx:
        ids = await inbound.store_inbound(tx, carrier_id, rows, [now] * len(rows))
    if answered:
        await inbound.note_answers(shop.database, now, ids)
    if sort:
        await sorted_at(shop, now)
    return ids


async def sorted_at(shop: Shop, now: datetime) -> None:
    known = {carrier.id: carrier for carrier in await carriers.all_carriers(shop.database)}
    await receive.sort(shop.database, now, known)


async def book(shop: Shop) -> upkeep.Book:
    found = upkeep.Book()
    await upkeep.look(shop.database, NOW, found)
    return found


async def wrote(
    shop: Shop, carrier_id: int, text: str, *, source: str = PHONE[1:], to: str = CODE, now: datetime = NOW
) -> None:
    await arrive(shop, carrier_id, frame(text, source, to), now=now)


async def replies(shop: Shop, account: Account) -> list[Reply]:
    outcome = await answer(shop.database, ReadReplies(account, new=True), Moment(NOW, secret=b"s"))
    assert isinstance(outcome, Replies)
    return list(outcome.entries)


async def list_of(shop: Shop, account: Account) -> list[tuple[str, str]]:
    return [(entry.number, entry.comment) for entry in await optouts.listed(shop.database, account.id)]


async def notes(shop: Shop) -> list[tuple[int, str | None]]:
    rows = await shop.database.fetch("select state, note from inbound order by id")
    return [(row["state"], row["note"]) for row in rows]


@pytest.mark.parametrize("followed", [False, True])
async def test_a_reply_goes_to_who_wrote_last(database: ConnectionParameters, followed: bool) -> None:
    async with opened(database) as shop:
        first, last = await shop.account("first"), await shop.account("last")
        red = await shop.carrier()
        await shop.messages(first, numbers=[PHONE], sender=CODE)
        (sent,) = await shop.messages(
            last, numbers=[PHONE], sender=CODE, reply_url="https://h/r?x=1", now=later(seconds=5), dialect="allmysms",
            client_reference="mine",
        )  # fmt: skip
        await shop.messages(first, numbers=["+33600000002"], sender=CODE, now=later(seconds=9))
        if followed:
            while await conversations.follow(shop.database, later(hours=1)):
                pass
            assert await shop.database.value("select count(*) from conversation") == 3
        await wrote(shop, red, "Oui, merci €", now=later(minutes=1))
        assert await replies(shop, first) == []
        (reply,) = await replies(shop, last)
        assert (reply.number, reply.to, reply.text, reply.kind) == (PHONE, CODE, "Oui, merci €", "response")
        assert (reply.submission_id, reply.message_id) == (submission_of(sent), sent)
        assert (reply.dialect, reply.target, reply.at) == ("allmysms", "https://h/r?x=1", later(minutes=1))
        assert (reply.public_id, reply.client_reference) == (public_id(b"s", sent), "mine")
        assert await shop.webhooks() == [(-reply.id, 0)]
        assert await replies(shop, last) == [], "they count as read"
        assert await notes(shop) == [(2, None)]


@pytest.mark.parametrize("followed", [False, True])
async def test_what_has_not_been_sent_yet_is_not_answered(database: ConnectionParameters, followed: bool) -> None:
    """A campaign that is scheduled for later must not get the replies to what the subscriber has read."""
    async with opened(database) as shop:
        account, other = await shop.account(), await shop.account("other")
        red = await shop.carrier()
        (planned,) = await shop.messages(
            account, numbers=[PHONE], sender=CODE, scheduled_at=later(days=40), reply_url="https://h/planned"
        )
        (sent,) = await shop.messages(account, numbers=[PHONE], sender=CODE, reply_url="https://h/sent")
        (planned_too,) = await shop.messages(account, numbers=[PHONE], sender=CODE, scheduled_at=later(days=41))

        async def follow(now: datetime) -> None:
            while followed and await conversations.follow(shop.database, now):
                pass

        await follow(later(hours=1))
        await wrote(shop, red, "Oui", now=later(hours=2))
        (reply,) = await replies(shop, account)
        assert reply.message_id == sent

        await shop.messages(other, numbers=[PHONE], sender=CODE, now=later(days=30))
        await follow(later(days=31))
        await upkeep.release(shop.database, later(days=40), await book(shop))
        await wrote(shop, red, "Non", now=later(days=40, minutes=1))
        (reply,) = await replies(shop, account)
        assert (reply.message_id, reply.target) == (planned, "https://h/planned")
        # Both wrote lately: the one of a month ago, and the one who planned it forty days ago.
        await wrote(shop, red, "STOP", now=later(days=40, minutes=2))
        for one in (account, other):
            assert await list_of(shop, one) == [(PHONE, "stop")]
        assert await shop.state(planned_too) is State.SUPPRESSED


@pytest.mark.parametrize("word", ["STOP", "stop svp", "Arrêt", "S.T.O.P", "Désabonnement !"])
async def test_a_stop_is_obeyed_in_the_same_transaction(database: ConnectionParameters, word: str) -> None:
    async with opened(database) as shop:
        account = await shop.account(replies_url="https://account/")
        red = await shop.carrier()
        bind = await shop.bind(red)
        (sent,) = await shop.messages(account, numbers=[PHONE])
        await bind.turn(1)
        await bind.turn(0, taken=[(sent, 0, "a")])
        (planned,) = await shop.messages(account, numbers=[PHONE], scheduled_at=later(days=1))
        await wrote(shop, red, word)
        assert await list_of(shop, account) == [(PHONE, "stop")]
        assert await shop.state(planned) is State.SUPPRESSED
        assert await shop.balance(account) == 100_000_000 - PRICE
        (reply,) = await replies(shop, account)
        assert (reply.kind, reply.text, reply.target) == ("stop", word, "https://account/")
        await wrote(shop, red, "START")
        assert await list_of(shop, account) == []
        await shop.books_balance()


async def test_an_ambiguous_stop_is_for_everybody_who_wrote_lately(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        shared, named, own, old = [await shop.account(name) for name in ("shared", "named", "own", "old")]
        red = await shop.carrier()
        await shop.messages(old, numbers=[PHONE], sender=CODE, now=later(days=-40))
        await shop.messages(shared, numbers=[PHONE], sender=CODE)
        await shop.messages(named, numbers=[PHONE], sender="SHOP")
        await shop.messages(own, numbers=[PHONE], sender="38222")
        await wrote(shop, red, "STOP")
        assert await list_of(shop, shared) == [(PHONE, "stop")]
        assert await list_of(shop, named) == [(PHONE, "stop")], "its text says to send STOP to the short code"
        assert await list_of(shop, own) == [], "it has a short code of its own"
        assert await list_of(shop, old) == []
        detail = await shop.database.value("select detail from opt_out where account_id = $1", shared.id)
        assert "2 accounts" in detail
        await wrote(shop, red, "hello", to="38222")
        assert [reply.text for reply in await replies(shop, own)] == ["hello"]
        assert [reply.kind for reply in await replies(shop, shared)] == ["stop"]


async def test_a_long_number_belongs_to_its_owner(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        owner = await shop.account("owner", replies_url="https://owner/")
        other = await shop.account("other")
        red = await shop.carrier()
        async with shop.database.transaction() as tx:
            assert await virtual_numbers.add(tx, LONG, owner.id) == owner.id
            assert await virtual_numbers.add(tx, LONG, other.id) == owner.id, "who has it keeps it"
        await shop.messages(other, numbers=[PHONE])
        await wrote(shop, red, "Bonjour", to=LONG[1:])
        (reply,) = await replies(shop, owner)
        assert (reply.long_number, reply.to, reply.message_id, reply.target) == (True, LONG, None, "https://owner/")
        assert reply.dialect == "smspartner"
        await wrote(shop, red, "STOP", to="0700000001")
        assert await list_of(shop, owner) == [(PHONE, "stop")]
        assert await list_of(shop, other) == []


async def test_parts_are_joined_in_any_order_across_rounds(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        account = await shop.account()
        red = await shop.carrier()
        (sent,) = await shop.messages(account, numbers=[PHONE], sender=CODE)
        texts = ["a" * 153, "b" * 153, "c"]
        one, two, three = parts(texts, 9)
        other = parts(["x" * 153, "y"], 10)
        await arrive(shop, red, three)
        await arrive(shop, red, other[1], one)
        await arrive(shop, red, one)  # a second copy replaces nothing
        assert await replies(shop, account) == []
        await arrive(shop, red, two)
        (reply,) = await replies(shop, account)
        assert (reply.text, reply.parts, reply.reference) == ("".join(texts), tuple(texts), 9)
        assert reply.message_id == sent
        await arrive(shop, red, other[0])
        assert [reply.text for reply in await replies(shop, account)] == ["x" * 153 + "y"]
        assert {state for state, _ in await notes(shop)} == {2, 4}


async def test_what_misses_a_part_is_told_after_half_an_hour_with_a_mark(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        account = await shop.account()
        red = await shop.carrier()
        await shop.messages(account, numbers=[PHONE], sender=CODE)
        one, _, three = parts(["a" * 153, "b" * 153, "c"], 9)
        await arrive(shop, red, three, one)
        await sorted_at(shop, NOW + timedelta(minutes=30))
        assert await replies(shop, account) == []
        await sorted_at(shop, NOW + timedelta(minutes=30, seconds=1))
        (reply,) = await replies(shop, account)
        assert (reply.text, reply.parts) == ("a" * 153 + "[…]" + "c", ("a" * 153, "c"))


async def test_the_first_part_of_a_late_message_stops_at_once(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        account = await shop.account()
        red = await shop.carrier()
        bind = await shop.bind(red)
        (sent,) = await shop.messages(account, numbers=[PHONE], sender=CODE)
        await bind.turn(1)
        await bind.turn(0, taken=[(sent, 0, "a")])
        one, two = parts(["STOP " + "a" * 148, "b"], 9)
        await arrive(shop, red, one)
        assert await list_of(shop, account) == [(PHONE, "stop")]
        assert await replies(shop, account) == []
        await arrive(shop, red, two)
        assert [reply.kind for reply in await replies(shop, account)] == ["stop"]


async def test_what_is_nobodys_or_unreadable_is_put_aside_and_holds_up_nothing(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        account = await shop.account()
        red = await shop.carrier()
        await shop.messages(account, numbers=[PHONE], sender=CODE)
        binary = frame("", PHONE[1:], CODE)
        binary.data_coding, binary.short_message = 0x04, b"\x00\x01"
        await arrive(
            shop, red, frame("STOP", "33600000099", CODE), frame("hi", "+" + "9" * 19, CODE), binary, sort=False
        )
        await shop.database.execute(
            """insert into inbound (carrier_id, received_at, source, destination, esm_class, data_coding, raw)
               values ($1, $2, '', '', 0, 0, '\\x00')""",
            red,
            NOW,
        )
        nul = frame("", PHONE[1:], CODE)
        nul.data_coding, nul.short_message = 0x08, "a\x00b\ud83d".encode("utf-16-be", "surrogatepass")
        await arrive(shop, 999, nul)
        states = await notes(shop)
        assert [state for state, _ in states] == [3, 3, 3, 3, 2]
        assert all(note for state, note in states if state == 3)
        assert [reply.text for reply in await replies(shop, account)] == ["ab\ufffd"]


async def test_what_cannot_be_sorted_is_put_aside_with_its_reason_and_tried_again_later(
    database: ConnectionParameters, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    real, read = receive._deliver, receive.e164

    async def poisonous(tx: Any, whole: receive.Whole, round_: receive.Round) -> list[int]:
        found = await real(tx, whole, round_)
        if whole.text == "boom":
            raise KeyError("what nobody thought of")
        return found

    def unreadable(written: str) -> str:
        if written.endswith("666"):
            raise ValueError("no number that anybody thought of")
        return read(written)

    async with opened(database) as shop:
        account = await shop.account()
        red = await shop.carrier()
        await shop.messages(account, numbers=[PHONE], sender=CODE)
        with monkeypatch.context() as patch:
            patch.setattr(receive, "_deliver", poisonous)
            patch.setattr(receive, "e164", unreadable)
            texts = [frame(text, PHONE[1:], CODE) for text in ("oui", "boom", "non")]
            await arrive(shop, red, *texts, frame("qui", "33600000666", CODE))
        assert [reply.text for reply in await replies(shop, account)] == ["oui", "non"]
        assert await notes(shop) == [
            (2, None),
            (5, "could not be sorted: KeyError"),
            (2, None),
            (5, "could not be sorted: ValueError"),
        ]
        told = [record for record in caplog.records if record.message == "inbound_put_aside"]
        assert len(told) == 2
        assert all(record.exc_info is not None for record in told)
        await sorted_at(shop, NOW)
        assert [reply.text for reply in await replies(shop, account)] == [], "it is not tried all the time"
        await receive.try_again(shop.database)
        await sorted_at(shop, NOW)
        assert [reply.text for reply in await replies(shop, account)] == ["boom"]


async def test_replies_are_read_by_submission_and_by_message(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        account, other = await shop.account(), await shop.account("other")
        red = await shop.carrier()
        phones = [PHONE, "+33600000002"]
        sent = await shop.messages(account, 2, numbers=phones, sender=CODE, client_reference="mine")
        for phone in phones:
            await wrote(shop, red, f"from {phone[-1]}", source=phone[1:])
        await wrote(shop, red, "more")
        moment = Moment(NOW)

        async def read(**given: int) -> list[str]:
            outcome = await answer(shop.database, ReadReplies(account, **given), moment)
            assert isinstance(outcome, Replies)
            assert outcome.client_reference == "mine"
            return [entry.text for entry in outcome.entries]

        assert await read(submission_id=submission_of(sent[0])) == ["from 1", "from 2", "more"]
        assert await read(message_id=sent[0]) == ["from 1", "more"]
        assert await read(submission_id=submission_of(sent[0]), limit=1) == ["from 1"]
        for who, message in ((other, sent[0]), (account, 1 << 70), (account, -5)):
            with pytest.raises(Refusal) as refusal:
                await answer(shop.database, ReadReplies(who, message_id=message), moment)
            assert refusal.value.code == "not_found"


@pytest.mark.parametrize(
    ("octets", "data_coding", "detail"),
    [
        (b"ARR\xcaT", 0, "read as windows-1252, which was announced as gsm7"),
        ("ARR\u00caT".encode(), 0, "read as utf-8, which was announced as gsm7"),
        ("ARR\u00caT".encode("utf-16-le"), 8, "read as utf-16-le, which was announced as ucs2"),
        (b"STOP", 8, "read as ascii, which was announced as ucs2"),
    ],
)
async def test_a_stop_in_another_charset_than_announced_is_obeyed_and_its_reading_told(
    database: ConnectionParameters, octets: bytes, data_coding: int, detail: str
) -> None:
    async with opened(database) as shop:
        account = await shop.account()
        red = await shop.carrier()
        await shop.messages(account, numbers=[PHONE], sender=CODE)
        pdu = frame("", PHONE[1:], CODE)
        pdu.data_coding, pdu.short_message = data_coding, octets
        await arrive(shop, red, pdu)
        assert [reply.kind for reply in await replies(shop, account)] == ["stop"]
        assert await list_of(shop, account) == [(PHONE, "stop")]
        assert await shop.database.value("select detail from reply") == detail


async def test_the_parts_of_a_reply_may_be_announced_otherwise(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        account = await shop.account()
        red = await shop.carrier()
        await shop.messages(account, numbers=[PHONE], sender=CODE)
        one, two, three = parts(["d\u00e9j\u00e0 " + "a" * 140, "x", "ok"], 9)
        two.data_coding, two.short_message = 8, two.short_message[:6] + "\u0153uvre ".encode("utf-16-be")
        three.short_message = three.short_message[:6] + b"\xeatre"
        await arrive(shop, red, three, one, two)
        (reply,) = await replies(shop, account)
        assert reply.text == "d\u00e9j\u00e0 " + "a" * 140 + "\u0153uvre \u00eatre"
        assert reply.parts[1:] == ("\u0153uvre ", "\u00eatre")


async def test_a_near_miss_is_told_as_a_reply_and_shown_as_one(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        account, strict = await shop.account(), await shop.account("strict", stop_sentences=False)
        red = await shop.carrier()
        await shop.messages(account, numbers=[PHONE], sender=CODE)
        for text in ("Arr\u00eat de bus 8h", "Oui", "Non merci"):
            await wrote(shop, red, text)
        assert [reply.kind for reply in await replies(shop, account)] == ["response"] * 3
        assert await list_of(shop, account) == []
        shown = await optout_actions.near_misses(shop.database, "demo", 10)
        assert [(one.number, one.text) for one in shown] == [(PHONE, "Non merci"), (PHONE, "Arr\u00eat de bus 8h")]
        assert len(await optout_actions.near_misses(shop.database, "demo", 1)) == 1
        await shop.messages(strict, numbers=[PHONE], sender=CODE, now=later(seconds=9))
        await wrote(shop, red, "Je ne veux plus de sms, stop", now=later(minutes=1))
        assert await list_of(shop, account) == [(PHONE, "stop")], "understood by the one"
        assert await list_of(shop, strict) == [], "and not by the other"
        assert [one.text for one in await optout_actions.near_misses(shop.database, "strict", 10)] == [
            "Je ne veux plus de sms, stop"
        ]


# -- what carriers send again


@pytest.mark.parametrize(
    ("answered_s", "again_s", "told"),
    [
        (0.01, 60.0, 2),  # "1", and "1" once more a minute later: a person
        (0.01, 3.0, 2),
        (None, 0.5, 1),  # the connection was lost before our answer: the next one brings it again
        (None, 60.0, 1),
        (None, 3_599.0, 1),
        (None, 3_601.0, 2),  # nobody waits so long
        (2.0, 0.5, 2),  # two that the network had kept, at once
        (40.0, 30.0, 1),  # its timer ended while our answer was late
        (40.0, 45.0, 1),  # it had not seen the answer yet
        (40.0, 101.0, 2),
        (4.9, 60.0, 2),
    ],
)
async def test_what_a_carrier_sends_again_is_one_reply_and_what_a_person_writes_twice_are_two(
    database: ConnectionParameters, answered_s: float | None, again_s: float, told: int
) -> None:
    async with opened(database) as shop:
        account = await shop.account()
        red = await shop.carrier()
        await shop.messages(account, numbers=[PHONE], sender=CODE)
        ids = await arrive(shop, red, frame("1", PHONE[1:], CODE), answered=False)
        if answered_s is not None:
            await inbound.note_answers(shop.database, later(seconds=answered_s), ids)
        await arrive(shop, red, frame("1", PHONE[1:], CODE), now=later(seconds=again_s))
        await sorted_at(shop, later(seconds=again_s + 3))
        assert [reply.text for reply in await replies(shop, account)] == ["1"] * told
        states = await notes(shop)
        assert states[1] == ((2, None) if told == 2 else (4, f"possible_duplicate of {ids[0]}"))


async def test_a_repeated_message_hides_no_later_one(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        account = await shop.account()
        red = await shop.carrier()
        await shop.messages(account, numbers=[PHONE], sender=CODE)
        await arrive(shop, red, frame("oui", PHONE[1:], CODE), answered=False)
        await arrive(shop, red, frame("oui", PHONE[1:], CODE), now=later(seconds=10))
        await arrive(shop, red, frame("oui", PHONE[1:], CODE), now=later(seconds=70))
        await arrive(shop, red, frame("non", PHONE[1:], CODE), now=later(seconds=80))
        assert [reply.text for reply in await replies(shop, account)] == ["oui", "oui", "non"]
        assert [state for state, _ in await notes(shop)] == [2, 4, 2, 2]


async def test_what_follows_a_message_that_may_be_a_repeated_one_does_not_overtake_it(
    database: ConnectionParameters,
) -> None:
    async with opened(database) as shop:
        account = await shop.account()
        red = await shop.carrier()
        other = "+33600000002"
        await shop.messages(account, 2, numbers=[PHONE, other], sender=CODE)
        assert len(await (await shop.bind(red)).turn(2)) == 2, "a STOP does not end what has been sent"
        await arrive(shop, red, frame("oui", PHONE[1:], CODE), answered=False)
        said = [frame(text, PHONE[1:], CODE) for text in ("oui", *map(str, range(2 * receive.BATCH)), "STOP")]
        ids = await arrive(shop, red, *said, frame("autre", other[1:], CODE), now=later(seconds=1), answered=False)
        assert [reply.text for reply in await replies(shop, account)] == ["oui", "autre"], "nobody else waits"
        assert await list_of(shop, account) == [(PHONE, "stop")], "a STOP does not wait"
        await inbound.note_answers(shop.database, later(seconds=2), ids)
        await shop.database.execute("update inbound set answered_at = received_at where id < $1", ids[0])
        await sorted_at(shop, later(seconds=3))
        expected = ["oui", *map(str, range(2 * receive.BATCH)), "STOP"]
        assert [reply.text for reply in await replies(shop, account)] == expected


async def test_only_an_equal_message_of_the_same_carrier_and_number_is_a_repeated_one(
    database: ConnectionParameters,
) -> None:
    async with opened(database) as shop:
        account = await shop.account()
        red, blue = await shop.carrier(), await shop.carrier("blue", prefix=None)
        phones = [PHONE, "+33600000002"]
        await shop.messages(account, 2, numbers=phones, sender=CODE)
        first = frame("1", PHONE[1:], CODE)
        await arrive(shop, red, first, answered=False)
        minute = later(minutes=1)
        await arrive(shop, blue, first, now=minute)
        await arrive(shop, red, frame("1 ", PHONE[1:], CODE), now=minute)
        await arrive(shop, red, frame("1", phones[1][1:], CODE), now=minute)
        await arrive(shop, red, frame("1", PHONE[1:], "36222"), now=minute)
        other = frame("1", PHONE[1:], CODE)
        other.registered_delivery = 1
        await arrive(shop, red, other, now=minute)
        assert {state for state, _ in await notes(shop)} == {2}


async def test_a_long_message_that_comes_again_is_not_told_twice(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        account = await shop.account()
        red = await shop.carrier()
        await shop.messages(account, numbers=[PHONE], sender=CODE)
        texts = ["a" * 153, "b"]
        await arrive(shop, red, *parts(texts, 9))
        await arrive(shop, red, *parts(texts, 9), now=later(minutes=2))
        await arrive(shop, red, *parts(texts, 10), now=later(minutes=3))  # a person, once more
        await sorted_at(shop, later(hours=1))
        assert len(await replies(shop, account)) == 2
        assert [state for state, _ in await notes(shop)] == [2, 2, 4, 4, 2, 2]


@pytest.mark.parametrize(
    ("after", "answered_s", "told"),
    [
        (timedelta(seconds=3), 0.01, 1),  # the phone, or its network
        (timedelta(minutes=4), 0.01, 1),
        (timedelta(minutes=5), 0.01, 2),
        (timedelta(minutes=20), 0.01, 2),  # a person, whose phone always uses one reference
        (timedelta(minutes=20), None, 1),  # the carrier, which has no answer
        (timedelta(minutes=20), 1_190.0, 1),  # the carrier, which got it late
    ],
)
async def test_an_equal_reference_is_soon_the_same_message_and_later_another(
    database: ConnectionParameters, after: timedelta, answered_s: float | None, told: int
) -> None:
    async with opened(database) as shop:
        account = await shop.account()
        red = await shop.carrier()
        await shop.messages(account, numbers=[PHONE], sender=CODE)
        texts = ["a" * 153, "b"]
        ids = await arrive(shop, red, *parts(texts, 0xAA), answered=False)
        if answered_s is not None:
            await inbound.note_answers(shop.database, later(seconds=answered_s), ids)
        await arrive(shop, red, *parts(texts, 0xAA), now=NOW + after)
        await sorted_at(shop, NOW + after + timedelta(seconds=3))
        assert [reply.text for reply in await replies(shop, account)] == ["".join(texts)] * told


async def test_messages_under_one_reference_are_not_mixed(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        account = await shop.account()
        red = await shop.carrier()
        await shop.messages(account, numbers=[PHONE], sender=CODE)
        old, new = parts(["old " + "a" * 149, "lost"], 0xAA), parts(["new " + "b" * 149, "end"], 0xAA)
        await arrive(shop, red, old[0])
        await arrive(shop, red, new[0], new[0], new[1], now=later(minutes=8))
        assert [reply.text[:4] + reply.text[-3:] for reply in await replies(shop, account)] == ["new end"]
        await sorted_at(shop, later(minutes=31))
        assert [reply.text[:4] + reply.text[-3:] for reply in await replies(shop, account)] == ["old […]"]
        assert await inbound.anything(shop.database, later(days=1)) is False


# -- words of one's own, and the confirmation of a STOP


async def test_what_answers_the_operators_terminal_is_told_in_a_dialect(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        account = await shop.account(replies_url="https://h/")
        red = await shop.carrier()
        await shop.messages(account, numbers=[PHONE], sender=CODE, dialect="terminal")
        await wrote(shop, red, "oui")
        assert [reply.dialect for reply in await replies(shop, account)] == ["smspartner"]
        await shop.messages(account, numbers=["+33600000009"], dialect="allmysms", now=later(seconds=1))
        await wrote(shop, red, "non", now=later(seconds=9))
        assert [reply.dialect for reply in await replies(shop, account)] == ["allmysms"]


async def test_an_accounts_own_words_are_a_stop_to_it_and_to_nobody_else(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        own = await shop.account("own", stop_words=("Chut", "plus rien"), start_words=("encore",))
        other = await shop.account("other")
        red = await shop.carrier()
        await shop.messages(own, numbers=[PHONE], sender=CODE)
        await shop.messages(other, numbers=[PHONE], sender=CODE, now=later(seconds=1))
        await (await shop.bind(red)).turn(9)
        await wrote(shop, red, "CHUT.", now=later(seconds=2))
        assert await list_of(shop, own) == [(PHONE, "stop")]
        assert await list_of(shop, other) == []
        assert [(reply.kind, reply.text) for reply in await replies(shop, own)] == [("stop", "CHUT.")]
        assert [(reply.kind, reply.text) for reply in await replies(shop, other)] == [("response", "CHUT.")]
        await wrote(shop, red, "Encore !", now=later(seconds=3))
        assert await list_of(shop, own) == []
        await wrote(shop, red, "Plus   rien s'il vous plaît", now=later(seconds=4))
        await wrote(shop, red, "stop", now=later(seconds=5))  # the usual ones stay
        assert await list_of(shop, own) == await list_of(shop, other) == [(PHONE, "stop")]
        await wrote(shop, red, "Chuter oui", now=later(seconds=6))
        assert [reply.kind for reply in await replies(shop, own)] == ["response", "stop", "stop"]


async def test_the_installations_words_hold_for_everybody(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        account = await shop.account()
        red = await shop.carrier()
        await shop.messages(account, numbers=[PHONE], sender=CODE)
        await (await shop.bind(red)).turn(9)
        await arrive(shop, red, frame("Basta!", PHONE[1:], CODE), sort=False)
        await receive.sort(shop.database, NOW, {}, Words(("basta",), ("ancora",)))
        assert await list_of(shop, account) == [(PHONE, "stop")]
        await arrive(shop, red, frame("ancora", PHONE[1:], CODE), sort=False)
        await receive.sort(shop.database, NOW, {}, Words(("basta",), ("ancora",)))
        assert await list_of(shop, account) == []


BYE = "C'est noté, à bientôt."


async def sorting(shop: Shop, now: datetime) -> bool:
    known = {carrier.id: carrier for carrier in await carriers.all_carriers(shop.database)}
    return await receive.sort(shop.database, now, known, router=await shop.router())


async def test_a_stop_is_confirmed_once_by_whom_it_was_sent_to(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        account = await shop.account(stop_confirmation=BYE)
        silent = await shop.account("silent")
        red = await shop.carrier()
        bind = await shop.bind(red)
        await shop.messages(account, numbers=[PHONE], sender=CODE)
        await shop.messages(silent, numbers=["+33600000002"], sender=CODE)
        assert len(await bind.turn(9)) == 2
        before = await shop.balance(account)
        await arrive(shop, red, frame("STOP", PHONE[1:], CODE), sort=False)
        await arrive(shop, red, frame("STOP", "33600000002", CODE), sort=False)
        assert await sorting(shop, NOW)
        (row,) = await bind.turn(9)
        assert (row.recipient, row.sender, row.text, row.lane % 8) == (PHONE, CODE, BYE, LaneClass.TRANSACTIONAL)
        assert await shop.balance(account) == before - PRICE
        details = await shop.database.fetch("select detail from reply order by id")
        assert [row["detail"] for row in details] == [f"confirmed by submission {row.message_id >> 16}", ""]
        # a machine that answers automatically, and a person who changes his mind again and again
        for place, text in enumerate(("STOP", "START", "STOP", BYE, "STOP SMS"), 1):
            await arrive(shop, red, frame(text, PHONE[1:], CODE), now=later(minutes=place), sort=False)
            assert not await sorting(shop, later(minutes=place))
        assert await bind.turn(9) == []
        # the next day
        day = later(days=1)
        await upkeep.clear(shop.database, NOW, upkeep.Book())
        assert await shop.database.value("select number from stop_confirmation") == PHONE
        await upkeep.clear(shop.database, day, upkeep.Book())
        assert await shop.database.value("select count(*) from stop_confirmation") == 0
        for text in ("START", "STOP"):
            await arrive(shop, red, frame(text, PHONE[1:], CODE), now=day, sort=False)
            await sorting(shop, day)
        assert [row.text for row in await bind.turn(9)] == [BYE]
        await shop.books_balance()


async def test_of_several_accounts_that_are_meant_one_confirms(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        first, last = [await shop.account(name, stop_confirmation=f"Bye, {name}") for name in ("first", "last")]
        red = await shop.carrier()
        await shop.messages(first, numbers=[PHONE], sender=CODE)
        await shop.messages(last, numbers=[PHONE], sender=CODE, now=later(seconds=1))
        bind = await shop.bind(red)
        await bind.turn(9)
        await arrive(shop, red, frame("STOP", PHONE[1:], CODE), now=later(seconds=2), sort=False)
        await sorting(shop, later(seconds=2))
        assert [row.text for row in await bind.turn(9)] == ["Bye, last"]
        assert await list_of(shop, first) == await list_of(shop, last) == [(PHONE, "stop")]


@pytest.mark.parametrize(
    ("balance", "settings", "source", "said"),
    [
        (PRICE, {}, PHONE, "not confirmed, since the credit did not suffice"),
        (10 * PRICE, {"prices": {"336": None}}, PHONE, ""),
        (10 * PRICE, {"stop_confirmation": ""}, PHONE, ""),
        (10 * PRICE, {"stop_confirmation": " "}, PHONE, ""),
        (10 * PRICE, {}, "+33100000000", ""),  # no mobile: a machine, or a test
    ],
)
async def test_where_no_confirmation_can_go_the_stop_counts_all_the_same(
    database: ConnectionParameters, balance: int, settings: dict[str, Any], source: str, said: str
) -> None:
    async with opened(database) as shop:
        account = await shop.account(balance_micros=balance, **({"stop_confirmation": BYE} | settings))
        red = await shop.carrier()
        await shop.messages(account, numbers=[source], sender=CODE)
        await (await shop.bind(red)).turn(9)
        await arrive(shop, red, frame("STOP", source[1:], CODE), sort=False)
        assert not await sorting(shop, NOW)
        assert await list_of(shop, account) == [(source, "stop")]
        assert await shop.database.value("select detail from reply") == said
        await shop.books_balance()


async def test_a_long_number_confirms_by_itself(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        owner = await shop.account("owner", stop_confirmation=BYE)
        red = await shop.carrier()
        bind = await shop.bind(red)
        async with shop.database.transaction() as tx:
            await virtual_numbers.add(tx, LONG, owner.id)
        await arrive(shop, red, frame("STOP", PHONE[1:], LONG[1:]), sort=False)
        assert await sorting(shop, NOW)
        assert [(row.sender, row.recipient) for row in await bind.turn(9)] == [(LONG, PHONE)]


async def as_an_older_version_stored_them(shop: Shop) -> None:
    """What the columns of today hold in rows of yesterday."""
    await shop.database.execute("update inbound set key = null, message = null, esm_class = 0, data_coding = 0")


async def test_what_an_older_version_stored_is_sorted(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        account, red = await shop.account(), await shop.carrier()
        await shop.messages(account, numbers=[PHONE], sender=CODE)
        first, second = parts(["Je voudrais ", "un rendez-vous"], 7)
        await arrive(shop, red, frame("Oui", PHONE[1:], CODE), first, sort=False)
        await as_an_older_version_stored_them(shop)
        await arrive(shop, red, second)
        assert sorted(reply.text for reply in await replies(shop, account)) == ["Je voudrais un rendez-vous", "Oui"]
        assert await shop.database.value("select count(*) from inbound where key is null or message is null") == 0


@pytest.mark.parametrize(("seconds", "state"), [(1, inbound.REPEATED), (600, inbound.SORTED)])
async def test_a_repetition_of_what_an_older_version_stored_is_known(
    database: ConnectionParameters, seconds: int, state: int
) -> None:
    """Not answered, as far as anybody knows: the same once more is a repetition; an answered one is another message."""
    async with opened(database) as shop:
        account, red = await shop.account(), await shop.carrier()
        await shop.messages(account, numbers=[PHONE], sender=CODE)
        await arrive(shop, red, frame("Oui", PHONE[1:], CODE), sort=False, answered=seconds == 600)
        await as_an_older_version_stored_them(shop)
        await sorted_at(shop, later(seconds=seconds))
        await arrive(shop, red, frame("Oui", PHONE[1:], CODE), now=later(seconds=seconds))
        await sorted_at(shop, later(seconds=seconds + 60))
        assert [row[0] for row in await notes(shop)] == [inbound.SORTED, state]


async def test_a_reply_is_read_after_its_carrier_is_gone(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        account, red = await shop.account(), await shop.carrier()
        await shop.messages(account, numbers=[PHONE], sender=CODE)
        first, second = parts(["STOP ", "merci"], 9)
        await arrive(shop, red, first, second, sort=False)
        assert await carriers.remove(shop.database, "red")
        await sorted_at(shop, NOW)
        assert [reply.text for reply in await replies(shop, account)] == ["STOP merci"]
