"""The accounts of a process: found by key, kept while fresh, and every asker is answered."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from shop import opened

from chappe.core.errors import Refusal
from chappe.core.model import Account, AccountState
from chappe.dialects import Credentials
from chappe.embedded.server import ConnectionParameters
from chappe.store import accounts
from chappe.web import accounts as web_accounts
from chappe.web.accounts import FRESH_S, UNKNOWN_FRESH_S, AccountBook
from chappe.web.key_guessing import FREE

pytestmark = pytest.mark.asyncio


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


async def ask(book: AccountBook, key: str, login: str = "", remote: str = "127.0.0.1") -> Any:
    answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    book.find(Credentials(key, login), remote, answer.set_result)
    return await asyncio.wait_for(answer, 60)


def code(answer: Any) -> str:
    assert isinstance(answer, Refusal), answer
    return answer.code


async def test_a_key_is_known_where_it_was_right_before_and_only_while_it_is_fresh(
    database: ConnectionParameters,
) -> None:
    async with opened(database) as shop:
        await shop.account("Demo")
        clock = Clock()
        book = AccountBook(shop.database, clock, "STOP 36180")
        assert book.known(Credentials("key of Demo"), "127.0.0.1") is None
        found = await ask(book, "key of Demo")
        assert book.known(Credentials("key of Demo"), "127.0.0.1") == found
        assert book.known(Credentials("key of Demo"), "127.0.0.2") is None, "never seen from there"
        assert code(book.known(Credentials("key of Demo", "another"), "127.0.0.1")) == "key_unknown"
        clock.now += FRESH_S + 1
        assert book.known(Credentials("key of Demo"), "127.0.0.1") is None
        await ask(book, "key of Demo")
        book.forget()
        assert book.known(Credentials("key of Demo"), "127.0.0.1") is None


async def test_a_key_finds_its_account_and_a_login_must_fit(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        account = await shop.account("Demo")
        book = AccountBook(shop.database, Clock(), "STOP 36180")
        found = await ask(book, "key of Demo")
        assert isinstance(found, Account)
        assert (found.id, found.settings.stop_mention) == (account.id, "STOP 36180")
        assert isinstance(await ask(book, "key of Demo", "dEMO"), Account)
        assert code(await ask(book, "key of Demo", "another")) == "key_unknown"
        assert code(await ask(book, "no key")) == "key_unknown"


async def test_what_is_known_is_kept_until_it_is_old_or_forgotten(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        clock = Clock()
        account = await shop.account()
        book = AccountBook(shop.database, clock, "")
        await ask(book, "key of demo")
        await accounts.save_state(shop.database, account.id, AccountState.BLOCKED, api_enabled=True)
        assert isinstance(await ask(book, "key of demo"), Account)
        clock.now += FRESH_S + 0.1
        assert code(await ask(book, "key of demo")) == "account_blocked"
        await accounts.save_state(shop.database, account.id, AccountState.DISABLED, api_enabled=True)
        book.forget()
        assert code(await ask(book, "key of demo")) == "account_disabled"
        await accounts.save_state(shop.database, account.id, AccountState.ACTIVE, api_enabled=False)
        book.forget()
        assert code(await ask(book, "key of demo")) == "access_denied"
        assert code(await ask(book, "key of new")) == "key_unknown"
        await shop.account("new")
        assert code(await ask(book, "key of new")) == "key_unknown"
        clock.now += UNKNOWN_FRESH_S + 0.1
        assert isinstance(await ask(book, "key of new"), Account)


@pytest.mark.parametrize(
    ("remote", "networks", "is_allowed"),
    [
        ("10.1.2.3", ("10.0.0.0/8",), True),
        ("10.1.2.3", ("10.1.2.99/24",), True),
        ("11.1.2.3", ("10.0.0.0/8", "2001:db8::/32"), False),
        ("2001:db8::1", ("10.0.0.0/8", "2001:db8::/32"), True),
        ("", ("10.0.0.0/8",), False),
        ("10.1.2.3", ("nonsense",), False),
    ],
)
async def test_addresses_are_those_of_the_account(
    database: ConnectionParameters, remote: str, networks: tuple[str, ...], is_allowed: bool
) -> None:
    async with opened(database) as shop:
        await shop.account(addresses_allowed=networks)
        answer = await ask(AccountBook(shop.database, Clock(), ""), "key of demo", remote=remote)
        assert isinstance(answer, Account) if is_allowed else code(answer) == "address_refused"


async def test_every_asker_is_answered_whatever_the_database_says(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        await shop.account()
        await shop.database.execute("""update account set settings = '{"setting_of_tomorrow": 1}'""")
        book = AccountBook(shop.database, Clock(), "")
        for _ in range(2):
            both = await asyncio.gather(ask(book, "key of demo"), ask(book, "key of demo"))
            assert [code(answer) for answer in both] == ["queue_failed"] * 2
        assert code(await ask(book, "a lone \ud800 surrogate")) == "queue_failed"
        await shop.database.execute("update account set settings = '{}'")
        assert isinstance(await ask(book, "key of demo"), Account)
        await shop.database.close()
        assert code(await ask(book, "another key")) == "queue_failed"


async def test_many_at_once_ask_the_database_once(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        await shop.account()
        book = AccountBook(shop.database, Clock(), "")
        answers = await asyncio.gather(*(ask(book, "key of demo") for _ in range(50)))
        assert len({id(answer) for answer in answers}) == 1


# -- wrong keys at speed

ATTACKER = "203.0.113.66"


async def attacked(shop: Any, clock: Clock) -> AccountBook:
    """A book of which an address has tried as many wrong keys as it may."""
    await shop.account()
    await shop.account("neighbour")
    book = AccountBook(shop.database, clock, "")
    assert isinstance(await ask(book, "key of neighbour", remote=ATTACKER), Account)
    answers = [code(await ask(book, f"guess {number}", remote=ATTACKER)) for number in range(FREE + 5)]
    assert answers == ["key_unknown"] * FREE + ["too_many_requests"] * 5
    return book


async def test_who_guesses_keys_is_told_nothing_more_not_even_about_the_right_one(
    database: ConnectionParameters,
) -> None:
    async with opened(database) as shop:
        clock = Clock()
        book = await attacked(shop, clock)
        assert isinstance(await ask(book, "key of demo", remote="198.51.100.1"), Account), "others are served"
        assert code(await ask(book, "key of demo", remote=ATTACKER)) == "too_many_requests", "known or not"
        clock.now += FRESH_S + 1
        assert isinstance(await ask(book, "key of demo", remote=ATTACKER), Account), "and not for ever"


async def test_a_neighbour_at_the_address_of_a_guesser_is_served_on(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        clock = Clock()
        book = await attacked(shop, clock)
        for change in (lambda: None, book.forget, lambda: setattr(clock, "now", clock.now + FRESH_S + 0.1)):
            change()
            for _ in range(200):
                await ask(book, "wrong", remote=ATTACKER)
            assert isinstance(await ask(book, "key of neighbour", remote=ATTACKER), Account)
        await shop.database.execute("delete from balance; delete from ledger_entry; delete from account")
        book.forget()
        assert code(await ask(book, "key of neighbour", remote=ATTACKER)) == "key_unknown"
        assert code(await ask(book, "key of neighbour", remote=ATTACKER)) == "too_many_requests", "no neighbour more"


async def test_the_same_wrong_key_and_a_wrong_login_count_too(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        await shop.account()
        for key, login in (("yesterday's", ""), ("key of demo", "somebody else")):
            book = AccountBook(shop.database, Clock(), "")
            answers = [code(await ask(book, key, login, ATTACKER)) for _ in range(FREE + 1)]
            assert answers == ["key_unknown"] * FREE + ["too_many_requests"]


async def test_many_accounts_behind_one_address_all_get_in_at_once(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        for number in range(FREE * 2):
            await shop.account(f"a{number}")
        book = AccountBook(shop.database, Clock(), "")
        answers = await asyncio.gather(
            *(ask(book, f"key of a{number}", remote="10.0.0.1") for number in range(FREE * 2))
        )
        assert all(isinstance(answer, Account) for answer in answers)


async def test_guesses_do_not_drive_out_what_is_known(
    database: ConnectionParameters, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web_accounts, "UNKNOWN_KEPT_MAX", 20)
    monkeypatch.setattr(web_accounts, "LOOKUPS_MAX", 30)
    async with opened(database) as shop:
        await shop.account()
        book = AccountBook(shop.database, Clock(), "")
        known = await ask(book, "key of demo")
        answers = await asyncio.gather(*(ask(book, f"guess {n}", remote=f"198.51.100.{n}") for n in range(50)))
        assert [code(answer) for answer in answers] == ["key_unknown"] * 30 + ["too_many_requests"] * 20
        assert await ask(book, "key of demo") is known
        assert len(book._unknown) == 20
        assert not book._asked


async def test_an_address_that_used_a_key_is_remembered_in_bounded_memory(
    database: ConnectionParameters, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web_accounts, "REMOTES_MAX", 5)
    async with opened(database) as shop:
        await shop.account()
        book = AccountBook(shop.database, Clock(), "")
        for number in range(50):
            assert isinstance(await ask(book, "key of demo", remote=f"198.51.100.{number}"), Account)
        assert len(book._remotes["key of demo"]) == 5
