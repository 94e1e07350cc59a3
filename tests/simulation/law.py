"""What must hold at every step of the simulation, whatever breaks, and what must hold in the end.

It looks on from outside: at the octets on the wire, at what the carriers took, and at the rows of the database. The
sending window is worked out here once more from the rule's words, not by asking the code that is under test.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from durable import Server
from network import End
from smsc import Owed, Smsc
from virtual import VirtualLoop

from chappe.carriers import Outgoing
from chappe.carriers.smpp.transport import Wire
from chappe.core.lifecycle import TRANSITIONS, State
from chappe.smpp import pdu as pdus
from chappe.smpp.framer import Framer
from chappe.smpp.pdu import SubmitSm

ALLOWED = {(int(state), int(target)) for (state, _), target in TRANSITIONS.items()}
REFUNDED = (State.REJECTED, State.SUPPRESSED, State.CANCELLED, State.FAILED)
ZONES = {"33": "Europe/Paris", "596": "America/Martinique", "262": "Indian/Reunion"}
OPENS, CLOSES = time(8), time(22)
RESPONSE_S = 5.0
UDHI = 0x40
_TOKEN = re.compile(r"<(\d+)>")


class Broken(AssertionError):
    """Something happened that must never happen."""


def key_of(pdu: SubmitSm) -> tuple[int, str]:
    """Which message a submit_sm is of: the token in its text, and the number."""
    text = pdu.short_message
    if pdu.esm_class & UDHI:
        text = text[text[0] + 1 :]
    read = text.decode("utf-16-be" if pdu.data_coding & 0x0C == 8 else "latin-1", "replace")
    found = _TOKEN.search(read)
    assert found is not None, "every part of every text has its token"
    return int(found[1]), "+" + pdu.destination_addr.decode()


def part_of(pdu: SubmitSm) -> int:
    """The part's number from 1; 0: the only one."""
    return pdu.short_message[5] if pdu.esm_class & UDHI else 0


def is_open(number: str, at: datetime) -> bool:
    """SMS Partner's rule: from 8 to 22 where the phone is, and not on Sundays. (No run meets a holiday.)"""
    zone = next(zone for prefix, zone in ZONES.items() if number[1:].startswith(prefix))
    local = at.astimezone(ZoneInfo(zone))
    return local.weekday() != 6 and OPENS <= local.time() < CLOSES


@dataclass
class Asked:
    """One Send that a customer asked for. accepted: we said yes."""

    token: int
    numbers: tuple[str, ...]
    transactional: bool
    account_id: int
    accepted: bool = False


@dataclass
class Counts:
    asked: int = 0
    accepted: int = 0
    unanswered: int = 0
    refused: int = 0
    submitted: int = 0
    taken: int = 0
    in_doubt: int = 0
    doubled: int = 0
    receipts: int = 0
    replies: int = 0
    refunded: int = 0
    faults: dict[str, int] = field(default_factory=dict)
    states: dict[str, int] = field(default_factory=dict)


