"""Answers that take long to write, and those that no dialect gives."""

from __future__ import annotations

import asyncio

import msgspec

from chappe.core.contacts import Contacts, ContactsAdded
from chappe.core.http import Request, Response
from chappe.core.model import Account, MessagesFound, OptOuts, Outcome
from chappe.dialects import Call, Dialect
from chappe.web.reading import LARGE_ROWS


async def written(dialect: Dialect, outcome: Outcome, call: Call, account: Account) -> Response:
    """The answer to an outcome; a long one is written in a thread, since nobody else may wait for it."""
    if _rows(outcome) > LARGE_ROWS:
        return await asyncio.to_thread(dialect.write, outcome, call, account)
    return dialect.write(outcome, call, account)


def _rows(outcome: Outcome) -> int:
    if isinstance(outcome, MessagesFound):
        return sum(len(group) for group in outcome.groups if group)
    if isinstance(outcome, ContactsAdded):
        return len(outcome.results)
    return len(outcome.entries) if isinstance(outcome, OptOuts | Contacts) else 0


def nothing(request: Request) -> Response:
    """The answer at an address that nobody has: in JSON to a program that speaks it or brings a key."""
    sentence = "There is nothing at this address."
    headers = request.headers
    if "json" in headers.get("content-type", "") or "json" in headers.get("accept", "") or "authorization" in headers:
        body = msgspec.json.encode({"code": 404, "description": sentence})
        return Response(404, "application/json", body)
    return plain(404, sentence)


def plain(status: int, text: str) -> Response:
    """A sentence for people."""
    return Response(status, "text/plain; charset=utf-8", text.encode() + b"\n")
