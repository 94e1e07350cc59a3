"""Receive: what subscribers wrote becomes replies of accounts, and opt-outs.

A pump stores each part before it is acknowledged; here they are put together, read as their carrier's kind reads them,
and given to whom they answer. STOP is obeyed in the same transaction as its reply is stored, and for every account that
wrote to the number lately when it cannot be told which of them is meant.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from chappe.actions import stop_confirmation
from chappe.actions.virtual_numbers import DIGITS_MAX, e164
from chappe.carriers.kind import Fragment, ReplyReader
from chappe.carriers.registry import reader_of
from chappe.core.carrier_config import Carrier
from chappe.core.model import Account
from chappe.core.routing import Router
from chappe.core.stop_replies import NEAR_MISS, Words
from chappe.dialects.registry import BY_NAME, DIALECTS
from chappe.observability.logs import get_logger
from chappe.observability.metrics import metrics
from chappe.store import accounts, conversations, inbound, optouts, replies, virtual_numbers
from chappe.store.conversations import Talk
from chappe.store.database import CONNECTION_ERRORS, RETRY_ERRORS, Connection, Database
from chappe.store.inbound import Arrived
from chappe.store.replies import NewReply

log = get_logger("chappe.receive")

BATCH: Final = 25  # of numbers looked for at once in the newest messages
ROUNDS_MAX: Final = 8
PUT_ASIDE_MAX: Final = 1_000
PARTS_WAIT: Final = timedelta(seconds=1800)  # Kannel's default: then what there is must do
REPEATED_WITHIN: Final = timedelta(hours=1)
"""How long a carrier may take to send again what it believes not to have been received."""
TIMER: Final = timedelta(seconds=5)
"""No carrier waits less long for an answer; two equal messages that come closer were two."""
CROSSED: Final = timedelta(seconds=60)
"""After an answer that came late: for so long the carrier may have decided to send again before it saw it."""
PHONE_REPEATS: Final = timedelta(minutes=5)
"""How long a phone may take to send a part again whose acknowledgement it missed (3GPP TS 24.011, 5.3.1: a few tries
of some 40 s); equal parts with equal references that come later were written again."""
NOTED: Final = timedelta(seconds=2)
"""After this long it is known whether an answer was written, unless the process that would have noted it has died."""
NO_OTHER_WORDS: Final = Words()
NO_ROUTES: Final = Router([])
LATELY: Final = timedelta(days=30)
"""How long after a message a reply may answer it, when others wrote later or STOP could mean several."""


@dataclass(frozen=True, slots=True)
class Part:
    """One stored row that could be read, and what it says."""

    row: Arrived
    fragment: Fragment
    reader: ReplyReader


@dataclass(frozen=True, slots=True)
class Whole:
    """One message of a subscriber. number and to: E.164 where they have that form, else as written."""

    carrier_id: int
    at: datetime
    number: str
    to: str
    text: str
    parts: tuple[str, ...]
    reference: int
    oddities: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Round:
    """What one transaction's messages are judged by.

    talks: of their numbers, the last message of each account; words: the installation's; confirmations: what was said
    of those of STOP; readers: by carrier, of those seen so far; unclear: carriers' numbers of which something is not
    looked at before the next time, and so nothing that follows it.
    """

    now: datetime
    carriers: Mapping[int, Carrier]
    talks: Mapping[str, Sequence[Talk]]
    words: Words
    router: Router
    confirmations: list[str]
    readers: dict[int, ReplyReader]
    unclear: set[tuple[int, str]]


class Answering(NamedTuple):
    """One account that a message is for: its conversation, if there is one, and what the message means to it."""

    account: Account
    talk: Talk | None
    kind: str
    near: bool = False


async def sort(
    database: Database,
    now: datetime,
    carriers: Mapping[int, Carrier],
    words: Words = NO_OTHER_WORDS,
    router: Router = NO_ROUTES,
) -> bool:
    """Sorts what is new, and what has waited too long for its other parts; a bounded number, since others wait.

    words: what means STOP and START beside the usual words. router: of confirmations. True when one may leave.
    """
    confirmations: list[str] = []
    unclear: set[tuple[int, str]] = set()
    position = 0
    readers: dict[int, ReplyReader] = {}
    for _ in range(ROUNDS_MAX):
        if not await inbound.anything(database, now - PARTS_WAIT):
            break
        async with database.transaction(hot=True) as tx:
            await inbound.lock(tx)
            new = await inbound.new(tx, position, BATCH)
            late = await inbound.late(tx, now - PARTS_WAIT, BATCH)
            numbers = {_source(row) for row in (*new, *late)}
            talks = await conversations.of_numbers(tx, [number for number in numbers if _is_number(number)])
            round_ = Round(now, carriers, talks, words, router, confirmations, readers, unclear)
            for row in new:
                position = row.id
                await _guarded(tx, row, round_, late=False)
            for row in late:
                if await inbound.waits(tx, row.id):  # it has not gone with another part of this same round
                    await _guarded(tx, row, round_, late=True)
    return any(said.startswith(stop_confirmation.CONFIRMED) for said in confirmations)


def _source(row: Arrived) -> str:
    """The number that a message came from; empty where it cannot be read, which is told when it is sorted."""
    try:
        return e164(row.source)
    except Exception as error:
        log.error("inbound_source_unreadable", inbound_id=row.id, exc_info=error)
        return ""


async def _guarded(tx: Connection, row: Arrived, round_: Round, *, late: bool) -> None:
    """One row; one that cannot be sorted is put aside, told and counted, so that it does not hold up the others."""
    try:
        async with tx.transaction():
            await _sort(tx, row, round_, late=late)
    except (*CONNECTION_ERRORS, *RETRY_ERRORS):
        raise
    except Exception as error:
        log.error("inbound_put_aside", inbound_id=row.id, exc_info=error)
        metrics().count("chappe_failures_total", task="replies")
        await inbound.mark(tx, [row.id], inbound.PUT_ASIDE, f"could not be sorted: {type(error).__name__}")


async def try_again(database: Database) -> None:
    """What was put aside counts as new once more, a bounded number: another version may know what to do with it."""
    await inbound.renew(database, PUT_ASIDE_MAX)


async def _sort(tx: Connection, row: Arrived, round_: Round, *, late: bool) -> None:
    reader = _reader(row, round_)
    fragment = reader.read(row.raw)
    if fragment is None:
        await inbound.mark(tx, [row.id], inbound.NOBODYS, "no message that could be read")
        return
    if row.key is None:
        row = await inbound.note_key(tx, row, *reader.stored(row.raw))
    part = Part(row, fragment, reader)
    if not late:
        if (row.carrier_id, row.source) in round_.unclear:
            if fragment.part == 1:
                await _stop_early(tx, part, round_)
            return
        earlier = await inbound.equal_before(tx, row, row.received_at - REPEATED_WITHIN)
        again = earlier is not None and is_repeated(earlier, row, round_.now, long=fragment.parts > 1)
        if again is None:
            round_.unclear.add((row.carrier_id, row.source))
            return
        if again and earlier is not None:
            log.warning("inbound_repeated", inbound_id=row.id, earlier_id=earlier.id)
            await inbound.mark(tx, [row.id], inbound.REPEATED, f"possible_duplicate of {earlier.id}")
            return
    together = [part]
    if fragment.parts > 1:
        waiting = [other for other in await inbound.siblings(tx, row) if other.id != row.id]
        read = [(other, reader.read(other.raw)) for other in waiting]
        together = _of_one_message(part, [Part(other, found, reader) for other, found in read if found is not None])
        if not late and len({one.fragment.part for one in together}) < fragment.parts:
            await inbound.mark(tx, [row.id], inbound.WAITING)
            if fragment.part == 1:
                await _stop_early(tx, part, round_)
            return
    ids = [one.row.id for one in together]
    whole = _whole(together)
    if whole is None:
        await inbound.mark(tx, ids, inbound.NOBODYS, "no text")
        return
    reply_ids = await _deliver(tx, whole, round_)
    if reply_ids:
        await inbound.mark(tx, ids, inbound.SORTED, reply_id=reply_ids[0])
    else:
        await inbound.mark(tx, ids, inbound.NOBODYS, "nobody has written to this number")


def _of_one_message(part: Part, others: Iterable[Part]) -> list[Part]:
    """The parts that belong to `part`, in order of arrival. Pure.

    A phone that always uses one reference, and whose message lost a part, would otherwise have two messages mixed: of
    parts with the same place and other words the one that came nearest in time counts; the others stay.
    """
    chosen = {part.fragment.part: part}
    kept = [part]
    for other in sorted(others, key=lambda one: (abs(one.row.id - part.row.id), one.row.id)):
        there = chosen.setdefault(other.fragment.part, other)
        if there.fragment.body == other.fragment.body:  # the chosen one, or a copy of it
            kept.append(other)
    return sorted(kept, key=lambda one: one.row.id)


def is_repeated(earlier: inbound.Earlier, row: Arrived, now: datetime, *, long: bool) -> bool | None:
    """Whether a message that equals an earlier one is the same, sent again, and not another of the same words; None
    while it is too early to tell. Pure.

    A message of a subscriber has no id, and people do write the same twice. Parts of a long message have a reference,
    which most phones change with each message: equal ones that follow soon are the same. Some phones always use one
    reference, so later ones are judged like short messages. Of those only what happened to our answer to the earlier
    one tells: a carrier sends again what it has no answer to, after its timer or on its next connection.
    """
    if long and row.received_at - earlier.received_at < PHONE_REPEATS:
        return True
    answered_at = earlier.answered_at
    if answered_at is None:  # never written, as far as we know: its connection, or our process, was gone
        return True if now - earlier.received_at > NOTED else None
    if row.received_at - earlier.received_at < TIMER:
        return False
    if answered_at - earlier.received_at > TIMER:  # a late answer
        return row.received_at < answered_at + CROSSED
    return row.received_at <= answered_at


async def _stop_early(tx: Connection, first: Part, round_: Round) -> None:
    """The first part of a message whose rest is late, or that must wait for an earlier one: a STOP in it is obeyed at
    once; the reply follows."""
    whole = _whole([first])
    if whole is not None:
        await _obey(tx, whole, [one for one in await _answering(tx, whole, round_) if one.kind == "stop"], round_)


# -- reading


def _reader(row: Arrived, round_: Round) -> ReplyReader:
    """Who reads what this carrier brings."""
    found = round_.readers.get(row.carrier_id)
    if found is None:
        found = round_.readers[row.carrier_id] = reader_of(round_.carriers.get(row.carrier_id))
    return found


def _whole(together: Sequence[Part]) -> Whole | None:
    """The message of these parts, with marks where some are missing; None when it is no text."""
    first = together[0]
    row = first.row
    found = first.reader.compose([part.fragment for part in together])
    if found is None:
        return None
    return Whole(
        carrier_id=row.carrier_id,
        at=row.received_at,
        number=e164(row.source),
        to=e164(row.destination),
        text=_storable(found.text),
        parts=tuple(_storable(text) for text in found.parts),
        reference=first.fragment.reference,
        oddities=found.oddities,
    )


def _storable(text: str) -> str:
    return text.replace("\x00", "")  # the one character that the database does not take


# -- whose


def _meant(whole: Whole, round_: Round) -> list[Talk]:
    """The conversations that the message may answer, the newest first: those of lately, of senders that can be written
    to at this address; when there is none, the last one of all."""
    talks = round_.talks.get(whole.number, ())
    lately = [talk for talk in talks if talk.at > round_.now - LATELY] or list(talks[:1])
    exact = [talk for talk in lately if e164(talk.sender) == whole.to or not _is_digits(talk.sender)]
    return exact or lately


async def _answering(tx: Connection, whole: Whole, round_: Round) -> list[Answering]:
    """Whom the message is for. What it means decides each account's own words: to some it may be a STOP."""
    owner = await virtual_numbers.owner(tx, whole.to)
    meant = _meant(whole, round_)
    talks: dict[int, Talk | None] = {talk.account_id: talk for talk in meant}
    if owner is not None:
        talks = {owner: talks.get(owner)}
    known = await accounts.by_ids(tx, talks)
    every = [
        Answering(known[account_id], talk, *_words(known[account_id], round_).read(whole.text))
        for account_id, talk in talks.items()
        if account_id in known
    ]
    if owner is not None:
        return every
    nearest = [talk for talk in meant if e164(talk.sender) == whole.to][:1] or meant[:1]
    return [one for one in every if one.kind != "response" or one.talk in nearest]


