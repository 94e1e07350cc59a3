"""One account does its worst to the webhooks; another account's reports arrive within two seconds all the same."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest
from name_server import name_server
from shop import NOW, SECRET, Shop, eventually, opened

from chappe.actions.accept import accept
from chappe.core.lifecycle import State
from chappe.core.model import Account, Moment
from chappe.embedded.server import ConnectionParameters
from chappe.net.client import Door
from chappe.net.resolver import Resolver
from chappe.store import webhook_limits
from chappe.store.messages import key_of
from chappe.store.webhook_hosts import host_of
from chappe.workers import notify as module
from chappe.workers import webhook_shares as shares
from chappe.workers.notify import Notify

pytestmark = pytest.mark.asyncio

WITHIN_S = 2.0


class Receivers:
    """One server for many hosts (addresses of 127.0.0.0/8): answers by host, or never; counts what it heard."""

    def __init__(self) -> None:
        self.heard: dict[str, int] = {}
        self.silent_after = 1 << 60  # a host that answered so many times says nothing from then on
        self.port = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                fields = head.decode().lower().split("\r\n")
                length = next((int(line[16:]) for line in fields if line.startswith("content-length: ")), 0)
                await reader.readexactly(length)
                host = next(line for line in fields if line.startswith("host: "))[6:].partition(":")[0]
                self.heard[host] = self.heard.get(host, 0) + 1
                if host.startswith("127.9.") or (host.startswith("127.8.") and self.heard[host] > self.silent_after):
                    await reader.read()
                    return
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def over(self) -> None:
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=10)


@asynccontextmanager
async def receiving() -> AsyncIterator[Receivers]:
    receivers = Receivers()
    server = await asyncio.start_server(receivers.serve, "0.0.0.0", 0, backlog=1_000)
    receivers.port = server.sockets[0].getsockname()[1]
    try:
        yield receivers
    finally:
        server.close()
        await receivers.over()


@asynccontextmanager
async def telling(shop: Shop, door: Door, timeout_s: float = 10.0) -> AsyncIterator[Notify]:
    notify = Notify(shop.database, door, SECRET, "me", timeout_s)
    task = asyncio.create_task(notify.run())
    try:
        yield notify
    finally:
        await notify.stop()
        await door.close()
        await asyncio.wait_for(task, timeout_s + 10)


async def news(shop: Shop, account: Account, urls: Sequence[str], each: int) -> None:
    """So many webhooks of one message to each URL, as if each had been named by a submission of its own."""
    now = datetime.now(UTC)
    (message,) = await shop.messages(account, report_url=urls[0])
    first = account.id * 1_000_000
    await shop.database.execute(
        """insert into submission select $1::bigint + n, account_id, created_at, cost_micros, recipients, parts, flags,
               hosts[n], scheduled_at, dialect, sender, text, tag, campaign, client_reference, urls[n], reply_url
           from submission, (select $2::text[] as urls, $3::bigint[] as hosts) given,
                generate_series(1, cardinality(urls)) n
           where id = $4""",
        first, list(urls), [host_of(account.id, url, SECRET) for url in urls], message >> 16,
    )  # fmt: skip
    await shop.database.execute(
        """insert into webhook (host, key, id, message_id, at, state)
           select report_host, $1::bigint + row_number() over (), nextval('webhook_number'), (id << 16) + n, $2, 6
           from submission, generate_series(1, $3::int) n where id > $4 and id < $4 + 1000000""",
        key_of(now) - 10_000_000, now, each, first,
    )  # fmt: skip


async def arrives(
    shop: Shop, notify: Notify, receivers: Receivers, account: Account, host: str, count: int = 20
) -> float:
    """How long so many reports of an account take to a host."""
    before = receivers.heard.get(host, 0)
    url = f"http://{host}:{receivers.port}/report"
    now = datetime.now(UTC)
    sent = await shop.messages(account, count, report_url=url)
    for number in sent:
        await shop.database.execute(
            """insert into webhook (host, key, id, message_id, at, state)
               values ($1, $2, nextval('webhook_number'), $3, $4, $5)""",
            host_of(account.id, url, SECRET), key_of(now), number, now, State.DELIVERED,
        )  # fmt: skip
    began = asyncio.get_running_loop().time()
    notify.ring()

    async def all_heard() -> bool:
        return receivers.heard.get(host, 0) >= before + count

    await eventually(all_heard, 30)
    return asyncio.get_running_loop().time() - began


def tarpits(port: int, count: int, net: int = 9) -> list[str]:
    return [f"http://127.{net}.{n // 250}.{n % 250 + 1}:{port}/" for n in range(count)]


async def busy(notify: Notify, calls: int) -> None:
    async def is_so() -> bool:
        return notify._hosts.calls >= calls

    await eventually(is_so, 30)


@pytest.mark.parametrize(
    ("hosts", "each", "attackers"),
    [
        pytest.param(1, 115_000, 1, id="one tarpit for which 115,000 webhooks wait"),
        pytest.param(230, 500, 1, id="230 tarpits with 115,000"),
        pytest.param(3_000, 10, 1, id="3,000 tarpits"),
        pytest.param(100, 200, 3, id="three accounts with 100 tarpits each"),
    ],
)
async def test_tarpits_of_others_delay_no_report(
    database: ConnectionParameters, hosts: int, each: int, attackers: int
) -> None:
    async with opened(database) as shop, receiving() as receivers:
        for n in range(attackers):
            await news(shop, await shop.account(f"attacker {n}"), tarpits(receivers.port, hosts), each)
        customer = await shop.account("customer")
        door = Door(True, connections_max=shares.CALLS_MAX)
        async with telling(shop, door) as notify:
            await busy(notify, min(hosts * shares.CALLS_AT_FIRST, 90))
            for host in (
                "127.0.0.1",
                "127.0.0.1",
                "127.0.0.2",
            ):  # heard of for the first time, known, for the first time
                assert await arrives(shop, notify, receivers, customer, host) < WITHIN_S
            assert notify._hosts.in_hand <= shares.HAND_MAX
            assert notify._hosts.calls <= shares.CALLS_MAX


async def test_hosts_that_answer_first_and_hang_then_hold_half_of_the_calls_at_most(
    database: ConnectionParameters,
) -> None:
    async with opened(database) as shop, receiving() as receivers:
        receivers.silent_after = 40
        attacker, customer = await shop.account("attacker"), await shop.account("customer")
        await news(shop, attacker, tarpits(receivers.port, 60, net=8), 200)
        door = Door(True, connections_max=shares.CALLS_MAX)
        async with telling(shop, door) as notify:
            await busy(notify, shares.CALLS_MAX // 2)
            assert await arrives(shop, notify, receivers, customer, "127.0.0.1") < WITHIN_S
            assert notify._hosts.calls <= shares.CALLS_MAX // 2 + shares.CALLS_PER_HOST


async def test_a_tarpit_behind_the_name_of_anothers_host_takes_none_of_its_connections(
    database: ConnectionParameters,
) -> None:
    """An attacker has its reports sent to the customer's server, to a page that hangs."""
    hold = asyncio.Event()
    heard: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                await reader.readexactly(int(head.lower().partition(b"content-length: ")[2].partition(b"\r")[0]))
                if b"/hangs" in head:
                    await hold.wait()
                else:
                    heard.append(head)
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with opened(database) as shop:
        attacker, customer = await shop.account("attacker"), await shop.account("customer")
        await news(shop, attacker, [f"{url}/hangs"], 300)
        door = Door(True, connections_max=shares.CALLS_MAX, connections_per_host_max=shares.CALLS_PER_HOST)
        async with telling(shop, door) as notify:
            await busy(notify, 5)
            await news(shop, customer, [f"{url}/report"], 20)
            notify.ring()

            async def told() -> bool:
                return len(heard) == 20

            await eventually(told, WITHIN_S)
            hold.set()
    server.close()


