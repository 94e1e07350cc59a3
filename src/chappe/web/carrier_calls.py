"""The addresses at which carriers' services call us: /carriers/NAME/SECRET/receipt and .../reply.

A wrong secret is a wrong key of its address, and is answered like a carrier that does not exist.
"""

from __future__ import annotations

import hmac
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, NamedTuple

from chappe.actions import carrier_calls
from chappe.carriers.calls import Calls
from chappe.carriers.registry import kind_of
from chappe.core.carrier_config import Carrier
from chappe.core.http import Request, Response
from chappe.observability.logs import get_logger
from chappe.store import carriers
from chappe.store.database import CONNECTION_ERRORS, RETRY_ERRORS, Database, DatabaseError
from chappe.web.key_guessing import Guesses

log = get_logger("chappe.web")

PREFIX: Final = "/carriers/"
BODY_BYTES_MAX: Final = 262_144
QUERY_BYTES_MAX: Final = 16_384
AT_ONCE_MAX: Final = 200
GOOD_KEPT_MAX: Final = 10_000

_TEXT: Final = "text/plain; charset=utf-8"
_NOTHING: Final = Response(404, _TEXT, b"There is nothing at this address.\n")
_AGAIN: Final = (("Retry-After", "5"),)
_BUSY: Final = Response(503, _TEXT, b"Try again in a moment.\n", _AGAIN)
_SLOWER: Final = Response(429, _TEXT, b"Too many wrong secrets from this address.\n", (("Retry-After", "60"),))
_LARGE: Final = Response(413, _TEXT, b"This is too large.\n")
_UNSIGNED: Final = Response(403, _TEXT, b"The signature is wrong.\n")
_METHOD: Final = Response(405, _TEXT, b"GET and POST are understood here.\n", (("Allow", "GET, POST"),))


class _Called(NamedTuple):
    carrier: Carrier
    calls: Calls


class CarrierCalls:
    """Takes the calls of one process. guesses: who tries wrong keys; told: called when webhooks may have been
    written."""

    def __init__(self, database: Database, guesses: Guesses, told: Callable[[], None]) -> None:
        self._database = database
        self.guesses = guesses
        self._told = told
        self._called: Mapping[str, _Called] | None = None  # not read yet
        self._good: OrderedDict[tuple[str, str], None] = OrderedDict()  # carriers, and where their secret came from
        self._under_way = 0

    def table(self) -> dict[str, Callable[[Request], Awaitable[Response]]]:
        """Which page is at which path, for Api."""
        return {PREFIX: self.take}

    async def refresh(self) -> None:
        """Reads the carriers again: called at the start and whenever the configuration changes."""
        found = {}
        for carrier in await carriers.all_carriers(self._database):
            try:
                calls = kind_of(carrier).calls(carrier)
            except ValueError as error:
                log.error("carrier_settings_unusable", carrier=carrier.name, error=str(error))
                continue
            if calls is not None and calls.secret:
                found[carrier.name] = _Called(carrier, calls)
        self._called = found

    async def take(self, request: Request) -> Response:
        """One call, answered after it is stored. A carrier that is switched off still hears of what it has sent."""
        name, _, rest = request.path.removeprefix(PREFIX).partition("/")
        secret, _, what = rest.partition("/")
        if self._called is None:
            return _BUSY
        one = self._called.get(name)
        known = (name, request.remote)
        if self.guesses.too_many(request.remote) and known not in self._good:
            return _SLOWER
        wanted = one.calls.secret if one is not None else ""
        right = hmac.compare_digest(secret.encode("utf-8", "replace"), wanted.encode())
        if one is None or not right or what not in (carrier_calls.RECEIPT, carrier_calls.REPLY):
            if not right or one is None:
                self.guesses.count(request.remote)
            return _NOTHING
        if request.method not in ("GET", "POST", "HEAD"):
            return _METHOD
        if len(request.body) > BODY_BYTES_MAX or len(request.query) > QUERY_BYTES_MAX:
            return _LARGE
        raw = one.calls.raw(request)
        if not raw:  # the provider's check of the address, the doctor, a browser
            return one.calls.response()
        if not one.calls.is_genuine(request, time.time()):
            self.guesses.count(request.remote)
            log.warning("carrier_call_unsigned", carrier=name, remote=request.remote)
            return _UNSIGNED
        self._remember(known)
        return await self._store(one, what, raw)

    async def _store(self, one: _Called, what: str, raw: bytes) -> Response:
        if self._under_way >= AT_ONCE_MAX:
            return _BUSY
        self._under_way += 1
        try:
            if await carrier_calls.receive(self._database, one.carrier, one.calls, what, raw):
                self._told()
        except (*CONNECTION_ERRORS, *RETRY_ERRORS, DatabaseError) as error:
            log.error("carrier_call_not_stored", carrier=one.carrier.name, error=type(error).__name__)
            return _BUSY
        finally:
            self._under_way -= 1
        return one.calls.response()

    def _remember(self, known: tuple[str, str]) -> None:
        self._good[known] = None
        self._good.move_to_end(known)
        if len(self._good) > GOOD_KEPT_MAX:
            self._good.popitem(last=False)
