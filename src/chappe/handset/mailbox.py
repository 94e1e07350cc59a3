"""What waits to be delivered to the users of one system_id, in order, until it is acknowledged; pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from chappe.handset.phones import Part
from chappe.smpp.pdu import DeliverSm


@dataclass(slots=True, repr=False, eq=False)
class Delivery:
    """One deliver_sm: a receipt of `part` (its report number `index`), or, when part is None, a part of a reply.

    key: what the journal calls it; 0 for what is not remembered over a restart.
    """

    system_id: str
    pdu: DeliverSm
    part: Part | None = None
    index: int = 0
    key: int = 0
    attempts: int = 0
    done: bool = False


class Mailbox:
    """Deliveries that are ready to be sent; those under way are with their sessions."""

    __slots__ = ("ready",)

    def __init__(self) -> None:
        self.ready: deque[Delivery] = deque()

    def put(self, delivery: Delivery) -> None:
        """One more, behind all others."""
        self.ready.append(delivery)

    def give_back(self, deliveries: Iterable[Delivery]) -> None:
        """Those of a session that ended, in the order of sending: they are the first again."""
        self.ready.extendleft(reversed([delivery for delivery in deliveries if not delivery.done]))


def retry_delay_s(attempts: int, delay_s_min: float, delay_s_max: float) -> float:
    """How long after its failure number `attempts` (from 1) a delivery waits: doubled each time, up to the maximum."""
    doublings = min(attempts - 1, 30)
    return float(min(delay_s_min * 2**doublings, delay_s_max))
