"""The scenarios: a table, each with what it measures and the figure by which gateways are compared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import growth
from chappe_gateway import Chappe
from instruments import Load
from session import Run, Session

SCHEDULED_REQUESTS: Final = 2_000  # of 500 numbers: a million
STORED_REQUESTS: Final = 2_000
SOAK_RATE: Final = 200.0


@dataclass(frozen=True)
class Size:
    """How long runs may be. `quick` finds mistakes of the benchmark, not figures."""

    seconds: float = 6.0
    messages: int = 40_000
    fixed_rate_s: float = 10.0
    rest_s: float = 10.0
    soak_s: float = 3_600.0
    accounts: int = 10_000
    growth: tuple[int, ...] = (10_000, 100_000, 1_000_000, 10_000_000)
    growth_messages: int = 10_000


QUICK: Final = Size(
    seconds=1.0,
    messages=2_000,
    fixed_rate_s=1.0,
    rest_s=2.0,
    soak_s=5.0,
    accounts=300,
    growth=(5_000, 50_000),
    growth_messages=1_000,
)


@dataclass(frozen=True)
class Scenario:
    """One line of the table. `compare`: the figure of the ratios; `more`: others worth showing."""

    name: str
    title: str
    measure: Callable[[Session, Size], Run | None]
    compare: str
    more: tuple[str, ...]
    usual: bool = True

    @property
    def less_is_better(self) -> bool:
        """Times and memory, unlike rates."""
        return not self.compare.endswith("_per_s")


RATES: Final = ("accepted_per_s", "accept_p99_ms", "end_to_end_p99_ms", "processor_us_per_message")
LATENCIES: Final = ("accept_p50_ms", "accept_p99_ms", "end_to_end_p50_ms", "delivered_per_s")
CALLS: Final = ("delivered_per_s", "send_to_call_p50_ms", "processor_us_per_message")


def _plain(connections: int) -> Callable[[Session, Size], Run | None]:
    return lambda session, size: session.measured("plain", Load(connections, size.messages, size.seconds))


def _bulk(session: Session, size: Size) -> Run | None:
    return session.measured("bulk", Load(4, size.messages // 200, size.seconds))


def _fixed(rate: float) -> Callable[[Session, Size], Run | None]:
    def measure(session: Session, size: Size) -> Run | None:
        return session.measured("plain", Load(50, int(rate * size.fixed_rate_s), rate=rate))

    return measure


def _receipts(connections: int) -> Callable[[Session, Size], Run | None]:
    def measure(session: Session, size: Size) -> Run | None:
        return session.measured("receipts", Load(connections, size.messages, size.seconds), receipts=True)

    return measure


def _reports(session: Session, size: Size) -> Run | None:
    return session.measured("reports", Load(10, size.messages, size.seconds), receipts=True)


def _slow(session: Session, size: Size) -> Run | None:
    return session.measured("plain", Load(10, size.messages, size.seconds), answer_ms=20)


def _personal(session: Session, size: Size) -> Run | None:
    return session.measured("personal", Load(10, size.messages // 20, size.seconds))


def _rest(session: Session, size: Size) -> Run | None:
    return session.rest(size.rest_s)


def _with_before(session: Session, size: Size, fill_kind: str, requests: int) -> Run | None:
    """The ordinary load before and after the store was filled."""
    before = session.measured("plain", Load(50, size.messages, size.seconds))
    filled = session.measured(fill_kind, Load(4, requests), again_max=0)
    after = session.measured("plain", Load(50, size.messages, size.seconds))
    if before is None or filled is None or after is None:
        return None
    after.figures["before_delivered_per_s"] = before.figures["delivered_per_s"]
    after.figures["before_processor_us_per_message"] = before.figures["processor_us_per_message"]
    after.figures["fill_accepted_per_s"] = filled.figures["accepted_per_s"]
    after.remark = after.remark or filled.remark
    return after


def _scheduled(session: Session, size: Size) -> Run | None:
    """A million messages that wait for a day to come, none of which the SMSC may see."""
    base = session.smsc.submitted
    before = session.measured("plain", Load(50, size.messages, size.seconds))
    filled = session.scheduled(Load(4, max(1, SCHEDULED_REQUESTS * size.messages // Size.messages)))
    if before is None or filled is None:
        return None
    after = session.measured("plain", Load(50, size.messages, size.seconds))
    assert after is not None
    after.figures["before_delivered_per_s"] = before.figures["delivered_per_s"]
    after.figures["fill_accepted_per_s"] = filled.figures["accepted_per_s"]
    plain = before.counts["delivered"] + after.counts["delivered"]
    after.counts["sent_too_early"] = max(0, session.smsc.submitted - base - plain)
    after.remark = after.remark or filled.remark
    return after


def _stored(session: Session, size: Size) -> Run | None:
    return _with_before(session, size, "bulk", max(1, STORED_REQUESTS * size.messages // Size.messages))


def _growth(session: Session, size: Size) -> Run | None:
    return growth.measure(session, size.growth, size.growth_messages)


def _accounts(session: Session, size: Size) -> Run | None:
    gateway = session.gateway
    if not isinstance(gateway, Chappe):
        return None
    few_s = gateway.listing_s()
    gateway.make_accounts(size.accounts)
    many_s = gateway.listing_s()
    run = session.measured("accounts", Load(50, size.messages, size.seconds))
    assert run is not None
    run.figures |= {"list_of_few_s": round(few_s, 3), "list_of_all_s": round(many_s, 3)}
    return run


def _soak(session: Session, size: Size) -> Run | None:
    """Hours of an ordinary day in a row: does memory grow?"""
    before = session.rest(size.rest_s)
    amount = Load(20, int(SOAK_RATE * size.soak_s), rate=SOAK_RATE)
    run = session.measured("receipts", amount, receipts=True, again_max=0)
    after = session.rest(size.rest_s)
    if run is not None:
        run.figures["before_pss_mib"] = before.figures["pss_mib"]
        run.figures["pss_mib"] = after.figures["pss_mib"]
        run.figures["rest_processor_percent"] = after.figures["processor_percent"]
    return run


def _first(session: Session, size: Size) -> Run | None:
    """Measured when the session opened."""
    return session.started


FILLED: Final = ("fill_accepted_per_s", "before_delivered_per_s", "processor_us_per_message")

SCENARIOS: Final = (
    Scenario(
        "first", "from the start with nothing to the first message", _first, "first_delivered_s", ("first_accepted_s",)
    ),
    Scenario("rest", "nothing to do", _rest, "pss_mib", ("rss_mib", "processor_percent", "processes")),
    Scenario("accept-1", "one number a request, 1 connection", _plain(1), "delivered_per_s", RATES),
    Scenario("accept-10", "one number a request, 10 connections", _plain(10), "delivered_per_s", RATES),
    Scenario("accept-50", "one number a request, 50 connections", _plain(50), "delivered_per_s", RATES),
    Scenario("bulk", "500 numbers a request, 4 connections", _bulk, "delivered_per_s", RATES),
    Scenario("rate-50", "50 messages/s, 50 connections", _fixed(50), "end_to_end_p99_ms", LATENCIES),
    Scenario("rate-1500", "1,500 messages/s, 50 connections", _fixed(1500), "end_to_end_p99_ms", LATENCIES),
    Scenario("receipts-10", "receipts after 1 s called back, 10 connections", _receipts(10), "called_per_s", CALLS),
    Scenario("receipts-50", "receipts after 1 s called back, 50 connections", _receipts(50), "called_per_s", CALLS),
    Scenario(
        "reports", "the same with two calls a message, the first when the SMSC has it", _reports, "called_per_s", CALLS
    ),
    Scenario("slow", "SMSC answers after 20 ms, 10 connections", _slow, "delivered_per_s", RATES),
    Scenario("personal", "AllMySMS flows of 50 personal texts, 10 connections", _personal, "delivered_per_s", RATES),
    Scenario(
        "scheduled",
        "accept-50 while a million scheduled messages wait",
        _scheduled,
        "delivered_per_s",
        FILLED,
        usual=False,
    ),
    Scenario(
        "stored",
        "accept-50 with a million messages stored",
        _stored,
        "delivered_per_s",
        (*FILLED, "before_processor_us_per_message"),
        usual=False,
    ),
    Scenario(
        "growth",
        "accept-50 and receipts-50 with 10^4 to 10^7 messages stored",
        _growth,
        "growth_percent",
        tuple(f"{kind}_us_at_{size}" for kind in growth.KINDS for size in Size.growth),
        usual=False,
    ),
    Scenario(
        "accounts",
        "10,000 accounts: their list, and all of them sending",
        _accounts,
        "delivered_per_s",
        ("list_of_few_s", "list_of_all_s", *RATES),
        usual=False,
    ),
    Scenario(
        "soak",
        "200 messages/s with receipts for an hour",
        _soak,
        "pss_mib",
        ("before_pss_mib", "rest_processor_percent", "send_to_call_p50_ms"),
        usual=False,
    ),
)


def chosen(only: str) -> list[Scenario]:
    """The scenarios of a list by commas: names, or their beginning up to a hyphen; empty: the usual ones.

    Raises ValueError with the names there are.
    """
    if not only:
        return [scenario for scenario in SCENARIOS if scenario.usual]
    found: list[Scenario] = []
    for word in only.split(","):
        matching = [each for each in SCENARIOS if word in (each.name, each.name.partition("-")[0])]
        if not matching:
            raise ValueError(f"no scenario {word}; there are {', '.join(each.name for each in SCENARIOS)}")
        found += [each for each in matching if each not in found]
    return sorted(found, key=SCENARIOS.index)
