"""Upkeep: what time alone makes necessary. Each task moves batches while its budget lasts, and says whether it filled
any lane."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from chappe.actions import inbound, prices, reschedule_held
from chappe.actions.budget import UNLIMITED, Budget
from chappe.actions.windows import Windows
from chappe.carriers import inference
from chappe.carriers.kind import LEARN, Ids, Learnt
from chappe.carriers.registry import kind_of, policy_of, silence_of
from chappe.core.carrier_config import Carrier
from chappe.core.lifecycle import State
from chappe.core.routing import Demo, Route, Router
from chappe.core.stop_replies import Words
from chappe.observability.logs import get_logger
from chappe.observability.metrics import metrics
from chappe.store import (
    carriers,
    conversations,
    demo,
    idempotency,
    optouts,
    outcomes,
    quarantine,
    queue,
    refunds,
    refusals,
    retention,
    waiting,
)
from chappe.store import upkeep_due as store_signs
from chappe.store.database import Database
from chappe.store.flags import Flag
from chappe.store.lanes import BULK_RECIPIENTS, CLASSES, LaneClass, lane
from chappe.store.messages import key_of
from chappe.store.outcomes import Requeue
from chappe.store.queue_head import Looks
from chappe.store.upkeep_due import Signs

log = get_logger("chappe.upkeep")

BATCH = 1000
FOLLOW_ROUNDS = 2  # of some 20 000 messages each: what is faster is caught up with later
PROMPT_S = 0.5  # what is due and what subscribers wrote wait for each other so long, and for housekeeping not at all
HOUSEKEEPING_S = 2.0
FAIL_OVER_AGAIN = timedelta(seconds=60)  # a queue that nobody else takes is looked through again, unless routes change
PUT_ASIDE = timedelta(hours=1)  # what cannot be placed is tried again then, and holds nobody up
FAILOVER_S = 30.0  # a carrier without a bind for so long loses its queue to the next one
SILENCE = timedelta(hours=54)  # validity of 48 h and a margin: who has not been heard of by then will not be
STRAY_TRIED = timedelta(minutes=15)  # for so long, answers that come late are looked for
STRAY_AGES = (timedelta(seconds=5), timedelta(seconds=60), STRAY_TRIED)
INFER_BATCH = 250  # each has some hundred forms
STRAY_KEPT = timedelta(days=7)
QUARANTINE_KEPT = timedelta(days=90)
REFUSALS_KEPT = timedelta(days=14)  # twice as long as a message is tried: its validity, and windows that stay closed
FORGOTTEN = 5_000  # rows of one statement that removes what nobody needs
RELEASED, SENT_AGAIN = "released", "sent_again"  # events
BEGINNING = (-1, -1)  # of a lane


@dataclass(frozen=True, slots=True)
class LookedThrough:
    """How far fail-over has come in a lane, by which routes; again_at: when from its beginning, once it came to the
    end."""

    by: object
    after: tuple[int, int]
    again_at: datetime | None = None


@dataclass(slots=True)
class Book:
    """What upkeep remembers from task to task: nothing that could not be found out again."""

    router: Router = field(default_factory=lambda: Router([]))
    carriers: dict[int, Carrier] = field(default_factory=dict)
    down: frozenset[int] = frozenset()
    learnt: dict[int, Learnt] = field(default_factory=dict)  # of ids, by carrier
    inferred: dict[tuple[int, timedelta], int] = field(default_factory=dict)  # up to which stray, by carrier and age
    retention_days: int = 400
    words: Words = inbound.NO_OTHER_WORDS
    windows: Windows | None = None  # None: nothing is held
    routes: object = None  # as they were read last
    demo: Demo | None = None  # as it was read last
    rerouted: bool = False  # since what has no route was looked at
    routed: frozenset[int] = frozenset()  # carriers that some route leads to
    looked_through: dict[int, LookedThrough] = field(default_factory=dict)  # by lane: queues of carriers that are down
    later_after: int = 0  # how far silence has come among the submissions that were noted
    profiles_followed: bool = False
    walk: reschedule_held.Walk | None = None  # through what is held, while one is under way
    looks: Looks = field(default_factory=Looks)  # at what is due in waiting lanes


def _always(_signs: Signs, _book: Book) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Task:
    """Runs at most every so often, and then only when there are signs that it has something to do.

    housekeeping: nobody waits for it, and it waits for nobody.
    """

    name: str
    every_s: float
    run: Callable[[Database, datetime, Book, Budget], Coroutine[Any, Any, bool]]
    wanted: Callable[[Signs, Book], bool] = _always
    housekeeping: bool = False

    @property
    def budget_s(self) -> float:
        """How long it may take before others have their turn."""
        return HOUSEKEEPING_S if self.housekeeping else PROMPT_S


async def signs(database: Database, now: datetime, book: Book) -> Signs:
    """What there is to do; which carriers are down is noted in the book."""
    found = await store_signs.look(database, now, _waiting_lanes(book), now - inbound.PARTS_WAIT, FAILOVER_S)
    book.down = frozenset(found.silent)
    return found


def _waiting_lanes(book: Book) -> list[int]:
    return [lane(carrier_id, LaneClass.WAITING) for carrier_id in (0, *book.carriers)]


async def look(database: Database, now: datetime, book: Book, budget: Budget = UNLIMITED) -> bool:
    """Reads routes and carriers, and which carriers are down."""
    routes = await carriers.all_routes(database)
    rule = await demo.rule(database)
    if book.demo is not None and book.demo.everyone and rule.carrier and not rule.everyone:
        log.warning("phones_take_demo_account_only", why="there is another carrier than the handset")
    book.carriers = {
        carrier.id: carrier
        for carrier in await carriers.all_carriers(database)
        if carrier.enabled and _is_understood(carrier)
    }
    routes = [route for route in routes if route.carrier_id in book.carriers]  # none to one that is not understood
    book.router = Router([Route(r.prefix, r.range, str(r.carrier_id), r.priority) for r in routes], rule)
    book.routed = frozenset(route.carrier_id for route in routes)
    book.down = frozenset(await queue.silent_carriers(database, FAILOVER_S))
    read = (routes, set(book.carriers), rule)
    book.rerouted = book.rerouted or book.routes != read  # also at the start: they may have changed before
    book.routes, book.demo = read, rule
    return False


def _is_understood(carrier: Carrier) -> bool:
    """Whether the settings mean anything here; one carrier of another version must not stop upkeep for the others."""
    try:
        kind_of(carrier).check(carrier)
    except ValueError as error:
        log.error("carrier_settings_unusable", carrier=carrier.name, error=str(error))
        return False
    return True


def _destination(row: queue.Due, book: Book) -> int | None:
    """The carrier that takes a message now: the first of its routes that is up, else the first; None without any."""
    if row.parts_done and (carrier_id := row.lane // CLASSES) in book.carriers:
        return carrier_id  # part of it is there already
    range_ = 2 if row.flags & Flag.LOWCOST else 1
    fitting = [int(carrier) for carrier in book.router.carriers(row.recipient, range_, row.account_id)]
    if row.refused:
        fitting = [carrier for carrier in fitting if carrier not in row.refused]
    return next((carrier for carrier in fitting if carrier not in book.down), fitting[0] if fitting else None)


def _ready(row: queue.Due) -> LaneClass:
    if row.flags & Flag.TRANSACTIONAL:
        return LaneClass.TRANSACTIONAL
    return LaneClass.BULK if row.recipients >= BULK_RECIPIENTS else LaneClass.COMMERCIAL


async def release(database: Database, now: datetime, book: Book, budget: Budget = UNLIMITED) -> bool:
    """Moves what is due from the waiting lanes to those of carriers; routes are asked anew."""
    moved = False
    if book.rerouted:
        book.rerouted = not await reschedule_held.wake_routeless(database, now, budget.more)
    while budget.more():
        async with database.transaction(hot=True) as tx:
            due = await queue.take_due(tx, now, _waiting_lanes(book), BATCH, book.looks)
            over = {row.message_id for row in due if row.refused and _destination(row, book) is None}
            if over:
                await outcomes.finish(tx, now, await refusals.ends(tx, sorted(over)))
            placed = [_placed(row, now, book) for row in due if row.message_id not in over]
            if placed:
                await outcomes.requeue(tx, now, placed)
            doubtful = [row.message_id for row in placed if row.what == SENT_AGAIN]
            if doubtful:
                await queue.clear_doubt(tx, doubtful)
            await conversations.release(tx, [row.message_id for row in placed if row.what == RELEASED])
        moved = moved or any(row.lane % CLASSES != LaneClass.WAITING for row in placed)
        if len(due) < BATCH:
            break
    return moved


def _placed(row: queue.Due, now: datetime, book: Book) -> Requeue:
    """Where a message goes that is due. One of which we cannot tell is put aside for a while."""
    try:
        return _place(row, now, book)
    except Exception as error:
        log.error("message_put_aside", message_id=row.message_id, exc_info=error)
        metrics().count("chappe_failures_total", task="release")
        later = key_of(now + PUT_ASIDE)
        detail = f"it could not be placed: {type(error).__name__}"
        return Requeue(row.message_id, row.lane, later, row.attempts, row.parts_done, row.state, "put_aside", detail)


def _place(row: queue.Due, now: datetime, book: Book) -> Requeue:
    carrier_id = _destination(row, book)
    if carrier_id is None:  # still nobody: asked again when routes change, or a good while later
        again = key_of(now + reschedule_held.ROUTE_AGAIN)
        return Requeue(row.message_id, lane(0, LaneClass.WAITING), again, row.attempts, 0, row.state)
    done = row.parts_done if carrier_id == row.lane // CLASSES else 0
    what = (
        RELEASED if row.state in (State.SCHEDULED, State.HELD) else SENT_AGAIN if row.state == State.UNCERTAIN else ""
    )
    detail = (
        f"held: {row.reason or 'window'}, until {reschedule_held.at_key(row.key)}" if row.state == State.HELD else ""
    )
    if row.refused and carrier_id not in row.refused and row.lane // CLASSES != carrier_id and not what:
        what, detail = "rerouted", f"to {book.carriers[carrier_id].name}"
    ready = lane(carrier_id, _ready(row))
    return Requeue(row.message_id, ready, row.key, row.attempts, done, State.QUEUED, what, detail)


async def fail_over(database: Database, now: datetime, book: Book, budget: Budget = UNLIMITED) -> bool:
    """Gives the queue of carriers that are down, disabled or gone to the next carrier of the same destinations.

    A message that nobody else takes is not touched: the queue of a carrier that is down may be long, and mostly there
    is no other.
    """
    lanes = await queue.lanes(database)
    if all(carrier_id == 0 or _is_up(carrier_id, book) for carrier_id in {lane_ // CLASSES for lane_ in lanes}):
        book.looked_through.clear()
        return False
    await look(database, now, book)  # after the lanes: a carrier that was added meanwhile is not taken for a lost one
    moved = False
    for lane_ in lanes:
        carrier_id, lane_class = divmod(lane_, CLASSES)
        gone = carrier_id not in book.carriers
        if carrier_id == 0 or (carrier_id not in book.down and not gone):
            book.looked_through.pop(lane_, None)
            continue
        if lane_class == LaneClass.WAITING and not gone:
            continue  # release() asks the routes when its time has come
        if not gone and not book.routed - book.down - {carrier_id}:
            continue  # nobody else
        moved = await _fail_over(database, now, book, lane_, budget) or moved
        if budget.spent:
            break
    return moved


async def _fail_over(database: Database, now: datetime, book: Book, lane_: int, budget: Budget) -> bool:
    """Goes on through one lane, as far as the budget lasts; whether anything moved."""
    carrier_id = lane_ // CLASSES
    gone = carrier_id not in book.carriers
    by = (book.routes, book.down)
    before = book.looked_through.get(lane_)
    if before is None or before.by != by or (before.again_at is not None and before.again_at <= now):
        before = LookedThrough(by, BEGINNING)
    if before.again_at is not None:
        return False
    elsewhere = 0
    after, ended = before.after, False
    while not ended and budget.more():
        rows = await queue.ready(database, lane_, after, BATCH)
        leaving = {row.message_id: to for row in rows if (to := _elsewhere(row, book, gone=gone)) is not None}
        if leaving:
            async with database.transaction(hot=True) as tx:
                taken = await queue.take(tx, [row for row in rows if row.message_id in leaving])
                await outcomes.requeue(tx, now, [leaving[row.message_id] for row in taken])
            elsewhere += len(taken)
        ended = len(rows) < BATCH
        after = (rows[-1].key, rows[-1].message_id) if rows else after
    again_at = now + FAIL_OVER_AGAIN if ended and not elsewhere else None
    book.looked_through[lane_] = LookedThrough(by, BEGINNING if ended else after, again_at)
    if elsewhere:
        name = book.carriers[carrier_id].name if not gone else f"number {carrier_id}"
        log.warning("carrier_failed_over", carrier=name, moved=elsewhere)
    return elsewhere > 0


def _is_up(carrier_id: int, book: Book) -> bool:
    return carrier_id in book.carriers and carrier_id not in book.down


def _elsewhere(row: queue.Due, book: Book, *, gone: bool) -> Requeue | None:
    """Where a message goes whose carrier does not send; None when it stays, since nobody else takes it."""
    carrier_id, lane_class = divmod(row.lane, CLASSES)
    other = _destination(row, book)
    if other is None:  # nobody takes it: asked again now and then, like what was accepted without a route
        nowhere = lane(0, LaneClass.WAITING)
        return Requeue(row.message_id, nowhere, row.key, row.attempts, row.parts_done, row.state) if gone else None
    if other == carrier_id or (other in book.down and not gone):
        return None
    came = book.carriers[carrier_id].name if not gone else "a carrier that is gone"
    ready = lane(other, LaneClass.WAITING if lane_class == LaneClass.WAITING else _ready(row))
    state = row.state if lane_class == LaneClass.WAITING else int(State.QUEUED)
    detail = f"from {came} to {book.carriers[other].name}"
    return Requeue(row.message_id, ready, row.key, row.attempts, 0, state, "rerouted", detail)


async def match(database: Database, now: datetime, book: Book, budget: Budget = UNLIMITED) -> bool:
    """Brings stray receipts and parts together that passed each other in the same instant on two binds."""
    for carrier_id, refs in (await queue.matchable(database, now - STRAY_TRIED, BATCH)).items():
        carrier = book.carriers.get(carrier_id)
        async with database.transaction() as tx:
            await queue.match(tx, now, carrier_id, policy_of(carrier).receipts if carrier else 0, refs)
    return False


async def infer(database: Database, now: datetime, book: Book, budget: Budget = UNLIMITED) -> bool:
    """Tries other readings of stray ids, and at last the only message in doubt to that number; what is learnt of a
    carrier's ids by that is stored with it. A stray is looked at when it is so old as STRAY_AGES says, and no more."""
    for carrier in book.carriers.values():
        for age in STRAY_AGES:
            while budget.more():
                after = book.inferred.get((carrier.id, age), 0)
                found = await queue.strays(
                    database, carrier.id, now - age, now - STRAY_KEPT, after=after, limit=INFER_BATCH
                )
                if found:
                    await _infer(database, now, book, carrier, found)
                    book.inferred[carrier.id, age] = found[-1].receipt_id
                if len(found) < INFER_BATCH:
                    break
    return False


