"""The words and numbers of AllMySMS 9.0: its texts in both languages, and the status of each refusal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

# Every text of a flow names "XML" for JSON too, as the provider does.
_FRENCH: Final[dict[str, str]] = {
    "sent": "Le message a été envoyé",
    "scheduled": "Le message a été programmé pour un envoi différé",
    "login": "Problème de connexion – Aucun compte ne correspond aux clientcode et passcode spécifiés",
    "credit_none": "Crédit SMS épuisé. Veuillez re-créditer votre compte sur AllMySMS.com",
    "credit_short": "Crédit insuffisant pour traiter cet envoi. A utiliser: {needed} Crédits, "
    "Disponibles: {left} Crédits. Veuillez re-créditer votre compte sur AllMySMS.com",
    "flow_empty": "Flux XML Vide",
    "incomplete": "Flux XML invalide ou incomplet après la balise <{tag}>",
    "client_wrong": "Le code CLIENT donné dans le flux XML est incorrect, "
    "il doit correspondre au clientcode en majuscule",
    "message_empty": "Message non défini (vide) dans le flux XML",
    "message_long": "Le message dépasse {limit} caractères",
    "some_invalid": "Certains numéros de téléphone sont invalides ou non pris en charge",
    "none_valid": "Aucun numéro de téléphone valide dans le flux. Veuillez-vous référer à la documentation "
    "en ligne pour connaitre les formats valides.",
    "number_limit": "Limite de sécurité : trop de SMS vers un même numéro en une heure",
    "country_limit": "Limite de sécurité : trop de SMS vers un même pays en un jour",
    "spend_limit": "Limite de sécurité : dépense maximale de l’heure ou du jour atteinte",
    "contact_limit": "Limite de sécurité : trop de listes ou de contacts",
    "known": "Ce nom est déjà pris",
    "sub_accounts_denied": "Les sous-comptes ne sont pas autorisés pour ce compte",
    "sub_account_limit": "Limite de sécurité : trop de sous-comptes",
    "list_locked": "Cette liste est verrouillée",
    "opted_out": "Le destinataire s’est désabonné (STOP)",
    "price_missing": "Le numéro est valide, mais ce compte n’a pas de tarif pour sa destination",
    "date": "Flux XML invalide ou date mal formatée entre les balises <DATE> et </DATE>",
    "window": "Envoi commercial non autorisé à cette date ou à cette heure",
    "link": "Balise <URL> – Lien trop long, dépasse les 80 caractères",
    "master": "Le compte maître spécifié n’existe pas",
    "repeated": "Requête déjà transmise",
    "simulated": "Simulation effectuée, aucun message n’a été envoyé",
    "unknown": "Élément inconnu",
    "campaign_unknown": "Cette campagne n’existe pas",
    "campaign_gone": "Cette campagne ne peut plus être supprimée : ses messages sont partis",
    "list_unknown": "Cette liste n’existe pas",
    "sms_unknown": "Ce SMS n’existe pas",
    "reply_unknown": "Aucune réponse à ce SMS",
    "country_unknown": "Ce pays n’existe pas ou n’est pas desservi",
    "account_unknown": "Ce sous-compte n’existe pas",
    "service_missing": "Ce service n’est pas disponible sur ce serveur",
}
_ENGLISH: Final[dict[str, str]] = {
    "sent": "Your messages have been sent",
    "scheduled": "Your messages have been scheduled",
    "login": "Connection problem: no account has this clientcode and passcode",
    "credit_none": "No SMS credit left. Please add credit to your account",
    "credit_short": "Not enough credit for this send. Needed: {needed} credits, available: {left} credits. "
    "Please add credit to your account",
    "flow_empty": "The XML flow is empty",
    "incomplete": "The XML flow is invalid or incomplete after the tag <{tag}>",
    "client_wrong": "The CLIENT code in the XML flow is wrong: it must be the clientcode in upper case",
    "message_empty": "The message in the XML flow is empty",
    "message_long": "The message is longer than {limit} characters",
    "some_invalid": "Some phone numbers are invalid or not supported",
    "none_valid": "No valid phone number in the flow. See the online documentation for the accepted formats.",
    "number_limit": "Safety limit: too many SMS to one number within an hour",
    "country_limit": "Safety limit: too many SMS to one country within a day",
    "spend_limit": "Safety limit: the most that may be spent within an hour or a day is reached",
    "contact_limit": "Safety limit: too many lists or contacts",
    "known": "This name is taken already",
    "sub_accounts_denied": "Sub-accounts are not authorised for this account",
    "sub_account_limit": "Safety limit: too many sub-accounts",
    "list_locked": "This list is locked",
    "opted_out": "The recipient has opted out (STOP)",
    "price_missing": "The phone number is valid, but this account has no price for its destination",
    "date": "The XML flow is invalid or the date between <DATE> and </DATE> is badly formatted",
    "window": "Commercial messages may not be sent at this date or hour",
    "link": "Tag <URL>: the link is too long, over 80 characters",
    "master": "The master account given does not exist",
    "repeated": "Request already transmitted",
    "simulated": "Simulation done, no message has been sent",
    "unknown": "There is nothing of that name",
    "campaign_unknown": "This campaign does not exist",
    "campaign_gone": "This campaign can no longer be deleted: its messages have left",
    "list_unknown": "This list does not exist",
    "sms_unknown": "This SMS does not exist",
    "reply_unknown": "No reply to this SMS",
    "country_unknown": "This country does not exist or is not served",
    "account_unknown": "This sub-account does not exist",
    "service_missing": "This service is not available on this server",
}
TEXTS: Final = {"fr": _FRENCH, "en": _ENGLISH}


def texts_of(language: str) -> Mapping[str, str]:
    """The texts of a language; French for one that is unknown."""
    return TEXTS.get(language, _FRENCH)


class Status(NamedTuple):
    """One row of the refusal table: the status in the reply, its text's key (or the text itself), the HTTP status."""

    number: int
    text: str
    http: int = 200
    tag: str = ""


