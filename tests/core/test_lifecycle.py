"""Lifecycle: which events move a message, that ends stay ends, and that the documentation shows this very table."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chappe.core import lifecycle
from chappe.core.lifecycle import FINAL, TRANSITIONS, Event, State, move

STATES_PAGE = Path(__file__).parents[2] / "docs" / "operators" / "states.md"
EVENTS = st.lists(st.sampled_from(Event), max_size=30)


def test_the_stored_numbers_never_change() -> None:
    assert [(state.word, int(state)) for state in State] == [
        ("scheduled", 1),
        ("held", 2),
        ("queued", 3),
        ("submitting", 4),
        ("submitted", 5),
        ("delivered", 6),
        ("undelivered", 7),
        ("expired", 8),
        ("rejected", 9),
        ("uncertain", 10),
        ("suppressed", 11),
        ("cancelled", 12),
        ("failed", 13),
        ("no_receipt", 14),
    ]


@pytest.mark.parametrize(
    "story",
    [
        "queued claim submitting accept submitted deliver delivered",
        "queued deliver delivered",
        "queued accept submitted",
        "scheduled due queued claim submitting",
        "scheduled claim submitting",
        "held due queued hold held cancel cancelled",
        "queued suppress suppressed",
        "queued fail failed",
        "submitting requeue queued",
        "submitting hold held",
        "submitting doubt uncertain accept submitted",
        "uncertain deliver delivered",
        "uncertain requeue queued",
        "uncertain release queued",
        "uncertain reject rejected",
        "uncertain silence no_receipt deliver delivered",
        "submitted undeliver undelivered deliver delivered",
        "submitted expire expired deliver delivered",
        "submitted silence no_receipt undeliver undelivered",
        "submitted reject rejected",
    ],
)
def test_a_message_may_live_like_this(story: str) -> None:
    words = story.split()
    state = State[words[0].upper()]
    for event, reached in zip(words[1::2], words[2::2], strict=True):
        moved = move(state, Event(event))
        assert moved is not None
        assert moved.word == reached
        state = moved


@pytest.mark.parametrize(
    ("state", "event"),
    [
        (State.DELIVERED, Event.UNDELIVER),
        (State.DELIVERED, Event.EXPIRE),
        (State.DELIVERED, Event.DELIVER),
        (State.UNDELIVERED, Event.EXPIRE),
        (State.EXPIRED, Event.UNDELIVER),
        (State.REJECTED, Event.DELIVER),
        (State.SUBMITTED, Event.CANCEL),
        (State.SUBMITTED, Event.REQUEUE),
        (State.SUBMITTED, Event.DOUBT),
        (State.SUBMITTING, Event.CANCEL),
        (State.UNCERTAIN, Event.CANCEL),
        (State.UNCERTAIN, Event.SUPPRESS),
        (State.UNCERTAIN, Event.CLAIM),
        (State.CANCELLED, Event.DUE),
        (State.SUPPRESSED, Event.CLAIM),
        (State.FAILED, Event.REQUEUE),
    ],
)
def test_these_events_change_nothing(state: State, event: Event) -> None:
    assert move(state, event) is None


def test_only_late_receipts_move_a_final_state() -> None:
    late = {(state, event, target) for (state, event), target in TRANSITIONS.items() if state in FINAL}
    receipts = {Event.DELIVER, Event.UNDELIVER, Event.EXPIRE, Event.REJECT}
    assert {event for _, event, _ in late} <= receipts
    assert {state for state, _, _ in late} == {State.NO_RECEIPT, State.UNDELIVERED, State.EXPIRED}
    assert {target for state, _, target in late if state is not State.NO_RECEIPT} == {State.DELIVERED}


@given(EVENTS)
def test_no_story_leaves_delivered_nor_an_end_for_something_that_is_none(events: list[Event]) -> None:
    state = State.QUEUED
    for event in events:
        following = move(state, event) or state
        assert state is not State.DELIVERED or following is State.DELIVERED
        assert state not in FINAL or following in FINAL
        state = following


@given(EVENTS)
def test_what_may_be_at_the_carrier_is_never_cancelled_or_suppressed_by_itself(events: list[Event]) -> None:
    state, in_doubt = State.SUBMITTED, True
    for event in events:
        state = move(state, event) or state
        in_doubt = in_doubt and event not in (Event.REQUEUE, Event.RELEASE)
        assert not in_doubt or state not in (State.CANCELLED, State.SUPPRESSED, State.QUEUED)


def test_every_state_can_be_reached_and_every_open_state_can_end() -> None:
    starts = {State.SCHEDULED, State.HELD, State.QUEUED}
    assert starts | set(TRANSITIONS.values()) == set(State)
    for state in set(State) - FINAL:
        assert any(target in FINAL for (source, _), target in TRANSITIONS.items() if source is state)
    assert all(lifecycle.is_final(state) == (state in FINAL) for state in State)


def test_sources_answer_for_updates_of_many_rows() -> None:
    assert lifecycle.sources(Event.DUE, State.QUEUED) == {State.SCHEDULED, State.HELD}
    assert lifecycle.sources(Event.SUPPRESS, State.SUPPRESSED) == {
        State.SCHEDULED,
        State.HELD,
        State.QUEUED,
        State.SUBMITTING,
    }
    assert lifecycle.sources(Event.DUE, State.DELIVERED) == frozenset()


def test_the_diagram_shows_every_transition_once() -> None:
    drawn: set[tuple[str, str, str]] = set()
    for line in lifecycle.mermaid().splitlines():
        if " : " in line:
            arrow, events = line.split(" : ")
            source, target = arrow.split(" --> ")
            for event in events.split(", "):
                assert (source.strip(), event, target) not in drawn
                drawn.add((source.strip(), event, target))
    assert drawn == {(state.word, event.value, target.word) for (state, event), target in TRANSITIONS.items()}


def test_the_documentation_shows_this_table() -> None:
    page = STATES_PAGE.read_text(encoding="utf-8")
    assert f"```mermaid\n{lifecycle.mermaid()}```" in page
    for state in State:
        assert f"| `{state.word}` | {int(state)} |" in page
    for event in Event:
        assert f"| `{event.value}` |" in page