def _words(account: Account, round_: Round) -> Words:
    settings = account.settings
    return round_.words.with_(settings.stop_words, settings.start_words, sentences=settings.stop_sentences)


async def _deliver(tx: Connection, whole: Whole, round_: Round) -> list[int]:
    """Stores the message for whom it is, and obeys it; gives the replies' ids, none when it is nobody's."""
    every = await _answering(tx, whole, round_)
    said = await _obey(tx, whole, every, round_)
    shared = f"{len(every)} accounts wrote to this number lately" if len(every) > 1 else ""
    coding = [_words_of(oddity) for oddity in whole.oddities]
    reply_ids = []
    for one in every:
        details = [NEAR_MISS if one.near else "", shared, said.get(one.account.id, ""), *coding]
        reply_ids.append(await _store(tx, whole, one, round_.now, ", ".join(filter(None, details))))
    return reply_ids


def _words_of(oddity: str) -> str:
    """How the timeline says what was unusual in the octets: `windows-1252_as_gsm7` and the like."""
    charset, as_, announced = oddity.partition("_as_")
    return f"read as {charset}, which was announced as {announced}" if as_ else oddity.replace("_", " ")


async def _obey(tx: Connection, whole: Whole, every: Sequence[Answering], round_: Round) -> dict[int, str]:
    """STOP puts the number on the lists of those to whom it is one, and ends what waits for it; START takes it off.

    Gives what is to be said of confirmations, by account.
    """
    if not _is_number(whole.number):
        return {}
    for one in every:
        if one.kind == "start":
            await optouts.remove(tx, one.account.id, whole.number, round_.now, "reply")
    stopping = [one for one in every if one.kind == "stop"]
    if not stopping:
        return {}
    detail = "by a reply"
    if len(stopping) > 1:
        detail += f"; {len(stopping)} accounts wrote to this number lately, and each is meant"
    new = []
    for one in stopping:
        _, known = await optouts.add(tx, one.account.id, whole.number, round_.now, "reply", "stop", detail)
        if not known:
            new.append(one)
    account_ids = [one.account.id for one in stopping]
    await optouts.sweep(tx, account_ids, whole.number, round_.now, f"the subscriber opted out {detail}")
    said = {}
    for one in new:  # after what ends: a confirmation is not for the sweep
        dialect = await _dialect(tx, one)
        sender = one.talk.sender if one.talk is not None and e164(one.talk.sender) == whole.to else whole.to
        word = await stop_confirmation.confirm(
            tx, one.account, whole.number, sender, dialect, round_.now, round_.router
        )
        if word:
            said[one.account.id] = word
            round_.confirmations.append(word)
    return said


