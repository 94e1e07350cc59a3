"""Groups of contacts as customers make, fill, read and remove them; each is one transaction, whole or not at all."""

from __future__ import annotations

from chappe.core.contacts import (
    AddContacts,
    AddGroup,
    ChangeContact,
    ContactFound,
    ContactResult,
    Contacts,
    ContactsAdded,
    ContactsRemoved,
    Group,
    GroupAdded,
    GroupKey,
    Groups,
    ReadContact,
    ReadContacts,
    ReadGroups,
    RemoveContact,
    RemoveContacts,
    RemoveGroup,
)
from chappe.core.errors import Refusal
from chappe.core.model import Moment
from chappe.store import contacts
from chappe.store.contacts import NumberTaken
from chappe.store.database import Connection, Database


async def add_group(database: Database, command: AddGroup, moment: Moment) -> GroupAdded:
    """Makes a group. Raises Refusal contact_limit; known: there is one of that name, and it was to be the only one."""
    account = command.account
    async with database.transaction() as tx:
        groups, _ = await contacts.hold(tx, account.id)
        most = account.settings.contact_groups_max
        if groups >= most:
            raise Refusal("contact_limit", limit=most)
        if command.unique and await contacts.group_for_update(tx, account.id, GroupKey(name=command.name)):
            raise Refusal("known")
        group = await contacts.add_group(
            tx, account.id, command.name, moment.now, command.structure, locked=command.locked
        )
    return GroupAdded(group)


async def read_groups(database: Database, command: ReadGroups, moment: Moment) -> Groups:
    return Groups(tuple(await contacts.groups(database, command.account.id)))


async def remove_group(database: Database, command: RemoveGroup, moment: Moment) -> ContactsRemoved:
    """Removes a group with its contacts. Raises Refusal not_found, locked."""
    async with database.transaction() as tx:
        group = await _held(tx, command.account.id, command.group, removing=True)
        await contacts.remove_group(tx, group)
    return ContactsRemoved(group.contacts)


async def add_contacts(database: Database, command: AddContacts, moment: Moment) -> ContactsAdded:
    """Adds contacts; says of each what became of it. Raises Refusal not_found, contact_limit."""
    account = command.account
    async with database.transaction() as tx:
        _, held = await contacts.hold(tx, account.id)
        group = await _held(tx, account.id, command.group)
        first: dict[str, int] = {}  # of each number the place where it first stands
        for at, one in enumerate(command.contacts):
            if not one.reason:
                first.setdefault(one.number, at)
        rows = [(number, command.contacts[at].fields) for number, at in first.items()]
        added = await contacts.add(tx, account.id, group, rows, moment.now) if rows else {}
        most = account.settings.contacts_max
        if added and held + len(added) > most:
            raise Refusal("contact_limit", limit=most)
        known = await contacts.ids_of(tx, group, [number for number in first if number not in added])
        stopped = await contacts.opted_out(tx, account.id, list(first))
    results = []
    for at, one in enumerate(command.contacts):
        reason = one.reason
        if not reason and first[one.number] != at:
            reason = "repeated"
        elif not reason and one.number not in added:
            reason = "known"
        ids = known if one.number in known else added
        results.append(ContactResult(one, ids.get(one.number, 0), reason, one.number in stopped))
    return ContactsAdded(group, tuple(results), moment.now)


async def remove_contacts(database: Database, command: RemoveContacts, moment: Moment) -> ContactsRemoved:
    """Takes numbers out of a group. Raises Refusal not_found, locked."""
    async with database.transaction() as tx:
        group = await _held(tx, command.account.id, command.group, removing=True)
        named = [one.number for one in command.contacts if one.number]
        wanted = list(dict.fromkeys(named))
        removed = await contacts.remove(tx, group, wanted)
    repeated = len(named) - len(wanted)
    return ContactsRemoved(removed, len(command.contacts) - removed - repeated, repeated)


async def change_contact(database: Database, command: ChangeContact, moment: Moment) -> ContactFound:
    """Changes a contact and tells of it. Raises Refusal not_found; known: another one has the number."""
    account_id = command.account.id
    async with database.transaction() as tx:
        try:
            await contacts.change(tx, account_id, command.id, command.number, command.fields)
        except NumberTaken:
            raise Refusal("known") from None
        found = await contacts.one(tx, account_id, command.id)
    if found is None:
        raise Refusal("not_found")
    return ContactFound(found)


async def remove_contact(database: Database, command: RemoveContact, moment: Moment) -> ContactsRemoved:
    """Removes a contact. Raises Refusal not_found, locked."""
    account_id = command.account.id
    async with database.transaction() as tx:
        found = await contacts.one(tx, account_id, command.id)
        if found is None:
            raise Refusal("not_found")
        await _held(tx, account_id, GroupKey(found.group_id), removing=True)
        if not await contacts.remove_by_id(tx, account_id, command.id):
            raise Refusal("not_found")
    return ContactsRemoved(1)


async def read_contact(database: Database, command: ReadContact, moment: Moment) -> ContactFound:
    """Tells of a contact. Raises Refusal not_found."""
    found = await contacts.one(database, command.account.id, command.id)
    if found is None:
        raise Refusal("not_found")
    return ContactFound(found)


async def read_contacts(database: Database, command: ReadContacts, moment: Moment) -> Contacts:
    """One page of a group, or all of it. Raises Refusal not_found."""
    group = await contacts.group_of(database, command.account.id, command.group)
    if group is None:
        raise Refusal("not_found")
    entries = await contacts.page(database, group, command.page, command.page_size)
    return Contacts(group, tuple(entries), group.contacts)


async def _held(tx: Connection, account_id: int, key: GroupKey, *, removing: bool = False) -> Group:
    group = await contacts.group_for_update(tx, account_id, key)
    if group is None:
        raise Refusal("not_found")
    if removing and group.locked:
        raise Refusal("locked")
    return group
