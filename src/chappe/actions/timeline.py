"""Where is my SMS: the timeline of a submission's messages, from every table that knows of them, as values."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Final

import msgspec

from chappe.core.lifecycle import FINAL, State
from chappe.core.pricing import json_number
from chappe.core.publicid import message_id_of, public_id
from chappe.core.window_profiles import DEFAULT
from chappe.store import accounts, timeline
from chappe.store.database import Database
from chappe.store.flags import WARNINGS, Flag
from chappe.store.lanes import CLASSES, LaneClass
from chappe.store.operator import at_of
from chappe.store.replies import KINDS
from chappe.store.timeline import EventRow, Everything, MessageRow, ReplyRow

PLACES: Final = 1 << 16
MESSAGES_SHOWN: Final = 20
OPTIONS: Final = {
    "lowcost": Flag.LOWCOST,
    "transactional": Flag.TRANSACTIONAL,
    "unicode": Flag.UNICODE,
    "flash": Flag.FLASH,
    "sandbox": Flag.SANDBOX,
    "virtual_number": Flag.VIRTUAL_NUMBER,
    "reports_waiting": Flag.REPORTS_WAITING,
    "reports_post": Flag.REPORTS_POST,
    **WARNINGS,
}
NOTES: Final = {
    Flag.TEXT_LOSSY: "characters that the GSM alphabet lacks became ?",
    Flag.UNICODE_FORCED: "the GSM alphabet lacks a character: sent as Unicode",
    Flag.STOP_FOREIGN: "the text names another's short code for STOP: replies to it arrive elsewhere",
    Flag.NUMBERS_COMPLETED: "numbers without their zero were read as French",
}
"""What the timeline says of a submission that was accepted otherwise than it was written."""
_NUMBER: Final = re.compile(r"([0-9]{1,18})(?:/([0-9]{1,5}))?", re.ASCII).fullmatch
_MAY_HAVE_LEFT: Final = (State.SCHEDULED, State.HELD, State.QUEUED)


class IdError(ValueError):
    """What was given is no id of ours; the message is one sentence."""


class Entry(msgspec.Struct, frozen=True):
    """One thing that happened.

    what: accepted, charged, scheduled, held, submitted, receipt, state, refunded, webhook, webhook_due (is to come),
    reply, reply_webhook, reply_webhook_due, or the word of an unusual event; part: from 1, 0 for the whole message or
    its only part.
    """

    at: datetime
    what: str
    detail: str = ""
    part: int = 0


class Queue(msgspec.Struct, frozen=True):
    """Where a message waits. lane: transactional, commercial, bulk, waiting; carrier: empty while none takes it;
    due_at: in the waiting lane; ahead: messages of its lane before it, None where it was not counted; down: why the
    carrier cannot send now, None when it can."""

    carrier: str
    lane: str
    due_at: datetime | None
    attempts: int
    ahead: int | None
    down: str | None = None


class MessageTimeline(msgspec.Struct, frozen=True):
    """One recipient's message. place: from 1 among its submission's; state: the present one, derived; text: its own
    where it differs from the submission's; refunded: decimal EUR as price."""

    id: int
    place: int
    public_id: str
    recipient: str
    state: str
    reason: str
    parts: int
    parts_submitted: int
    price: str
    refunded: str
    doubts: int
    text: str | None
    queue: Queue | None
    entries: list[Entry]


class SubmissionTimeline(msgspec.Struct, frozen=True):
    """One request and its messages. states: of all its messages; more: how many messages are not shown."""

    id: int
    account: str
    dialect: str
    created_at: datetime
    scheduled_at: datetime | None
    sender: str
    text: str
    options: list[str]
    recipients: int
    parts: int
    cost: str
    charged: str
    tag: str
    campaign: str
    client_reference: str
    report_url: str
    reply_url: str
    states: dict[str, int]
    messages: list[MessageTimeline]
    more: int


