"""Webhooks told to real HTTP servers: at least once, in order, again when it fails, and no host waits for another."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from shop import SECRET, Shop, address_of, eventually, opened

from chappe.core.lifecycle import State
from chappe.embedded.server import ConnectionParameters
from chappe.net.client import Door
from chappe.store import outcomes, webhooks
from chappe.store.database import Database
from chappe.store.messages import key_of
from chappe.store.webhook_hosts import host_of
from chappe.workers import notify as module
from chappe.workers import webhook_shares as shares
from chappe.workers.notify import Notify
from chappe.workers.private import Automatic

pytestmark = pytest.mark.asyncio


class Ear:
    """A customer's server: hears JSON bodies, answers as told; silent ones never answer."""

    def __init__(
        self, status: Callable[[int], int] = lambda _: 200, *, silent: bool = False, fields: bytes = b""
    ) -> None:
        self._fields = fields
        self.heard: list[dict[str, Any]] = []
        self.calls = 0
        self.most_at_once = 0
        self._now = 0
        self._status = status
        self._silent = silent
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self.url = ""

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/report"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = next(
                    int(line.split(b":")[1])
                    for line in head.split(b"\r\n")
                    if line.lower().startswith(b"content-length")
                )
                body = await reader.readexactly(length)
                self.calls += 1
                self._now += 1
                self.most_at_once = max(self.most_at_once, self._now)
                if self._silent:
                    await reader.read()
                    self._now -= 1
                    return
                self.heard.append(json.loads(body))
                self._now -= 1
                status = self._status(len(self.heard))
                writer.write(b"HTTP/1.1 %d X\r\n%bContent-Length: 0\r\n\r\n" % (status, self._fields))
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()
            try:
                await writer.wait_closed()
            except OSError:
                continue


@asynccontextmanager
async def listening(*ears: Ear) -> AsyncIterator[None]:
    for ear in ears:
        await ear.start()
    try:
        yield
    finally:
        for ear in ears:
            await ear.stop()


@asynccontextmanager
async def telling(
    shop: Shop, owner: str = "me", timeout_s: float = 5.0, private: Automatic | None = None
) -> AsyncIterator[Notify]:
    door = Door(private or True, connections_max=shares.CALLS_MAX)
    look = (lambda: None) if private is None else private.look
    notify = Notify(shop.database, door, SECRET, owner, timeout_s, claimed=look)
    task = asyncio.create_task(notify.run())
    try:
        yield notify
    finally:
        await notify.stop()
        await asyncio.wait_for(task, timeout_s + 10)
        await door.close()


async def news(shop: Shop, ear: Ear, states: list[int], count: int = 1, account: Any = None) -> list[int]:
    """Webhooks of so many messages, each with these states one after the other."""
    account = account or await shop.account(f"user {ear.url}")
    sent = await shop.messages(account, count, report_url=ear.url)
    now = datetime.now(UTC)
    for number in sent:
        for state in states:
            await shop.database.execute(
                "insert into webhook values ($1, $2, nextval('webhook_number'), $3, $4, $5)",
                host_of(account.id, ear.url, SECRET), key_of(now), number, now, state,
            )  # fmt: skip
        await shop.database.execute("update message set state = $2 where id = $1", number, states[-1])
    return sent


async def left(shop: Shop) -> list[Any]:
    return await shop.database.fetch("select * from webhook order by host, key, id")


async def gone(shop: Shop) -> None:
    async def is_so() -> bool:
        return not await left(shop)

    await eventually(is_so)


@pytest.mark.every_postgres
async def test_news_are_told_in_order_and_each_attempt_is_written_down(database: ConnectionParameters) -> None:
    ear = Ear()
    async with opened(database) as shop, listening(ear):
        sent = await news(shop, ear, [State.SUBMITTED, State.DELIVERED], 60)
        async with telling(shop):
            await gone(shop)
        assert len(ear.heard) == 120
        by_message: dict[str, list[str]] = {}
        for body in ear.heard:
            by_message.setdefault(str(body["phone"]), []).append(str(body["status"]))
        assert len(by_message) == 60
        assert {tuple(states) for states in by_message.values()} == {("waiting", "delivered")}
        attempts = await shop.database.fetch("select message_id, status, outcome from webhook_attempt")
        assert sorted(row["message_id"] for row in attempts) == sorted(sent * 2)
        assert {(row["status"], row["outcome"]) for row in attempts} == {(200, "told")}


