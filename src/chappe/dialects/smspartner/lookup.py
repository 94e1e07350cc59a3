"""SMS Partner's /lookup, which is free: what the numbering plans alone say about written numbers."""

from __future__ import annotations

from functools import cache
from typing import Any, Final, NamedTuple

from chappe.core import numbers
from chappe.core.errors import Refusal
from chappe.core.http import Response
from chappe.core.model import RECIPIENTS_MAX, Account, AccountSettings, Moment, Ready
from chappe.dialects.smspartner.countries import COUNTRIES
from chappe.dialects.smspartner.error_catalogue import WRITTEN_MAX
from chappe.dialects.smspartner.refusals import Violation, Violations
from chappe.dialects.smspartner.render import CData, respond
from chappe.dialects.smspartner.request_parser import Values, text
from chappe.dialects.smspartner.send_options import PLACES_PER_NUMBER_MAX

_OTHER_SEPARATORS: Final = (";", "|")
_INVALID: Final = (
    "Le numéro de téléphone est vide ou n'est pas valide.",
    "The phone number is empty or not valid.",
)


class _Entry(NamedTuple):
    """What is said of one number that exists."""

    prefix: int
    kind: str
    international: str
    national: str
    rfc3966: str


def read(values: Values, account: Account, moment: Moment) -> Ready:
    """The numbers as they were written, untrimmed. Raises Refusal recipients_missing, recipients_too_many,
    recipients_unusable when there are only commas; Violations when something else separates them."""
    value = values.get("phoneNumbers")
    if value is None or value == [] or not text(value):
        raise Refusal("recipients_missing")
    limit = min(account.settings.numbers_per_request_max, RECIPIENTS_MAX)
    written = _pieces(value, limit * PLACES_PER_NUMBER_MAX)
    if not written:
        raise Refusal("recipients_unusable")
    if any(separator in piece for piece in written for separator in _OTHER_SEPARATORS):
        raise Violations((Violation("list", "invalid"),))
    if len(written) > limit:
        raise Refusal("recipients_too_many")
    return Ready(account, tuple(written))


def found(outcome: Ready, values: Values, settings: AccountSettings, xml: bool) -> Response:
    assert isinstance(outcome.value, tuple)
    listed = [_looked_up(written, settings) for written in outcome.value]
    return respond(200, {"success": True, "code": 200, "lookup": listed}, xml=xml)


def _pieces(value: Any, places_max: int) -> list[str]:
    """What stands between commas, blanks included, empty places left out. Raises Refusal recipients_too_many."""
    places = value if isinstance(value, list) else [value]
    pieces: list[str] = []
    for place in places:
        whole = place if isinstance(place, str) else text(place)
        if whole.count(",") + len(pieces) > places_max:
            raise Refusal("recipients_too_many")
        pieces += [piece for piece in whole.split(",") if piece.strip()]
    return pieces


def _looked_up(written: str, settings: AccountSettings) -> dict[str, object]:
    request = CData(written[:WRITTEN_MAX])
    number = numbers.read(written, settings.home)
    if not isinstance(number, numbers.Number):
        return {"request": request, "success": False, "message": _INVALID[settings.message_language == "en"]}
    entry = _french_mobile(number.e164) if _is_french_mobile(number) else _from_library(number)
    return {
        "request": request,
        "success": True,
        "countryCode": CData(COUNTRIES.get(number.region, "")),
        "prefixCode": entry.prefix,
        "phoneNumber": CData(number.e164),
        "type": CData(entry.kind),
        "network": CData(""),  # only the network knows where a number has been ported to
        "format": {
            "e164": CData(number.e164),
            "international": CData(entry.international),
            "national": CData(entry.national),
            "rfc3966": CData(entry.rfc3966),
        },
    }


def _is_french_mobile(number: numbers.Number) -> bool:
    return number.region == "FR" and number.kind is numbers.Kind.MOBILE and len(number.e164) == 12


def _french_mobile(e164: str) -> _Entry:
    """The commonest numbers by hand, as the library writes them: it takes 100 us for each, and a list has hundreds."""
    first, pairs = e164[3], [e164[at : at + 2] for at in (4, 6, 8, 10)]
    spaced, dashed = " ".join(pairs), "-".join(pairs)
    return _Entry(33, "Mobile", f"+33 {first} {spaced}", f"0{first} {spaced}", f"tel:+33-{first}-{dashed}")


def _from_library(number: numbers.Number) -> _Entry:
    import phonenumbers  # imported on first use, as core.numbers does, because its import is slow

    parsed = phonenumbers.parse(number.e164)
    form = phonenumbers.PhoneNumberFormat
    is_mobile = number.kind is numbers.Kind.MOBILE
    return _Entry(
        parsed.country_code or 0,
        "Mobile" if is_mobile else _kinds().get(phonenumbers.number_type(parsed), ""),
        phonenumbers.format_number(parsed, form.INTERNATIONAL),
        phonenumbers.format_number(parsed, form.NATIONAL),
        phonenumbers.format_number(parsed, form.RFC3966),
    )


@cache
def _kinds() -> dict[int, str]:
    """The words of the other kinds; documented is only Mobile, which also stands for plans that do not tell."""
    import phonenumbers

    kind = phonenumbers.PhoneNumberType
    return {
        kind.FIXED_LINE: "Fixed line",
        kind.TOLL_FREE: "Toll free",
        kind.PREMIUM_RATE: "Premium rate",
        kind.SHARED_COST: "Shared cost",
        kind.VOIP: "VoIP",
        kind.PERSONAL_NUMBER: "Personal number",
        kind.PAGER: "Pager",
        kind.UAN: "UAN",
        kind.VOICEMAIL: "Voicemail",
    }
