"""The sending window: (profile, number, instant) -> may it leave now, why not, when may it, and until when.

A wall clock decides: an instant is allowed when the local date and time that it shows at the recipient's are. So a
night that loses or gains an hour needs no rule of its own. Time is cut into spans within which the answer does not
change; a day's spans are computed once a (profile, place) and kept, so that `check` is two look-ups.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Final, Literal, NamedTuple

import msgspec

from chappe.core import territories
from chappe.core.holidays_fr import holidays
from chappe.core.territories import HOME, Place
from chappe.core.window_profiles import DAY_S, WEEKDAYS, Profile, clock_s

TIME_ZONE_DEFAULT: Final = "time_zone_default"
WindowRefusal = Literal["window_hour", "window_day"]

SEARCH_DAYS_MAX: Final = 400
"""How far an opening or a closing is looked for: what does not come within a year does not come."""

# No message has a time out of these years; beyond the last there is no room to search for an opening.
_DAY_FIRST: Final = date(1900, 1, 1).toordinal()
_DAY_LAST: Final = date(9990, 1, 1).toordinal()
_DAYS_KEPT: Final = 512
_SUNDAY: Final = 6


class Verdict(msgspec.Struct, frozen=True, gc=False):
    """What a profile says of one instant.

    reason: None when allowed, else `hold.night`, `hold.sunday`, `hold.holiday`, `hold.day` (a weekday without hours),
    `hold.voice_hours`, or `refuse.hours` and `refuse.day` where nothing is to wait for: the profile refuses, never
    opens, or the year is absurd (before 1900, after 9989). refusal: the code of core.errors for a wish for this very
    instant, None when allowed.
    holiday: French name of the day's holiday, also when it closes nothing. next_at: first instant from this one on
    at which it may leave, aware UTC, None if never. closes_at: end of the window around the instant, excluded, aware
    UTC; None when closed, or when it does not close within SEARCH_DAYS_MAX days.
    warnings: `time_zone_default`, and where the profile only warns `sunday`, `holiday`, `night`, `day`.
    zone: IANA name of the clock that was read first.
    """

    allowed: bool
    reason: str | None
    refusal: WindowRefusal | None
    holiday: str | None
    next_at: datetime | None
    closes_at: datetime | None
    warnings: tuple[str, ...]
    zone: str

    @property
    def held(self) -> bool:
        """Whether it is to wait for next_at."""
        return not self.allowed and self.reason is not None and self.reason.startswith("hold.")


def check(profile: Profile, e164: str, instant: datetime, *, region: str = "", time_zone: str = "") -> Verdict:
    """May a commercial message to this number leave at this instant?

    instant: aware. region, time_zone: what is known of the contact (territories.places); they overrule the number's
    plan. Outside the French plans Paris decides, with the warning `time_zone_default`. Raises UnknownPlace.
    """
    assert instant.tzinfo is not None
    openings = _openings(profile, territories.plan(e164), region, time_zone)
    if instant.tzinfo is not UTC:
        instant = _utc(instant)
    span = openings.span(instant)
    if span.closed is not None:
        return span.closed
    return Verdict(True, None, None, span.holiday, instant, span.closes_at, span.warnings, openings.zone)


def check_schedule(profile: Profile, recipients: Iterable[str], instant: datetime) -> WindowRefusal | None:
    """Whether an explicit schedule is to be refused: the code when no recipient may get a message then, else None.

    Recipients of other territories for whom the instant is outside are for `check` to hold: one number overseas must
    not refuse a whole list, nor ring at night. The first recipient's reason decides between the codes.
    """
    first: WindowRefusal | None = None
    for plan in dict.fromkeys(map(territories.plan, recipients)):
        closed = _openings(profile, plan, "", "").span(_utc(instant)).closed
        if closed is None:
            return None
        first = first or closed.refusal
    return first


class _Status(NamedTuple):
    """What one clock, or several together, say of a stretch of time."""

    allowed: bool
    cause: str = ""  # night, sunday, holiday, day
    holiday: str | None = None
    warnings: tuple[str, ...] = ()


class _Stretch(NamedTuple):
    """begin_s, end_s: from a day's midnight, UTC or local as the function says; the end is excluded."""

    begin_s: int
    end_s: int
    status: _Status


class _Span(NamedTuple):
    """Time until end_at (excluded) in which the answer is the same. closed: the answer itself where it is no."""

    end_at: datetime
    closed: Verdict | None
    closes_at: datetime | None
    holiday: str | None
    warnings: tuple[str, ...]