async def test_a_failure_is_tried_again_later_and_then_given_up(
    database: ConnectionParameters, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "AGAIN_S", (0.05, 0.05))
    ear = Ear(lambda _: 503)
    async with opened(database) as shop, listening(ear):
        (sent,) = await news(shop, ear, [State.DELIVERED])
        async with telling(shop):
            await gone(shop)
        rows = await shop.database.fetch("select outcome from webhook_attempt where message_id = $1 order by at", sent)
        assert [row["outcome"] for row in rows] == [
            "retry: status 503",
            "retry: status 503",
            "given up: status 503",
        ]
        assert len(ear.heard) == 3


async def test_a_webhook_that_is_stored_after_the_trace_of_a_proxy_does_not_reach_this_machine(
    database: ConnectionParameters, tmp_path: Path
) -> None:
    ear = Ear()
    async with opened(database) as shop, listening(ear):
        private = Automatic(True, tmp_path / "mark", playground=True)
        await private.refresh(shop.database)
        account = await shop.account("shop")
        async with telling(shop, private=private) as notify:
            await news(shop, ear, [State.DELIVERED], account=account)
            await gone(shop)
            (tmp_path / "mark").touch()
            await news(shop, ear, [State.DELIVERED], account=account)
            notify.ring()
            await gone(shop)
        outcomes = await shop.database.fetch("select outcome from webhook_attempt order by at")
        assert [row["outcome"] for row in outcomes] == ["told", "given up: refused_address"]
        assert ear.calls == 1


@pytest.mark.parametrize(("status", "calls"), [(410, 1), (302, 1), (204, 1)])
async def test_what_the_answer_means(database: ConnectionParameters, status: int, calls: int) -> None:
    ear = Ear(lambda _: status)
    async with opened(database) as shop, listening(ear):
        await news(shop, ear, [State.DELIVERED])
        async with telling(shop):
            await eventually(lambda: shop.database.value("select count(*) from webhook_attempt"))
        rows = await left(shop)
        assert len(ear.heard) == calls
        if status == 302:  # never followed: an answer like any other failure
            assert rows[0]["attempts"] == 1
            assert 40e6 < rows[0]["key"] - key_of(datetime.now(UTC)) < 73e6
        else:
            assert rows == []


@pytest.mark.parametrize(
    ("status", "location", "said"),
    [
        (301, b"https://new.example/dlr?to=33612345678", "moved for good to https://new.example/dlr, not followed"),
        (308, b"https://u:secret@new.example:8443/", "moved for good to https://new.example:8443/, not followed"),
        (302, b"//b.example/x#y", "moved for now to http://b.example/x, not followed"),
        (307, b"https://new.example", "moved for now to https://new.example, not followed"),
        (303, b"http://[::1", "which points nowhere"),
        (302, b"", "which points nowhere"),
    ],
)
async def test_a_redirect_is_not_followed_and_told_to_the_operator(
    database: ConnectionParameters,
    caplog: pytest.LogCaptureFixture,
    status: int,
    location: bytes,
    said: str,
) -> None:
    ear = Ear(lambda _: status, fields=b"Location: %b\r\n" % location if location else b"")
    async with opened(database) as shop, listening(ear):
        await news(shop, ear, [State.DELIVERED], 5)
        async with telling(shop):
            await eventually(lambda: shop.database.value("select count(*) = 5 from webhook_attempt"))
        rows = await shop.database.fetch("select outcome from webhook_attempt")
        assert {row["outcome"] for row in rows} == {f"retry: status {status}, {said}"}
    told = [record for record in caplog.records if record.message == "webhook_redirected"]
    assert len(told) == (said != "which points nowhere"), "once of each host"
    for record in told:
        fields: dict[str, Any] = record.__dict__["fields"]
        assert fields["permanent"] == (status in (301, 308))
        assert fields["to_origin"] == said.split(" to ")[1].split(",")[0].rstrip("/x").removesuffix("/dlr")
        assert "33612345678" not in str(fields)


