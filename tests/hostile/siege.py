"""`make siege`: one hostile client at a time against the real program, while an ordinary customer goes on sending.

Prints one row each: what the attacker tried and got, what the customer asked, got and waited, what the API process grew
to; then what the database says was accepted. Exit status 1 when a customer's message was lost, refused, the program
failed at anything, or did not come back to rest. Each attacker is a process and has an address of its own. No test.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import resource
import sys
import tempfile
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from time import perf_counter

sys.path.insert(0, str(Path(__file__).parent.parent / "journeys"))

import unfair
from program import Program, free_port

CUSTOMER = "127.0.0.2"
NEIGHBOURS = "127.0.0.3"
# Of the attacks that one account makes with its key: what another one's sends, log-ins and questions may take.
SEND_P99_S, ASK_P99_S = 0.05, 0.2
PAUSE_S = 0.02  # between two messages of the customer
WAIT_S_MAX = 5.0  # what a customer may wait for an answer at most while somebody attacks
REPORT_S_MAX = 2.0  # until a report is told, of 99 in a hundred
REST_KIB = 64 * 1024  # what the API process may keep of an attack


@dataclass
class Field:
    """Where it takes place: the ports, the attacker's address, how long; and the count of what the attacker got."""

    port: int
    smpp_port: int
    address: str
    until: float
    key: str = ""  # of an account of the attacker's own
    got: Counter[str] = field(default_factory=Counter)

    @property
    def over(self) -> bool:
        return perf_counter() > self.until

    async def connect(self, port: int = 0) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        self.got["tried"] += 1
        return await asyncio.open_connection("127.0.0.1", port or self.port, local_addr=(self.address, 0))

    def note(self, answer: bytes) -> None:
        self.got[answer[9:12].decode("latin-1") if answer.startswith(b"HTTP/1.1 ") else "closed"] += 1


Attack = Callable[[Field], Awaitable[None]]


async def _many(here: Field, count: int, one: Callable[[Field], Awaitable[None]]) -> None:
    async def guarded() -> None:
        while not here.over:
            try:
                await one(here)
            except (OSError, asyncio.IncompleteReadError):
                here.got["closed"] += 1
                await asyncio.sleep(0.05)  # the attacker's own pace

    await asyncio.gather(*(guarded() for _ in range(count)))


async def _hold(here: Field, begin: bytes, drop: bytes, every_s: float) -> None:
    """Begins something and drips, until it is thrown out."""
    reader, writer = await here.connect()
    try:
        writer.write(begin)
        while not here.over:
            try:
                async with asyncio.timeout(every_s):
                    here.note(await reader.read(4_096))
                    return
            except TimeoutError:
                writer.write(drop)
    finally:
        writer.close()


async def slow_heads(here: Field) -> None:
    await _many(here, 1_500, lambda f: _hold(f, b"POST /v1/send HTTP/1.1\r\nHost: a\r\nX", b"x", 1.0))


async def half_requests(here: Field) -> None:
    await _many(
        here,
        1_000,
        lambda f: _hold(f, b"POST /v1/send HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf", b"", 60.0),
    )


async def half_bodies(here: Field) -> None:
    begin = b"POST /v1/send HTTP/1.1\r\nHost: a\r\nContent-Length: 2000000\r\n\r\n" + b"x" * 1_900_000
    await _many(here, 300, lambda f: _hold(f, begin, b"x", 1.0))


async def slow_readers(here: Field) -> None:
    async def one(here: Field) -> None:
        _, writer = await here.connect()
        try:
            async with asyncio.timeout(here.until - perf_counter() + 0.1):
                while True:
                    writer.write(b"GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n" * 100)
                    await writer.drain()
        except TimeoutError:
            here.got["stalled"] += 1
        finally:
            writer.transport.abort()

    await _many(here, 200, one)


async def _ask(here: Field, requests: bytes, answers: int) -> None:
    reader, writer = await here.connect()
    try:
        writer.write(requests)
        for _ in range(answers):
            head = await reader.readuntil(b"\r\n\r\n")
            here.note(head)
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r")[0])
            await reader.readexactly(length)
    finally:
        writer.close()


