"""The pages of a node: is it alive, is it ready, its metrics; and the handset's, which another process serves."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Generic, TypeVar

from chappe.core.http import Request, Response
from chappe.observability import node_metrics
from chappe.observability.logs import get_logger
from chappe.observability.metrics import METRICS, Snapshot, exposition, metrics
from chappe.store import gauges
from chappe.store.database import CONNECTION_ERRORS, Database, DatabaseError
from chappe.web.handset_proxy import forward
from chappe.web.server import Page
from chappe.web.undeclared import REFUSAL

log = get_logger("chappe.web")

T = TypeVar("T")

_TEXT = "text/plain; charset=utf-8"
_EXPOSITION = "text/plain; version=0.0.4; charset=utf-8"
READY_S = 2.0  # a load balancer that asks must not wait longer, whatever has become of the database
COMMIT_S = 5.0  # a commit that takes longer than this is not to be waited for by more customers
GAUGES_FRESH_S = 3.0


class Pages:
    """handset_port: the loopback port of the handset's HTTP part; 0 where there is none to show. trouble: what keeps
    the database from being used, empty for nothing. commit_s: for how long the oldest commit has
    been under way. counts: the folder of tally.py, None for this process alone.
    """

    def __init__(
        self,
        database: Database,
        handset_port: int,
        *,
        metrics: bool,
        trouble: Callable[[], Awaitable[str]],
        commit_s: Callable[[], float] = lambda: 0.0,
        counts: Path | None = None,
    ) -> None:
        self._handset_port = handset_port
        self._metrics = metrics
        self._trouble = _Shared(trouble, 0.0)
        self._gauges = _Shared(lambda: _read(database), GAUGES_FRESH_S)
        self._commit_s = commit_s
        self._counts = counts
        self.draining = False
        """Set when this node is asked to end: it still answers, and says that others should be asked."""

    def table(self) -> dict[str, Page]:
        """Which page is at which path."""
        pages: dict[str, Page] = {"/healthz": self.healthz, "/readyz": self.readyz}
        if self._handset_port:
            pages["/"] = self.front
            pages["/handset"] = pages["/handset/"] = self.handset
        else:
            pages["/"] = pages["/handset"] = self.nothing
        if self._metrics:
            pages["/metrics"] = self.metrics
        return pages

    async def show(self, request: Request) -> Response:
        """The page at the request's path, for a listener that has nothing else to show."""
        page = self.table().get(request.path) if request.literal else None
        return await page(request) if page else Response(404, _TEXT, b"There is nothing at this address.\n")

    async def healthz(self, request: Request) -> Response:
        """This process lives."""
        return Response(200, _TEXT, b"alive\n")

    async def readyz(self, request: Request) -> Response:
        """This process can accept messages: it is not about to end, and the database answers and commits."""
        if self.draining:
            return _not_ready("this node is ending")
        if self._commit_s() > COMMIT_S:
            return _not_ready("the database does not commit")
        trouble = await self._trouble.within(READY_S)
        if trouble is None:
            return _not_ready("the database does not answer")
        if trouble:
            return _not_ready(trouble)
        return Response(200, _TEXT, b"ready\n")

    async def metrics(self, request: Request) -> Response:
        """What the processes of this node have counted, and what the database knows, for Prometheus."""
        if request.undeclared:
            return REFUSAL
        known = await self._gauges.within(READY_S) or gauges.nothing_known()
        if self._counts is None:
            counted = [metrics().snapshot("alone")]
        else:
            counted = await node_metrics.gather(self._counts)
        body = exposition(METRICS, counted) + exposition(gauges.GAUGES, [known])
        return Response(200, _EXPOSITION, body)

    async def front(self, request: Request) -> Response:
        """The address without a path: on a laptop, the phone is what one wants to see."""
        return Response(302, _TEXT, b"See /handset\n", (("Location", "/handset"),))

    async def nothing(self, request: Request) -> Response:
        """Where people look first, and where there is something in demo mode only."""
        return Response(404, _TEXT, b"There is no page here: only `chappe serve --demo` has the phones.\n")

    async def handset(self, request: Request) -> Response:
        """The phone's page and its JSON, from the process that has them."""
        if request.undeclared:
            return REFUSAL
        return await forward(request, self._handset_port)


def _not_ready(why: str) -> Response:
    return Response(503, _TEXT, why.encode() + b"\n")


async def _read(database: Database) -> Snapshot | None:
    try:
        return await gauges.read(database)
    except (*CONNECTION_ERRORS, DatabaseError) as error:
        log.warning("gauges_not_read", error=type(error).__name__)
        return None


class _Shared(Generic[T]):
    """One question under way at a time, whoever asks; an answer serves again for fresh_s. Nobody waits longer than he
    wants to, and a question that is not waited for any longer goes on: to break it off can take as long."""

    def __init__(self, ask: Callable[[], Awaitable[T]], fresh_s: float) -> None:
        self._ask = ask
        self._fresh_s = fresh_s
        self._task: asyncio.Future[T] | None = None
        self._known: tuple[T, float] | None = None

    async def within(self, seconds: float) -> T | None:
        """The answer; None when there is none in time."""
        loop = asyncio.get_running_loop()
        if self._known is not None and loop.time() < self._known[1]:
            return self._known[0]
        if self._task is None or self._task.done():
            self._task = asyncio.ensure_future(self._ask())
        task = self._task  # who else waited may have asked anew before we run again
        done, _ = await asyncio.wait([task], timeout=seconds)
        if not done:
            return None
        answer = task.result()
        self._known = (answer, loop.time() + self._fresh_s)
        return answer
