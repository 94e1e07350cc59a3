"""Tables of instants, territories and profiles: every edge of every profile everywhere, every territory's own days,
long weekends, and nights in which the clocks change; written as the recipient's wall clock shows it."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from chappe.core.window import check, check_schedule
from chappe.core.window_profiles import PROFILES, Profile, read_profiles

# Where: a number, its clock, its offset in winter and in summer of the northern hemisphere.
TERRITORIES = {
    "metropole": ("+33612345678", "Europe/Paris", 1, 2),
    "guadeloupe": ("+590690123456", "America/Guadeloupe", -4, -4),
    "martinique": ("+596696123456", "America/Martinique", -4, -4),
    "guyane": ("+594694201234", "America/Cayenne", -3, -3),
    "miquelon": ("+508551234", "America/Miquelon", -3, -2),
    "reunion": ("+262692123456", "Indian/Reunion", 4, 4),
    "reunion-7092": ("+262709201234", "Indian/Reunion", 4, 4),
    "mayotte": ("+262639001234", "Indian/Mayotte", 3, 3),
    "mayotte-7093": ("+262709350001", "Indian/Mayotte", 3, 3),
    "caledonie": ("+687751234", "Pacific/Noumea", 11, 11),
    "polynesie": ("+68987123456", "Pacific/Tahiti", -10, -10),
    "wallis": ("+681821234", "Pacific/Wallis", 12, 12),
}
HOURS = {
    "fr-seed": ("08:00", "22:00"),
    "fr-partner-2020": ("08:00", "20:00"),
    "fr-af2m-2024": ("08:00", "22:00"),
    "fr-af2m-2026": ("08:00", "21:30"),
    "fr-carrier-reject": ("08:00", "22:00"),
    "fr-alpha-20": ("08:00", "22:00"),
    "fr-10-20": ("10:00", "20:00"),
    "fr-voice": ("10:00", "20:00"),
}
OWN = read_profiles({"strict": {"strict": True}, "by-use-open": {"custom_days_close": False}})


def profile_of(name: str) -> Profile:
    return PROFILES.get(name) or OWN[name]


def local(where: str, wall: str) -> datetime:
    """The instant at which the wall clock there shows `2026-11-24 21:59`."""
    return datetime.fromisoformat(wall).replace(tzinfo=ZoneInfo(TERRITORIES[where][1])).astimezone(UTC)


def opens(profile: str, where: str, instant: datetime) -> str:
    """When it may leave, on the wall clock there; `now` when at once."""
    verdict = check(profile_of(profile), TERRITORIES[where][0], instant)
    if verdict.allowed:
        assert verdict.next_at == instant
        return "now"
    assert verdict.next_at is not None
    assert verdict.next_at > instant
    return f"{verdict.next_at.astimezone(ZoneInfo(TERRITORIES[where][1])):%Y-%m-%d %H:%M:%S}".removesuffix(":00")


@pytest.mark.parametrize("day", ["2026-01-14", "2026-06-17", "2026-11-25"])  # Wednesdays
@pytest.mark.parametrize("where", TERRITORIES)
@pytest.mark.parametrize("profile", HOURS)
def test_the_minute_before_and_after_each_edge(profile: str, where: str, day: str) -> None:
    opening, closing = HOURS[profile]
    _, zone, winter_h, summer_h = TERRITORIES[where]
    opens_at, closes_at = local(where, f"{day} {opening}"), local(where, f"{day} {closing}")
    offset = opens_at.astimezone(ZoneInfo(zone)).utcoffset()
    assert offset == timedelta(hours=summer_h if day == "2026-06-17" else winter_h), "the table knows the clock"
    minute, moment = timedelta(minutes=1), timedelta(microseconds=1)
    tomorrow = f"{datetime.fromisoformat(day) + timedelta(days=1):%Y-%m-%d} {opening}"
    expected = {
        opens_at - minute: f"{day} {opening}",
        opens_at - moment: f"{day} {opening}",
        opens_at: "now",
        opens_at + minute: "now",
        closes_at - minute: "now",
        closes_at - moment: "now",
        closes_at: tomorrow,
        closes_at + minute: tomorrow,
    }
    assert {instant: opens(profile, where, instant) for instant in expected} == expected
    pauses = profile == "fr-voice"
    verdict = check(profile_of(profile), TERRITORIES[where][0], opens_at)
    assert verdict.closes_at == (local(where, f"{day} 13:00") if pauses else closes_at)


@pytest.mark.parametrize(
    ("where", "day", "name"),
    [
        # Abolition of slavery, each its own; then what else only this territory has.
        ("mayotte", "2026-04-27", "esclavage"),
        ("mayotte-7093", "2026-04-27", "esclavage"),
        ("martinique", "2026-05-22", "esclavage"),
        ("guadeloupe", "2026-05-27", "esclavage"),
        ("guyane", "2026-06-10", "esclavage"),
        ("reunion", "2027-12-20", "esclavage"),
        ("reunion-7092", "2027-12-20", "esclavage"),
        ("martinique", "2026-07-21", "Schœlcher"),
        ("guadeloupe", "2026-07-21", "Schœlcher"),
        ("guadeloupe", "2026-03-12", "Mi-carême"),
        ("guadeloupe", "2026-04-03", "Vendredi saint"),
        ("caledonie", "2026-09-24", "citoyenneté"),
        ("polynesie", "2026-03-05", "vangile"),
        ("polynesie", "2026-04-03", "Vendredi saint"),
        ("polynesie", "2026-11-20", "Matari'i"),
        ("wallis", "2026-04-28", "Chanel"),
        ("wallis", "2026-06-29", "Paul"),
        ("wallis", "2026-07-29", "territoire"),
    ],
)
def test_a_territory_keeps_its_own_days_and_the_others_do_not(where: str, day: str, name: str) -> None:
    found = check(PROFILES["fr-seed"], TERRITORIES[where][0], local(where, f"{day} 12:00"))
    assert found.reason == "hold.holiday"
    assert found.holiday is not None
    assert name in found.holiday
    assert check_schedule(PROFILES["fr-seed"], [TERRITORIES[where][0]], local(where, f"{day} 12:00")) == "window_day"
    assert opens("fr-seed", "metropole", local("metropole", f"{day} 12:00")) == "now"
    assert opens("fr-seed", "miquelon", local("miquelon", f"{day} 12:00")) == "now", "it has the eleven and no more"


@pytest.mark.parametrize("where", TERRITORIES)
@pytest.mark.parametrize(
    "day",
    ["2026-01-01", "2026-04-06", "2026-05-01", "2026-05-08", "2026-05-14", "2026-05-25", "2026-07-14", "2026-08-15",
     "2027-11-01", "2026-11-11", "2026-12-25"],
)  # fmt: skip
def test_the_eleven_days_are_kept_everywhere(where: str, day: str) -> None:
    for wall in ("00:00", "08:00", "12:00", "21:59", "23:59"):
        verdict = check(PROFILES["fr-seed"], TERRITORIES[where][0], local(where, f"{day} {wall}"))
        assert (verdict.allowed, verdict.reason) == (False, "hold.holiday")
    tolerant = check(PROFILES["fr-af2m-2026"], TERRITORIES[where][0], local(where, f"{day} 12:00"))
    assert (tolerant.allowed, tolerant.warnings) == (True, ("holiday",))
    assert opens("none", where, local(where, f"{day} 03:00")) == "now"


@pytest.mark.parametrize(
    ("profile", "where", "asked", "opened"),
    [
        # Easter: Good Friday is kept in Guadeloupe and Polynesia, in Alsace-Moselle only who is strict can know.
        ("fr-seed", "metropole", "2026-04-02 22:00", "2026-04-03 08:00"),
        ("strict", "metropole", "2026-04-02 22:00", "2026-04-04 08:00"),
        ("fr-seed", "guadeloupe", "2026-04-02 22:00", "2026-04-04 08:00"),
        ("by-use-open", "guadeloupe", "2026-04-02 22:00", "2026-04-03 08:00"),
        ("by-use-open", "polynesie", "2026-04-02 22:00", "2026-04-04 08:00"),  # by law there
        ("fr-seed", "polynesie", "2026-04-04 21:59", "now"),
        ("fr-seed", "polynesie", "2026-04-04 22:00", "2026-04-07 08:00"),
        ("fr-partner-2020", "reunion", "2026-04-04 20:00", "2026-04-07 08:00"),
        ("fr-10-20", "wallis", "2026-04-04 20:00", "2026-04-07 10:00"),
        ("fr-voice", "metropole", "2026-04-03 20:00", "2026-04-07 10:00"),
        ("fr-voice", "guadeloupe", "2026-04-02 20:00", "2026-04-07 10:00"),  # four days and a half
        ("fr-af2m-2026", "metropole", "2026-04-04 21:30", "2026-04-05 08:00"),
        # May: holidays around weekends.
        ("fr-seed", "metropole", "2026-04-30 22:00", "2026-05-02 08:00"),
        ("fr-seed", "metropole", "2026-05-02 22:00", "2026-05-04 08:00"),
        ("fr-seed", "metropole", "2026-05-07 22:00", "2026-05-09 08:00"),
        ("fr-voice", "metropole", "2026-05-07 20:00", "2026-05-11 10:00"),
        ("fr-seed", "metropole", "2026-05-13 22:00", "2026-05-15 08:00"),
        ("fr-seed", "metropole", "2026-05-23 22:00", "2026-05-26 08:00"),
        ("fr-seed", "martinique", "2026-05-21 22:00", "2026-05-23 08:00"),
        ("fr-voice", "martinique", "2026-05-21 20:00", "2026-05-26 10:00"),
        ("fr-seed", "guadeloupe", "2026-05-26 22:00", "2026-05-28 08:00"),
        ("strict", "guadeloupe", "2026-05-26 22:00", "2026-05-29 08:00"),  # Saint-Martin follows Guadeloupe
        ("strict", "guadeloupe", "2026-10-08 22:00", "2026-10-10 08:00"),  # Saint-Barthélemy
        ("fr-seed", "mayotte", "2026-04-25 22:00", "2026-04-28 08:00"),
        # Summer and autumn.
        ("fr-seed", "metropole", "2026-08-14 22:00", "2026-08-17 08:00"),
        ("fr-seed", "metropole", "2026-10-31 22:00", "2026-11-02 08:00"),
        ("fr-seed", "wallis", "2026-06-27 22:00", "2026-06-30 08:00"),
        # The end of the year: Christmas on a Friday; the chain of Alsace-Moselle; two years in a night.
        ("fr-seed", "metropole", "2026-12-24 22:00", "2026-12-26 08:00"),
        ("strict", "metropole", "2026-12-24 22:00", "2026-12-28 08:00"),
        ("fr-voice", "metropole", "2026-12-24 20:00", "2026-12-28 10:00"),
        ("fr-seed", "metropole", "2026-12-31 22:00", "2027-01-02 08:00"),
        ("fr-seed", "polynesie", "2026-12-31 21:59", "now"),  # already the evening of 1 January in Nouméa
        ("fr-seed", "polynesie", "2026-12-31 22:00", "2027-01-02 08:00"),
        ("fr-seed", "caledonie", "2027-01-01 09:00", "2027-01-02 08:00"),  # still noon of 31 December in Tahiti
        ("fr-seed", "wallis", "2026-12-31 22:00", "2027-01-02 08:00"),
        ("fr-seed", "reunion", "2026-12-19 22:00", "2026-12-21 08:00"),  # its day on a Sunday
        ("fr-seed", "reunion", "2027-12-18 22:00", "2027-12-21 08:00"),  # and on the Monday behind one
    ],
)
def test_the_next_opening_over_long_weekends(profile: str, where: str, asked: str, opened: str) -> None:
    assert opens(profile, where, local(where, asked)) == opened


@pytest.mark.parametrize(
    ("profile", "where", "asked_utc", "opened_utc"),
    [
        # Paris, in the night to 29 March 2026 (02:00 is 03:00) and to 25 October (03:00 is 02:00): both are Sundays.
        ("fr-seed", "metropole", "2026-03-28 20:59", "now"),
        ("fr-seed", "metropole", "2026-03-28 21:00", "2026-03-30 06:00"),
        ("fr-af2m-2026", "metropole", "2026-03-28 20:30", "2026-03-29 06:00"),
        ("fr-af2m-2026", "metropole", "2026-03-29 00:59", "2026-03-29 06:00"),
        ("fr-af2m-2026", "metropole", "2026-03-29 01:00", "2026-03-29 06:00"),
        ("fr-af2m-2026", "metropole", "2026-03-29 05:59", "2026-03-29 06:00"),
        ("fr-af2m-2026", "metropole", "2026-03-29 19:30", "2026-03-30 06:00"),
        ("fr-seed", "metropole", "2026-10-24 19:59", "now"),
        ("fr-seed", "metropole", "2026-10-24 20:00", "2026-10-26 07:00"),
        ("fr-af2m-2026", "metropole", "2026-10-24 19:30", "2026-10-25 07:00"),
        ("fr-af2m-2026", "metropole", "2026-10-25 00:30", "2026-10-25 07:00"),
        ("fr-af2m-2026", "metropole", "2026-10-25 01:30", "2026-10-25 07:00"),  # 02:30 for the second time
        ("fr-af2m-2026", "metropole", "2026-10-25 20:30", "2026-10-26 07:00"),
        # Saint-Pierre, on 8 March and on 1 November, an hour of its own.
        ("fr-seed", "miquelon", "2026-03-08 00:59", "now"),  # Saturday 21:59
        ("fr-seed", "miquelon", "2026-03-08 01:00", "2026-03-09 10:00"),
        ("fr-af2m-2026", "miquelon", "2026-03-08 04:59", "2026-03-08 10:00"),
        ("fr-af2m-2026", "miquelon", "2026-03-08 05:00", "2026-03-08 10:00"),
        ("fr-seed", "miquelon", "2026-10-31 23:59", "now"),
        ("fr-seed", "miquelon", "2026-11-01 00:00", "2026-11-02 11:00"),
        ("fr-af2m-2026", "miquelon", "2026-11-01 04:30", "2026-11-01 11:00"),
        # Between, Paris has changed and Saint-Pierre has not, and the other way round: four hours, then five.
        ("fr-seed", "miquelon", "2026-03-20 09:59", "2026-03-20 10:00"),
        ("fr-seed", "metropole", "2026-03-20 06:59", "2026-03-20 07:00"),
        ("fr-seed", "miquelon", "2026-10-28 09:59", "2026-10-28 10:00"),
        ("fr-seed", "metropole", "2026-10-28 06:59", "2026-10-28 07:00"),
        # Where clocks never change, the same nights are like all others.
        ("fr-seed", "reunion", "2026-03-28 18:00", "2026-03-30 04:00"),
        ("fr-seed", "guyane", "2026-10-25 01:00", "2026-10-26 11:00"),
    ],
)
def test_nights_in_which_clocks_change(profile: str, where: str, asked_utc: str, opened_utc: str) -> None:
    asked = datetime.fromisoformat(asked_utc).replace(tzinfo=UTC)
    verdict = check(profile_of(profile), TERRITORIES[where][0], asked)
    assert verdict.next_at is not None
    found = "now" if verdict.allowed else f"{verdict.next_at:%Y-%m-%d %H:%M}"
    assert found == opened_utc


@pytest.mark.parametrize("where", TERRITORIES)
def test_names_close_at_eight_in_the_evening_where_the_profile_says_so(where: str) -> None:
    number = TERRITORIES[where][0]
    evening = local(where, "2026-11-25 20:00")
    assert not check(PROFILES["fr-alpha-20"].for_sender("MARQUE"), number, evening).allowed
    assert check(PROFILES["fr-alpha-20"].for_sender("36111"), number, evening).allowed
    assert check(PROFILES["fr-alpha-20"].for_sender("MARQUE"), number, evening - timedelta(seconds=1)).allowed
