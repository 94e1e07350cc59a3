"""Asking a real name server on loopback: silent zones hold up nobody, failures and answers are kept."""

from __future__ import annotations

import asyncio
import socket
from time import monotonic

import pytest
from name_server import name_server
from shop import eventually

from chappe.core.errors import Fault
from chappe.net import name_cache as module
from chappe.net.client import Door
from chappe.net.name_cache import Names
from chappe.net.resolver import NoSuchName, Resolver

pytestmark = pytest.mark.asyncio

GOOD = {"good.example": ["192.0.2.1"], "both.example": ["192.0.2.1", "2001:db8::1"], "late.example": ["192.0.2.2"]}


async def test_addresses_of_both_families_with_the_port() -> None:
    async with name_server(GOOD) as server:
        resolver = Resolver([server.address])
        found = await resolver("both.example", 81)
        assert sorted(found) == [
            (int(socket.AF_INET), ("192.0.2.1", 81)),
            (int(socket.AF_INET6), ("2001:db8::1", 81, 0, 0)),
        ]
        await resolver.close()


@pytest.mark.parametrize("name", ["nobody.example", "a..b", "x" * 64 + ".example"])
async def test_a_name_that_is_none(name: str) -> None:
    async with name_server(GOOD) as server:
        resolver = Resolver([server.address])
        with pytest.raises(NoSuchName):
            await resolver(name, 80)
        await resolver.close()


async def test_a_server_that_fails_is_not_sure() -> None:
    async with name_server(GOOD) as server:
        resolver = Resolver([server.address])
        with pytest.raises(OSError, match="server") as caught:
            await resolver("a.failing.example", 80)
        assert not isinstance(caught.value, NoSuchName)
        await resolver.close()


@pytest.mark.parametrize("name", ["localhost", "LOCALHOST", "localhost."])
async def test_this_machine_is_found_without_a_name_server(name: str) -> None:
    async with name_server({}) as server:
        server.silent = True
        resolver = Resolver([server.address])
        began = monotonic()
        found = await resolver(name, 80)
        assert (int(socket.AF_INET), ("127.0.0.1", 80)) in found
        assert monotonic() - began < 1
        assert not server.asked
        await resolver.close()


async def test_names_that_only_the_list_of_hosts_knows_are_found() -> None:
    with open("/etc/hosts") as file:
        listed = [line.split("#")[0].split() for line in file]
    mine = [words[1] for words in listed if len(words) > 1 and words[0] == "127.0.0.1" and words[1] != "localhost"]
    if not mine:
        pytest.skip("the list of hosts has no other name of this machine")
    async with name_server({}) as server:
        server.silent = True
        resolver = Resolver([server.address])
        assert (int(socket.AF_INET), ("127.0.0.1", 80)) in await resolver(mine[0], 80)
        await resolver.close()


async def test_a_hundred_names_of_silent_zones_hold_up_nobody() -> None:
    """Each gets its tries; a name of another customer is answered meanwhile, as is the machine itself."""
    async with name_server(GOOD) as server:
        resolver = Resolver([server.address])
        names = Names(resolver, 30)
        dead = [asyncio.create_task(names.places(f"n{n}.dead.example", 80)) for n in range(100)]

        async def all_asked() -> bool:
            return sum(server.asked.values()) >= 200

        await eventually(all_asked)
        began = monotonic()
        assert await names.places("good.example", 80)
        assert await names.places("localhost", 80)
        assert monotonic() - began < 1
        assert not any(task.done() for task in dead)
        await names.close()
        await resolver.close()
        await asyncio.gather(*dead, return_exceptions=True)


async def test_a_failure_is_remembered_and_asked_again_later(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1_000.0
    monkeypatch.setattr(module, "monotonic", lambda: now)
    async with name_server(GOOD) as server:
        resolver = Resolver([server.address])
        names = Names(resolver, 30)
        for _ in range(3):
            with pytest.raises(OSError, match="no address"):
                await names.places("a.failing.example", 80)
            with pytest.raises(OSError, match="a moment ago"):
                await names.places("a.failing.example", 80)
            now += 31
        asked = server.asked["a.failing.example"]
        await names.close()
        await resolver.close()
    assert asked % 3 == 0, "three look-ups, each of both families and as often as c-ares tries"
    assert asked > 0


async def test_known_addresses_are_given_at_once_while_they_are_asked_for_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1_000.0
    monkeypatch.setattr(module, "monotonic", lambda: now)
    answers = [[(2, ("192.0.2.1", 80))], [(2, ("192.0.2.2", 80))]]
    asked, answer = 0, asyncio.Event()

    async def slow(host: str, port: int) -> list[module.Place]:
        nonlocal asked
        asked += 1
        await answer.wait()
        if not answers:
            raise OSError("nobody says")
        return answers.pop(0)

    answer.set()
    names = Names(slow, 30)
    assert await names.places("a.example", 80) == [(2, ("192.0.2.1", 80))]
    answer.clear()
    now += 31
    for _ in range(3):
        assert await names.places("a.example", 80) == [(2, ("192.0.2.1", 80))]
    answer.set()
    await asyncio.gather(*names._asking.values())
    assert asked == 2
    assert await names.places("a.example", 80) == [(2, ("192.0.2.2", 80))]
    now += 31  # nobody answers from now on: believed for an hour, and asked for every half minute
    for _ in range(3):
        assert await names.places("a.example", 80) == [(2, ("192.0.2.2", 80))]
        await asyncio.gather(*names._asking.values(), return_exceptions=True)
    assert asked == 3
    now += module.STALE_S
    with pytest.raises(OSError, match="no address"):
        await names.places("a.example", 80)
    await names.close()


async def test_a_name_that_is_gone_for_sure_is_not_believed_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1_000.0
    monkeypatch.setattr(module, "monotonic", lambda: now)
    async with name_server(GOOD) as server:
        resolver = Resolver([server.address])
        names = Names(resolver, 30)
        assert await names.places("good.example", 80)
        del server.addresses["good.example"]
        now += 31
        assert await names.places("good.example", 80)
        await asyncio.gather(*names._asking.values(), return_exceptions=True)
        with pytest.raises(OSError, match="no address"):
            await names.places("good.example", 80)
        await names.close()
        await resolver.close()


async def test_names_that_fail_push_out_no_good_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_NAMES_MAX", 5)
    async with name_server(GOOD) as server:
        resolver = Resolver([server.address])
        names = Names(resolver, 30)
        await names.places("good.example", 80)
        for n in range(20):
            with pytest.raises(OSError, match="no address"):
                await names.places(f"n{n}.example", 80)
        asked = server.asked["good.example"]
        await names.places("good.example", 80)
        assert server.asked["good.example"] == asked
        assert (len(names._good), len(names._failed)) == (1, 5)
        await names.close()
        await resolver.close()


async def test_a_door_says_that_a_name_has_no_address_and_goes_on() -> None:
    async with name_server(GOOD) as server:
        resolver = Resolver([server.address])
        door = Door(resolver=resolver)
        for _ in range(2):
            with pytest.raises(Fault, match="resolve"):
                await door.request("GET", "http://nobody.example/")
        await door.close()
        await resolver.close()
