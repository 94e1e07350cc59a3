"""The built-in SMSC: an SMPP server on a socket, with phones behind it. Public entry of this room: Smsc."""

from __future__ import annotations

import asyncio
import hmac
import socket
import ssl
from collections import Counter
from dataclasses import replace
from itertools import count
from pathlib import Path

from chappe.carriers.smpp.transport import Wire
from chappe.core.http import Request, Response
from chappe.handset.api import Api
from chappe.handset.chaos import BindError, Chaos
from chappe.handset.link import Link
from chappe.handset.mailbox import Delivery
from chappe.handset.message_center import Exchange
from chappe.handset.requests import Requests
from chappe.handset.settings import Settings
from chappe.smpp import settings as session_settings
from chappe.smpp.commands import Status
from chappe.smpp.events import (
    Answered,
    AnsweredLate,
    BindRequested,
    Closed,
    Event,
    Nacked,
    Received,
    TimedOut,
)
from chappe.smpp.pdu import SubmitSm
from chappe.smpp.session import Role, Session, Timers

_STOP_S = 5.0  # how long sessions have to unbind
_BACKLOG = 1024


def tls_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """What `start` wants for TLS, 1.2 at least. Raises OSError and ssl.SSLError for files that are no good."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate, key)
    return context


class Smsc:
    """An SMSC in this process and event loop.

    `start` listens and gives the port; `page` answers HTTP requests for /handset and below; `stop` ends all sessions
    in good order. Messages and receipts outlive `stop` only in the journal.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or Settings()
        self.exchange = Exchange(self.settings, self._wake)
        self.links: dict[int, Link] = {}
        self._requests = Requests(self.exchange)
        self._api = Api(self)
        self._addresses: Counter[str] = Counter()
        self._numbers = count(1)
        self._server: asyncio.Server | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._woken = False
        self._loop: asyncio.AbstractEventLoop
        self._bind_error: BindError | None = None
        self._bind_error_until: float | None = None

    # -- the life of the server

    async def start(
        self,
        host: str = "127.0.0.1",
        port: int = 2775,
        tls: ssl.SSLContext | None = None,
        sock: socket.socket | None = None,
    ) -> int:
        """Listens, on a socket that is bound already when one is given; gives the port, which the system chooses when
        `port` is 0. Goes on where the journal ends. Raises OSError; JournalError for a file that is no journal."""
        self._loop = asyncio.get_running_loop()
        self.exchange.recall()
        if sock is not None:
            self._server = await self._loop.create_server(self._connection, sock=sock, ssl=tls, backlog=_BACKLOG)
        else:
            self._server = await self._loop.create_server(self._connection, host, port, ssl=tls, backlog=_BACKLOG)
        self._wake()
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Takes no more connections, unbinds what is bound, and ends; after _STOP_S at the latest."""
        if self._server is None:
            return
        server, self._server = self._server, None
        server.close()
        links = list(self.links.values())
        for link in links:
            link.wire.hold(False)
            link.session.unbind(link.wire.now())
            link.wire.flush()
        try:
            async with asyncio.timeout(_STOP_S):
                for link in links:
                    await link.wire.gone.wait()
        except TimeoutError:
            for link in links:
                link.wire.cut()
            for link in links:
                await link.wire.gone.wait()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.exchange.close()

    async def page(self, request: Request) -> Response:
        """Answers a request for /handset or below it; 404 for anything else."""
        return self._api.answer(request)

    def tick(self) -> None:
        """Does what is due by the clock; needed only by those who set the clock themselves."""
        due_at = self.exchange.tick()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if due_at is not None and self._server is not None:
            delay_s = max(0.0, due_at - self.settings.clock.monotonic())
            self._timer = self._loop.call_later(delay_s, self.tick)

    def _wake(self) -> None:
        """Sees to the timer at the end of this turn of the loop."""
        if not self._woken and self._server is not None:
            self._woken = True
            self._loop.call_soon(self._woken_up)

    def _woken_up(self) -> None:
        self._woken = False
        self.tick()

    # -- connections

    def _connection(self) -> asyncio.BaseProtocol:
        link = Link(next(self._numbers), self.settings.clock.wall(), self._handle)

        def make(now: float) -> Session:
            link.session = Session(self._session_settings(), now)
            link.session.answers_enquire_link = not self.exchange.judge.chaos.enquire_unanswered
            return link.session

        link.wire = Wire(make, link.events, connected=lambda wire: self._connected(link))
        return link.wire

    def _session_settings(self) -> session_settings.Settings:
        settings = self.settings
        timers = Timers(
            session_init_s=settings.session_init_s,
            response_s=settings.response_s,
            enquire_link_s=settings.enquire_link_s,
        )
        return session_settings.Settings(
            Role.SMSC,
            window=settings.delivery_window,
            timers=timers,
            interface_version=0x50,
            system_id=settings.name.encode("latin-1"),
            unanswered_max=settings.window,
            timeouts_max=settings.delivery_window,
        )

    def _connected(self, link: Link) -> None:
        settings = self.settings
        unbound = [other for other in self.links.values() if other.system_id is None]
        peer = link.wire.peer
        if len(unbound) >= settings.unbound_max:
            # Whoever connects to bind says so at once; the oldest has been silent for longest.
            unbound[0].wire.cut()
        if len(self.links) >= settings.sessions_max or self._addresses[peer] >= settings.sessions_per_address_max:
            link.wire.cut()
            return
        self.links[link.number] = link
        self._addresses[peer] += 1

    def _disconnected(self, link: Link, closed: Closed) -> None:
        if self.links.pop(link.number, None) is not None:
            self._addresses[link.wire.peer] -= 1
            if not self._addresses[link.wire.peer]:
                del self._addresses[link.wire.peer]
        waiting = [context for context in (*closed.outstanding, *closed.unsent) if isinstance(context, Delivery)]
        self.exchange.dispatch.leave(link, waiting)

    # -- what clients do

    def _handle(self, link: Link, events: list[Event]) -> None:
        exchange = self.exchange
        settled = not events  # the socket can be written to again
        for event in events:
            if isinstance(event, Received):
                if type(event.pdu) is SubmitSm:
                    exchange.submit(link, event.pdu, event.pdu.sequence)
                else:
                    self._requests.answer(link, event.pdu)
            elif isinstance(event, (Answered, AnsweredLate, Nacked)):
                if isinstance(event.context, Delivery):
                    exchange.dispatch.settle(event.context, event.status)
                settled = True
            elif isinstance(event, TimedOut):
                if isinstance(event.context, Delivery):
                    exchange.dispatch.settle(event.context, None)
                settled = True
            elif isinstance(event, BindRequested):
                self._bind(link, event)
            elif isinstance(event, Closed):
                self._disconnected(link, event)
                return
        if settled:
            exchange.dispatch.pump_for(link)
        self._press(link)
        exchange.commit()

    def _press(self, link: Link) -> None:
        """Who does not read our answers is not read either; nor is anybody while the switch says so."""
        stopped = self.exchange.judge.chaos.stop_reading and link.system_id is not None
        link.wire.hold(stopped or not link.wire.writable)

    def _bind(self, link: Link, event: BindRequested) -> None:
        chaos = self.exchange.judge.chaos
        if chaos.bind_unanswered:
            return
        status = self._bind_refusal() or self._wrong_credentials(event)
        system_id = event.request.system_id.decode("latin-1")
        if not status:
            link.system_id = system_id
        link.session.answer_bind(event.sequence, status)
        if status:
            return
        if chaos.bind_then_close:
            link.session.close("closed behind the bind")
            return
        self.exchange.dispatch.join(link)

    def _bind_refusal(self) -> int:
        """The status that the switch bind_error has for this bind, or 0."""
        error = self._bind_error
        if error is None:
            return 0
        if self._bind_error_until is not None and self.settings.clock.monotonic() >= self._bind_error_until:
            self._bind_error = None
            return 0
        if error.times is not None:
            self._bind_error = replace(error, times=error.times - 1) if error.times > 1 else None
        return error.status

    def _wrong_credentials(self, event: BindRequested) -> int:
        """One status for an unknown user and a wrong password, so that nobody learns which names exist."""
        wanted = self.settings
        if not wanted.system_id:
            return 0
        request = event.request
        same_name = hmac.compare_digest(request.system_id, wanted.system_id.encode("latin-1"))
        same_password = hmac.compare_digest(request.password, wanted.password.encode("latin-1"))
        return 0 if same_name and same_password else int(Status.RINVPASWD)

    # -- switches

    def set_chaos(self, chaos: Chaos, keys: set[str]) -> None:
        """Puts switches in force, for all sessions; `keys` are those that were named."""
        self.exchange.set_chaos(chaos, keys)
        if "bind_error" in keys:
            self._bind_error = error = chaos.bind_error
            for_s = error.for_s if error is not None else None
            self._bind_error_until = None if for_s is None else self.settings.clock.monotonic() + for_s
        for link in self.links.values():
            link.session.answers_enquire_link = not chaos.enquire_unanswered
            self._press(link)
