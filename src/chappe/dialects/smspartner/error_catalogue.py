"""The codes and sentences of SMS Partner v1: which number and which words each refusal has.

Source: the provider's table "Sending and general" (documentation of 2024; 1, 2, 9, 10, 11 and 200 also in the older
one). French is what goes over the wire by default; `message_language` of an account chooses English.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

WRITTEN_MAX: Final = 64  # characters of a wrong value that are quoted back


class Answer(NamedTuple):
    """How one refusal is told: body code, HTTP status, sentence in French and in English."""

    code: int
    status: int
    french: str
    english: str

    def text(self, language: str) -> str:
        return self.english if language == "en" else self.french


_MALFORMED: Final = Answer(90, 400, "Le JSON est malformé: erreur de syntaxe", "The JSON is malformed: syntax error")
_WRONG_KEY: Final = Answer(10, 400, "Clef API incorrecte", "Invalid API key")
_NO_MESSAGE: Final = Answer(43, 400, "Le message est requis", "The message is required")
_NO_ACCESS: Final = Answer(40, 400, "L'accès à l'API est refusé", "API access denied")
_NO_NUMBERS: Final = Answer(2, 400, "Le champ phoneNumbers est requis", "The phoneNumbers field is required")
_NO_CREDIT: Final = Answer(11, 400, "Crédit insuffisant", "Insufficient credit")
_BAD_SENDER: Final = Answer(44, 400, "L'émetteur est invalide", "The sender is invalid")

# One entry for each code of SmsPartnerRefusal. {limit} is how many numbers the account may send to at once, {date}
# the date as written.
ANSWERS: Final[Mapping[str, Answer]] = {
    "unreadable": _MALFORMED,
    "body_too_large": Answer(
        90, 413, "Le corps de la requête est trop volumineux", "The body of the request is too large"
    ),
    "key_missing": Answer(1, 400, "La clé API est requise", "The API key is required"),
    "key_unknown": _WRONG_KEY,
    "account_disabled": Answer(20, 400, "Compte désactivé", "Account disabled"),
    "account_blocked": Answer(30, 400, "Compte bloqué", "Account blocked"),
    "access_denied": _NO_ACCESS,
    "address_refused": Answer(96, 400, "L'IP n'est pas autorisée", "The IP address is not allowed"),
    "recipients_missing": _NO_NUMBERS,
    "recipients_too_many": Answer(
        50,
        400,
        "Le nombre de numéros autorisés est de {limit} maxi",
        "The number of phone numbers allowed is {limit} at most",
    ),
    "recipients_unusable": Answer(55, 400, "Aucun numéro à envoyer", "No number to send to"),
    "price_missing": Answer(
        13,
        400,
        "Aucun prix par défaut n'a été trouvé pour les numéros suivant",
        "No default price was found for the following numbers",
    ),
    "violations": Answer(9, 400, "", ""),  # told as a list
    "text_too_long": Answer(
        52, 400, "Le nombre de SMS concaténés ne peut excéder 10 SMS", "A message cannot exceed 10 concatenated SMS"
    ),
    "lowcost_too_long": Answer(
        42,
        400,
        "Le nombre de caractères pour un sms Low Cost est 160 caractères",
        "A low cost SMS is limited to 160 characters",
    ),
    "lowcost_unavailable": Answer(
        51, 400, "La gamme lowcost n'est pas éligible", "The low cost range is not available"
    ),
    "sender_missing": _BAD_SENDER,
    "sender_invalid": _BAD_SENDER,
    "sender_refused": Answer(992, 400, "Sender non autorisé", "Sender not authorised"),
    "time_invalid": Answer(46, 400, "L'heure est requise", "The time is required"),
    "minute_invalid": Answer(47, 400, "Le chiffre des minutes est invalide", "The minute is invalid"),
    "minute_step": Answer(
        48,
        400,
        "Les minutes doivent-être comprise entre 5 et 55 dans un interval de 5 minutes",
        "Minutes must be between 5 and 55 in steps of 5 minutes",
    ),
    "date_invalid": Answer(49, 400, "La date est invalide", "The date is invalid"),
    "window_hour": Answer(
        22,
        400,
        "SMS Marketing: L'heure d'envoi n'est pas valide, elle doit être comprise entre 8h et 22h.",
        "Marketing SMS: the sending time is not valid, it must be between 8 AM and 10 PM.",
    ),
    "window_day": Answer(
        23,
        400,
        "SMS Marketing: La date {date} n'est pas valide, "
        "L'envoi des sms n'est pas possible le dimanche et jours fériés.",
        "Marketing SMS: the date {date} is not valid, SMS cannot be sent on Sundays and public holidays.",
    ),
    "unicode_unavailable": _NO_ACCESS,
    "credit_none": _NO_CREDIT,
    "credit_short": _NO_CREDIT,
    "repeated": Answer(400, 400, "Requête déjà transmise", "Request already transmitted"),  # nothing here asks for it
    "not_found": Answer(404, 404, "La ressource demandée n'existe pas", "The requested resource does not exist"),
    "too_many_requests": Answer(
        429, 429, "Trop de requêtes, veuillez réessayer plus tard", "Too many requests, please try again later"
    ),
    "number_limit": Answer(
        429,
        429,
        "Limite de sécurité : trop de SMS vers un même numéro en une heure ({limit})",
        "Safety limit: too many SMS to one number within an hour ({limit})",
    ),
    "country_limit": Answer(
        429,
        429,
        "Limite de sécurité : trop de SMS vers un même pays en un jour ({limit})",
        "Safety limit: too many SMS to one country within a day ({limit})",
    ),
    "spend_limit": Answer(
        429,
        429,
        "Limite de sécurité : dépense maximale de l'heure ou du jour atteinte",
        "Safety limit: the most that may be spent within an hour or a day is reached",
    ),
    "sandbox_limit": Answer(
        429,
        429,
        "Limite de sécurité : trop de SMS de test en un jour ({limit})",
        "Safety limit: too many sandbox SMS within a day ({limit})",
    ),
    "contact_limit": Answer(
        429,
        429,
        "Limite de sécurité : trop de groupes ou de contacts ({limit})",
        "Safety limit: too many groups or contacts ({limit})",
    ),
    "sub_accounts_denied": Answer(
        40, 400, "Les sous-comptes ne sont pas autorisés", "Sub-accounts are not authorised for this account"
    ),
    "sub_account_limit": Answer(
        429,
        429,
        "Limite de sécurité : trop de sous-comptes ({limit})",
        "Safety limit: too many sub-accounts ({limit})",
    ),
    "known": Answer(15, 400, "Le numéro est déjà présent dans la liste", "The number is already in the list"),
    "locked": Answer(40, 400, "La liste est verrouillée", "The list is locked"),
    "opt_out_limit": Answer(
        429,
        429,
        "Limite de sécurité : trop de numéros ajoutés à la liste STOP en un jour ({limit})",
        "Safety limit: too many numbers added to the STOP list within a day ({limit})",
    ),
    "queue_failed": Answer(
        500, 500, "Problème lors de l'ajout du sms dans la file d'attente", "The SMS could not be added to the queue"
    ),
}


class FieldText(NamedTuple):
    """One violated constraint in words, {value} being what was written; only the provider's XML has accents."""

    json: str
    xml: str
    english: str

    def text(self, language: str, *, xml: bool) -> str:
        if language == "en":
            return self.english
        return self.xml if xml else self.json


