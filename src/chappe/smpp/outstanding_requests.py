"""Our requests that wait for an answer: sequence numbers, the window, response time-outs and late answers.

Since the response timer is the same for all, the order of sending is the order of the deadlines: the dictionary of the
outstanding requests is also their timer queue, and nothing is ever scanned.
"""

from __future__ import annotations

from chappe.smpp.commands import SEQUENCE_MAX

# context, command_id of the answer, deadline (monotonic seconds), how many octets the session had written up to the
# request's end
Sent = tuple[object, int, float, int]
NEVER = float("inf")
_RESERVED_MAX = 100


class Window:
    """The requests of one direction of one session."""

    __slots__ = ("_late_max", "_reserved", "_sequence", "_wrapped", "late", "sent", "size")

    def __init__(self, size: int, late_max: int, first_sequence: int = 1) -> None:
        assert 1 <= first_sequence <= SEQUENCE_MAX
        self.size = size
        self.sent: dict[int, Sent] = {}
        self.late: dict[int, tuple[object, int]] = {}  # timed out, and may still be answered: context, answer's id
        self._late_max = late_max
        self._sequence = first_sequence - 1
        self._wrapped = first_sequence > 1
        self._reserved: dict[int, None] = {}  # numbers of binds, unbinds and enquire_links whose answer is still due

    def next_sequence(self) -> int:
        """A number that no request in doubt has: after the wrap those that are outstanding or late are left out."""
        sequence = self._sequence + 1
        if sequence > SEQUENCE_MAX:
            sequence = 1
            self._wrapped = True
        if self._wrapped:
            while sequence in self.sent or sequence in self.late or sequence in self._reserved:
                sequence = sequence + 1 if sequence < SEQUENCE_MAX else 1
        self._sequence = sequence
        return sequence

    def reserve(self) -> int:
        """A number for a request outside the window, not given again before `release`."""
        sequence = self.next_sequence()
        self._reserved[sequence] = None
        if len(self._reserved) > _RESERVED_MAX:  # a peer that never answers enquire_link, but lives
            del self._reserved[next(iter(self._reserved))]
        return sequence

    def release(self, sequence: int) -> bool:
        """The number of a request outside the window was answered or given up; False when it is not one."""
        if sequence in self._reserved:
            del self._reserved[sequence]
            return True
        return False

    @property
    def deadline(self) -> float:
        """When the oldest outstanding request times out; NEVER when there is none."""
        for _, _, deadline, _ in self.sent.values():
            return deadline
        return NEVER

    def expire(self, now: float) -> list[tuple[int, Sent]]:
        """Moves the requests whose time is over to the late ones; of too many late ones the oldest are forgotten."""
        expired: list[tuple[int, Sent]] = []
        for sequence, sent in self.sent.items():
            if sent[2] > now:
                break
            expired.append((sequence, sent))
        for sequence, sent in expired:
            del self.sent[sequence]
            self.late[sequence] = (sent[0], sent[1])
            if len(self.late) > self._late_max:
                del self.late[next(iter(self.late))]
        return expired
