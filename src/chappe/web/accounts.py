"""Accounts as this process knows them: by key, for as long as nobody tells that something changed."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from ipaddress import ip_address, ip_network

import msgspec
import structlog

from chappe.core.errors import Refusal
from chappe.core.model import Account, AccountState
from chappe.dialects import Credentials
from chappe.store import accounts
from chappe.store.database import CONNECTION_ERRORS, Database, DatabaseError

log = structlog.get_logger("chappe.web")

KEPT_MAX = 20_000
FRESH_S = 30.0  # how old a cached account may be should the news of a change be lost
UNKNOWN_FRESH_S = 1.0

Found = Callable[[Account | Refusal], None]


class AccountBook:
    """Looks accounts up by credentials. A hit answers at once; misses of the same key share one query."""

    def __init__(
        self, database: Database, now: Callable[[], float], stop_mention: str, senders_denied: tuple[str, ...] = ()
    ) -> None:
        self._database = database
        self._now = now
        self._stop_mention = stop_mention
        self._senders_denied = senders_denied
        self._known: OrderedDict[str, tuple[Account | None, float]] = OrderedDict()
        self._asked: dict[str, list[tuple[Credentials, str, Found]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._generation = 0

    def forget(self) -> None:
        """Something changed: everything is looked up anew."""
        self._known.clear()
        self._generation += 1

    def find(self, credentials: Credentials, remote: str, found: Found) -> None:
        """Calls `found` with the account, or with the Refusal that its caller deserves; at once when it is known."""
        entry = self._known.get(credentials.key)
        if entry is not None and entry[1] > self._now():
            found(self._checked(entry[0], credentials, remote))
            return
        waiting = self._asked.setdefault(credentials.key, [])
        waiting.append((credentials, remote, found))
        if len(waiting) == 1:
            task = asyncio.get_running_loop().create_task(self._ask(credentials.key))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _ask(self, key: str) -> None:
        generation = self._generation
        try:
            account = await accounts.by_key(self._database, key)
        except (*CONNECTION_ERRORS, DatabaseError, ValueError, msgspec.MsgspecError) as error:
            # Also settings of another version, and keys that no encoding can write: whoever asks gets an answer.
            log.error("account_unreadable", error=type(error).__name__)
            for _, _, found in self._asked.pop(key):
                found(Refusal("queue_failed"))
            return
        if account is not None:
            own = account.settings
            settings = msgspec.structs.replace(
                own,
                stop_mention=own.stop_mention or self._stop_mention,
                senders_denied=own.senders_denied + self._senders_denied,
            )
            account = msgspec.structs.replace(account, settings=settings)
        if generation == self._generation:
            self._known[key] = (account, self._now() + (FRESH_S if account else UNKNOWN_FRESH_S))
            while len(self._known) > KEPT_MAX:
                self._known.popitem(last=False)
        for credentials, remote, found in self._asked.pop(key):
            found(self._checked(account, credentials, remote))

    def _checked(self, account: Account | None, credentials: Credentials, remote: str) -> Account | Refusal:
        if account is None or (credentials.login and credentials.login.lower() != account.login.lower()):
            return Refusal("key_unknown")
        if account.state is not AccountState.ACTIVE:
            return Refusal("account_disabled" if account.state is AccountState.DISABLED else "account_blocked")
        if not account.api_enabled:
            return Refusal("access_denied")
        allowed = account.settings.addresses_allowed
        if allowed and not _is_among(remote, allowed):
            return Refusal("address_refused")
        return account


def _is_among(remote: str, networks: tuple[str, ...]) -> bool:
    try:
        return any(ip_address(remote) in ip_network(network, strict=False) for network in networks)
    except ValueError:  # no address at all, as of a local socket; or a network that is none
        return False
