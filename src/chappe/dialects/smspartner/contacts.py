"""SMS Partner's groups and contacts: making, filling, reading and removing them, and sending to a group.

A group's id and a contact's id are text on the wire but for `groupId` of a contact's detail. The provider misspells
(`groupe`, `allreadyInGroupe`, `invalidePhone`), and its clients read that.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import date
from functools import partial
from typing import Any, Final

from msgspec.structs import replace

from chappe.core import localtime, numbers, segments
from chappe.core.callback_url import is_callback_url
from chappe.core.contacts import (
    FIELD_CHARACTERS_MAX,
    NAME_CHARACTERS_MAX,
    AddContacts,
    AddGroup,
    ChangeContact,
    Contact,
    ContactFound,
    ContactResult,
    Contacts,
    ContactsAdded,
    ContactsRemoved,
    Fields,
    Group,
    GroupAdded,
    GroupKey,
    Groups,
    NewContact,
    ReadContact,
    ReadContacts,
    ReadGroups,
    RemoveContact,
    RemoveGroup,
    SendToGroup,
)
from chappe.core.errors import Refusal
from chappe.core.http import Response
from chappe.core.model import RECIPIENTS_MAX, Account, AccountSettings, Moment, Send
from chappe.dialects.smspartner import send
from chappe.dialects.smspartner.endpoints import CONTACT_REASONS
from chappe.dialects.smspartner.error_catalogue import WRITTEN_MAX
from chappe.dialects.smspartner.refusals import Violation, Violations
from chappe.dialects.smspartner.render import CData, respond
from chappe.dialects.smspartner.request_parser import Values, items, text

CONTACTS_MAX: Final = 500  # of one request, as the provider has it
PERSON_CHARACTERS_MAX: Final = 32  # firstname, lastname
PAGE_MAX: Final = 1_000_000
# The name on the wire -> the name under which it is stored, in the provider's order.
FIELD_NAMES: Final[Mapping[str, str]] = {
    "firstname": "firstname",
    "lastname": "lastname",
    "url": "url",
    "shortUrlPartnr": "shorturl",
    "date": "date",
    **{f"custom{place}": f"custom{place}" for place in range(1, 5)},
}
_BY_LOWER: Final = {name.lower(): stored for name, stored in FIELD_NAMES.items()}
_LENGTHS: Final = {"firstname": PERSON_CHARACTERS_MAX, "lastname": PERSON_CHARACTERS_MAX}
_ID: Final = re.compile(r"[0-9]{1,18}", re.ASCII).fullmatch
_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII).fullmatch


def read_add_group(values: Values, account: Account, moment: Moment) -> AddGroup:
    name = segments.clean(text(values.get("name")))
    if not name:
        raise Violations((Violation("name", "required"),))
    if len(name) > NAME_CHARACTERS_MAX:
        raise Violations((Violation("name", "invalid", name),))
    return AddGroup(account, name)


def group_added(outcome: GroupAdded, values: Values, settings: AccountSettings, xml: bool) -> Response:
    group = outcome.group
    # The provider prints 2 for code here, in every edition.
    body = {"success": True, "code": 2, "name": CData(group.name), "groupId": CData(group.id)}
    return respond(200, body, xml=xml)


def read_groups(values: Values, account: Account, moment: Moment) -> ReadGroups:
    return ReadGroups(account)


def groups(outcome: Groups, values: Values, settings: AccountSettings, xml: bool) -> Response:
    listed = [
        {
            "id": CData(group.id),
            "name": CData(group.name),
            "createdAt": CData(localtime.with_offset(group.created_at)),
            "isSpecialFile": False,
            "isLocationFile": False,
        }
        for group in outcome.entries
    ]
    return respond(200, {"success": True, "groups": listed}, xml=xml)


def read_remove_group(values: Values, account: Account, moment: Moment) -> RemoveGroup:
    return RemoveGroup(account, _group(values))


def removed(outcome: ContactsRemoved, values: Values, settings: AccountSettings, xml: bool) -> Response:
    return respond(200, {"success": True, "code": 200}, xml=xml)


def read_add(values: Values, account: Account, moment: Moment) -> AddContacts:
    """/contact/add: one contact. Raises Violations with what is wrong with it."""
    group = _group(values)
    contact = _new_contact(_fields(values), account.settings.home)
    if contact.reason:
        raise Violations((Violation("contact", contact.reason, contact.written),))
    return AddContacts(account, group, (contact,))


def added(outcome: ContactsAdded, values: Values, settings: AccountSettings, xml: bool) -> Response:
    """Raises Refusal known."""
    (result,) = outcome.results
    if result.reason:
        raise Refusal("known")
    contact = result.contact
    body = {"success": True, "code": 200, "contact": _given(contact.number, contact.fields, result.id)}
    return respond(200, body, xml=xml)


def read_add_many(values: Values, account: Account, moment: Moment) -> AddContacts:
    """/contact/multiple/add: up to 500 contacts, of which each stands or fails alone."""
    group = _group(values)
    listed = items(values.get("contactsList"))
    if not listed:
        raise Violations((Violation("contact", "required"),))
    if len(listed) > CONTACTS_MAX:
        raise Refusal("recipients_too_many", limit=CONTACTS_MAX)
    home = account.settings.home
    return AddContacts(account, group, tuple([_new_contact(fields, home) for fields in listed]))


def added_many(outcome: ContactsAdded, values: Values, settings: AccountSettings, xml: bool) -> Response:
    results = outcome.results

    def count(*reasons: str) -> int:
        return sum(result.reason in reasons for result in results)

    report = {
        "nbline": len(results),
        "nbline_imported": count(""),
        "nbline_updated": 0,  # a contact that is there stays as it is
        "errors": {
            "stopSms": sum(result.opted_out for result in results if not result.reason),
            "invalidePhone": count("number"),
            "duplicatePhone": count("repeated"),
            "allreadyInGroupe": count("known"),
            "urlInvalide": count("url"),
            "dateInvalide": count("date"),
            "empty": count("empty"),
            "unactivated": 0,  # every country can be in a group
            "dateInvalid": 0,  # the provider has the name twice
        },
    }
    body = {
        "groupe": {"name": CData(outcome.group.name), "token": CData(outcome.group.id)},
        "results": [_result(result, settings) for result in results],
        "rapport": report,
    }
    return respond(200, body, xml=xml)


def read_change(values: Values, account: Account, moment: Moment) -> ChangeContact:
    """/contact/update: what is named changes; an empty value removes it."""
    contact_id = _contact_id(values)
    given = _fields(values)
    number = ""
    if written := text(given.get("phonenumber", given.get("phone"))):
        found = numbers.read(written, account.settings.home)
        if not isinstance(found, numbers.Number):
            raise Violations((Violation("contact", "number", written),))
        number = found.e164
    fields = _known_fields(given)
    if reason := _wrong_field(fields):
        raise Violations((Violation("contact", reason),))
    return ChangeContact(account, contact_id, fields, number)


def changed(outcome: ContactFound, values: Values, settings: AccountSettings, xml: bool) -> Response:
    contact = outcome.contact
    body = {"success": True, "code": 200, "contact": _given(contact.number, contact.fields, contact.id)}
    return respond(200, body, xml=xml)


def read_remove(values: Values, account: Account, moment: Moment) -> RemoveContact:
    return RemoveContact(account, _contact_id(values))


def read_detail(values: Values, account: Account, moment: Moment) -> ReadContact:
    return ReadContact(account, _contact_id(values))


def detail(outcome: ContactFound, values: Values, settings: AccountSettings, xml: bool) -> Response:
    contact = {**_told(outcome.contact), "groupId": outcome.contact.group_id}
    return respond(200, {"success": True, "code": 200, "contact": contact}, xml=xml)


def read_list(values: Values, account: Account, moment: Moment) -> ReadContacts:
    group = _group(values)
    return ReadContacts(account, group, _page(values), account.settings.contact_page_size)


def listed(outcome: Contacts, values: Values, settings: AccountSettings, xml: bool) -> Response:
    body = {
        "success": True,
        "code": 200,
        "currentPage": _page(values),
        "total": CData(outcome.total),
        "datas": [_told(contact) for contact in outcome.entries],
    }
    return respond(200, body, xml=xml)


def read_send(verb: str, values: Values, account: Account, moment: Moment) -> Send | SendToGroup:
    """The command of /send: to numbers, or without any to the group of `groupId`."""
    if verb == "vn/send" or "groupId" not in values or "phoneNumbers" in values:
        return send.read(verb, values, account, moment)
    return SendToGroup(account, _group(values), partial(_complete, verb, values, account, moment))


def _complete(
    verb: str, values: Values, account: Account, moment: Moment, group: Group, members: Sequence[Contact]
) -> Send:
    """The send to a group's contacts. Raises Refusal."""
    if not members:
        raise Refusal("recipients_unusable", skipped=())
    if len(members) > RECIPIENTS_MAX:
        raise Refusal("recipients_too_many", limit=RECIPIENTS_MAX)
    roomy = replace(account, settings=replace(account.settings, numbers_per_request_max=RECIPIENTS_MAX))
    written = [contact.number for contact in members]
    return replace(send.read(verb, {**values, "phoneNumbers": written}, roomy, moment), account=account)


