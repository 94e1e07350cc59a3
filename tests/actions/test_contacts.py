"""Groups of contacts in the database: counts stay right with several clients at once, and nothing is half done."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import pytest
from shop import NOW, Shop, eventually, opened

from chappe.actions import contacts
from chappe.actions.queries import answer
from chappe.core.contacts import (
    AddContacts,
    AddGroup,
    Group,
    GroupAdded,
    GroupKey,
    NewContact,
    ReadContacts,
    RemoveContacts,
    RemoveGroup,
)
from chappe.core.errors import Refusal
from chappe.core.model import Account, Moment, OfSubAccount
from chappe.embedded.server import ConnectionParameters

MOMENT = Moment(NOW)
pytestmark = pytest.mark.asyncio


async def made(shop: Shop, account: Account, name: str = "Clients", **given: Any) -> Group:
    outcome = await answer(shop.database, AddGroup(account, name, **given), MOMENT)
    assert isinstance(outcome, GroupAdded)
    return outcome.group


def people(first: int, count: int) -> tuple[NewContact, ...]:
    return tuple(NewContact(f"+336{place:08d}") for place in range(first, first + count))


async def counts_are_right(shop: Shop) -> None:
    wrong = await shop.database.fetch(
        """select g.id, g.contacts, count(c.id) from contact_group g left join contact c on c.group_id = g.id
           group by g.id having g.contacts <> count(c.id)"""
    )
    assert wrong == []


async def test_who_adds_and_removes_at_once_leaves_a_right_count(database: ConnectionParameters) -> None:
    async with opened(database, ordinary=6) as shop:
        account = await shop.account()
        group = await made(shop, account)
        key = GroupKey(group.id)
        await asyncio.gather(
            *(answer(shop.database, AddContacts(account, key, people(10 * n, 30)), MOMENT) for n in range(20)),
            *(answer(shop.database, RemoveContacts(account, key, people(25 * n, 5)), MOMENT) for n in range(20)),
        )
        await counts_are_right(shop)
        await answer(shop.database, RemoveContacts(account, key, people(0, 500)), MOMENT)
        found = await contacts.read_contacts(shop.database, ReadContacts(account, key), MOMENT)
        assert (found.entries, found.total) == ((), 0)


async def test_of_two_lists_of_one_name_at_once_one_is_made(database: ConnectionParameters) -> None:
    async with opened(database, ordinary=4) as shop:
        account = await shop.account()
        outcomes = await asyncio.gather(
            *(made(shop, account, name, unique=True) for name in ("Liste", "LISTE", "liste")), return_exceptions=True
        )
        codes = [outcome.code for outcome in outcomes if isinstance(outcome, Refusal)]
        assert codes == ["known", "known"]


async def test_an_import_that_dies_leaves_nothing(database: ConnectionParameters) -> None:
    """Its connection is ended by the server in the middle, as the death of the process ends it."""
    async with opened(database, ordinary=3) as shop:
        account = await shop.account()
        group = await made(shop, account)
        async with shop.database.transaction() as blocker:  # holds the STOP list, which is asked last
            await blocker.execute("lock table opt_out")
            dying = asyncio.create_task(
                answer(shop.database, AddContacts(account, GroupKey(group.id), people(0, 500)), MOMENT)
            )
            kill = """select pg_terminate_backend(pid) from pg_stat_activity
                      where wait_event_type = 'Lock' and query like '%opt_out%' and pid <> pg_backend_pid()"""
            assert len(await eventually(lambda: shop.database.fetch(kill))) == 1
            with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
                await dying
        await counts_are_right(shop)
        found = await contacts.read_contacts(shop.database, ReadContacts(account, GroupKey(group.id)), MOMENT)
        assert found.entries == ()
        added = await contacts.add_contacts(
            shop.database, AddContacts(account, GroupKey(group.id), people(0, 500)), MOMENT
        )
        assert {result.reason for result in added.results} == {""}


async def test_a_locked_list_is_added_to_and_loses_nothing(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        account = await shop.account()
        key = GroupKey(name="KEPT")
        await made(shop, account, "Kept", locked=True)
        await answer(shop.database, AddContacts(account, key, people(0, 3)), MOMENT)
        for command in (RemoveContacts(account, key, people(0, 1)), RemoveGroup(account, key)):
            with pytest.raises(Refusal) as refused:
                await answer(shop.database, command, MOMENT)
            assert refused.value.code == "locked"
        await counts_are_right(shop)


async def test_a_master_fills_the_lists_of_its_sub_account_and_nobody_else_does(
    database: ConnectionParameters,
) -> None:
    async with opened(database) as shop:
        master, stranger = await shop.account("master"), await shop.account("stranger")
        below = await shop.account("below", master="master")
        await answer(shop.database, OfSubAccount(master, "below", AddGroup(master, "Clients")), MOMENT)
        filled = AddContacts(master, GroupKey(name="clients"), people(0, 2))
        await answer(shop.database, OfSubAccount(master, "below", filled), MOMENT)
        with pytest.raises(Refusal):
            await answer(shop.database, OfSubAccount(stranger, "below", filled), MOMENT)
        with pytest.raises(Refusal):
            await answer(shop.database, filled, MOMENT)
        found = await contacts.read_contacts(shop.database, ReadContacts(below, GroupKey(name="Clients")), MOMENT)
        assert found.total == 2
