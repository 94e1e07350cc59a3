"""Sending window profiles as data: when commercial messages may leave, and what happens to those that may not yet.

Rules change every year, so each profile names its version, source and first day; `PROFILES` are those that Chappe
brings, and `read_profiles` takes an operator's own from the configuration. Not legal advice.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date, datetime, time
from functools import lru_cache
from typing import Any, Final, Literal, get_args

import msgspec

from chappe.settings.words import did_you_mean, read_truth

Rule = Literal["closed", "open", "warn"]
Outside = Literal["hold", "refuse", "warn"]
ZoneRule = Literal["recipient", "paris", "both"]
Channel = Literal["sms", "voice"]

WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
PROFILES_MAX: Final = 100
ADDED_DAYS_MAX: Final = 1000


class ProfileError(ValueError):
    """A profile that cannot be used; the message is one line that names it, with a suggestion where there is one."""


class Profile(msgspec.Struct, frozen=True, kw_only=True, cache_hash=True):
    """When commercial messages may leave, in local time.

    open, close: `HH:MM`, opening included, closing excluded, close up to 24:00; pause: closed between them.
    days: weekdays from Monday to Saturday that have hours at all; sundays, holidays: `closed` whole days until the next
    opening, `open` with the same hours, `warn` the same with a warning. nights: the days on whose evening a closed
    night begins; an evening that is not named stays open, and so does the morning after it.
    outside: `hold` until the next opening, `refuse`, or `warn` and send.
    zone: whose clock and calendar count, `both` means that both must be open. strict: what a number cannot tell is
    taken at its strictest (Alsace-Moselle, islands of +590, zones of +689). custom_days_close: holidays by use count.
    added_days: further holidays everywhere. alphanumeric_close: earlier closing for senders with letters, or empty.
    Raises ValueError when the values make no sense.
    """

    name: str
    version: str = "1"
    source: str = ""
    valid_from: date | None = None
    days: tuple[str, ...] = WEEKDAYS[:6]
    nights: tuple[str, ...] = WEEKDAYS
    open: str = "08:00"
    close: str = "22:00"
    pause: tuple[str, str] | None = None
    sundays: Rule = "closed"
    holidays: Rule = "closed"
    outside: Outside = "hold"
    zone: ZoneRule = "recipient"
    strict: bool = False
    custom_days_close: bool = True
    added_days: tuple[tuple[date, str], ...] = ()
    channel: Channel = "sms"
    alphanumeric_close: str = ""

    def __post_init__(self) -> None:
        opens, closes = clock_s(self.open), clock_s(self.close)
        _demand(opens < closes, "open must be before close")
        if self.pause is not None:
            _demand(opens < clock_s(self.pause[0]) < clock_s(self.pause[1]) < closes, "pause must lie in the hours")
        if self.alphanumeric_close:
            late = clock_s(self.alphanumeric_close)
            _demand(opens < late <= closes, "alphanumeric_close must lie in the hours")
            _demand(self.pause is None or clock_s(self.pause[1]) < late, "alphanumeric_close must come after the pause")
        _demand(set(self.days) <= set(WEEKDAYS[:6]), "days are weekdays from mon to sat; `sundays` decides of Sunday")
        _demand(set(self.nights) <= set(WEEKDAYS), "nights are weekdays from mon to sun")
        for field, words in _CHOICES.items():
            _demand(getattr(self, field) in words, f"{field} is one of {', '.join(words)}")

    @property
    def never_closes(self) -> bool:
        """Whether a message of this profile may leave at any instant, perhaps with a warning."""
        whole_days = clock_s(self.open) == 0 and clock_s(self.close) == DAY_S and self.pause is None
        no_closed_day = set(self.days) == set(WEEKDAYS[:6]) and "closed" not in (self.sundays, self.holidays)
        return self.outside == "warn" or (whole_days and no_closed_day)

    def for_sender(self, sender: str) -> Profile:
        """The profile as it is for a sender: the earlier closing for one with letters, else itself."""
        if not self.alphanumeric_close or not any(character.isalpha() for character in sender):
            return self
        return _closing_earlier(self)


DAY_S: Final = 86_400
_CHOICES: Final[Mapping[str, tuple[str, ...]]] = {
    "sundays": get_args(Rule),
    "holidays": get_args(Rule),
    "outside": get_args(Outside),
    "zone": get_args(ZoneRule),
    "channel": get_args(Channel),
}
_CLOCK: Final = re.compile(r"([0-9]{1,2})(?::|h)([0-9]{2})?(?::00)?", re.ASCII).fullmatch


def clock_s(text: str) -> int:
    """`08:00`, `8h` or `21h30` as seconds after midnight; `24:00` is the end of the day. Raises ValueError."""
    found = _CLOCK(text.strip().lower())
    if found is None or (found[2] is None and ":" in text):
        raise ValueError(f"{text!r} is not a time of day; write it as 08:00")
    seconds = int(found[1]) * 3600 + int(found[2] or 0) * 60
    if seconds > DAY_S or int(found[2] or 0) > 59:
        raise ValueError(f"{text!r} is not a time of day; write it as 08:00")
    return seconds


def _demand(holds: bool, words: str) -> None:
    if not holds:
        raise ValueError(words)


@lru_cache(maxsize=256)
def _closing_earlier(profile: Profile) -> Profile:
    return msgspec.structs.replace(profile, close=profile.alphanumeric_close, alphanumeric_close="")


DEFAULT: Final = "fr-seed"
_AF2M: Final = "AF2M, charte Business Messaging"
PROFILES: Final[Mapping[str, Profile]] = {
    profile.name: profile
    for profile in (
        # Its page names the nights from Monday to Friday; Saturday's is closed here too, as every charter has it.
        Profile(name=DEFAULT, version="1", source="SMS Partner, API documentation with 22:00 to 08:00 closed"),
        Profile(
            name="fr-partner-2020",
            source="SMS Partner, API documentation since 2020",
            valid_from=date(2020, 1, 1),
            close="20:00",
        ),
        Profile(name="fr-af2m-2024", version="2024", source=_AF2M + " 2024", valid_from=date(2024, 9, 1)),
        Profile(
            name="fr-af2m-2026",
            version="2026",
            source=_AF2M + " 2026, announced on 17 February 2026",
            valid_from=date(2026, 3, 1),
            close="21:30",
            sundays="warn",
            holidays="warn",
        ),
        Profile(name="fr-carrier-reject", source="Vonage, page on France", outside="refuse"),
        # Its page names three networks; which one a number is on is unknown here, so all networks close early.
        Profile(name="fr-alpha-20", source="Nexmo, older page on France", alphanumeric_close="20:00"),
        Profile(name="fr-10-20", source="captainverify", open="10:00", close="20:00"),
        Profile(
            name="fr-voice",
            source="Code de la consommation D. 223-9 (décret 2022-1313)",
            valid_from=date(2023, 3, 1),
            days=WEEKDAYS[:5],
            open="10:00",
            close="20:00",
            pause=("13:00", "14:00"),
            channel="voice",
        ),
        Profile(
            name="none",
            source="transactional traffic",
            open="00:00",
            close="24:00",
            sundays="open",
            holidays="open",
        ),
    )
}


def find_profile(name: str, own: Mapping[str, Profile] | None = None) -> Profile:
    """The profile of a name, among an operator's own and PROFILES. Raises ProfileError with a suggestion."""
    found = PROFILES.get(name) or (own or {}).get(name)
    if found is None:
        known = [*PROFILES, *(own or {})]
        raise ProfileError(f"window profile {name!r} is unknown{_suggestion(name, known)}")
    return found


