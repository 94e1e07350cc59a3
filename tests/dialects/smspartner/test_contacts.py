"""SMS Partner's groups and contacts on the wire: every page, every code, in JSON and XML, over a real database."""

from __future__ import annotations

import json
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from front import Front, front
from shop import NOW, Shop, opened

from chappe.dialects.smspartner import dialect
from chappe.dialects.smspartner.endpoints import CONTACT_REASONS, PAGES
from chappe.embedded.server import ConnectionParameters
from chappe.store import optouts

ANA = {"phoneNumber": "0612345678", "firstname": "Ana", "lastname": "Roy", "date": "2001-02-28", "url": "https://a.b/"}
E164 = "+33612345678"
UNKNOWN = "999999999"

pytestmark = pytest.mark.asyncio


async def ask(door: Front, call: str, login: str = "demo", /, **values: Any) -> dict[str, Any]:
    body: dict[str, Any] = (await door.post(f"/v1/{call}", {"apiKey": f"key of {login}", **values})).json()
    return body


async def group(door: Front, name: str = "Clients", login: str = "demo") -> str:
    found: str = (await ask(door, "group/add", login, name=name))["groupId"]
    return found


async def test_a_group_and_a_contact_live_as_the_provider_shows_them(database: ConnectionParameters) -> None:
    async with opened(database) as shop, front(shop) as door:
        await shop.account(message_language="en")
        made = await ask(door, "group/add", name="Clients")
        key = made["groupId"]
        assert made == {"success": True, "code": 2, "name": "Clients", "groupId": key}
        (listed,) = (await ask(door, "group/list"))["groups"]
        assert listed.pop("createdAt")[10] == "T"
        assert listed == {"id": key, "name": "Clients", "isSpecialFile": False, "isLocationFile": False}

        added = await ask(door, "contact/add", groupId=key, contact={**ANA, "custom4": "é", "other": "x"})
        contact = added["contact"]["contactId"]
        assert added["contact"] == {**ANA, "phoneNumber": E164, "custom4": "é", "contactId": contact}
        (told,) = (page := await ask(door, "contact/list", groupId=key))["datas"]
        assert (page["success"], page["code"], page["currentPage"], page["total"]) == (True, 200, 1, "1")
        assert list(told) == [
            "contactId", "phone", "firstname", "lastname", "url", "shortUrl", "date",
            "custom1", "custom2", "custom3", "custom4", "createdAt", "stopSms",
        ]  # fmt: skip
        assert (told["phone"], told["custom1"], told["custom4"], told["stopSms"]) == (E164, "", "é", False)

        change = {"phoneNumber": "+33612345679", "lastname": "", "shortUrlPartnr": "https://s.example/x"}
        changed = await ask(door, "contact/update", contactId=contact, contact=change)
        assert (changed["contact"]["phoneNumber"], "lastname" in changed["contact"]) == ("+33612345679", False)
        detail = (await ask(door, "contact/detail", contactId=contact))["contact"]
        assert (detail["firstname"], detail["lastname"], detail["shortUrl"]) == ("Ana", "", "https://s.example/x")
        assert (detail["groupId"], detail["contactId"]) == (int(key), contact)

        assert await ask(door, "contact/delete", contactId=contact) == {"success": True, "code": 200}
        assert (await ask(door, "contact/delete", contactId=contact))["code"] == 404
        assert await ask(door, "groupe/delete", groupId=key) == {"success": True, "code": 200}
        assert (await ask(door, "group/list"))["groups"] == []


async def test_many_are_added_and_each_is_told_of(database: ConnectionParameters) -> None:
    async with opened(database) as shop, front(shop) as door:
        account = await shop.account()
        async with shop.database.transaction() as tx:
            await optouts.add(tx, account.id, "+33611111111", NOW, "api", "manual")
        key = await group(door)
        await ask(door, "contact/add", groupId=key, contact=ANA)
        contacts: list[dict[str, Any]] = [
            ANA, {"phoneNumber": "+33611111111"}, {"phoneNumber": "0622222222"}, {"phoneNumber": "+33622222222"},
            {"phoneNumber": "nobody"}, {"firstname": "Luc"}, {"phoneNumber": "0633333333", "url": "ftp://x"},
            {"phoneNumber": "0633333333", "date": "31/12/2001"}, {"phoneNumber": "0633333333", "date": "2001-02-30"},
            {"phoneNumber": "0633333333", "firstname": "x" * 33}, {"phoneNumber": "0644444444", "custom1": "y"},
        ]  # fmt: skip
        # Some pages of the provider print /contact/add for the batch.
        for page in ("contact/add", "contact/multiple/add"):
            told = await ask(door, page, groupId=key, contactsList=contacts)
            first = page == "contact/add"
            assert told["groupe"] == {"name": "Clients", "token": key}
            assert [one["code"] for one in told["results"]] == [
                15, *((200, 200, 15) if first else (15, 15, 15)), 9, 9, 9, 9, 9, 9, 200 if first else 15,
            ]  # fmt: skip
            assert all(one["contactId"] if one["success"] else one["message"] for one in told["results"])
            assert told["rapport"] == {
                "nbline": 11,
                "nbline_imported": 3 if first else 0,
                "nbline_updated": 0,
                "errors": {
                    "stopSms": 1 if first else 0, "invalidePhone": 1, "duplicatePhone": 1,
                    "allreadyInGroupe": 1 if first else 4, "urlInvalide": 1, "dateInvalide": 2, "empty": 1,
                    "unactivated": 0, "dateInvalid": 0,
                },
            }  # fmt: skip
        listed = (await ask(door, "contact/list", groupId=key))["datas"]
        assert {one["phone"]: one["stopSms"] for one in listed}["+33611111111"] is True
        assert len(listed) == 4