class _Openings:
    """All the openings of one profile at one place, or at several places that must all be open; by days of UTC."""

    def __init__(self, profile: Profile, places: tuple[Place, ...]) -> None:
        self.zone: Final = places[0].zone
        self._profile: Final = profile
        self._places: Final = places
        self._never_closes: Final = profile.never_closes
        self._guessed: Final = any(place.guessed for place in places) and not profile.never_closes
        self._stretches: Final[dict[int, list[_Stretch]]] = {}
        self._spans: Final[dict[int, tuple[_Span, ...]]] = {}
        never = Verdict(False, "refuse.day", "window_day", None, None, None, (), self.zone)
        self._beyond: Final = _Span(datetime.max.replace(tzinfo=UTC), never, None, None, ())

    def span(self, instant: datetime) -> _Span:
        """The span around an instant of UTC."""
        day = instant.toordinal()
        spans = self._spans.get(day)
        if spans is None:
            if not _DAY_FIRST <= day <= _DAY_LAST:
                return self._beyond
            spans = self._spans_of(day)
        for span in spans:
            if instant < span.end_at:
                return span
        raise AssertionError("the spans of a day reach its end")

    def _spans_of(self, day: int) -> tuple[_Span, ...]:
        stretches = self._day(day)
        spans = tuple(self._answer(day, place) for place in range(len(stretches)))
        if len(self._spans) >= _DAYS_KEPT:
            self._spans.clear()
        self._spans[day] = spans
        return spans

    def _answer(self, day: int, place: int) -> _Span:
        _, end_s, status = self._day(day)[place]
        end_at = _midnight(day) + timedelta(seconds=end_s)
        warnings = (TIME_ZONE_DEFAULT, *status.warnings) if self._guessed else status.warnings
        if status.allowed:
            closes_at = None if self._never_closes else self._next(day, place, allowed=False)
            return _Span(end_at, None, closes_at, status.holiday, warnings)
        next_at = self._next(day, place, allowed=True)
        refusal: WindowRefusal = "window_hour" if status.cause == "night" else "window_day"
        reason = self._reason(status.cause, next_at is None)
        verdict = Verdict(False, reason, refusal, status.holiday, next_at, None, warnings, self.zone)
        return _Span(end_at, verdict, None, status.holiday, warnings)

    def _reason(self, cause: str, never: bool) -> str:
        if never or self._profile.outside == "refuse":
            return "refuse.hours" if cause == "night" else "refuse.day"
        if self._profile.channel == "voice" and cause in ("night", "day"):
            return "hold.voice_hours"
        return f"hold.{cause}"

    def _next(self, day: int, place: int, allowed: bool) -> datetime | None:
        """When the first stretch of the kind begins after this one."""
        for later in range(day, day + SEARCH_DAYS_MAX):
            for stretch in self._day(later)[place + 1 if later == day else 0 :]:
                if stretch.status.allowed is allowed:
                    return _midnight(later) + timedelta(seconds=stretch.begin_s)
        return None

    def _day(self, day: int) -> list[_Stretch]:
        """The stretches of a day of UTC, without gaps, in which all places are taken together."""
        found = self._stretches.get(day)
        if found is not None:
            return found
        layers = [list(_utc_stretches(self._profile, place, day)) for place in self._places]
        found = layers[0] if len(layers) == 1 else _together(layers)
        if len(self._stretches) >= _DAYS_KEPT:
            self._stretches.clear()
        self._stretches[day] = found
        return found


@lru_cache(maxsize=256)
def _openings(profile: Profile, plan: str | None, region: str, time_zone: str) -> _Openings:
    if profile.zone == "paris":
        return _Openings(profile, (HOME,))
    places = territories.places(plan, region, time_zone, profile.strict)
    if profile.zone == "both":
        places = tuple(dict.fromkeys((*places, HOME)))
    return _Openings(profile, places)


def _utc(instant: datetime) -> datetime:
    """The instant in UTC; the last of the calendar where that cannot be written."""
    try:
        return instant.astimezone(UTC)
    except OverflowError:
        return datetime.max.replace(tzinfo=UTC)


def _midnight(day: int) -> datetime:
    return datetime.fromordinal(day).replace(tzinfo=UTC)


def _together(layers: list[list[_Stretch]]) -> list[_Stretch]:
    """Where all are open it is open; the first that is closed says why."""
    begins = [[stretch.begin_s for stretch in layer] for layer in layers]
    edges = sorted({edge for layer in begins for edge in layer})
    found = []
    for begin_s, end_s in zip(edges, [*edges[1:], DAY_S], strict=True):
        now = [layer[bisect_right(starts, begin_s) - 1].status for layer, starts in zip(layers, begins, strict=True)]
        warnings = tuple(dict.fromkeys(warning for status in now for warning in status.warnings))
        status = next((status for status in now if not status.allowed), None)
        if status is None:
            status = _Status(True, holiday=next((s.holiday for s in now if s.holiday), None), warnings=warnings)
        found.append(_Stretch(begin_s, end_s, status))
    return found


