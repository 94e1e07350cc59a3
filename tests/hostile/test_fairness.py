"""One account does its worst while another works: what they share has a share for each. `make siege` has it large."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import threading
import weakref
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlencode

import pytest
from front import Front, front
from shop import Shop, opened

from chappe.core.errors import Refusal
from chappe.core.model import AccountSettings
from chappe.embedded.server import ConnectionParameters
from chappe.store.database import Database
from chappe.web import reading, server

pytestmark = pytest.mark.asyncio

PATIENCE_S = 20
PHONE = "+33612345678"
WORST, GOOD = "key of worst", "key of good"


async def send(door: Front, key: str = GOOD, message: str = "hello") -> dict[str, object]:
    async with asyncio.timeout(PATIENCE_S):
        answer = await door.post("/v1/send", {"apiKey": key, "phoneNumbers": PHONE, "message": message})
    told: dict[str, object] = answer.json()
    return told


async def works(door: Front, shop: Shop) -> None:
    """Another customer logs in for the first time, sends, asks what became of it, and reads his list."""
    await shop.account("good", transactional=True)
    async with asyncio.timeout(PATIENCE_S):
        assert (await door.ask("GET", f"/v1/me?apiKey={GOOD.replace(' ', '+')}")).json()["success"] is True
        told = await send(door)
        assert told["code"] == 200
        asked = {"apiKey": GOOD, "messageId": told["message_id"], "phoneNumber": PHONE}
        assert (await door.ask("GET", f"/v1/message-status?{urlencode(asked)}")).json()["success"] is True
        assert (await door.ask("GET", f"/v1/stop-sms/list?{urlencode({'apiKey': GOOD})}")).json()["nbData"] == 0


@contextlib.asynccontextmanager
async def held(shop: Shop, table: str) -> AsyncIterator[None]:
    """A table that nobody can read meanwhile: each question about it lasts."""
    async with shop.database.transaction() as tx:
        await tx.execute("set local idle_in_transaction_session_timeout = 0")
        await tx.execute(f"lock table {table} in access exclusive mode")
        yield


async def until(door: Front, count: int) -> None:
    """So many questions have been read and wait."""
    async with asyncio.timeout(PATIENCE_S):
        while sum(door.api._asking._of.values()) < count:  # noqa: ASYNC110 - the requests come over sockets
            await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("question", "table", "count"),
    [
        ("/v1/statistics/cost-resume?interval=last_month", "daily_cost", 5),  # more a minute the provider forbids
        ("/http/9.0/getPulls?login=worst&returnformat=json", "reply", 40),
    ],
)
async def test_questions_that_last_hold_up_nobody_else(
    database: ConnectionParameters, question: str, table: str, count: int
) -> None:
    async with opened(database) as shop, front(shop) as door:
        await shop.account("worst", transactional=True)
        await send(door, WORST)
        async with held(shop, table):
            asking = [
                asyncio.create_task(door.ask("GET", f"{question}&{urlencode({'apiKey': WORST})}")) for _ in range(count)
            ]
            await until(door, count)
            await works(door, shop)
            assert not any(task.done() for task in asking)
            assert (await send(door, WORST))["code"] == 200, "nor his own sends"
        answers = await asyncio.wait_for(asyncio.gather(*asking), PATIENCE_S)
        assert {answer.status for answer in answers} == {200}


async def test_long_answers_that_nobody_reads_are_one_for_each_account(database: ConnectionParameters) -> None:
    entries = 60_000
    async with opened(database) as shop, front(shop) as door:
        worst = await shop.account("worst", transactional=True)
        await shop.database.execute(
            """insert into opt_out (account_id, number, at, source)
               select $1, '+336' || lpad(n::text, 8, '0'), now(), 'api' from generate_series(1, $2::int) as n""",
            worst.id,
            entries,
        )
        await send(door, WORST)
        asked = f"GET /v1/stop-sms/list?{urlencode({'apiKey': WORST})} HTTP/1.1\r\nHost: a\r\n\r\n".encode()
        async with contextlib.AsyncExitStack() as stack:
            readers = []
            for _ in range(6):
                reader, writer = await asyncio.open_connection("127.0.0.1", door.listener.port, limit=1_024)
                stack.callback(writer.transport.abort)
                writer.write(asked)
                readers.append(reader)
            async with asyncio.timeout(PATIENCE_S):
                while not any(reader._buffer for reader in readers):  # type: ignore[attr-defined]  # noqa: ASYNC110
                    await asyncio.sleep(0)
            await works(door, shop)
            assert sum(bool(reader._buffer) for reader in readers) == 1  # type: ignore[attr-defined]
            (first,) = [reader for reader in readers if reader._buffer]  # type: ignore[attr-defined]
            head = await first.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r")[0])
            assert (await first.readexactly(length)).count(b"phoneNumber") == entries
            async with asyncio.timeout(PATIENCE_S):  # whoever reads gets the next one
                while sum(bool(reader._buffer) for reader in readers) < 1:  # type: ignore[attr-defined]  # noqa: ASYNC110
                    await asyncio.sleep(0)


async def test_questions_of_clients_that_gave_up_while_they_waited_are_not_worked_on(
    database: ConnectionParameters, monkeypatch: pytest.MonkeyPatch
) -> None:
    worked_on = Counter[str]()
    answer = server.answer

    async def counted(database: Database, command: Any, moment: Any) -> Any:
        worked_on[type(command).__name__] += 1
        return await answer(database, command, moment)

    monkeypatch.setattr(server, "answer", counted)
    asked = f"GET /v1/stop-sms/list?{urlencode({'apiKey': WORST})} HTTP/1.1\r\nHost: a\r\n\r\n".encode()
    added = urlencode({"apiKey": WORST, "phoneNumber": PHONE})
    changes = f"GET /v1/stop-sms/add?{added} HTTP/1.1\r\nHost: a\r\n\r\n".encode()
    async with opened(database) as shop, front(shop) as door:
        await shop.account("worst", transactional=True)
        async with held(shop, "opt_out"):
            first = asyncio.create_task(door.say(asked.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")))
            await until(door, 1)
            left = [await asyncio.open_connection("127.0.0.1", door.listener.port) for _ in range(20)]
            for place, (_, writer) in enumerate(left):
                writer.write(changes if place == 7 else asked)
                writer.write_eof()
            await until(door, 21)
            async with asyncio.timeout(PATIENCE_S):
                while sum(one.ended for one in door.listener.connections) < 20:  # noqa: ASYNC110
                    await asyncio.sleep(0)
        assert (await asyncio.wait_for(first, PATIENCE_S)).startswith(b"HTTP/1.1 200 ")
        answers = [await asyncio.wait_for(reader.read(), PATIENCE_S) for reader, _ in left]
        for _, writer in left:
            writer.close()
    assert [octets[9:12] for octets in answers] == [b"200" if place == 7 else b"429" for place in range(20)]
    assert worked_on == {"ReadOptOuts": 1, "AddOptOut": 1}


@pytest.mark.parametrize(
    ("prices", "plan", "status"), [({"": None}, "+4915{:09d}", 114), ({"": 50_000}, "+2126{:08d}", 100)]
)
async def test_the_loop_goes_on_while_thousands_of_foreign_numbers_are_read(
    database: ConnectionParameters, prices: dict[str, int | None], plan: str, status: int
) -> None:
    free = {"messages_per_country_per_day": 0}
    async with opened(database) as shop, front(shop) as door:
        await shop.account("worst", transactional=True, prices=prices, balance_micros=1_000_000_000, **free)
        numbers = ";".join(plan.format(n) for n in range(4_000))
        values = {"login": "worst", "apiKey": WORST, "message": "hello", "returnformat": "json"}
        asking = [asyncio.create_task(door.form("/http/9.0/", **values, mobile=numbers)) for _ in range(3)]
        turns = 0
        while not asking[0].done():
            turns += 1
            await asyncio.sleep(0)
        assert turns > 200
        await works(door, shop)
        answers = await asyncio.wait_for(asyncio.gather(*asking), PATIENCE_S)
        assert {int(answer.json()["status"]) for answer in answers} == {status}


async def test_no_destination_is_judged_that_is_not_served(
    database: ConnectionParameters, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ask(number: str, warnings: tuple[str, ...]) -> None:
        raise AssertionError("the library is asked")

    monkeypatch.setattr("chappe.core.numbers._ask_library", ask)
    numbers = [f"+4915{n:09d}" for n in range(200)]
    async with opened(database) as shop, front(shop) as door:
        await shop.account("worst", transactional=True, prices={"": None})
        for target, values in (
            ("/v1/send", {"phoneNumbers": ",".join(numbers), "message": "hello"}),
            ("/v1/bulk-send", {"SMSList": [{"phonenumber": number, "message": "hello"} for number in numbers]}),
        ):
            answer = (await door.post(target, {"apiKey": WORST} | values)).json()
            assert (answer["success"], answer["code"]) == (False, 13), answer
        flow = {"DATA": {"MESSAGE": "hello", "SMS": [{"MOBILEPHONE": number} for number in numbers]}}
        for values in ({"mobile": ";".join(numbers), "message": "hello"}, {"smsData": json.dumps(flow)}):
            path = "/http/9.0/" if "mobile" in values else "/http/9.0/sendSms"
            answer = (await door.form(path, login="worst", apiKey=WORST, returnformat="json", **values)).json()
            assert int(answer["status"]) == 114, answer
        rest = {"from": "", "to": numbers, "text": "hello", "login": "worst", "apiKey": WORST}
        assert (await door.post("/sms/send/bulk", rest)).status >= 400


async def test_small_sends_do_not_wait_for_large_ones(database: ConnectionParameters) -> None:
    """A large one waits for the lock on its account's balance; small ones of others come and go."""
    async with opened(database) as shop, front(shop) as door:
        worst = await shop.account("worst", transactional=True)
        await send(door, WORST)
        numbers = ",".join(f"+33612{n:06d}" for n in range(server.SMALL_WEIGHT + 1))
        async with shop.database.transaction() as tx:
            await tx.execute("select 1 from balance where account_id = $1 for update", worst.id)
            large = asyncio.create_task(
                door.post("/v1/send", {"apiKey": WORST, "phoneNumbers": numbers, "message": "large"})
            )
            async with asyncio.timeout(PATIENCE_S):
                while not door.api._large.commit_s:  # noqa: ASYNC110 - it comes over a socket
                    await asyncio.sleep(0)
            await works(door, shop)
            assert not large.done()
        assert (await asyncio.wait_for(large, PATIENCE_S)).json()["code"] == 200


