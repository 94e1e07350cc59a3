"""What accounts and hosts may have of the notifier: halves, thirds, and always something for the next."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from chappe.store.webhooks import Pending
from chappe.workers import webhook_shares as shares
from chappe.workers.webhook_shares import Hosts

NOW = datetime(2026, 3, 2, tzinfo=UTC)


def pending(account: int, host: int, number: int) -> Pending:
    return Pending(
        account << 32 | host, 1, number, number, NOW, 6, 0, None, "", 0, 6, "smspartner", "", "", "", 0, 0
    )  # fmt: skip


def filled(accounts: int, hosts_each: int, rows_each: int) -> Hosts:
    hosts = Hosts()
    for account in range(1, accounts + 1):
        for host in range(hosts_each):
            for row in range(rows_each):
                hosts.take(pending(account, host, (account << 40) + (host << 20) + row))
    return hosts


def begin_all(hosts: Hosts) -> None:
    for host in hosts.to_begin():
        doubtful = not host.trusted
        while host.queue and host.calls < host.calls_max and hosts.may_begin(host.account, doubtful=doubtful):
            host.queue.popleft()
            hosts.began(host, doubtful=doubtful)


@pytest.mark.parametrize(("accounts", "each"), [(1, 100), (2, 66), (3, 50), (7, 25)])
def test_so_many_calls_to_hosts_of_which_nothing_is_known_have_accounts_that_want_all(accounts: int, each: int) -> None:
    hosts = filled(accounts, 300, 2)
    for _ in range(10):
        begin_all(hosts)
    calls = [account.calls for account in hosts.accounts.values()]
    assert max(calls) <= shares.CALLS_DOUBTFUL_MAX // 2
    assert sum(calls) < shares.CALLS_DOUBTFUL_MAX, "there is something for the next"
    assert calls[-1] > 0
    assert max(calls) >= each


def test_one_account_may_call_trusted_hosts_with_half_of_all() -> None:
    hosts = filled(1, 60, 60)
    for host in list(hosts.by_number.values()):
        for _ in range(shares.CALLS_PER_HOST):
            hosts.heard(host, well=True)
    begin_all(hosts)
    assert hosts.calls == shares.CALLS_MAX // 2
    hosts.take(pending(9, 1, 1))
    begin_all(hosts)
    assert hosts.accounts[9].calls == 1


def test_a_call_is_followed_by_none_when_others_need_the_room() -> None:
    hosts = filled(1, 60, 60)
    for host in list(hosts.by_number.values()):
        for _ in range(shares.CALLS_PER_HOST):
            hosts.heard(host, well=True)
    begin_all(hosts)
    busy = next(host for host in hosts.by_number.values() if host.calls)
    assert hosts.may_go_on(busy)
    for n in range(shares.CALLS_PER_HOST):
        hosts.take(pending(9, n, n))
    begin_all(hosts)
    assert not hosts.may_go_on(busy)


def test_rows_in_hand_are_shared_as_calls_are() -> None:
    hosts = Hosts()
    assert hosts.room(1) == shares.HAND_MAX // 2
    for row in range(shares.HAND_MAX // 2):
        hosts.take(pending(1, row, row))
    assert hosts.room(1) == 0
    assert hosts.room(2) == shares.HAND_MAX // 4


def test_of_a_host_that_does_not_answer_little_is_in_hand() -> None:
    hosts = filled(1, 1, 5)
    (host,) = hosts.by_number.values()
    assert (host.hand_max, hosts.wish(host.number)) == (50, 45)
    for _ in range(5):
        hosts.heard(host, well=False)
    assert host.hand_max == shares.HAND_PER_CALL
    hosts.heard(host, well=True)
    assert host.hand_max == shares.HAND_PER_HOST
    assert hosts.wish(99) == shares.HAND_PER_CALL * shares.CALLS_AT_FIRST


def test_what_has_nothing_left_is_forgotten() -> None:
    hosts = filled(3, 4, 2)
    begin_all(hosts)
    for host in list(hosts.by_number.values()):
        hosts.heard(host, well=host.number % 2 == 0)
        while host.calls:
            hosts.ended(host, doubtful=True)
        for webhook_id in list(host.in_hand):
            hosts.give_back(host, webhook_id)
    assert (hosts.by_number, hosts.accounts, hosts.in_hand, hosts.calls, hosts.doubtful) == ({}, {}, 0, 0, 0)
