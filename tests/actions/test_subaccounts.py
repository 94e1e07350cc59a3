"""Sub-accounts and their money: whatever happens at once or dies in the middle, the sums stay."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import asyncpg
import pytest
from msgspec.structs import replace
from shop import NOW, Shop, eventually, opened

from chappe.actions.queries import answer
from chappe.core.errors import Refusal
from chappe.core.model import Account, AccountState, Moment, OfSubAccount, ReadBalance
from chappe.core.subaccounts import (
    ChangeSubAccount,
    CreateSubAccount,
    MoveCredit,
    ReadSubAccounts,
    RemoveSubAccount,
    SubAccount,
    SubAccountKey,
    key_of,
)
from chappe.embedded.server import ConnectionParameters
from chappe.store import accounts

SECRET = b"the secret of the tests"
MOMENT = Moment(NOW, 0.5, SECRET)
pytestmark = pytest.mark.asyncio


async def made(shop: Shop, master: Account, login: str, **given: Any) -> SubAccount:
    found: SubAccount = (await answer(shop.database, CreateSubAccount(master, login, {}, **given), MOMENT)).sub_account  # type: ignore[union-attr]
    return found


async def code(shop: Shop, command: Any, moment: Moment = MOMENT) -> str:
    try:
        await answer(shop.database, command, moment)
    except Refusal as refusal:
        return refusal.code
    return "done"


async def total(shop: Shop) -> int:
    found: int = await shop.database.value("select sum(balance_micros)::bigint from balance")
    return found


async def test_a_sub_account_takes_over_rules_and_prices_and_not_who_its_master_is(
    database: ConnectionParameters,
) -> None:
    async with opened(database) as shop:
        master = await shop.account(
            "master", price_premium_micros=50_000, prices={"49": 70_000}, transactional=True, email="m@x.fr",
            reports_url="https://m.example/", sub_accounts_max=3,
        )  # fmt: skip
        sub = await made(shop, master, "Below", credit_micros=7_000_000)
        settings = sub.account.settings
        assert (settings.price_premium_micros, settings.prices) == (50_000, {"49": 70_000})
        assert (settings.transactional, settings.email, settings.reports_url) == (True, "", "")
        assert (settings.master, settings.sub_accounts_max) == ("master", 0)
        assert sub.key == key_of(SECRET, sub.account.id)
        let_in = await accounts.by_key(shop.database, sub.key)
        assert let_in is not None
        assert (let_in.login, let_in.balance_micros) == ("Below", 7_000_000)
        assert await shop.balance(master) == 93_000_000
        read = OfSubAccount(master, "below", ReadBalance(master))
        assert (await answer(shop.database, read, MOMENT)).balance_micros == 7_000_000  # type: ignore[union-attr]
        assert await code(shop, CreateSubAccount(let_in, "deeper", {})) == "sub_accounts_denied"
        await shop.books_balance()


async def test_who_may_have_none_or_no_more_is_refused_and_removing_makes_no_room_the_same_day(
    database: ConnectionParameters,
) -> None:
    async with opened(database) as shop:
        master, none = await shop.account("master", sub_accounts_max=2), await shop.account("none", sub_accounts_max=0)
        assert await code(shop, CreateSubAccount(none, "a", {})) == "sub_accounts_denied"
        await made(shop, master, "a")
        await made(shop, master, "b")
        assert await code(shop, CreateSubAccount(master, "c", {})) == "sub_account_limit"
        assert await code(shop, RemoveSubAccount(master, SubAccountKey(login="A"))) == "done"
        assert await code(shop, CreateSubAccount(master, "c", {})) == "sub_account_limit"
        later = replace(MOMENT, now=NOW + timedelta(days=9999), chance=0.7)
        assert await code(shop, CreateSubAccount(master, "a", {}), later) == "done", "its login is free again"


async def test_what_lacks_credit_or_a_free_login_is_not_made(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        master, other = await shop.account("master", balance_micros=5), await shop.account("other", balance_micros=0)
        assert await code(shop, CreateSubAccount(master, "a", {}, credit_micros=6)) == "credit_short"
        assert await code(shop, CreateSubAccount(other, "a", {}, credit_micros=6)) == "credit_none"
        assert await code(shop, CreateSubAccount(master, "OTHER", {})) == "known"
        assert await shop.database.value("select count(*) from account") == 2
        await shop.books_balance()


async def test_generated_logins_differ_and_reach_nobody(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        master = await shop.account("master")
        moments = [replace(MOMENT, chance=chance) for chance in (0.1, 0.2)]
        logins = []
        for moment in moments:
            outcome = await answer(shop.database, CreateSubAccount(master, "", {}), moment)
            logins.append(outcome.sub_account.account.login)  # type: ignore[union-attr]
        assert len(set(logins)) == 2
        assert all(login.endswith("@subaccounts.invalid") for login in logins)


async def test_money_moves_both_ways_and_never_below_zero(database: ConnectionParameters) -> None:
    async with opened(database, ordinary=6) as shop:
        master = await shop.account("master", balance_micros=1_000)
        subs = [await made(shop, master, login) for login in ("a", "b")]
        before = await total(shop)
        moves = [
            MoveCredit(master, SubAccountKey(token=sub.token), amount)
            for sub in subs
            for amount in (700, -600, 300, -400, 500, -100, 900, -900)
        ]
        codes = await asyncio.gather(*(code(shop, move) for move in moves))
        assert set(codes) <= {"done", "credit_short", "credit_none"}
        assert "done" in codes
        assert await total(shop) == before
        await shop.books_balance()
        pairs = await shop.database.fetch(
            """select reason, sum(amount_micros) as sum, count(*) as entries, array_agg(kind order by kind) as kinds
               from ledger_entry where kind in (4, 5) group by reason"""
        )
        assert len(pairs) == codes.count("done")
        assert all((row["sum"], row["entries"], row["kinds"]) == (0, 2, [4, 5]) for row in pairs)


async def test_transfers_and_sends_at_once_do_not_wait_for_each_other_forever(database: ConnectionParameters) -> None:
    async with opened(database, ordinary=4, hot=4) as shop:
        master = await shop.account("master", transactional=True)
        sub = await made(shop, master, "a", credit_micros=50_000_000)
        await shop.carrier()
        key = SubAccountKey(token=sub.token)
        await asyncio.gather(
            *(shop.accept(shop.send(master, 3), shop.send(sub.account, 3)) for _ in range(20)),
            *(code(shop, MoveCredit(master, key, amount)) for amount in (500, -500) * 20),
        )
        await shop.books_balance()


@pytest.mark.parametrize("amount", [400, -400])
async def test_a_transfer_that_dies_moves_nothing(database: ConnectionParameters, amount: int) -> None:
    """Its connection is ended by the server between the two entries' statement and the commit."""
    async with opened(database, ordinary=3) as shop:
        master = await shop.account("master", balance_micros=1_000)
        sub = await made(shop, master, "a", credit_micros=500)
        async with shop.database.transaction() as blocker:
            await blocker.execute("lock table ledger_entry")
            dying = asyncio.create_task(
                answer(shop.database, MoveCredit(master, SubAccountKey(token=sub.token), amount), MOMENT)
            )
            kill = """select pg_terminate_backend(pid) from pg_stat_activity
                      where wait_event_type = 'Lock' and query like '%transfer_number%' and pid <> pg_backend_pid()"""
            assert len(await eventually(lambda: shop.database.fetch(kill))) == 1
            with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
                await dying
        assert (await shop.balance(master), await shop.balance(sub.account)) == (500, 500)
        await shop.books_balance()
        assert await code(shop, MoveCredit(master, SubAccountKey(token=sub.token), amount)) == "done"