# Page, values ({group} and {contact} stand for what is there), code and status.
REFUSED: list[tuple[str, dict[str, Any], int, int]] = [
    ("group/add", {}, 1, 400),
    ("group/add", {"name": "x" * 101}, 9, 400),
    ("groupe/delete", {}, 1, 400),
    ("groupe/delete", {"groupId": UNKNOWN}, 404, 404),
    ("groupe/delete", {"groupId": "x"}, 404, 404),
    ("group/delete", {"groupId": UNKNOWN}, 404, 404),
    ("contact/add", {"contact": ANA}, 1, 400),
    ("contact/add", {"groupId": "{group}"}, 2, 400),
    ("contact/add", {"groupId": "{group}", "contact": "x"}, 2, 400),
    ("contact/add", {"groupId": "{group}", "contact": {"firstname": "Ana"}}, 9, 400),
    ("contact/add", {"groupId": "{group}", "contact": {**ANA, "phoneNumber": "12"}}, 9, 400),
    ("contact/add", {"groupId": "{group}", "contact": {**ANA, "url": "x"}}, 9, 400),
    ("contact/add", {"groupId": "{group}", "contact": {**ANA, "date": "2001"}}, 9, 400),
    ("contact/add", {"groupId": "{group}", "contact": {**ANA, "custom1": "x" * 256}}, 9, 400),
    ("contact/add", {"groupId": "{group}", "contact": ANA}, 15, 400),
    ("contact/add", {"groupId": UNKNOWN, "contact": ANA}, 404, 404),
    ("contact/multiple/add", {"contactsList": [ANA]}, 1, 400),
    ("contact/multiple/add", {"groupId": "{group}"}, 2, 400),
    ("contact/multiple/add", {"groupId": "{group}", "contactsList": []}, 2, 400),
    ("contact/multiple/add", {"groupId": UNKNOWN, "contactsList": [ANA]}, 404, 404),
    ("contact/multiple/add", {"groupId": "{group}", "contactsList": [ANA] * 501}, 50, 400),
    ("contact/update", {"contact": ANA}, 1, 400),
    ("contact/update", {"contactId": "{contact}"}, 2, 400),
    ("contact/update", {"contactId": "{contact}", "contact": {"phoneNumber": "x"}}, 9, 400),
    ("contact/update", {"contactId": "{contact}", "contact": {"date": "x"}}, 9, 400),
    ("contact/update", {"contactId": "{contact}", "contact": {"phoneNumber": "0612345679"}}, 15, 400),
    ("contact/update", {"contactId": UNKNOWN, "contact": ANA}, 404, 404),
    ("contact/delete", {}, 1, 400),
    ("contact/delete", {"contactId": UNKNOWN}, 404, 404),
    ("contact/list", {}, 1, 400),
    ("contact/list", {"groupId": "{group}", "page": 0}, 6, 400),
    ("contact/list", {"groupId": UNKNOWN}, 404, 404),
    ("contact/detail", {}, 1, 400),
    ("contact/detail", {"contactId": UNKNOWN}, 404, 404),
    ("send", {"groupId": UNKNOWN, "message": "hi"}, 404, 404),
    ("send", {"groupId": "{empty}", "message": "hi"}, 55, 400),
    ("send", {"groupId": "{group}"}, 9, 400),
]


async def test_every_refusal_has_its_code_in_both_forms(database: ConnectionParameters) -> None:
    async with opened(database) as shop, front(shop) as door:
        await shop.account()
        key, empty = await group(door), await group(door, "Empty")
        contact = (await ask(door, "contact/add", groupId=key, contact=ANA))["contact"]["contactId"]
        await ask(door, "contact/add", groupId=key, contact={"phoneNumber": "0612345679"})
        for page, values, code, status in REFUSED:
            filled = json.loads(
                json.dumps(values).replace("{group}", key).replace("{contact}", contact).replace("{empty}", empty)
            )
            said = {"apiKey": "key of demo", **filled}
            answer = await door.post(f"/v1/{page}", said)
            assert (answer.status, answer.json()["code"]) == (status, code), (page, values, answer)
            xml = await door.post(f"/v1/{page}?_format=xml", said)
            root = ET.fromstring(xml.body)
            assert (xml.status, root[0].text, root[1].text) == (status, "false", str(code)), (page, values)
    reached = {(page, code) for page, _, code, _ in REFUSED}
    pages = [page for page in PAGES if page.startswith(("group", "contact"))]
    assert {(page, answer.code) for page in pages for answer in PAGES[page].values()} <= reached
    assert {15, 9} == {answer.code for answer in CONTACT_REASONS.values()}
    assert all(page in dialect.PAGES for page in pages)


