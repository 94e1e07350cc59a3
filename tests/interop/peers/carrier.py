"""Our link to a carrier with the worker's part played: what it tells is taken at once, kept here, acknowledged."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Self

from chappe.carriers import LinkState, MessageIn, Outgoing, PartResult, ReceiptIn
from chappe.carriers.smpp.link import SmppLink
from chappe.core.errors import FaultKind
from chappe.smpp import concatenation, pdu
from chappe.smpp.profile import profile

WAIT_S = 10.0
SENDER = "CHAPPE"
RECIPIENT = "+33639980001"
QUICK = {"reconnect_delay_s_min": "0.05", "reconnect_delay_s_max": "0.2"}


class Carrier:
    """`async with Carrier(port) as carrier`; `results`, `receipts` and `messages` are what came so far."""

    def __init__(
        self,
        port: int,
        presets: str = "generic",
        *,
        host: str = "127.0.0.1",
        system_id: str = "chappe",
        password: str = "secret",
        window: int = 10,
        acknowledging: bool = True,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self.profile = profile(presets, {**QUICK, **(settings or {})})
        self.results: list[PartResult] = []
        self.receipts: list[ReceiptIn] = []
        self.messages: list[MessageIn] = []
        self.acknowledging = acknowledging
        self._news = asyncio.Event()
        self._number = 0
        self.link = SmppLink(
            "peer", host, port, system_id, password, window, self.profile.rate_per_s, self.profile, self.take
        )

    async def __aenter__(self) -> Self:
        await self.link.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.link.stop(grace_s=5.0)

    async def bound(self) -> None:
        await self.state(LinkState.BOUND)

    async def state(self, wanted: LinkState) -> None:
        await self.until(lambda: self.link.state is wanted)

    async def until(self, condition: Callable[[], Any]) -> Any:
        """Waits until the condition is true, looking again whenever the link wakes its worker and each 20 ms (its
        state changes without a word); gives its value. Raises TimeoutError."""
        async with asyncio.timeout(WAIT_S):
            while not (found := condition()):
                try:
                    await asyncio.wait_for(self._news.wait(), 0.02)
                except TimeoutError:
                    continue
                self._news.clear()
        return found

    def send(self, text: str, *, unicode: bool = False, flash: bool = False, recipient: str = RECIPIENT) -> int:
        """Hands a message over, as a worker does that has asked free(); gives its number."""
        self._number += 1
        self.link.send([Outgoing(self._number << 8, recipient, SENDER, text, unicode, flash)])
        return self._number << 8

    async def sent(self, text: str, *, unicode: bool = False, flash: bool = False) -> list[PartResult]:
        """Sends a message and gives the results of all its parts, in the order of the parts."""
        number = self.send(text, unicode=unicode, flash=flash)
        found: list[PartResult] = await self.until(
            lambda: len(rows := self.of(number)) and len(rows) == rows[0].parts and rows
        )
        return sorted(found, key=lambda row: row.part)

    def of(self, number: int) -> list[PartResult]:
        return [row for row in self.results if row.message_id == number]

    def faults(self) -> list[FaultKind | None]:
        return [row.fault for row in self.results]

    def joined(self) -> concatenation.Joined:
        """The messages that came so far as the parts of one."""
        deliveries = [pdu.decode(message.raw) for message in self.messages]
        return concatenation.join(
            [
                concatenation.read(delivery.esm_class, delivery.short_message, delivery.tlvs)
                for delivery in deliveries
                if isinstance(delivery, pdu.DeliverSm)
            ]
        )

    def take(self) -> None:
        """What a worker does when the link wakes it."""
        self.results += self.link.take_results()
        receipts = self.link.take_receipts()
        messages = self.link.take_messages()
        self.receipts += receipts
        self.messages += messages
        if self.acknowledging:
            # Never from inside the link's own call, as a worker would not either.
            tokens = [receipt.token for receipt in receipts] + [message.token for message in messages]
            if tokens:
                asyncio.get_running_loop().call_soon(self.link.acknowledge, tokens)
        self._news.set()