def _group(values: Values) -> GroupKey:
    """Raises Refusal not_found, Violations when it is missing."""
    return GroupKey(_required_id(values, "groupId", "group_id"))


def _contact_id(values: Values) -> int:
    """Raises Refusal not_found, Violations when it is missing."""
    return _required_id(values, "contactId", "contact_id")


def _required_id(values: Values, name: str, field: str) -> int:
    written = text(values.get(name))
    if not written:
        raise Violations((Violation(field, "required"),))
    if not _ID(written) or not int(written):
        raise Refusal("not_found")
    return int(written)


def _page(values: Values) -> int:
    written = text(values.get("page")) or "1"
    page = int(written) if _ID(written) else 0
    if not 1 <= page <= PAGE_MAX:
        raise Violations((Violation("page", "invalid", written),))
    return page


def _fields(values: Values) -> dict[str, Any]:
    """The object `contact`, its names in lower case; in a query or a form it is JSON text. Raises Violations: it is
    missing, or none."""
    given = values.get("contact")
    if isinstance(given, str) and given.lstrip()[:1] == "{":
        try:
            given = json.loads(given)
        except (ValueError, RecursionError):
            given = None
    if not isinstance(given, dict) or not given:
        raise Violations((Violation("contact", "required"),))
    return {name.lower(): value for name, value in given.items() if value is not None}


