"""What stands behind a link in the tests of the contract of carriers: one network for each kind, one line each."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final, Protocol

from scripted_smsc import Smsc, listening

from chappe.carriers.kind import Given
from chappe.smpp.commands import Status
from chappe.smpp.pdu import DeliverSm

SECRET: Final = "hush5ecret"


class Network(Protocol):
    """A network that takes what it is sent, unless told otherwise."""

    given: Given
    """What an operator writes to reach it, with SECRET as every secret."""

    def say(self, what: str) -> None:
        """What it answers from now on: `yes`, `never` (refused for good), `later`, or `nothing` at all."""
        ...

    def written(self) -> int:
        """How many parts have reached it."""
        ...

    def reply(self, text: str) -> None:
        """A subscriber writes; the network sends it over the link's own connection."""
        ...

    def acknowledged(self) -> int:
        """To how many of what it sent it has our yes."""
        ...


class SmppNetwork:
    """An SMSC."""

    def __init__(self, smsc: Smsc) -> None:
        self._smsc = smsc
        quick = {"reconnect_delay_s_min": "0.01", "reconnect_delay_s_max": "0.02"}
        self.given = Given("127.0.0.1", smsc.port, "me", SECRET, window=3, settings=quick)

    def say(self, what: str) -> None:
        smsc = self._smsc
        status = {"never": Status.RINVDSTADR, "later": Status.RSYSERR}.get(what)
        if what == "yes":
            smsc.on_submit = smsc.take
        elif status is not None:
            smsc.on_submit = lambda wire, pdu: smsc.answer(wire, pdu, int(status))
        else:
            smsc.on_submit = lambda wire, pdu: None

    def written(self) -> int:
        return len(self._smsc.submits)

    def reply(self, text: str) -> None:
        octets = text.encode("ascii")  # the same in the GSM alphabet
        self._smsc.deliver(DeliverSm(source_addr=b"33600000001", destination_addr=b"36111", short_message=octets))

    def acknowledged(self) -> int:
        return sum(1 for _, status in self._smsc.answers if status == 0)


@asynccontextmanager
async def smpp() -> AsyncIterator[Network]:
    async with listening() as smsc:
        yield SmppNetwork(smsc)


NETWORKS: Final[Mapping[str, Callable[[], AbstractAsyncContextManager[Network]]]] = {
    "smpp": smpp,
}
REPLIES_OVER_HTTP: Final[frozenset[str]] = frozenset()
"""Kinds whose networks send replies to an address that we give them; reply() is not asked of these."""