class Law:
    """The watch. Raises Broken from within whatever breaks it, and remembers the first."""

    def __init__(self, server: Server, loop: VirtualLoop) -> None:
        self._server = server
        self._loop = loop
        self.counts = Counts()
        self.asked: dict[int, Asked] = {}
        self.broken: list[str] = []
        self.windows: dict[int, int] = {}  # by port
        self._framers: dict[int, tuple[End, Framer]] = {}
        self._written: dict[tuple[int, int], float] = {}  # (end, sequence) -> when
        self._ids: dict[int, tuple[int, str]] = {}  # message id -> key
        self._taken: defaultdict[tuple[int, str, int], list[str]] = defaultdict(list)
        self._outstanding: defaultdict[int, dict[int, float]] = defaultdict(dict)
        self._acknowledged: list[tuple[int, str, str]] = []  # (port, id, word)

    def breaks(self, what: str) -> None:
        words = f"{self._loop.wall:%a %H:%M:%S} {self._loop.now_s:.3f}s: {what}"
        self.broken.append(words)

    # -- on the wire

    def gives(self, message: Outgoing) -> None:
        """A message is given to a link. What counts is what was known when it was claimed, a moment ago."""
        text = _TOKEN.search(message.text)
        assert text is not None
        key = int(text[1]), message.recipient
        self._ids[message.message_id] = key
        ((known, opted, ended),) = self._server.rows(
            """select array(select part from simulation.known k where k.message_id = c.message_id and k.tick < c.tick),
                      (select true from simulation.opted o
                       where o.account_id = $2 and o.number = $3 and o.tick < c.tick),
                      (select true from simulation.ended e where e.message_id = c.message_id and e.tick < c.tick)
               from simulation.claim c where c.message_id = $1""",
            message.message_id,
            self.asked[key[0]].account_id,
            message.recipient,
        )
        again = [part for part in known if part == 0 or not message.parts_done >> part & 1]
        if again:
            self.breaks(f"message {key}: parts {again} were at the carrier when it was claimed to be sent again")
        if opted:
            self.breaks(f"message {key} was claimed when its number had opted out")
        if ended:
            self.breaks(f"message {key} was claimed when it had come to its end")

    def wrote(self, end: End, data: bytes) -> None:
        """A process of ours writes octets to a carrier."""
        if end.process.name.startswith("smsc"):
            return
        _, framer = self._framers.setdefault(id(end), (end, Framer()))
        for command_id, _, sequence, frame in framer.feed(data):
            if command_id == SubmitSm.command_id:
                decoded = pdus.decode(frame)
                assert isinstance(decoded, SubmitSm)
                self._written[id(end), sequence] = self._loop.now_s
                self._submits(decoded)

    def _submits(self, pdu: SubmitSm) -> None:
        self.counts.submitted += 1
        key = key_of(pdu)
        if self.asked[key[0]].transactional:
            return
        now = self._loop.wall
        if not is_open(key[1], now):
            self.breaks(f"commercial message {key} leaves when its window is closed")
        until = datetime.strptime(pdu.validity_period[:12].decode(), "%y%m%d%H%M%S").replace(tzinfo=UTC)
        last = until - timedelta(seconds=1)
        if is_open(key[1], now) and (not is_open(key[1], last) or last - now > timedelta(hours=14)):
            self.breaks(f"commercial message {key} may be delivered until {until}, after closing")

    # -- at the carrier

    def arrived(self, smsc: Smsc, wire: Wire, pdu: SubmitSm) -> None:
        waiting = self._outstanding[id(wire)]
        unanswered = wire.session._core.unanswered.commands  # what the session itself still owes an answer to
        for sequence in [sequence for sequence in waiting if sequence not in unanswered]:
            del waiting[sequence]
        if pdu.sequence in waiting:
            self.breaks(f"sequence {pdu.sequence} comes again before it is answered")
        assert isinstance(wire._transport, End)
        waiting[pdu.sequence] = self._written[id(wire._transport.other), pdu.sequence]
        given_up = self._loop.now_s - RESPONSE_S  # what is older takes no place at our side any more
        open_ = sum(at > given_up for at in waiting.values())
        if open_ > self.windows[smsc.port]:
            self.breaks(f"{open_} requests are open, the window is {self.windows[smsc.port]}")

    def took(self, smsc: Smsc, pdu: SubmitSm, ref: str) -> None:
        self.counts.taken += 1
        key = (*key_of(pdu), part_of(pdu))
        self._taken[key].append(ref)
        times = len(self._taken[key])
        if times < 2:
            return
        asked = self.asked[key[0]]
        self.counts.doubled += 1
        message_id = next(one for one, known in self._ids.items() if known == key[:2])
        ((doubts,),) = self._server.rows("select doubts from message where id = $1", message_id)
        if doubts < times - 1:
            self.breaks(f"part {key} is at the carrier {times} times, and was in doubt {doubts} times")
        if not asked.transactional:
            self.breaks(f"commercial part {key} is at the carrier {times} times: one in doubt is held")

    def acknowledged(self, smsc: Smsc, owed: Owed, status: int) -> None:
        """We have said that we have it."""
        if status:
            return
        table = "receipt" if owed.message_ref else "inbound"
        found = self._server.rows(f"select true from {table} where position($1::bytea in raw) > 0 limit 1", owed.marker)
        if not found:
            self.breaks(f"a {table} was acknowledged and is not stored")
        if owed.message_ref:
            self.counts.receipts += 1
            self._acknowledged.append((smsc.port, owed.message_ref, owed.word))
        else:
            self.counts.replies += 1

    # -- in the store, at any instant

    def check(self) -> None:
        """What holds whenever nothing is half written."""
        for what, one, two, three in self._server.rows(WRONG):
            if what == "move":
                if (two, three) not in ALLOWED:
                    self.breaks(f"message {one} went from {State(two).word} to {State(three).word}")
            elif what == "money":
                self.breaks(f"account {one}: the balance is {two}, the ledger says {three}")
            elif what == "places":
                self.breaks(f"message {one} is in {two} places")
            else:
                self.breaks(f"message {one} is {State(two).word} and in no place")

    # -- in the end

    def unsettled(self) -> int:
        """How many messages have not come to their end, or to the hold that policy wants."""
        ((count,),) = self._server.rows("select count(*) from message where state not in (6, 7, 8, 9, 11, 12, 13, 14)")
        return int(count)

    def settled(self, balances: dict[int, int]) -> None:
        """After all has calmed down. balances: of each account at the beginning."""
        self.check()
        for what, statement in LEFT.items():
            ((count,),) = self._server.rows(statement)
            if count:
                self.breaks(f"{count} {what}")
        for account_id, began in balances.items():
            ((left,),) = self._server.rows("select balance_micros from balance where account_id = $1", account_id)
            ((spent,),) = self._server.rows(
                """select coalesce(sum(m.price_micros), 0)::bigint
                        - coalesce((select sum(amount_micros) from ledger_entry
                                    where kind = 2 and account_id = $1), 0)::bigint
                   from message m where m.account_id = $1""",
                account_id,
            )
            if began - spent != left:
                self.breaks(f"account {account_id} had {began}, spent {spent}, and has {left}")
        self._durable()
        self._receipts_have_worked()
        self._count()

    def _durable(self) -> None:
        """Whatever we said yes to is there, once for each number."""
        rows = self._server.rows(
            """select s.text, array_agg(m.recipient order by m.id) as numbers
               from submission s join message m on m.id >> 16 = s.id group by s.id"""
        )
        stored: defaultdict[int, list[list[str]]] = defaultdict(list)
        for row in rows:
            found = _TOKEN.search(row["text"])
            assert found is not None
            stored[int(found[1])].append(row["numbers"])
        for asked in self.asked.values():
            times = len(stored[asked.token])
            if times > 1 or (asked.accepted and times == 0):
                answered = "accepted" if asked.accepted else "unanswered"
                self.breaks(f"send {asked.token}, {answered}, is stored {times} times")

    def _receipts_have_worked(self) -> None:
        """A receipt that we acknowledged, of a part that we know, has moved its message."""
        rows = self._server.rows(
            """select r.carrier_id, r.carrier_ref, m.state, m.parts
               from reference r join message m on m.id = r.message_id"""
        )
        states = {(carrier_id, ref): (state, parts) for carrier_id, ref, state, parts in rows}
        ports = {row[1]: row[0] for row in self._server.rows("select id, (settings->>'port')::int from carrier")}
        for port, ref, word in self._acknowledged:
            known = states.get((ports[port], ref))
            if known is None or word == "ENROUTE":
                continue
            state = State(known[0])
            if state is State.NO_RECEIPT and (known[1] == 1 or word != "DELIVRD"):
                self.breaks(f"{word} of part {ref} was acknowledged, and its message is {state.word}")
            if word == "DELIVRD" and known[1] == 1 and state in (State.UNDELIVERED, State.EXPIRED):
                self.breaks(f"{word} of part {ref} was acknowledged, and its message is {state.word}")

    def _count(self) -> None:
        rows = self._server.rows("select state, count(*) from message group by 1 order by 1")
        self.counts.states = {State(state).word: count for state, count in rows}
        ((self.counts.in_doubt,),) = self._server.rows("select coalesce(sum(doubts), 0) from message")
        ((self.counts.refunded,),) = self._server.rows("select count(*) from ledger_entry where kind = 2")