async def test_old_news_are_not_told_after_better_ones(
    database: ConnectionParameters, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "AGAIN_S", (0.1, 0.1))
    ear = Ear(lambda call: 500 if call == 1 else 200)
    async with opened(database) as shop, listening(ear):
        await news(shop, ear, [State.UNDELIVERED, State.DELIVERED])
        async with telling(shop):
            await gone(shop)
        assert [body["status"] for body in ear.heard] == ["not delivered", "delivered"]
        assert await shop.database.value("select count(*) from webhook_attempt where outcome = 'outdated'") == 1


async def test_dead_hosts_hold_up_nobody(database: ConnectionParameters, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shares, "CALLS_MAX", 20)
    monkeypatch.setattr(shares, "CALLS_AT_FIRST", 2)
    dead = [Ear(silent=True) for _ in range(8)]
    ear = Ear()
    async with opened(database) as shop, listening(*dead, ear):
        account = await shop.account()
        for one in dead:
            await news(shop, one, [State.DELIVERED], 30, account)
        async with telling(shop, timeout_s=1.0):

            async def all_busy() -> bool:
                return all(one.calls for one in dead)

            await eventually(all_busy)
            await news(shop, ear, [State.DELIVERED], 200, account)
            began = asyncio.get_running_loop().time()

            async def heard() -> bool:
                return len(ear.heard) == 200

            await eventually(heard)
            assert asyncio.get_running_loop().time() - began < 3
        assert max(one.most_at_once for one in dead) <= 2