def read_profiles(table: Mapping[str, object]) -> dict[str, Profile]:
    """An operator's own profiles: name to fields of Profile, as TOML gives them or as text.

    `base` names the profile that the other fields change, one of PROFILES or one further up; default fr-seed. Days are
    `["mon", "sat"]` or `mon-fri,sat`; added_days is a table from date to name. Raises ProfileError.
    """
    if len(table) > PROFILES_MAX:
        raise ProfileError(f"window profiles: {len(table)} are more than {PROFILES_MAX}")
    own: dict[str, Profile] = {}
    for name, fields in table.items():
        if not _NAME(name):
            raise ProfileError(f"window profile {name!r}: a name is up to 40 of a-z, 0-9, - and _")
        if name in PROFILES:
            raise ProfileError(
                f"window profile {name!r} comes with Chappe; give yours another name and base = {name!r}"
            )
        if not isinstance(fields, Mapping):
            raise ProfileError(f"window profile {name!r}: expected a table of fields")
        own[name] = _profile(name, fields, own)
    return own


_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}", re.ASCII).fullmatch


def _profile(name: str, fields: Mapping[str, object], own: Mapping[str, Profile]) -> Profile:
    values: dict[str, Any] = {"version": "1", "source": "operator", "valid_from": None}
    base = PROFILES[DEFAULT]
    for field, value in fields.items():
        try:
            if field == "base":
                base = find_profile(_text(value), own)
            elif field in _READERS:
                values[field] = _READERS[field](value)
            else:
                raise ValueError(f"no such field{_suggestion(field, ['base', *_READERS])}")
        except ValueError as trouble:
            raise ProfileError(f"window profile {name!r}: {field}: {trouble}") from trouble
    try:
        return msgspec.structs.replace(base, name=name, **values)
    except ValueError as trouble:
        raise ProfileError(f"window profile {name!r}: {trouble}") from trouble


