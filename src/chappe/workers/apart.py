"""A turn taken apart: what belongs together in it, so that one thing which the database refuses fails alone. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime

import msgspec

from chappe.carriers import MessageIn
from chappe.store.bind_turn import Turn
from chappe.workers.in_flight import Decisions

# The lists of a turn that go by a message, or by a receipt.
_ROWS = {"r_message": ("r_part", "r_ref"), "w_message": ("w_host",), "s_message": ("s_part", "s_ref")}
_RECEIPT = ("c_ref", "c_source", "c_state", "c_word", "c_error", "c_raw", "c_other", "c_reason", "c_oddity")


@dataclass(slots=True)
class Piece:
    """What a turn says of one message, or one receipt, or one message of a subscriber."""

    kind: str
    news: Turn = field(default_factory=Turn)
    decisions: Decisions = field(default_factory=Decisions)
    messages: list[MessageIn] = field(default_factory=list)
    arrivals: list[datetime] = field(default_factory=list)

    @property
    def message_ids(self) -> list[int]:
        """Whose results these are."""
        decided = (_id(row) for spec in fields(Decisions) for row in getattr(self.decisions, spec.name))
        return sorted({*self.news.r_message, *self.news.w_message, *decided})

    @property
    def raw(self) -> bytes:
        """It in octets: as it came from the carrier, where it did."""
        if self.messages:
            return self.messages[0].raw
        if self.news.c_raw:
            return self.news.c_raw[0]
        decided = {spec.name: [repr(row) for row in getattr(self.decisions, spec.name)] for spec in fields(Decisions)}
        return msgspec.json.encode({"news": self.news, "decisions": {k: rows for k, rows in decided.items() if rows}})


def apart(news: Turn, decisions: Decisions, messages: Sequence[MessageIn], arrivals: Sequence[datetime]) -> list[Piece]:
    """The pieces of a turn, in an order in which they may be written one after the other."""
    results: dict[int, Piece] = {}

    def of(message_id: int) -> Piece:
        return results.setdefault(message_id, Piece("result"))

    for key, others in _ROWS.items():
        for place, message_id in enumerate(getattr(news, key)):
            for name in (key, *others):
                getattr(of(message_id).news, name).append(getattr(news, name)[place])
    for spec in fields(Decisions):
        for row in getattr(decisions, spec.name):
            getattr(of(_id(row)).decisions, spec.name).append(row)
    receipts = []
    for place in range(len(news.c_ref)):
        piece = Piece("receipt")
        for name in _RECEIPT:
            getattr(piece.news, name).append(getattr(news, name)[place])
        receipts.append(piece)
    written = [
        Piece("message", messages=[message], arrivals=[at]) for message, at in zip(messages, arrivals, strict=True)
    ]
    return [*results.values(), *receipts, *written]


def together(pieces: Sequence[Piece]) -> Piece:
    """Pieces as one."""
    whole = Piece(pieces[0].kind)
    for piece in pieces:
        for name in Turn.__struct_fields__:
            getattr(whole.news, name).extend(getattr(piece.news, name))
        for spec in fields(Decisions):
            getattr(whole.decisions, spec.name).extend(getattr(piece.decisions, spec.name))
        whole.messages += piece.messages
        whole.arrivals += piece.arrivals
    return whole


def _id(row: object) -> int:
    """The message that a decision is about."""
    if isinstance(row, int):
        return row
    if isinstance(row, tuple):
        return int(row[0])
    return int(row.message_id)  # type: ignore[attr-defined]