async def _infer(
    database: Database, now: datetime, book: Book, carrier: Carrier, strays: Sequence[queue.Stray]
) -> None:
    """One batch, in one transaction."""
    policy = policy_of(carrier).receipts
    named = kind_of(carrier).ids(carrier)
    written = [named.read(stray.raw) for stray in strays]
    ids = [{stray.carrier_ref, *one.ids} for stray, one in zip(strays, written, strict=True)]
    asked = [(place, form) for place, some in enumerate(ids) if named.learns for form in named.forms(some)]
    adopted: list[queue.Adopted] = []
    async with database.transaction() as tx:
        fitting: dict[int, dict[int, queue.Candidate]] = {}
        for one in await queue.candidates(tx, carrier.id, [place for place, _ in asked], [form for _, form in asked]):
            addresses = (strays[one.place].source, *written[one.place].addresses)
            if inference.fits(one.recipient, addresses):
                fitting.setdefault(one.place, {}).setdefault(one.message_id, one)
        rest = [stray for place, stray in enumerate(strays) if place not in fitting and stray.source]
        doubtful = await queue.doubtful_of(tx, carrier.id, [stray.source for stray in rest]) if rest else {}
        for place, several in fitting.items():
            if len(several) == 1:
                (one,) = several.values()
                adopted.append(queue.Adopted(strays[place], one.message_id, one.part, f"id read as {one.carrier_ref}"))
        for stray in rest:
            in_doubt = doubtful.get(stray.source[-8:], [])
            if len(in_doubt) == 1 and (part := in_doubt[0].missing) is not None:
                (doubted,) = in_doubt
                detail = "the only message in doubt to this number"
                adopted.append(queue.Adopted(stray, doubted.message_id, part, detail, doubted.parts))
        if adopted:
            await queue.adopt(tx, now, carrier.id, policy, adopted)
    pairs = [
        (next(iter(several.values())).carrier_ref, id)
        for place, several in fitting.items()
        if len(several) == 1
        for id in written[place].ids[:1] or (strays[place].carrier_ref,)
    ]
    await _learn(database, book, carrier, named, pairs)


