"""Reaching PostgreSQL where several servers may be it, and noticing soon when a connection leads nowhere.

asyncpg spends one time-out on all hosts of a URL: a machine without power in the first place would keep everybody from
the second. Here each host has its own time, the last good one is asked first, and of several hosts only one that may be
written to is taken. A connection whose peer has vanished without a word (power, network) ends by the kernel's timers
on both sides: on ours after DEAD_S, on the server's so that it holds no lock for a client that is gone.

Of two hosts that may be written to, one was promoted in the place of the other, which came back as it must not. Each
promotion begins a new timeline: who has seen a later one of the same cluster works with no earlier one.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Any, NamedTuple, TypeAlias
from urllib.parse import parse_qsl, urlencode, urlsplit

import asyncpg

from chappe.observability.logs import get_logger

log = get_logger("chappe.store")

CONNECT_S = 6.0  # for all hosts of a URL together: customers wait for it
OWN_CONNECT_S = 10.0  # for our own server, on this machine
SURVEY_S = 1.0  # for the other hosts, when one has been found
SURVEY_EVERY_S = 10.0
DEAD_S = 6
"""After so long without any sign of the peer's kernel a connection is over."""

# The same on the server's side. A unix socket has no use for them, and PostgreSQL ignores them there.
LIVENESS = {
    "tcp_keepalives_idle": "5",
    "tcp_keepalives_interval": "2",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "10s",
}

_OPTIONS = (
    (socket.SOL_SOCKET, "SO_KEEPALIVE", 1),
    (socket.IPPROTO_TCP, "TCP_KEEPIDLE", 2),
    (socket.IPPROTO_TCP, "TCP_KEEPINTVL", 1),
    (socket.IPPROTO_TCP, "TCP_KEEPCNT", DEAD_S - 2),
    (socket.IPPROTO_TCP, "TCP_USER_TIMEOUT", DEAD_S * 1000),
)

# InternalClientError: also a server that is not the one that may be written to.
_FAILURES = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)

Made: TypeAlias = "asyncpg.Connection[asyncpg.Record]"


class ReplacedPrimary(ConnectionError):
    """This server may be written to, but another one was promoted in its place."""


class Life(NamedTuple):
    """Of which cluster a server is, and on which timeline it writes; 0 where it does not say."""

    cluster: int
    timeline: int

    def is_before(self, other: Life) -> bool:
        """Whether the other was promoted after this one had gone."""
        return self.cluster == other.cluster and self.timeline < other.timeline


_LIFE = """select (select system_identifier from pg_control_system()),
                  ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::bigint"""


def single_hosts(url: str) -> list[str]:
    """One URL for each host of `url`, in its order; of several only one that may be written to will do, unless the
    URL says otherwise. A URL with fewer ports than hosts uses the last for the rest, as libpq does with one."""
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    user, at, hosts = parts.netloc.rpartition("@")
    named = [host for host in hosts.split(",") if host]
    if query.get("host"):
        ports = query.pop("port", "").split(",")
        given = query.pop("host").split(",")
        if len(given) < 2:
            return [url]
        pairs = [(host, ports[min(number, len(ports) - 1)]) for number, host in enumerate(given)]
        return [_with(parts, user, at, "", query, host=host, port=port) for host, port in pairs]
    if len(named) < 2:
        return [url]
    return [_with(parts, user, at, host, query) for host in named]


def _with(parts: Any, user: str, at: str, netloc: str, query: dict[str, str], **more: str) -> str:
    asked = {"target_session_attrs": "read-write"} | query | {name: value for name, value in more.items() if value}
    return str(parts._replace(netloc=f"{user}{at}{netloc}", query=urlencode(asked)).geturl())