async def test_a_removed_one_gives_its_money_back_and_is_let_in_no_more(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        master, stranger = await shop.account("master"), await shop.account("stranger")
        sub = await made(shop, master, "a@x.fr", credit_micros=3_000_000)
        key = SubAccountKey(token=sub.token)
        for kind, more in ((RemoveSubAccount, ()), (MoveCredit, (5,)), (ChangeSubAccount, ({},))):
            assert await code(shop, kind(stranger, key, *more)) == "not_found"
        assert await code(shop, RemoveSubAccount(master, key)) == "done"
        assert await shop.balance(master) == 100_000_000
        assert await accounts.by_key(shop.database, sub.key) is None
        assert await accounts.by_login(shop.database, "a@x.fr") is None
        for command in (RemoveSubAccount(master, key), MoveCredit(master, key, 5)):
            assert await code(shop, command) == "not_found"
        listed = await answer(shop.database, ReadSubAccounts(master), MOMENT)
        assert listed.entries == ()  # type: ignore[union-attr]
        await shop.books_balance()


async def test_what_the_operator_blocked_stays_blocked(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        master = await shop.account("master")
        sub = await made(shop, master, "a", active=False)
        assert sub.account.state is AccountState.DISABLED
        key = SubAccountKey(login="A")
        change = ChangeSubAccount(master, key, {"company": "New", "details": {"CITY": "Metz"}}, active=True)
        changed = await answer(shop.database, change, MOMENT)
        assert changed.sub_account.account.state is AccountState.ACTIVE  # type: ignore[union-attr]
        await answer(shop.database, ChangeSubAccount(master, key, {"details": {"ZIP": "57000"}}), MOMENT)
        (listed,) = (await answer(shop.database, ReadSubAccounts(master), MOMENT)).entries  # type: ignore[union-attr]
        assert listed.account.settings.details == {"CITY": "Metz", "ZIP": "57000"}
        assert listed.account.settings.company == "New"
        await shop.database.execute("update account set state = 2 where login = 'a'")
        changed = await answer(shop.database, ChangeSubAccount(master, key, {}, active=True), MOMENT)
        assert changed.sub_account.account.state is AccountState.BLOCKED  # type: ignore[union-attr]


async def test_a_key_that_the_operator_renewed_is_not_told(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        master = await shop.account("master")
        await made(shop, master, "a")
        await shop.database.execute("update account set key_sha256 = '\\x00' where login = 'a'")
        (listed,) = (await answer(shop.database, ReadSubAccounts(master), MOMENT)).entries  # type: ignore[union-attr]
        assert listed.key == ""


async def test_a_master_of_many_reads_a_page_quickly(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        master = await shop.account("master")
        await shop.database.execute(
            """insert into account (login, key_sha256, settings)
               select 's' || n, n::text::bytea,
                      jsonb_build_object('master', case when n % 10 = 0 then 'Master' else 'm' end)
               from generate_series(1, 20000) n"""
        )
        await shop.database.execute("analyze account")
        plan = await shop.database.fetch(
            """explain select a.id from account a
               where a.settings ? 'master' and lower(a.settings ->> 'master') = 'master' order by a.id limit 20"""
        )
        assert "account_master" in repr(plan)
        found = await answer(shop.database, ReadSubAccounts(master, 100, 20), MOMENT)
        assert (found.total, len(found.entries)) == (2_000, 20)  # type: ignore[union-attr]
