"""The contact lists of AllMySMS 9.0: making, filling, reading and removing them, and sending to one."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from msgspec.structs import replace

from chappe.core import localtime, numbers
from chappe.core.contacts import (
    FIELD_CHARACTERS_MAX,
    FIELDS_MAX,
    NAME_CHARACTERS_MAX,
    AddContacts,
    AddGroup,
    Contact,
    Contacts,
    ContactsAdded,
    ContactsRemoved,
    Group,
    GroupAdded,
    GroupKey,
    Groups,
    NewContact,
    ReadContacts,
    ReadGroups,
    RemoveContacts,
    RemoveGroup,
)
from chappe.core.errors import Refusal
from chappe.core.model import RECIPIENTS_MAX, Account, Command, Moment, Send
from chappe.dialects import Call
from chappe.dialects.allmysms import data
from chappe.dialects.allmysms.data import Data
from chappe.dialects.allmysms.flow import Block
from chappe.dialects.allmysms.refusals import AllMySmsRefusal
from chappe.dialects.allmysms.render import Fields, Row
from chappe.dialects.allmysms.send import Wish, is_yes, send
from chappe.dialects.allmysms.subaccounts import of_sub_account

DONE: Final = "1"
PERSON: Final = ("firstname", "lastname")
_NUMBER: Final = "MOBILEPHONE"
_FIELD: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}", re.ASCII).fullmatch  # it becomes the name of an XML element

Values = Mapping[str, str]


def read_create(values: Values, account: Account, moment: Moment) -> Command:
    given = data.read(values.get("listdata", ""))
    structure = [data.required(field, "FIELDNAME", 64) for field in data.objects(given, "STRUCTURE")]
    if len(structure) > FIELDS_MAX or not all(_FIELD(name) for name in structure):
        raise AllMySmsRefusal("flow_invalid", tag="FIELDNAME")
    locked = is_yes(data.text(given, "LOCKED"))
    return _whose(AddGroup(account, _name(given), tuple(structure), locked, unique=True), given, account)


def read_populate(values: Values, account: Account, moment: Moment) -> Command:
    given = data.read(values.get("populatedata", ""))
    return _whose(AddContacts(account, GroupKey(name=_name(given)), _contacts(given, account)), given, account)


def read_delete_contacts(values: Values, account: Account, moment: Moment) -> Command:
    given = data.read(values.get("deletedata", ""))
    return _whose(RemoveContacts(account, GroupKey(name=_name(given)), _contacts(given, account)), given, account)


def read_delete_list(values: Values, account: Account, moment: Moment) -> Command:
    return RemoveGroup(account, _key(values))


def read_lists(values: Values, account: Account, moment: Moment) -> Command:
    return ReadGroups(account)


def read_contacts(values: Values, account: Account, moment: Moment) -> Command:
    return ReadContacts(account, _key(values))


def created(outcome: GroupAdded, call: Call) -> Fields:
    return {"status": DONE, "statusText": "OK"}


def removed(outcome: ContactsRemoved, call: Call) -> Fields:
    return {"status": DONE, "statusText": "OK"}


def populated(outcome: ContactsAdded, call: Call) -> Fields:
    reasons = [result.reason for result in outcome.results]
    duplicated = sum(reason in ("repeated", "known") for reason in reasons)
    return _counts(reasons.count(""), len(reasons) - reasons.count("") - duplicated, duplicated)


def contacts_deleted(outcome: ContactsRemoved, call: Call) -> Fields:
    return _counts(outcome.contacts, outcome.ignored, outcome.repeated)


def lists(outcome: Groups, call: Call) -> Fields:
    return {
        "lists": [
            {
                "listName": group.name,
                "contacts": str(group.contacts),
                "locked": str(int(group.locked)),
                "creationDate": localtime.written(group.created_at)[:10],
            }
            for group in outcome.entries
        ]
    }


def contacts(outcome: Contacts, call: Call) -> Fields:
    own = {name.lower(): name for name in outcome.group.structure}
    return {"contacts": [_told(contact, own) for contact in outcome.entries]}


def complete(wish: Wish, account: Account, group: Group, members: Sequence[Contact]) -> Send:
    """The send of a wish without recipients to a list. `#param_n#` is the n-th field of the list's structure; of a list
    without one the first name and the last name. Raises Refusal."""
    if not members:
        raise Refusal("recipients_unusable", skipped=())
    if len(members) > RECIPIENTS_MAX:
        raise Refusal("recipients_too_many")
    names = [name.lower() for name in group.structure] or PERSON
    blocks = [
        Block((member.number,), {place: member.fields.get(name, "") for place, name in enumerate(names, 1)})
        for member in members
    ]
    roomy = replace(account, settings=replace(account.settings, numbers_per_request_allmysms_max=RECIPIENTS_MAX))
    return replace(send(wish._replace(blocks=tuple(blocks)), roomy), account=account)


def _name(given: Data) -> str:
    return data.required(given, "LISTNAME", NAME_CHARACTERS_MAX)


def _key(values: Values) -> GroupKey:
    """Raises Refusal flow_invalid: no name was given."""
    name = values.get("listname", "")
    if not name or len(name) > NAME_CHARACTERS_MAX or not name.isprintable():
        raise Refusal("not_found")
    return GroupKey(name=name)


def _whose(command: Command, given: Data, account: Account) -> Command:
    """The command, or the same for the sub-account that the data name."""
    return of_sub_account(command, data.text(given, "SUBACCOUNT"), account)


def _contacts(given: Data, account: Account) -> tuple[NewContact, ...]:
    listed = data.objects(given, "CONTACTS")
    if not listed:
        raise AllMySmsRefusal("flow_invalid", tag="CONTACTS")
    return tuple([_contact(fields, account.settings.home) for fields in listed])


def _contact(given: dict[str, object], home: str) -> NewContact:
    written = data.text(given, _NUMBER)
    number = numbers.read(written, home) if written else None
    fields = {
        name.lower(): data.text(given, name) for name in list(given)[:FIELDS_MAX] if name != _NUMBER and _FIELD(name)
    }
    if any(len(value) > FIELD_CHARACTERS_MAX for value in fields.values()):
        return NewContact("", reason="field")
    if not isinstance(number, numbers.Number):
        return NewContact("", reason="number" if written else "empty")
    return NewContact(number.e164, {name: value for name, value in fields.items() if value})


def _told(contact: Contact, own: Mapping[str, str]) -> Row:
    """A contact with its own fields, which keep the letters that the list's structure gives them."""
    fields = contact.fields
    row = {
        "MobilePhone": contact.number.removeprefix("+"),
        "Firstname": fields.get("firstname", ""),
        "Lastname": fields.get("lastname", ""),
    }
    row |= {name: fields.get(lower, "") for lower, name in own.items() if lower not in PERSON}
    return row | {name.upper(): value for name, value in fields.items() if name not in own and name not in PERSON}


def _counts(success: int, ignored: int, duplicated: int) -> Fields:
    return {"status": DONE, "statusText": "OK", "success": success, "ignored": ignored, "duplicated": duplicated}
