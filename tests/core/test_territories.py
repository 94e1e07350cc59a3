"""Clocks and calendars of numbers."""

import pytest

from chappe.core import numbers, territories
from chappe.core.holidays_fr import FEASTS
from chappe.core.territories import HOME, PLANS, REGIONS, Place, UnknownPlace, places, region_place

PARIS_ALSACE = Place("Europe/Paris", "FR-AM")


@pytest.mark.parametrize(
    ("e164", "place"),
    [
        ("+33612345678", HOME),
        ("+590690123456", Place("America/Guadeloupe", "GP")),
        ("+596696123456", Place("America/Martinique", "MQ")),
        ("+594694123456", Place("America/Cayenne", "GF")),
        ("+508708401234", Place("America/Miquelon", "PM")),
        ("+508551234", Place("America/Miquelon", "PM")),
        ("+262692123456", Place("Indian/Reunion", "RE")),
        ("+262709201234", Place("Indian/Reunion", "RE")),
        ("+262639123456", Place("Indian/Mayotte", "YT")),
        ("+262709351234", Place("Indian/Mayotte", "YT")),
        ("+262709371234", Place("Indian/Mayotte", "YT")),
        ("+262709341234", Place("Indian/Reunion", "RE")),
        ("+687751234", Place("Pacific/Noumea", "NC")),
        ("+68987123456", Place("Pacific/Tahiti", "PF")),
        ("+681821234", Place("Pacific/Wallis", "WF")),
        ("+32470123456", HOME._replace(guessed=True)),
        ("+2693212345", HOME._replace(guessed=True)),  # the Comoros, not Mayotte
    ],
)
def test_the_plan_gives_clock_and_calendar(e164: str, place: Place) -> None:
    assert places(territories.plan(e164)) == (place,)


def test_every_zone_of_the_numbering_plans_has_a_place_and_every_place_a_calendar() -> None:
    assert {zone for _, zone in numbers.ZONES} == set(PLANS)
    assert max(len(prefix) for prefix, _ in numbers.ZONES) <= 9
    for plan in PLANS.values():
        for place in plan:
            assert place.calendar in FEASTS
            assert territories.clock(place.zone).key == place.zone
    assert {place.calendar for place in REGIONS.values()} == set(FEASTS)


@pytest.mark.parametrize(
    ("written", "place"),
    [
        ("57", PARIS_ALSACE),
        ("67", PARIS_ALSACE),
        ("FR-68", PARIS_ALSACE),
        ("fr-6ae", PARIS_ALSACE),
        ("Alsace-Moselle", PARIS_ALSACE),
        ("75", HOME),
        ("FR-2a", HOME),
        ("FR", HOME),
        (" re ", Place("Indian/Reunion", "RE")),
        ("974", Place("Indian/Reunion", "RE")),
        ("FR-PF", Place("Pacific/Tahiti", "PF")),
        ("MF", Place("America/Marigot", "MF")),
        ("978", Place("America/Marigot", "MF")),
        ("BL", Place("America/St_Barthelemy", "BL")),
    ],
)
def test_a_region_overrules_the_plan(written: str, place: Place) -> None:
    assert region_place(written) == place
    assert places("America/Guadeloupe", written) == (place,)
    assert places(None, written, strict=True) == (place,)


@pytest.mark.parametrize(
    ("written", "suggestion"), [("alsace-mosel", "ALSACE-MOSELLE"), ("96", ""), ("BE", ""), ("-", "")]
)
def test_an_unknown_region_is_refused(written: str, suggestion: str) -> None:
    with pytest.raises(UnknownPlace, match=f"(?s)is unknown.*{suggestion}"):
        region_place(written)


@pytest.mark.parametrize("zone", ["Europe/Pari", "America", "/etc/passwd", "../zone", "a\0b"])
def test_an_unknown_time_zone_is_refused(zone: str) -> None:
    with pytest.raises(UnknownPlace, match="time zone"):
        places("Europe/Paris", time_zone=zone)


def test_a_time_zone_overrules_the_clock_and_not_the_calendar() -> None:
    assert places("Pacific/Tahiti", time_zone="Pacific/Marquesas") == (Place("Pacific/Marquesas", "PF"),)
    assert places(None, time_zone="America/New_York") == (Place("America/New_York", "FR"),)


def test_strict_takes_all_that_a_number_may_mean() -> None:
    assert places("Europe/Paris", strict=True) == (HOME, PARIS_ALSACE)
    assert [place.calendar for place in places("America/Guadeloupe", strict=True)] == ["GP", "MF", "BL"]
    assert [place.zone for place in places("Pacific/Tahiti", strict=True)] == [
        "Pacific/Tahiti",
        "Pacific/Marquesas",
        "Pacific/Gambier",
    ]
    assert places("Pacific/Tahiti", time_zone="Pacific/Gambier", strict=True) == (Place("Pacific/Gambier", "PF"),)