async def _learn(database: Database, book: Book, carrier: Carrier, ids: Ids, pairs: Sequence[tuple[str, str]]) -> None:
    """What pairs of an answered id and a receipt's say of how the carrier writes them; a rule is stored, and told."""
    before = book.learnt.get(carrier.id)
    after = ids.learn(before, pairs)
    book.learnt[carrier.id] = after
    if after.broken:
        log.error("carrier_id_formats_changed", carrier=carrier.name)
    if after.rule != (before.rule if before is not None else _stored_rule(carrier)):
        await carriers.learn(database, carrier.id, *after.rule)
        log.warning(
            "carrier_id_formats_learnt",
            carrier=carrier.name,
            response_id_format=after.rule[0],
            receipt_id_format=after.rule[1],
        )


def _stored_rule(carrier: Carrier) -> tuple[str, str]:
    """What is known of the carrier's ids; half a rule is none."""
    return (LEARN, LEARN) if LEARN in carrier.learnt else carrier.learnt


async def silence(database: Database, now: datetime, book: Book, budget: Budget = UNLIMITED) -> bool:
    """Ends messages of which nothing was heard for as long as their carrier's validity and margin are."""
    waits = {0: SILENCE, **{carrier.id: silence_of(carrier) for carrier in book.carriers.values()}}
    least = min(waits.values())
    longer = {carrier_id: wait for carrier_id, wait in waits.items() if wait > least}
    while budget.more():
        if not (await queue.silence(database, now, least, BATCH, longer)).more:
            break
    while budget.more():
        book.later_after = await queue.silence_later(database, now, least, book.later_after, BATCH, longer)
        if not book.later_after:
            break
    while budget.more() and await queue.forget_strays(database, now - STRAY_KEPT, FORGOTTEN):
        continue
    return False


