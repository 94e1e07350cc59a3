"""The codes that one page of SMS Partner v1 has for itself: status, cancelling, STOP list, statistics, look-up.

A page's codes win over the general table. Source: the provider's pages and its table "Cancelling and status"
(documentation of 2024); texts that nothing shows are ours, in its manner.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from chappe.core.errors import Refusal
from chappe.dialects.smspartner.error_catalogue import Answer

_ID_MISSING: Final = Answer(3, 400, "L'ID du message est requis", "The message ID is required")
_NUMBER_MISSING: Final = Answer(2, 400, "Le champ phoneNumber est requis", "The phoneNumber field is required")
_NUMBER_INVALID: Final = Answer(
    9, 400, "Ce numéro de téléphone n'est pas valide ({value})", "This phone number is not valid ({value})"
)
_MESSAGE_UNKNOWN: Final = Answer(4, 400, "Ce message est introuvable", "This message was not found")
_FORMAT_WRONG: Final = Answer(6, 400, "Le format est incorrect", "The format is wrong")
_DATE_MISSING: Final = Answer(45, 400, "La date est requise", "The date is required")
_DATE_INVALID: Final = Answer(49, 400, "La date est invalide", "The date is invalid")
_INTERVAL_INVALID: Final = Answer(9, 400, "L'intervalle n'est pas valide", "The interval is not valid")

# Page -> code of a refusal, or `field rule` of a violation -> answer. What is not here is told as everywhere.
PAGES: Final[Mapping[str, Mapping[str, Answer]]] = {
    "message-cancel": {
        "message_id required": _ID_MISSING,
        "not_found": Answer(4, 400, "Message introuvable", "Message not found"),
        "already": Answer(5, 400, "L'envoi du SMS a déjà été annulé", "The SMS sending has already been canceled"),
        "too_late": Answer(
            6,
            400,
            "L'envoi du SMS ne peut être annulé moins de 5 minutes avant son départ",
            "The SMS sending cannot be canceled less than 5 minutes before it leaves",
        ),
        "sent": Answer(7, 400, "Le SMS a déjà été envoyé", "The SMS has already been sent"),
    },
    "message-status": {
        "message_id required": _ID_MISSING,
        "recipients_missing": _NUMBER_MISSING,
        "recipients invalid": _NUMBER_INVALID,
        "not_found": _MESSAGE_UNKNOWN,
    },
    "multi-status": {
        "recipients_missing": Answer(5, 400, "La liste des numéros est vide", "The list of numbers is empty"),
        "list invalid": _FORMAT_WRONG,
    },
    "bulk-status": {"message_id required": _ID_MISSING, "not_found": _MESSAGE_UNKNOWN},
    "bulk-status-by-tag": {
        "tag required": Answer(3, 400, "Le tag est requis", "The tag is required"),
        "page invalid": _FORMAT_WRONG,
        "not_found": Answer(4, 400, "Aucun message n'a ce tag", "No message has this tag"),
    },
    "statistics/cost-resume": {
        "interval required": _INTERVAL_INVALID,
        "interval invalid": _INTERVAL_INVALID,
        "date required": _DATE_MISSING,
        "date invalid": _DATE_INVALID,
    },
    "stop-sms/add": {
        "recipients_missing": _NUMBER_MISSING,
        "recipients invalid": _NUMBER_INVALID,
        "known": Answer(3, 400, "Le numéro est déjà présent dans la liste", "The number is already in the list"),
    },
    "stop-sms/delete": {
        "id required": Answer(3, 400, "L'id est requis", "The id is required"),
        "not_found": Answer(4, 400, "L'id est introuvable", "The id was not found"),
        # The page has no code for it; 40 of the general table says that the account may not do this.
        "protected": Answer(
            40,
            400,
            "Ce numéro s'est désabonné : seul l'opérateur peut le retirer de la liste",
            "This number has opted out: only the operator can take it off the list",
        ),
    },
    "lookup": {
        "list invalid": Answer(
            19,
            400,
            "Les numéros doivent-être séparés par une virgule",
            "The numbers must be separated by a comma",
        ),
    },
}


def page_answer(page: str, refusal: Refusal) -> tuple[Answer, str] | None:
    """The page's own answer to a refusal and the value that it quotes; of several violations the first one's."""
    answers = PAGES[page]
    for item in refusal.values.get("items", ()):
        if (found := answers.get(f"{item.field} {item.rule}")) is not None:
            return found, item.value
    found = answers.get(refusal.code)
    return None if found is None else (found, "")