class Way:
    """The way to one database: its hosts, the last good one first. One for each process and database.

    arguments: of asyncpg.connect, a `dsn` or the parameters of one server. connect_s: for all hosts together.
    """

    def __init__(self, arguments: dict[str, Any], connect_s: float | None = None) -> None:
        dsn = arguments.get("dsn")
        self._connect_s = connect_s or (CONNECT_S if dsn else OWN_CONNECT_S)
        self._candidates = [{"dsn": url} for url in single_hosts(dsn)] if dsn else [arguments]
        self._good = 0
        self._life = Life(0, 0)  # of the good one
        self._surveying = asyncio.Lock()
        self._surveyed_at = float("-inf")

    async def connect(self, **options: Any) -> Made:
        """A connection; raises what the last host raised: one of database.CONNECTION_ERRORS, or that it refuses us."""
        count = len(self._candidates)
        if count == 1:
            return lively(await asyncpg.connect(**self._candidates[0], **{"timeout": self._connect_s} | options))
        patience_s = self._connect_s / count
        failure: BaseException | None = None
        for number in [(self._good + step) % count for step in range(count)]:
            try:
                made, life = await self._open(number, patience_s, options)
            except _FAILURES as error:
                failure = error if _says_more(error, failure) else failure
                continue
            try:
                await self._survey(number, life, options)
            except BaseException:
                made.terminate()
                raise
            if not life.is_before(self._life):
                return lively(made)
            made.terminate()
            return lively((await self._open(self._good, patience_s, options))[0])
        assert failure is not None
        raise failure

    async def _open(self, number: int, timeout_s: float, options: dict[str, Any]) -> tuple[Made, Life]:
        """A connection to one host; raises ReplacedPrimary, among others."""
        made = await asyncpg.connect(**self._candidates[number], **options | {"timeout": timeout_s})
        try:
            life = await _life_of(made, timeout_s)
            if life.is_before(self._life):
                raise ReplacedPrimary(f"host {number + 1} is on timeline {life.timeline}, and was replaced")
        except BaseException:
            made.terminate()
            raise
        return made, life

    async def _survey(self, number: int, life: Life, options: dict[str, Any]) -> None:
        """Notes which host is the good one: this one, or one that was promoted after it. Others are asked now and
        then, by one connection for all."""
        async with self._surveying:
            now_s = asyncio.get_running_loop().time()
            good = number, life
            if now_s > self._surveyed_at + SURVEY_EVERY_S:
                self._surveyed_at = now_s
                others = [other for other in range(len(self._candidates)) if other != number]
                asked = [self._open(other, SURVEY_S, options) for other in others]
                for other, found in zip(others, await asyncio.gather(*asked, return_exceptions=True), strict=True):
                    if isinstance(found, BaseException):
                        continue  # it is away, or only reads: as it should be
                    found[0].terminate()
                    if good[1].is_before(found[1]):
                        good = other, found[1]
            if not good[1].is_before(self._life):
                if good[0] != self._good:
                    log.warning("database_found_elsewhere", host_number=good[0] + 1)
                self._good, self._life = good


async def _life_of(made: Made, timeout_s: float) -> Life:
    try:
        row = await made.fetchrow(_LIFE, timeout=timeout_s)
    except asyncpg.PostgresError:  # a server that says no such things: then they decide nothing
        return Life(0, 0)
    assert row is not None
    return Life(*row)


def _says_more(new: BaseException, known: BaseException | None) -> bool:
    """Of two hosts' failures: a refusal says more than silence, and silence more than that one is a standby."""
    kinds = (asyncpg.InternalClientError, TimeoutError, OSError, Exception)
    ranks = [
        next(place for place, kind in enumerate(kinds) if isinstance(error, kind)) for error in (new, known) if error
    ]
    return len(ranks) < 2 or ranks[0] >= ranks[1]


def lively(made: Made) -> Made:
    """A connection whose kernel looks after the peer: one that has vanished is noticed within DEAD_S."""
    transport: asyncio.BaseTransport = made._transport  # type: ignore[attr-defined]  # there is no public door to it
    found = transport.get_extra_info("socket")
    if found is None or found.family not in (socket.AF_INET, socket.AF_INET6):
        return made
    for level, name, value in _OPTIONS:
        number = getattr(socket, name, None)  # not every system has each of them
        if number is not None:
            found.setsockopt(level, number, value)
    return made