async def sort_replies(database: Database, now: datetime, book: Book, budget: Budget = UNLIMITED) -> bool:
    """Gives what subscribers wrote to those whom it answers."""
    return await inbound.sort(database, now, book.carriers, book.words, book.router)


async def follow(database: Database, now: datetime, book: Book, budget: Budget = UNLIMITED) -> bool:
    """Remembers who wrote to whom, and sums up costs; a bounded number of messages at a time."""
    for _ in range(FOLLOW_ROUNDS):
        if not budget.more() or not await conversations.follow(database, now):
            break
    return False


async def place_held(database: Database, now: datetime, book: Book, budget: Budget = UNLIMITED) -> bool:
    """Places anew what accounts hold whose sending window has changed."""
    if book.windows is None:
        return False
    if not book.profiles_followed:
        await reschedule_held.follow_profiles(database, book.windows.profiles)
        book.profiles_followed = True
    book.walk = book.walk or await reschedule_held.begin(database, now, book.windows)
    if book.walk is None:
        return False
    moved = await reschedule_held.step(database, now, book.windows, book.walk, budget.more)
    if book.walk.over:
        book.walk = None
    return moved


async def count(database: Database, now: datetime, book: Book, budget: Budget = UNLIMITED) -> bool:
    """Adds up how much waits."""
    await waiting.fold(database)
    await waiting.count_ready(database)
    return False


