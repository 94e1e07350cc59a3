"""What the built-in SMSC is started with: credentials, limits, timers, and where it remembers."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Clock:
    """Both clocks in seconds: `monotonic` never goes back, `wall` counts from 1970 in UTC."""

    monotonic: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time


@dataclass(frozen=True, slots=True)
class Settings:
    """What the SMSC is started with. Every count limits memory; docs/operators/handset.md says what passing it does.

    system_id, password: the only credentials taken; with an empty system_id everybody may bind. journal: a file that
    keeps messages and pending receipts over a restart; None: memory only.
    """

    system_id: str = ""
    password: str = ""
    name: str = "handset"  # the system_id of our bind answers
    journal: Path | None = None
    seed: int | None = None  # of all chance, until the chaos switches give another
    receipt_delay_ms: int = 200
    window: int = 10_000  # requests of one session that we have not answered; past it 0x58
    delivery_window: int = 100  # deliver_sm of one session without an answer
    sessions_max: int = 1_000
    sessions_per_address_max: int = 500
    unbound_max: int = 100  # connections without a bind; past it the oldest of them is cut
    messages_max: int = 10_000  # the oldest leave first
    octets_max: int = 67_108_864  # of their texts and TLVs together; the oldest leave first
    pending_max: int = 200_000  # receipts and replies not acknowledged yet; past it submits get 0x14
    join_timeout_s: float = 120.0  # then a message with missing parts is shown as it is
    response_s: float = 30.0  # until a deliver_sm counts as lost
    retry_s_min: float = 1.0
    retry_s_max: float = 60.0
    attempts_max: int = 50  # error answers and time-outs of one deliver_sm before it is given up
    enquire_link_s: float = 30.0
    session_init_s: float = 10.0
    clock: Clock = field(default_factory=Clock)
