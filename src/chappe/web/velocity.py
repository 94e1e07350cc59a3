"""What each account does within hours and days, counted in this process and shared with the others, and its limits.

Nothing of it is asked of the database while a message is accepted. Every process counts what it accepts itself, adds
that to the common sums every SHARE_S seconds, and hears what all have. So a limit may be passed by what the processes
accept within SHARE_S, and of one number by HOT messages more for each process (web/number_counts.py): below that it is
not shared.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final, NoReturn

import msgspec

from chappe.core.errors import Refusal
from chappe.core.model import Account
from chappe.core.velocity import DAY_S, HOUR_S, Kind, country_of, spend_limits
from chappe.observability.logs import get_logger
from chappe.observability.metrics import metrics
from chappe.store import usage
from chappe.store.database import CONNECTION_ERRORS, Database, DatabaseError
from chappe.store.messages import Placed
from chappe.store.usage import Used
from chappe.web.number_counts import Count, Key, NumberCounts

log = get_logger("chappe.web")

SHARE_S: Final = 5.0
ROWS_MAX: Final = 2_000
"""Of one statement."""


class _Span:
    """The counts of the hour, or of the day, that is under way."""

    def __init__(self, length_s: int) -> None:
        self.length_s = length_s
        self.window = 0  # seconds since 1970 at its beginning
        self.ends_at = datetime.fromtimestamp(0, UTC)
        self.counts: dict[Key, Count] = {}

    def of(self, key: Key) -> Count:
        found = self.counts.get(key)
        if found is None:
            found = self.counts[key] = Count()
        return found

    def begin(self, now: datetime) -> None:
        self.window = int(now.timestamp()) // self.length_s * self.length_s
        self.ends_at = datetime.fromtimestamp(self.window + self.length_s, UTC)
        self.counts = {}

    def left_s(self, now: datetime) -> int:
        """The seconds until the span ends, at least one."""
        return max(1, int((self.ends_at - now).total_seconds()))


class _Room:
    """The amount that an account may still spend before its limits are checked again, and the amount spent of it.

    account: the state of the account for which the amount was computed; another object is another state.
    """

    __slots__ = ("account", "left_micros", "spent_micros")

    def __init__(self, account: Account, left_micros: float) -> None:
        self.account = account
        self.left_micros = left_micros
        self.spent_micros = 0


class Velocity:
    """Counts what accounts want, and refuses what passes a limit of theirs."""

    def __init__(self, secret: bytes) -> None:
        self._hour, self._day = _Span(HOUR_S), _Span(DAY_S)
        self._numbers = NumberCounts(secret)
        self._rooms: dict[int, _Room] = {}

    # -- the way of a send

    def take(self, placed: Placed, now: datetime) -> Placed:
        """Counts a send. Raises Refusal, and then nothing is counted. Skipped recipients beyond their limit are not
        kept.

        What was taken and then not accepted has to be given back.
        """
        if now >= self._hour.ends_at:
            self._begin(now)
        send = placed.send
        account = send.account
        settings = account.settings
        if send.sandbox:
            if settings.sandbox_per_day:
                self._one(account, Kind.SANDBOX, "", len(send.recipients), settings.sandbox_per_day, now)
        else:
            limit = settings.messages_per_number_per_hour
            if limit and (passed := self._numbers.take(account, placed, limit)) is not None:
                self._refuse_number(account, passed, limit, now)
            room, charge = self._rooms.get(account.id), placed.charge_micros
            if room is None or room.account is not account or charge > room.left_micros:
                room = self._make_room(placed, now)
            room.left_micros -= charge
            room.spent_micros += charge
            if settings.messages_per_country_per_day and not send.is_at_home:
                self._take_countries(placed, now)
        if send.skipped and settings.skipped_per_day:
            return self._keep(placed, len(send.skipped), now)
        return placed

    def give_back(self, placed: Placed) -> None:
        """Undoes take(): the send was not accepted."""
        account, settings = placed.send.account, placed.send.account.settings
        if placed.send.sandbox:
            if settings.sandbox_per_day:
                self._day.of((account.id, Kind.SANDBOX, "")).fresh -= len(placed.send.recipients)
            return
        self._give_back_numbers(placed)
        if settings.messages_per_country_per_day:
            for country, count in _countries(placed).items():
                self._day.of((account.id, Kind.TO_COUNTRY, country)).fresh -= count
        self._give_back_money(placed)

    def skipped(self, account: Account, count: int) -> None:
        """Recipients that turned out to have opted out are kept as well; they count for the next send."""
        if account.settings.skipped_per_day:
            self._day.of((account.id, Kind.SKIPPED, "")).fresh += count

    def take_opt_out(self, account: Account, now: datetime) -> None:
        """Counts a number that is put on the STOP list. Raises Refusal."""
        if now >= self._hour.ends_at:
            self._begin(now)
        if account.settings.opt_outs_per_day:
            self._one(account, Kind.OPT_OUTS, "", 1, account.settings.opt_outs_per_day, now)

    def _begin(self, now: datetime) -> None:
        """Another hour, and perhaps another day."""
        self._close_rooms()
        self._hour.begin(now)
        self._numbers.begin(self._hour.window)
        if now >= self._day.ends_at:
            self._day.begin(now)

    def _one(self, account: Account, kind: Kind, key: str, amount: int, limit: int, now: datetime) -> None:
        span = self._hour if kind.span_s == HOUR_S else self._day
        count = span.of((account.id, kind, key))
        if count.used + amount > limit:
            self._reached(account, kind, count)
            raise Refusal(kind.code, limit=limit, retry_after_s=span.left_s(now))
        count.fresh += amount

    def _keep(self, placed: Placed, count: int, now: datetime) -> Placed:
        try:
            self._one(placed.send.account, Kind.SKIPPED, "", count, placed.send.account.settings.skipped_per_day, now)
        except Refusal:
            return msgspec.structs.replace(placed, skipped_kept=False)
        return placed

    def _make_room(self, placed: Placed, now: datetime) -> _Room:
        """Computes again how much the account may still spend. Raises Refusal if the charge is more than that; then
        the send is not counted at all."""
        account, charge = placed.send.account, placed.charge_micros
        self._close_room(account.id)
        hour = self._hour.of((account.id, Kind.SPENT_IN_HOUR, ""))
        day = self._day.of((account.id, Kind.SPENT_IN_DAY, ""))
        # A limit may be a share of the credit; the amount spent meanwhile belongs to that credit.
        most_hour, most_day = spend_limits(account.settings, account.balance_micros, hour.used, day.used)
        for count, most, span, kind in (
            (hour, most_hour, self._hour, Kind.SPENT_IN_HOUR),
            (day, most_day, self._day, Kind.SPENT_IN_DAY),
        ):
            if charge and most and count.used + charge > most:
                self._reached(account, kind, count)
                self._give_back_numbers(placed)
                raise Refusal(kind.code, limit=int(most), retry_after_s=span.left_s(now))
        left = min((most_hour or math.inf) - hour.used, (most_day or math.inf) - day.used)
        room = self._rooms[account.id] = _Room(account, left)
        return room

    def _close_room(self, account_id: int) -> None:
        """Adds the amount spent of a room to the counts. The next send makes a new room."""
        room = self._rooms.pop(account_id, None)
        if room is not None and room.spent_micros:
            self._hour.of((account_id, Kind.SPENT_IN_HOUR, "")).fresh += room.spent_micros
            self._day.of((account_id, Kind.SPENT_IN_DAY, "")).fresh += room.spent_micros

    def _close_rooms(self) -> None:
        for account_id in tuple(self._rooms):
            self._close_room(account_id)

    def _take_countries(self, placed: Placed, now: datetime) -> None:
        account = placed.send.account
        taken: list[tuple[Count, int]] = []
        for country, count in _countries(placed).items():
            try:
                self._one(account, Kind.TO_COUNTRY, country, count, account.settings.messages_per_country_per_day, now)
            except Refusal:
                for before, amount in taken:
                    before.fresh -= amount
                self._give_back_money(placed)
                self._give_back_numbers(placed)
                raise
            taken.append((self._day.of((account.id, Kind.TO_COUNTRY, country)), count))

    def _give_back_money(self, placed: Placed) -> None:
        if placed.charge_micros:
            account_id = placed.send.account.id
            self._close_room(account_id)
            self._hour.of((account_id, Kind.SPENT_IN_HOUR, "")).fresh -= placed.charge_micros
            self._day.of((account_id, Kind.SPENT_IN_DAY, "")).fresh -= placed.charge_micros

    def _refuse_number(self, account: Account, passed: Count, limit: int, now: datetime) -> NoReturn:
        self._reached(account, Kind.TO_NUMBER, passed)
        raise Refusal(Kind.TO_NUMBER.code, limit=limit, retry_after_s=self._hour.left_s(now))

    def _give_back_numbers(self, placed: Placed) -> None:
        account = placed.send.account
        limit = account.settings.messages_per_number_per_hour
        if limit:
            self._numbers.give_back(account, placed, limit)

    def _reached(self, account: Account, kind: Kind, count: Count) -> None:
        """Counts the refusal, and tells the operator once a window."""
        metrics().count("chappe_limit_reached_total", limit=kind.name.lower())
        if not count.told:
            count.told = True
            log.warning("account_limit_reached", account=account.id, limit=kind.name.lower(), used=count.used)

    # -- together with other processes

    async def share(self, database: Database) -> None:
        """Tells what is new here, and hears what all have. Raises one of CONNECTION_ERRORS, DatabaseError."""
        self._close_rooms()
        fresh = list(self._fresh())
        for first in range(0, len(fresh), ROWS_MAX):
            part = fresh[first : first + ROWS_MAX]
            async with database.transaction() as tx:
                sums = await usage.add(tx, [row for _, row in part])
            for (count, row), amount in zip(part, sums, strict=True):
                count.fresh -= row.amount
                count.known = amount
        self._close_rooms()  # others have spent, too

    def _fresh(self) -> Iterator[tuple[Count, Used]]:
        for span in (self._hour, self._day):
            for (account_id, kind, key), count in span.counts.items():
                if count.fresh:
                    yield count, Used(account_id, kind, key, span.window, count.fresh)
        for hour, (account_id, kind, key), count in self._numbers.fresh():
            yield count, Used(account_id, kind, key, hour, count.fresh)

    async def run(self, database: Database) -> None:
        """Shares again and again, until it is cancelled."""
        forgotten = 0
        while True:
            await asyncio.sleep(SHARE_S)  # the pace at which processes hear of each other
            try:
                await self.share(database)
                if forgotten != self._hour.window:
                    await usage.forget(database, datetime.now(UTC) - timedelta(days=2))
                    forgotten = self._hour.window
            except (*CONNECTION_ERRORS, DatabaseError) as error:
                log.warning("usage_not_shared", error=type(error).__name__)


def _countries(placed: Placed) -> dict[str, int]:
    """How many messages go to each destination outside the French tariff zone."""
    found: dict[str, int] = {}
    for recipient in placed.send.recipients:
        if not recipient.number.startswith("+33") and (country := country_of(recipient.number)):
            found[country] = found.get(country, 0) + 1
    return found