def _post(path: bytes, body: bytes) -> bytes:
    return b"POST %b HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%b" % (path, len(body), body)


async def wrong_keys(here: Field) -> None:
    def guess() -> bytes:
        return _post(b"/v1/me", b'{"apiKey":"%040x"}' % random.getrandbits(160))

    await _many(here, 8, lambda f: _ask(f, b"".join(guess() for _ in range(50)), 50))


async def large_bodies(here: Field) -> None:
    """What is dearest to read of two million octets, with a key that nobody has."""
    form = b"apiKey=wrong&message=" + b"%41a" * 490_000
    nested = b'{"apiKey":"wrong","SMSList":[' + b"[]," * 660_000 + b"[]]}"
    flow = b"login=a&apiKey=wrong&smsData=<DATA>" + b"<b/>" * 490_000 + b"</DATA>"
    bombs = [_post(b"/v1/send", form), _post(b"/v1/bulk-send", nested), _post(b"/http/9.0/sendSms", flow)]
    await _many(here, 4, lambda f: _ask(f, random.choice(bombs), 1))


async def connections(here: Field) -> None:
    async def one(here: Field) -> None:
        _, writer = await here.connect()
        writer.transport.abort()

    await _many(here, 20, one)


async def garbage(here: Field) -> None:
    """Noise, smuggled requests and other protocols."""
    shots = [
        random.randbytes(3_000),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET / HTTP/1",
        b"GET " + b"/" * 70_000,
        b"GET / HTTP/1.1\r\nHost: a\r\n" + b"A: b\r\n" * 200,
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"POST /v1/send HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\n",
        b"POST /v1/send HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999\r\n\r\n",
    ]

    async def one(here: Field) -> None:
        reader, writer = await here.connect()
        try:
            writer.write(random.choice(shots))
            writer.write_eof()
            here.note(await reader.read(4_096))
        finally:
            writer.close()

    await _many(here, 20, one)


async def smpp_noise(here: Field) -> None:
    """PDUs that lie about their length, and noise, at the handset's SMPP port."""
    shots = [
        random.randbytes(2_000),
        b"\xff\xff\xff\xff" + b"\x00" * 12,
        b"\x00\x00\x00\x04" + b"\x00\x00\x00\x09" * 4,
        b"\x00\x01\x00\x00\x00\x00\x00\x04\x00\x00\x00\x00\x00\x00\x00\x01" + b"x" * 60_000,
    ]

    async def one(here: Field) -> None:
        reader, writer = await here.connect(here.smpp_port)
        try:
            writer.write(random.choice(shots))
            async with asyncio.timeout(0.5):
                await reader.read(100)
        except TimeoutError:
            here.got["waits"] += 1
        finally:
            writer.close()

    await _many(here, 20, one)


async def replies(here: Field) -> None:
    """A flood of SMS from phones, each in several parts."""
    octets = [
        _post(
            b"/handset/replies",
            json.dumps({"from": f"+3361200{n:04d}", "to": "36111", "text": "STOPPE " * 60}).encode(),
        )
        for n in range(50)
    ]
    await _many(here, 2, lambda f: _ask(f, b"".join(octets), 50))


