"""The notes on a send that differs from its request, for callers that ask for them (`verbose`): codes and sentences."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from chappe.core.model import Send
from chappe.dialects.allmysms.render import Row

IGNORED: Final = "ignored"

# Code -> what it says in French and in English; {name} is the tag or the key that was ignored.
SENTENCES: Final[Mapping[str, tuple[str, str]]] = {
    "sender_malformed": (
        "L’émetteur demandé n’a pas une forme valide : il a été remplacé",
        "The sender does not have a valid form: it was replaced",
    ),
    "sender_not_allowed": (
        "L’émetteur demandé n’est pas autorisé pour ce compte : il a été remplacé",
        "The sender is not allowed for this account: it was replaced",
    ),
    "sender_without_stop": (
        "Le texte ne contient pas de mention STOP : l’émetteur a été remplacé",
        "The text has no STOP mention: the sender was replaced",
    ),
    "lowcost_unavailable": (
        "La gamme lowcost n’est pas disponible : le message part en gamme premium",
        "The low cost range is not available: the message leaves in the premium range",
    ),
    "text_lossy": (
        "Des caractères ont été remplacés par « ? »",
        "Some characters were replaced by “?”",
    ),
    "unicode_forced": (
        "Le texte contient des caractères hors de l’alphabet GSM : il part en Unicode, 70 caractères par SMS",
        "The text has characters outside the GSM alphabet: it leaves as Unicode, 70 characters a part",
    ),
    "numbers_completed": (
        "Des numéros de neuf chiffres ont été lus comme des numéros français sans leur zéro",
        "Numbers of nine digits were read as French numbers that lack their zero",
    ),
    IGNORED: ("{name} est inconnu ici et a été ignoré", "{name} is unknown here and was ignored"),
}


def of_send(command: Send, ignored: Iterable[str], language: str) -> list[Row]:
    """The notes of an accepted or simulated send, each a code and a sentence. ignored: names that nothing reads."""
    english = language == "en"
    notes: list[Row] = [
        {"code": code, "description": SENTENCES[code][english]} for code in dict.fromkeys(command.warnings)
    ]
    for name in ignored:
        notes.append({"code": IGNORED, "description": SENTENCES[IGNORED][english].replace("{name}", name)})
    return notes
