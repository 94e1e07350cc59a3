"""Public holidays of France and its territories."""

from datetime import date, timedelta

import holidays as library
import pytest

from chappe.core.holidays_fr import FEASTS, easter, holidays

LIBRARY_NAMES = {
    "FR": None,
    "FR-AM": "57",
    "GP": "971",
    "MQ": "972",
    "GF": "973",
    "RE": "974",
    "YT": "976",
    "BL": "BL",
    "MF": "MF",
    "NC": "NC",
    "PF": "PF",
    "PM": "PM",
    "WF": "WF",
}


@pytest.mark.parametrize("code", FEASTS)
def test_the_table_says_what_an_independent_library_says(code: str) -> None:
    years = range(2012, 2101)  # before, two islands have no list there; after, the library has nothing at all
    expected = set(library.country_holidays("FR", subdiv=LIBRARY_NAMES[code], years=years))
    assert {day for year in years for day in holidays(code, year)} == expected


@pytest.mark.parametrize(
    ("year", "sunday"),
    [
        (1818, date(1818, 3, 22)),  # the earliest possible
        (1943, date(1943, 4, 25)),  # the latest possible
        (1954, date(1954, 4, 18)),  # brought back from 25 April
        (1981, date(1981, 4, 19)),  # brought back from 26 April
        (2026, date(2026, 4, 5)),
        (2027, date(2027, 3, 28)),
        (2100, date(2100, 3, 28)),
        (2285, date(2285, 3, 22)),
        (4099, date(4099, 4, 19)),
    ],
)
def test_easter(year: int, sunday: date) -> None:
    assert easter(year) == sunday


def test_easter_is_a_sunday_between_22_march_and_25_april_in_any_year() -> None:
    for year in range(1583, 9999):
        day = easter(year)
        assert day.weekday() == 6
        assert date(year, 3, 22) <= day <= date(year, 4, 25)


def test_a_year_has_the_eleven_days_by_name() -> None:
    assert [f"{day:%d/%m} {name}" for day, name in holidays("FR", 2026).items()] == [
        "01/01 Jour de l'an",
        "06/04 Lundi de Pâques",
        "01/05 Fête du Travail",
        "08/05 Victoire 1945",
        "14/05 Ascension",
        "25/05 Lundi de Pentecôte",
        "14/07 Fête nationale",
        "15/08 Assomption",
        "01/11 Toussaint",
        "11/11 Armistice 1918",
        "25/12 Noël",
    ]


def test_two_feasts_on_one_day_are_one_day_with_both_names() -> None:
    assert holidays("FR", 2008)[date(2008, 5, 1)] == "Fête du Travail, Ascension"
    assert len(holidays("FR", 2008)) == 10


@pytest.mark.parametrize(
    ("code", "by_use"),
    [
        ("GP", {date(2026, 3, 12), date(2026, 4, 3), date(2026, 7, 21)}),
        ("MQ", {date(2026, 7, 21)}),
        ("MF", {date(2026, 7, 21)}),
        ("PF", set()),  # Good Friday is the law there
        ("FR-AM", set()),
        ("RE", set()),
    ],
)
def test_days_by_use_can_be_left_out(code: str, by_use: set[date]) -> None:
    assert set(holidays(code, 2026)) - set(holidays(code, 2026, custom=False)) == by_use


def test_polynesia_changed_its_day_in_2025() -> None:
    assert date(2024, 6, 29) in holidays("PF", 2024)
    assert date(2024, 11, 20) not in holidays("PF", 2024)
    assert date(2025, 6, 29) not in holidays("PF", 2025)
    assert date(2025, 11, 20) in holidays("PF", 2025)


def test_years_beyond_a_lifetime_have_holidays_too() -> None:
    assert holidays("FR", 2150)[date(2150, 12, 25)] == "Noël"
    assert holidays("FR", 9999)[easter(9999) + timedelta(1)] == "Lundi de Pâques"


def test_nobody_can_change_a_calendar_that_others_share() -> None:
    with pytest.raises(TypeError):
        holidays("FR", 2026)[date(2026, 2, 2)] = "Chandeleur"  # type: ignore[index]


def test_an_unknown_calendar_is_an_error() -> None:
    with pytest.raises(KeyError):
        holidays("BE", 2026)