_NUMBER: Final = FieldText(
    "Ce numero de telephone n'est pas valide ({value})",
    "Ce numéro de téléphone n'est pas valide ({value})",
    "This phone number is not valid ({value})",
)
_URL: Final = FieldText("L'url n'est pas valide", "L'url n'est pas valide", "The URL is not valid")

# (field, rule) of a Violation -> words. The tag, the URLs and what `from` of /vn/send can break have no
# published sentence; these are ours, in the provider's manner.
FIELD_TEXTS: Final[Mapping[tuple[str, str], FieldText]] = {
    ("message", "required"): FieldText("Le message est requis", "Le message est requis", "The message is required"),
    ("recipients", "invalid"): _NUMBER,
    ("sender", "invalid"): _NUMBER,
    ("sender", "too_long"): FieldText(
        "L'emetteur ne peut pas etre plus long que 11 caracteres",
        "L'émetteur ne peut pas être plus long que 11 caractères",
        "The sender cannot be longer than 11 characters",
    ),
    ("date", "past"): FieldText(
        "La date ({value}) est anterieure a la date actuelle.",
        "La date ({value}) est anterieure à la date actuelle. "
        "Si vous souhaitez l'envoyer maintenant vous devez sélectionner [Envoi immédiat]",
        "The date ({value}) is earlier than the current date.",
    ),
    ("minute", "required"): FieldText("La minute est requise", "La minute est requise", "The minute is required"),
    ("time", "required"): FieldText("L'heure est requise", "L'heure est requise", "The time is required"),
    ("tag", "too_long"): FieldText(
        "Le tag ne peut pas etre plus long que 20 caracteres",
        "Le tag ne peut pas être plus long que 20 caractères",
        "The tag cannot be longer than 20 characters",
    ),
    ("report_url", "invalid"): _URL,
    ("reply_url", "invalid"): _URL,
}
FIELD_TEXT_OTHER: Final = FieldText(
    "La valeur n'est pas valide", "La valeur n'est pas valide", "The value is not valid"
)