async def pages(here: Field) -> None:
    """What asks for no key, as fast as it comes."""
    paths = (
        b"/readyz",
        b"/metrics",
        b"/handset",
        b"/handset/feed?after=0",
        b"/handset/messages?limit=1000",
        b"/healthz",
    )
    octets = b"".join(b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n" % path for path in paths * 5)
    await _many(here, 20, lambda f: _ask(f, octets, 30))


async def _swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A web server that takes requests and never answers."""
    while await reader.read(65_536):
        pass
    writer.close()


def _free_reports(here: Field, number: int, url: str) -> bytes:
    """A send to one mobile and 499 landlines: 499 reports at the price of one message."""
    landlines = [f"+3314{number % 100:02d}6{n:04d}" for n in range(499)]
    body = {
        "apiKey": here.key,
        "phoneNumbers": ",".join([f"+3361{number:07d}", *landlines]),
        "message": "siege",
        "urlDlr": url,
    }
    return _post(b"/v1/send", json.dumps(body).encode())


async def tarpits(here: Field) -> None:
    """Webhooks to thousands of hosts that take the call and never answer: each address of 127.9.0.0/16 is one."""
    server = await asyncio.start_server(_swallow, "0.0.0.0", 0, backlog=1_000)
    port = server.sockets[0].getsockname()[1]
    numbers = count()

    async def one(here: Field) -> None:
        n = next(numbers)
        host = f"127.9.{n // 250 % 250}.{n % 250 + 1}"
        await _ask(here, _free_reports(here, n, f"http://{host}:{port}/{n}"), 1)

    await _many(here, 4, one)
    server.close()


async def one_tarpit(here: Field) -> None:
    """The same to a single host, under a new spelling each time."""
    server = await asyncio.start_server(_swallow, "127.0.0.1", 0, backlog=1_000)
    port = server.sockets[0].getsockname()[1]
    numbers = count()

    async def one(here: Field) -> None:
        n = next(numbers)
        tail = (f"/{n}", f"#{n}", f"?{n}")[n % 3]
        await _ask(here, _free_reports(here, n, f"http://127.0.0.1:{port}{tail}"), 1)

    await _many(here, 4, one)
    server.close()


async def dead_names(here: Field) -> None:
    """Webhooks to names that do not exist, a new one each time."""
    numbers = count()

    async def one(here: Field) -> None:
        n = next(numbers)
        await _ask(here, _free_reports(here, n, f"http://n{n}.siege.invalid/"), 1)

    await _many(here, 4, one)


async def silent(here: Field) -> None:
    """More connections than the process takes, from forty addresses, on which nothing is ever sent."""

    async def one(here: Field) -> None:
        here.got["tried"] += 1
        source = f"127.0.2.{random.randint(1, 40)}"
        reader, writer = await asyncio.open_connection("127.0.0.1", here.port, local_addr=(source, 0))
        try:
            async with asyncio.timeout(max(0.1, here.until - perf_counter())):
                here.note(await reader.read(100))
        except TimeoutError:
            here.got["open"] += 1
        finally:
            writer.close()

    await _many(here, 5_000, one)


ATTACKS: dict[str, Attack] = {
    "slow-heads": slow_heads,
    "half-requests": half_requests,
    "half-bodies": half_bodies,
    "slow-readers": slow_readers,
    "wrong-keys": wrong_keys,
    "large-bodies": large_bodies,
    "connections": connections,
    "garbage": garbage,
    "smpp-noise": smpp_noise,
    "replies": replies,
    "pages": pages,
    "tarpits": tarpits,
    "one-tarpit": one_tarpit,
    "dead-names": dead_names,
    "silent": silent,
    "tag-questions": lambda here: unfair.tag_questions(here, _many),
    "stop-lists": lambda here: unfair.stop_lists(here, _many),
    "foreign-numbers": lambda here: unfair.foreign_numbers(here, _many),
    "questions": lambda here: unfair.questions(here, _many),
}
UNFAIR = ("silent", "tag-questions", "stop-lists", "foreign-numbers", "questions")


class Reports:
    """The customer's web server: when the report of each message came first. Its URL ends with the message's number."""

    def __init__(self) -> None:
        self.came: dict[int, float] = {}
        self.heard = asyncio.Event()
        self.url = ""
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r")[0] or 0)
                await reader.readexactly(length)
                self.came.setdefault(int(head.split(b" ", 2)[1].lstrip(b"/")), perf_counter())
                self.heard.set()
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    def close(self) -> None:
        if self._server is not None:
            self._server.close()


@dataclass
class Customer:
    """Sends one message after the other, on one connection as long as it lasts.

    A landline beside the mobile is reported as failed at once: how long that takes is what its webhooks wait.
    """

    port: int
    key: str
    reports: Reports | None = None
    asked_at: dict[int, float] = field(default_factory=dict)
    waits_s: list[float] = field(default_factory=list)
    accepted: int = 0
    message_id: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    again: int = 0

    async def go(self, stop: asyncio.Event) -> None:
        fields = {"apiKey": self.key, "phoneNumbers": "+33612345678", "message": "siege", "sender": "SHOP"}
        if self.reports is not None:
            fields["phoneNumbers"] += ",+33142660000"
        numbers = count(1 + max(self.asked_at, default=0))
        reader: asyncio.StreamReader | None = None
        writer: asyncio.StreamWriter | None = None
        while not stop.is_set():
            number, began = next(numbers), perf_counter()
            if self.reports is not None:
                fields["urlDlr"] = f"{self.reports.url}/{number}"
            octets = _post(b"/v1/send", json.dumps(fields).encode())
            try:
                if reader is None or writer is None:
                    reader, writer = await asyncio.open_connection("127.0.0.1", self.port, local_addr=(CUSTOMER, 0))
                writer.write(octets)
                async with asyncio.timeout(60):
                    head = await reader.readuntil(b"\r\n\r\n")
                    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r")[0])
                    answer = await reader.readexactly(length)
            except (OSError, asyncio.IncompleteReadError, TimeoutError) as error:
                self.refused[type(error).__name__] += 1
                reader = None
                continue
            self.waits_s.append(perf_counter() - began)
            said = json.loads(answer)
            code = said.get("code")
            if code == 200:
                self.accepted += 1
                self.message_id = said["message_id"]
                self.asked_at[number] = began
            else:
                self.refused[str(code)] += 1
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(PAUSE_S):
                    await stop.wait()
        if writer is not None:
            writer.close()

    async def report_waits_s(self) -> list[float]:
        """How long each report took, from the request on; of those that do not come the time until now."""
        assert self.reports is not None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(5 * REPORT_S_MAX):
                while len(self.reports.came) < len(self.asked_at):
                    self.reports.heard.clear()
                    await self.reports.heard.wait()
        now = perf_counter()
        return sorted(self.reports.came.get(number, now) - at for number, at in self.asked_at.items())


def resident_kib(process_id: int) -> int:
    for line in Path(f"/proc/{process_id}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise AssertionError("no VmRSS")


async def attack(name: str, port: int, smpp_port: int, seconds: float) -> None:
    """The attacker's process: prints what he got."""
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    address = f"127.0.1.{1 + list(ATTACKS).index(name)}"
    here = Field(port, smpp_port, address, perf_counter() + seconds, os.environ.get("SIEGE_KEY", ""))
    await ATTACKS[name](here)
    print(json.dumps(dict(here.got.most_common(9))))


def _p99_s(waits_s: list[float]) -> float:
    return sorted(waits_s)[int(len(waits_s) * 0.99)] if waits_s else 0.0


async def besiege(
    program: Program, keys: tuple[str, str], name: str, seconds: float, smpp_port: int, message_id: int
) -> tuple[bool, int]:
    """One attack; whether the customer noticed nothing worse than waiting, and how much of his was accepted."""
    api = program.parts()["api"]
    before = resident_kib(api)
    key, attackers_key = keys
    reports = Reports()
    await reports.start()
    customer, stop = Customer(program.port, key, reports), asyncio.Event()
    neighbours = unfair.Neighbours(program.port, NEIGHBOURS)
    going = asyncio.gather(customer.go(stop), neighbours.go(stop, key, message_id))
    peak = before
    words = [sys.executable, __file__, "--attack", name, str(program.port), str(smpp_port), str(seconds)]
    environment = {**os.environ, "SIEGE_KEY": attackers_key}
    attacker = await asyncio.create_subprocess_exec(*words, stdout=asyncio.subprocess.PIPE, env=environment)
    attacking = asyncio.ensure_future(attacker.communicate())
    while not attacking.done():
        await asyncio.wait({attacking}, timeout=0.1)
        peak = max(peak, resident_kib(api))
    got = (await attacking)[0].decode().strip()
    stop.set()
    await going
    waits = sorted(customer.waits_s)
    told = await customer.report_waits_s()
    reports.close()
    same = program.parts()["api"] == api
    after = resident_kib(api) if same else 0
    well = (
        same
        and attacker.returncode == 0
        and not customer.refused
        and bool(waits)
        and not neighbours.refused
        and waits[-1] < WAIT_S_MAX
        and (name not in UNFAIR or (_p99_s(waits) < SEND_P99_S and _p99_s(neighbours.waits_s) < ASK_P99_S))
        and told[int(len(told) * 0.99)] < REPORT_S_MAX
        and after - before < REST_KIB
    )
    print(
        f"{name:14s} {'survived' if well else 'LOST':9s} attacker {got}\n"
        f"{'':14s} customer asked {len(waits) + sum(customer.refused.values())}, accepted {customer.accepted}, refused "
        f"{dict(customer.refused)}, waited p50 {waits[len(waits) // 2] * 1e3:.0f} ms, p99 "
        f"{waits[int(len(waits) * 0.99)] * 1e3:.0f} ms, most {waits[-1] * 1e3:.0f} ms; "
        f"{len(neighbours.waits_s)} questions of others p99 {_p99_s(neighbours.waits_s) * 1e3:.0f} ms, most "
        f"{max(neighbours.waits_s, default=0) * 1e3:.0f} ms, refused {len(neighbours.refused)}; reports p50 "
        f"{told[len(told) // 2] * 1e3:.0f} ms, p99 {told[int(len(told) * 0.99)] * 1e3:.0f} ms, most "
        f"{told[-1] * 1e3:.0f} ms; "
        f"API process {before // 1024} MiB, peak {peak // 1024}, after {after // 1024}",
        flush=True,
    )
    return well, customer.accepted


async def main() -> int:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--attack", nargs=4, help=argparse.SUPPRESS)
    words.add_argument("--only", choices=ATTACKS, action="append", help="one attack, may be given several times")
    words.add_argument("--seconds", type=float, default=8.0, help="how long each attack lasts")
    words.add_argument("--seed", type=int, default=random.randrange(10**6))
    given = words.parse_args()
    if given.attack:
        name, port, smpp_port, seconds = given.attack
        await attack(name, int(port), int(smpp_port), float(seconds))
        return 0
    random.seed(given.seed)
    print(f"seed {given.seed}")
    with tempfile.TemporaryDirectory() as folder:
        smpp_port = free_port()
        program = Program(Path(folder) / "var", demo=True, environment={"CHAPPE_HANDSET_PORT": str(smpp_port)})
        with program:
            key = program.account("siege", balance="1000.000")
            program.command("account", "set", "siege", "messages_per_number_per_hour=0")
            keys = (key, program.account("attacker", balance="1000.000"))
            for statement, arguments in zip(unfair.PREPARE, unfair.ARGUMENTS, strict=True):
                await program.rows(statement, *arguments)
            first = Customer(program.port, key)
            await first.go(_soon())
            results = [
                await besiege(program, keys, name, given.seconds, smpp_port, first.message_id)
                for name in given.only or ATTACKS
            ]
            (row,) = await program.rows(
                """select (select count(*) from message m join account a on a.id = m.account_id
                           where login = 'siege' and recipient = '+33612345678') as stored,
                          (select count(*)
                           from (select account_id, sum(amount_micros) as s from ledger_entry group by 1) l
                           join balance b using (account_id)
                           where b.balance_micros <> l.s) as wrong"""
            )
        accepted = sum(count for _, count in results)
        lost = accepted - row["stored"]
        print(f"accepted {accepted}, stored {row['stored']}, balances that differ from their ledger {row['wrong']}")
        print(f"tracebacks in the log: {len(program.tracebacks)} {program.tracebacks[:3]}")
        return (
            0 if all(well for well, _ in results) and lost <= 0 and not row["wrong"] and not program.tracebacks else 1
        )


def _soon() -> asyncio.Event:
    """Set at once: one message only, so that everything has been used."""
    event = asyncio.Event()
    asyncio.get_running_loop().call_soon(event.set)
    return event


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
