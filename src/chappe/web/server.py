"""The application behind the listener: the dialect, the account, the command, its group commit, the answer.

One generic way for all dialects. The way of a send has no task and no future of its own: it joins the batch that is
gathering, and its answer is written when that batch is committed.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar

import msgspec

from chappe.actions import accept as accept_action
from chappe.actions.contacts import read_contacts
from chappe.actions.locked import Locked
from chappe.actions.queries import answer
from chappe.actions.query_cost import is_dear, is_question
from chappe.actions.windows import Windows
from chappe.core.contacts import ReadContacts, SendToGroup
from chappe.core.errors import Refusal
from chappe.core.http import Request, Response
from chappe.core.model import (
    RECIPIENTS_MAX,
    Accepted,
    Account,
    AddOptOut,
    Command,
    Moment,
    Ready,
    Send,
)
from chappe.core.routing import Router
from chappe.dialects import Call, Dialect
from chappe.dialects.registry import Directory
from chappe.observability.logs import get_logger
from chappe.observability.metrics import metrics
from chappe.store import accounts, carriers
from chappe.store.database import CONNECTION_ERRORS, Bell, Database, DatabaseError
from chappe.store.messages import Placed
from chappe.web.accounts import AccountBook
from chappe.web.answers import nothing, plain, written
from chappe.web.client_address import place_of
from chappe.web.group_commit import Commits
from chappe.web.key_guessing import Guesses
from chappe.web.listener import Reply
from chappe.web.rates import Rates, UnderWay
from chappe.web.reading import LARGE_OPEN_BYTES, LARGE_ROWS, MEASURED_BYTES, Reader
from chappe.web.shares import Shares
from chappe.web.velocity import Velocity

log = get_logger("chappe.web")

# Reading a body of this length takes milliseconds, and the key is in it: who has sent many that led to no account is
# not read any more until that is paid off. An ordinary request of 500 numbers is a tenth of it.
HEAVY_BYTES = 100_000
# Of one account, so that the others get their turn: questions that wait or are under way, and messages that wait for
# their commit; of these GroupCommit takes twice as many.
ASKED_AT_ONCE_MAX = 200
REFUSED_AFTER_S = 0.2
SENT_AT_ONCE_MAX = 100_000

# Requests of more messages than this have a commit of their own: one of 5,000 takes a tenth of a second, in which many
# small ones come and go.
SMALL_WEIGHT = 100

OCTETS_A_CONTACT = 14  # of a group that is sent to: as a number in a request

C = TypeVar("C")

Page = Callable[[Request], Awaitable[Response]]


class Api:
    """The customers' APIs and the pages of one process.

    processor_share: of the loop's time, what one account may have for long. questions_at_once, long_questions_at_once:
    questions under way that one row answers, and that walk through many; they have connections of their own, and one
    account has at most one less, so that another one always finds a place. pages: by path, or by a prefix that ends in
    a slash; asked before the dialects. They are found by the target as it was written, so that a rule of a proxy on
    their paths sees what we see. directory: which dialect a request speaks. guesses: who tries wrong keys.
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
        playground: bool = False,
        numbers_automatic: bool = True,
        windows: Windows | None = None,
        processor_share: float = 0.25,
        questions_at_once: int = 3,
        long_questions_at_once: int = 2,
        pages: dict[str, Page] | None = None,
        directory: Directory | None = None,
        guesses: Guesses | None = None,
    ) -> None:
        self._database = database
        self._bell = bell
        self._secret = secret
        self._now = now
        self._sender_default = sender_default
        self._pages = pages or {}
        self._folders = tuple(path for path in self._pages if path.endswith("/") and path != "/")
        self._directory = directory or Directory()
        self._windows = windows or Windows({})
        self._playground = playground
        self._numbers_automatic = numbers_automatic
        self._book = AccountBook(database, now, stop_mention, senders_denied, numbers_own_only=numbers_own_only)
        self._book.guesses = guesses or self._book.guesses
        self._rates = Rates(now)
        connections = questions_at_once + long_questions_at_once
        self._questions = database.beside(ordinary=connections, hot=connections)
        self._cheap = Shares(questions_at_once, max(1, questions_at_once - 1))
        self._dear = Shares(long_questions_at_once, max(1, long_questions_at_once - 1))
        self._reader = Reader(now, processor_share)
        self.velocity = Velocity(secret)
        self._asking = UnderWay(ASKED_AT_ONCE_MAX)
        self._sending = UnderWay(SENT_AT_ONCE_MAX)
        self._locked = Locked(now)
        self._router = Router([])
        self._nobody = Account(0, "")  # whose settings word the answers to callers that are unknown
        self._small = Commits(database, self._locked, bell.ring, secret, now)
        self._large = Commits(database, self._locked, bell.ring, secret, now)
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def commit_s(self) -> float:
        """For how long the batch under way has been waiting for the database."""
        return max(self._small.commit_s, self._large.commit_s)

    async def refresh(self) -> None:
        """Reads routes again and forgets accounts: called at the start and whenever the configuration changes."""
        self._book.forget()
        self._nobody = Account(0, "", settings=await accounts.defaults(self._database))
        self._router = await carriers.router(self._database)

    async def close(self) -> None:
        """Ends the connections that questions have to themselves; nothing can be asked any more."""
        await self._questions.close()

    async def idle(self) -> None:
        """Returns when every accepted command has been committed and answered."""
        await self._small.commit.idle()
        await self._large.commit.idle()
        if self._tasks:
            await asyncio.wait(self._tasks)

    # -- what the listener calls

    def ask(self, requests: Sequence[tuple[Request, Reply]]) -> None:
        """Whole requests that have come together.

        Each step is done for all of them before the next one: a short piece of code that runs sixteen times in a row
        takes two thirds of the time that it takes between others, since the processor has learnt its way.
        """
        asked = []
        moment = self._moment()
        for request, reply in requests:
            try:
                opened = self._open(request, moment, reply)
            except Exception as error:  # noqa: BLE001 - logged and answered; the others are served
                reply.fail(error)
            else:
                if opened is not None:
                    asked.append(opened)
        self._obey(asked)

    def _open(self, request: Request, moment: Moment, reply: Reply) -> _Asked | None:
        """The request with its account; None where it is answered already, or waits for something first."""
        page = self._page(request.path) if request.literal else None
        if page is not None:
            self._spawn(self._show(page, request, reply), reply)
            return None
        found = self._directory.find(request)
        if found is None:
            reply.send(nothing(request))
            return None
        dialect, request = found
        if len(request.body) > HEAVY_BYTES and self._book.guesses.too_many(request.remote):
            unread = msgspec.structs.replace(request, body=b"")
            reply.send(dialect.refuse(Refusal("too_many_requests"), unread, None, self._nobody))
            return None
        if len(request.body) > LARGE_OPEN_BYTES:
            self._spawn(self._open_beside(dialect, request, reply), reply)
            return None
        call: Call | Response | Refusal
        try:
            call = dialect.open(request)
        except Refusal as refusal:
            call = refusal
        return self._opened(dialect, request, call, moment, reply)

    async def _open_beside(self, dialect: Dialect, request: Request, reply: Reply) -> None:
        """As _open() and the following steps. A thread reads the long body; addresses take turns."""
        place = ("address", place_of(request.remote))
        call: Call | Response | Refusal
        try:
            call = await self._reader.beside(place, len(request.body), lambda: dialect.open(request))
        except Refusal as refusal:
            call = refusal
        asked = self._opened(dialect, request, call, self._moment(), reply)
        if asked is not None:
            self._obey([asked])

    def _moment(self) -> Moment:
        return Moment(datetime.now(UTC), secret=self._secret)

    def _opened(
        self, dialect: Dialect, request: Request, call: Call | Response | Refusal, moment: Moment, reply: Reply
    ) -> _Asked | None:
        if isinstance(call, Call):
            asked = _Asked(dialect, request, call, self._nobody, moment, reply)
            found = self._book.known(call.credentials, request.remote)
            if found is not None:
                return self._admitted(asked, found)
            self._book.find(call.credentials, request.remote, partial(self._found, asked))
        elif isinstance(call, Refusal):
            self._refuse_unknown(dialect, request, None, call, reply)
        else:
            reply.send(call)
        return None

    def ask_limit(self, request: Request, code: str, reply: Reply) -> None:
        """A request that breaks a limit of the listener, without its body."""
        found = self._directory.find(request)
        if found is None:
            reply.send(plain(413, "This is too large."))
            return
        dialect, request = found
        reply.send(dialect.refuse(Refusal(code), request, None, self._nobody))

    # -- the way of a command

    def _found(self, asked: _Asked, found: Account | Refusal) -> None:
        try:
            admitted = self._admitted(asked, found)
        except Exception as error:  # noqa: BLE001 - logged and answered; others may wait for the same account
            asked.reply.fail(error)
        else:
            if admitted is not None:
                self._obey([admitted])

    def _admitted(self, asked: _Asked, found: Account | Refusal) -> _Asked | None:
        """The request with its account, unless that may not ask; then it is answered."""
        if isinstance(found, Refusal):
            self._refuse_unknown(asked.dialect, asked.request, asked.call, found, asked.reply)
            return None
        if self._playground:
            try:
                found = self._at_play(found, asked.request)
            except Refusal as refusal:
                asked.refuse(refusal)
                return None
        asked.account = found
        if not self._rates.allow(found, asked.dialect, asked.call.verb):
            self._refuse_late(asked)
            return None
        return asked

    def _refuse_unknown(
        self, dialect: Dialect, request: Request, call: Call | None, refusal: Refusal, reply: Reply
    ) -> None:
        """Refuses a request that leads to no account."""
        if len(request.body) > HEAVY_BYTES:
            self._book.guesses.count(request.remote, len(request.body) / HEAVY_BYTES)
        reply.send(dialect.refuse(_refused(dialect, refusal), request, call, self._nobody))

    def _obey(self, requests: Sequence[_Asked]) -> None:
        """Reads what is asked for, of all, and sets about it."""
        reader = self._reader
        ready = []
        for asked in requests:
            octets = len(asked.request.body) + len(asked.request.query)
            try:
                if octets <= MEASURED_BYTES and reader.is_idle:  # nearly always
                    ready.append((asked, self._read(asked)))
                elif reader.is_due_beside(asked.account.id, octets):
                    self._spawn(self._read_beside(asked, octets), asked.reply)
                else:
                    ready.append((asked, reader.within(asked.account.id, octets, partial(self._read, asked))))
            except Refusal as refusal:
                asked.refuse(refusal)
            except Exception as error:  # noqa: BLE001 - logged and answered; the others are served
                asked.reply.fail(error)
        for asked, wanted in ready:
            try:
                self._act(asked, wanted)
            except Refusal as refusal:
                asked.refuse(refusal)
            except Exception as error:  # noqa: BLE001 - logged and answered; the others are served
                asked.reply.fail(error)

    async def _read_beside(self, asked: _Asked, octets: int) -> None:
        try:
            self._act(asked, await self._reader.beside(asked.account.id, octets, lambda: self._read(asked)))
        except Refusal as refusal:
            asked.refuse(refusal)

    def _read(self, asked: _Asked) -> Placed | Command | Response:
        """What is asked for: messages with their places, a question, or the answer where it is known already. Pure, and
        called from a thread where that may take long. Raises Refusal."""
        return self._ready(asked, asked.dialect.read(asked.call, asked.account, asked.moment))

    def _ready(self, asked: _Asked, command: Command) -> Placed | Command | Response:
        account, moment = asked.account, asked.moment
        if isinstance(command, Send):
            windows = self._windows.of(account.settings)
            return accept_action.place(self._with_sender(command), moment.now, self._router, windows)
        if isinstance(command, Ready):
            return asked.dialect.write(command, asked.call, account)
        return command

    def _act(self, asked: _Asked, wanted: Placed | Command | Response) -> None:
        """Sets about what is asked for. Raises Refusal."""
        account = asked.account
        if isinstance(wanted, Placed):
            weight = len(wanted.states)
            commits = self._small if weight <= SMALL_WEIGHT else self._large
            if commits.commit.full and self._sending.of(account.id):
                raise Refusal("too_many_requests")
            placed = self.velocity.take(wanted, asked.moment.now)
            if not self._sending.begin(account.id, weight):
                self.velocity.give_back(placed)
                raise Refusal("too_many_requests")
            commits.commit.add(placed, lambda outcome: self._done(asked, placed, outcome))
            return
        if not self._rates.allow_question(account):
            self._refuse_late(asked)
            return
        if isinstance(wanted, SendToGroup):
            self._ask_database(asked, wanted, self._complete)
            return
        if isinstance(wanted, Response):
            asked.reply.send(wanted)
            return
        if isinstance(wanted, AddOptOut):
            self.velocity.take_opt_out(account, asked.moment.now)
        self._ask_database(asked, wanted, self._answer)

    def _at_play(self, account: Account, request: Request) -> Account:
        """An account in demo mode: with long numbers of nobody where its messages go to the phones only. Through an
        undeclared proxy nothing of the demo is there: raises Refusal for the demo's account."""
        is_demo = account.id == self._router.demo.account_id
        if is_demo and request.undeclared:
            raise Refusal("address_refused")
        at_home = (is_demo or self._router.demo.everyone) and not request.undeclared
        if at_home or not self._numbers_automatic:
            return account
        return msgspec.structs.replace(
            account, settings=msgspec.structs.replace(account.settings, numbers_own_only=True)
        )

    def _refuse_late(self, asked: _Asked) -> None:
        """Refuses what comes too often, a moment later: whoever asks again at once would keep us busy with refusals."""
        asyncio.get_running_loop().call_later(REFUSED_AFTER_S, asked.refuse, Refusal("too_many_requests"))

    def _with_sender(self, send: Send) -> Send:
        if send.sender:
            return send
        return msgspec.structs.replace(send, sender=send.account.settings.sender or self._sender_default)

    def _done(self, asked: _Asked, placed: Placed, outcome: Accepted | Refusal | BaseException) -> None:
        weight = len(placed.states)
        self._sending.end(asked.account.id, weight)
        if not isinstance(outcome, Accepted):
            self.velocity.give_back(placed)
        elif len(outcome.command.skipped) > len(placed.send.skipped):
            self.velocity.skipped(asked.account, len(outcome.command.skipped) - len(placed.send.skipped))
        try:
            if isinstance(outcome, Accepted):
                if weight > LARGE_ROWS:
                    self._spawn(self._write_beside(asked, outcome), asked.reply)
                else:
                    asked.reply.send(asked.dialect.write(outcome, asked.call, asked.account))
            elif isinstance(outcome, Refusal):
                asked.refuse(outcome)
            else:
                asked.refuse(Refusal("queue_failed"))
        except Exception as error:  # noqa: BLE001 - logged and answered; the batch's other answers must still leave
            asked.reply.fail(error)

    async def _write_beside(self, asked: _Asked, outcome: Accepted) -> None:
        """The answer to many messages. They are stored: whatever waits already, this is not refused."""
        asked.reply.send(await asyncio.to_thread(asked.dialect.write, outcome, asked.call, asked.account))

    def _ask_database(self, asked: _Asked, command: C, work: Callable[[_Asked, C], Coroutine[Any, Any, None]]) -> None:
        """Begins work that asks the database for an account. Raises Refusal if too much of that is under way."""
        if not self._asking.begin(asked.account.id):
            raise Refusal("too_many_requests")
        self._spawn(self._guarded(asked, command, work(asked, command)), asked.reply)

    async def _guarded(self, asked: _Asked, command: object, work: Coroutine[Any, Any, None]) -> None:
        """Answers the refusals of such work and the failures of the database."""
        try:
            await work
        except Refusal as refusal:
            asked.refuse(refusal)
        except (*CONNECTION_ERRORS, DatabaseError) as error:
            log.error("command_failed", command=type(command).__name__, error=type(error).__name__)
            asked.refuse(Refusal("queue_failed"), counts=False)
        finally:
            self._asking.end(asked.account.id)

    async def _complete(self, asked: _Asked, wanted: SendToGroup) -> None:
        """A send to a group: its contacts are read when it is the account's turn, and then it is a send like others."""
        account = asked.account
        everybody = ReadContacts(account, wanted.group, 1, RECIPIENTS_MAX + 1)  # one more is too many
        turn = await self._dear.turn(account.id)
        try:
            found = await read_contacts(self._questions, everybody, asked.moment)
        finally:
            turn.end()
        octets = len(found.entries) * OCTETS_A_CONTACT
        self._act(
            asked,
            await self._reader.beside(
                account.id, octets, lambda: self._ready(asked, wanted.complete(found.group, found.entries))
            ),
        )

    async def _answer(self, asked: _Asked, command: Command) -> None:
        """A command that has a connection to itself, when it is the account's turn.

        The place is free for others once the answer is written; the account begins its next dear question when its
        client has read this answer, so that no account has many long answers in memory. A question that had to wait
        is refused when its client has ended its side meanwhile: clients that gave up would keep others waiting.
        """
        turn = await (self._dear if is_dear(command) else self._cheap).turn(asked.account.id)
        try:
            if turn.waited and asked.reply.has_left and is_question(command):
                raise Refusal("too_many_requests")
            # Requests that came together have one moment. A command that draws something needs a chance of its own.
            moment = msgspec.structs.replace(asked.moment, chance=random.random())
            outcome = await answer(self._questions, command, moment)
            asked.reply.send(await written(asked.dialect, outcome, asked.call, asked.account))
            asked.reply.when_read(turn.end)
        except BaseException:
            turn.end()
            raise
        finally:
            turn.leave()

    # -- pages

    def _page(self, path: str) -> Page | None:
        page = self._pages.get(path)
        if page is None and path.startswith(self._folders):
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


class _Asked(msgspec.Struct):
    """One request on its way: in whose words, what, whose, when, and where the answer goes."""

    dialect: Dialect
    request: Request
    call: Call
    account: Account
    moment: Moment
    reply: Reply

    def refuse(self, refusal: Refusal, *, counts: bool = True) -> None:
        if counts:
            _refused(self.dialect, refusal)
        self.reply.send(self.dialect.refuse(refusal, self.request, self.call, self.account))


def _refused(dialect: Dialect, refusal: Refusal) -> Refusal:
    """The refusal, counted."""
    metrics().count("chappe_refused_total", dialect=dialect.NAME, code=refusal.code)
    return refusal