async def test_dead_zones_of_others_delay_no_report(database: ConnectionParameters) -> None:
    async with opened(database) as shop, receiving() as receivers, name_server({"good.example": ["127.0.0.1"]}) as dns:
        attacker, customer = await shop.account("attacker"), await shop.account("customer")
        dead = [f"http://n{n}.dead.example:{receivers.port}/" for n in range(1_000)]
        await news(shop, attacker, dead, 5)
        resolver = Resolver([dns.address])
        door = Door(True, connections_max=shares.CALLS_MAX, resolver=resolver)
        async with telling(shop, door) as notify:
            await busy(notify, 90)
            assert await arrives(shop, notify, receivers, customer, "good.example") < WITHIN_S
        await resolver.close()


async def test_what_waits_beyond_the_limit_of_an_account_is_given_up_and_said_so(
    database: ConnectionParameters, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The oldest of the host that has most; the account's other hosts and other accounts keep theirs."""
    monkeypatch.setattr(module, "SURPLUS_ROWS", 300)
    monkeypatch.setattr(module, "SURPLUS_AGAIN_S", 0.0)
    async with opened(database) as shop, receiving() as receivers:
        attacker, customer = await shop.account("attacker"), await shop.account("customer")
        tarpit, other = tarpits(receivers.port, 2)
        await news(shop, attacker, [tarpit], 2_500)
        await shop.database.execute(
            "update webhook set host = $1 where id in (select id from webhook order by id desc limit 500)",
            host_of(attacker.id, other, SECRET),
        )
        await news(shop, customer, [tarpit], 900)
        newest_of = "select max(key) from webhook where host = $1"
        newest = await shop.database.value(newest_of, host_of(attacker.id, tarpit, SECRET))
        door = Door(True, connections_max=shares.CALLS_MAX)
        notify = Notify(shop.database, door, SECRET, "me", 10.0, waiting_max=1_000)
        task = asyncio.create_task(notify.run())

        async def within() -> bool:
            return await shop.database.value("select count(*) = 1900 from webhook")

        await eventually(within)
        rows = await shop.database.fetch("select host, count(*) from webhook group by 1 order by 1")
        assert {row["host"]: row["count"] for row in rows} == {
            host_of(attacker.id, tarpit, SECRET): 500,
            host_of(attacker.id, other, SECRET): 500,
            host_of(customer.id, tarpit, SECRET): 900,
        }
        assert newest == await shop.database.value(newest_of, host_of(attacker.id, tarpit, SECRET))
        outcomes = await shop.database.fetch("select outcome, count(*) from webhook_attempt group by 1")
        assert [tuple(row) for row in outcomes] == [("given up: more than 1000 wait for this account", 1_500)]
        await notify.stop()
        await door.close()
        await asyncio.wait_for(task, 20)


async def test_reports_that_cost_nothing_do_not_pile_up(
    database: ConnectionParameters, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A send with one mobile and 499 landlines, again and again, to a host that does not answer."""
    monkeypatch.setattr(webhook_limits, "FREE_MAX", 1_000)
    async with opened(database) as shop:
        attacker, customer = await shop.account("attacker"), await shop.account("customer")
        landlines = [(f"+3314266{n:04d}", "recipient_invalid") for n in range(499)]
        url = "http://127.9.0.1:9/"
        for account, times in ((attacker, 5), (customer, 1)):
            for _ in range(times):
                send = shop.send(account, report_url=url, skipped=landlines)
                await accept(shop.database, [await shop.placed(send)], Moment(NOW, secret=SECRET))
        rows = await shop.database.fetch("select host >> 32 as account, count(*) from webhook group by 1")
        assert {row["account"]: row["count"] for row in rows} == {attacker.id: 3 * 499, customer.id: 499}
        said = await shop.database.fetch("select outcome, count(*) from webhook_attempt group by 1")
        assert [tuple(row) for row in said] == [("given up: more than 1000 wait for this account", 2 * 499)]
        await shop.books_balance()
