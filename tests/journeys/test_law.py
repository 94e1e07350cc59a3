"""The law, through the whole path: for random accounts, texts, zones and clocks no commercial message leaves outside
its window, nobody who has opted out gets one, the ledger always sums up, and everything comes to an end.

`make law` looks longer, at random, and prints its seed: LAW_EXAMPLES says how many stories, LAW_STEPS how long each is.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

import pytest
from french_law import KNOWN, PLACES
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from law_parts import Campaign, Customer
from law_scenes import DAYS, FILLERS, HOURS, NUMBERS, OWN, STARTS, STOPS
from law_wire import DEEDS
from law_world import SHORT_CODE, World
from shop import address_of
from virtual_time import VirtualLoop

from chappe.actions import upkeep
from chappe.embedded.server import ConnectionParameters
from chappe.store.database import Address

LONG = "LAW_EXAMPLES" in os.environ
PARIS = ZoneInfo("Europe/Paris")


def text_of(token: int, kind: str, characters: int) -> str:
    """A text that tells in each of its parts whose it is."""
    piece = f"m{token}x{FILLERS[kind]}"
    return (" ".join([piece] * (characters // len(piece) + 1)))[: max(characters, len(piece))].strip()


written = st.sampled_from(sorted(NUMBERS)).flatmap(lambda number: st.sampled_from(NUMBERS[number]))
profiles = st.sampled_from(("fr-seed",) * 6 + tuple(KNOWN) + tuple(OWN))
senders = st.sampled_from(("", "", "MARQUE", "SHOP12"))
instants = st.builds(
    lambda day, hour, minute, second: datetime.fromisoformat(day).replace(
        hour=hour, minute=minute, second=second, tzinfo=PARIS
    ),
    st.sampled_from(DAYS),
    st.sampled_from(HOURS),
    st.sampled_from((0, 0, 29, 30, 58, 59)),
    st.sampled_from((0, 0, 1, 50, 59)),
)
# A moment, a while, to just before or behind an edge of somewhere, or long.
EDGES = tuple(
    (zone, hour, minute, second)
    for zone in sorted({zone for _, places in PLACES for zone, _ in places[:1]})
    for hour, minute, second in ((7, 59, 58), (8, 0, 0), (19, 59, 50), (21, 59, 50), (22, 0, 1), (0, 0, 0))
)
moves = st.one_of(
    st.sampled_from((0.05, 0.5, 1.5, 4.0, 6.0, 11.0, 35.0, 65.0)),
    st.sampled_from((300.0, 1800.0, 3600.0, 7 * 3600.0, 14 * 3600.0, 26 * 3600.0, 75 * 3600.0)),
    st.sampled_from(EDGES),
)
TASKS = tuple(task.name for task in upkeep.TASKS if task.name != "look")


def act(weight: int, **drawn: Any) -> Callable[[Any], Any]:
    """Marks what may happen in a story: how often, beside the others, and with what."""

    def mark(method: Any) -> Any:
        method.weight, method.drawn = weight, drawn
        return method

    return mark


class Law(RuleBasedStateMachine):
    """One story: an installation, its customers, networks that misbehave, and a clock that goes where it likes.

    One rule for all that may happen, so that each story has something of everything. It has no precondition: what is
    drawn must not depend on what the installation did, or stories that depend on the instant in which a process was
    killed could not be told again.
    """

    address: Address
    totals: ClassVar[Counter[str]]

    def __init__(self) -> None:
        super().__init__()
        self.loop = VirtualLoop()
        self.loop.set_debug(False)
        self.world: World | None = None
        self.told = 0

    @initialize(
        at=instants,
        validity=st.sampled_from(("absolute", "absolute", "relative", "none")),
        window=st.sampled_from((1, 3, 10)),
        rate=st.sampled_from((0, 0, 0, 0.5, 2)),
        uncertain=st.sampled_from(("auto", "auto", "resend", "hold")),
        long_method=st.sampled_from(("udh8", "udh16", "payload")),
        chance=st.integers(0, 2**16),
        profile=profiles,
    )
    def open(
        self,
        at: datetime,
        validity: str,
        window: int,
        rate: float,
        uncertain: str,
        long_method: str,
        chance: int,
        profile: str,
    ) -> None:
        random.seed(chance)
        self.w = self.world = World(self.address, self.loop, at.astimezone(UTC), OWN)
        knobs = {"validity_format": validity, "uncertain_policy": uncertain, "long_method": long_method}
        self.w.carrier("red", window=window, rate=rate, settings=knobs | {"breaker_failures": "2"})
        self.w.carrier("blue", priority=1, window=5)
        self.w.customer(1_000_000_000, window=profile, prices={"": 60_000})
        self.w.customer(1_000_000_000, transactional=True, prices={"": 60_000})

    def teardown(self) -> None:
        world = self.world
        try:
            if world is not None:
                try:
                    if not world.wrong and sys.exc_info()[0] is None:
                        world.finish()
                        self.totals.update({"stories": 1} | world.figures())
                finally:
                    world.close()
        finally:
            for task in asyncio.all_tasks(self.loop):
                task.cancel()
            self.loop.run_until_complete(asyncio.sleep(0))
            self.loop.close()

    @invariant()
    def nothing_is_wrong(self) -> None:
        if self.world is not None:
            self.world.check()

    @rule(data=st.data())
    def step(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(ACTS), label="act")
        method = getattr(self, name)
        method(**{word: data.draw(strategy, label=word) for word, strategy in method.drawn.items()})

    # -- customers

    @act(
        1,
        balance=st.sampled_from((1_000_000_000, 1_000_000_000, 120_000, 0)),
        window=profiles,
        transactional=st.sampled_from((False, False, True)),
        lifted=st.booleans(),
        mention=st.booleans(),
        abroad=st.sampled_from((60_000, None, 33_333)),
        sender=senders,
    )
    def open_account(
        self,
        balance: int,
        window: str,
        transactional: bool,
        lifted: bool,
        mention: bool,
        abroad: int | None,
        sender: str,
    ) -> None:
        if len(self.w.customers) == 4:
            return
        self.w.customer(
            balance,
            window=window,
            transactional=transactional,
            stop_blocks_transactional=not lifted,
            stop_mention_automatic=mention,
            prices={"": abroad},
            sender=sender,
            price_premium_micros=38_000 if balance else 0,
        )

    @act(
        9,
        who=st.integers(0, 3),
        to=st.lists(written, min_size=1, max_size=4),
        kind=st.sampled_from(sorted(FILLERS)),
        characters=st.sampled_from((1, 30, 150, 165, 300, 480)),
        sender=senders,
        lowcost=st.sampled_from((False, False, False, True)),
        mention=st.booleans(),
        unicode=st.booleans(),
        sandbox=st.sampled_from((False, False, False, False, True)),
        ahead=st.sampled_from((None, None, None, 5, 90, 600, 1500, 4000)),
        form=st.sampled_from(("send", "send", "bulk")),
        at_once=st.booleans(),
    )
    def ask_smspartner(
        self,
        who: int,
        to: list[str],
        kind: str,
        characters: int,
        sender: str,
        lowcost: bool,
        mention: bool,
        unicode: bool,
        sandbox: bool,
        ahead: int | None,
        form: str,
        at_once: bool,
    ) -> None:
        customer = self._customer(who)
        self.w.tokens += 1
        token = self.w.tokens
        text = text_of(token, kind, characters)
        values: dict[str, object] = {"gamme": 2 if lowcost else 1, "isStopSms": int(mention), "isUnicode": int(unicode)}
        values |= {"sandbox": int(sandbox)} | ({"sender": sender} if sender else {})
        at = None
        if ahead is not None:
            local = (self.w.clock.wall + timedelta(minutes=ahead)).astimezone(PARIS)
            local = local.replace(minute=local.minute // 5 * 5, second=0, microsecond=0)
            at = local.astimezone(UTC)
            values |= {"scheduledDeliveryDate": f"{local:%d/%m/%Y}", "time": local.hour, "minute": local.minute}
            if local.replace(fold=0).utcoffset() != local.replace(fold=1).utcoffset():
                at = None  # the hour that comes twice: which of the two is for other tests
        if form == "bulk":
            each = [{"phoneNumber": one, "message": f"{text}{place}"} for place, one in enumerate(to)]
            answer = self.w.ask("/v1/bulk-send", {"SMSList": each, **values}, customer)
        else:
            answer = self.w.ask("/v1/send", {"phoneNumbers": ",".join(to), "message": text, **values}, customer)
        if answer["success"]:
            at = at if at is not None and at > self.w.clock.wall else None
            self.w.accepted(answer["message_id"], token, customer, sandbox=sandbox, at=at)
        else:
            assert answer["code"] in (9, 11, 12, 13, 22, 23, 40, 42, 51, 52, 55), answer
        if at_once:
            self.go_on()

    @act(
        5,
        who=st.integers(0, 3),
        to=st.lists(written, min_size=1, max_size=3),
        kind=st.sampled_from(sorted(FILLERS)),
        characters=st.sampled_from((1, 60, 165, 400)),
        sender=senders,
        ahead=st.sampled_from((None, None, 3, 700, 3000)),
        personal=st.booleans(),
        at_once=st.booleans(),
    )
    def ask_allmysms(
        self,
        who: int,
        to: list[str],
        kind: str,
        characters: int,
        sender: str,
        ahead: int | None,
        personal: bool,
        at_once: bool,
    ) -> None:
        customer = self._customer(who)
        self.w.tokens += 1
        token = self.w.tokens
        data: dict[str, object] = {"MESSAGE": text_of(token, kind, characters), "SMS": [{"MOBILEPHONE": n} for n in to]}
        if personal:
            data["MESSAGE"] = f"Bonjour #param_1#, {data['MESSAGE']}"
            data["DYNAMIC"] = 1
            data["SMS"] = [{"MOBILEPHONE": one, "PARAM_1": f"p{place}"} for place, one in enumerate(to)]
        at = None
        if ahead is not None:
            local = (self.w.clock.wall + timedelta(minutes=ahead)).astimezone(PARIS).replace(microsecond=0)
            if local.replace(fold=0).utcoffset() == local.replace(fold=1).utcoffset():
                at = local.astimezone(UTC)
                data["DATE"] = f"{local:%Y-%m-%d %H:%M:%S}"
        if sender:
            data["TPOA"] = sender
        answer = self.w.ask("/http/9.0/sendSms", {"smsData": json.dumps({"DATA": data})}, customer)
        if answer.get("campaignId"):
            self.w.accepted(int(answer["campaignId"]), token, customer, sandbox=False, at=at)
        if at_once:
            self.go_on()

    @act(2, which=st.integers(0, 1000), dialect=st.sampled_from(("smspartner", "allmysms")))
    def take_back(self, which: int, dialect: str) -> None:
        if not self.w.campaigns:
            return
        campaign = self._campaign(which)
        if dialect == "smspartner":
            answer = self.w.ask("/v1/message-cancel", {"messageId": campaign.id}, campaign.customer)
            done = answer["success"]
        else:
            answer = self.w.ask("/http/9.0/deleteCampaign", {"campId": campaign.id}, campaign.customer)
            done = answer["status"] == "OK"
        if done and not campaign.sandbox and self._left(campaign) == 0:
            campaign.cancelled = True

    def _left(self, campaign: Campaign) -> int:
        """How many messages of it have not been cancelled."""
        left: int = self.w.run(
            self.w.database.value(
                "select count(*) from message where id = any ($1::bigint[]) and state not in (11, 12, 13)",
                list(campaign.messages),
            )
        )
        return left

    @act(
        5,
        which=st.integers(0, 1000),
        place=st.integers(0, 3),
        how=st.sampled_from(("api", "api", "command", "back")),
        others=st.sampled_from((None, None, None, *sorted(NUMBERS))),
    )
    def change_list(self, which: int, place: int, how: str, others: str | None) -> None:
        """A number is put on a list or taken off: mostly one to which something was sent, or waits to be."""
        if not self.w.campaigns:
            return
        campaign = self._campaign(which)
        numbers = list(campaign.messages.values())
        number = others or numbers[place % len(numbers)]
        if number not in NUMBERS:
            return  # a recipient that was skipped for its form
        if how == "back":
            self.w.opt_in(campaign.customer, number)
        else:
            self.w.opt_out(campaign.customer, number, NUMBERS[number][0], by=how)

    @act(2, who=st.integers(0, 3), window=profiles, transactional=st.sampled_from((False, False, True)))
    def change_account(self, who: int, window: str, transactional: bool) -> None:
        self.w.change(self._customer(who), window=window, transactional=transactional)

    # -- subscribers and networks

    @act(
        4,
        which=st.integers(0, 1000),
        kind=st.sampled_from(("stop", "stop", "stop", "start", "response")),
        word=st.integers(0, 5),
    )
    def reply(self, which: int, kind: str, word: int) -> None:
        heards = [(worker, heard) for worker in self.w.workers for heard in worker.network.heard if heard.reference]
        if not heards:
            return
        worker, heard = heards[which % len(heards)]
        words = {"stop": STOPS, "start": STARTS, "response": ("Merci",)}[kind]
        to = heard.sender if heard.sender.isdigit() else SHORT_CODE
        self.w.contexts += 1
        context = ("reply", self.w.contexts)
        if worker.network.reply(heard.number, to, words[word % len(words)], context):
            account_id = self.w.by_token[heard.token].customer.id
            self.w.replies.append((account_id, heard.number, kind, context))
        self.w.clock.pass_(0)

    @act(4, worker=st.integers(0, 1), deeds=st.lists(st.sampled_from(sorted(DEEDS)), min_size=1, max_size=3))
    def misbehave(self, worker: int, deeds: list[str]) -> None:
        self.w.workers[worker].network.deeds.extend(deeds)

    @act(1, worker=st.integers(0, 1))
    def answer_late(self, worker: int) -> None:
        network = self.w.workers[worker].network
        for heard in network.late:
            network.take(heard)
        network.late.clear()
        self.w.clock.pass_(0)

    @act(
        3,
        which=st.integers(0, 1000),
        stat=st.sampled_from(("DELIVRD", "DELIVRD", "UNDELIV", "EXPIRED", "REJECTD", "ENROUTE", "NONSENSE")),
    )
    def tell_how_it_ended(self, which: int, stat: str) -> None:
        heards = [(worker, heard) for worker in self.w.workers for heard in worker.network.heard if heard.reference]
        if heards:
            worker, heard = heards[which % len(heards)]
            worker.network.receipt(heard, stat)
            self.w.clock.pass_(0)

    @act(2, worker=st.integers(0, 1), what=st.sampled_from(("cut", "shut", "open", "open")))
    def break_network(self, worker: int, what: str) -> None:
        getattr(self.w.workers[worker].network, what)()
        self.w.clock.pass_(0)

    @act(1, worker=st.integers(0, 1), down=st.booleans())
    def fail_over(self, worker: int, down: bool) -> None:
        """Upkeep finds a carrier down, or up again."""
        carrier_id = self.w.workers[worker].carrier.id
        known = self.w.book.down
        self.w.book.down = known | {carrier_id} if down else known - {carrier_id}

    # -- our own processes

    @act(4, worker=st.sampled_from((0, 0, 0, 1)))
    def turn(self, worker: int) -> None:
        self.w.turn(self.w.workers[worker])

    @act(6)
    def work(self) -> None:
        self.go_on()

    def go_on(self) -> None:
        """What goes on all the time: upkeep's quick tasks and a few turns of each bind."""
        self.w.upkeep("place_held", "release", "match", "replies", "follow")
        for _ in range(2):
            for worker in self.w.workers:
                self.w.turn(worker)

    @act(2, task=st.sampled_from(TASKS))
    def keep_up(self, task: str) -> None:
        down = self.w.book.down
        self.w.upkeep(task)
        self.w.book.down = down

    @act(1, who=st.integers(0, 3), number=st.sampled_from(sorted(NUMBERS)), which=st.integers(0, 1000))
    def do_at_once(self, who: int, number: str, which: int) -> None:
        if LONG and self.w.campaigns:  # who is first is not repeatable
            self.w.at_once(self._customer(who), number, self._campaign(which))

    @act(3, worker=st.integers(0, 1), how=st.sampled_from(("kill", "kill_in_a_turn" if LONG else "kill", "stop")))
    def restart(self, worker: int, how: str) -> None:
        chosen = self.w.workers[worker]
        getattr(self.w, how)(chosen)
        self.w.start(chosen)

    # -- time

    @act(8, move=moves)
    def wait(self, move: float | tuple[str, int, int, int]) -> None:
        if isinstance(move, tuple):
            zone, hour, minute, second = move
            local = self.w.clock.wall.astimezone(ZoneInfo(zone))
            aim = local.replace(hour=hour, minute=minute, second=second, microsecond=0)
            if aim <= local:
                aim = (aim.replace(tzinfo=None) + timedelta(days=1)).replace(tzinfo=ZoneInfo(zone))
            self.w.clock.until(aim.astimezone(UTC))
        else:
            self.w.clock.pass_(move)

    @act(2, seconds=st.sampled_from((0.7, 40.0, 3600.0, 9 * 3600.0, -3600.0)))
    def sleep(self, seconds: float) -> None:
        """The machine sleeps: the wall clock has moved when it wakes, the loop's has not. Or somebody puts it back."""
        self.w.clock.jump(seconds)

    # -- inside

    def _customer(self, which: int) -> Customer:
        return self.w.customers[which % len(self.w.customers)]

    def _campaign(self, which: int) -> Campaign:
        """One of them, the newest first."""
        return list(self.w.campaigns.values())[-1 - which % len(self.w.campaigns)]


ACTS = tuple(name for name, method in vars(Law).items() for _ in range(getattr(method, "weight", 0)))


@pytest.mark.timeout(0 if LONG else 240)
def test_the_law_holds_whatever_happens(database: ConnectionParameters, capsys: pytest.CaptureFixture[str]) -> None:
    class Here(Law):
        address = address_of(database)
        totals: ClassVar[Counter[str]] = Counter()

    run_state_machine_as_test(
        Here,
        settings=settings(
            max_examples=int(os.environ.get("LAW_EXAMPLES", "16")),
            stateful_step_count=int(os.environ.get("LAW_STEPS", "40")),
            deadline=None,
            derandomize=not LONG,
            database=None,
            print_blob=True,
            report_multiple_bugs=False,
            phases=[Phase.generate, Phase.shrink] if "LAW_SHRINK" in os.environ else [Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )
    assert Here.totals["heard"]
    if LONG:
        with capsys.disabled():
            print("\n" + ", ".join(f"{count} {what}" for what, count in Here.totals.items()))
