"""Accounts as this process knows them: by key, for as long as nobody tells that something changed."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from ipaddress import ip_address, ip_network
from typing import TypeVar

import msgspec

from chappe.core.errors import Refusal
from chappe.core.model import Account, AccountState
from chappe.core.pricelist import Tariff
from chappe.dialects import Credentials
from chappe.observability.logs import get_logger
from chappe.store import accounts
from chappe.store.database import CONNECTION_ERRORS, Database, DatabaseError
from chappe.web.key_guessing import Guesses

log = get_logger("chappe.web")

KEPT_MAX = 20_000
UNKNOWN_KEPT_MAX = 10_000
REMOTES_MAX = 64  # addresses remembered of one key
LOOKUPS_MAX = 2_000  # look-ups under way at once
FRESH_S = 30.0  # how old a cached account may be should the news of a change be lost
UNKNOWN_FRESH_S = 1.0

T = TypeVar("T")
Found = Callable[[Account | Refusal], None]


class AccountBook:
    """Looks accounts up by credentials. A hit answers at once; misses of the same key share one query.

    Who tries many wrong keys is told to slow down, whatever keys he tries then: but for those that were right from his
    address before, so that a neighbour at the same address is served on. A key is looked up by its hash, so that how
    long that takes says nothing about it.
    """

    def __init__(
        self,
        database: Database,
        now: Callable[[], float],
        stop_mention: str,
        senders_denied: tuple[str, ...] = (),
        *,
        numbers_own_only: bool = False,
    ) -> None:
        self._database = database
        self._now = now
        self._stop_mention = stop_mention
        self._senders_denied = senders_denied
        self._numbers_own_only = numbers_own_only
        self.guesses = Guesses(now)
        self._known: OrderedDict[str, tuple[Account, float, set[str]]] = OrderedDict()
        # Where each key was right from; outlives what is known of its account.
        self._remotes: OrderedDict[str, set[str]] = OrderedDict()
        self._unknown: OrderedDict[str, float] = OrderedDict()
        self._asked: dict[str, list[tuple[Credentials, str, Found]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._generation = 0

    def forget(self) -> None:
        """Something changed: everything is looked up anew."""
        self._known.clear()
        self._unknown.clear()
        self._generation += 1

    def known(self, credentials: Credentials, remote: str) -> Account | Refusal | None:
        """The account of a key that was right from this address before, or the Refusal that its caller deserves; None
        where find() has to be asked."""
        entry = self._known.get(credentials.key)
        if entry is None or remote not in entry[2] or entry[1] <= self._now():
            return None
        return self._checked(entry[0], credentials, remote)

    def find(self, credentials: Credentials, remote: str, found: Found) -> None:
        """Calls `found` with the account, or with the Refusal that its caller deserves; at once when it is known."""
        judged = self.known(credentials, remote)
        if judged is not None:
            found(judged)
            return
        key = credentials.key
        entry = self._known.get(key)
        if self.guesses.too_many(remote) and remote not in self._remotes.get(key, ()):
            found(Refusal("too_many_requests"))
        elif entry is not None and entry[1] > self._now():
            found(self._judged(entry[0], credentials, remote))
        elif self._unknown.get(key, 0.0) > self._now():
            found(self._judged(None, credentials, remote))
        else:
            self._look_up(credentials, remote, found)

    def _look_up(self, credentials: Credentials, remote: str, found: Found) -> None:
        waiting = self._asked.get(credentials.key)
        if waiting is not None:
            waiting.append((credentials, remote, found))
            return
        if len(self._asked) >= LOOKUPS_MAX:
            found(Refusal("too_many_requests"))
            return
        self._asked[credentials.key] = [(credentials, remote, found)]
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
                numbers_own_only=own.numbers_own_only or self._numbers_own_only,
                prices=Tariff(own.prices),
            )
            account = msgspec.structs.replace(account, settings=settings)
        if generation == self._generation:
            self._keep(key, account)
        for credentials, remote, found in self._asked.pop(key):
            found(self._judged(account, credentials, remote))

    def _keep(self, key: str, account: Account | None) -> None:
        if account is None:
            self._remotes.pop(key, None)
            _put(self._unknown, key, self._now() + UNKNOWN_FRESH_S, UNKNOWN_KEPT_MAX)
            return
        remotes = self._remotes.get(key, set())
        _put(self._remotes, key, remotes, KEPT_MAX)
        _put(self._known, key, (account, self._now() + FRESH_S, remotes), KEPT_MAX)

    def _judged(self, account: Account | None, credentials: Credentials, remote: str) -> Account | Refusal:
        """As _checked; and remembers of the address whether it was right."""
        judged = self._checked(account, credentials, remote)
        if isinstance(judged, Refusal):
            if judged.code == "key_unknown":
                self.guesses.count(remote)
            return judged
        remotes = self._remotes.get(credentials.key)
        if remotes is not None:
            if len(remotes) >= REMOTES_MAX:
                remotes.pop()
            remotes.add(remote)
        return judged

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


def _put(kept: OrderedDict[str, T], key: str, value: T, kept_max: int) -> None:
    """Puts a value in as the newest; the oldest leave."""
    kept[key] = value
    kept.move_to_end(key)
    while len(kept) > kept_max:
        kept.popitem(last=False)


def _is_among(remote: str, networks: tuple[str, ...]) -> bool:
    try:
        return any(ip_address(remote) in ip_network(network, strict=False) for network in networks)
    except ValueError:  # no address at all, as of a local socket; or a network that is none
        return False
