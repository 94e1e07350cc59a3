"""Routing: the longest prefix, then the lowest priority number, the rest as ways out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chappe.core.routing import Demo, Route, Router

TABLE = (
    Route("", None, "world", 5),
    Route("33", None, "france", 1),
    Route("33", None, "france_spare", 2),
    Route("33", 2, "cheap", 1),
    Route("337", 1, "seven", 9),
    Route("262", None, "france", 1),
    Route("44", None, "world", 1),
)


@pytest.mark.parametrize(
    ("destination", "range_", "carriers"),
    [
        ("+33612345678", 1, ("france", "france_spare", "world")),
        ("+33612345678", 2, ("cheap", "france", "france_spare", "world")),
        ("+33712345678", 1, ("seven", "france", "france_spare", "world")),
        ("+33712345678", 2, ("cheap", "france", "france_spare", "world")),
        ("+262692123456", 1, ("france", "world")),
        ("+447911123456", 1, ("world",)),
        ("+12015550123", 1, ("world",)),
        ("+3", 1, ("world",)),
    ],
)
def test_carriers_come_in_order(destination: str, range_: int, carriers: tuple[str, ...]) -> None:
    assert Router(TABLE).carriers(destination, range_) == carriers


def test_without_a_route_there_is_no_carrier() -> None:
    assert Router(()).carriers("+33612345678", 1) == ()
    assert Router([Route("33", 2, "cheap")]).carriers("+33612345678", 1) == ()
    assert Router([Route("33", None, "france")]).carriers("+447911123456", 1) == ()


PHONES = Route("", None, "phones", 100)
FRANCE = Route("33", None, "france")


@pytest.mark.parametrize(
    ("what", "routes", "demo", "of_demo", "of_others"),
    [
        ("a playground", [PHONES], Demo(1, "phones", True), ("phones",), ("phones",)),
        ("there is another carrier", [PHONES, FRANCE], Demo(1, "phones", False), ("phones",), ("france",)),
        ("it has no route yet", [PHONES], Demo(1, "phones", False), ("phones",), ()),
        ("the demo's route is gone", [FRANCE], Demo(1, "phones", False), ("phones",), ("france",)),
        ("served without the demo", [FRANCE], Demo(1, "", False), (), ("france",)),
        ("the phones were removed", [FRANCE], Demo(1, "", True), (), ("france",)),
        ("there was never a demo", [FRANCE], Demo(0, "", False), ("france",), ("france",)),
    ],
)
def test_the_phones_are_the_demo_account_s_way_out_and_no_other_s(
    what: str, routes: list[Route], demo: Demo, of_demo: tuple[str, ...], of_others: tuple[str, ...]
) -> None:
    router = Router(routes, demo)
    assert router.carriers("+33612345678", 1, 1) == of_demo, what
    assert router.carriers("+33612345678", 1, 2) == of_others, what


@pytest.mark.parametrize("prefix", ["+33", "3a", " 33", "٣٣"])
def test_a_malformed_prefix_is_refused(prefix: str) -> None:
    with pytest.raises(ValueError, match="prefix"):
        Router([Route(prefix, None, "x")])


def test_an_unknown_range_is_refused() -> None:
    with pytest.raises(ValueError, match="range"):
        Router([Route("33", 3, "x")])


routes = st.builds(
    Route,
    prefix=st.text("123", max_size=4),
    range=st.sampled_from([None, 1, 2]),
    carrier=st.sampled_from("abcde"),
    priority=st.integers(0, 3),
)


@given(st.lists(routes, max_size=12), st.text("123", min_size=5, max_size=8), st.sampled_from([1, 2]))
def test_the_compiled_answer_is_that_of_a_plain_search(table: list[Route], digits: str, range_: int) -> None:
    fitting = sorted(
        (route for route in table if digits.startswith(route.prefix) and route.range in (None, range_)),
        key=lambda route: (-len(route.prefix), route.priority, route.range is None, route.carrier),
    )
    expected: list[str] = []
    for route in fitting:
        if route.carrier not in expected:
            expected.append(route.carrier)
    assert list(Router(table).carriers("+" + digits, range_)) == expected
    assert Router(reversed(table)).carriers("+" + digits, range_) == tuple(expected)
