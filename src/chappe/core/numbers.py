"""Written phone numbers: from what people type to E.164, region and kind, with overseas France done right.

The hot path never touches phonenumberslite: mobile numbers of the French plans are recognised by patterns taken from
its metadata (the tests compare them with the installed library). Everything else asks the library, which is imported
on first use because its import is slow.

Failures are values, because lists of a hundred thousand numbers contain thousands of them.
"""

import enum
import re
from collections.abc import Iterable
from functools import cache, lru_cache
from typing import NamedTuple

import msgspec


class Kind(enum.Enum):
    """What a number reaches; `MOBILE` includes plans that do not tell mobile from fixed (+1)."""

    MOBILE = "mobile"
    LANDLINE = "landline"
    OTHER = "other"


class Unfit(enum.Enum):
    """Why a written number cannot be used; the value is a stable reason code.

    `FORM`: not written like a number at all, so the request itself is wrong. `UNASSIGNED`: written like a number, but
    in no numbering plan. `NOT_MOBILE`: exists, but an SMS cannot reach it.
    """

    FORM = "number_malformed"
    UNASSIGNED = "number_invalid"
    NOT_MOBILE = "number_not_mobile"

    @property
    def has_form(self) -> bool:
        """Whether the text at least looked like a number: such a recipient is skipped, the others are served."""
        return self is not Unfit.FORM


class Number(msgspec.Struct, frozen=True, gc=False):
    """A number that exists: E.164 with plus, ISO 3166 region (`001` for none), kind, and warning reason codes."""

    e164: str
    region: str
    kind: Kind
    warnings: tuple[str, ...] = ()


class _Foreign(NamedTuple):
    """International digits that only the library can judge, and the warnings that go with them."""

    digits: str
    warnings: tuple[str, ...]


OVERSEAS_REWRITTEN = "overseas_rewritten"
COMPLETED = "number_completed"
"""Warning: nine digits were read as a national number that lost its zero."""
NUMBERS_COMPLETED = "numbers_completed"
"""Warning of a send: some of its numbers were COMPLETED."""
HOME = "FR"
"""The country whose national numbers are known: what people write without a zero or a prefix is read as one of it."""
COMOROS = "comoros"

TEXT_LENGTH_MAX = 40
"""Longest text looked at; the longest sensible writing of one number is well below."""

CACHE_ENTRIES = 100_000

# Mobile patterns of the national significant number, from libphonenumber metadata 9.0.42.
MOBILE_PATTERNS: dict[str, tuple[str, str]] = {
    "FR": ("33", r"(?:6(?:[0-24-8]\d|3[0-8]|9[589])|7[3-9]\d)\d{6}"),
    "GP": ("590", r"(?:69(?:0\d\d|1(?:2[2-9]|3[0-5]))|7090[0-4])\d{4}"),
    "GF": ("594", r"(?:694(?:[0-249]\d|3[0-8])|7093[0-3])\d{4}"),
    "MQ": ("596", r"(?:69[67]\d\d|7091[0-3])\d{4}"),
    "RE": (
        "262",
        r"(?:69(?:2\d\d|3(?:[06][0-6]|1[0-3]|2[0-2]|3[0-39]|4\d|5[0-5]|7[0-37]|8[0-8]|9[0-479]))|7092[0-3])\d{4}",
    ),
    "YT": ("262", r"(?:639(?:0[0-79]|1[019]|[267]\d|3[09]|40|5[05-9]|9[04-79])|7093[5-7])\d{4}"),
    "PM": ("508", r"708(?:4[0-5]|5[0-6])\d{4}|(?:[236-9]\d|4[02-489]|5[02-9])\d{4}"),
}

# Kept for films and books (ARCEP's plan, 06 39 98): well-formed, nobody's, and so in no metadata. The handset's magic
# numbers are of this range.
FICTION = r"63998\d{4}"