async def test_owners_take_turns_at_the_thread_and_rest_afterwards() -> None:
    loop = asyncio.get_running_loop()
    reader = reading.Reader(loop.time, share=0.5)
    order: list[str] = []
    go = threading.Event()

    def work(name: str, wait: bool = False) -> str:
        if wait:
            go.wait(PATIENCE_S)
        order.append(name)
        return name

    first = asyncio.create_task(reader.beside("a", 100, lambda: work("a0", wait=True)))
    await asyncio.sleep(0)
    others = [asyncio.create_task(reader.beside("a", 100, lambda n=n: work(f"a{n}"))) for n in (1, 2)]
    others.append(asyncio.create_task(reader.beside("b", 100, lambda: work("b"))))
    await asyncio.sleep(0)
    go.set()
    assert await asyncio.wait_for(first, PATIENCE_S) == "a0"
    await asyncio.wait_for(asyncio.gather(*others), PATIENCE_S)
    assert order == ["a0", "b", "a1", "a2"]


async def test_what_waits_to_be_read_is_bounded_and_what_fails_fails_alone() -> None:
    reader = reading.Reader(asyncio.get_running_loop().time)
    go = threading.Event()

    def fail() -> None:
        raise ValueError("theirs")

    waiting = asyncio.create_task(reader.beside("a", reading.WAITING_BYTES_MAX, lambda: go.wait(PATIENCE_S)))
    await asyncio.sleep(0)
    with pytest.raises(Refusal) as caught:
        await reader.beside("a", 1, fail)
    assert caught.value.code == "too_many_requests"
    go.set()
    await asyncio.wait_for(waiting, PATIENCE_S)
    with pytest.raises(ValueError, match="theirs"):
        await asyncio.wait_for(reader.beside("a", 1, fail), PATIENCE_S)
    assert await asyncio.wait_for(reader.beside("a", 1, lambda: 7), PATIENCE_S) == 7