def _utc_stretches(profile: Profile, place: Place, day: int) -> Iterable[_Stretch]:
    """The stretches of a day of UTC at one place: its local days, cut out and moved by the clock's offset."""
    for begin_s, end_s, offset_s in _offsets(place.zone, day):
        local_s, local_end_s = day * DAY_S + begin_s + offset_s, day * DAY_S + end_s + offset_s
        for local_day in range(local_s // DAY_S, (local_end_s - 1) // DAY_S + 1):
            to_utc_s = (local_day - day) * DAY_S - offset_s
            for stretch in _local_stretches(profile, place.calendar, local_day):
                first_s = max(begin_s, stretch.begin_s + to_utc_s)
                last_s = min(end_s, stretch.end_s + to_utc_s)
                if first_s < last_s:
                    yield _Stretch(first_s, last_s, stretch.status)


def _offsets(zone: str, day: int) -> list[tuple[int, int, int]]:
    """(begin_s, end_s, offset_s) over a day of UTC: one, or two when the clocks change in it; no zone does so twice."""
    clock, midnight = territories.clock(zone), _midnight(day)

    def offset_s(at_s: int) -> int:
        offset = (midnight + timedelta(seconds=at_s)).astimezone(clock).utcoffset()
        assert offset is not None
        return int(offset.total_seconds())

    before_s, after_s = offset_s(0), offset_s(DAY_S - 1)
    if before_s == after_s:
        return [(0, DAY_S, before_s)]
    low_s, high_s = 0, DAY_S - 1
    while high_s - low_s > 1:
        middle_s = (low_s + high_s) // 2
        if offset_s(middle_s) == before_s:
            low_s = middle_s
        else:
            high_s = middle_s
    return [(0, high_s, before_s), (high_s, DAY_S, after_s)]


def _holiday(profile: Profile, calendar: str, day: date) -> str | None:
    return holidays(calendar, day.year, profile.custom_days_close).get(day) or dict(profile.added_days).get(day)


def _closed_day(profile: Profile, calendar: str, day: date) -> str:
    """Why the whole local day is closed: sunday, holiday, day; empty when it has hours."""
    weekday = day.weekday()
    if weekday == _SUNDAY and profile.sundays == "closed":
        return "sunday"
    if profile.holidays == "closed" and _holiday(profile, calendar, day):
        return "holiday"
    return "day" if weekday != _SUNDAY and WEEKDAYS[weekday] not in profile.days else ""


@lru_cache(maxsize=4096)
def _local_stretches(profile: Profile, calendar: str, ordinal: int) -> tuple[_Stretch, ...]:
    """The stretches of one local day, in seconds of its wall clock."""
    day = date.fromordinal(ordinal)
    yesterday = day - timedelta(1)
    holiday = _holiday(profile, calendar, day)
    warnings: tuple[str, ...] = ()
    if day.weekday() == _SUNDAY and profile.sundays == "warn":
        warnings += ("sunday",)
    if holiday and profile.holidays == "warn":
        warnings += ("holiday",)

    def closed(cause: str) -> _Status:
        if profile.outside == "warn":
            return _Status(True, holiday=holiday, warnings=tuple(dict.fromkeys((*warnings, cause))))
        return _Status(False, cause, holiday, warnings)

    if cause := _closed_day(profile, calendar, day):
        return (_Stretch(0, DAY_S, closed(cause)),)
    night, hours = closed("night"), _Status(True, holiday=holiday, warnings=warnings)
    after_night = WEEKDAYS[yesterday.weekday()] in profile.nights or _closed_day(profile, calendar, yesterday)
    pause = [clock_s(edge) for edge in profile.pause] if profile.pause else [DAY_S, DAY_S]
    opens_s, closes_s = clock_s(profile.open), clock_s(profile.close)
    cut = (
        _Stretch(0, opens_s, night if after_night else hours),
        _Stretch(opens_s, min(pause[0], closes_s), hours),
        _Stretch(pause[0], pause[1], night),
        _Stretch(pause[1] if profile.pause else closes_s, closes_s, hours),
        _Stretch(closes_s, DAY_S, night if WEEKDAYS[day.weekday()] in profile.nights else hours),
    )
    return tuple(stretch for stretch in cut if stretch.begin_s < stretch.end_s)