# National writing of overseas numbers, without the trunk 0, to country code. All the territories share the trunk
# prefix 0
# and ten digits with the metropole, so only the range tells them apart (ARCEP numbering plan).
OVERSEAS_MOBILE: dict[str, tuple[str, ...]] = {
    "590": ("690", "691", "7090"),
    "594": ("694", "70930", "70931", "70932", "70933"),
    "596": ("696", "697", "7091"),
    "262": ("692", "693", "7092", "639", "70935", "70936", "70937"),
    "508": ("7084", "7085"),
}
OVERSEAS_LANDLINE: dict[str, tuple[str, ...]] = {
    "590": ("590",),
    "594": ("594",),
    "596": ("596",),
    "262": ("262", "263", "269"),
}

# Longest prefix first. +689 covers three zones and +590 three islands; the main one answers for all.
ZONES: tuple[tuple[str, str], ...] = (
    ("+26270935", "Indian/Mayotte"),
    ("+26270936", "Indian/Mayotte"),
    ("+26270937", "Indian/Mayotte"),
    ("+262639", "Indian/Mayotte"),
    ("+262269", "Indian/Mayotte"),
    ("+262", "Indian/Reunion"),
    ("+590", "America/Guadeloupe"),
    ("+596", "America/Martinique"),
    ("+594", "America/Cayenne"),
    ("+508", "America/Miquelon"),
    ("+687", "Pacific/Noumea"),
    ("+689", "Pacific/Tahiti"),
    ("+681", "Pacific/Wallis"),
    ("+33", "Europe/Paris"),
)

# What people put between digits: all kinds of blanks, dots, dashes, slashes, brackets; and the invisible direction
# marks
# that telephones add when a contact is copied.
_SEPARATORS = (
    " \t\r\n\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"
    ".\u00b7\u2024-\u00ad\u2010\u2011\u2012\u2013\u2014\u2015\u2212/()[]"
    "\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\u2066\u2067\u2068\u2069\ufeff"
)
_DROP_SEPARATORS = str.maketrans("", "", _SEPARATORS)

_FRENCH_CODES = ("33", "590", "594", "596", "262", "508")

# The commonest case in one match: a metropolitan mobile, national or international, with an optional `(0)`.
_METROPOLITAN = re.compile(rf"(?:(?:\+|00)?330?|0)({MOBILE_PATTERNS['FR'][1]}|{FICTION})", re.ASCII).fullmatch
# E.164 allows 15 digits; the shortest complete mobile numbers have 7 (Niue). Without `+` or `00` fewer than 8 digits
# are more likely a short number or a fragment.
_INTERNATIONAL = re.compile(r"(?:\+|00)([1-9][0-9]{6,14})").fullmatch
_BARE = re.compile(r"[1-9][0-9]{7,14}").fullmatch
_NATIONAL = re.compile(r"0([0-9]{9})").fullmatch
# Machine numbers have 14 digits beginning 0700 (ARCEP plan); no telephone reads their SMS.
_MACHINE_NATIONAL = re.compile(r"0700[0-9]{10}").fullmatch
_MACHINE = re.compile(r"33700[0-9]{10}").fullmatch
_FICTION = re.compile(FICTION, re.ASCII).fullmatch
_NO_ZERO = re.compile(r"[1-9][0-9]{8}", re.ASCII).fullmatch
# What a program writes that took a number for a decimal: `612345678.0`.
_DECIMAL = re.compile(r"(\+?[0-9]{8,15})[.,]0+", re.ASCII).fullmatch
_TRUNK_ZERO = re.compile(rf"({'|'.join(_FRENCH_CODES)})0([1-9][0-9]{{8}})").fullmatch
_MISPLACED = re.compile(r"33([67][0-9]{8})").fullmatch

_MOBILE_CODE = {prefix: code for code, prefixes in OVERSEAS_MOBILE.items() for prefix in prefixes}
_ANY_CODE = _MOBILE_CODE | {prefix: code for code, prefixes in OVERSEAS_LANDLINE.items() for prefix in prefixes}


