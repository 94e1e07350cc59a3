"""The contract of carriers: what every kind must do, whatever it speaks. A new kind adds its network to NETWORKS."""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from carrier_networks import NETWORKS, REPLIES_OVER_HTTP, SECRET, Network
from hypothesis import given
from hypothesis import strategies as st

from chappe.carriers import TAKEN, LinkState, MessageIn, Outgoing, PartResult
from chappe.carriers.kind import Policy
from chappe.carriers.registry import KINDS, reader_of
from chappe.core.carrier_config import Carrier
from chappe.core.errors import FaultKind

each_kind = pytest.mark.parametrize("name", sorted(KINDS))


class Owner:
    """Whoever drives a link: keeps what it gave."""

    def __init__(self, carrier: Carrier) -> None:
        self.woken = asyncio.Event()
        self.link = KINDS[carrier.kind].link(carrier, self.woken.set)
        self.results: list[PartResult] = []
        self.messages: list[MessageIn] = []
        self.free_most = 0

    async def until(self, is_so: Callable[[], Any]) -> None:
        async with asyncio.timeout(60):
            while True:
                self.woken.clear()
                self.take()
                if is_so():
                    return
                try:
                    async with asyncio.timeout(0.02):  # states change without a call
                        await self.woken.wait()
                except TimeoutError:
                    continue

    def take(self) -> None:
        self.results += self.link.take_results()
        self.messages += self.link.take_messages()
        self.free_most = max(self.free_most, self.link.free())

    def send(self, *numbers: int, **given: Any) -> None:
        self.link.send([Outgoing(number, f"+336000000{number:02d}", "SHOP", "hello", **given) for number in numbers])

    def faults(self) -> dict[int, FaultKind | None]:
        assert len({result.message_id for result in self.results}) == len(self.results), "each came back once"
        return {result.message_id: result.fault for result in self.results}


@asynccontextmanager
async def driven(name: str) -> AsyncIterator[tuple[Network, Owner]]:
    async with NETWORKS[name]() as network:
        owner = Owner(Carrier(1, "main", name, KINDS[name].complete(network.given), True))
        await owner.link.start()
        await owner.until(lambda: owner.link.state is LinkState.BOUND and owner.link.free() > 0)
        try:
            yield network, owner
        finally:
            await owner.link.stop(0)


def test_every_kind_has_a_network() -> None:
    assert set(NETWORKS) == set(KINDS)


# -- how it is set up


@each_kind
@pytest.mark.asyncio
async def test_it_says_what_it_is_set_up_with_and_shows_no_secret(name: str) -> None:
    kind = KINDS[name]
    assert all(option.name == key and option.help and option.allowed for key, option in kind.options.items())
    assert all(set(values) <= set(kind.options) for values in kind.presets.values())
    assert set(kind.elsewhere.values()) <= set(kind.fields)
    async with NETWORKS[name]() as network:
        settings = kind.complete(network.given)
        carrier = Carrier(1, "main", name, settings, True)
        assert kind.complete(network.given, settings) == settings, "a change of nothing changes nothing"
        kind.check(carrier)
        shown = (kind.address(settings), kind.warning(carrier), repr(settings), repr(kind.capabilities(carrier)))
        assert not any(SECRET in text for text in shown)
        policy = kind.policy(carrier)
        assert isinstance(policy, Policy)
        assert policy.receipts in range(4)
        assert policy.silence_s > 0
        assert policy.uncertain in ("auto", "resend", "hold")


# -- what it reads


@given(st.binary(max_size=300))
def test_octets_that_are_no_message_are_read_as_none_and_never_raise(raw: bytes) -> None:
    for kind in KINDS.values():
        reader = kind.reader(None)
        fragment = reader.read(raw)
        assert fragment is None or fragment.part <= fragment.parts
        assert reader.stored(raw) == reader.stored(raw)
    reader_of(None).read(raw)


