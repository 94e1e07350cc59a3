"""Replies as they are stored: what was read of a call, beside what the service said. Pure.

A call may hold several replies, and a carrier's settings may change before they are sorted; so each is stored as JSON
of its own, with what was read when it came.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final

import msgspec

from chappe.carriers.http.callbacks import Reply
from chappe.carriers.kind import Fragment, Text

SAID_CHARACTERS_MAX: Final = 20_000
_MARK: Final = b'{"kind":"http"'


class Stored(msgspec.Struct, frozen=True, tag_field="kind", tag="http"):
    """One reply. said: the call that it came in, cut where that is very long."""

    number: str
    to: str
    text: str
    reply_id: str = ""
    reference: str = ""
    total: int = 1
    part: int = 1
    said: str = ""


def stored(reply: Reply, call: bytes) -> bytes:
    """The octets of a reply, for MessageIn.raw."""
    said = call.decode("utf-8", "replace").replace("\x00", "")[:SAID_CHARACTERS_MAX]
    return msgspec.json.encode(Stored(*reply, said=said))


def key_of(reply: Reply, call: bytes) -> bytes:
    """MessageIn.key: by the service's id where there is one, else by all that was said."""
    if not reply.reply_id:
        return hashlib.sha256(call).digest()
    parts = (reply.reply_id, reply.number, reply.to, reply.reference, str(reply.part), reply.text)
    return hashlib.sha256("\x00".join(parts).encode("utf-8", "replace")).digest()


def message_of(reply: Reply | Stored) -> str:
    """MessageIn.message: what the parts of one long reply have in common."""
    return f"{reply.reference}:{reply.total}" if reply.total > 1 else ""


class StoredReader:
    """See carriers.kind.ReplyReader."""

    def read(self, raw: bytes) -> Fragment | None:
        if not raw.startswith(_MARK):
            return None
        try:
            found = msgspec.json.decode(raw, type=Stored)
        except msgspec.MsgspecError:
            return None
        return Fragment(
            message_of(found),
            _number(found.reference),
            found.part,
            found.total,
            found.text.encode("utf-8", "replace"),
            found.text,
        )

    def stored(self, raw: bytes) -> tuple[bytes, str]:
        found = self.read(raw)
        return hashlib.sha256(raw).digest(), "" if found is None else found.message

    def compose(self, fragments: Sequence[Fragment]) -> Text | None:
        texts: dict[int, str] = {}
        for fragment in fragments:
            texts.setdefault(fragment.part, fragment.content)
        total = fragments[0].parts
        whole = "".join(texts.get(part, _GAP) for part in range(1, total + 1))
        return Text(whole, tuple(texts[part] for part in sorted(texts)))


_GAP: Final = "[...]"


def _number(reference: str) -> int:
    """A reference as a number, which customers are told; of one that is none, some number of 16 bits."""
    if reference.isascii() and reference.isdecimal() and len(reference) <= 5:
        return int(reference) & 0xFFFF
    return int.from_bytes(hashlib.sha256(reference.encode("utf-8", "replace")).digest()[:2], "big") if reference else 0


__all__ = ["Stored", "StoredReader", "key_of", "message_of", "stored"]
