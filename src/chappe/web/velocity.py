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
from typing import Final

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
        self.ends_s = 0.0
        self.counts: dict[Key, Count] = {}

    def of(self, key: Key) -> Count:
        found = self.counts.get(key)
        if found is None:
            found = self.counts[key] = Count()
        return found

    def begin(self, now_s: float) -> None:
        self.window = int(now_s) // self.length_s * self.length_s
        self.ends_s = self.window + self.length_s
        self.counts = {}


class _Spent:
    """What an account has spent, and the most that it may, as far as that was worked out."""

    __slots__ = ("account", "day", "hour", "most_day", "most_hour")

    def __init__(self, account: Account, hour: Count, day: Count, most_hour: float, most_day: float) -> None:
        self.account = account
        self.hour, self.day = hour, day
        self.most_hour, self.most_day = most_hour, most_day


class Velocity:
    """Counts what accounts want, and refuses what passes a limit of theirs."""

    def __init__(self, secret: bytes) -> None:
        self._hour, self._day = _Span(HOUR_S), _Span(DAY_S)
        self._numbers = NumberCounts(secret)
        self._spent: dict[int, _Spent] = {}

    # -- the way of a send

    def take(self, placed: Placed, now: datetime) -> Placed:
        """Counts a send. Raises Refusal, and then nothing is counted. Skipped recipients beyond their limit are not
        kept.

        What was taken and then not accepted has to be given back.
        """
        now_s = now.timestamp()
        if now_s >= self._hour.ends_s:
            self._begin(now_s)
        send = placed.send
        account, settings = send.account, send.account.settings
        if send.sandbox:
            if settings.sandbox_per_day:
                self._one(account, Kind.SANDBOX, "", len(send.recipients), settings.sandbox_per_day, now_s)
        else:
            if settings.messages_per_number_per_hour:
                self._take_numbers(placed, now_s)
            if placed.charge_micros:
                self._take_money(placed, now_s)
            if settings.messages_per_country_per_day and not _is_at_home(placed):
                self._take_countries(placed, now_s)
        if send.skipped and settings.skipped_per_day:
            return self._keep(placed, len(send.skipped), now_s)
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
        now_s = now.timestamp()
        if now_s >= self._hour.ends_s:
            self._begin(now_s)
        if account.settings.opt_outs_per_day:
            self._one(account, Kind.OPT_OUTS, "", 1, account.settings.opt_outs_per_day, now_s)

    def _begin(self, now_s: float) -> None:
        """Another hour, and perhaps another day."""
        self._hour.begin(now_s)
        self._numbers.begin(self._hour.window)
        self._spent = {}
        if now_s >= self._day.ends_s:
            self._day.begin(now_s)

    def _one(self, account: Account, kind: Kind, key: str, amount: int, limit: int, now_s: float) -> None:
        span = self._hour if kind.span_s == HOUR_S else self._day
        count = span.of((account.id, kind, key))
        if count.used + amount > limit:
            self._reached(account, kind, count)
            raise Refusal(kind.code, limit=limit, retry_after_s=max(1, int(span.ends_s - now_s)))
        count.fresh += amount

    def _keep(self, placed: Placed, count: int, now_s: float) -> Placed:
        try:
            self._one(placed.send.account, Kind.SKIPPED, "", count, placed.send.account.settings.skipped_per_day, now_s)
        except Refusal:
            return msgspec.structs.replace(placed, skipped_kept=False)
        return placed

    def _take_money(self, placed: Placed, now_s: float) -> None:
        account, charge = placed.send.account, placed.charge_micros
        spent = self._spent.get(account.id)
        if spent is None or spent.account is not account:
            spent = self._spent[account.id] = self._spent_of(account)
        hour, day = spent.hour, spent.day
        if hour.known + hour.fresh + charge > spent.most_hour or day.known + day.fresh + charge > spent.most_day:
            # Of a limit that is a share of the credit, what was spent meanwhile is a part.
            spent = self._spent[account.id] = self._spent_of(account)
            for count, most, span in ((hour, spent.most_hour, self._hour), (day, spent.most_day, self._day)):
                if count.used + charge > most:
                    kind = Kind.SPENT_IN_HOUR if count is hour else Kind.SPENT_IN_DAY
                    self._reached(account, kind, count)
                    self._give_back_numbers(placed)
                    raise Refusal(kind.code, limit=int(most), retry_after_s=max(1, int(span.ends_s - now_s)))
        hour.fresh += charge
        day.fresh += charge

    def _spent_of(self, account: Account) -> _Spent:
        hour = self._hour.of((account.id, Kind.SPENT_IN_HOUR, ""))
        day = self._day.of((account.id, Kind.SPENT_IN_DAY, ""))
        most_hour, most_day = spend_limits(account.settings, account.balance_micros, hour.used, day.used)
        return _Spent(account, hour, day, most_hour or math.inf, most_day or math.inf)

    def _take_countries(self, placed: Placed, now_s: float) -> None:
        account = placed.send.account
        taken: list[tuple[Count, int]] = []
        for country, count in _countries(placed).items():
            try:
                self._one(
                    account, Kind.TO_COUNTRY, country, count, account.settings.messages_per_country_per_day, now_s
                )
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
            self._hour.of((account_id, Kind.SPENT_IN_HOUR, "")).fresh -= placed.charge_micros
            self._day.of((account_id, Kind.SPENT_IN_DAY, "")).fresh -= placed.charge_micros

    def _take_numbers(self, placed: Placed, now_s: float) -> None:
        account = placed.send.account
        limit = account.settings.messages_per_number_per_hour
        passed = self._numbers.take(account, placed, limit)
        if passed is not None:
            self._reached(account, Kind.TO_NUMBER, passed)
            wait_s = max(1, int(self._hour.ends_s - now_s))
            raise Refusal(Kind.TO_NUMBER.code, limit=limit, retry_after_s=wait_s)

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
        fresh = list(self._fresh())
        for first in range(0, len(fresh), ROWS_MAX):
            part = fresh[first : first + ROWS_MAX]
            async with database.transaction() as tx:
                sums = await usage.add(tx, [row for _, row in part])
            for (count, row), amount in zip(part, sums, strict=True):
                count.fresh -= row.amount
                count.known = amount

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


def _is_at_home(placed: Placed) -> bool:
    recipients = placed.send.recipients
    return len(recipients) == 1 and recipients[0].number.startswith("+33")  # nearly always


def _countries(placed: Placed) -> dict[str, int]:
    """How many messages go to each destination outside the French tariff zone."""
    found: dict[str, int] = {}
    for recipient in placed.send.recipients:
        if not recipient.number.startswith("+33") and (country := country_of(recipient.number)):
            found[country] = found.get(country, 0) + 1
    return found
