"""Stories that once ended badly: what lingers in a link, clocks that jump, windows that open seldom, slow carriers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from law_parts import Customer
from law_scenes import OWN
from law_world import World
from shop import address_of
from virtual_time import VirtualLoop

from chappe.core.lifecycle import State
from chappe.embedded.server import ConnectionParameters
from chappe.store.bind_turn import Claimed

NUMBER = "+33612345678"
MONDAY = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)  # 10:00 in Paris
CLOSING = MONDAY.replace(hour=21)  # 22:00 in Paris
Begin = Callable[..., World]


@pytest.fixture
def begin(database: ConnectionParameters) -> Iterator[Begin]:
    """Makes the world at an instant, with one carrier of these settings."""
    made: list[World] = []

    def begin_at(at: datetime, **carrier: Any) -> World:
        world = World(address_of(database), VirtualLoop(), at, OWN)
        made.append(world)
        world.carrier("red", **carrier)
        return world

    yield begin_at
    for world in made:
        try:
            world.check()
        finally:
            world.close()
            world.loop.close()


def send(world: World, customer: Customer, characters: int = 20) -> int:
    """One message, accepted; gives its id."""
    world.tokens += 1
    text = f"m{world.tokens}x {'bonjour ' * (characters // 8)}"
    answer = world.ask("/v1/send", {"phoneNumbers": NUMBER, "message": text}, customer)
    campaign = world.accepted(answer["message_id"], world.tokens, customer, sandbox=False, at=None)
    (message_id,) = campaign.messages
    return message_id


def state(world: World, message_id: int) -> State:
    return world.run(world.shop.state(message_id))


def turns(world: World, times: int = 3) -> None:
    """What goes on all the time."""
    for _ in range(times):
        world.upkeep("release")
        world.turn(world.workers[0])


def test_a_stop_is_obeyed_while_a_throttled_carrier_makes_its_message_wait(begin: Begin) -> None:
    world = begin(MONDAY)
    network = world.workers[0].network
    customer = world.customer(1_000_000)
    network.deeds.extend(["throttle"] * 8)
    message_id = send(world, customer)
    turns(world)
    world.clock.pass_(2)
    world.opt_out(customer, NUMBER, by="api")
    for _ in range(10):
        world.clock.pass_(1.5)
        turns(world, 1)
    assert state(world, message_id) is State.SUPPRESSED
    assert not any(heard.reference for heard in network.heard)
    assert world.run(world.database.value("select balance_micros from balance")) == 1_000_000


def test_a_long_message_on_a_slow_carrier_is_sent_at_its_pace_and_once(begin: Begin) -> None:
    """Its later parts linger longer than is allowed, go back and come again; no pace is lost by that."""
    world = begin(MONDAY, rate=0.1, settings={"burst": "1"})
    customer = world.customer(1_000_000)
    send(world, customer, characters=400)
    for _ in range(45):
        turns(world, 1)
        world.clock.pass_(1)
    heard = world.workers[0].network.heard
    assert [one.part for one in heard] == [1, 2, 3]
    assert heard[-1].at - heard[0].at < timedelta(seconds=25)


def test_a_machine_that_slept_until_after_closing_lets_nothing_out_when_it_wakes(begin: Begin) -> None:
    world = begin(CLOSING - timedelta(minutes=10), settings={"throttle_pause_s": "3"})
    network = world.workers[0].network
    network.deeds.append("throttle")
    message_id = send(world, world.customer(1_000_000))
    turns(world)
    assert len(network.heard) == 1
    world.clock.jump(3600)
    world.clock.pass_(4)
    turns(world)
    assert len(network.heard) == 1
    assert state(world, message_id) is State.HELD
    world.clock.until(CLOSING + timedelta(hours=10))
    turns(world)
    assert [one.at for one in network.heard if one.reference] == [CLOSING + timedelta(hours=10)]


def test_a_turn_of_the_database_that_outlasts_the_window_sends_nothing(begin: Begin) -> None:
    world = begin(CLOSING - timedelta(seconds=20))
    message_id = send(world, world.customer(1_000_000))
    pump = world.workers[0].pump
    assert pump is not None
    write = pump._writer.write

    async def slowly(*given: Any) -> list[Claimed]:
        claimed = await write(*given)
        if claimed:
            world.clock.jump(30)
        return claimed

    pump._writer.write = slowly  # type: ignore[method-assign]
    turns(world)
    assert world.workers[0].network.heard == []
    assert state(world, message_id) is State.HELD


@pytest.mark.parametrize(("before_s", "leaves"), [(0.6, False), (1.0, True), (2.5, True)])
def test_no_message_leaves_with_less_than_a_second_to_live(begin: Begin, before_s: float, leaves: bool) -> None:
    world = begin(CLOSING - timedelta(seconds=before_s))
    message_id = send(world, world.customer(1_000_000))
    turns(world)
    (until,) = [one.valid_until for one in world.workers[0].network.heard] or [None]
    assert until == (CLOSING if leaves else None)
    assert leaves or state(world, message_id) is State.HELD


def test_a_relative_validity_ends_at_closing_however_long_the_message_waited_in_the_link(begin: Begin) -> None:
    world = begin(CLOSING - timedelta(minutes=1), settings={"validity_format": "relative", "throttle_pause_s": "3"})
    network = world.workers[0].network
    network.deeds.append("throttle")
    send(world, world.customer(1_000_000))
    turns(world)
    world.clock.pass_(3.2)
    first, second = network.heard
    assert second.at - first.at >= timedelta(seconds=3)
    assert first.valid_until == CLOSING
    assert second.valid_until is not None
    assert CLOSING - timedelta(seconds=1) < second.valid_until <= CLOSING


def test_a_window_that_is_open_for_weeks_asks_for_no_longer_validity_than_the_carrier_takes(begin: Begin) -> None:
    world = begin(MONDAY)
    send(world, world.customer(1_000_000, window="all-day"))
    turns(world)
    (heard,) = world.workers[0].network.heard
    assert heard.valid_until == MONDAY + timedelta(hours=48)


def test_a_message_whose_window_opens_once_a_week_is_tried_again_when_it_was_refused_once(begin: Begin) -> None:
    """Held for six days and a half, and no word of being too old."""
    world = begin(MONDAY + timedelta(hours=2, minutes=30))  # its window has just closed
    network = world.workers[0].network
    network.deeds.append("temporary")
    message_id = send(world, world.customer(1_000_000, window="mondays"))
    opens_at = MONDAY + timedelta(days=7, hours=-2)
    world.clock.until(opens_at)
    turns(world)
    assert len(network.heard) == 1
    world.clock.pass_(10)
    turns(world)
    assert [one.at > opens_at for one in network.heard if one.reference] == [True]
    assert state(world, message_id) is not State.FAILED


def test_a_stop_that_answers_half_a_message_is_obeyed(begin: Begin) -> None:
    """The rest of it was given up, so that it counts as failed; the phone has its first part all the same."""
    world = begin(MONDAY)
    network = world.workers[0].network
    network.deeds.extend(["take", "unclear", "unclear", "unclear"])
    customer = world.customer(1_000_000)
    message_id = send(world, customer, characters=200)
    for _ in range(8):
        turns(world, 2)
        world.clock.pass_(60)
    assert state(world, message_id) is State.FAILED
    assert [one.part for one in network.heard if one.reference] == [1]
    world.replies.append((customer.id, NUMBER, "stop", 1))
    assert network.reply(NUMBER, "36111", "STOP", 1)
    turns(world, 1)
    world.clock.pass_(1)
    world.upkeep("replies")
    assert (customer.id, NUMBER) in world.listed