def _known_fields(given: Mapping[str, Any]) -> dict[str, str]:
    """The given fields that a contact has, under their stored names."""
    return {_BY_LOWER[name]: segments.clean(text(value)) for name, value in given.items() if name in _BY_LOWER}


def _new_contact(given: Mapping[str, Any], home: str) -> NewContact:
    written = segments.clean(text(given.get("phonenumber", given.get("phone"))))[:WRITTEN_MAX]
    number = numbers.read(written, home) if written else None
    fields = {name: value for name, value in _known_fields(given).items() if value}
    if isinstance(number, numbers.Number):
        return NewContact(number.e164, fields, _wrong_field(fields), written)
    return NewContact("", fields, "number" if written else "empty", written)


def _wrong_field(fields: Fields) -> str:
    """Why fields cannot be stored: url, date, field; empty if they can."""
    for name, value in fields.items():
        if len(value) > _LENGTHS.get(name, FIELD_CHARACTERS_MAX):
            return "field"
        if value and name in ("url", "shorturl") and not is_callback_url(value):
            return "url"
        if value and name == "date" and not _is_day(value):
            return "date"
    return ""


def _is_day(written: str) -> bool:
    try:
        return _DAY(written) is not None and bool(date.fromisoformat(written))
    except ValueError:
        return False


def _given(number: str, fields: Fields, contact_id: int) -> dict[str, object]:
    """A contact under the names of the request."""
    named = {name: CData(fields[stored]) for name, stored in FIELD_NAMES.items() if stored in fields}
    return {"phoneNumber": CData(number), **named, "contactId": CData(contact_id)}


def _told(contact: Contact) -> dict[str, object]:
    """A contact under the names of answers."""
    fields = contact.fields
    return {
        "contactId": CData(contact.id),
        "phone": CData(contact.number),
        **{name: CData(fields.get(name, "")) for name in ("firstname", "lastname", "url")},
        "shortUrl": CData(fields.get("shorturl", "")),
        **{name: CData(fields.get(name, "")) for name in ("date", "custom1", "custom2", "custom3", "custom4")},
        "createdAt": CData(localtime.with_offset(contact.created_at)),
        "stopSms": contact.opted_out,
    }


def _result(result: ContactResult, settings: AccountSettings) -> dict[str, object]:
    contact = result.contact
    number = CData(contact.number or contact.written)
    if not result.reason:
        return {"success": True, "code": 200, "phoneNumber": number, "contactId": CData(result.id)}
    answer = CONTACT_REASONS[result.reason]
    sentence = answer.text(settings.message_language).replace("{value}", contact.written)
    return {"success": False, "code": answer.code, "phoneNumber": number, "message": sentence}
