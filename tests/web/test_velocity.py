"""Limits by hour and day: each is reached, told once, given back, over again later, and shared between processes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from front import front
from shop import opened

from chappe.core.errors import Refusal
from chappe.core.model import Account, AccountSettings, Recipient, Send, Skipped
from chappe.embedded.server import ConnectionParameters
from chappe.store import usage
from chappe.store.messages import Placed, key_of
from chappe.web.number_counts import HOT
from chappe.web.velocity import Velocity

NOW = datetime(2026, 3, 2, 10, 20, tzinfo=UTC)
PHONE, BRITISH, BELGIAN = "+33612345678", "+447911123456", "+32470123456"


def account(credit: int = 100, **settings: Any) -> Account:
    return Account(1, "demo", balance_micros=credit * 1_000_000, settings=AccountSettings(**settings))


def placed(owner: Account, *numbers: str, price: int = 38_000, sandbox: bool = False, skipped: int = 0) -> Placed:
    recipients = tuple(Recipient(number, 1, price) for number in numbers or (PHONE,))
    gone = tuple(Skipped(str(place), "number_invalid") for place in range(skipped))
    send = Send(owner, "smspartner", "hello", recipients, gone, sandbox=sandbox)
    return Placed(send, 0, 0 if sandbox else send.cost_micros, (3,) * len(recipients), (8,), (0,))


def refused(velocity: Velocity, wish: Placed, now: datetime = NOW) -> Refusal:
    with pytest.raises(Refusal) as caught:
        velocity.take(wish, now)
    return caught.value


CASES = [
    # settings, the send that is made again and again, how often it may be made, the code, and the seconds to wait
    ({"messages_per_number_per_hour": 5}, placed, {}, 5, "number_limit", 2_400),
    ({"messages_per_number_per_hour": 60}, placed, {}, 60, "number_limit", 2_400),
    ({}, placed, {}, 100, "number_limit", 2_400),
    ({"messages_per_number_per_hour": 0, "spend_per_hour_micros": 380_000}, placed, {}, 10, "spend_limit", 2_400),
    ({"messages_per_number_per_hour": 0, "spend_per_day_micros": 380_000}, placed, {}, 10, "spend_limit", 49_200),
    ({"sandbox_per_day": 7}, placed, {"sandbox": True}, 7, "sandbox_limit", 49_200),
]


@pytest.mark.parametrize(("settings", "make", "given", "most", "code", "wait_s"), CASES)
def test_a_limit_holds_and_is_over_again_with_its_window(
    settings: dict[str, Any], make: Any, given: dict[str, Any], most: int, code: str, wait_s: int
) -> None:
    velocity, owner = Velocity(b"k" * 32), account(**settings)
    for _ in range(most):
        velocity.take(make(owner, **given), NOW)
    for _ in range(3):
        refusal = refused(velocity, make(owner, **given))
        assert (refusal.code, refusal.values["retry_after_s"]) == (code, wait_s)
    other = msgspec.structs.replace(owner, id=2)
    velocity.take(make(other, **given), NOW)
    for _ in range(most):
        velocity.take(make(owner, **given), NOW + timedelta(seconds=wait_s))


@pytest.mark.parametrize(("settings", "make", "given", "most", "code", "wait_s"), CASES)
def test_what_was_not_accepted_does_not_count(
    settings: dict[str, Any], make: Any, given: dict[str, Any], most: int, code: str, wait_s: int
) -> None:
    velocity, owner = Velocity(b"k" * 32), account(**settings)
    for _ in range(3):
        taken = [velocity.take(make(owner, **given), NOW) for _ in range(most)]
        assert refused(velocity, make(owner, **given)).code == code
        for one in taken:
            velocity.give_back(one)


def test_a_country_has_its_day_and_home_has_none() -> None:
    velocity = Velocity(b"k" * 32)
    owner = account(messages_per_country_per_day=3, messages_per_number_per_hour=2, spend_per_hour_micros=570_000)
    velocity.take(placed(owner, BRITISH, "+447911123457"), NOW)
    assert refused(velocity, placed(owner, BELGIAN, BRITISH, "+447911123457")).code == "country_limit"
    # Nothing of the refused request counted: not its number, its other country, its money.
    velocity.take(placed(owner, BRITISH, BELGIAN), NOW)
    velocity.take(placed(owner, BELGIAN, "+32470123457"), NOW)
    for number in range(9):
        velocity.take(placed(owner, f"+3361234567{number}"), NOW)
    assert refused(velocity, placed(owner, "+33612345699")).code == "spend_limit"


def test_a_request_that_names_a_number_very_often_is_refused_whole() -> None:
    velocity, owner = Velocity(b"k" * 32), account(messages_per_number_per_hour=20)
    assert refused(velocity, placed(owner, "+33600000001", *[PHONE] * 21)).code == "number_limit"
    velocity.take(placed(owner, "+33600000001", *[PHONE] * 20), NOW)


def later(owner: Account, due_at: datetime, *numbers: str) -> Placed:
    wish = placed(owner, *numbers)
    return msgspec.structs.replace(wish, keys=(key_of(due_at),) * len(wish.send.recipients))


@pytest.mark.parametrize("due", [timedelta(hours=1), timedelta(hours=21, minutes=40), timedelta(days=40)])
def test_nobody_is_bombed_by_what_was_saved_up(due: timedelta) -> None:
    """A message counts in the hour in which it is due, whenever it was accepted; also when it is held until then."""
    velocity, owner = Velocity(b"k" * 32), account(messages_per_number_per_hour=30)
    due_at = NOW + due
    for hour in range(10):
        now = min(NOW + timedelta(hours=hour), due_at - timedelta(hours=1))
        for _ in range(3):
            velocity.take(later(owner, due_at), now)
    assert refused(velocity, later(owner, due_at), now).code == "number_limit"
    assert refused(velocity, later(owner, due_at, "+33700000001", PHONE), now).code == "number_limit"
    for _ in range(30):
        velocity.take(later(owner, due_at + timedelta(hours=1)), now)  # another hour
        velocity.take(placed(owner), now)  # the one under way
        velocity.take(later(owner, due_at, "+33700000001"), now)  # another number
    assert refused(velocity, placed(owner), due_at).code == "number_limit"
    assert refused(velocity, placed(owner), due_at + timedelta(hours=1)).code == "number_limit"
    velocity.take(placed(owner), due_at + timedelta(hours=2))


def test_what_was_scheduled_and_not_accepted_does_not_count() -> None:
    velocity, owner = Velocity(b"k" * 32), account(messages_per_number_per_hour=20)
    due_at = NOW + timedelta(hours=3)
    for _ in range(4):
        taken = [velocity.take(later(owner, due_at), NOW) for _ in range(20)]
        assert refused(velocity, later(owner, due_at)).code == "number_limit"
        for one in taken:
            velocity.give_back(one)


@pytest.mark.asyncio
async def test_processes_hear_of_what_others_scheduled(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        one, two = Velocity(b"k" * 32), Velocity(b"k" * 32)
        owner = account(messages_per_number_per_hour=40)
        due_at = NOW + timedelta(days=30)
        for velocity in (one, two):
            for _ in range(25):
                velocity.take(later(owner, due_at), NOW)
        await one.share(shop.database)
        await two.share(shop.database)
        assert refused(two, later(owner, due_at)).code == "number_limit"
        await usage.forget(shop.database, NOW)
        assert await shop.database.value("select sum(amount) from usage where kind = 7") == 50


def test_large_credits_may_be_spent_in_parts_and_small_ones_at_once() -> None:
    free = {"messages_per_number_per_hour": 0}
    velocity = Velocity(b"k" * 32)
    velocity.take(placed(account(1_900, **free), price=1_900_000_000), NOW)
    velocity, owner = Velocity(b"k" * 32), account(20_000, **free)
    velocity.take(placed(owner, price=9_999_000_000), NOW)
    assert refused(velocity, placed(owner, price=10_002_000_000)).code == "spend_limit"
    fewer = msgspec.structs.replace(owner, balance_micros=10_001_000_000)
    assert refused(velocity, placed(fewer, price=2_000_000)).code == "spend_limit"
    velocity.take(placed(fewer, price=5_000_000_000), NOW + timedelta(hours=1))


def test_skipped_recipients_beyond_their_limit_are_not_kept_but_refuse_nothing() -> None:
    velocity, owner = Velocity(b"k" * 32), account(skipped_per_day=10)
    assert velocity.take(placed(owner, skipped=8), NOW).skipped_kept
    assert not velocity.take(placed(owner, skipped=3), NOW).skipped_kept
    velocity.skipped(owner, 2)
    assert not velocity.take(placed(owner, skipped=1), NOW).skipped_kept
    assert velocity.take(placed(account(skipped_per_day=0), skipped=1_000), NOW).skipped_kept


def test_a_limit_that_is_reached_is_told_once_without_the_number(caplog: pytest.LogCaptureFixture) -> None:
    velocity, owner = Velocity(b"k" * 32), account(messages_per_number_per_hour=1)
    velocity.take(placed(owner), NOW)
    for _ in range(3):
        refused(velocity, placed(owner))
    told = [record.getMessage() for record in caplog.records if "limit_reached" in record.getMessage()]
    assert len(told) == 1
    assert PHONE[1:] not in told[0]


@pytest.mark.asyncio
async def test_processes_hear_of_each_other(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        one, two = Velocity(b"k" * 32), Velocity(b"k" * 32)
        owner = account(messages_per_number_per_hour=40, spend_per_day_micros=3_800_000, sandbox_per_day=100)
        for _ in range(30):
            one.take(placed(owner), NOW)
        for _ in range(20):
            two.take(placed(owner), NOW)  # it knows of its own only
        await one.share(shop.database)
        await two.share(shop.database)
        assert refused(two, placed(owner)).code == "number_limit"
        assert await shop.database.value("select sum(amount) from usage where kind = 2") == 50 * 38_000
        for number in range(50):
            two.take(placed(owner, f"+336000000{number:02d}"), NOW)
        assert refused(two, placed(owner, "+33700000000")).code == "spend_limit"
        rows = await shop.database.fetch("select key from usage where kind = 7")
        assert len(rows) == 1
        assert "612345678" not in rows[0]["key"]
        assert HOT < 20
        await usage.forget(shop.database, NOW + timedelta(days=1))
        assert await shop.database.value("select count(*) from usage") == 0


@pytest.mark.asyncio
async def test_the_limits_hold_in_the_words_of_each_api(database: ConnectionParameters) -> None:
    async with opened(database) as shop, front(shop) as door:
        owner = await shop.account(transactional=True, messages_per_number_per_hour=1, opt_outs_per_day=1)
        await shop.carrier()
        wish = {"apiKey": "key of demo", "phoneNumbers": f"{PHONE},+33140000001", "message": "hello", "sender": "SHOP"}
        assert (await door.post("/v1/send", wish)).json()["code"] == 200
        answer = await door.post("/v1/send", wish)
        assert (answer.status, answer.json()["code"]) == (429, 429)
        assert int(answer.fields["retry-after"]) <= 3_600
        said = {"login": "demo", "apiKey": "key of demo"}
        flow = await door.form("/http/9.0/", message="x", mobile=PHONE, **said)
        assert (flow.status, flow.json()["status"]) == (429, 429)
        rest = await door.post("/sms/send", {"to": PHONE, "text": "x", **said})
        assert (rest.status, rest.json()["code"]) == (429, 429)
        for number, code in (("+33612345601", 200), ("+33612345602", 429)):
            stop = {"apiKey": "key of demo", "phoneNumber": number}
            assert (await door.post("/v1/stop-sms/add", stop)).json()["code"] == code
        assert await shop.balance(owner) == 100_000_000 - 38_000
        await shop.books_balance()


@pytest.mark.asyncio
async def test_what_the_credit_refuses_is_given_back_and_what_is_skipped_is_kept_to_its_limit(
    database: ConnectionParameters,
) -> None:
    async with opened(database) as shop, front(shop) as door:
        await shop.account("poor", balance_micros=0, transactional=True, messages_per_number_per_hour=1)
        wish = {"apiKey": "key of poor", "phoneNumbers": PHONE, "message": "hello", "sender": "SHOP"}
        for _ in range(3):
            assert (await door.post("/v1/send", wish)).json()["code"] == 11
        await shop.account("bad", transactional=True, skipped_per_day=2, messages_per_number_per_hour=0)
        bad = {**wish, "apiKey": "key of bad", "phoneNumbers": f"{PHONE},+33140000001,+33140000002"}
        for _ in range(3):
            assert (await door.post("/v1/send", bad)).json()["nb_sms"] == 1
        states = await shop.database.fetch("select count(*) as n from message group by state order by 1")
        assert [row["n"] for row in states] == [2, 3], "two skipped ones are kept, three are queued"
