"""The parts that wait for room in the window of one bind, in the order in which they are to leave."""

from __future__ import annotations

from collections import deque

from chappe.carriers.smpp.parts import Part


class PartQueue(deque[Part]):
    """A deque with what a link does to waiting parts beside adding and taking."""

    def take_of(self, message_id: int) -> deque[Part]:
        """Takes out the parts of a message; the others keep their order."""
        return self._without([part for part in self if part.message.message_id == message_id])

    def take_late(self, wall_s: float) -> deque[Part]:
        """Takes out what may not be written any more; the others keep their order. wall_s: seconds since 1970."""
        return self._without([part for part in self if 0 < part.message.not_after <= wall_s])

    def put_back(self, part: Part) -> None:
        """Puts a part before all that was made after it."""
        place = 0
        for other in self:
            if other.order > part.order:
                break
            place += 1
        self.insert(place, part)

    def _without(self, taken: list[Part]) -> deque[Part]:
        """Takes these out; mostly there are none."""
        if taken:
            places = {part.order for part in taken}
            kept = [part for part in self if part.order not in places]
            self.clear()
            self.extend(kept)
        return deque(taken)
