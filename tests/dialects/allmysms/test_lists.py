"""The lists of AllMySMS 9.0 on the wire: every method in JSON and XML, what each refuses, and sending to a list."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from typing import Any

import pytest
from front import Answer, Front, front
from shop import opened

from chappe.embedded.server import ConnectionParameters

pytestmark = pytest.mark.asyncio


async def call(door: Front, method: str, login: str = "demo", /, **values: str) -> Answer:
    return await door.form(f"/http/9.0/{method}", login=login, apiKey=f"key of {login}", **values)


async def ask(door: Front, method: str, login: str = "demo", /, **values: str) -> dict[str, Any]:
    found: dict[str, Any] = (await call(door, method, login, **values)).json()
    return found


def data(**fields: Any) -> str:
    return json.dumps({"DATA": fields})


def contacts(name: str, *people: dict[str, Any], **more: Any) -> str:
    return data(LISTNAME=name, CONTACTS=list(people), **more)


ANA = {"MOBILEPHONE": "0612345678", "FIRSTNAME": "Ana", "LastName": "Roy", "Ville": "Épinal", "shoe": 39}
STRUCTURE = [{"FIELDNAME": "Ville", "FILTER": 1, "MAILING": "0"}, {"FIELDNAME": "Code"}]


async def test_a_list_is_made_filled_read_emptied_and_removed(database: ConnectionParameters) -> None:
    async with opened(database) as shop, front(shop) as door:
        await shop.account(message_language="en")
        made = await ask(door, "createList", listData=data(LISTNAME="Clients", LOCKED="0", STRUCTURE=STRUCTURE))
        assert made == {"status": "1", "statusText": "OK"}
        people = [ANA, {"MOBILEPHONE": "+33612345678"}, {"MOBILEPHONE": "x"}, {}, {"MOBILEPHONE": "0687654321"}]
        filled = await ask(door, "populateList", populateData=contacts("clients", *people))
        assert filled == {"status": "1", "statusText": "OK", "success": 2, "ignored": 2, "duplicated": 1}
        # One client calls createList for it.
        again = await ask(door, "createList", populateData=contacts("Clients", ANA))
        assert (again["success"], again["duplicated"]) == (0, 1)
        (told,) = (await ask(door, "getLists"))["lists"]
        assert told.pop("creationDate")[4] == "-"
        assert told == {"listName": "Clients", "contacts": "2", "locked": "0"}
        first, second = (await ask(door, "getContacts", listName="CLIENTS"))["contacts"]
        assert first == {
            "MobilePhone": "33612345678", "Firstname": "Ana", "Lastname": "Roy",
            "Ville": "Épinal", "Code": "", "SHOE": "39",
        }  # fmt: skip
        assert (second["MobilePhone"], second["Ville"]) == ("33687654321", "")
        root = ET.fromstring((await call(door, "getContacts", listName="Clients", returnformat="xml")).body)
        assert [item.findtext("Ville") for item in root.findall("contacts/item")] == ["Épinal", ""]
        gone = await ask(
            door, "deleteContacts", deleteData=contacts("Clients", ANA, ANA, {"MOBILEPHONE": "0600000000"})
        )
        assert gone == {"status": "1", "statusText": "OK", "success": 1, "ignored": 1, "duplicated": 1}
        assert (await ask(door, "deleteList", listName="Clients"))["status"] == "1"
        assert await ask(door, "getLists") == {"lists": []}


@pytest.mark.parametrize(
    ("method", "values"),
    [
        ("createList", {}),
        ("createList", {"listData": "{"}),
        ("createList", {"listData": "[]"}),
        ("createList", {"listData": data()}),
        ("createList", {"listData": data(LISTNAME="")}),
        ("createList", {"listData": data(LISTNAME=["a"])}),
        ("createList", {"listData": data(LISTNAME="x" * 101)}),
        ("createList", {"listData": data(LISTNAME="a", STRUCTURE=[{"FIELDNAME": "<b>"}])}),
        ("createList", {"listData": data(LISTNAME="a", STRUCTURE=["b"])}),
        ("createList", {"listData": data(LISTNAME="a", STRUCTURE=[{"FIELDNAME": f"f{n}"} for n in range(51)])}),
        ("createList", {"listData": data(LISTNAME="Known")}),
        ("createList", {"listData": data(LISTNAME="a", SUBACCOUNT="stranger")}),
        ("populateList", {}),
        ("populateList", {"populateData": contacts("none", ANA)}),
        ("populateList", {"populateData": contacts("Known")}),
        ("populateList", {"populateData": data(LISTNAME="Known", CONTACTS="x")}),
        ("deleteContacts", {"deleteData": contacts("none", ANA)}),
        ("deleteContacts", {"deleteData": contacts("Locked", ANA)}),
        ("deleteList", {}),
        ("deleteList", {"listName": "none"}),
        ("deleteList", {"listName": "Locked"}),
        ("getContacts", {}),
        ("getContacts", {"listName": "none"}),
        ("getContacts", {"listName": "Known", "subAccount": "stranger"}),
        ("getLists", {"subAccount": "stranger"}),
    ],
)
async def test_what_cannot_be_is_0_with_its_sentence_twice(
    database: ConnectionParameters, method: str, values: dict[str, str]
) -> None:
    async with opened(database) as shop, front(shop) as door:
        await shop.account()
        await shop.account("stranger")
        await ask(door, "createList", listData=data(LISTNAME="Known"))
        await ask(door, "createList", listData=data(LISTNAME="Locked", LOCKED=1))
        answer = await call(door, method, **values)
        told = answer.json()
        assert (answer.status, told["status"], list(told)) == (200, "0", ["status", "statusText", "text"]), told
        assert told["text"] == told["statusText"] != ""
        root = ET.fromstring((await call(door, method, **values, returnformat="xml")).body)
        assert (root.findtext("status"), root.findtext("text")) == ("0", told["text"])


async def test_limits_and_wrong_keys_are_told_as_everywhere(database: ConnectionParameters) -> None:
    async with opened(database) as shop, front(shop) as door:
        await shop.account(contact_groups_max=1, contacts_max=1)
        await ask(door, "createList", listData=data(LISTNAME="One"))
        assert (await call(door, "createList", listData=data(LISTNAME="Two"))).status == 429
        two = contacts("One", ANA, {"MOBILEPHONE": "0600000000"})
        assert (await call(door, "populateList", populateData=two)).status == 429
        wrong = await door.form("/http/9.0/getLists", login="demo", apiKey="x")
        assert wrong.json()["status"] == 102


async def test_a_master_fills_the_list_of_its_sub_account(database: ConnectionParameters) -> None:
    async with opened(database) as shop, front(shop) as door:
        await shop.account("master")
        await shop.account("below", master="master")
        xml = "<DATA><LISTNAME>L</LISTNAME><SUBACCOUNT>below</SUBACCOUNT></DATA>"
        assert (await ask(door, "createList", "master", listData=xml))["status"] == "1"
        people = "<CONTACTS><MOBILEPHONE>0612345678</MOBILEPHONE></CONTACTS>" * 2
        fill = f"<DATA><LISTNAME>L</LISTNAME><SUBACCOUNT>below</SUBACCOUNT>{people}</DATA>"
        assert (await ask(door, "populateList", "master", populateData=fill))["success"] == 1
        assert (await ask(door, "getLists", "below"))["lists"][0]["contacts"] == "1"
        assert (await ask(door, "getLists", "master", subAccount="below"))["lists"][0]["contacts"] == "1"


@pytest.mark.parametrize("structure", [STRUCTURE, []])
async def test_a_list_is_sent_to_with_its_fields_as_parameters(
    database: ConnectionParameters, structure: list[dict[str, Any]]
) -> None:
    async with opened(database) as shop, front(shop) as door:
        await shop.account(transactional=True, numbers_per_request_allmysms_max=1)
        await shop.carrier()
        await ask(door, "createList", listData=data(LISTNAME="Clients", STRUCTURE=structure))
        await ask(door, "populateList", populateData=contacts("Clients", ANA, {"MOBILEPHONE": "0687654321"}))
        flow = data(MESSAGE="A #param_1#/#param_2#.", DYNAMIC=2, LISTNAME="clients")
        simulated = await ask(door, "simulateCampaign", smsData=flow)
        assert (simulated["status"], simulated["nbContacts"], simulated["nbSms"]) == (100, 2, 2)
        assert await shop.outbox() == []
        told = await ask(door, "sendSms", smsData=flow)
        assert (told["status"], told["nbContacts"], len(told["smsIds"])) == (100, "2", 2)
        rows = await shop.database.fetch("select text from message order by id")
        assert [row["text"] for row in rows] == ["A Épinal/." if structure else "A Ana/Roy.", "A /."]
        await shop.books_balance()


@pytest.mark.parametrize(("name", "status"), [("none", 112), ("Empty", 114)])
async def test_a_list_that_reaches_nobody_is_refused(database: ConnectionParameters, name: str, status: int) -> None:
    async with opened(database) as shop, front(shop) as door:
        await shop.account()
        await ask(door, "createList", listData=data(LISTNAME="Empty"))
        assert (await ask(door, "sendSms", smsData=data(MESSAGE="hi", LISTNAME=name)))["status"] == status
        assert (await ask(door, "sendSms", smsData=data(MESSAGE="hi")))["status"] == 112