async def give_back(database: Database, now: datetime, book: Book, budget: Budget = UNLIMITED) -> bool:
    """Gives money back that had to wait since somebody held a lock on the account's balance."""
    locked = await refunds.give_back_later(database, now)
    if locked:
        log.warning("refunds_wait_for_locked_accounts", accounts=locked)
    return False


async def forget(database: Database, now: datetime, book: Book, budget: Budget = UNLIMITED) -> bool:
    """Lets sandbox messages vanish after a day, and texts and numbers after the time that the operator set."""
    await retention.forget(database, now, book.retention_days, budget.more)
    return False


async def clear(database: Database, now: datetime, book: Book, budget: Budget = UNLIMITED) -> bool:
    """Removes what keeps others from doing something once more, and has ceased to: nobody asks for it any longer."""
    while budget.more() and await idempotency.forget(database, now, FORGOTTEN):
        continue
    while budget.more() and await optouts.forget_confirmations(database, now.date(), FORGOTTEN):
        continue
    while budget.more() and await refusals.forget(database, now - REFUSALS_KEPT, FORGOTTEN):
        continue
    while budget.more() and await quarantine.forget(database, now - QUARANTINE_KEPT, FORGOTTEN):
        continue
    return False


TASKS = (
    Task("look", 10.0, look),  # besides when the configuration has changed
    Task("place_held", 0.5, place_held, lambda signs, _: signs.window_changed),
    Task("release", 0.5, release, lambda signs, book: signs.due or book.rerouted),
    Task("match", 2.0, match, lambda signs, _: signs.stray),
    Task("infer", 5.0, infer, lambda signs, _: signs.stray, housekeeping=True),
    Task("fail_over", 10.0, fail_over),
    Task("silence", 300.0, silence, housekeeping=True),
    Task("replies", 0.5, sort_replies, lambda signs, _: signs.written),
    Task("follow", 2.0, follow, lambda signs, _: signs.unfollowed, housekeeping=True),
    Task("count", 5.0, count, lambda signs, _: signs.counted, housekeeping=True),
    Task("refunds", 1.0, give_back, lambda signs, _: signs.refund, housekeeping=True),
    Task("prices", 10.0, prices.apply_due, housekeeping=True),
    Task("forget", 10.0, forget, housekeeping=True),
    Task("clear", 60.0, clear, housekeeping=True),
)
BY_CONFIGURATION = ("look", "place_held", "release")
"""The tasks that look at what operators change: they are due at once when something was."""