def metropolitan(text: str) -> Number | None:
    """A French mobile number in one of its common writings, as read() reads it; None for all others, which may be one.

    The commonest case is quicker read than remembered: a campaign has each number once.
    """
    found = _METROPOLITAN(text)
    return Number("+33" + found[1], "FR", Kind.MOBILE) if found else None


def read(text: str, home: str = "") -> Number | Unfit:
    """Read one written number: national French or international, with the usual separators.

    home: HOME for what people of that country write: then nine digits are a national number whose zero a spreadsheet
    ate (`687751234` is no number of New Caledonia, +687), with the warning COMPLETED. Whoever means another country
    writes `+` or `00`. What networks write is international, so it has no home.

    Mobile, landline and other numbers all come back as `Number` if they exist. Returns `Unfit.FORM` for letters,
    extensions, two numbers in one field or impossible lengths, `Unfit.UNASSIGNED` for what no plan contains, and
    `Unfit.NOT_MOBILE` for French machine numbers, which the library does not know.
    """
    # The commonest case is quicker read than remembered: a campaign has each number once.
    if found := _METROPOLITAN(text):
        return Number("+33" + found[1], "FR", Kind.MOBILE)
    if len(text) > TEXT_LENGTH_MAX:
        return Unfit.FORM
    return _read(text, home)


def read_mobile(text: str, home: str = "") -> Number | Unfit:
    """Read one written number as `read` does, and refuse with `Unfit.NOT_MOBILE` what an SMS cannot reach."""
    found = read(text, home)
    if isinstance(found, Number) and found.kind is not Kind.MOBILE:
        return Unfit.NOT_MOBILE
    return found


def warnings_of_numbers(warnings: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    """The warning that goes with a send of which these are the recipients' warnings."""
    return (NUMBERS_COMPLETED,) if any(COMPLETED in one for one in warnings if one) else ()


def digits(e164: str) -> str:
    """Give the international digits without the plus, as the APIs and SMPP write numbers."""
    return e164.removeprefix("+")


def national(e164: str) -> str:
    """Give the number as people of its own country dial it, digits only: `0612345678`, `0692123456`.

    `e164` must be a number that `read` returned. Numbers of Saint-Pierre-et-Miquelon of six digits become `0508` and
    six digits.
    """
    number = digits(e164)
    for code in _FRENCH_CODES:
        if number.startswith(code):
            significant = number[len(code) :]
            return f"0508{significant}" if code == "508" and len(significant) == 6 else f"0{significant}"
    import phonenumbers

    parsed = phonenumbers.parse(e164)
    written = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.NATIONAL)
    return "".join(character for character in written if character.isdecimal())


def zone(e164: str) -> str | None:
    """Give the IANA time zone of the numbering plan, or None outside the French plans.

    The plan decides, not where the telephone is; +689 answers Tahiti for its three zones.
    """
    for prefix, name in ZONES:
        if e164.startswith(prefix):
            return name
    return None


def mask(number: str) -> str:
    """Hide a number for logs: the first three characters and the last two remain, nothing of a short text does."""
    if len(number) < 8:
        return "*" * len(number)
    return f"{number[:3]}{'*' * (len(number) - 5)}{number[-2:]}"


def foreign(text: str, home: str = "") -> str | None:
    """The E.164 form of what only the library can judge, whether a plan has it or not; None for all that read() knows
    without it. A destination that is not served need not be judged: the library takes 70 us for a number."""
    if len(text) > TEXT_LENGTH_MAX or _METROPOLITAN(text):
        return None
    found = _placed(text, home)
    return "+" + found.digits if isinstance(found, _Foreign) else None


@lru_cache(maxsize=CACHE_ENTRIES)
def _read(text: str, home: str) -> Number | Unfit:
    found = _placed(text, home)
    return _ask_library(found.digits, found.warnings) if isinstance(found, _Foreign) else found