def _suggestion(word: str, known: list[str]) -> str:
    return did_you_mean(word, known, f"; known are {', '.join(known)}")


def _text(value: object) -> str:
    if not isinstance(value, str) or not value.strip() or len(value) > 200:
        raise ValueError(f"expected a short text, not {value!r:.40}")
    return value.strip()


def _clock(value: object) -> str:
    if isinstance(value, time):  # TOML's own
        value = value.isoformat()
    minutes = clock_s(_text(value)) // 60
    return f"{minutes // 60:02}:{minutes % 60:02}"


def _clock_or_none(value: object) -> str:
    return "" if value in ("", "none") else _clock(value)


def _pause(value: object) -> tuple[str, str] | None:
    if value in ("", "none", False):
        return None
    ends = value.split("-") if isinstance(value, str) else value
    if not isinstance(ends, list) or len(ends) != 2:
        raise ValueError("expected two times, as 13:00-14:00")
    return _clock(ends[0]), _clock(ends[1])


def _weekdays(value: object) -> tuple[str, ...]:
    """`mon-fri,sun`, or a list of such, in the order of the week; an empty list is no day."""
    if value in ("none", []):
        return ()
    words = value.split(",") if isinstance(value, str) else value
    if not isinstance(words, list):
        raise ValueError("expected weekdays, as mon-fri,sat")
    found: set[str] = set()
    for word in words:
        first, dash, last = (part.strip().lower()[:3] for part in _text(word).partition("-"))
        for day in (first, last) if dash else (first,):
            if day not in WEEKDAYS:
                raise ValueError(f"{word!r} is no weekday{_suggestion(day, list(WEEKDAYS))}")
        begin, end = WEEKDAYS.index(first), WEEKDAYS.index(last if dash else first)
        if end < begin:
            raise ValueError(f"{word!r} goes backwards")
        found.update(WEEKDAYS[begin : end + 1])
    return tuple(day for day in WEEKDAYS if day in found)


def _choice(field: str) -> Callable[[object], str]:
    def read(value: object) -> str:
        word = _text(value).lower()
        if word not in _CHOICES[field]:
            raise ValueError(f"{word!r} is not one of {', '.join(_CHOICES[field])}")
        return word

    return read


def _switch(value: object) -> bool:
    if isinstance(value, bool):
        return value
    if not isinstance(value, str):
        raise ValueError(f"expected true or false, not {value!r:.40}")
    return read_truth(value)


def _day(value: object) -> date:
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    try:
        return date.fromisoformat(_text(value))
    except ValueError as trouble:
        raise ValueError(f"expected a date as 2027-05-10, not {value!r:.40}") from trouble


def _added_days(value: object) -> tuple[tuple[date, str], ...]:
    if not isinstance(value, Mapping):
        raise ValueError('expected a table of dates, as { "2027-05-10" = "why" }')
    if len(value) > ADDED_DAYS_MAX:
        raise ValueError(f"{len(value)} days are more than {ADDED_DAYS_MAX}")
    return tuple(sorted((_day(day), _text(name)) for day, name in value.items()))


_READERS: Final[Mapping[str, Callable[[object], object]]] = {
    "version": _text,
    "source": _text,
    "valid_from": _day,
    "days": _weekdays,
    "nights": _weekdays,
    "open": _clock,
    "close": _clock,
    "pause": _pause,
    "sundays": _choice("sundays"),
    "holidays": _choice("holidays"),
    "outside": _choice("outside"),
    "zone": _choice("zone"),
    "strict": _switch,
    "custom_days_close": _switch,
    "added_days": _added_days,
    "channel": _choice("channel"),
    "alphanumeric_close": _clock_or_none,
}
