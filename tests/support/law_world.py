"""A whole installation in virtual time: the real API, actions, upkeep, pumps and links over a real database, between
customers and networks that do what a test says; and what must hold of it after each step.

What reaches a network is judged when it does, by french_law; what the database says is judged by `check`.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Coroutine, Mapping
from datetime import datetime, timedelta
from typing import Any, TypeVar
from urllib.parse import urlencode

import msgspec
from french_law import KNOWN, Rules, is_open, stays_open
from law_books import FINAL, in_one_place, pays_right
from law_parts import Answer, Campaign, CountedDatabase, Customer, ReaderInLoop, Silent, SteppedPump, Worker
from law_wire import Heard, Network
from shop import Shop
from virtual_time import Clock, VirtualLoop

from chappe.actions import optouts, upkeep
from chappe.actions.budget import UNLIMITED
from chappe.actions.windows import Windows
from chappe.carriers.registry import kind_of, policy_of, rules_of
from chappe.core.carrier_config import Carrier
from chappe.core.http import Request
from chappe.core.lifecycle import State
from chappe.core.model import AccountSettings
from chappe.core.window_profiles import read_profiles
from chappe.store import accounts, binds, carriers
from chappe.store.binds import BindKey
from chappe.store.database import Address
from chappe.store.optouts import OWN_SOURCES
from chappe.web.server import Api
from chappe.workers.in_flight import Rules as DoubtRules

T = TypeVar("T")

STOP_MENTION = " STOP 36111"
SHORT_CODE = "36111"
LINGER = timedelta(seconds=5)
"""How long a message that was claimed may still wait in a link's queue before it is asked about anew."""
KEPT = ("installation", "schema_migration", "ready_count")  # tables of which a fresh installation has rows