# Contract of the provider's page, "tabla de estado"; what it has no number for (404, 413, 429, 500) is HTTP's.
REFUSED: Final[dict[str, Status]] = {
    "unreadable": Status(106, "incomplete", tag="DATA"),
    "body_too_large": Status(413, "Request too large", 413),
    "key_missing": Status(102, "login"),
    "key_unknown": Status(102, "login"),
    "account_disabled": Status(102, "login"),
    "account_blocked": Status(102, "login"),
    "access_denied": Status(102, "login"),
    "address_refused": Status(102, "login"),
    "recipients_missing": Status(112, "incomplete", tag="SMS"),
    "recipients_too_many": Status(413, "Too many recipients", 413),
    "recipients_unusable": Status(114, "none_valid"),
    "price_missing": Status(114, "none_valid"),
    "text_missing": Status(110, "message_empty"),
    "text_absent": Status(109, "incomplete", tag="MESSAGE"),
    "text_too_long": Status(111, "message_long"),
    "sender_invalid": Status(116, "incomplete", tag="TPOA"),
    "sender_refused": Status(116, "incomplete", tag="TPOA"),
    "date_invalid": Status(115, "date"),
    "window_hour": Status(115, "window"),
    "window_day": Status(115, "window"),
    "credit_none": Status(103, "credit_none"),
    "credit_short": Status(104, "credit_short"),
    "flow_empty": Status(105, "flow_empty"),
    "flow_invalid": Status(106, "incomplete", tag="DATA"),
    "client_empty": Status(107, "incomplete", tag="CLIENT"),
    "client_wrong": Status(108, "client_wrong"),
    "recipient_absent": Status(112, "incomplete", tag="MOBILEPHONE"),
    "link_too_long": Status(117, "link"),
    "list_unknown": Status(112, "list_unknown"),
    "master_unknown": Status(118, "master"),
    "repeated": Status(121, "repeated"),
    "not_found": Status(404, "Unknown method", 404),
    "too_many_requests": Status(429, "Too many requests", 429),
    "number_limit": Status(429, "number_limit", 429),
    "country_limit": Status(429, "country_limit", 429),
    "spend_limit": Status(429, "spend_limit", 429),
    "sandbox_limit": Status(429, "spend_limit", 429),  # there is no sandbox here, nor a STOP list to add to
    "contact_limit": Status(429, "contact_limit", 429),
    "sub_accounts_denied": Status(0, "sub_accounts_denied"),
    "sub_account_limit": Status(429, "sub_account_limit", 429),
    "known": Status(0, "known"),
    "locked": Status(0, "list_locked"),
    "opt_out_limit": Status(429, "spend_limit", 429),
    "queue_failed": Status(500, "Internal error", 500),
}
