"""The agenda: what is due is done, in order, once."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as some

from chappe.handset.timer_queue import Agenda


@given(some.lists(some.integers(0, 9)), some.lists(some.integers(0, 9)))
def test_calls_are_made_in_the_order_of_their_instants_and_then_of_entry(dues: list[int], nows: list[int]) -> None:
    agenda = Agenda()
    made: list[tuple[int, int]] = []
    for place, due in enumerate(dues):
        agenda.add(float(due), made.append, (due, place))
    for now in sorted(nows):
        agenda.run(float(now))
        assert made == sorted((due, place) for place, due in enumerate(dues) if due <= now)
        assert agenda.next_at == min((due for due in dues if due > now), default=None)


def test_a_call_that_adds_one_for_now_is_followed_by_it() -> None:
    agenda = Agenda()
    made: list[str] = []

    def first() -> None:
        made.append("first")
        agenda.add(1.0, made.append, "second")

    agenda.add(1.0, first)
    agenda.run(1.0)
    assert made == ["first", "second"]
    assert len(agenda) == 0
