"""The kinds of carriers: the visible table, one line each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from types import MappingProxyType
from typing import Final

import msgspec

from chappe.carriers.http.kind import HTTP
from chappe.carriers.kind import Fragment, Kind, Policy, ReplyReader, Text
from chappe.carriers.smpp.kind import SMPP
from chappe.core.carrier_config import Carrier

KINDS: Final[Mapping[str, Kind]] = MappingProxyType(
    {
        SMPP.name: SMPP,
        HTTP.name: HTTP,
    }
)


def kind_of(carrier: Carrier) -> Kind:
    """The kind of a stored carrier; raises ValueError for one that this version does not know."""
    found = KINDS.get(carrier.kind)
    if found is None:
        raise ValueError(f"unknown kind {carrier.kind[:40]}")
    return found


def policy_of(carrier: Carrier) -> Policy:
    """What the workers ask of a carrier; raises ValueError for settings that no longer mean anything."""
    return kind_of(carrier).policy(carrier)


def silence_of(carrier: Carrier) -> timedelta:
    """After how long without a receipt a message is given up; raises ValueError like policy_of."""
    return timedelta(seconds=policy_of(carrier).silence_s)


def rules_of(carrier: Carrier) -> tuple[str, float]:
    """What becomes of messages in doubt: policy, and seconds of grace; raises ValueError like policy_of."""
    found = policy_of(carrier)
    return found.uncertain, found.uncertain_grace_s


def rest_of(carrier: Carrier) -> float:
    """Seconds that the carrier wants between the end of a session and the next, whoever makes it; raises ValueError
    like policy_of."""
    return policy_of(carrier).rest_s


def reader_of(carrier: Carrier | None) -> ReplyReader:
    """Reads stored messages of a carrier's subscribers; where the carrier is gone, those of any kind."""
    found = None if carrier is None else KINDS.get(carrier.kind)
    return _AnyReader() if found is None else found.reader(carrier)


class _AnyReader:
    """Reads what some kind can read. No two kinds take the same octets for a message: a PDU begins with its length, a
    request over HTTP is stored as JSON."""

    def __init__(self) -> None:
        self._readers = [kind.reader(None) for kind in KINDS.values()]

    def read(self, raw: bytes) -> Fragment | None:
        for reader in self._readers:
            if (found := reader.read(raw)) is not None:
                return msgspec.structs.replace(found, content=(reader, found))
        return None

    def stored(self, raw: bytes) -> tuple[bytes, str]:
        for reader in self._readers:
            if reader.read(raw) is not None:
                return reader.stored(raw)
        return self._readers[0].stored(raw)

    def compose(self, fragments: Sequence[Fragment]) -> Text | None:
        reader: ReplyReader = fragments[0].content[0]
        return reader.compose([fragment.content[1] for fragment in fragments])


__all__ = ["KINDS", "kind_of", "policy_of", "reader_of", "rest_of", "rules_of", "silence_of"]