# Neutral field -> the name in `children[...]`, on /send and where /vn/send calls it otherwise.
FIELD_NAMES: Final[Mapping[str, str]] = {
    "message": "message",
    "recipients": "phoneNumbers",
    "sender": "sender",
    "date": "scheduledDeliveryDate",
    "minute": "minute",
    "time": "time",
    "tag": "tag",
    "report_url": "urlDlr",
    "reply_url": "urlResponse",
}
FIELD_NAMES_VIRTUAL: Final[Mapping[str, str]] = {**FIELD_NAMES, "recipients": "to", "sender": "from"}
FIELD_NAMES_BULK: Final[Mapping[str, str]] = {**FIELD_NAMES, "recipients": "phoneNumber"}


class SkippedText(NamedTuple):
    """One number of shape C in words: the inner code is a string on the wire. {number} is the number."""

    code: str
    french: str
    english: str


def _as_skipped(code: str) -> SkippedText:
    answer = ANSWERS[code]
    return SkippedText(str(answer.code), answer.french, answer.english)


_NOT_MOBILE: Final = SkippedText(
    # The slip in the French is the provider's; clients may compare it.
    "9",
    "Le téléphone ({number}) n'est pas être un numéro de mobile",
    "The phone number ({number}) is not a mobile number",
)
SKIPPED_TEXTS: Final[Mapping[str, SkippedText]] = {
    "number_invalid": _NOT_MOBILE,
    "number_not_mobile": _NOT_MOBILE,
    "price_missing": SkippedText(
        "13",
        "Aucun prix par défaut n'a été trouvé pour les numéros suivant ({number})",
        "No default price was found for the following numbers ({number})",
    ),
    "opted_out": SkippedText("14", "Le numéro est dans la liste des STOP SMS", "The number is in the STOP SMS list"),
    # What only the items of a bulk send can be skipped for.
    "number_malformed": SkippedText(
        "9", "Ce numéro de téléphone n'est pas valide ({number})", "This phone number is not valid ({number})"
    ),
    "text_missing": SkippedText("9", _NO_MESSAGE.french, _NO_MESSAGE.english),
    "repeated": SkippedText(
        "15", "Le numéro est déjà présent dans la liste", "The phone number is already in the list"
    ),
    "lowcost_too_long": _as_skipped("lowcost_too_long"),
    "text_too_long": _as_skipped("text_too_long"),
}
