"""How customers speak to us: the contract of a dialect, and the table of those we speak.

A dialect is a module: pure functions from a request to a command, from an outcome to a response, from an event to a
webhook. It neither knows the time nor the database: the account and the moment are given to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import msgspec

from chappe.core.errors import Refusal
from chappe.core.http import Request, Response
from chappe.core.model import Account, AccountSettings, Command, Moment, Outcome, Reply, Report
from chappe.core.pricelist import PriceList


class Credentials(msgspec.Struct, frozen=True):
    """Who the caller says to be: login is empty in dialects that have only keys."""

    key: str
    login: str = ""


class Call(msgspec.Struct, frozen=True):
    """A request that could be read: whose, what method of the API, in which form the answer is wanted, with what
    values.

    values is the dialect's own: whatever its read() needs.
    """

    credentials: Credentials
    verb: str
    format: str = "json"
    values: object = None


class WebhookCall(msgspec.Struct, frozen=True):
    """One outgoing HTTP request, ready for net."""

    method: str
    url: str
    content_type: str = ""
    body: bytes = b""


class Dialect(Protocol):
    """What a module of this room offers.

    matches: whether the provider has a page at this path (percent-decoded): exactly, so that providers can live side by
    side. Below its mount and on its hosts (registry.Directory) a dialect gets every path, and refuses what it lacks.
    open: raises Refusal when the request cannot be read or names no credentials; refuse() words that. A Response is the
    answer to what needs neither account nor data.
    read: what is asked for; raises Refusal. Account and moment are the caller's.
    write: the answer to an outcome. refuse: the answer to any code of REFUSAL.CODES; total. `request` is given for
    what the format depends on when there is no call, `account` where its settings change the answer. REFUSAL: the class
    of the refusals that it raises itself; core's codes are among them.
    prices: what a part of an ordinary message costs the account. PUBLIC_IDS: whether its customers know each message
    by a public id. CALLS_PER_MINUTE: how often an account may use a verb, by verb, where the provider says so.
    tell, tell_reply: an event in this provider's words; a long reply may be one call a part.
    """

    @property
    def NAME(self) -> str: ...
    @property
    def REFUSAL(self) -> type[Refusal]: ...
    @property
    def PUBLIC_IDS(self) -> bool: ...
    @property
    def CALLS_PER_MINUTE(self) -> Mapping[str, int]: ...

    def matches(self, path: str) -> bool: ...
    def open(self, request: Request) -> Call | Response: ...
    def read(self, call: Call, account: Account, moment: Moment) -> Command: ...
    def write(self, outcome: Outcome, call: Call, account: Account | None = None) -> Response: ...
    def refuse(
        self, refusal: Refusal, request: Request, call: Call | None = None, account: Account | None = None
    ) -> Response: ...
    def prices(self, settings: AccountSettings) -> PriceList: ...
    def tell(self, report: Report) -> WebhookCall: ...
    def tell_reply(self, reply: Reply) -> tuple[WebhookCall, ...]: ...
