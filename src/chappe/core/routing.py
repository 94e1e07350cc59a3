"""Which carriers may take a message, in order: longest destination prefix first, then priority."""

from collections.abc import Iterable
from typing import NamedTuple

RANGES = (1, 2)
"""The ranges a route can be limited to: premium and low cost."""


class Route(NamedTuple):
    """One line of the routing table.

    prefix: international digits without plus, "" for every destination; range: 1 premium, 2 low cost, None both;
    priority: the lower goes first.
    """

    prefix: str
    range: int | None
    carrier: str
    priority: int = 0


class Demo(NamedTuple):
    """The demo: its account, the carrier of its phones, and whether the phones take every account's messages.

    account_id: 0 while there is none. carrier: "" while the demo is off, or its carrier was removed.
    """

    account_id: int
    carrier: str
    everyone: bool


NO_DEMO = Demo(0, "", False)


class Router:
    """A routing table ready for the hot path; build a new one when the table changes.

    For each prefix the whole answer is computed once, so that a look-up is one dictionary probe per prefix length in
    use. Raises ValueError for a prefix that is not digits, or an unknown range.

    demo: the demo account's messages go to the demo's carrier and nowhere else; unless the phones are for everyone, no
    other account's message goes there, not even when every other carrier is down.
    """

    def __init__(self, routes: Iterable[Route], demo: Demo = NO_DEMO) -> None:
        table = tuple(route for route in routes if demo.everyone or route.carrier != demo.carrier)
        self.demo = demo
        self._demo_account_id = demo.account_id
        self._demo_answer = (demo.carrier,) if demo.carrier else ()
        for route in table:
            if route.prefix and not (route.prefix.isascii() and route.prefix.isdecimal()):
                raise ValueError(f"not a destination prefix: {route.prefix!r}")
            if route.range is not None and route.range not in RANGES:
                raise ValueError(f"no such range: {route.range!r}")
        self._answers = {range_: _answers(table, range_) for range_ in RANGES}
        # Keys keep the plus: one slice less per look-up.
        self._lengths = {
            range_: tuple(sorted({len(key) for key in answers}, reverse=True))
            for range_, answers in self._answers.items()
        }

    def carriers(self, destination: str, range_: int, account_id: int = 0) -> tuple[str, ...]:
        """Give the carriers for an E.164 destination with plus, best first, each once; empty if no route fits.

        A carrier that is down is skipped by the caller, so shorter prefixes follow longer ones as a way out.
        """
        if account_id and account_id == self._demo_account_id:
            return self._demo_answer
        answers = self._answers[range_]
        for length in self._lengths[range_]:
            found = answers.get(destination[:length])
            if found is not None:
                return found
        return ()


def _answers(table: tuple[Route, ...], range_: int) -> dict[str, tuple[str, ...]]:
    usable = [route for route in table if route.range in (None, range_)]
    return {"+" + prefix: _order(usable, prefix) for prefix in {route.prefix for route in usable}}


def _order(routes: list[Route], prefix: str) -> tuple[str, ...]:
    """Order the carriers of all routes that hold for a prefix; a route made for the range goes before one for both."""
    fitting = [route for route in routes if prefix.startswith(route.prefix)]
    fitting.sort(key=lambda route: (-len(route.prefix), route.priority, route.range is None, route.carrier))
    return tuple(dict.fromkeys(route.carrier for route in fitting))
