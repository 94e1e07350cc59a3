"""The states of an SMPP session and what either side may ask in each, as one table (SMPP 3.4, 2.2 and 2.3).

A session is OPEN when the transport is up. A bind takes it to one of the bound states, an unbind to UNBOUND, the end of
the transport to CLOSED. OUTBOUND is an OPEN session in which the SMSC sent outbind and waits for a bind_receiver.

`TRANSITIONS` maps (state, who asks, command_id) to the state after a good answer. What is not in it is refused:
`refusal` gives the command_status of the answer. Drawings and documentation are made from this table.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping

from chappe.smpp.commands import CommandId, Status


class Role(enum.Enum):
    """Which end of the session one is: the ESME connects and binds, the SMSC listens."""

    ESME = "esme"
    SMSC = "smsc"


class Mode(enum.Enum):
    """What a bind is for, seen from the ESME: transmitter, receiver or both."""

    TX = "tx"
    RX = "rx"
    TRX = "trx"


class State(enum.Enum):
    """The session states of SMPP 3.4, 2.2, with UNBOUND and CLOSED of SMPP 5.0, 2.3."""

    OPEN = "open"
    OUTBOUND = "outbound"
    BOUND_TX = "bound_tx"
    BOUND_RX = "bound_rx"
    BOUND_TRX = "bound_trx"
    UNBOUND = "unbound"
    CLOSED = "closed"


BOUND: Mapping[Mode, State] = {Mode.TX: State.BOUND_TX, Mode.RX: State.BOUND_RX, Mode.TRX: State.BOUND_TRX}
BINDS: Mapping[int, Mode] = {
    CommandId.BIND_TRANSMITTER: Mode.TX,
    CommandId.BIND_RECEIVER: Mode.RX,
    CommandId.BIND_TRANSCEIVER: Mode.TRX,
}

_C = CommandId
# Who may ask for what while bound: (states, who asks, commands). Each leaves the state as it is.
_BOUND_REQUESTS: tuple[tuple[tuple[State, ...], Role, tuple[CommandId, ...]], ...] = (
    (
        (State.BOUND_TX, State.BOUND_TRX),
        Role.ESME,
        (
            _C.SUBMIT_SM,
            _C.SUBMIT_MULTI,
            _C.DATA_SM,
            _C.QUERY_SM,
            _C.CANCEL_SM,
            _C.REPLACE_SM,
            _C.BROADCAST_SM,
            _C.QUERY_BROADCAST_SM,
            _C.CANCEL_BROADCAST_SM,
        ),
    ),
    ((State.BOUND_RX, State.BOUND_TRX), Role.SMSC, (_C.DELIVER_SM, _C.DATA_SM, _C.ALERT_NOTIFICATION)),
)
# Some SMSCs send receipts on a transmitter bind (NowSMS); Settings.accept_deliver_on_tx adds these to the table.
DELIVER_ON_TX: frozenset[int] = frozenset({_C.DELIVER_SM, _C.DATA_SM, _C.ALERT_NOTIFICATION})


def _transitions() -> dict[tuple[State, Role, int], State]:
    table: dict[tuple[State, Role, int], State] = {(State.OPEN, Role.SMSC, _C.OUTBIND): State.OUTBOUND}
    for command, mode in BINDS.items():
        table[State.OPEN, Role.ESME, command] = BOUND[mode]
    table[State.OUTBOUND, Role.ESME, _C.BIND_RECEIVER] = State.BOUND_RX
    for states, role, commands in _BOUND_REQUESTS:
        for state in states:
            for command in commands:
                table[state, role, command] = state
    for state in (State.OPEN, State.OUTBOUND, *BOUND.values(), State.UNBOUND):
        for role in Role:
            # SMPP 5.0 allows enquire_link in every state with a transport, and so do careful 3.4 peers.
            table[state, role, _C.ENQUIRE_LINK] = state
    for state in BOUND.values():
        for role in Role:
            table[state, role, _C.UNBIND] = State.UNBOUND
    return table


TRANSITIONS: Mapping[tuple[State, Role, int], State] = _transitions()


def refusal(state: State, command_id: int) -> Status:
    """The command_status that answers a known request which `state` does not allow."""
    if command_id in BINDS and state in BOUND.values():
        return Status.RALYBND
    return Status.RINVBNDSTS
