"""The sending window, against instants worked out by hand and a walker that reads a wall clock every few minutes."""

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta, timezone
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

import holidays as library
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chappe.core import window
from chappe.core.errors import REFUSALS
from chappe.core.territories import UnknownPlace
from chappe.core.window import SEARCH_DAYS_MAX, Verdict, check, check_schedule
from chappe.core.window_profiles import PROFILES, WEEKDAYS, Profile, read_profiles

METROPOLE, REUNION, MAYOTTE = "+33612345678", "+262692123456", "+262639123456"
GUADELOUPE, MARTINIQUE, GUYANE = "+590690123456", "+596696123456", "+594694123456"
MIQUELON, NOUMEA, TAHITI, WALLIS = "+508551234", "+687751234", "+68987123456", "+681821234"
BELGIUM = "+32470123456"
SEED = PROFILES["fr-seed"]
MICROSECOND = timedelta(microseconds=1)


def own(**fields: object) -> Profile:
    return read_profiles({"own": fields})["own"]


def at(text: str) -> datetime:
    """An instant of UTC, from `2026-11-23 21:00`."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


# ---- worked out by hand: profile, number, instant, reason, next instant


@pytest.mark.parametrize(
    ("profile", "who", "now", "reason", "next_at"),
    [
        # Opening included, closing excluded.
        ("fr-seed", METROPOLE, "2026-11-23 06:59:59.999999", "hold.night", "2026-11-23 07:00"),
        ("fr-seed", METROPOLE, "2026-11-23 07:00", None, "2026-11-23 07:00"),
        ("fr-seed", METROPOLE, "2026-11-23 20:59:59.999999", None, "2026-11-23 20:59:59.999999"),
        ("fr-seed", METROPOLE, "2026-11-23 21:00", "hold.night", "2026-11-24 07:00"),
        ("fr-partner-2020", METROPOLE, "2026-11-23 18:59:59", None, "2026-11-23 18:59:59"),
        ("fr-partner-2020", METROPOLE, "2026-11-23 19:00", "hold.night", "2026-11-24 07:00"),
        ("fr-af2m-2024", METROPOLE, "2026-11-23 20:59", None, "2026-11-23 20:59"),
        ("fr-af2m-2026", METROPOLE, "2026-11-23 20:29", None, "2026-11-23 20:29"),
        ("fr-af2m-2026", METROPOLE, "2026-11-23 20:30", "hold.night", "2026-11-24 07:00"),
        ("fr-af2m-2026", METROPOLE, "2026-11-28 20:30", "hold.night", "2026-11-29 07:00"),  # a Sunday
        ("fr-10-20", METROPOLE, "2026-11-23 08:59", "hold.night", "2026-11-23 09:00"),
        ("fr-carrier-reject", METROPOLE, "2026-11-23 21:00", "refuse.hours", "2026-11-24 07:00"),
        ("fr-carrier-reject", METROPOLE, "2026-11-29 12:00", "refuse.day", "2026-11-30 07:00"),
        ("none", METROPOLE, "2026-11-29 02:00", None, "2026-11-29 02:00"),
        ("none", METROPOLE, "2026-12-25 23:59:59", None, "2026-12-25 23:59:59"),
        # Saturday evening, Sunday, and the small hours of Monday.
        ("fr-seed", METROPOLE, "2026-11-28 20:59", None, "2026-11-28 20:59"),
        ("fr-seed", METROPOLE, "2026-11-28 21:00", "hold.night", "2026-11-30 07:00"),
        ("fr-seed", METROPOLE, "2026-11-29 12:00", "hold.sunday", "2026-11-30 07:00"),
        ("fr-seed", METROPOLE, "2026-11-29 22:59:59", "hold.sunday", "2026-11-30 07:00"),
        ("fr-seed", METROPOLE, "2026-11-29 23:00", "hold.night", "2026-11-30 07:00"),
        # A holiday next to a Sunday, before (Assumption on a Saturday) and after (Easter).
        ("fr-seed", METROPOLE, "2026-08-14 20:00", "hold.night", "2026-08-17 06:00"),
        ("fr-seed", METROPOLE, "2026-08-15 10:00", "hold.holiday", "2026-08-17 06:00"),
        ("fr-seed", METROPOLE, "2026-04-04 20:00", "hold.night", "2026-04-07 06:00"),
        ("fr-seed", METROPOLE, "2026-04-06 10:00", "hold.holiday", "2026-04-07 06:00"),
        ("fr-seed", METROPOLE, "2026-11-01 10:00", "hold.sunday", "2026-11-02 07:00"),  # All Saints on a Sunday
        ("fr-seed", MARTINIQUE, "2027-05-22 02:00", "hold.night", "2027-05-24 12:00"),
        # Holidays of one territory.
        ("fr-seed", REUNION, "2027-12-20 10:00", "hold.holiday", "2027-12-21 04:00"),
        ("fr-seed", METROPOLE, "2027-12-20 10:00", None, "2027-12-20 10:00"),
        ("fr-seed", GUADELOUPE, "2027-05-27 15:00", "hold.holiday", "2027-05-28 12:00"),
        ("fr-seed", MARTINIQUE, "2027-05-27 15:00", None, "2027-05-27 15:00"),
        ("fr-seed", MARTINIQUE, "2026-05-22 15:00", "hold.holiday", "2026-05-23 12:00"),
        ("fr-seed", GUYANE, "2026-06-10 15:00", "hold.holiday", "2026-06-11 11:00"),
        ("fr-seed", MAYOTTE, "2026-04-27 10:00", "hold.holiday", "2026-04-28 05:00"),
        ("fr-seed", REUNION, "2026-04-27 10:00", None, "2026-04-27 10:00"),
        ("fr-seed", NOUMEA, "2026-09-24 02:00", "hold.holiday", "2026-09-24 21:00"),
        ("fr-seed", TAHITI, "2026-03-05 20:00", "hold.holiday", "2026-03-06 18:00"),
        ("fr-seed", WALLIS, "2026-07-29 02:00", "hold.holiday", "2026-07-29 20:00"),
        # The clocks of Paris change while it is held, forward and back.
        ("fr-seed", METROPOLE, "2026-03-28 21:00", "hold.night", "2026-03-30 06:00"),
        ("fr-seed", METROPOLE, "2026-10-24 20:00", "hold.night", "2026-10-26 07:00"),
        # Those of Saint-Pierre on 8 March and 1 November; between, Paris has changed and they have not.
        ("fr-seed", MIQUELON, "2026-03-08 01:00", "hold.night", "2026-03-09 10:00"),
        ("fr-seed", MIQUELON, "2026-03-16 10:00", None, "2026-03-16 10:00"),
        ("fr-seed", MIQUELON, "2026-10-28 09:59", "hold.night", "2026-10-28 10:00"),
        ("fr-seed", MIQUELON, "2026-11-01 00:00", "hold.night", "2026-11-02 11:00"),
        # Already tomorrow, and still yesterday.
        ("fr-seed", NOUMEA, "2026-11-28 13:00", "hold.sunday", "2026-11-29 21:00"),
        ("fr-seed", WALLIS, "2026-11-29 20:00", None, "2026-11-29 20:00"),  # Monday there, Sunday in Paris
        ("fr-seed", TAHITI, "2026-11-30 05:00", "hold.sunday", "2026-11-30 18:00"),
        ("fr-seed", TAHITI, "2026-11-29 05:00", None, "2026-11-29 05:00"),  # Saturday there, Sunday in Paris
        # Next year and far ahead.
        ("fr-seed", METROPOLE, "2026-12-31 21:00", "hold.night", "2027-01-02 07:00"),
        ("fr-seed", METROPOLE, "2100-01-01 10:00", "hold.holiday", "2100-01-02 07:00"),
        ("fr-seed", METROPOLE, "2100-03-27 21:00", "hold.night", "2100-03-30 06:00"),  # Easter and the clocks at once
        ("fr-seed", METROPOLE, "2102-12-25 10:00", "hold.holiday", "2102-12-26 07:00"),
        # Calls: a pause, and no Saturday.
        ("fr-voice", METROPOLE, "2026-11-24 11:59", None, "2026-11-24 11:59"),
        ("fr-voice", METROPOLE, "2026-11-24 12:00", "hold.voice_hours", "2026-11-24 13:00"),
        ("fr-voice", METROPOLE, "2026-11-24 13:00", None, "2026-11-24 13:00"),
        ("fr-voice", METROPOLE, "2026-11-27 19:00", "hold.voice_hours", "2026-11-30 09:00"),
        ("fr-voice", METROPOLE, "2026-11-28 10:00", "hold.voice_hours", "2026-11-30 09:00"),
        ("fr-voice", METROPOLE, "2026-11-29 10:00", "hold.sunday", "2026-11-30 09:00"),
        ("fr-voice", METROPOLE, "2026-12-25 10:00", "hold.holiday", "2026-12-28 09:00"),
        # Other countries: the sender's hours and holidays.
        ("fr-seed", BELGIUM, "2026-07-14 10:00", "hold.holiday", "2026-07-15 06:00"),
    ],
)
def test_instants_worked_out_by_hand(profile: str, who: str, now: str, reason: str | None, next_at: str) -> None:
    verdict = check(PROFILES[profile], who, at(now))
    assert (verdict.reason, verdict.next_at) == (reason, at(next_at))
    assert verdict.allowed is (reason is None)
    assert verdict.held is (reason is not None and reason.startswith("hold."))


@pytest.mark.parametrize(
    ("profile", "who", "now", "closes_at"),
    [
        (SEED, METROPOLE, "2026-11-23 12:00", "2026-11-23 21:00"),
        (SEED, REUNION, "2026-11-23 12:00", "2026-11-23 18:00"),
        (SEED, TAHITI, "2026-11-24 05:00", "2026-11-24 08:00"),  # across midnight of UTC
        (SEED, GUADELOUPE, "2026-11-24 01:00", "2026-11-24 02:00"),
        (PROFILES["fr-voice"], METROPOLE, "2026-11-24 10:00", "2026-11-24 12:00"),
        (PROFILES["fr-af2m-2026"], METROPOLE, "2026-11-29 10:00", "2026-11-29 20:30"),
        (PROFILES["none"], METROPOLE, "2026-11-29 10:00", None),
        (own(nights="mon-fri"), METROPOLE, "2026-11-28 12:00", "2026-11-28 23:00"),  # until Sunday begins
        (own(nights=[]), METROPOLE, "2026-11-23 12:00", "2026-11-28 23:00"),  # the whole week
        (own(open="00:00", close="24:00"), METROPOLE, "2026-12-21 12:00", "2026-12-24 23:00"),
        (own(close="02:30", open="00:00"), METROPOLE, "2026-10-26 00:00", "2026-10-26 01:30"),
    ],
)
def test_a_window_says_when_it_closes(profile: Profile, who: str, now: str, closes_at: str | None) -> None:
    verdict = check(profile, who, at(now))
    assert verdict.allowed
    assert verdict.closes_at == (closes_at and at(closes_at))
    assert check(SEED, METROPOLE, at("2026-11-29 10:00")).closes_at is None


@pytest.mark.parametrize(
    ("who", "region", "time_zone", "now", "reason", "next_at"),
    [
        # Good Friday and 26 December, which a number does not tell; then a chain of three with a Sunday.
        (METROPOLE, "67", "", "2026-04-02 20:00", "hold.night", "2026-04-04 06:00"),
        (METROPOLE, "", "", "2026-04-02 20:00", "hold.night", "2026-04-03 06:00"),
        (METROPOLE, "alsace-moselle", "", "2026-12-24 21:00", "hold.night", "2026-12-28 07:00"),
        (METROPOLE, "57", "", "2026-04-03 10:00", "hold.holiday", "2026-04-04 06:00"),
        # Islands of +590.
        (GUADELOUPE, "MF", "", "2026-05-28 15:00", "hold.holiday", "2026-05-29 12:00"),
        (GUADELOUPE, "MF", "", "2026-05-27 15:00", None, "2026-05-27 15:00"),
        (GUADELOUPE, "978", "", "2026-05-28 15:00", "hold.holiday", "2026-05-29 12:00"),
        (GUADELOUPE, "BL", "", "2026-10-09 15:00", "hold.holiday", "2026-10-10 12:00"),
        # A metropolitan number of someone who lives on Réunion, and the other way round.
        (METROPOLE, "RE", "", "2026-11-23 18:00", "hold.night", "2026-11-24 04:00"),
        (REUNION, "75", "", "2026-11-23 18:00", None, "2026-11-23 18:00"),
        # Half an hour from Tahiti.
        (TAHITI, "", "Pacific/Marquesas", "2026-11-24 07:30", "hold.night", "2026-11-24 17:30"),
        (BELGIUM, "", "Europe/Brussels", "2026-11-23 21:00", "hold.night", "2026-11-24 07:00"),
    ],
)
def test_what_is_known_of_a_contact_overrules_its_number(
    who: str, region: str, time_zone: str, now: str, reason: str | None, next_at: str
) -> None:
    verdict = check(SEED, who, at(now), region=region, time_zone=time_zone)
    assert (verdict.reason, verdict.next_at, verdict.warnings) == (reason, at(next_at), ())


def test_nonsense_about_a_contact_is_refused() -> None:
    with pytest.raises(UnknownPlace):
        check(SEED, METROPOLE, at("2026-11-23 12:00"), region="ZZ")
    with pytest.raises(UnknownPlace):
        check(SEED, METROPOLE, at("2026-11-23 12:00"), time_zone="Mars/Olympus")


@pytest.mark.parametrize(
    ("profile", "who", "now", "holiday", "warnings"),
    [
        (SEED, METROPOLE, "2026-04-06 10:00", "Lundi de Pâques", ()),
        (SEED, METROPOLE, "2026-11-01 10:00", "Toussaint", ()),  # and a Sunday
        (SEED, METROPOLE, "2026-11-29 10:00", None, ()),
        (SEED, REUNION, "2027-12-20 10:00", "Abolition de l'esclavage", ()),
        (SEED, METROPOLE, "2026-04-07 01:00", None, ()),  # the night after a holiday is a night
        (PROFILES["fr-af2m-2026"], METROPOLE, "2026-04-06 10:00", "Lundi de Pâques", ("holiday",)),
        (PROFILES["fr-af2m-2026"], METROPOLE, "2026-11-29 10:00", None, ("sunday",)),
        (PROFILES["fr-af2m-2026"], METROPOLE, "2026-11-01 10:00", "Toussaint", ("sunday", "holiday")),
        (PROFILES["fr-af2m-2026"], METROPOLE, "2026-11-23 10:00", None, ()),
        (SEED, BELGIUM, "2026-11-23 10:00", None, ("time_zone_default",)),
        (SEED, BELGIUM, "2026-11-23 22:00", None, ("time_zone_default",)),
        (PROFILES["none"], BELGIUM, "2026-11-23 10:00", None, ()),
        (own(zone="paris"), BELGIUM, "2026-11-23 10:00", None, ()),
        (own(outside="warn"), METROPOLE, "2026-11-23 22:00", None, ("night",)),
        (own(outside="warn"), METROPOLE, "2026-11-29 22:00", None, ("sunday",)),
        (own(outside="warn"), METROPOLE, "2026-12-25 22:00", "Noël", ("holiday",)),
        (own(outside="warn", days="mon-fri"), METROPOLE, "2026-11-28 10:00", None, ("day",)),
        (own(outside="warn", sundays="warn"), METROPOLE, "2026-11-29 22:00", None, ("sunday", "night")),
    ],
)
def test_holidays_are_named_and_tolerated_days_warned_of(
    profile: Profile, who: str, now: str, holiday: str | None, warnings: tuple[str, ...]
) -> None:
    verdict = check(profile, who, at(now))
    assert (verdict.holiday, verdict.warnings) == (holiday, warnings)
    if profile.outside == "warn":
        assert (verdict.allowed, verdict.next_at, verdict.closes_at) == (True, at(now), None)


@pytest.mark.parametrize(
    ("profile", "who", "now", "reason", "next_at"),
    [
        # The letter of the page that fr-seed comes from: Saturday night is none of the closed nights.
        (own(nights="mon-fri"), METROPOLE, "2026-11-28 22:30", None, "2026-11-28 22:30"),
        (own(nights="mon-fri"), METROPOLE, "2026-11-28 23:00", "hold.sunday", "2026-11-30 07:00"),
        (own(nights="mon-fri"), METROPOLE, "2026-11-30 06:00", "hold.night", "2026-11-30 07:00"),
        (own(nights="mon-thu"), METROPOLE, "2026-11-28 03:00", None, "2026-11-28 03:00"),  # after Friday's open night
        # Days by use, days added, weekdays without hours.
        (own(custom_days_close=False), MARTINIQUE, "2026-07-21 15:00", None, "2026-07-21 15:00"),
        (SEED, MARTINIQUE, "2026-07-21 15:00", "hold.holiday", "2026-07-22 12:00"),
        (own(custom_days_close=False), TAHITI, "2026-04-03 20:00", "hold.holiday", "2026-04-04 18:00"),
        (own(added_days={"2026-11-24": "Deuil"}), METROPOLE, "2026-11-24 10:00", "hold.holiday", "2026-11-25 07:00"),
        (own(holidays="open"), METROPOLE, "2026-12-25 10:00", None, "2026-12-25 10:00"),
        (own(days="mon-fri"), METROPOLE, "2026-11-28 10:00", "hold.day", "2026-11-30 07:00"),
        (own(days="tue"), METROPOLE, "2026-11-25 10:00", "hold.day", "2026-12-01 07:00"),
        # Whose clock.
        (own(zone="paris"), REUNION, "2026-11-23 18:00", None, "2026-11-23 18:00"),
        (own(zone="paris"), REUNION, "2027-12-20 10:00", None, "2027-12-20 10:00"),
        (
            own(zone="both"),
            REUNION,
            "2026-11-23 18:00",
            "hold.night",
            "2026-11-24 07:00",
        ),  # 04:00 there is too early here
        (own(zone="both"), REUNION, "2027-12-20 10:00", "hold.holiday", "2027-12-21 07:00"),
        (own(zone="both"), TAHITI, "2026-11-24 12:00", "hold.night", "2026-11-24 18:00"),  # 19:00 to 22:00 of Paris
        (own(zone="both"), TAHITI, "2026-11-24 21:00", "hold.night", "2026-11-25 07:00"),  # 08:00 to 09:00 of Paris
        (own(zone="both"), TAHITI, "2026-11-25 08:00", "hold.night", "2026-11-25 18:00"),
        # What a number cannot tell.
        (own(strict=True), METROPOLE, "2026-04-03 10:00", "hold.holiday", "2026-04-04 06:00"),
        (own(strict=True), GUADELOUPE, "2026-10-09 15:00", "hold.holiday", "2026-10-10 12:00"),
        (own(strict=True), TAHITI, "2026-11-24 07:00", "hold.night", "2026-11-24 18:00"),  # Gambier closes first
        (own(strict=True), TAHITI, "2026-11-24 17:30", "hold.night", "2026-11-24 18:00"),  # Tahiti opens last
    ],
)
def test_own_profiles(profile: Profile, who: str, now: str, reason: str | None, next_at: str) -> None:
    verdict = check(profile, who, at(now))
    assert (verdict.reason, verdict.next_at) == (reason, at(next_at))


@pytest.mark.parametrize(
    ("profile", "who", "reason"),
    [
        (own(zone="both", open="10:00", close="20:00"), TAHITI, "refuse.hours"),
        (own(open="00:00", days=[], sundays="closed"), METROPOLE, "refuse.day"),
    ],
)
def test_hours_that_never_come_are_refused_rather_than_waited_for(profile: Profile, who: str, reason: str) -> None:
    for hour in range(24):
        verdict = check(profile, who, at("2026-11-24 00:00") + timedelta(hours=hour))
        assert (verdict.allowed, verdict.held, verdict.next_at) == (False, False, None)
        assert verdict.reason in ("refuse.hours", "refuse.day")
    assert check(profile, who, at("2026-11-24 02:00")).reason == reason


@pytest.mark.parametrize(
    "instant",
    [
        datetime.max.replace(tzinfo=UTC),
        datetime.max.replace(tzinfo=timezone(timedelta(hours=-12))),
        datetime.min.replace(tzinfo=timezone(timedelta(hours=12))),
        datetime(1899, 12, 31, 12, tzinfo=UTC),
        datetime(9990, 6, 1, 12, tzinfo=UTC),
    ],
)
def test_absurd_years_are_refused_and_never_an_error(instant: datetime) -> None:
    verdict = check(SEED, METROPOLE, instant)
    assert (verdict.allowed, verdict.reason, verdict.next_at) == (False, "refuse.day", None)
    assert check_schedule(SEED, [METROPOLE], instant) == "window_day"


def test_a_window_that_closes_while_a_message_waits_is_seen_when_it_is_asked_again() -> None:
    first = check(SEED, METROPOLE, at("2026-11-23 20:59:59"))
    assert first.allowed
    again = check(SEED, METROPOLE, at("2026-11-23 20:59:59") + timedelta(seconds=1))
    assert (again.reason, again.next_at) == ("hold.night", at("2026-11-24 07:00"))
    assert first.closes_at == at("2026-11-23 21:00")


def test_a_profile_changed_while_messages_are_held_counts_from_then_on() -> None:
    now = at("2026-11-23 20:00")
    assert check(PROFILES["fr-partner-2020"], METROPOLE, now).held
    assert check(SEED, METROPOLE, now).allowed
    assert not check(PROFILES["fr-alpha-20"].for_sender("MARQUE"), METROPOLE, now).allowed
    assert check(PROFILES["fr-alpha-20"].for_sender("36111"), METROPOLE, now).allowed


def test_the_zone_of_an_instant_does_not_matter() -> None:
    for name in ("Europe/Paris", "Pacific/Noumea", "America/Miquelon"):
        verdict = check(SEED, METROPOLE, at("2026-11-23 21:00").astimezone(ZoneInfo(name)))
        assert verdict == check(SEED, METROPOLE, at("2026-11-23 21:00"))
        verdict = check(SEED, METROPOLE, at("2026-11-23 12:00").astimezone(ZoneInfo(name)))
        assert verdict.next_at is not None
        assert verdict.next_at.tzinfo is UTC


def test_an_answer_is_worked_out_once_for_all_that_ask() -> None:
    first = check(SEED, METROPOLE, at("2026-11-23 22:00"))
    assert check(SEED, "+33698765432", at("2026-11-23 22:30")) is first


def test_more_days_than_are_kept_change_no_answer() -> None:
    now = at("2026-11-23 21:00")
    before = check(SEED, METROPOLE, now)
    for day in range(3 * SEARCH_DAYS_MAX):
        verdict = check(SEED, METROPOLE, now + timedelta(day))
        assert verdict.next_at is not None
        assert len(window._openings(SEED, "Europe/Paris", "", "")._spans) <= window._DAYS_KEPT
    assert check(SEED, METROPOLE, now) == before


# ---- explicit schedules


@pytest.mark.parametrize(
    ("recipients", "now", "code"),
    [
        ([METROPOLE], "2026-11-23 06:55", "window_hour"),
        ([METROPOLE], "2026-11-23 07:00", None),
        ([METROPOLE], "2026-11-23 20:55", None),
        ([METROPOLE], "2026-11-23 21:00", "window_hour"),
        ([METROPOLE], "2026-11-29 10:00", "window_day"),
        ([METROPOLE], "2026-11-29 22:00", "window_day"),  # Sunday night: the day is the wider trouble
        ([METROPOLE], "2026-12-25 10:00", "window_day"),
        ([REUNION], "2026-11-23 19:00", "window_hour"),
        ([REUNION], "2027-12-20 10:00", "window_day"),
        ([METROPOLE, REUNION], "2026-11-23 19:00", None),  # one may: the other is held
        ([REUNION, METROPOLE], "2026-11-29 10:00", "window_day"),
        ([REUNION, METROPOLE], "2026-11-28 23:30", "window_day"),
        ([METROPOLE, MARTINIQUE], "2026-11-30 00:00", "window_hour"),  # still Sunday for the second
        ([MARTINIQUE, METROPOLE], "2026-11-30 00:00", "window_day"),
        ([BELGIUM], "2026-11-23 22:00", "window_hour"),
        ([], "2026-11-29 10:00", None),
    ],
)
def test_an_explicit_schedule_is_refused_when_nobody_may_get_it(
    recipients: list[str], now: str, code: str | None
) -> None:
    assert check_schedule(SEED, iter(recipients), at(now)) == code
    assert code is None or code in REFUSALS


def test_profiles_that_hold_nothing_refuse_no_schedule() -> None:
    for profile in (PROFILES["none"], own(outside="warn")):
        assert check_schedule(profile, [METROPOLE], at("2026-11-29 02:00")) is None
    assert check_schedule(PROFILES["fr-af2m-2026"], [METROPOLE], at("2026-11-29 10:00")) is None
    assert check_schedule(PROFILES["fr-voice"], [METROPOLE], at("2026-11-28 10:00")) == "window_day"
    assert check_schedule(PROFILES["fr-voice"], [METROPOLE], at("2026-11-24 12:30")) == "window_hour"


# ---- the walker: reads a wall clock at one instant after the other and knows nothing of spans

SUBDIVISIONS: Mapping[str, tuple[tuple[str, str | None], ...]] = {
    METROPOLE: (("Europe/Paris", None), ("Europe/Paris", "57")),
    REUNION: (("Indian/Reunion", "974"),),
    MAYOTTE: (("Indian/Mayotte", "976"),),
    GUADELOUPE: (("America/Guadeloupe", "971"), ("America/Marigot", "MF"), ("America/St_Barthelemy", "BL")),
    MARTINIQUE: (("America/Martinique", "972"),),
    GUYANE: (("America/Cayenne", "973"),),
    MIQUELON: (("America/Miquelon", "PM"),),
    NOUMEA: (("Pacific/Noumea", "NC"),),
    TAHITI: (("Pacific/Tahiti", "PF"), ("Pacific/Marquesas", "PF"), ("Pacific/Gambier", "PF")),
    WALLIS: (("Pacific/Wallis", "WF"),),
    BELGIUM: (("Europe/Paris", None),),
}


@lru_cache(maxsize=256)
def days_off(subdivision: str | None, year: int) -> frozenset[date]:
    return frozenset(library.country_holidays("FR", subdiv=subdivision, years=year))


def open_on_the_wall(profile: Profile, who: str, instant: datetime) -> bool:
    clocks = SUBDIVISIONS[who] if profile.strict else SUBDIVISIONS[who][:1]
    if profile.zone == "paris":
        clocks = (("Europe/Paris", None),)
    elif profile.zone == "both":
        clocks = (*clocks, ("Europe/Paris", None))

    def whole_day_closed(day: date, subdivision: str | None) -> bool:
        added = any(day == extra for extra, _ in profile.added_days)
        holiday = added or day in days_off(subdivision, day.year)
        if day.weekday() == 6:
            return profile.sundays == "closed" or (holiday and profile.holidays == "closed")
        return (holiday and profile.holidays == "closed") or WEEKDAYS[day.weekday()] not in profile.days

    def open_there(zone: str, subdivision: str | None) -> bool:
        wall = instant.astimezone(ZoneInfo(zone))
        day, clock = wall.date(), f"{wall:%H:%M}"
        if whole_day_closed(day, subdivision):
            return False
        if profile.pause and profile.pause[0] <= clock < profile.pause[1]:
            return False
        if clock < profile.open:
            eve = day - timedelta(1)
            return WEEKDAYS[eve.weekday()] not in profile.nights and not whole_day_closed(eve, subdivision)
        return clock < profile.close or WEEKDAYS[day.weekday()] not in profile.nights

    return all(open_there(zone, subdivision) for zone, subdivision in clocks)


OWN = (
    own(nights="mon-fri"),
    own(nights="tue,sat", days="mon-thu,sat"),
    own(zone="both"),
    own(strict=True, close="21:30"),
    own(zone="both", strict=True, close="23:00"),
    own(zone="paris", nights=[]),
    own(open="02:30", close="24:00", sundays="open", holidays="open"),  # in the hour that the clocks skip and repeat
    own(open="00:30", close="02:30", pause="01:00-02:00", sundays="warn"),
    own(added_days={"2026-10-26": "a", "2026-03-30": "b", "2027-12-21": "c"}),
    own(base="none", sundays="closed"),
)
ALL = (*PROFILES.values(), *OWN)
WALKED = tuple(profile for profile in ALL if not profile.never_closes)
STEP = timedelta(minutes=30)  # every edge of these profiles and every offset of these zones is a multiple of it


def walk(profile: Profile, who: str, start: datetime) -> Iterator[tuple[datetime, bool]]:
    """Half hours from the one of `start` on, each with what the wall says."""
    half_hour = start.replace(minute=start.minute // 30 * 30, second=0, microsecond=0)
    while True:
        yield half_hour, open_on_the_wall(profile, who, half_hour)
        half_hour += STEP


def agrees(profile: Profile, who: str, instant: datetime) -> None:
    verdict = check(profile, who, instant)
    assert verdict.allowed is open_on_the_wall(profile, who, instant)
    edge = next(at for at, is_open in walk(profile, who, instant) if is_open is not verdict.allowed)
    assert (verdict.closes_at if verdict.allowed else verdict.next_at) == edge
    if verdict.allowed:
        assert verdict.next_at == instant


TURNS = [  # weeks in which something turns: holidays in chains, clocks, years
    "2026-03-06",  # Saint-Pierre goes to summer time
    "2026-03-27",  # Paris does
    "2026-04-02",  # Easter
    "2026-10-23",  # Paris goes to winter time
    "2026-10-30",  # Saint-Pierre does, on All Saints
    "2026-12-23",
    "2027-12-18",
    "2099-12-30",
]


@pytest.mark.parametrize("week", TURNS)
def test_the_walker_agrees_around_the_turns(week: str) -> None:
    for profile in WALKED:
        for who in (METROPOLE, MIQUELON, TAHITI, GUADELOUPE):
            verdict = None
            for half_hour, is_open in walk(profile, who, at(week)):
                if half_hour > at(week) + timedelta(5):
                    break
                verdict = check(profile, who, half_hour)
                assert verdict.allowed is is_open, (profile.name, who, half_hour)
                before = check(profile, who, half_hour - MICROSECOND)
                assert before.allowed is open_on_the_wall(profile, who, half_hour - MICROSECOND)


def test_every_minute_of_a_week_with_a_change_of_clocks_agrees() -> None:
    for profile in (SEED, OWN[6], OWN[7]):
        for minute in range(3 * 24 * 60):
            instant = at("2026-10-24 00:00") + timedelta(minutes=minute)
            assert check(profile, METROPOLE, instant).allowed is open_on_the_wall(profile, METROPOLE, instant)


INSTANTS = st.datetimes(datetime(2012, 1, 9), datetime(2099, 12, 1), timezones=st.just(UTC))
NUMBERS = st.sampled_from(list(SUBDIVISIONS))


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(WALKED), NUMBERS, INSTANTS)
def test_the_next_turn_is_where_the_walker_finds_it(profile: Profile, who: str, instant: datetime) -> None:
    agrees(profile, who, instant)


def edges(verdict: Verdict, instant: datetime) -> tuple[datetime, datetime]:
    """The first instant of the other kind, and the last before it."""
    edge = verdict.closes_at if verdict.allowed else verdict.next_at
    assert edge is not None
    assert edge > instant
    return edge, edge - MICROSECOND


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(WALKED), NUMBERS, INSTANTS, st.floats(0, 1))
def test_nothing_between_an_instant_and_its_edge_differs_and_the_edge_does(
    profile: Profile, who: str, instant: datetime, share: float
) -> None:
    verdict = check(profile, who, instant)
    edge, last = edges(verdict, instant)
    between = min(instant + (edge - instant) * share, last)
    for inside in (between, last):
        found = check(profile, who, inside)
        assert found.allowed is verdict.allowed
        assert (found.closes_at if found.allowed else found.next_at) == edge
    beyond = check(profile, who, edge)
    assert beyond.allowed is not verdict.allowed


CLOCKS = st.times().map(lambda clock: clock.replace(second=0, microsecond=0))
RULES = st.sampled_from(["closed", "open", "warn"])


def some_days(count: int) -> st.SearchStrategy[tuple[str, ...]]:
    """Any of the first days of the week, in its order."""
    return st.sets(st.sampled_from(WEEKDAYS[:count])).map(lambda days: tuple(d for d in WEEKDAYS if d in days))


@st.composite
def any_profile(draw: st.DrawFn) -> Profile:
    edges = sorted(draw(st.sets(CLOCKS.filter(lambda clock: clock > time(0)), min_size=4, max_size=4)))
    opening, pause, resume, closing = (f"{edge:%H:%M}" for edge in edges)
    fields: dict[str, Any] = {
        "open": draw(st.sampled_from([opening, "00:00"])),
        "close": draw(st.sampled_from([closing, "24:00"])),
        "pause": draw(st.sampled_from([(pause, resume), None])),
        "days": draw(some_days(6)),
        "nights": draw(some_days(7)),
        "sundays": draw(RULES),
        "holidays": draw(RULES),
        "zone": draw(st.sampled_from(["recipient", "paris", "both"])),
        "strict": draw(st.booleans()),
    }
    return msgspec.structs.replace(SEED, name="any", **fields)


@settings(max_examples=120, deadline=None)
@given(any_profile(), NUMBERS, INSTANTS)
def test_any_profile_says_what_the_wall_says_and_finds_an_opening_that_is_one(
    profile: Profile, who: str, instant: datetime
) -> None:
    verdict = check(profile, who, instant)
    assert verdict.allowed is open_on_the_wall(profile, who, instant)
    if verdict.allowed:
        assert verdict.next_at == instant
        if verdict.closes_at is not None:
            assert not open_on_the_wall(profile, who, verdict.closes_at)
            assert open_on_the_wall(profile, who, verdict.closes_at - MICROSECOND)
    elif verdict.next_at is not None:
        assert open_on_the_wall(profile, who, verdict.next_at)
        assert not open_on_the_wall(profile, who, verdict.next_at - MICROSECOND)
    else:
        days = range(0, 400 * 24, 7)
        assert not any(open_on_the_wall(profile, who, instant + timedelta(hours=hours)) for hours in days)
