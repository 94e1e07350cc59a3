"""A translator on the road: it changes whole PDUs of the SMSC, and says what no phone of the handset can say."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from chappe.smpp.framer import Framer
from chappe.smpp.header import HEADER
from chappe.smpp.pdu import DeliverSm, DeliverSmResp

Retell = Callable[[bytes], bytes]
OWN_SEQUENCE = 0x4000_0000
"""Sequence numbers from here on are the translator's own: the SMSC does not hear the answers to them."""


class Translation:
    """One connection's translator. retell: what becomes of each PDU of the SMSC. answered: the status of each own PDU,
    by its sequence number.

    A deliver_sm may be retold with the sequence number 0: its answer gets the number back that the SMSC knows.
    """

    def __init__(self, retell: Retell, answered: dict[int, int]) -> None:
        self._retell = retell
        self._answered = answered
        self._from_smsc, self._from_us = Framer(), Framer()
        self._numberless: deque[int] = deque()

    def back(self, octets: bytes) -> bytes:
        """The octets that Chappe receives for these octets of the SMSC."""
        return b"".join(self._retold(frame) for *_, frame in self._from_smsc.feed(octets))

    def _retold(self, frame: bytes) -> bytes:
        told = self._retell(frame)
        _, command, _, sequence = HEADER.unpack_from(told)
        if command == DeliverSm.command_id and sequence == 0:
            self._numberless.append(HEADER.unpack_from(frame)[3])
        return told

    def there(self, octets: bytes) -> bytes:
        """The octets that the SMSC receives for these octets of Chappe."""
        heard = []
        for command, status, sequence, frame in self._from_us.feed(octets):
            if command != DeliverSmResp.command_id:
                heard.append(frame)
            elif sequence >= OWN_SEQUENCE:
                self._answered[sequence] = status
            else:
                number = sequence or self._numberless.popleft()
                heard.append(HEADER.pack(len(frame), command, status, number) + frame[HEADER.size :])
        return b"".join(heard)