async def test_one_process_tells_and_another_takes_over(
    database: ConnectionParameters, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RENEW_S", 0.02)
    monkeypatch.setattr(module, "POLL_S", 0.02)
    ear = Ear()
    async with opened(database, ordinary=6) as shop, listening(ear):
        assert await webhooks.take_lease(shop.database, module.LEASE, "another host:1:1", 60)
        account = await shop.account()
        await news(shop, ear, [State.DELIVERED], 3, account)
        async with telling(shop, "me"), telling(shop, "you"):
            assert await webhooks.holder(shop.database, module.LEASE) == "another host:1:1"
            await shop.database.execute("update lease set expires_at = '-infinity'")
            await gone(shop)
            assert await webhooks.holder(shop.database, module.LEASE) in ("me", "you")
            # stolen: what was claimed is dropped, and nothing is told by two
            await shop.database.execute("update lease set owner = 'third', expires_at = now() + interval '1 minute'")
            await news(shop, ear, [State.DELIVERED], 3, account)
            await shop.database.execute("update lease set expires_at = '-infinity'")
            await gone(shop)
        assert len(ear.heard) == 6
        assert await webhooks.holder(shop.database, module.LEASE) == ""


async def test_a_killed_connection_loses_no_news(database: ConnectionParameters) -> None:
    ear = Ear()
    async with opened(database) as shop, listening(ear):
        account = await shop.account()
        own = Database(address_of(database), "chappe notify")
        await own.open()
        async with telling(Shop(own)) as notify:
            for _ in range(5):
                await news(shop, ear, [State.DELIVERED], 20, account)
                notify.ring()
                await shop.database.fetch(
                    """select pg_terminate_backend(pid) from pg_stat_activity
                       where datname = current_database() and application_name = 'chappe notify'"""
                )
            await gone(shop)
        await own.close()
        assert len({body["phone"] for body in ear.heard}) == 20
        assert len(ear.heard) >= 100


async def test_a_host_with_much_to_hear_is_claimed_for_when_its_queue_runs_low_and_not_more_often(
    database: ConnectionParameters, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shares, "HAND_PER_HOST", 40)
    monkeypatch.setattr(module, "CLAIM_S", 60.0)
    claims: list[int] = []
    held: list[int] = []
    claim = webhooks.claim

    async def counted(connection: Any, now_key: int, in_hand: Any, *given: Any) -> list[webhooks.Pending]:
        held.append(len(in_hand))
        rows = await claim(connection, now_key, in_hand, *given)
        claims.append(len(rows))
        return rows

    monkeypatch.setattr(webhooks, "claim", counted)
    ear = Ear()
    async with opened(database) as shop, listening(ear):
        await news(shop, ear, [State.DELIVERED], 400)
        async with telling(shop) as notify:
            await gone(shop)
            assert sum(claims) == len(ear.heard) == 400, "each once"
            assert len(claims) <= 40, "ten would do, and some find little"
            assert max(held) <= 40 + shares.CALLS_PER_HOST
            assert (notify._hosts.in_hand, [one for one in notify._hosts.by_number.values() if one.in_hand]) == (0, [])


async def test_what_was_told_while_the_database_was_away_is_not_told_again(
    database: ConnectionParameters, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "POLL_S", 0.05)
    ear = Ear()
    failures = 3
    end = webhooks.end

    async def failing(connection: Any, told: Any) -> None:
        nonlocal failures
        if failures:
            failures -= 1
            raise ConnectionError
        await end(connection, told)

    monkeypatch.setattr(webhooks, "end", failing)
    async with opened(database) as shop, listening(ear):
        await news(shop, ear, [State.DELIVERED], 30)
        async with telling(shop) as notify:
            await eventually(lambda: shop.database.value("select count(*) = 30 from webhook_attempt"))
            await news(shop, ear, [State.DELIVERED], 1, await shop.account("another"))
            notify.ring()
            await gone(shop)
    assert (failures, len(ear.heard)) == (0, 31)


@pytest.mark.every_postgres
async def test_a_claim_is_bounded_by_host_and_in_all(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        account = await shop.account()
        for place in range(4):
            ear = Ear()
            ear.url = f"http://h{place}/"
            await news(shop, ear, [State.DELIVERED], 10, account)
        due = key_of(datetime.now(UTC))
        async with shop.database.connection(hot=True) as connection:
            rows = await webhooks.claim(connection, due, [], 3, [], 100)
            assert len(rows) == 12
            assert len({row.host for row in rows}) == 4
            more = await webhooks.claim(connection, due, [row.id for row in rows], 3, [rows[0].host], 100)
            assert len(more) == 9
            assert not {row.id for row in rows} & {row.id for row in more}
            assert len(await webhooks.claim(connection, due, [], 10, [], 15)) == 15
            assert await webhooks.claim(connection, due, [], 10, [], -5) == []
            assert await webhooks.claim(connection, 1, [], 10, [], 100) == []


async def test_news_of_an_end_that_gave_money_back_tell_what_it_cost_then(database: ConnectionParameters) -> None:
    ear = Ear()
    async with opened(database) as shop, listening(ear):
        await shop.carrier()
        account = await shop.account()
        taken, kept = await shop.messages(account, 2, parts=3, report_url=ear.url)
        async with shop.database.connection(hot=True) as connection:
            ends = [
                outcomes.Finish(taken, State.CANCELLED, 0, "cancelled", "cancelled"),
                outcomes.Finish(kept, State.FAILED, 1, "failed", "failed"),  # one part of three had left
            ]
            await outcomes.finish(connection, datetime.now(UTC), ends)
        async with telling(shop):
            await gone(shop)
        assert {(body["phone"], body["status"], body["cost"]) for body in ear.heard} == {
            ((await shop.message(taken))["recipient"], "ko", "0.000"),
            ((await shop.message(kept))["recipient"], "ko", "0.038"),
        }
        await shop.books_balance()


async def test_a_round_that_fails_is_told_and_the_next_goes_on(
    database: ConnectionParameters, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "POLL_S", 0.02)
    claim, failures = webhooks.claim, iter(range(2))

    async def sometimes(*given: Any) -> Any:
        if next(failures, None) is not None:
            raise KeyError("what nobody thought of")
        return await claim(*given)

    monkeypatch.setattr(webhooks, "claim", sometimes)
    ear = Ear()
    async with opened(database) as shop, listening(ear):
        await news(shop, ear, [State.DELIVERED], 3)
        async with telling(shop):
            await gone(shop)
        assert len(ear.heard) == 3
    told = [record for record in caplog.records if record.message == "notify_failed"]
    assert len(told) == 2
    assert all(record.exc_info is not None for record in told)
