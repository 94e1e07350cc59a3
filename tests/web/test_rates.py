"""Limits of requests: each account its own, refilled as time goes on."""

from __future__ import annotations

import pytest

from chappe.core.model import Account, AccountSettings
from chappe.dialects.registry import BY_NAME
from chappe.web import rates
from chappe.web.rates import Rates, UnderWay

SMS_PARTNER, ALL_MY_SMS = BY_NAME["smspartner"], BY_NAME["allmysms"]


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def account(number: int, requests_per_minute: int = 0) -> Account:
    return Account(number, f"account {number}", settings=AccountSettings(requests_per_minute=requests_per_minute))


@pytest.mark.parametrize(("verb", "limit"), [("statistics/cost-resume", 5), ("lookup", 360)])
def test_dear_requests_have_the_limit_of_the_provider(verb: str, limit: int) -> None:
    clock = Clock()
    limits = Rates(clock)
    assert [limits.allow(account(1), SMS_PARTNER, verb) for _ in range(limit + 2)] == [True] * limit + [False] * 2
    assert limits.allow(account(2), SMS_PARTNER, verb), "another account has its own"
    assert limits.allow(account(1), ALL_MY_SMS, verb)
    assert limits.allow(account(1), SMS_PARTNER, "send")
    clock.now_s += 60 / limit
    assert [limits.allow(account(1), SMS_PARTNER, verb) for _ in range(2)] == [True, False]
    clock.now_s += 3600
    assert sum(limits.allow(account(1), SMS_PARTNER, verb) for _ in range(limit * 2)) == limit


def test_an_account_may_have_a_limit_for_everything() -> None:
    clock = Clock()
    limits = Rates(clock)
    asked = [limits.allow(account(1, 3), ALL_MY_SMS, verb) for verb in ("sendsms", "getinfo", "sendsms", "sendsms")]
    assert asked == [True, True, True, False]
    assert limits.allow(account(1, 4), ALL_MY_SMS, "sendsms"), "a new limit begins anew"
    assert all(limits.allow(account(2), ALL_MY_SMS, "sendsms") for _ in range(1000)), "0 is no limit"


def test_what_is_kept_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates, "KEPT_MAX", 10)
    limits = Rates(Clock())
    for number in range(100):
        assert limits.allow(account(number, 1), SMS_PARTNER, "send")
    assert len(limits._buckets) == 10


def test_who_has_much_under_way_begins_nothing_more_and_others_do() -> None:
    share = UnderWay(10)
    assert [share.begin(1, weight) for weight in (4, 500, 1)] == [True, True, False]
    assert share.begin(2)
    share.end(1, 500)
    assert share.begin(1, 6)
    assert not share.begin(1)
    for weight in (4, 6):
        share.end(1, weight)
    share.end(2)
    assert share._of == {}, "nothing is kept of who has nothing under way"
