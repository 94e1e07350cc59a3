"""How we speak to networks: the contract of a link to a carrier. What a kind of carrier is: kind.py; the kinds:
registry.py.

A link is one bind. It never waits for the database and the database never waits for it: the worker hands messages
over, the link puts what comes of them into lists, calls `wake`, and the worker takes the lists when it has its turn.
What the link has received it acknowledges to the carrier only when the worker says that it is stored.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Final, Protocol

import msgspec

from chappe.core.carrier_config import Carrier
from chappe.core.errors import FaultKind


class Outgoing(msgspec.Struct, frozen=True, gc=False):
    """One message to send, whole: the link cuts and encodes it as its carrier wants.

    parts_done: bit n set when part n (from 1) was taken by this carrier before and must not be sent again. valid_until:
    how long the network may try at most, as the wall clock shows it in seconds since 1970; 0 leaves it to the carrier's
    profile. not_after: from when on, by the same clock, it must not be written any more: its sending window has closed,
    or it has waited so long that its number may have opted out; its parts come back as UNSENT. 0: any time.
    """

    message_id: int
    recipient: str
    sender: str
    text: str
    unicode: bool = False
    flash: bool = False
    parts_done: int = 0
    valid_until: float = 0
    not_after: float = 0


TAKEN: Final = None
"""PartResult.fault of a part that the carrier has: no fault."""


class PartResult(msgspec.Struct, frozen=True, gc=False):
    """What became of one part. part is 0 for the only part of a message, else counted from 1; parts: how many the link
    made of the message.

    fault: TAKEN when the carrier has the part, under the id carrier_ref; else what may be done about it. reason: a
    stable word for customers; detail: for the operator; attempts_max: where this fault is worth fewer attempts than
    others; other_route: what is refused for good is refused by this carrier only, and another one may take it.
    """

    message_id: int
    part: int
    parts: int
    fault: FaultKind | None
    carrier_ref: str = ""
    reason: str = ""
    detail: str = ""
    attempts_max: int | None = None
    late: bool = False  # the answer came after the part had been given as in doubt
    other_route: bool = False


class ReceiptIn(msgspec.Struct, frozen=True, gc=False):
    """A receipt. state: the lifecycle's number, None for news that ends nothing; raw: as it came, for kind.Ids.

    other: another id that it has as well; reason: our word for the error, where the carrier's table has it; oddities:
    words for what was unusual, `by_text` for a receipt that anybody can have written.
    """

    token: int
    carrier_ref: str
    source: str
    state: int | None
    word: str
    error: str
    raw: bytes
    other: str = ""
    reason: str = ""
    oddities: tuple[str, ...] = ()


class MessageIn(msgspec.Struct, frozen=True):
    """A message of a subscriber, or one part of it, or anything that is no receipt.

    raw: as it came, in a form that the kind's reader (kind.ReplyReader) can read at any later time, with whatever
    settings the carrier has then. key: equal when the carrier sends the same once more, and else different. message:
    what the parts of one message have in common, beside their addresses; empty for one that stands alone. arrived_s:
    the loop's time then.
    """

    token: int
    source: str
    destination: str
    raw: bytes
    key: bytes
    message: str = ""
    arrived_s: float = 0.0


class LinkState(enum.Enum):
    """What the operator sees."""

    DOWN = "down"
    CONNECTING = "connecting"
    BOUND = "bound"
    REFUSED = "refused"  # the carrier refuses our credentials
    PAUSED = "paused"  # by the breaker: every message would fail


class Link(Protocol):
    """One bind of one carrier, from start() to stop()."""

    state: LinkState
    detail: str

    def allow(self, until: float) -> None:
        """Nothing is submitted from `until` on, by the loop's clock: then another process may drive this bind. What
        waits goes on when a later time is given; without any it always may."""
        ...

    def free(self) -> int:
        """How many parts it takes now: the free window, less what waits, as the pace allows; 0 when not bound."""
        ...

    def send(self, messages: Sequence[Outgoing]) -> None:
        """Takes messages; a PartResult follows for each of their parts that is not in parts_done."""
        ...

    def drop(self, message_id: int) -> None:
        """Gives back, as UNSENT, the parts of a message that are not written yet."""
        ...

    def pending(self) -> int:
        """How many results and receipts wait to be taken."""
        ...

    def take_results(self) -> list[PartResult]: ...
    def take_receipts(self) -> list[ReceiptIn]: ...
    def take_messages(self) -> list[MessageIn]: ...

    def acknowledge(self, tokens: list[int], *, stored: bool = True) -> list[int]:
        """Answers what was received, after it was stored; or with a temporary error when it could not be. Gives the
        tokens whose answer could be written: where the connection was gone, the carrier will send the same again."""
        ...

    def follow(self, carrier: Carrier) -> None:
        """What was learnt of the carrier acts from now on, without a new session."""
        ...

    def figures(self) -> dict[str, float]:
        """Counts and gauges for the operator."""
        ...

    async def start(self) -> None: ...

    async def stop(self, grace_s: float = 10.0) -> None:
        """Ends in good order: what is written gets its answer, what is not comes back as UNSENT."""
        ...
