"""Sending window profiles: those that come with Chappe, and an operator's own."""

import tomllib
from datetime import date
from pathlib import Path

import msgspec
import pytest

from chappe.core.window_profiles import (
    ADDED_DAYS_MAX,
    PROFILES,
    PROFILES_MAX,
    WEEKDAYS,
    Profile,
    ProfileError,
    clock_s,
    find_profile,
    read_profiles,
)

WORKING = WEEKDAYS[:6]


@pytest.mark.parametrize(
    ("name", "hours", "days", "sundays", "outside"),
    [
        ("fr-seed", "08:00-22:00", WORKING, "closed", "hold"),
        ("fr-partner-2020", "08:00-20:00", WORKING, "closed", "hold"),
        ("fr-af2m-2024", "08:00-22:00", WORKING, "closed", "hold"),
        ("fr-af2m-2026", "08:00-21:30", WORKING, "warn", "hold"),
        ("fr-carrier-reject", "08:00-22:00", WORKING, "closed", "refuse"),
        ("fr-alpha-20", "08:00-22:00", WORKING, "closed", "hold"),
        ("fr-10-20", "10:00-20:00", WORKING, "closed", "hold"),
        ("fr-voice", "10:00-20:00", WEEKDAYS[:5], "closed", "hold"),
        ("none", "00:00-24:00", WORKING, "open", "hold"),
    ],
)
def test_the_profiles_that_come_with_chappe(
    name: str, hours: str, days: tuple[str, ...], sundays: str, outside: str
) -> None:
    profile = find_profile(name)
    assert (f"{profile.open}-{profile.close}", profile.days, profile.outside) == (hours, days, outside)
    assert profile.sundays == profile.holidays == sundays
    assert profile.zone == "recipient"
    assert profile.version
    assert profile.source


def test_the_documentation_lists_every_field_of_a_profile() -> None:
    page = Path(__file__).parents[2].joinpath("docs/operators/own-windows.md").read_text()
    for field in (*Profile.__struct_fields__, "base"):
        assert field == "name" or f"| `{field}` |" in page


def test_only_a_profile_that_holds_nothing_never_closes() -> None:
    assert [name for name, profile in PROFILES.items() if profile.never_closes] == ["none"]
    assert Profile(name="x", outside="warn").never_closes
    assert not Profile(name="x", open="00:00", close="24:00", sundays="open").never_closes
    assert not Profile(name="x", open="00:00", close="24:00", sundays="open", holidays="open", days=()).never_closes


@pytest.mark.parametrize(
    ("sender", "close"), [("MARQUE", "20:00"), ("36111", "22:00"), ("", "22:00"), ("1A", "20:00"), ("+33 9", "22:00")]
)
def test_senders_with_letters_close_earlier_where_the_profile_says_so(sender: str, close: str) -> None:
    assert PROFILES["fr-alpha-20"].for_sender(sender).close == close
    assert PROFILES["fr-seed"].for_sender(sender) is PROFILES["fr-seed"]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("08:00", 28_800), ("8h", 28_800), ("8:05", 29_100), ("21h30", 77_400), ("24:00", 86_400), ("08:00:00", 28_800)],
)
def test_times_of_day_are_read(text: str, seconds: int) -> None:
    assert clock_s(text) == seconds


@pytest.mark.parametrize("text", ["", "8", "08:", "24:01", "25:00", "08:60", "08:00:30", "-1:00", "٠٨:٠٠", "08:00am"])
def test_what_is_no_time_of_day_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a time of day"):
        clock_s(text)


def test_own_profiles_are_read_from_toml() -> None:
    table = tomllib.loads("""
        [windows.ma-charte]
        base = "fr-af2m-2026"
        source = "our charter"
        version = "3"
        valid_from = 2027-01-01
        open = 09:00:00
        close = "20h30"
        days = "mon-wed,Friday"
        nights = ["mon", "tue-thu"]
        pause = "12:30-14:00"
        sundays = "closed"
        zone = "both"
        strict = true
        custom_days_close = "no"
        added_days = { "2027-05-10" = "Grève", "2027-02-01" = "Deuil" }

        [windows.narrower]
        base = "ma-charte"
        close = "18:00"
        pause = "none"
    """)["windows"]
    own = read_profiles(table)
    assert own["ma-charte"] == Profile(
        name="ma-charte",
        version="3",
        source="our charter",
        valid_from=date(2027, 1, 1),
        days=("mon", "tue", "wed", "fri"),
        nights=("mon", "tue", "wed", "thu"),
        open="09:00",
        close="20:30",
        pause=("12:30", "14:00"),
        holidays="warn",  # of its base
        zone="both",
        strict=True,
        custom_days_close=False,
        added_days=((date(2027, 2, 1), "Deuil"), (date(2027, 5, 10), "Grève")),
    )
    assert own["narrower"] == msgspec.structs.replace(
        own["ma-charte"],
        name="narrower",
        close="18:00",
        pause=None,
        version="1",
        source="operator",
        valid_from=None,
    )
    assert find_profile("narrower", own) is own["narrower"]