async def test_nothing_is_kept_of_what_was_refused() -> None:
    class Much(list[int]):
        pass

    kept: list[weakref.ref[Much]] = []

    def refuse() -> None:
        much = Much(range(10))
        kept.append(weakref.ref(much))
        raise Refusal("recipients_unusable")

    reader = reading.Reader(asyncio.get_running_loop().time)
    gc.disable()
    try:
        for _ in range(3):
            with contextlib.suppress(Refusal):
                await reader.beside("a", 1, refuse)
        assert [one() for one in kept] == [None, None, None]
    finally:
        gc.enable()


async def test_who_was_slow_within_the_loop_is_read_beside_it_for_a_while() -> None:
    now = [100.0]
    reader = reading.Reader(lambda: now[0], share=0.25)

    def slow() -> int:
        until = reading.thread_time() + reading.SLOW_S * 2
        while reading.thread_time() < until:
            pass
        return 7

    assert not reader.is_due_beside("a", 500)
    assert reader.within("a", 500, slow) == 7
    assert reader.is_due_beside("a", 1)
    assert not reader.is_due_beside("b", 500)
    now[0] += 10
    assert not reader.is_due_beside("a", 500)
    assert reader.is_due_beside("a", reading.LARGE_BYTES + 1)


async def test_a_stop_list_by_api_has_an_end_and_replies_always_go_on_it(database: ConnectionParameters) -> None:
    async with opened(database) as shop, front(shop) as door:
        await shop.account("worst", transactional=True, opt_outs_by_api_max=3)
        codes = []
        for n in range(5):
            body = {"apiKey": WORST, "phoneNumber": f"+3361234567{n}"}
            codes.append((await door.post("/v1/stop-sms/add", body)).json()["code"])
        assert codes == [200, 200, 200, 50, 50]
        known = (await door.post("/v1/stop-sms/add", {"apiKey": WORST, "phoneNumber": "+33612345670"})).json()
        assert known["code"] == 3
        assert len(await shop.database.fetch("select 1 from opt_out")) == 3


async def test_questions_have_a_limit_of_their_own_and_sends_go_on(
    database: ConnectionParameters, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "REFUSED_AFTER_S", 0.01)
    async with opened(database) as shop, front(shop) as door:
        await shop.account("worst", transactional=True, questions_per_minute=3)
        told = [(await door.post("/v1/me", {"apiKey": WORST})).status for _ in range(5)]
        assert told == [200, 200, 200, 429, 429]
        assert (await send(door, WORST))["code"] == 200


async def test_the_defaults_protect() -> None:
    settings = AccountSettings()
    assert (settings.requests_per_minute, settings.questions_per_minute) == (120_000, 6_000)
    assert (settings.numbers_per_request_max, settings.numbers_per_request_allmysms_max) == (500, 5_000)
    assert settings.opt_outs_by_api_max == 500_000
