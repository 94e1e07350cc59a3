"""The application behind the listener: dialects by path, the account, the command, its group commit, the answer.

One generic way for all dialects. The way of a send has no task and no future of its own: it joins the batch that is
gathering, and its answer is written when that batch is committed.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import msgspec

from chappe.actions import accept as accept_action
from chappe.actions.answer import answer
from chappe.actions.locked import Locked
from chappe.actions.settle import settle
from chappe.actions.windows import Windows
from chappe.core.errors import Refusal
from chappe.core.model import Accepted, Account, Command, MessagesFound, Moment, OptOuts, Outcome, Ready, Send
from chappe.core.routing import Router
from chappe.dialects import Call, Dialect, Request, Response
from chappe.dialects.registry import DIALECTS
from chappe.observe import get_logger, metrics
from chappe.store import accounts, carriers
from chappe.store.database import CONNECTION_ERRORS, Bell, Database, DatabaseError, GroupCommit
from chappe.store.messages import Placed
from chappe.web.accounts import AccountBook
from chappe.web.listener import Reply
from chappe.web.rates import Rates, UnderWay

log = get_logger("chappe.web")

# Reading a body of this length takes milliseconds, and the key is in it: who has sent many that led to no account is
# not read any more until that is paid off. An ordinary request of 500 numbers is a tenth of it.
HEAVY_BYTES = 100_000
# Of one account, so that the others get their turn: questions under way, and messages that wait for their commit; of
# these GroupCommit takes twice as many.
ASKED_AT_ONCE_MAX = 200
SENT_AT_ONCE_MAX = 100_000

# Answers of more rows than this are written beside the loop: some 10 us a row.
ROWS_MAX = 1_000

Page = Callable[[Request], Awaitable[Response]]


class Api:
    """The customers' APIs and the pages of one process.

    pages: by path, or by a prefix that ends in a slash; asked before the dialects. They are found by the target as it
    was written, so that a rule of a proxy on their paths sees what we see.
    """

    def __init__(
        self,
        database: Database,
        bell: Bell,
        secret: bytes,
        now: Callable[[], float],
        *,
        sender_default: str,
        stop_mention: str,
        senders_denied: tuple[str, ...] = (),
        numbers_own_only: bool = False,
        windows: Windows | None = None,
        pages: dict[str, Page] | None = None,
    ) -> None:
        self._database = database
        self._bell = bell
        self._secret = secret
        self._now = now
        self._sender_default = sender_default
        self._pages = pages or {}
        self._windows = windows or Windows({})
        self._book = AccountBook(database, now, stop_mention, senders_denied, numbers_own_only=numbers_own_only)
        self._rates = Rates(now)
        self._asking = UnderWay(ASKED_AT_ONCE_MAX)
        self._sending = UnderWay(SENT_AT_ONCE_MAX)
        self._locked = Locked(now)
        self._router = Router([])
        self._nobody = Account(0, "")  # whose settings word the answers to callers that are unknown
        self._commit: GroupCommit[Placed, Accepted | Refusal] = GroupCommit(
            self._accept, lambda placed: len(placed.states), find=self._find
        )
        self._moment = Moment(datetime.now(UTC), secret=secret)  # of the batch under way
        self._committing_since = 0.0  # when the batch under way began; 0: none is
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def commit_s(self) -> float:
        """For how long the batch under way has been waiting for the database."""
        return self._now() - self._committing_since if self._committing_since else 0.0

    async def refresh(self) -> None:
        """Reads routes again and forgets accounts: called at the start and whenever the configuration changes."""
        self._book.forget()
        self._nobody = Account(0, "", settings=await accounts.defaults(self._database))
        self._router = await carriers.router(self._database)

    async def idle(self) -> None:
        """Returns when every accepted command has been committed and answered."""
        await self._commit.idle()
        if self._tasks:
            await asyncio.wait(self._tasks)

    # -- what the listener calls

    def ask(self, request: Request, reply: Reply) -> None:
        """One whole request."""
        page = self._page(request.path) if request.literal else None
        if page is not None:
            self._spawn(self._show(page, request, reply), reply)
            return
        dialect = _dialect(request.path)
        if dialect is None:
            reply.send(_plain(404, "There is nothing at this address."))
            return
        heavy = len(request.body) > HEAVY_BYTES
        if heavy and self._book.guesses.too_many(request.remote):
            self.ask_limit(msgspec.structs.replace(request, body=b""), "too_many_requests", reply)
            return
        try:
            call = dialect.open(request)
        except Refusal as refusal:
            if heavy:
                self._book.guesses.count(request.remote, len(request.body) / HEAVY_BYTES)
            reply.send(dialect.refuse(_refused(dialect, refusal), request, None, self._nobody))
            return
        if isinstance(call, Response):
            reply.send(call)
            return
        found = self._book.known(call.credentials, request.remote)
        if found is not None:
            self._obey(dialect, request, call, found, reply)
            return
        self._book.find(
            call.credentials, request.remote, lambda found: self._found(dialect, request, call, found, reply)
        )

    def ask_limit(self, request: Request, code: str, reply: Reply) -> None:
        """A request that breaks a limit of the listener, without its body."""
        dialect = _dialect(request.path)
        if dialect is None:
            reply.send(_plain(413, "This is too large."))
            return
        reply.send(dialect.refuse(Refusal(code), request, None, self._nobody))

    # -- the way of a command

    def _found(self, dialect: Dialect, request: Request, call: Call, found: Account | Refusal, reply: Reply) -> None:
        try:
            self._obey(dialect, request, call, found, reply)
        except Exception as error:  # noqa: BLE001 - logged and answered; others may wait for the same account
            reply.fail(error)

    def _obey(self, dialect: Dialect, request: Request, call: Call, found: Account | Refusal, reply: Reply) -> None:
        if isinstance(found, Refusal):
            if len(request.body) > HEAVY_BYTES:
                self._book.guesses.count(request.remote, len(request.body) / HEAVY_BYTES)
            reply.send(dialect.refuse(_refused(dialect, found), request, call, self._nobody))
            return
        moment = Moment(datetime.now(UTC), random.random(), self._secret)
        try:
            if not self._rates.allow(found, dialect.NAME, call.verb):
                raise Refusal("too_many_requests")
            command = dialect.read(call, found, moment)
            if isinstance(command, Ready):
                reply.send(dialect.write(command, call, found))
                return
            if not isinstance(command, Send):
                if not self._asking.begin(found.id):
                    raise Refusal("too_many_requests")
                self._spawn(self._answer(dialect, command, moment, call, request, found, reply), reply)
                return
            if self._commit.full:
                raise Refusal("too_many_requests")
            placed = accept_action.place(
                self._with_sender(command), moment.now, self._router, self._windows.of(found.settings)
            )
            weight = len(placed.states)
            if not self._sending.begin(found.id, weight):
                raise Refusal("too_many_requests")
        except Refusal as refusal:
            reply.send(dialect.refuse(_refused(dialect, refusal), request, call, found))
            return
        self._commit.add(
            placed,
            lambda outcome: self._done(dialect, request, call, found, outcome, reply, weight),
        )

    def _with_sender(self, send: Send) -> Send:
        if send.sender:
            return send
        return msgspec.structs.replace(send, sender=send.account.settings.sender or self._sender_default)

    def _done(
        self,
        dialect: Dialect,
        request: Request,
        call: Call,
        account: Account,
        outcome: Accepted | Refusal | BaseException,
        reply: Reply,
        weight: int,
    ) -> None:
        self._sending.end(account.id, weight)
        try:
            if isinstance(outcome, Accepted):
                reply.send(dialect.write(outcome, call, account))
            elif isinstance(outcome, Refusal):
                reply.send(dialect.refuse(_refused(dialect, outcome), request, call, account))
            else:
                reply.send(dialect.refuse(_refused(dialect, Refusal("queue_failed")), request, call, account))
        except Exception as error:  # noqa: BLE001 - logged and answered; the batch's other answers must still leave
            reply.fail(error)

    async def _accept(self, batch: list[Placed]) -> Sequence[Accepted | Refusal]:
        self._moment = Moment(datetime.now(UTC), secret=self._secret)
        self._committing_since = began = self._now()
        try:
            outcomes = await self._locked.accept(self._database, batch, self._moment)
        finally:
            self._committing_since = 0.0
        _count(batch, outcomes, self._now() - began)
        self._bell.ring()
        return outcomes

    def _find(self, batch: list[Placed]) -> Awaitable[Sequence[Accepted | None]]:
        """What was stored of the batch whose connection has just been lost."""
        return settle(self._database, batch, self._moment)

    async def _answer(
        self,
        dialect: Dialect,
        command: Command,
        moment: Moment,
        call: Call,
        request: Request,
        account: Account,
        reply: Reply,
    ) -> None:
        """A command that has the database to itself."""
        try:
            reply.send(await written(dialect, await answer(self._database, command, moment), call, account))
        except Refusal as refusal:
            reply.send(dialect.refuse(_refused(dialect, refusal), request, call, account))
        except (*CONNECTION_ERRORS, DatabaseError) as error:
            log.error("command_failed", command=type(command).__name__, error=type(error).__name__)
            reply.send(dialect.refuse(Refusal("queue_failed"), request, call, account))
        finally:
            self._asking.end(account.id)

    # -- pages

    def _page(self, path: str) -> Page | None:
        page = self._pages.get(path)
        if page is None and path.count("/") > 1:
            page = self._pages.get(path[: path.index("/", 1) + 1])
        return page

    async def _show(self, page: Page, request: Request, reply: Reply) -> None:
        reply.send(await page(request))

    def _spawn(self, work: Coroutine[Any, Any, None], reply: Reply) -> None:
        """Work that has to wait for something; its failure is the request's."""

        def ended(task: asyncio.Task[None]) -> None:
            self._tasks.discard(task)
            if not task.cancelled() and (error := task.exception()) is not None:
                reply.fail(error)

        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(ended)