def test_own_profiles_change_the_default_one_unless_they_say_otherwise() -> None:
    assert read_profiles({"late": {"close": "23:00"}})["late"] == Profile(name="late", source="operator", close="23:00")


def test_an_earlier_closing_of_the_base_can_be_taken_away() -> None:
    own = read_profiles({"mine": {"base": "fr-alpha-20", "close": "19:00", "alphanumeric_close": "none"}})
    assert own["mine"].for_sender("MARQUE").close == "19:00"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"clsoe": "20:00"}, "clsoe: no such field; did you mean close?"),
        ({"base": "fr-seeed"}, "base: window profile 'fr-seeed' is unknown; did you mean fr-seed?"),
        ({"base": "later"}, "'later' is unknown"),
        ({"open": "8"}, "open: '8' is not a time of day"),
        ({"open": 8}, "open: expected a short text, not 8"),
        ({"open": "22:00"}, "open must be before close"),
        ({"close": "07:59"}, "open must be before close"),
        ({"pause": "13:00"}, "pause: expected two times"),
        ({"pause": "07:00-09:00"}, "pause must lie in the hours"),
        ({"pause": "14:00-13:00"}, "pause must lie in the hours"),
        ({"days": "mon-fry"}, "'mon-fry' is no weekday; did you mean fri?"),
        ({"days": "sat-mon"}, "'sat-mon' goes backwards"),
        ({"days": "mon-sun"}, "`sundays` decides of Sunday"),
        ({"days": 5}, "days: expected weekdays"),
        ({"sundays": "close"}, "sundays: 'close' is not one of closed, open, warn"),
        ({"outside": "drop"}, "outside: 'drop' is not one of hold, refuse, warn"),
        ({"zone": "Europe/Paris"}, "is not one of recipient, paris, both"),
        ({"strict": 1}, "strict: expected true or false"),
        ({"strict": "maybe"}, "strict: expected true or false"),
        ({"valid_from": "soon"}, "valid_from: expected a date"),
        ({"added_days": ["2027-05-10"]}, "added_days: expected a table"),
        ({"added_days": {"10/05/2027": "x"}}, "added_days: expected a date as 2027-05-10"),
        ({"added_days": {f"d{n}": "x" for n in range(ADDED_DAYS_MAX + 1)}}, "are more than"),
        ({"alphanumeric_close": "23:00"}, "alphanumeric_close must lie in the hours"),
        ({"source": "x" * 201}, "source: expected a short text"),
        ({"pause": "13:00-14:00", "alphanumeric_close": "14:00"}, "alphanumeric_close must come after the pause"),
    ],
)
def test_an_own_profile_that_makes_no_sense_is_one_clear_line(fields: dict[str, object], words: str) -> None:
    with pytest.raises(ProfileError) as caught:
        read_profiles({"mine": fields, "later": {}})
    assert str(caught.value).startswith("window profile 'mine': ")
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"fr-seed": {}}, "comes with Chappe"),
        ({"Grand Nom": {}}, "a name is up to 40"),
        ({"mine": "08:00-20:00"}, "expected a table"),
        ({f"p{n}": {} for n in range(PROFILES_MAX + 1)}, "are more than"),
    ],
)
def test_a_table_of_profiles_has_limits(table: dict[str, object], words: str) -> None:
    with pytest.raises(ProfileError, match=words):
        read_profiles(table)


def test_an_unknown_name_is_refused_with_a_suggestion() -> None:
    with pytest.raises(ProfileError, match="did you mean fr-partner-2020"):
        find_profile("fr-partner-2002")
    with pytest.raises(ProfileError, match=r"known are fr-seed, .*mine"):
        find_profile("zzz", read_profiles({"mine": {}}))


def test_a_profile_with_a_wrong_word_cannot_be_made() -> None:
    with pytest.raises(ValueError, match="zone is one of"):
        Profile(name="x", zone="mars")  # type: ignore[arg-type]
