"""What accounts and hosts have of the notifier: rows in hand, calls under way, and how far each may go.

An account may take more while it has less than what is still free. So one account can have half of everything, two can
have a third each, and the next one always finds something free. No number must be guessed, and nobody can fill the
whole (the dynamic thresholds of Choudhury and Hahne, made for buffers of switches).
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from chappe.store.webhook_hosts import account_of
from chappe.store.webhooks import Pending

CALLS_PER_HOST: Final = 20
CALLS_AT_FIRST: Final = 5  # of a host of which nothing is known: many dead ones must not hold all calls
CALLS_MAX: Final = 400
CALLS_DOUBTFUL_MAX: Final = 200  # of hosts that did not answer when last asked, or were never asked
TRUSTED_MAX: Final = 10_000
HAND_PER_HOST: Final = 200  # claimed ahead, so that a claim serves many calls
HAND_PER_CALL: Final = 10  # of a host that is not trusted, for each call that it may have at once
HAND_MAX: Final = 8_000  # enough for all calls, and few enough to look through in each round
TOLD_AGAIN_S: Final = 3_600.0  # the same of the same host
TOLD_MAX: Final = 10_000


class Host:
    """One host's queue and what is under way to it."""

    __slots__ = ("account", "calls", "calls_max", "in_hand", "number", "passed_over", "queue", "trusted")

    def __init__(self, number: int, account: Account, *, trusted: bool) -> None:
        self.number = number
        self.account = account
        self.queue: deque[Pending] = deque()
        self.in_hand: set[int] = set()  # webhooks claimed and not recorded yet: waiting, under way, or told
        self.passed_over = False  # it had enough waiting when others' were claimed
        self.calls = 0
        self.calls_max = CALLS_AT_FIRST
        self.trusted = trusted  # it answered when last called

    def answered(self, *, well: bool) -> None:
        """A host that does not answer has soon one call at once only; one that answers gets more and more."""
        self.calls_max = min(self.calls_max + 1, CALLS_PER_HOST) if well else max(self.calls_max // 2, 1)

    @property
    def hand_max(self) -> int:
        """So much is claimed ahead."""
        return HAND_PER_HOST if self.trusted else min(HAND_PER_HOST, HAND_PER_CALL * self.calls_max)


@dataclass(slots=True)
class Account:
    """What one account's hosts have together; those hosts first that got a call longest ago."""

    trusted: dict[int, Host] = field(default_factory=dict)
    doubted: dict[int, Host] = field(default_factory=dict)
    in_hand: int = 0
    calls: int = 0
    doubtful: int = 0  # of these, calls to hosts that were not trusted when they began

    def hosts(self, *, trusted: bool) -> dict[int, Host]:
        """Its hosts that answered when last called, or the others."""
        return self.trusted if trusted else self.doubted


class Trusted:
    """The hosts that answered when they were last called; the longest not called are forgotten."""

    def __init__(self) -> None:
        self._hosts: OrderedDict[int, None] = OrderedDict()

    def __contains__(self, number: int) -> bool:
        return number in self._hosts

    def answered(self, number: int, *, well: bool) -> None:
        if not well:
            self._hosts.pop(number, None)
            return
        self._hosts[number] = None
        self._hosts.move_to_end(number)
        if len(self._hosts) > TRUSTED_MAX:
            self._hosts.popitem(last=False)


class Seldom:
    """Of which hosts something was told lately; the longest ago is forgotten first."""

    def __init__(self) -> None:
        self._told: OrderedDict[int, float] = OrderedDict()

    def may_tell(self, number: int) -> bool:
        """Whether it has not been told of this host for a while; from now on it has."""
        now_s = asyncio.get_running_loop().time()
        if now_s - self._told.get(number, -TOLD_AGAIN_S) < TOLD_AGAIN_S:
            return False
        self._told[number] = now_s
        self._told.move_to_end(number)
        if len(self._told) > TOLD_MAX:
            self._told.popitem(last=False)
        return True


class Hosts:
    """The hosts that have something in hand, and what their accounts have."""

    def __init__(self) -> None:
        self.by_number: dict[int, Host] = {}
        self.trusted = Trusted()
        self.in_hand = 0
        self.calls = 0
        self.doubtful = 0  # of these, calls to hosts that were not trusted when they began
        self.accounts: dict[int, Account] = {}

    # ---- rows in hand

    def room(self, account_id: int) -> int:
        """How many more rows an account may have in hand: afterwards it has no more than what is free."""
        account = self.accounts.get(account_id)
        return max(0, (HAND_MAX - self.in_hand - (account.in_hand if account is not None else 0)) // 2)

    def wish(self, number: int) -> int:
        """How many more rows a host can use."""
        host = self.by_number.get(number)
        if host is not None:
            return max(1, host.hand_max - len(host.queue))
        return HAND_PER_HOST if number in self.trusted else HAND_PER_CALL * CALLS_AT_FIRST

    def take(self, pending: Pending) -> None:
        """A row was claimed."""
        host = self.by_number.get(pending.host)
        if host is None:
            account = self.accounts.setdefault(account_of(pending.host), Account())
            host = self.by_number[pending.host] = Host(pending.host, account, trusted=pending.host in self.trusted)
            account.hosts(trusted=host.trusted)[host.number] = host
        host.queue.append(pending)
        host.in_hand.add(pending.id)
        host.account.in_hand += 1
        self.in_hand += 1

    def give_back(self, host: Host, webhook_id: int) -> None:
        """A row was recorded, or is left to others."""
        if webhook_id in host.in_hand:
            host.in_hand.remove(webhook_id)
            host.account.in_hand -= 1
            self.in_hand -= 1
            if not host.in_hand:
                self._forget_if_idle(host)

    def _forget_if_idle(self, host: Host) -> None:
        if host.queue or host.calls or host.in_hand:
            return
        account = host.account
        del self.by_number[host.number]
        del account.hosts(trusted=host.trusted)[host.number]
        if not account.trusted and not account.doubted:
            del self.accounts[account_of(host.number)]

    # ---- calls

    def may_begin(self, account: Account, *, doubtful: bool) -> bool:
        """Whether one more call of an account may begin."""
        return account.calls < CALLS_MAX - self.calls and not (
            doubtful and account.doubtful >= CALLS_DOUBTFUL_MAX - self.doubtful
        )

    def to_begin(self) -> Iterator[Host]:
        """The hosts that have something waiting, by turns of accounts and hosts, as far as their accounts may call."""
        for account_id, account in list(self.accounts.items()):
            before = account.calls
            for trusted in (True, False):
                hosts = account.hosts(trusted=trusted)
                for number, host in list(hosts.items()) if self.may_begin(account, doubtful=not trusted) else ():
                    if not self.may_begin(account, doubtful=not trusted):
                        break
                    if host.queue and host.calls < host.calls_max:
                        calls = host.calls
                        yield host
                        if host.calls > calls:
                            hosts[number] = hosts.pop(number)
            if account.calls > before:
                self.accounts[account_id] = self.accounts.pop(account_id)

    def may_go_on(self, host: Host) -> bool:
        """Whether a call that has ended may be followed by another in its place: not when others need the room."""
        return host.calls <= host.calls_max and host.account.calls - 1 <= CALLS_MAX - self.calls

    def began(self, host: Host, *, doubtful: bool) -> None:
        """A call has begun."""
        host.calls += 1
        host.account.calls += 1
        self.calls += 1
        if doubtful:
            host.account.doubtful += 1
            self.doubtful += 1

    def ended(self, host: Host, *, doubtful: bool) -> None:
        """A call has ended."""
        host.calls -= 1
        host.account.calls -= 1
        self.calls -= 1
        if doubtful:
            self.cleared(host)
        self._forget_if_idle(host)

    def heard(self, host: Host, *, well: bool) -> None:
        """A host was called: whether it answered."""
        host.answered(well=well)
        if host.trusted != well:
            del host.account.hosts(trusted=host.trusted)[host.number]
            host.trusted = well
            host.account.hosts(trusted=well)[host.number] = host
        self.trusted.answered(host.number, well=well)

    def cleared(self, host: Host) -> None:
        """A host of which one had to doubt has answered, and the call goes on."""
        host.account.doubtful -= 1
        self.doubtful -= 1
