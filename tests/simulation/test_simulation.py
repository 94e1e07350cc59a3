"""The simulation in small: random seeds keep every law, the same seed is the same run, and a broken rule is noticed.

`make simulate` runs more: ARGS="--seed 7 --steps 200", or "--runs 1000".
"""

from __future__ import annotations

import itertools
import random
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # its modules serve simulate.py too, which is no test

from chappe.actions import upkeep
from chappe.actions.windows import Windows
from chappe.carriers.smpp import connecting
from chappe.carriers.smpp.transport import Wire
from chappe.carriers.smpp.unacknowledged import Inbox
from chappe.core import retry
from chappe.smpp.events import Received
from chappe.store import binds, optouts
from chappe.store.database import Address
from chappe.workers.in_flight import Rules

if TYPE_CHECKING:
    from durable import Server
    from world import World

    from conftest import PostgresServer

SECONDS = 2.0
STEPS = 40
SEEDS_MAX = 60  # a broken rule has to be noticed within so many: what a seed meets changes with the program


@pytest.fixture(scope="module")
def server(postgres_server: PostgresServer) -> Iterator[Server]:
    from durable import Server

    parameters = postgres_server.create(migrated=True)
    made = Server(Address(**parameters.arguments()))
    yield made
    made.close()
    postgres_server.drop(parameters)


def test_whatever_breaks_nothing_wrong_happens_and_then_everything_finishes(server: Server) -> None:
    from faults import everything
    from world import run

    began = monotonic()
    while monotonic() - began < SECONDS:
        seed = random.SystemRandom().randrange(10**9)
        report = run(server, seed, STEPS, everything)
        assert report.broken == [], f'make simulate ARGS="--seed {seed} --steps {STEPS}"'
        assert report.counts.asked > 0


def test_the_same_seed_is_the_same_run(server: Server) -> None:
    from faults import everything
    from world import run

    first, again = (run(server, 3, 8, everything) for _ in range(2))
    assert (again.digest, again.counts, again.virtual_s) == (first.digest, first.counts, first.virtual_s)
    assert first.counts.submitted > 0


# -- what a broken rule looks like. Each case breaks one rule of the program; the simulation has to notice which.


def acknowledges_at_once(patch: pytest.MonkeyPatch, _: Server) -> None:
    received = Inbox.receive

    def broken(self: Inbox, wire: Wire, event: Received) -> None:
        received(self, wire, event)
        self.acknowledge([self._token], stored=True, wires=[wire])

    patch.setattr(Inbox, "receive", broken)


def sends_again_whatever_is_in_doubt(patch: pytest.MonkeyPatch, _: Server) -> None:
    patch.setattr(Rules, "policy", lambda *_: retry.Policy(resend=True, grace_s=1.0))


def asks_no_window_when_it_sends(patch: pytest.MonkeyPatch, _: Server) -> None:
    patch.setattr(Windows, "check", lambda *_: None)


def opens_a_larger_window(patch: pytest.MonkeyPatch, _: Server) -> None:
    connect = connecting.connect
    patch.setattr(connecting, "connect", lambda host, port, profile, window, *_: connect(host, port, profile, 50, *_))


def never_releases_what_is_due(patch: pytest.MonkeyPatch, _: Server) -> None:
    async def broken(*_: Any) -> bool:
        return False

    tasks = tuple(replace(t, run=broken) if t.name == "release" else t for t in upkeep.TASKS)
    patch.setattr(upkeep, "TASKS", tasks)


def looks_at_no_list_when_it_sends(patch: pytest.MonkeyPatch, server: Server) -> None:
    """Both places: the queue is swept when a number opts out, and each claim looks again."""

    async def broken(*_: Any) -> int:
        return 0

    patch.setattr(optouts, "sweep", broken)
    server.rewrite("bind_turn", "and (select true from opt_out", "and (select false from opt_out")