def _placed(text: str, home: str) -> Number | Unfit | _Foreign:
    """What is known without the library."""
    if decimal := _DECIMAL(text.strip()):
        text = decimal[1]
    if " " in text:  # by far the commonest separator, and cheap to drop
        text = text.replace(" ", "")
    found = _METROPOLITAN(text)
    if found is None and not text.removeprefix("+").isdecimal():
        text = text.translate(_DROP_SEPARATORS)
        found = _METROPOLITAN(text)
    if found is not None:
        return Number("+33" + found[1], "FR", Kind.MOBILE)
    if home == HOME and _NO_ZERO(text):
        number, warnings = _overseas(text)
        placed: tuple[str, tuple[str, ...]] | Unfit = number, (COMPLETED, *warnings)
    else:
        placed = _international(text)
    if isinstance(placed, Unfit):
        return placed
    number, warnings = placed
    mobile = _french_mobile().fullmatch(number)
    if mobile is not None:
        assert mobile.lastgroup is not None
        return Number("+" + number, mobile.lastgroup, Kind.MOBILE, warnings)
    if _MACHINE(number):
        return Unfit.NOT_MOBILE
    return _Foreign(number, warnings)


@cache
def _french_mobile() -> re.Pattern[str]:
    """Compile the pattern of all French plans on first use: it is large, and most programs here never read a number."""
    patterns = MOBILE_PATTERNS | {"FR": ("33", f"{MOBILE_PATTERNS['FR'][1]}|{FICTION}")}
    plans = (f"(?P<{region}>{code}(?:{pattern}))" for region, (code, pattern) in patterns.items())
    return re.compile("|".join(plans), re.ASCII)


def _international(text: str) -> tuple[str, tuple[str, ...]] | Unfit:
    """Bring text without separators to international digits, with the warnings that this deserves."""
    if written := _NATIONAL(text):
        return _overseas(written[1])
    if _MACHINE_NATIONAL(text):
        return "33" + text[1:], ()
    if written := _INTERNATIONAL(text):
        number = written[1]
    elif _BARE(text):
        number = text
    else:
        return Unfit.FORM
    if trunk := _TRUNK_ZERO(number):
        number = trunk[1] + trunk[2]
    if (misplaced := _MISPLACED(number)) and (code := _code_of(misplaced[1], _MOBILE_CODE)):
        return code + misplaced[1], (OVERSEAS_REWRITTEN,)
    return number, (COMOROS,) if number.startswith("269") else ()


def _overseas(significant: str) -> tuple[str, tuple[str, ...]]:
    """Put the right country code before the nine digits of a national number."""
    if _FICTION(significant):
        return "33" + significant, ()
    if significant.startswith("508"):
        return significant, (OVERSEAS_REWRITTEN,)
    if code := _code_of(significant, _ANY_CODE):
        return code + significant, (OVERSEAS_REWRITTEN,)
    return "33" + significant, ()


def _code_of(significant: str, codes: dict[str, str]) -> str | None:
    # No range contains another, so the order of the three lengths in use does not matter.
    return codes.get(significant[:3]) or codes.get(significant[:4]) or codes.get(significant[:5])


def _ask_library(number: str, warnings: tuple[str, ...]) -> Number | Unfit:
    import phonenumbers

    try:
        parsed = phonenumbers.parse("+" + number)
    except phonenumbers.NumberParseException:
        return Unfit.UNASSIGNED
    if not phonenumbers.is_valid_number(parsed):
        return Unfit.UNASSIGNED
    sort = phonenumbers.number_type(parsed)
    types = phonenumbers.PhoneNumberType
    if sort in (types.MOBILE, types.FIXED_LINE_OR_MOBILE):
        kind = Kind.MOBILE
    elif sort == types.FIXED_LINE:
        kind = Kind.LANDLINE
    else:
        kind = Kind.OTHER
    e164 = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
    return Number(e164, phonenumbers.region_code_for_number(parsed) or "001", kind, warnings)