class World:
    """Between customers and networks. own: operators' own profiles, as the configuration has them and as rules."""

    def __init__(
        self, address: Address, loop: VirtualLoop, began_at: datetime, own: Mapping[str, tuple[dict[str, Any], Rules]]
    ) -> None:
        self.loop = loop
        self.database = CountedDatabase(address)
        self.clock = Clock(loop, began_at, lambda: self.database.in_use)
        self.shop = Shop(self.database)
        self.rules = {**KNOWN, **{name: rules for name, (_, rules) in own.items()}}
        self.windows = Windows(read_profiles({name: table for name, (table, _) in own.items()}))
        self.book = upkeep.Book(retention_days=1, windows=self.windows)
        self.customers: list[Customer] = []
        self.campaigns: dict[int, Campaign] = {}  # by id
        self.by_token: dict[int, Campaign] = {}
        self.workers: list[Worker] = []
        self.wrong: list[str] = []  # what the networks saw and should not have
        self.listed: set[tuple[int, str]] = set()  # who has opted out now
        self.listed_at: dict[tuple[int, str], tuple[float, datetime]] = {}
        self.replies: list[tuple[int, str, str, int]] = []  # (account, number, kind, context) not yet sorted
        self.tokens = 0
        self.owners = 0
        self.contexts = 0
        self.run(self._open())

    def run(self, work: Coroutine[Any, Any, T], patience_s: float = 600.0) -> T:
        return self.clock.run(work, patience_s=patience_s)

    async def _open(self) -> None:
        await self.database.open()
        async with self.database.transaction() as tx:
            tables = await tx.fetch("select tablename as name from pg_tables where schemaname = current_schema()")
            for name in {row["name"] for row in tables}.difference(KEPT):
                await tx.execute(f"delete from {name}")
        self.api = Api(
            self.database,
            Silent(),  # type: ignore[arg-type]
            await accounts.installation_secret(self.database),
            self.loop.time,
            sender_default=SHORT_CODE,
            stop_mention=STOP_MENTION,
            windows=self.windows,
        )
        # Time stands still while another thread works: everything is read in the loop.
        self.api._reader = ReaderInLoop(self.loop.time)

    def close(self) -> None:
        async def end() -> None:
            for worker in self.workers:
                await self._kill(worker)
            await self.api.close()
            for connections in (self.database._ordinary, self.database._hot):
                if connections is not None:
                    connections.terminate()

        self.run(end())
        self.clock.close()

    # -- the operator

    def customer(self, balance_micros: int, **settings: Any) -> Customer:
        login = f"customer{len(self.customers)}"
        key = f"key of {login}"
        own = AccountSettings(**settings)

        async def make() -> int:
            async with self.database.transaction() as tx:
                return await accounts.create(tx, login, key, own, balance_micros)

        account_id = self.run(make())
        made = Customer(account_id, login, key, own, [(self.clock.moment, own.window)])
        self.customers.append(made)
        self.configured()
        return made

    def change(self, customer: Customer, **settings: Any) -> None:
        customer.settings = msgspec.structs.replace(customer.settings, **settings)
        self.run(accounts.save_settings(self.database, customer.id, customer.settings))
        customer.profiles.append((self.clock.moment, customer.settings.window))
        self.configured()

    def carrier(self, name: str, *, prefix: str = "", priority: int = 0, **given: Any) -> Worker:
        """A carrier with a network behind it, and a worker that drives its bind."""
        port = 1 + len(self.workers)
        network = Network(self.loop, port, lambda: self.clock.wall, self._judge)
        quiet = {"enquire_link_interval_s": "3600", "inactivity_timeout_s": "86400", "reconnect_delay_s_max": "300"}
        settings = {**quiet, **given.pop("settings", {})}

        async def add() -> Carrier:
            carrier_id = await self.shop.carrier(
                name, prefix=prefix, priority=priority, port=port, settings=settings, **given
            )
            return next(one for one in await carriers.all_carriers(self.database) if one.id == carrier_id)

        worker = Worker(network, self.run(add()))
        self.workers.append(worker)
        self.configured()
        self.start(worker)
        return worker

    def configured(self) -> None:
        """Everybody hears that the configuration changed."""

        async def hear() -> None:
            await self.api.refresh()
            await self.windows.refresh(self.database)
            await upkeep.look(self.database, self.clock.wall, self.book)

        self.run(hear())

    # -- customers

    def ask(self, path: str, values: Mapping[str, object], customer: Customer) -> Any:
        """The JSON that is answered by SMS Partner's API (/v1/...) or AllMySMS's (/http/9.0/...)."""
        return self.run(self.asked(path, values, customer))

    async def asked(self, path: str, values: Mapping[str, object], customer: Customer) -> Any:
        """The same for whoever asks while other things happen."""
        if path.startswith("/v1/"):
            body = json.dumps({"apiKey": customer.key, **values}).encode()
            request = Request("POST", path, b"", {"content-type": "application/json"}, body)
        else:
            form = {"login": customer.login, "apiKey": customer.key, "returnformat": "json", **values}
            content_type = {"content-type": "application/x-www-form-urlencoded"}
            request = Request("POST", path, b"", content_type, urlencode(form).encode())
        answer = Answer()
        self.api.ask([(request, answer)])  # type: ignore[list-item]
        while self.api._book._tasks:
            await asyncio.wait(self.api._book._tasks)
        await self.api.idle()
        if answer.error is not None:
            raise answer.error
        assert answer.response is not None, "a request is answered"
        return json.loads(answer.response.body)

    def accepted(
        self, submission_id: int, token: int, customer: Customer, *, sandbox: bool, at: datetime | None
    ) -> Campaign:
        """Writes down what a customer was told yes to."""
        settings = customer.settings
        campaign = Campaign(
            submission_id,
            token,
            customer,
            commercial=not settings.transactional,
            stop_passes=settings.transactional and not settings.stop_blocks_transactional,
            sandbox=sandbox,
            scheduled_at=at,
        )
        rows = self.run(
            self.database.fetch(
                "select id, recipient, state from message where id >> 16 = $1 and account_id = $2",
                submission_id,
                customer.id,
            )
        )
        assert rows, "what was accepted is stored"
        campaign.messages = {row["id"]: row["recipient"] for row in rows}
        for row in rows:
            if (customer.id, row["recipient"]) in self.listed and not campaign.stop_passes:
                assert row["state"] in (State.SUPPRESSED, State.FAILED), "who has opted out is skipped"
        self.campaigns[submission_id] = self.by_token[token] = campaign
        return campaign

    def opt_out(self, customer: Customer, number: str, written: str = "", *, by: str) -> None:
        """Puts a number on a list, by the API or by the operator's command; written: as people write it."""
        if by == "api":
            self.ask("/v1/stop-sms/add", {"phoneNumber": written or number}, customer)
        else:
            self.run(optouts.add(self.database, customer.login, written or number, self.clock.wall))
        self.read_lists()
        assert (customer.id, number) in self.listed

    def opt_in(self, customer: Customer, number: str) -> None:
        """The customer's program takes a number off its list: only what the customer's own word put there goes."""
        told = self.run(
            self.database.value("select source from opt_out where account_id = $1 and number = $2", customer.id, number)
        )
        answer = self.ask("/v1/stop-sms/list", {}, customer)
        for entry in answer["data"]:
            if entry["phoneNumber"] == number:
                self.ask("/v1/stop-sms/delete", {"id": entry["id"]}, customer)
        self.read_lists()
        assert ((customer.id, number) in self.listed) == (told is not None and told not in OWN_SOURCES)

    def read_lists(self) -> None:
        """Who has opted out, as the database says; since when, as we saw it."""
        rows = self.run(self.database.fetch("select account_id, number from opt_out"))
        now = {(row["account_id"], row["number"]) for row in rows}
        for pair in now - self.listed:
            self.listed_at[pair] = self.clock.moment
        self.listed = now

    # -- workers

    def start(self, worker: Worker) -> None:
        async def begin() -> None:
            self.owners += 1
            worker.owner = f"worker{self.owners}"
            key = BindKey(worker.carrier.id, 0)
            taken = await binds.take(self.database, key, worker.owner, 600)
            assert taken is not None
            carrier = worker.carrier
            worker.pump = SteppedPump(
                self.database,
                key,
                taken,
                lambda wake: kind_of(carrier).link(carrier, wake),
                DoubtRules(carrier.id, *rules_of(carrier)),
                policy_of(carrier).receipts,
                carrier.name,
                lambda: None,
                self.windows,
            )
            worker.task = self.loop.create_task(worker.pump.run())

        if worker.pump is None:
            self.run(begin())

    def turn(self, worker: Worker) -> None:
        """One turn of the bind's pump."""
        pump, task = worker.pump, worker.task
        if pump is None or task is None:
            return

        async def turning() -> None:
            pump.turned.clear()
            pump.go.set()

        self.run(turning())
        if task.done():
            task.result()
            raise AssertionError("a pump ends when it is told to")

    def kill(self, worker: Worker) -> None:
        """The process ends in the middle of whatever it did; the next one will find what it left."""
        self.run(self._kill(worker))

    def kill_in_a_turn(self, worker: Worker) -> None:
        """The process ends while the database is at work for it: nobody knows what was committed."""
        self.run(self._kill(worker, in_a_turn=True))

    async def _kill(self, worker: Worker, *, in_a_turn: bool = False) -> None:
        if worker.pump is None or worker.task is None:
            return
        if in_a_turn:
            worker.pump.go.set()
            for _ in range(20):  # so many steps of the loop, or until the database has been asked
                await asyncio.sleep(0)
                if self.database.in_use:
                    break
        worker.task.cancel()
        await asyncio.wait([worker.task])
        if not worker.task.cancelled() and worker.task.exception() is not None:
            worker.task.result()
        await worker.pump.link.stop(0)
        await binds.expire(self.database, worker.owner)
        worker.pump = worker.task = None

    def stop(self, worker: Worker) -> None:
        """The process ends in good order."""
        pump, task = worker.pump, worker.task
        if pump is None or task is None:
            return

        async def end() -> None:
            await pump.stop()
            pump.go.set()
            await asyncio.wait([task])
            task.result()
            await binds.release(self.database, pump.bind, pump.token)

        self.run(end())
        worker.pump = worker.task = None

    def upkeep(self, *names: str) -> None:
        tasks = {task.name: task for task in upkeep.TASKS}
        for name in names:
            self.run(tasks[name].run(self.database, self.clock.wall, self.book, UNLIMITED))
            if name == "replies":
                self._sorted()

    def _sorted(self) -> None:
        """Every STOP that was stored is obeyed by whom it answers, every START takes it back; the last word counts."""
        self.read_lists()
        stored = {context for worker in self.workers for context in worker.network.stored}
        last: dict[tuple[int, str], str] = {}
        for account_id, number, kind, context in self.replies:
            if context in stored:
                last[account_id, number] = kind
        self.replies = [reply for reply in self.replies if reply[3] not in stored]
        for pair, kind in last.items():
            if kind != "response" and (pair in self.listed) is not (kind == "stop"):
                notes = self.run(self.database.fetch("select id, source, destination, state, note from inbound"))
                self.wrong.append(f"{kind} of {pair} is not obeyed: {[tuple(row) for row in notes]}")

    def at_once(self, customer: Customer, number: str, campaign: Campaign) -> None:
        """A number opts out and a campaign is taken back while upkeep and all binds are at work."""

        async def together() -> None:
            for worker in self.workers:
                if worker.pump is not None:
                    worker.pump.go.set()
            await asyncio.gather(
                self.asked("/v1/stop-sms/add", {"phoneNumber": number}, customer),
                self.asked("/v1/message-cancel", {"messageId": campaign.id}, campaign.customer),
                upkeep.release(self.database, self.clock.wall, self.book),
                upkeep.sort_replies(self.database, self.clock.wall, self.book),
            )

        self.run(together())
        self.upkeep("replies")  # what was stored too late for the first

    # -- judging

    def _judge(self, heard: Heard) -> None:
        """What reaches a network, in the instant in which it does."""
        campaign = self.by_token.get(heard.token)
        if campaign is None or heard.number not in campaign.messages.values():
            self.wrong.append(f"{heard.number} gets what nobody has sent: token {heard.token}")
            return
        who = f"submission {campaign.id} of {campaign.customer.login} to {heard.number} at {heard.at}"
        if campaign.sandbox or campaign.cancelled:
            self.wrong.append(f"{who}: {'sandbox' if campaign.sandbox else 'cancelled'}")
        if campaign.scheduled_at is not None and self.clock.latest < campaign.scheduled_at:
            self.wrong.append(f"{who}: before {campaign.scheduled_at}")
        pair = campaign.customer.id, heard.number
        if not campaign.stop_passes and pair in self.listed and self.clock.age(self.listed_at[pair]) > LINGER:
            self.wrong.append(f"{who}: has opted out {self.clock.age(self.listed_at[pair])} before")
        if campaign.commercial:
            reasons = [self._window_says(heard, name) for name in self._in_force(campaign.customer)]
            if None not in reasons:
                self.wrong.append(f"{who}: {reasons}")

    def _in_force(self, customer: Customer) -> list[str]:
        """The profile of now, and those that were changed a moment ago."""
        names = [name for _, name in customer.profiles]
        until = [since for since, _ in customer.profiles[1:]] + [self.clock.moment]
        return [name for name, end in zip(names, until, strict=True) if self.clock.age(end) <= LINGER]

    def _window_says(self, heard: Heard, name: str) -> str | None:
        """None when it may leave, and the network tries no longer than it may."""
        rules = self.rules[name]
        if not is_open(rules, heard.number, heard.sender, heard.at):
            return f"{name} is closed"
        until = heard.valid_until
        if until is None or rules.outside == "warn" or stays_open(rules, heard.number, heard.sender, heard.at, until):
            return None
        return f"{name} closes before the validity ends, {until}"

    def check(self) -> None:
        """What must hold between any two steps."""
        assert not self.wrong, self.wrong[0] + self._told()
        self.run(self._check())

    def _told(self) -> str:
        """Everything that was noted of messages, for whoever has to find out what went wrong."""
        events = self.run(self.database.fetch("select message_id, at, what, detail from event order by at, ctid"))
        heards = sorted(
            (heard.at, heard.token, heard.number, heard.part) for w in self.workers for heard in w.network.heard
        )
        lines = [f"{row['at']} {row['message_id'] >> 16} {row['what']} {row['detail']}" for row in events]
        return "\n".join(["", *lines, *(f"{at} heard m{token} {to} {part}" for at, token, to, part in heards)])

    async def _check(self) -> None:
        await self.shop.books_balance()
        rows = await self.database.fetch(
            """select m.id, m.state, m.parts, m.price_micros, m.doubts, s.flags, s.cost_micros,
                      (select count(*) from outbox o where o.message_id = m.id) as queued,
                      (select count(*) from bind b where m.id = any (b.in_flight)) as flying,
                      (select case when bool_or(r.part = 0) then m.parts else count(distinct r.part) end
                       from reference r where r.message_id = m.id) as taken,
                      (select count(*) from uncertain u where u.message_id = m.id) as unsure,
                      (select coalesce(sum(amount_micros), 0) from ledger_entry l
                       where l.kind = 2 and l.reason = m.id) as refund,
                      (select coalesce(sum(amount_micros), 0) from ledger_entry l
                       where l.kind = 1 and l.reason = s.id) as charge
               from message m join submission s on s.id = m.id >> 16 order by m.id"""
        )
        expected = {number for campaign in self.campaigns.values() for number in campaign.messages}
        assert {row["id"] for row in rows if not row["flags"] & 16} == {
            number for number in expected if not self.campaigns[number >> 16].sandbox
        }, "exactly what was accepted is stored"
        for row in rows:
            in_one_place(row)
            pays_right(row)
        self._twice({row["id"]: row["doubts"] for row in rows})

    def _twice(self, doubts: Mapping[int, int]) -> None:
        """A part that a network has taken, and said so, is given to none again unless it was in doubt."""
        taken: Counter[tuple[int, str, int]] = Counter()
        for worker in self.workers:
            for heard in worker.network.heard:
                if heard.answered and heard.reference:
                    taken[heard.token, heard.number, heard.part] += 1
        for (token, number, part), times in taken.items():
            ids = [one for one, to in self.by_token[token].messages.items() if to == number]
            if times > len(ids):
                assert any(doubts[one] for one in ids), f"part {part} to {number} was taken {times} times"

    # -- the end

    def finish(self) -> None:
        """When nothing breaks any more, everything ends."""
        for worker in self.workers:
            worker.network.deeds.clear()
            worker.network.late.clear()
            worker.network.open()
            self.start(worker)
        told: set[int] = set()
        for _ in range(120):
            self.upkeep("look", "place_held", "release", "match", "infer", "fail_over", "replies", "follow")
            for worker in self.workers:
                for _ in range(3):
                    self.turn(worker)
                for heard in worker.network.heard:
                    if heard.reference and id(heard) not in told and worker.network.receipt(heard, "DELIVRD"):
                        told.add(id(heard))
                self.turn(worker)
            self.check()
            waiting = self.run(self.database.fetch("select lane & 7 = 7 as later, key from outbox order by key"))
            if not waiting and not self.run(self.shop.in_flight()):
                break
            now = self.clock.wall
            if all(row["later"] for row in waiting) and waiting:
                due_at = datetime.fromtimestamp(waiting[0]["key"] / 1e6 + 0.001, now.tzinfo)
                self.clock.pass_(min(max(1.0, (due_at - now).total_seconds()), 9 * 86_400))
            else:
                for _ in range(10):  # a slow carrier takes one part at a time
                    self.clock.pass_(2)
                    for worker in self.workers:
                        self.turn(worker)
        else:
            raise AssertionError("the queue does not come to an end")
        self.clock.pass_(60 * 3600)
        self.upkeep("silence")
        self.clock.pass_(60 * 3600)
        self.upkeep("silence")
        self.check()
        left = self.run(self.database.fetch("select id, state, lane, key from message order by id"))
        assert [dict(row) for row in left if row["state"] not in FINAL] == []

    def figures(self) -> dict[str, int]:
        """What the story was about, in counts."""
        rows = self.run(self.database.fetch("select state, count(*) from message group by 1"))
        events = self.run(self.database.fetch("select what, count(*) from event group by 1"))
        return (
            {"campaigns": len(self.campaigns), "heard": sum(len(worker.network.heard) for worker in self.workers)}
            | {State(row["state"]).word: row["count"] for row in rows}
            | {f"event {row['what']}": row["count"] for row in events}
        )
