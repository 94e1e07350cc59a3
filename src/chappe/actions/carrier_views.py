"""What the operator sees of the carriers: binds, queues by class, doubts, and what calls for attention."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import msgspec

from chappe.carriers.registry import KINDS, kind_of
from chappe.core.carrier_config import Carrier, CarrierRoute
from chappe.store import binds, carriers, demo, operator, quarantine
from chappe.store.binds import BindView
from chappe.store.database import Database
from chappe.store.lanes import LaneClass
from chappe.store.operator import LaneLength, Oddity

OLD = timedelta(minutes=5)  # a ready message that waits longer than this calls for attention


class Bind(msgspec.Struct, frozen=True):
    """One bind. state: down, connecting, bound, refused, paused; alive: a process drives it; since: of this state."""

    slot: int
    state: str
    detail: str
    since: datetime
    alive: bool
    owner: str
    in_flight: int
    figures: dict[str, float]


class UnknownWord(msgspec.Struct, frozen=True):
    """A word of receipts that is in no table. resembles: a word that is, empty where none is near."""

    word: str
    receipts: int
    resembles: str


class CarrierView(msgspec.Struct, frozen=True):
    """One carrier. learnt: how it writes message ids, as found out by Chappe; empty while the ids need no rule.
    oddities: how many of the latest receipts were unusual, by what it was; unknown_words: the words that end nothing;
    queue: messages by lane class; window: parts of one bind; alarms: sentences for the operator."""

    name: str
    kind: str
    address: str
    enabled: bool
    host: str
    port: int
    system_id: str
    profile: str
    settings: dict[str, str]
    window: int
    rate: float
    binds: list[Bind]
    queue: dict[str, int]
    oldest_at: datetime | None
    in_doubt: int
    receipts_unmatched: int
    learnt: dict[str, str]
    oddities: dict[str, int]
    unknown_words: list[UnknownWord]
    routes: int
    alarms: list[str]
    notes: list[str]
    """What is as it may be meant, and should be known all the same."""


class Unrouted(msgspec.Struct, frozen=True):
    """Messages that no carrier takes."""

    waiting: int


async def read(database: Database) -> tuple[list[CarrierView], Unrouted]:
    """All carriers as they are now, and what waits for none of them."""
    lengths = await operator.lane_lengths(database)
    doubts = await operator.counts_of_doubt(database)
    strays = await operator.counts_of_strays(database)
    refused = await quarantine.counts(database)
    odd = await operator.oddities(database)
    routes = await carriers.all_routes(database)
    bind_views = await binds.views(database)
    found_demo = await demo.read(database)
    now = datetime.now(UTC)
    views = [
        view(
            carrier,
            [b for b in bind_views if b.carrier_id == carrier.id],
            [length for length in lengths if length.carrier_id == carrier.id],
            [route for route in routes if route.carrier_id == carrier.id],
            doubts.get(carrier.id, 0),
            strays.get(carrier.id, 0),
            now,
            found_demo if found_demo is not None and found_demo.carrier_id == carrier.id else None,
            quarantined=refused.get(carrier.id, 0),
            odd=[one for one in odd if one.carrier_id == carrier.id],
        )
        for carrier in await carriers.all_carriers(database)
    ]
    return views, Unrouted(sum(length.waiting for length in lengths if length.carrier_id == 0))


def view(
    carrier: Carrier,
    bind_views: list[BindView],
    lengths: list[LaneLength],
    routes: list[CarrierRoute],
    in_doubt: int,
    receipts_unmatched: int,
    now: datetime,
    of_demo: demo.Stored | None = None,
    quarantined: int = 0,
    odd: Sequence[Oddity] = (),
) -> CarrierView:
    """One carrier and its alarms; pure. of_demo: the demo, for its carrier."""
    ready = [length.first_at for length in lengths if length.lane_class != LaneClass.WAITING]
    oldest_at = min(ready, default=None)
    settings = carrier.settings
    kind = KINDS.get(carrier.kind)
    return CarrierView(
        name=carrier.name,
        kind=carrier.kind,
        address=address(carrier),
        enabled=carrier.enabled,
        host=settings.host,
        port=settings.port,
        system_id=settings.system_id,
        profile=settings.profile or "generic",
        settings=shown_options(carrier),
        window=settings.window,
        rate=settings.rate,
        binds=[
            Bind(
                b.slot,
                b.state if b.alive else "down",
                b.detail if b.alive else "no process drives it",
                b.state_at,
                b.alive,
                b.owner,
                b.in_flight,
                b.figures,
            )
            for b in bind_views
        ],
        queue={LaneClass(length.lane_class).name.lower(): length.waiting for length in lengths},
        oldest_at=oldest_at,
        in_doubt=in_doubt,
        receipts_unmatched=receipts_unmatched,
        learnt=kind.learnt(carrier) if kind is not None else {},
        oddities=_oddities(odd),
        unknown_words=[
            UnknownWord(one.word, one.receipts, "" if kind is None else kind.resembling(one.word))
            for one in odd
            if one.word
        ],
        routes=len(routes),
        alarms=_alarms(bind_views, oldest_at, bool(routes), in_doubt, now, quarantined) if carrier.enabled else [],
        notes=_notes(of_demo, carrier),
    )


def _oddities(odd: Sequence[Oddity]) -> dict[str, int]:
    found: dict[str, int] = {}
    for one in odd:
        found[one.oddity] = found.get(one.oddity, 0) + one.receipts
    return found


def _notes(of_demo: demo.Stored | None, carrier: Carrier) -> list[str]:
    clear = clear_text_note(carrier)
    return [*([] if of_demo is None else [demo_words(of_demo)]), *([clear] if clear else []), *_lacks(carrier)]


def _lacks(carrier: Carrier) -> list[str]:
    """What the carrier cannot do, as it is set up, and what follows."""
    try:
        able = kind_of(carrier).capabilities(carrier)
    except ValueError:  # its settings mean nothing any more, and another alarm says so
        return []
    found = []
    if not able.receipts:
        found.append("sends no receipts: what it takes ends as no_receipt")
    if not able.replies:
        found.append("brings no replies: a STOP does not come this way")
    if not able.validity:
        found.append("cannot be told until when to try: what it holds may arrive after its sending window has closed")
    return found


def clear_text_note(carrier: Carrier) -> str:
    """A warning of the carrier's settings, a sentence without its end, such as that everything goes out unencrypted."""
    kind = KINDS.get(carrier.kind)
    return "" if kind is None else kind.warning(carrier)


