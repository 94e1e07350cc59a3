"""Groups of contacts (lists, in another provider's word): what may be asked of them, and what is answered."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec

from chappe.core.account import Account

NAME_CHARACTERS_MAX: Final = 100
FIELDS_MAX: Final = 50  # of one contact
FIELD_CHARACTERS_MAX: Final = 255  # a name or a value
Fields = Mapping[str, str]
"""The fields of a contact besides its number, by name in lower case."""


class GroupKey(msgspec.Struct, frozen=True):
    """Which group of an account: by its id, or by its name in any case of letters (the oldest of that name)."""

    id: int = 0
    name: str = ""


class Group(msgspec.Struct, frozen=True):
    """A group. structure: the names of its contacts' own fields, in their order. locked: the customer's programs may
    add to it and remove nothing."""

    id: int
    name: str
    created_at: datetime
    contacts: int = 0
    locked: bool = False
    structure: tuple[str, ...] = ()


class NewContact(msgspec.Struct, frozen=True):
    """A contact to add. number: E.164, empty where it is none; reason: why it cannot be added, empty if it can: empty,
    number, date, url, field. written: the number as it was given."""

    number: str
    fields: Fields = msgspec.field(default_factory=dict)
    reason: str = ""
    written: str = ""


class Contact(msgspec.Struct, frozen=True):
    """A contact of a group. opted_out: the number is on the account's STOP list now."""

    id: int
    group_id: int
    number: str
    created_at: datetime
    fields: Fields
    opted_out: bool = False


class AddGroup(msgspec.Struct, frozen=True):
    """Make a group. unique: refused where the account has one of this name."""

    account: Account
    name: str
    structure: tuple[str, ...] = ()
    locked: bool = False
    unique: bool = False


class ReadGroups(msgspec.Struct, frozen=True):
    """List the account's groups, oldest first."""

    account: Account


class RemoveGroup(msgspec.Struct, frozen=True):
    """Remove a group with its contacts."""

    account: Account
    group: GroupKey


class AddContacts(msgspec.Struct, frozen=True):
    """Add contacts to a group; those that are in it stay as they are."""

    account: Account
    group: GroupKey
    contacts: tuple[NewContact, ...]


class RemoveContacts(msgspec.Struct, frozen=True):
    """Take the contacts with these numbers out of a group; what else is known of them does not matter."""

    account: Account
    group: GroupKey
    contacts: tuple[NewContact, ...]


class ChangeContact(msgspec.Struct, frozen=True):
    """Change what is known of a contact: fields that are named, and its number unless that is empty. An empty value
    removes a field."""

    account: Account
    id: int
    fields: Fields
    number: str = ""


class RemoveContact(msgspec.Struct, frozen=True):
    """Remove a contact by its id."""

    account: Account
    id: int


class ReadContact(msgspec.Struct, frozen=True):
    """Tell of a contact by its id."""

    account: Account
    id: int


class ReadContacts(msgspec.Struct, frozen=True):
    """List contacts of a group by their ids: page from 1, page_size a page; 0: all."""

    account: Account
    group: GroupKey
    page: int = 1
    page_size: int = 0


class SendToGroup(msgspec.Struct, frozen=True):
    """Send to all contacts of a group, or simulate it. complete: from the group and its contacts, in the order of their
    ids, to the command; pure, and raises Refusal."""

    account: Account
    group: GroupKey
    complete: Callable[[Group, Sequence[Contact]], Any]  # Send or Simulate, which are defined above this module


class GroupAdded(msgspec.Struct, frozen=True):
    group: Group


class Groups(msgspec.Struct, frozen=True):
    entries: tuple[Group, ...]


class ContactResult(msgspec.Struct, frozen=True):
    """The result for one contact to add. id: the contact's, also where it was known; reason: why it was not added: one
    of NewContact, repeated (twice in the request) or known (in the group before)."""

    contact: NewContact
    id: int = 0
    reason: str = ""
    opted_out: bool = False


class ContactsAdded(msgspec.Struct, frozen=True):
    """results: in the order of the command's contacts. at: when."""

    group: Group
    results: tuple[ContactResult, ...]
    at: datetime


class Contacts(msgspec.Struct, frozen=True):
    """total: of the group, over all pages."""

    group: Group
    entries: tuple[Contact, ...]
    total: int


class ContactFound(msgspec.Struct, frozen=True):
    contact: Contact


class ContactsRemoved(msgspec.Struct, frozen=True):
    """How many there were and are no more. ignored: those asked for that were none, or not in the group; repeated:
    those that were asked for twice."""

    contacts: int
    ignored: int = 0
    repeated: int = 0


ContactCommand = (
    AddGroup
    | ReadGroups
    | RemoveGroup
    | AddContacts
    | RemoveContacts
    | ChangeContact
    | RemoveContact
    | ReadContact
    | ReadContacts
    | SendToGroup
)
ContactOutcome = GroupAdded | Groups | ContactsAdded | Contacts | ContactFound | ContactsRemoved
