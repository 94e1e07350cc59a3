"""SMS Partner's /lookup, which is free: what the numbering plans alone say about written numbers."""

from __future__ import annotations

from functools import cache
from typing import Any, Final

from chappe.core import numbers
from chappe.core.errors import Refusal, Violation, Violations
from chappe.core.model import RECIPIENTS_MAX, Account, AccountSettings, Moment, Ready
from chappe.dialects import Response
from chappe.dialects.smspartner_countries import COUNTRIES
from chappe.dialects.smspartner_fields import PLACES_PER_NUMBER_MAX
from chappe.dialects.smspartner_render import CData, respond
from chappe.dialects.smspartner_texts import WRITTEN_MAX
from chappe.dialects.smspartner_values import Values, text

_OTHER_SEPARATORS: Final = (";", "|")
_INVALID: Final = (
    "Le numéro de téléphone est vide ou n'est pas valide.",
    "The phone number is empty or not valid.",
)


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
    number = numbers.read(written)
    if not isinstance(number, numbers.Number):
        return {"request": request, "success": False, "message": _INVALID[settings.message_language == "en"]}
    import phonenumbers  # imported on first use, as core.numbers does, because its import is slow

    parsed = phonenumbers.parse(number.e164)
    form = phonenumbers.PhoneNumberFormat
    return {
        "request": request,
        "success": True,
        "countryCode": CData(COUNTRIES.get(number.region, "")),
        "prefixCode": parsed.country_code,
        "phoneNumber": CData(number.e164),
        "type": CData(_kind(number, phonenumbers.number_type(parsed))),
        "network": CData(""),  # only the network knows where a number has been ported to
        "format": {
            "e164": CData(number.e164),
            "international": CData(phonenumbers.format_number(parsed, form.INTERNATIONAL)),
            "national": CData(phonenumbers.format_number(parsed, form.NATIONAL)),
            "rfc3966": CData(phonenumbers.format_number(parsed, form.RFC3966)),
        },
    }


def _kind(number: numbers.Number, library_type: int) -> str:
    return "Mobile" if number.kind is numbers.Kind.MOBILE else _kinds().get(library_type, "")


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