async def _dialect(tx: Connection, one: Answering) -> str:
    """In whose words an account is told: those of what is answered, else those that it spoke last. A message from the
    operator's terminal has none of its own."""
    if one.talk is not None and one.talk.dialect in BY_NAME:
        return one.talk.dialect
    return await replies.dialect_of(tx, one.account.id, BY_NAME) or DIALECTS[0].NAME


async def _store(tx: Connection, whole: Whole, one: Answering, now: datetime, detail: str) -> int:
    talk = one.talk
    return await replies.add(
        tx,
        NewReply(
            account_id=one.account.id,
            carrier_id=whole.carrier_id,
            at=whole.at,
            kind=one.kind,
            number=whole.number,
            destination=whole.to,
            text=whole.text,
            parts=whole.parts,
            reference=whole.reference,
            long_number=await virtual_numbers.owner(tx, whole.to) is not None,
            message_id=None if talk is None else talk.message_id,
            dialect=await _dialect(tx, one),
            target=(talk.reply_url if talk is not None else "") or one.account.settings.replies_url,
            detail=detail,
        ),
        now,
    )


def _is_number(text: str) -> bool:
    return text.startswith("+") and len(text) <= DIGITS_MAX + 1 and _is_digits(text)


def _is_digits(text: str) -> bool:
    digits = text.removeprefix("+")
    return digits.isascii() and digits.isdecimal()
