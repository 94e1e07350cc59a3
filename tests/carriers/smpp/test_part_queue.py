"""Waiting parts: whatever is taken out or put back, the order of the others stays."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from chappe.carriers import Outgoing
from chappe.carriers.smpp.part_queue import PartQueue
from chappe.carriers.smpp.parts import Part, Parts
from chappe.smpp.profile import profile

PARTS = Parts(profile())


def part(number: int, not_after: float = 0) -> Part:
    (made,) = PARTS.of(Outgoing(number, "+33600000001", "SHOP", "hello", not_after=not_after), 0.0)
    return made


@given(st.lists(st.tuples(st.integers(1, 4), st.sampled_from((0, 5, 10, 15)))), st.integers(1, 4))
def test_what_is_taken_out_goes_and_the_others_keep_their_order(given: list[tuple[int, int]], number: int) -> None:
    made = [part(message, not_after) for message, not_after in given]
    queue = PartQueue(made)
    assert list(queue.take_of(number)) == [one for one in made if one.message.message_id == number]
    rest = [one for one in made if one.message.message_id != number]
    assert list(queue) == rest
    assert list(queue.take_late(10)) == [one for one in rest if one.message.not_after in (5, 10)]
    assert list(queue) == [one for one in rest if one.message.not_after in (0, 15)]


@given(st.permutations(range(6)), st.integers(0, 6))
def test_what_is_put_back_stands_before_all_that_was_made_later(order: list[int], taken: int) -> None:
    made = [part(number) for number in range(6)]
    queue = PartQueue(made)
    out = [queue.popleft() for _ in range(taken)]
    for place in order:
        if place < taken:
            queue.put_back(out[place])
    assert list(queue) == made