def _count(batch: Sequence[Placed], outcomes: Sequence[Accepted | Refusal], seconds: float) -> None:
    counts = metrics()
    counts.measure("chappe_commit_rows", len(batch), action="accept")
    counts.measure("chappe_commit_seconds", seconds, action="accept")
    accepted: dict[str, int] = {}
    for placed, outcome in zip(batch, outcomes, strict=True):
        if type(outcome) is Accepted:
            dialect = placed.send.dialect
            accepted[dialect] = accepted.get(dialect, 0) + len(placed.states)
    for dialect, messages in accepted.items():
        counts.count("chappe_accepted_total", messages, dialect=dialect)


def _refused(dialect: Dialect, refusal: Refusal) -> Refusal:
    """The refusal, counted."""
    metrics().count("chappe_refused_total", dialect=dialect.NAME, code=refusal.code)
    return refusal


async def written(dialect: Dialect, outcome: Outcome, call: Call, account: Account) -> Response:
    """The answer to an outcome; a long one is written in a thread, since nobody else may wait for it."""
    if _rows(outcome) > ROWS_MAX:
        return await asyncio.to_thread(dialect.write, outcome, call, account)
    return dialect.write(outcome, call, account)


def _rows(outcome: Outcome) -> int:
    if isinstance(outcome, MessagesFound):
        return sum(len(group) for group in outcome.groups if group)
    return len(outcome.entries) if isinstance(outcome, OptOuts) else 0


@lru_cache(maxsize=256)
def _dialect(path: str) -> Dialect | None:
    for dialect in DIALECTS:
        if dialect.matches(path):
            return dialect
    return None


def _plain(status: int, text: str) -> Response:
    return Response(status, "text/plain; charset=utf-8", text.encode() + b"\n")
