"""Accounts in the database: found by key or login, credited with a reason, never below zero."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from shop import PRICE, Shop, later, opened

from chappe.core.model import AccountSettings, AccountState
from chappe.embedded.server import ConnectionParameters
from chappe.store import accounts
from chappe.store.accounts import LoginTaken

pytestmark = [pytest.mark.asyncio, pytest.mark.every_postgres]


async def test_an_account_is_found_by_its_key_and_its_login_only(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        made = await shop.account("Demo", 5_000_000, sender="SHOP", prices={"33": 7, "1": None})
        found = await accounts.by_key(shop.database, "key of Demo")
        assert found == made
        assert (made.settings.sender, made.settings.prices, made.balance_micros) == (
            "SHOP",
            {"33": 7, "1": None},
            5_000_000,
        )
        assert await accounts.by_login(shop.database, "dEMO") == made
        assert await accounts.by_key(shop.database, "Key of Demo") is None
        assert await accounts.by_key(shop.database, "") is None
        stored = await shop.database.value("select key_sha256 from account")
        assert b"key of" not in stored
        await shop.books_balance()


async def test_a_login_and_a_key_are_taken_once(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        await shop.account("demo")
        for login, key in (("DEMO", "another"), ("another", "key of demo")):
            with pytest.raises(LoginTaken):
                async with shop.database.transaction() as tx:
                    await accounts.create(tx, login, key, AccountSettings())
        assert [account.login for account in await accounts.all_accounts(shop.database)] == ["demo"]


async def test_credit_has_its_entry_and_never_falls_below_zero(database: ConnectionParameters) -> None:
    async with opened(database, ordinary=6) as shop:
        account = await shop.account(balance_micros=10)

        async def change(amount: int) -> int | None:
            async with shop.database.transaction() as tx:
                return await accounts.credit(tx, account.id, amount, "note")

        assert await change(5) == 15
        assert await change(-16) is None
        taken = await asyncio.gather(*(change(-4) for _ in range(6)))
        assert sorted(one for one in taken if one is not None) == [3, 7, 11]
        notes = await shop.database.fetch("select note from ledger_entry where kind = 3 order by reason")
        assert [row["note"] for row in notes] == ["opening balance", *["note"] * 4]
        await shop.books_balance()


async def test_a_balance_counts_the_parts_that_wait(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        account, other = await shop.account("a"), await shop.account("b")
        await shop.carrier()
        await shop.messages(account, 2, parts=3)
        await shop.messages(account, 1, scheduled_at=later(hours=1))
        await shop.messages(other, 5)
        assert await accounts.balance(shop.database, account.id) == (100_000_000 - 7 * PRICE, 7)


async def test_state_and_settings_are_kept(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        account = await shop.account()
        await accounts.save_state(shop.database, account.id, AccountState.BLOCKED, api_enabled=False)
        await accounts.save_settings(shop.database, account.id, AccountSettings(window="none", email="a@b"))
        found = await accounts.by_login(shop.database, "demo")
        assert found is not None
        assert (found.state, found.api_enabled, found.settings.email) == (AccountState.BLOCKED, False, "a@b")


async def test_every_node_has_the_same_secret_and_every_installation_another(database: ConnectionParameters) -> None:
    async with opened(database) as one, opened(database) as two:
        secret = await accounts.installation_secret(one.database)
        assert secret == await accounts.installation_secret(two.database)
        assert len(secret) == 32


PRICES = {"price_premium_micros": 41_000}


async def _set(shop: Shop, own: dict[str, Any], copied: dict[str, Any] | None = None) -> bool:
    async with shop.database.transaction() as tx:
        return await accounts.set_defaults(tx, own, copied or {})


async def test_a_default_holds_at_once_for_whoever_has_nothing_of_his_own(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        await shop.account("own", price_premium_micros=50_000, prices={"49": 1, "33": 2})
        await shop.account("plain")
        assert await _set(shop, {**PRICES, "message_language": "en", "prices": {"33": 9, "32": 8}})
        own, plain = [await accounts.by_login(shop.database, login) for login in ("own", "plain")]
        assert own is not None
        assert plain is not None
        assert (own.settings.price_premium_micros, plain.settings.price_premium_micros) == (50_000, 41_000)
        assert (own.settings.message_language, plain.settings.message_language) == ("en", "en")
        assert (own.settings.prices, plain.settings.prices) == ({"33": 2, "32": 8, "49": 1}, {"33": 9, "32": 8})
        assert (await accounts.by_key(shop.database, "key of plain")) == plain
        assert (await accounts.all_accounts(shop.database)) == [own, plain]
        assert await accounts.defaults(shop.database) == plain.settings
        assert not await _set(shop, {**PRICES, "message_language": "en", "prices": {"33": 9, "32": 8}})
        assert await _set(shop, {})
        assert (await accounts.by_login(shop.database, "plain")).settings == AccountSettings()  # type: ignore[union-attr]


async def test_a_price_that_was_copied_into_an_account_follows_the_installation(database: ConnectionParameters) -> None:
    """Earlier versions wrote the configured prices into each account when it was made."""
    async with opened(database) as shop:
        await shop.account("copied", price_premium_micros=45_000)
        await shop.account("own", price_premium_micros=50_000)
        await _set(shop, {"price_premium_micros": 45_000}, {"price_premium_micros": 45_000})
        await _set(shop, PRICES, PRICES)
        found = {a.login: a.settings.price_premium_micros for a in await accounts.all_accounts(shop.database)}
        assert found == {"copied": 41_000, "own": 50_000}
        await shop.account("later", price_premium_micros=41_000)  # the operator's word, not a copy
        await _set(shop, {"price_premium_micros": 30_000}, {"price_premium_micros": 41_000})
        found = {a.login: a.settings.price_premium_micros for a in await accounts.all_accounts(shop.database)}
        assert found == {"copied": 30_000, "own": 50_000, "later": 41_000}
