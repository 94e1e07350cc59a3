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

_GROUP_MISSING: Final = Answer(1, 400, "Le champ groupId est requis", "The groupId field is required")
_CONTACT_MISSING: Final = Answer(2, 400, "Les données du contact sont requises", "The contact data are required")
_CONTACT_ID_MISSING: Final = Answer(1, 400, "Le champ contactId est requis", "The contactId field is required")
_GROUP_UNKNOWN: Final = Answer(404, 404, "Le groupe n'existe pas", "The group does not exist")
_CONTACT_UNKNOWN: Final = Answer(404, 404, "Le contact n'existe pas", "The contact does not exist")
_IN_GROUP: Final = Answer(15, 400, "Le numéro est déjà dans le groupe", "The number is already in the group")

_BALANCE_LOW: Final = Answer(9, 400, "Le solde du compte est insuffisant", "The balance of the account is insufficient")
_CREDIT_PAGE: Final[Mapping[str, Answer]] = {
    "credit required": Answer(2, 400, "Le crédit est requis", "The credit is required"),
    "token required": Answer(3, 400, "Le champ tokenSubaccount est requis", "The tokenSubaccount field is required"),
    "sub_accounts_denied": Answer(4, 400, "Vous n'êtes pas autorisé", "You are not authorised"),
    "credit invalid": Answer(5, 400, "Le crédit doit être supérieur à 0", "The credit must be greater than 0"),
    "credit_none": Answer(6, 400, "Le solde doit être supérieur à 0", "The balance must be greater than 0"),
    "not_found": Answer(7, 400, "Le sous-compte est inconnu", "The sub-account is unknown"),
    "credit_short": Answer(8, 400, "Le crédit est insuffisant", "The credit is insufficient"),
}

# Why a contact is not added -> answer, of a single one and of each of many.
CONTACT_REASONS: Final[Mapping[str, Answer]] = {
    "empty": Answer(9, 400, "Le numéro de téléphone est requis", "The phone number is required"),
    "number": _NUMBER_INVALID,
    "url": Answer(9, 400, "L'url n'est pas valide", "The URL is not valid"),
    "date": Answer(9, 400, "La date n'est pas valide", "The date is not valid"),
    "field": Answer(9, 400, "Un champ du contact est trop long", "A field of the contact is too long"),
    "repeated": Answer(15, 400, "Le numéro est déjà présent dans la liste", "The number is already in the list"),
    "known": _IN_GROUP,
}
_CONTACT_WRONG: Final[Mapping[str, Answer]] = {
    f"contact {reason}": CONTACT_REASONS[reason] for reason in ("empty", "number", "url", "date", "field")
}

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
    "group/add": {
        "name required": Answer(1, 400, "Le nom est requis", "The name is required"),
        "name invalid": Answer(9, 400, "Le nom est trop long", "The name is too long"),
    },
    "groupe/delete": {"group_id required": _GROUP_MISSING, "not_found": _GROUP_UNKNOWN},
    "contact/add": {
        "group_id required": _GROUP_MISSING,
        "contact required": _CONTACT_MISSING,
        **_CONTACT_WRONG,
        "known": _IN_GROUP,
        "not_found": _GROUP_UNKNOWN,
    },
    "contact/multiple/add": {
        "group_id required": _GROUP_MISSING,
        "contact required": _CONTACT_MISSING,
        "not_found": _GROUP_UNKNOWN,
    },
    "contact/update": {
        "contact_id required": _CONTACT_ID_MISSING,
        "contact required": _CONTACT_MISSING,
        **_CONTACT_WRONG,
        "known": _IN_GROUP,
        "not_found": _CONTACT_UNKNOWN,
    },
    "contact/delete": {"contact_id required": _CONTACT_ID_MISSING, "not_found": _CONTACT_UNKNOWN},
    "contact/list": {"group_id required": _GROUP_MISSING, "page invalid": _FORMAT_WRONG, "not_found": _GROUP_UNKNOWN},
    "contact/detail": {"contact_id required": _CONTACT_ID_MISSING, "not_found": _CONTACT_UNKNOWN},
    "subaccount/create": {
        "sub_accounts_denied": Answer(
            2,
            400,
            "Vous n'êtes pas autorisé à créer un sous-compte",
            "You are not authorised to create a sub-account",
        ),
        "is_buyer required": Answer(3, 400, "Le champ isBuyer est requis", "The isBuyer field is required"),
        "type required": Answer(4, 400, "Le champ type est requis", "The type field is required"),
        "type invalid": Answer(5, 400, "Le type ({value}) est inconnu", "The type ({value}) is unknown"),
        "email required": Answer(6, 400, "Un email valide est requis", "A valid email is required"),
        "known": Answer(7, 400, "L'email existe déjà", "The email already exists"),
        "credit invalid": Answer(
            8, 400, "Le champ creditToAttribute doit être supérieur à 0", "creditToAttribute must be greater than 0"
        ),
        "credit_none": _BALANCE_LOW,
        "credit_short": _BALANCE_LOW,
        "parameters invalid": Answer(9, 400, "Le champ {value} n'est pas valide", "The field {value} is not valid"),
    },
    "subaccount/remove": {
        "token required": Answer(1, 400, "Le token est requis", "The token is required"),
        "not_found": Answer(404, 404, "Le sous-compte n'existe pas", "The sub-account does not exist"),
    },
    "subaccount/list": {"page invalid": _FORMAT_WRONG},
    "subaccount/credit/add": _CREDIT_PAGE,
    "subaccount/credit/remove": _CREDIT_PAGE,
    "send": {"group_id required": _GROUP_MISSING, "not_found": _GROUP_UNKNOWN},
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