async def find(database: Database, text: str, limit: int | None = MESSAGES_SHOWN) -> SubmissionTimeline | None:
    """The timeline of what an id names; None when there is nothing of that name here.

    text: a submission's number (`message_id` of SMS Partner, `campaignId` of AllMySMS), SUBMISSION/PLACE for one of its
    messages (place from 1), a message's id, or the public id (`smsId`) of one. A number that is both a submission's and
    a message's is the submission's. limit: of messages, None for all. Raises IdError.
    """
    secret = await accounts.installation_secret(database)
    message_id = message_id_of(secret, text)
    if message_id is None:
        written = _NUMBER(text.strip())
        if written is None:
            raise IdError(_complaint(text))
        number, place = int(written[1]), written[2]
        if place is not None:
            if not 1 <= int(place) <= PLACES:
                raise IdError(f"a submission has the places 1 to {PLACES}")
            message_id = number << 16 | int(place) - 1
        elif number < PLACES or await timeline.exists(database, number):
            return await _read(database, secret, number << 16, number << 16 | PLACES - 1, limit)
        else:
            message_id = number
    if message_id >= 1 << 60:
        return None
    found = await _read(database, secret, message_id, message_id, 1)
    return found if found is not None and found.messages else None


def _complaint(text: str) -> str:
    if "-" in text:
        return "this smsId was not made by this installation"
    return f"{text[:40]!r} is no id: expected a submission's number, NUMBER/PLACE, a message's id or an smsId"


async def _read(
    database: Database, secret: bytes, first_id: int, last_id: int, limit: int | None
) -> SubmissionTimeline | None:
    found = await timeline.read(database, first_id, last_id, PLACES if limit is None else limit)
    return None if found is None else shaped(found, secret, single=first_id == last_id)


def shaped(found: Everything, secret: bytes, *, single: bool = False) -> SubmissionTimeline:
    """The rows as a timeline; pure."""
    row = found.submission
    total = sum(found.states.values())
    return SubmissionTimeline(
        id=row.id,
        account=row.login or f"#{row.account_id}",
        dialect=row.dialect,
        created_at=row.created_at,
        scheduled_at=row.scheduled_at,
        sender=row.sender,
        text=row.text,
        options=[word for word, flag in OPTIONS.items() if row.flags & flag],
        recipients=row.recipients,
        parts=row.parts,
        cost=json_number(row.cost_micros),
        charged=json_number(row.charged_micros),
        tag=row.tag,
        campaign=row.campaign,
        client_reference=row.client_reference,
        report_url=row.report_url,
        reply_url=row.reply_url,
        states={State(state).word: number for state, number in found.states.items()},
        messages=[_message(message, found, secret) for message in found.messages],
        more=0 if single else total - len(found.messages),
    )


def present_state(message: MessageRow) -> State:
    """The state that users see. The row says `queued` until the end: what is in flight is submitting, and what is
    neither in the queue nor in flight has been submitted."""
    state = State(message.state)
    if state not in _MAY_HAVE_LEFT or message.attempts is not None:
        return state
    if message.in_flight_carrier_id is not None:
        return State.SUBMITTING
    return State.SUBMITTED


def _message(message: MessageRow, found: Everything, secret: bytes) -> MessageTimeline:
    references = [row for row in found.references if row.message_id == message.id]
    refunded = sum(row.amount_micros for row in found.refunds if row.message_id == message.id)
    return MessageTimeline(
        id=message.id,
        place=(message.id & PLACES - 1) + 1,
        public_id=public_id(secret, message.id),
        recipient=message.recipient,
        state=present_state(message).word,
        reason=_reason(message),
        parts=message.parts,
        parts_submitted=len({row.part for row in references}),
        price=json_number(message.price_micros),
        refunded=json_number(refunded),
        doubts=message.doubts,
        text=message.text,
        queue=_queue(message, found),
        entries=_entries(message, found),
    )


def _reason(message: MessageRow) -> str:
    """Why a message is where it is; the error code 000 of a receipt means that there was none."""
    reason = message.reason or ""
    return "" if message.state == State.DELIVERED and not reason.strip("0") else reason


def _queue(message: MessageRow, found: Everything) -> Queue | None:
    if message.attempts is None:
        return None
    carrier_id, lane_class = divmod(message.lane, CLASSES)
    waiting = lane_class == LaneClass.WAITING
    return Queue(
        carrier=found.carriers.get(carrier_id, ""),
        lane=LaneClass(lane_class).name.lower(),
        due_at=at_of(message.key) if waiting else None,
        attempts=message.attempts,
        ahead=found.ahead.get(message.id),
        down=None if waiting else found.down.get(carrier_id),
    )


