"""How workers share the binds: each rule with its clock, and any number of workers together."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chappe.workers.bind_share import LEFT_S, SURPLUS_S, UNREACHED_S_MAX, UNREACHED_S_MIN, YIELD_S, Share


def share(binds: int, others: int) -> Share[str]:
    made: Share[str] = Share()
    made.hear(binds, others)
    return made


@pytest.mark.parametrize(
    ("binds", "others", "size"), [(0, 0, 0), (5, 0, 5), (5, 1, 3), (2, 1, 1), (1, 1, 1), (1, 5, 1), (7, 2, 3)]
)
def test_the_share_is_what_is_left_for_the_last(binds: int, others: int, size: int) -> None:
    assert share(binds, others).size == size


def test_who_is_alone_takes_everything_at_once() -> None:
    alone = share(3, 0)
    assert all(alone.wants(bind, driven, 0.0) for driven, bind in enumerate("abc"))
    assert not alone.is_surplus(3, 1e9)
    assert not alone.gives_up("a", connected=False, now=1e9), "nobody else could reach it either"


def test_beyond_the_share_a_bind_is_left_to_others_for_a_moment() -> None:
    one = share(2, 1)
    assert one.wants("a", 0, 0.0)
    assert not one.wants("b", 1, 0.0)
    assert not one.wants("b", 1, YIELD_S - 0.1)
    assert one.wants("b", 1, YIELD_S), "nobody came for it"
    one.still_free([])
    assert not one.wants("b", 1, YIELD_S + 1), "free anew"


def test_a_surplus_is_given_back_when_it_lasts_and_one_at_a_time() -> None:
    one = share(4, 1)
    assert not one.is_surplus(4, 0.0)
    assert not one.is_surplus(4, SURPLUS_S - 0.1)
    assert one.is_surplus(4, SURPLUS_S)
    one.give_back("d", SURPLUS_S)
    assert not one.is_surplus(3, SURPLUS_S + 1.0)
    assert not one.wants("d", 1, SURPLUS_S + 1.0), "not taken back at once"
    assert one.is_surplus(3, 3 * SURPLUS_S)
    assert not one.is_surplus(2, 9 * SURPLUS_S)


def test_a_surplus_that_ends_by_itself_is_forgotten() -> None:
    one = share(2, 1)
    assert not one.is_surplus(2, 0.0)
    one.hear(2, 0)
    assert not one.is_surplus(2, SURPLUS_S)
    one.hear(2, 1)
    assert not one.is_surplus(2, SURPLUS_S + 1)


def test_what_does_not_connect_is_left_to_others_more_and_more_patiently() -> None:
    one = share(2, 1)
    assert not one.gives_up("a", connected=False, now=0.0)
    assert not one.gives_up("a", connected=True, now=1.0), "it was connected in between"
    assert not one.gives_up("a", connected=False, now=2.0)
    assert one.gives_up("a", connected=False, now=2.0 + UNREACHED_S_MIN)
    assert not one.wants("a", 0, 2.0 + UNREACHED_S_MIN + LEFT_S - 0.1)
    assert one.wants("a", 0, 2.0 + UNREACHED_S_MIN + LEFT_S)
    now, patience = 100.0, []
    for _ in range(12):
        began = now
        while not one.gives_up("a", connected=False, now=now):
            now += 0.5
        patience.append(now - began)
    assert patience == sorted(patience)
    assert patience[0] == 2 * UNREACHED_S_MIN
    assert patience[-1] == UNREACHED_S_MAX


@given(st.integers(1, 12), st.integers(1, 5), st.lists(st.integers(0, 4), max_size=8))
def test_whoever_comes_and_goes_every_bind_is_driven_once_and_nobody_has_more_than_a_share(
    binds: int, workers: int, deaths: list[int]
) -> None:
    living = {number: share(binds, workers - 1) for number in range(workers)}
    driven: dict[int, int] = {}
    now = 0.0
    for step in range(400):
        now += 1.5
        if step % 40 == 39 and step < 300 and deaths:  # one dies, and comes back as another in the next round
            dead = deaths[step // 40 % len(deaths)] % workers
            driven = {bind: owner for bind, owner in driven.items() if owner != dead}
            living[dead] = share(binds, workers - 1)
        for number, one in living.items():
            mine = [bind for bind, owner in driven.items() if owner == number]
            if one.is_surplus(len(mine), now):
                one.give_back(mine[0], now)  # type: ignore[arg-type]
                del driven[mine[0]]
            free = [bind for bind in range(binds) if bind not in driven]
            one.still_free(free)  # type: ignore[arg-type]
            for bind in free:
                if one.wants(bind, sum(owner == number for owner in driven.values()), now):  # type: ignore[arg-type]
                    driven[bind] = number
    assert set(driven) == set(range(binds))
    assert max(list(driven.values()).count(number) for number in living) <= -(-binds // workers)
