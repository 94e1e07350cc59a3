"""How AllMySMS 9.0 answers sends, simulated ones, and everything that is refused."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from chappe.core.errors import Refusal
from chappe.core.http import Response
from chappe.core.model import Accepted, AccountSettings, Send, Simulated
from chappe.dialects.allmysms import notes
from chappe.dialects.allmysms.credits import credits_left, credits_needed
from chappe.dialects.allmysms.error_catalogue import REFUSED, texts_of
from chappe.dialects.allmysms.render import Headers, Value, money, respond

SENT: Final = 100
SCHEDULED: Final = 101
LOGIN: Final = 102
SOME_INVALID: Final = 113


def accepted(outcome: Accepted, form: str, ignored: Iterable[str] | None = None) -> Response:
    """The reply to an accepted send: status 100, 101 when it leaves later, 113 when some numbers are invalid.

    ignored: the names that nothing reads, of a request that wants to know what became otherwise; None: it does not.
    """
    command = outcome.command
    status, text = _status(command, held=outcome.held)
    fields: dict[str, Value] = {
        "status": status,
        "statusText": texts_of(command.account.settings.message_language)[text],
        "invalidNumbers": invalid_numbers(command),
        "campaignId": str(outcome.submission_id),
        "credits": str(credits_left(outcome.balance_micros)),
        "creditsUsed": str(credits_needed(command.cost_micros)),
        "nbContacts": str(len(command.recipients)),
        "nbSms": str(command.parts),
        "smsIds": [
            {"phoneNumber": recipient.number[1:], "smsId": public_id}
            for recipient, public_id in zip(command.recipients, outcome.public_ids, strict=True)
        ],
        "balance": money(outcome.balance_micros),
    }
    if command.client_reference:
        fields["cliMsgId"] = command.client_reference
    return respond(fields | _warnings(command, ignored), form)


def simulated(outcome: Simulated, form: str, ignored: Iterable[str] | None = None) -> Response:
    """What a send would have been answered, and what it would have cost; the text says that nothing was sent."""
    command = outcome.command
    status, text = _status(command)
    texts = texts_of(command.account.settings.message_language)
    return respond(
        {
            "status": status,
            "statusText": texts["some_invalid" if text == "some_invalid" else "simulated"],
            "invalidNumbers": invalid_numbers(command),
            "nbCredits": credits_needed(command.cost_micros),
            "nbContacts": len(command.recipients),
            "nbSms": command.parts,
            **_warnings(command, ignored),
        },
        form,
    )


def _warnings(command: Send, ignored: Iterable[str] | None) -> dict[str, Value]:
    if ignored is None:
        return {}
    return {"warnings": notes.of_send(command, ignored, command.account.settings.message_language)}


def refused(
    refusal: Refusal, form: str, settings: AccountSettings, *, unknown: str | None = None, has_text: bool = False
) -> Response:
    """The reply to a refusal: status and statusText only, HTTP 200 unless the table says otherwise. Total.

    unknown: the call is of a reading method, where everything but bad credentials and what HTTP has a status for is the
    status "0", a string; it is the text for what is not found, unless the refusal has its own in values. has_text: such
    a reply has the sentence under `text` as well.
    """
    code = refusal.code
    row = REFUSED[code]
    number: int | str = row.number
    name, http = row.text, row.http
    if unknown is not None and row.number != LOGIN and (row.http == 200 or code == "not_found"):
        number, http = "0", 200
        name = refusal.values.get("text", unknown) if code == "not_found" else row.text
    if name == "none_valid" and (why := all_for(refusal)):
        name = why
    text = texts_of(settings.message_language).get(name, name)
    if "{" in text:
        text = text.format(
            tag=refusal.values.get("tag", row.tag),
            limit=refusal.values.get("limit", settings.message_characters_max),
            needed=credits_needed(refusal.values.get("needed_micros", 0)),
            left=credits_left(refusal.values.get("balance_micros", 0)),
        )
    fields: dict[str, Value] = {"status": number, "statusText": text}
    if has_text and number == "0":
        fields["text"] = text
    return respond(fields, form, http, retry_after(refusal))


def all_for(refusal: Refusal) -> str:
    """Why there is no number left, where it is one reason for all and the numbers are good: the key of its text."""
    reasons = {skipped.reason for skipped in refusal.values.get("skipped", ())}
    return reasons.pop() if len(reasons) == 1 and reasons <= {"opted_out", "price_missing"} else ""


def retry_after(refusal: Refusal) -> Headers:
    """When a refusal says how long to wait, the header that does."""
    wait_s = refusal.values.get("retry_after_s")
    return () if wait_s is None else (("Retry-After", str(wait_s)),)


def invalid_numbers(command: Send) -> str:
    """The numbers that get nothing, as they were given, split as clients read them."""
    return "|".join([skipped.written for skipped in command.skipped])


def _status(command: Send, *, held: bool = False) -> tuple[int, str]:
    """113 says that some numbers are invalid or not served. An opted-out number is neither: the others were sent, and a
    client that takes 113 for a failure would send to them again."""
    invalid = any(skipped.reason != "opted_out" for skipped in command.skipped)
    if invalid and not command.account.settings.invalid_numbers_as_sent:
        return SOME_INVALID, "some_invalid"
    return (SCHEDULED, "scheduled") if held or command.scheduled_at is not None else (SENT, "sent")