def lets_a_lost_lease_write(patch: pytest.MonkeyPatch, server: Server) -> None:
    """Both places: each turn shows its token, and so does each renewal."""

    async def broken(_database: Any, leases: list[binds.Lease], *_: Any) -> binds.Renewed:
        return binds.Renewed(leases, [], [])

    patch.setattr(binds, "renew_all", broken)
    server.rewrite("bind_turn", "b.token = p_token", "b.token >= p_token")


def suppresses_what_is_in_doubt(_: pytest.MonkeyPatch, server: Server) -> None:
    """As it once was: a copy that may have arrived was said to be never sent, with its money back."""
    server.rewrite("suppress", "filter (where m.doubts = 0)", "filter (where true)")
    server.rewrite("suppress", "filter (where m.doubts > 0)", "filter (where false)")


def trouble(world: World, *names: str) -> Iterator[None]:
    """Only some of the faults, and much of them."""
    import faults

    kinds = [faults.ask] + [getattr(faults, name) for name in names]
    while True:
        world.chance.choice(kinds)(world)
        yield


def stalled(world: World) -> Iterator[None]:
    """Whoever drives the binds stands still for longer than a lease, and comes back while another drives them."""
    import faults

    for step in itertools.count():
        faults.ask(world)
        if step == 12:
            for smsc in world.smscs:
                smsc.mood.delay_s = 1.0
            world.workers[0].process.stop()
            world.loop.call_later(9.0, world.workers[0].process.resume)
        yield


def opted_out_in_flight(world: World) -> Iterator[None]:
    """Subscribers say STOP while what they got is in doubt and is to be sent once more."""
    for step in itertools.count():
        if step < 8:
            world.ask()
        if step == 8:
            for smsc in world.smscs:
                smsc.mood.drops = 0.6
        if step > 8:
            world.ask()
            world.reply()
        yield


def everywhere(*names: str) -> Callable[[World], Iterator[None]]:
    return lambda world: trouble(world, *names)


@pytest.mark.parametrize(
    ("break_rule", "faults", "seed", "steps", "words"),
    [
        (acknowledges_at_once, everywhere("slow_database"), 1, 30, "was acknowledged and is not stored"),
        (
            sends_again_whatever_is_in_doubt,
            everywhere("cut", "kill_carrier", "change_mood"),
            20,
            60,
            "in doubt is held",
        ),
        (asks_no_window_when_it_sends, everywhere("jump_clock", "cut"), 3, 30, "after closing"),
        (opens_a_larger_window, everywhere(), 3, 30, "requests are open, the window is"),
        (never_releases_what_is_due, everywhere("cut"), 3, 20, "messages wait in a queue"),
        (looks_at_no_list_when_it_sends, opted_out_in_flight, 7, 40, "claimed when its number had opted out"),
        (suppresses_what_is_in_doubt, opted_out_in_flight, 6, 40, "went from uncertain to suppressed"),
        (lets_a_lost_lease_write, stalled, 1, 60, "place"),
    ],
)
def test_a_broken_rule_is_noticed(
    server: Server,
    monkeypatch: pytest.MonkeyPatch,
    break_rule: Callable[[pytest.MonkeyPatch, Server], None],
    faults: Callable[[World], Iterator[None]],
    seed: int,
    steps: int,
    words: str,
) -> None:
    from world import run

    break_rule(monkeypatch, server)
    found: list[str] = []
    try:
        for next_seed in range(seed, seed + SEEDS_MAX):
            found += run(server, next_seed, steps, faults).broken
            if any(words in what for what in found):
                return
    finally:
        server.restore()
    raise AssertionError(f"{SEEDS_MAX} seeds found only {found}")


def test_a_stop_that_meets_a_doubt_does_not_say_that_nothing_was_sent(server: Server) -> None:
    """The first thing that the simulation found; see suppresses_what_is_in_doubt."""
    from world import run

    report = run(server, 4, 40, opted_out_in_flight)
    assert report.broken == []
    assert report.counts.in_doubt > 0
    assert report.counts.replies > 0