@each_kind
@given(raw=st.binary(max_size=300), id=st.from_regex(r"[0-9A-Za-z-]{1,40}", fullmatch=True))
def test_ids_are_read_from_any_octets_and_an_id_is_a_form_of_itself(name: str, raw: bytes, id: str) -> None:
    ids = KINDS[name].ids(usual(name))
    assert all(isinstance(found, str) for found in ids.read(raw).ids)
    assert id in ids.forms([id])
    assert ids.learn(None, []).rule == usual(name).learnt
    assert not ids.learn(None, [(id, id)]).broken


@functools.cache
def usual(name: str) -> Carrier:
    """A carrier with the usual settings."""

    async def made() -> Carrier:
        async with NETWORKS[name]() as network:
            return Carrier(1, "main", name, KINDS[name].complete(network.given), True)

    return asyncio.run(made())


# -- what its links do


@each_kind
@pytest.mark.asyncio
async def test_every_message_comes_back_once_and_the_window_holds(name: str) -> None:
    async with driven(name) as (network, owner):
        network.say("nothing")
        owner.send(*range(10))
        await owner.until(lambda: network.written() == 3)
        assert owner.link.free() == 0
        await owner.link.stop(0.05)
        owner.take()
        assert sorted(owner.faults()) == list(range(10))
        assert list(owner.faults().values()).count(FaultKind.IN_DOUBT) == 3, "what was written, and nothing else"
        assert set(owner.faults().values()) == {FaultKind.IN_DOUBT, FaultKind.UNSENT}
        assert owner.free_most <= 3


@each_kind
@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("said", "faults"),
    [
        ("yes", {TAKEN}),
        ("never", {FaultKind.PERMANENT}),
        ("later", {FaultKind.TEMPORARY, FaultKind.THROTTLED}),
    ],
)
async def test_an_answer_is_said_in_the_words_of_the_world(name: str, said: str, faults: set[FaultKind | None]) -> None:
    async with driven(name) as (network, owner):
        network.say(said)
        owner.send(1, 2)
        await owner.until(lambda: len(owner.results) == 2)
        assert set(owner.faults().values()) <= faults
        refs = {result.carrier_ref for result in owner.results}
        assert len(refs) == (2 if said == "yes" else 1), "each that was taken has an id of its own"
        assert all(result.fault is TAKEN or result.reason for result in owner.results)


@each_kind
@pytest.mark.asyncio
async def test_what_may_not_leave_any_more_comes_back_unsent(name: str) -> None:
    async with driven(name) as (network, owner):
        network.say("nothing")
        owner.send(1, not_after=time.time() - 1)
        await owner.until(lambda: owner.faults() == {1: FaultKind.UNSENT})
        owner.link.allow(0)
        assert owner.link.free() == 0
        owner.send(2)
        owner.link.drop(2)
        await owner.until(lambda: owner.faults() == {1: FaultKind.UNSENT, 2: FaultKind.UNSENT})
        assert network.written() == 0


@each_kind
@pytest.mark.asyncio
async def test_a_reply_is_acknowledged_when_it_is_stored_and_its_repetition_has_its_key(name: str) -> None:
    if name in REPLIES_OVER_HTTP:
        pytest.skip("its replies come to an address of ours, not over the link")
    async with driven(name) as (network, owner):
        for text in ("STOP", "STOP", "Merci"):
            network.reply(text)
        await owner.until(lambda: len(owner.messages) == 3)
        first, again, other = owner.messages
        assert (first.source, first.destination, first.message) == ("33600000001", "36111", "")
        assert first.key == again.key != other.key
        assert network.acknowledged() == 0
        reader = KINDS[name].reader(None)
        fragments = [reader.read(message.raw) for message in owner.messages]
        texts = [reader.compose([one]) for one in fragments if one is not None]
        assert [text.text for text in texts if text is not None] == ["STOP", "STOP", "Merci"]
        assert reader.stored(first.raw) == (first.key, first.message)
        assert owner.link.acknowledge([message.token for message in owner.messages])
        await owner.until(lambda: network.acknowledged() == 3)