def shown_options(carrier: Carrier) -> dict[str, str]:
    """A carrier's options without its secrets."""
    kind = KINDS.get(carrier.kind)
    if kind is None:  # nobody here knows which of them are secret
        return dict.fromkeys(carrier.settings.settings, "***")
    known = kind.options
    return {
        name: "***" if name in known and known[name].secret else value
        for name, value in carrier.settings.settings.items()
    }


def address(carrier: Carrier) -> str:
    """Where a carrier is and who we are there, for people."""
    kind = KINDS.get(carrier.kind)
    return carrier.kind if kind is None else kind.address(carrier.settings)


def demo_words(found: demo.Stored) -> str:
    """Whose messages the demo's phones take, as a sentence without its end."""
    if not found.running:
        return "out of use: only `chappe serve --demo` uses the demo's phones"
    if found.everyone:
        return "the demo's phones take the messages of every account, until another carrier is added"
    return "the demo's phones take the demo account's messages only, since there are other carriers"


async def demo_note(database: Database, carrier: Carrier) -> str:
    """What whoever adds a carrier beside the demo's should know; empty where there is nothing to know."""
    found = await demo.read(database)
    if found is None or not found.running or found.carrier_id == carrier.id:
        return ""
    return (
        f"from now on the demo's phones ({found.carrier}) take the demo account's messages only; "
        "other accounts' messages leave by the routes that `chappe route add` makes"
    )


def _alarms(
    bind_views: list[BindView],
    oldest_at: datetime | None,
    routed: bool,
    in_doubt: int,
    now: datetime,
    quarantined: int,
) -> list[str]:
    found = []
    if not any(b.alive for b in bind_views):
        found.append("no process drives its binds: is `chappe serve` (with the role work) running?")
    elif not any(b.state == "bound" for b in bind_views):
        found.append("no bind is up: `chappe carrier doctor` looks for the reason")
    for b in bind_views:
        if b.alive and b.state == "refused":
            found.append(f"bind {b.slot}: the carrier refuses our credentials")
        elif b.alive and b.state == "paused":
            found.append(f"bind {b.slot}: paused, since every message was refused")
    if not routed:
        found.append("no route leads here: `chappe route add` makes one")
    if oldest_at is not None and now - oldest_at > OLD:
        found.append(f"a message has been waiting for {(now - oldest_at).total_seconds() / 60:.0f} minutes")
    if in_doubt:
        found.append(f"{in_doubt} messages are in doubt: written, and no answer known")
    if quarantined:
        found.append(f"{quarantined} of its answers, receipts or replies could not be stored: see the table quarantine")
    return found