def _entries(message: MessageRow, found: Everything) -> list[Entry]:
    """All that happened to one message, in order of time; what happened at the same instant in the order of life."""
    row = found.submission
    carriers = found.carriers
    accepted = [f"by {row.dialect} for {row.login or row.account_id}"]
    accepted += [note for flag, note in NOTES.items() if row.flags & flag]
    entries = [Entry(row.created_at, "accepted", "; ".join(accepted))]
    if message.price_micros:
        entries.append(Entry(row.created_at, "charged", f"{json_number(message.price_micros)} EUR"))
    if row.scheduled_at is not None:
        entries.append(Entry(row.created_at, "scheduled", f"for {row.scheduled_at:%Y-%m-%d %H:%M:%S} UTC"))
    entries += [
        Entry(r.submitted_at, "submitted", f"to {carriers.get(r.carrier_id, '?')}, id {r.carrier_ref}", r.part)
        for r in found.references
        if r.message_id == message.id
    ]
    entries += _events(message, found)
    for r in found.receipts:
        if r.message_id == message.id:
            meaning = State(r.state).word if r.state is not None else "no end"
            said = " ".join(word for word in (r.word, f"err {r.error}" if r.error else "") if word)
            detail = f"{meaning}: {said or 'nothing'}, id {r.carrier_ref}, of {carriers.get(r.carrier_id, '?')}"
            entries.append(Entry(r.received_at, "receipt", detail, r.part or 0))
    ended_at = message.updated_at or (row.created_at if message.state in FINAL else None)  # skipped, or a sandbox one
    if ended_at is not None and message.state != State.HELD:  # of which the events say more
        why = _reason(message)
        reason = f": {why}" if why else ""
        entries.append(Entry(ended_at, "state", f"{State(message.state).word}{reason}"))
    entries += [
        Entry(r.at, "refunded", f"{json_number(r.amount_micros)} EUR")
        for r in found.refunds
        if r.message_id == message.id
    ]
    answers = {-r.id for r in found.replies if r.message_id == message.id}
    entries += [Entry(r.at, "reply", _said(r)) for r in found.replies if r.message_id == message.id]
    for a in found.attempts:
        answer = f"HTTP {a.status}" if a.status else "no answer"
        detail = f"{answer} in {a.took_ms} ms, {a.outcome}"
        if a.message_id == message.id:
            entries.append(Entry(a.at, "webhook", f"{State(a.state).word}: {detail}"))
        elif a.message_id in answers:
            entries.append(Entry(a.at, "reply_webhook", detail))
    entries.sort(key=lambda entry: entry.at)
    for w in found.waiting:
        after = f"after {w.attempts} attempts" if w.attempts else ""
        if w.message_id == message.id:
            words = ": ".join(word for word in (State(w.state).word, after) if word)
            entries.append(Entry(at_of(w.key), "webhook_due", words))
        elif w.message_id in answers:
            entries.append(Entry(at_of(w.key), "reply_webhook_due", after))
    return entries


def _events(message: MessageRow, found: Everything) -> list[Entry]:
    """The unusual, and the window's word. That a message was held from the first is no event of its own: what followed
    says it, or, while it waits, its place."""
    events = [e for e in found.events if e.message_id == message.id]
    entries = [Entry(e.at, e.what, _by(e, found) if e.what == "held" else e.detail) for e in events]
    if any(e.what == "held" for e in events):
        return entries
    accepted_at = found.submission.created_at
    first = next((e.detail for e in events if e.what in ("released", "window_changed")), "")
    if first:
        detail = first.partition("held: ")[2] or first.partition("held before: ")[2]
    else:
        is_held = message.state == State.HELD and message.attempts is not None
        until = f"{at_of(message.key):%Y-%m-%d %H:%M:%S} UTC"
        detail = f"{message.reason or 'window'}, until {until}" if is_held else ""
    if detail:
        entries.insert(0, Entry(accepted_at, "held", _by(EventRow(message.id, accepted_at, "held", detail), found)))
    return entries


def _by(event: EventRow, found: Everything) -> str:
    """Why a message was held, by which profile, until when."""
    why, comma, until = event.detail.partition(",")
    names = [row.name for row in found.windows if row.at <= event.at] or [row.name for row in found.windows[:1]]
    name = (names[-1] if names else "") or DEFAULT
    return f"{why} by {name}{comma}{until}"


def _said(reply: ReplyRow) -> str:
    """What a subscriber answered, and what followed from it."""
    words = f"{KINDS[reply.kind]}: {reply.text!r}"
    return words + (f", {reply.detail}" if reply.detail else "") + ("" if reply.target else ", nobody is told")