WRONG = """
    with moves as (delete from simulation.move returning message_id, old, new, tick)
    select 'move' as what, message_id as one, old::bigint as two, new::bigint as three from moves
    union all
    select 'money', b.account_id, b.balance_micros, coalesce(sum(l.amount_micros), 0)::bigint
    from balance b left join ledger_entry l using (account_id) group by b.account_id, b.balance_micros
    having b.balance_micros <> coalesce(sum(l.amount_micros), 0) or b.balance_micros < 0
    union all
    select 'places', id, count(*), 0
    from (select unnest(in_flight) as id from bind union all select message_id from outbox) p
    group by id having count(*) > 1
    union all
    select 'lost', id, state, 0 from message m where state in (1, 2, 3, 4)
    and not exists (select from outbox o where o.message_id = m.id)
    and not exists (select from bind b where m.id = any (b.in_flight))
    and not exists (select from reference r where r.message_id = m.id)"""
LEFT = {
    "messages have no end": "select count(*) from message where state not in (6, 7, 8, 9, 11, 12, 13, 14)",
    "messages wait in a queue": "select count(*) from outbox",
    "messages are in flight": "select coalesce(sum(cardinality(in_flight)), 0) from bind",
    "messages are in doubt": "select count(*) from uncertain",
    "messages of subscribers were not sorted": "select count(*) from inbound where state = 0",
    "messages of subscribers were put aside": "select count(*) from inbound where state = 5",
    "tasks of upkeep fail": "select count(*) from trouble",
    "replies of one subscriber changed places": """
        select count(*) from inbound a join inbound b on b.carrier_id = a.carrier_id and b.source = a.source
        where a.id < b.id and a.reply_id > b.reply_id and a.received_at <= b.received_at
        and (select count(*) from bind where carrier_id = a.carrier_id) = 1""",
    "refunds are missing": f"""
        select count(*) from message m where state = any (array{[int(s) for s in REFUNDED]}) and price_micros > 0
        and not exists (select from ledger_entry where kind = 2 and reason = m.id)
        and not exists (select from reference r where r.message_id = m.id)""",
    "refunds are given for nothing": f"""
        select count(*) from ledger_entry l join message m on m.id = l.reason
        where l.kind = 2 and m.state <> all (array{[int(s) for s in REFUNDED]})""",
}
