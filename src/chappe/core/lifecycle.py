"""The life of a message: (state, event) -> state, as a table.

A message is one recipient's SMS. It is `scheduled` for an instant somebody chose, `held` until it is allowed to leave,
or `queued` to leave now; a worker that writes it to a carrier makes it `submitting`, and the carrier's yes
`submitted`. The rest are ends, except `uncertain`: written to the carrier, and no answer known.

Three things that surprise:

- `queued`, `scheduled` and `held` may go straight to `submitted`, and to every end that a carrier can tell. The row of
a
  message is not written when its parts leave (attempts are recorded elsewhere, in batches), so it can still say
  `queued` when the response or even the receipt comes. It had become due by then, whatever it was called before.
- Ends are ends, except that `delivered` overrules `expired`, `undelivered`, `no_receipt`, and that any receipt
overrules
  `no_receipt`, which only says that none had come. Nothing overrules `delivered`, and a first `undelivered` stays
  against a later `expired`: the first end wins.
- `submitting` returns to `queued` only while we know that the carrier does not have the message; where we do not know
it
  becomes `uncertain`, never `queued` in silence.

`docs/operators/states.md` is drawn from this table.
"""

from collections.abc import Iterable, Mapping
from enum import Enum, IntEnum


class State(IntEnum):
    """Where a message is; the numbers are stored in the database and never change."""

    SCHEDULED = 1
    HELD = 2
    QUEUED = 3
    SUBMITTING = 4
    SUBMITTED = 5
    DELIVERED = 6
    UNDELIVERED = 7
    EXPIRED = 8
    REJECTED = 9
    UNCERTAIN = 10
    SUPPRESSED = 11
    CANCELLED = 12
    FAILED = 13
    NO_RECEIPT = 14

    @property
    def word(self) -> str:
        """The state's name as users read it: `no_receipt`."""
        return self.name.lower()


class Event(Enum):
    """What happens to a message."""

    DUE = "due"  # its time has come and it may leave
    HOLD = "hold"  # it may not leave now: window, pause
    CANCEL = "cancel"  # the customer took it back
    SUPPRESS = "suppress"  # the recipient opted out
    CLAIM = "claim"  # a worker is about to write it to a carrier
    REQUEUE = "requeue"  # certainly not at the carrier: link lost before the write, throttled, temporary error
    ACCEPT = "accept"  # the carrier took all parts
    REJECT = "reject"  # the carrier refused it for good, in its response or by a receipt
    FAIL = "fail"  # our own trouble: a bug, no route, retries exhausted, deadline passed before it left
    EXPIRE = "expire"  # a receipt: the network tried until the validity ended
    DOUBT = "doubt"  # written, and no answer before the timer, the link or the process ended
    RELEASE = "release"  # policy or an operator sends a message in doubt once more
    DELIVER = "deliver"  # a receipt: delivered
    UNDELIVER = "undeliver"  # a receipt: not delivered
    SILENCE = "silence"  # validity and margin passed without a final receipt


FINAL: frozenset[State] = frozenset(
    {
        State.DELIVERED,
        State.UNDELIVERED,
        State.EXPIRED,
        State.REJECTED,
        State.SUPPRESSED,
        State.CANCELLED,
        State.FAILED,
        State.NO_RECEIPT,
    }
)
"""States that end the life of a message; late receipts may still move three of them."""

_CARRIER_SAYS: dict[Event, State] = {
    Event.DELIVER: State.DELIVERED,
    Event.UNDELIVER: State.UNDELIVERED,
    Event.EXPIRE: State.EXPIRED,
    Event.REJECT: State.REJECTED,
}
_ATTEMPT: dict[Event, State] = {
    Event.CLAIM: State.SUBMITTING,
    Event.ACCEPT: State.SUBMITTED,
    Event.DOUBT: State.UNCERTAIN,
    Event.FAIL: State.FAILED,
    Event.SILENCE: State.NO_RECEIPT,
}
_WITHDRAWN: dict[Event, State] = {Event.CANCEL: State.CANCELLED, Event.SUPPRESS: State.SUPPRESSED}
_WAITING: dict[Event, State] = _ATTEMPT | _CARRIER_SAYS | _WITHDRAWN

_BY_STATE: dict[State, dict[Event, State]] = {
    State.SCHEDULED: _WAITING | {Event.DUE: State.QUEUED, Event.HOLD: State.HELD},
    State.HELD: _WAITING | {Event.DUE: State.QUEUED},
    State.QUEUED: _WAITING | {Event.HOLD: State.HELD},
    State.SUBMITTING: _CARRIER_SAYS
    | {
        Event.REQUEUE: State.QUEUED,
        Event.HOLD: State.HELD,
        Event.SUPPRESS: State.SUPPRESSED,
        Event.ACCEPT: State.SUBMITTED,
        Event.DOUBT: State.UNCERTAIN,
        Event.FAIL: State.FAILED,
        Event.SILENCE: State.NO_RECEIPT,
    },
    State.SUBMITTED: _CARRIER_SAYS | {Event.SILENCE: State.NO_RECEIPT},
    State.UNCERTAIN: _CARRIER_SAYS
    | {
        Event.ACCEPT: State.SUBMITTED,
        Event.REQUEUE: State.QUEUED,
        Event.RELEASE: State.QUEUED,
        Event.FAIL: State.FAILED,
        Event.SILENCE: State.NO_RECEIPT,
    },
    State.UNDELIVERED: {Event.DELIVER: State.DELIVERED},
    State.EXPIRED: {Event.DELIVER: State.DELIVERED},
    State.NO_RECEIPT: _CARRIER_SAYS,
}

TRANSITIONS: Mapping[tuple[State, Event], State] = {
    (state, event): target for state, row in _BY_STATE.items() for event, target in row.items()
}


def move(state: State, event: Event) -> State | None:
    """Give the next state, or None if the event means nothing here and the state stays.

    None is ordinary: receipts repeat, contradict each other and come late. Record the event all the same.
    """
    return TRANSITIONS.get((state, event))


def is_final(state: State) -> bool:
    """Tell whether the message has come to its end."""
    return state in FINAL


def sources(event: Event, target: State) -> frozenset[State]:
    """Give the states that the event moves to the target, for statements that update many rows at once."""
    return frozenset(
        state for (state, happening), reached in TRANSITIONS.items() if happening is event and reached is target
    )


def mermaid(transitions: Mapping[tuple[State, Event], State] = TRANSITIONS) -> str:
    """Draw the table as the text of a Mermaid state diagram; events between the same two states share an arrow."""
    arrows: dict[tuple[State, State], list[str]] = {}
    for (state, event), target in sorted(transitions.items(), key=lambda entry: (entry[0][0], entry[1])):
        arrows.setdefault((state, target), []).append(event.value)
    lines = ["stateDiagram-v2"]
    lines += [f"    [*] --> {state.word}" for state in (State.SCHEDULED, State.HELD, State.QUEUED)]
    lines += [f"    {state.word} --> {target.word} : {_words(events)}" for (state, target), events in arrows.items()]
    lines += [f"    {state.word} --> [*]" for state in sorted(FINAL)]
    return "\n".join(lines) + "\n"


def _words(events: Iterable[str]) -> str:
    return ", ".join(sorted(events))
