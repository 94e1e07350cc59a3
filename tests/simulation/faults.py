"""What breaks in phase 1, one step at a time: who dies, what is cut, what gets slow, whose clock jumps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import TYPE_CHECKING

from durable import Trouble
from network import Weather
from smsc import Mood

if TYPE_CHECKING:
    from world import World


def ask(world: World) -> None:
    for _ in range(world.chance.choice((1, 1, 2, 6))):
        world.ask()


def reply(world: World) -> None:
    world.reply()


def kill_worker(world: World) -> None:
    worker = world.chance.choice(world.workers)
    if worker.process.alive:
        worker.crash()
        world.loop.call_later(world.chance.random() * 8, worker.start)


def stop_worker(world: World) -> None:
    """SIGSTOP; long enough, and somebody else has its leases when it comes back."""
    worker = world.chance.choice(world.workers)
    process = worker.process
    if process.alive and not process.stopped:
        process.stop()
        world.loop.call_later(world.chance.choice((0.5, 3, 12)) * world.chance.random(), process.resume)


def kill_carrier(world: World) -> None:
    smsc = world.chance.choice(world.smscs)
    if smsc.process.alive:
        smsc.crash()
        world.loop.call_later(world.chance.random() * 6, smsc.start)


def stop_carrier(world: World) -> None:
    process = world.chance.choice(world.smscs).process
    if process.alive and not process.stopped:
        process.stop()
        world.loop.call_later(world.chance.choice((0.5, 3, 12)) * world.chance.random(), process.resume)


def change_mood(world: World) -> None:
    """Now and then an SMSC is itself again."""
    chance = world.chance

    def share(most: float) -> float:
        return most * chance.random() if chance.random() < 0.4 else 0.0

    chance.choice(world.smscs).mood = Mood(
        delay_s=chance.choice((0.001, 0.01, 0.2, 1.0)),
        refuses_binds=share(0.5),
        errors=share(0.6),
        nacks=share(0.2),
        drops=share(0.3),
        forgets=share(0.3),
        late=share(0.3),
        twice=share(0.5),
        noise=share(0.2),
        receipt_delay_s=chance.choice((0.01, 0.5, 5.0)),
        receipts_early=share(0.8),
        receipts_lost=share(0.3),
        receipts_twice=share(0.5),
        undelivered=share(0.8),
    )


def cut(world: World) -> None:
    ends = [end for end in world.network.ends if not end.gone]
    if ends:
        world.network.cut(world.chance.choice(ends))


def silence(world: World) -> None:
    """Half-open: what is written arrives nowhere, and nobody says so; perhaps it all comes later."""
    ends = [end for end in world.network.ends if not end.gone]
    if ends:
        end = world.chance.choice(ends)
        both = (end, end.other) if world.chance.random() < 0.5 else (end,)
        for one in both:
            one.silent = True
            world.loop.call_later(world.chance.choice((2, 10, 40)) * world.chance.random(), one.heal)


def change_weather(world: World) -> None:
    chance = world.chance
    world.network.weather = Weather(
        latency_s=chance.choice((0.0005, 0.002, 0.05, 0.4)),
        jitter_s=chance.choice((0.0, 0.01, 0.3)),
        chunk=chance.choice((0, 0, 7, 100)),
        kernel_octets=chance.choice((64 * 1024, 300)),
        refuses=chance.random() < 0.1,
        swallows=chance.random() < 0.1,
    )


def clear_weather(world: World) -> None:
    world.network.weather = Weather()


def lose_database(world: World) -> None:
    """Away for all, or for one process only."""
    stores = [world.api_store, *(worker.store for worker in world.workers)]
    chosen = stores if world.chance.random() < 0.5 else [world.chance.choice(stores)]
    for store in chosen:
        trouble = store.trouble = Trouble(slow_s=0.01, away=True, late=0.5)
        world.loop.call_later(world.chance.choice((0.3, 2, 8)) * world.chance.random(), _back, trouble)


def _back(trouble: Trouble) -> None:
    trouble.away = False


def slow_database(world: World) -> None:
    store = world.chance.choice([world.api_store, *(worker.store for worker in world.workers)])
    store.trouble.slow_s = world.chance.choice((0.0001, 0.001, 0.05, 1.0))


def jump_clock(world: World) -> None:
    """Somebody corrects the clock, or the machine has slept: forward, rarely far; backward a little."""
    seconds = world.chance.choice((-2, 2, 30, 300, 3600 * 3, 3600 * 11))
    world.loop.jump(timedelta(seconds=seconds))


FAULTS: dict[Callable[[World], None], int] = {
    ask: 50,
    reply: 6,
    kill_worker: 5,
    stop_worker: 4,
    kill_carrier: 4,
    stop_carrier: 2,
    change_mood: 12,
    cut: 8,
    silence: 4,
    change_weather: 5,
    clear_weather: 4,
    lose_database: 2,
    slow_database: 3,
    jump_clock: 3,
}


def everything(world: World) -> Iterator[None]:
    """One thing at each step."""
    kinds = list(FAULTS)
    weights = list(FAULTS.values())
    while True:
        (fault,) = world.chance.choices(kinds, weights)
        counts = world.law.counts.faults
        counts[fault.__name__] = counts.get(fault.__name__, 0) + 1
        fault(world)
        yield