async def test_limits_are_refusals_and_leave_nothing_behind(database: ConnectionParameters) -> None:
    async with opened(database) as shop, front(shop) as door:
        await shop.account(contact_groups_max=2, contacts_max=3)
        one, two = await group(door), await group(door)
        assert (await ask(door, "group/add", name="third"))["code"] == 429
        people = [{"phoneNumber": f"061234567{digit}"} for digit in range(4)]
        assert (await ask(door, "contact/multiple/add", groupId=one, contactsList=people))["code"] == 429
        assert (await ask(door, "contact/list", groupId=one))["total"] == "0"
        await ask(door, "contact/multiple/add", groupId=one, contactsList=people[:2])
        assert (await ask(door, "contact/multiple/add", groupId=two, contactsList=people[:2]))["code"] == 429
        assert (await ask(door, "contact/add", groupId=two, contact=people[0]))["code"] == 200


async def test_pages_have_their_size_and_their_order(database: ConnectionParameters) -> None:
    async with opened(database) as shop, front(shop) as door:
        await shop.account(contact_page_size=2)
        key = await group(door)
        people = [{"phoneNumber": f"061234567{digit}"} for digit in range(5)]
        await ask(door, "contact/multiple/add", groupId=key, contactsList=people)
        pages = [(await ask(door, "contact/list", groupId=key, page=page))["datas"] for page in (1, 2, 3, 4)]
        assert [[one["phone"][-1] for one in page] for page in pages] == [["0", "1"], ["2", "3"], ["4"], []]


async def sent_to(shop: Shop, submission_id: int) -> list[str]:
    rows = await shop.database.fetch(
        "select recipient, state from message where id >> 16 = $1 order by id", submission_id
    )
    return [row["recipient"] for row in rows]


async def test_a_group_is_sent_to_like_a_list_of_numbers(database: ConnectionParameters) -> None:
    async with opened(database) as shop, front(shop) as door:
        account = await shop.account(transactional=True, numbers_per_request_max=10)
        await shop.carrier()
        key = await group(door)
        people = [{"phoneNumber": f"0612345{place:03d}"} for place in range(200)]
        await ask(door, "contact/multiple/add", groupId=key, contactsList=[*people, {"phoneNumber": "+33140000001"}])
        async with shop.database.transaction() as tx:
            await optouts.add(tx, account.id, "+33612345007", NOW, "reply", "stop")
        told = await ask(door, "send", groupId=key, message="Bonjour", sender="SHOP")
        assert (told["success"], told["nb_sms"], told["cost"]) == (True, 199, 7.562)
        assert len(await sent_to(shop, told["message_id"])) == 201, (
            "the landline and the STOP are kept with their reason"
        )
        # Numbers that are given win over a group, as a body wins over a query.
        told = await ask(door, "send", groupId=key, phoneNumbers="0698765432", message="Bonjour")
        assert await sent_to(shop, told["message_id"]) == ["+33698765432"]
        await shop.books_balance()


async def test_a_large_group_stays_quick_and_one_that_is_too_large_is_refused(database: ConnectionParameters) -> None:
    async with opened(database) as shop, front(shop) as door:
        account = await shop.account(transactional=True, balance_micros=10_000_000_000, spend_per_hour_micros=0,
                                     spend_per_day_micros=0)  # fmt: skip
        await shop.carrier()
        large, others = await group(door), await group(door, "Others")
        await shop.database.execute(
            """insert into contact (account_id, group_id, number, created_at)
               select $1, g, '+336' || lpad(n::text, 8, '0'), now()
               from generate_series(1, 200000) n, unnest($2::bigint[]) g""",
            account.id,
            [int(large), int(others)],
        )
        await shop.database.execute("update contact_group set contacts = 200000")
        await shop.database.execute("analyze contact")
        plan = await shop.database.fetch(
            "explain select id from contact where group_id = $1 order by id offset 199000 limit 500", int(large)
        )
        assert "Seq Scan" not in repr(plan)
        assert "Sort" not in repr(plan)
        last = await ask(door, "contact/list", groupId=large, page=400)
        assert (last["total"], len(last["datas"]), last["datas"][-1]["phone"]) == ("200000", 500, "+33600200000")
        assert (await ask(door, "send", groupId=large, message="hi", sender="SHOP"))["code"] == 50
        await shop.database.execute("delete from contact where group_id = $1 and id % 10 <> 0", int(others))
        told = await ask(door, "send", groupId=others, message="hi", sender="SHOP")
        assert (told["success"], told["nb_sms"]) == (True, 20_000)
        assert await ask(door, "groupe/delete", groupId=large) == {"success": True, "code": 200}
        await shop.books_balance()
