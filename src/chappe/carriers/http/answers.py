"""What an answer of the service means for the message that was sent. Pure."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from chappe.carriers.http import values
from chappe.carriers.http.options import HttpProfile, Meaning, Rule

REFERENCE_CHARACTERS_MAX: Final = 200
OF_THIS_SERVICE: Final = frozenset(("sender", "destination_refused", "no_price"))
"""Reasons of refusals that say nothing about other carriers."""
DETAIL_CHARACTERS_MAX: Final = 200

_REASONS: Final = {
    Meaning.REFUSED: "request_refused",
    Meaning.RETRY: "service_unavailable",
    Meaning.THROTTLE: "too_many_requests",
    Meaning.CONFIG: "settings_refused",
    Meaning.DOUBT: "no_answer",
}


class Verdict(NamedTuple):
    """meaning; reference: the service's id of the message, of a yes; reason: our word; detail: for the operator."""

    meaning: Meaning
    reference: str = ""
    reason: str = ""
    detail: str = ""


def judge(status: int, body: bytes, made: HttpProfile) -> Verdict:
    """What an answer means.

    A yes has one of the statuses of taken_status and all that taken_when asks for. Else the service's own code decides,
    then the status. A status of success whose body cannot be read leaves the message in doubt: it may have been taken.
    """
    decoded = values.decode(body)
    good = _is_among(status, made.taken_status)
    if good and _has(decoded, made):
        return Verdict(Meaning.TAKEN, values.text_at(decoded, made.id_path, REFERENCE_CHARACTERS_MAX))
    code = values.text_at(decoded, made.code_path, 40)
    detail = _detail(status, code, values.text_at(decoded, made.message_path, DETAIL_CHARACTERS_MAX))
    rule = made.codes.get(code) if code else None
    if rule is None and good:
        if decoded is None:
            return Verdict(Meaning.DOUBT, reason="unreadable_answer", detail=f"{detail}: the answer cannot be read")
        rule = Rule(Meaning.REFUSED, "request_refused")
    if rule is None:
        rule = (
            made.statuses.get(str(status))
            or made.statuses.get(str(status)[:1])
            or Rule(Meaning.DOUBT, "unknown_status")
        )
    if rule.meaning is Meaning.TAKEN:
        return Verdict(Meaning.TAKEN, values.text_at(decoded, made.id_path, REFERENCE_CHARACTERS_MAX))
    return Verdict(rule.meaning, reason=rule.reason or _REASONS[rule.meaning], detail=detail)


def _has(decoded: Any, made: HttpProfile) -> bool:
    for path, wanted in made.taken_when.items():
        found = values.text(values.at(decoded, path))
        if not found or ("*" not in wanted and found not in wanted):
            return False
    return decoded is not None or not (made.taken_when or made.id_path)


def _is_among(status: int, ranges: str) -> bool:
    for part in ranges.split(","):
        low, _, high = part.strip().partition("-")
        if int(low) <= status <= int(high or low):
            return True
    return False


def _detail(status: int, code: str, sentence: str) -> str:
    words = [f"HTTP {status}"]
    if code and code != str(status):
        words.append(f"code {code}")
    if sentence.isprintable() and sentence:
        words.append(sentence)
    return ", ".join(words)
