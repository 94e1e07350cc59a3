"""What outlives a restart: keeps the journal in step with what happens, and brings back what was in it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from chappe.handset import journal
from chappe.handset.journal import Journal
from chappe.handset.mailbox import Delivery
from chappe.handset.phones import Part, Phones, piece_of
from chappe.observability.logs import get_logger
from chappe.smpp.error_codes import ReceiptState

log = get_logger(__name__)


@dataclass(slots=True)
class Recalled:
    """What a journal had in it: receipts that are still due (seconds since 1970), replies that nobody took."""

    receipts: list[tuple[Part, int, float]] = field(default_factory=list)
    replies: list[Delivery] = field(default_factory=list)
    number_max: int = 0


class Memory:
    """The memory of one exchange; without a path it forgets everything at once.

    A disk that refuses is logged, and from then on nothing is remembered: a test device goes on without.
    """

    def __init__(self, path: Path | None, phones: Phones) -> None:
        self._journal = Journal(path) if path is not None else None
        self._phones = phones
        self._open: dict[int, tuple[Part, dict[int, float]]] = {}  # by the number of the part
        self._replies: dict[int, Delivery] = {}
        self._dirty = False

    def recall(self, now: float) -> Recalled:
        """Fills the phones with what the journal has, and gives the rest; `now` is monotonic. Raises JournalError,
        OSError."""
        recalled = Recalled()
        if self._journal is None:
            return recalled
        for entry in self._journal.read():
            if isinstance(entry, journal.Taken):
                self._recall_part(entry, now)
                recalled.number_max = max(recalled.number_max, entry.number)
            elif isinstance(entry, journal.Reported):
                self._close(entry.number, entry.index, acknowledged=True)
            elif isinstance(entry, journal.Replied):
                delivery = Delivery(entry.system_id, journal.deliver_of(entry.body), key=entry.key)
                self._replies[entry.key] = delivery
                recalled.number_max = max(recalled.number_max, entry.key)
            elif isinstance(entry, journal.Heard):
                self._replies.pop(entry.key, None)
            elif isinstance(entry, journal.Cancelled):
                self._recall_cancel(entry.number)
            else:
                self._phones.clear()
        self._journal.rewrite(self._alive())
        recalled.receipts = [(part, index, at) for part, due in self._open.values() for index, at in due.items()]
        recalled.replies = list(self._replies.values())
        return recalled

    def _recall_part(self, entry: journal.Taken, now: float) -> None:
        part = journal.part_of(entry)
        if entry.shown:
            self._phones.take(part, piece_of(part.pdu), now)
        if entry.due_at:
            self._open[part.number] = (part, dict(entry.due_at))

    def _recall_cancel(self, number: int) -> None:
        part, _ = self._open.get(number, (None, None))
        if part is not None:
            part.cancelled = True
            part.state = ReceiptState.DELETED

    # -- what happens

    def taken(self, part: Part, due_at: dict[int, float]) -> None:
        """A part was taken; which of its reports is due when, in seconds since 1970."""
        if self._journal is not None:
            if due_at:
                self._open[part.number] = (part, due_at)
            self._add(journal.taken_of(part, due_at, shown=True))

    def reported(self, part: Part, index: int) -> None:
        """A receipt is done with."""
        if self._journal is not None and self._close(part.number, index, acknowledged=False):
            self._add(journal.Reported(part.number, index))

    def replied(self, delivery: Delivery) -> None:
        """A part of a reply waits for somebody."""
        if self._journal is not None:
            self._replies[delivery.key] = delivery
            self._add(journal.Replied(delivery.key, delivery.system_id, journal.body_of(delivery.pdu)))

    def heard(self, delivery: Delivery) -> None:
        """A part of a reply is done with."""
        if self._replies.pop(delivery.key, None) is not None:
            self._add(journal.Heard(delivery.key))

    def cancelled(self, part: Part) -> None:
        """A part was called back."""
        self._add(journal.Cancelled(part.number))

    def cleared(self) -> None:
        """All messages were deleted."""
        self._add(journal.Cleared())

    def commit(self) -> None:
        """Writes what happened, before anybody is told."""
        if not self._dirty or self._journal is None:
            return
        self._dirty = False
        try:
            self._journal.commit()
            alive = len(self._phones.messages) + 2 * len(self._open) + len(self._replies)
            if self._journal.is_overgrown(alive):
                self._journal.rewrite(self._alive())
        except OSError as error:
            log.error("handset journal given up", error=error.strerror)
            self._journal.close()
            self._journal = None

    def close(self) -> None:
        """The end."""
        self.commit()
        if self._journal is not None:
            self._journal.close()

    def _add(self, entry: journal.Entry) -> None:
        if self._journal is not None:
            self._journal.add(entry)
            self._dirty = True

    def _close(self, number: int, index: int, *, acknowledged: bool) -> bool:
        """One report of a part less; whether it was open."""
        part, due = self._open.get(number, (None, None))
        if part is None or due is None or due.pop(index, None) is None:
            return False
        if acknowledged:
            part.acknowledged += 1
        if not due:
            del self._open[number]
        return True

    def _alive(self) -> Iterator[journal.Entry]:
        """What a fresh file has to hold, in the order in which it happened."""
        kept = {part.number: part for part in self._phones.kept()}
        hidden = {number: part for number, (part, _) in self._open.items() if number not in kept}
        for number, part in sorted((kept | hidden).items()):
            _, due = self._open.get(number, (part, {}))
            yield journal.taken_of(part, dict(due), shown=number in kept)
            if part.cancelled:
                yield journal.Cancelled(number)
        for delivery in self._replies.values():
            yield journal.Replied(delivery.key, delivery.system_id, journal.body_of(delivery.pdu))
