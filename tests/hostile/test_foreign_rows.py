"""Accounts that try each other's rows: every method of every API that names something, asked by the wrong account.

Each answer must be, octet for octet, what is said of a thing that does not exist at all. The table has a row for every
route; a route without one fails here, so that nobody adds a method without asking whose rows it shows.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from enum import Enum
from typing import Any, NamedTuple
from urllib.parse import quote

import pytest
from front import Answer, Front, front
from shop import Shop, opened

from chappe.core.model import Account, message_id
from chappe.core.publicid import public_id
from chappe.dialects.allmysms import dialect, methods
from chappe.dialects.allmysms import rest as allmysms_rest
from chappe.dialects.smspartner import dialect as smspartner
from chappe.embedded.server import ConnectionParameters
from chappe.store import accounts, optouts, virtual_numbers
from chappe.web.node_endpoints import Pages

PHONE, STOPPED = "+33612345678", "+33698765432"
SECRETS = (b"612345678", b"698765432", b"geheimnis", b"alice", b"quittance", b"ALICE")


class Things(NamedTuple):
    """What an account has and another may try; or, in the same forms, what nobody has."""

    submission: str
    scheduled: str
    sms_id: str
    tag: str
    stop_id: str
    long_number: str
    group: str
    contact: str
    list: str
    sub: str
    token: str
    login: str
    unique: str
    master: str
    client: str


class Kind(Enum):
    """What a route shows."""

    NAMED = "what the request names: its owner gets another answer than for a name of nothing"
    OWN = "what the caller has: its owner gets another answer than who has nothing"
    NOTHING = "nothing of anybody's"


Asker = Callable[[Front, str, Things], Awaitable[Answer]]


class Case(NamedTuple):
    ask: Asker
    kind: Kind = Kind.NAMED


def sp(page: str, **values: Any) -> Asker:
    """SMS Partner; %(...)s in a value stands for a thing."""

    async def ask(door: Front, who: str, things: Things) -> Answer:
        return await door.post(f"/v1/{page}", {"apiKey": f"key of {who}", **filled(values, things)})

    return ask


def ams(method: str, **values: Any) -> Asker:
    async def ask(door: Front, who: str, things: Things) -> Answer:
        return await door.form(
            f"/http/9.0/{method}", **({"login": who, "apiKey": f"key of {who}"} | filled(values, things))
        )

    return ask


def rest(method: str, path: str, body: dict[str, Any] | None = None, login: str = "") -> Asker:
    async def ask(door: Front, who: str, things: Things) -> Answer:
        token = base64.b64encode(f"{filled(login, things) or who}:key of {who}".encode()).decode()
        octets = b"" if body is None else json.dumps(filled(body, things)).encode()
        return await door.ask(method, quote(filled(path, things), "/?="), octets, {"Authorization": f"Basic {token}"})

    return ask


def filled(value: Any, things: Things) -> Any:
    if isinstance(value, str):
        return value % things._asdict()
    if isinstance(value, dict):
        return {name: filled(item, things) for name, item in value.items()}
    return [filled(item, things) for item in value] if isinstance(value, list) else value


def flow(tag: str) -> str:
    return f"<DATA>{tag}<MESSAGE>hi</MESSAGE><SMS><MOBILEPHONE>0612345600</MOBILEPHONE></SMS></DATA>"


CLIENT, MASTER = flow("<CLIENTCODE>%(client)s</CLIENTCODE>"), flow("<MASTERACCOUNT>%(master)s</MASTERACCOUNT>")
NEW = {"phoneNumber": "0612345699", "firstname": "x"}
NEWCOMER = '{"DATA":{"FIRSTNAME":"A","LASTNAME":"B","EMAIL":"n@x.fr","LOGIN":"newcomer","PASSWORD":"secret"}}'
FILL = '{"DATA":{"LISTNAME":"%(list)s","CONTACTS":[{"MOBILEPHONE":"0612345698"}]}}'
STOPPED_ITEM = {"phoneNumber": STOPPED, "message": "hi"}
STATUS_ITEM = {"phoneNumber": PHONE, "messageId": "%(submission)s"}

NOT_SERVED = {
    "allmysms": methods.UNSERVED,
    "smspartner": (smspartner.UNSERVED,),
}

TABLE: dict[tuple[str, str], list[Case]] = {
    ("smspartner", "send"): [
        Case(sp("send", phoneNumbers=STOPPED, message="hi", sender="SHOP"), Kind.OWN),
        Case(sp("send", groupId="%(group)s", message="hi", sender="SHOP")),
    ],
    ("smspartner", "vn/send"): [
        Case(sp("vn/send", **{"from": "%(long_number)s", "to": "0612345600", "message": "hi"}))
    ],
    ("smspartner", "bulk-send"): [Case(sp("bulk-send", SMSList=[STOPPED_ITEM], sender="SHOP"), Kind.OWN)],
    ("smspartner", "rcs/send"): [
        Case(sp("rcs/send", phoneNumbers=STOPPED, failover={"message": "hi", "sender": "SHOP"}), Kind.OWN)
    ],
    ("smspartner", "me"): [Case(sp("me"), Kind.OWN)],
    ("smspartner", "message-cancel"): [Case(sp("message-cancel", messageId="%(scheduled)s"))],
    ("smspartner", "message-status"): [Case(sp("message-status", phoneNumber=PHONE, messageId="%(submission)s"))],
    ("smspartner", "multi-status"): [Case(sp("multi-status", SMSStatut_List=[STATUS_ITEM]))],
    ("smspartner", "bulk-status"): [Case(sp("bulk-status", messageId="%(submission)s"))],
    ("smspartner", "bulk-status-by-tag"): [Case(sp("bulk-status-by-tag", tag="%(tag)s"))],
    ("smspartner", "statistics/cost-resume"): [
        Case(sp("statistics/cost-resume", interval="last_twelve_months"), Kind.OWN)
    ],
    ("smspartner", "stop-sms/list"): [Case(sp("stop-sms/list"), Kind.OWN)],
    ("smspartner", "stop-sms/delete"): [Case(sp("stop-sms/delete", id="%(stop_id)s"))],
    ("smspartner", "lookup"): [Case(sp("lookup", phoneNumbers="0612345600"), Kind.NOTHING)],
    ("allmysms", "sendSms"): [
        Case(ams("sendSms", smsData=CLIENT, returnformat="json")),
        Case(ams("sendSms", smsData=MASTER, returnformat="json")),
        Case(ams("sendSms", smsData='{"DATA":{"MESSAGE":"hi","LISTNAME":"%(list)s"}}')),
    ],
    ("allmysms", "send"): [
        Case(ams("", login="%(login)s", message="hi", mobile="0612345600")),
        Case(ams("", message="hi", mobile=STOPPED), Kind.OWN),
    ],
    ("allmysms", "simulateCampaign"): [Case(ams("simulateCampaign", smsData=MASTER, returnformat="xml"))],
    ("allmysms", "getAcks"): [
        Case(ams("getAcks", campId="%(submission)s")),
        Case(ams("getAcks", campId="%(submission)s", subAccount="%(login)s")),
    ],
    ("allmysms", "getAckBySmsId"): [Case(ams("getAckBySmsId", smsId="%(sms_id)s"))],
    ("allmysms", "getPulls"): [Case(ams("getPulls", subAccount="%(login)s")), Case(ams("getPulls"), Kind.OWN)],
    ("allmysms", "getPull"): [Case(ams("getPull", campId="%(submission)s"))],
    ("allmysms", "getPullBySmsId"): [Case(ams("getPullBySmsId", smsId="%(sms_id)s"))],
    ("allmysms", "getBlacklist"): [
        Case(ams("getBlacklist", subAccount="%(login)s")),
        Case(ams("getBlacklist"), Kind.OWN),
    ],
    ("allmysms", "getInfo"): [
        Case(ams("getInfo", subAccount="%(login)s")),
        Case(ams("getInfo", login="%(login)s")),
        Case(ams("getInfo"), Kind.OWN),
    ],
    ("allmysms", "getCreditsByCountryIsoCode"): [
        Case(ams("getCreditsByCountryIsoCode", countryIsoCode="FR"), Kind.NOTHING),
        Case(ams("getCreditsByCountryIsoCode", countryIsoCode="FR", subAccount="%(login)s")),
    ],
    ("allmysms", "getPrices"): [
        Case(ams("getPrices", countryIsoCode="FR"), Kind.NOTHING),
        Case(ams("getPrices", countryIsoCode="FR", subAccount="%(login)s")),
    ],
    ("allmysms", "getCampaignStats"): [
        Case(ams("getCampaignStats", campId="%(submission)s")),
        Case(ams("getCampaignStats", campId="%(submission)s", subAccount="%(login)s")),
    ],
    ("allmysms", "deleteCampaign"): [Case(ams("deleteCampaign", campId="%(scheduled)s"))],
    ("rest", allmysms_rest.ONE): [
        Case(rest("POST", "/sms/send", {"to": PHONE, "text": "hi", "uniqueIdentifier": "%(unique)s"})),
        Case(rest("POST", "/sms/send", {"to": STOPPED, "text": "hi"}), Kind.OWN),
    ],
    ("rest", allmysms_rest.BULK): [
        Case(rest("POST", "/sms/send/bulk", {"to": [STOPPED], "text": "hi"}), Kind.OWN),
    ],
    ("rest", allmysms_rest.REPORT): [
        Case(rest("GET", "/report/campaign/%(submission)s")),
        Case(rest("GET", "/report/campaign/%(submission)s", login="%(login)s")),
    ],
    ("rest", allmysms_rest.ACCOUNT): [
        Case(rest("GET", "/account"), Kind.OWN),
        Case(rest("GET", "/account?subAccount=%(login)s")),
        Case(rest("GET", "/account", login="%(login)s")),
    ],
    ("rest", allmysms_rest.PING): [Case(rest("GET", "/ping/"), Kind.NOTHING)],
    # Known and not served: whatever is asked, the answer is the same.
    ("rest", allmysms_rest.VOICE): [
        Case(rest("POST", "/voice/send/bulk", {"to": [PHONE], "text": "hi", "campaignName": "%(tag)s"}), Kind.NOTHING)
    ],
    **{("allmysms", name): [Case(ams(name, campId="%(submission)s"), Kind.NOTHING)] for name in NOT_SERVED["allmysms"]},
    **{
        ("smspartner", name): [Case(sp(name, messageId="%(submission)s"), Kind.NOTHING)]
        for name in NOT_SERVED["smspartner"]
    },
    ("smspartner", "group/add"): [Case(sp("group/add", name="mine"), Kind.NOTHING)],
    ("smspartner", "group/list"): [Case(sp("group/list"), Kind.OWN)],
    ("smspartner", "contact/add"): [Case(sp("contact/add", groupId="%(group)s", contact=NEW))],
    ("smspartner", "contact/multiple/add"): [Case(sp("contact/multiple/add", groupId="%(group)s", contactsList=[NEW]))],
    ("smspartner", "contact/list"): [Case(sp("contact/list", groupId="%(group)s"))],
    ("smspartner", "contact/detail"): [Case(sp("contact/detail", contactId="%(contact)s"))],
    ("smspartner", "contact/update"): [Case(sp("contact/update", contactId="%(contact)s", contact={"firstname": "x"}))],
    ("smspartner", "contact/delete"): [Case(sp("contact/delete", contactId="%(contact)s"))],
    ("smspartner", "subaccount/create"): [
        Case(sp("subaccount/create", type="simple", parameters={"email": "mine@x.fr"}), Kind.NOTHING),
    ],
    ("smspartner", "subaccount/list"): [Case(sp("subaccount/list"), Kind.OWN)],
    ("smspartner", "subaccount/credit/add"): [
        Case(sp("subaccount/credit/add", credit="1", tokenSubaccount="%(token)s")),
    ],
    ("smspartner", "subaccount/credit/remove"): [
        Case(sp("subaccount/credit/remove", credit="1", tokenSubaccount="%(token)s")),
    ],
    ("allmysms", "createSubAccount"): [Case(ams("createSubAccount", accountData=NEWCOMER), Kind.NOTHING)],
    ("allmysms", "getSubAccounts"): [Case(ams("getSubAccounts"), Kind.OWN)],
    ("allmysms", "updateSubAccount"): [
        Case(ams("updateSubAccount", subAccount="%(sub)s", accountData='{"DATA":{"CITY":"Metz"}}'))
    ],
    ("allmysms", "manageSubAccountCredits"): [Case(ams("manageSubAccountCredits", subAccount="%(sub)s", credits="5"))],
    ("allmysms", "deleteSubAccount"): [Case(ams("deleteSubAccount", loginToDelete="%(sub)s"))],
    ("smspartner", "subaccount/remove"): [Case(sp("subaccount/remove", token="%(token)s"))],
    ("allmysms", "createList"): [
        Case(ams("createList", listData='{"DATA":{"LISTNAME":"mine","SUBACCOUNT":"%(login)s"}}')),
    ],
    ("allmysms", "populateList"): [Case(ams("populateList", populateData=FILL))],
    ("allmysms", "getLists"): [Case(ams("getLists"), Kind.OWN), Case(ams("getLists", subAccount="%(login)s"))],
    ("allmysms", "getContacts"): [
        Case(ams("getContacts", listName="%(list)s")),
        Case(ams("getContacts", listName="%(list)s", subAccount="%(login)s")),
    ],
    ("allmysms", "deleteContacts"): [Case(ams("deleteContacts", deleteData=FILL))],
    ("allmysms", "deleteList"): [Case(ams("deleteList", listName="%(list)s"))],
    ("smspartner", "groupe/delete"): [Case(sp("groupe/delete", groupId="%(group)s"))],
    # Last, since it puts on a list what the others look for.
    ("smspartner", "stop-sms/add"): [Case(sp("stop-sms/add", phoneNumber=STOPPED), Kind.OWN)],
}
# The node's own pages take no account at all: neither key nor id leads to anybody's rows.
PAGES = {"/", "/healthz", "/readyz", "/metrics", "/handset", "/handset/"}


def test_every_route_has_a_row() -> None:
    routes = {("smspartner", verb) for verb in smspartner.PAGES}
    own = (dialect.SEND, dialect.SIMPLE, dialect.SIMULATE)
    routes |= {("allmysms", verb) for verb in (*own, *methods.METHODS)}
    routes |= {("rest", verb) for verb, _ in allmysms_rest._PATHS}
    assert set(TABLE) == routes
    assert set(Pages(None, 1, metrics=True, trouble=lambda: "").table()) == PAGES  # type: ignore[arg-type]


async def furnished(shop: Shop, door: Front) -> tuple[Account, Things, Things]:
    """Alice, who has everything that an account can have; her things; and such as nobody has. Bob only has a key."""
    alice = await shop.account("alice", transactional=True, master="ALICE-M", company="geheimnis")
    bob = await shop.account("bobby", balance_micros=77_000_000, transactional=True)
    await shop.database.execute("alter sequence submission_number restart with 70001")
    await shop.database.execute("alter table opt_out alter column id restart with 80001")
    await shop.database.execute("alter table contact_group alter column id restart with 80003")
    await shop.database.execute("alter table contact alter column id restart with 80004")
    wish = {"apiKey": "key of alice", "phoneNumbers": PHONE, "message": "geheimnis", "tag": "quittance-1"}
    sent = (await door.post("/v1/send", wish)).json()
    later = (
        await door.post("/v1/send", wish | {"scheduledDeliveryDate": "31/12/2036", "time": 10, "minute": 0})
    ).json()
    assert (sent["code"], later["code"]) == (200, 200), (sent, later)
    marked = {"to": PHONE, "text": "geheimnis", "uniqueIdentifier": "alices-own"}
    token = base64.b64encode(b"alice:key of alice").decode()
    assert (await door.post("/sms/send", marked, {"Authorization": f"Basic {token}"})).status == 201
    first = message_id(sent["message_id"], 0)
    now = datetime.now(UTC)
    async with shop.database.transaction() as tx:
        stop_id, _ = await optouts.add(tx, alice.id, STOPPED, now, "api", "manual")
        await virtual_numbers.add(tx, "+33700000001", alice.id)
        await virtual_numbers.add(tx, "+33700000005", bob.id)
        await tx.execute("insert into daily_cost values ($1, current_date, 38000, 0, 1)", alice.id)
        await tx.execute(
            """insert into reply values (1, $1, 1, $2, 0, $3, '36111', 'geheimnis', '{geheimnis}', 0, false, $4,
                                         'allmysms', '')""",
            alice.id,
            now,
            PHONE,
            first,
        )
    listed = await door.post("/v1/group/add", {"apiKey": "key of alice", "name": "Chorale"})
    group = listed.json()["groupId"]
    person = {"apiKey": "key of alice", "groupId": group, "contact": {"phoneNumber": PHONE, "lastname": "geheimnis"}}
    contact = (await door.post("/v1/contact/add", person)).json()["contact"]["contactId"]
    tokens = []
    for email in ("one@x.fr", "two@x.fr"):
        wish = {"apiKey": "key of alice", "type": "simple", "parameters": {"email": email, "creditToAttribute": 2}}
        tokens.append((await door.post("/v1/subaccount/create", wish)).json()["subaccount"]["token"])
    own = '{"DATA":{"LISTNAME":"Ensemble"}}'
    assert (await door.form("/http/9.0/createList", login="alice", apiKey="key of alice", listData=own)).status == 200
    secret = await accounts.installation_secret(shop.database)
    mine = Things(
        str(sent["message_id"]), str(later["message_id"]), public_id(secret, first), "quittance-1", str(stop_id),
        "+33700000001", group, contact, "Ensemble", "one@x.fr", tokens[1], "alice", "alices-own", "ALICE-M", "ALICE",
    )  # fmt: skip
    nothing = Things(
        "90000", "90001", public_id(secret, message_id(90_000, 0)), "quittance-9", "99999",
        "+33700000009", "90003", "90004", "Nothing", "not@x.fr", "0" * 32, "nobod", "nobody-own", "NOBOD-M", "NOBOD",
    )  # fmt: skip
    return alice, mine, nothing


def told(answer: Answer, things: Things) -> tuple[int, dict[str, str], bytes]:
    """An answer without what differs from one request to the next, and without the things that it was asked for."""
    fields = {name: value for name, value in answer.fields.items() if name not in ("date", "x-request-id")}
    body = answer.body
    for value in sorted(things, key=len, reverse=True):
        for written in (value, value.upper()):
            body = re.sub(rb"(?<![0-9A-Za-z])" + re.escape(written.encode()) + rb"(?![0-9A-Za-z])", b"THING", body)
    body = re.sub(rb'("(?:message_id|smsId|smsid|campaignId|campId)":)"?[0-9a-zA-Z-]+"?', rb"\1ID", body)
    body = re.sub(rb"<((?:smsId|campaignId|smsid)[^>]*)>[^<]*", rb"<\1>ID", body)
    # What the caller has left falls with each message that he sends.
    body = re.sub(rb'("(?:credits|balance|creditsLeft|credit)":)"?[0-9.]+"?', rb"\1LEFT", body)
    fields.pop("content-length")
    return answer.status, fields, body


async def rows_of(shop: Shop, account: Account) -> list[Any]:
    """Everything that belongs to an account."""
    tables = await shop.database.fetch(
        """select table_name from information_schema.columns
           where column_name = 'account_id' and table_schema = 'public' order by 1"""
    )
    rows: list[Any] = []
    for table in tables:
        name = table["table_name"]
        rows.append(
            (
                name,
                await shop.database.fetch(f"select t::text from {name} t where account_id = $1 order by 1", account.id),
            )
        )
    assert sum(len(found) for _, found in rows) > 10
    return rows


@pytest.mark.asyncio
async def test_nobody_sees_touches_or_notices_the_rows_of_another(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        await shop.carrier()
        async with front(shop) as door:
            alice, mine, nothing = await furnished(shop, door)
            before = await rows_of(shop, alice)
            cases = [(route, case) for route, cases in TABLE.items() for case in cases]
            bobs = []
            for route, case in cases:
                foreign, unknown = await case.ask(door, "bobby", mine), await case.ask(door, "bobby", nothing)
                assert foreign.status != 500, (route, foreign.body)
                if case.kind is Kind.NAMED:
                    assert told(foreign, mine) == told(unknown, nothing), route
                echoed = foreign.body
                for value in mine:
                    echoed = echoed.replace(value.encode(), b"").replace(value.upper().encode(), b"")
                shown = [
                    secret for secret in SECRETS if secret in echoed and secret.decode() not in repr(case_words(case))
                ]
                assert not shown, (route, foreign.body)
                bobs.append(foreign)
            assert await rows_of(shop, alice) == before, "whatever Bob asked, nothing of Alice's has changed"
            # What takes something from her list comes last.
            for (route, case), foreign in sorted(
                zip(cases, bobs, strict=True), key=lambda pair: pair[0][1].kind.name, reverse=True
            ):
                hers = await case.ask(door, "alice", mine)
                if case.kind is Kind.NAMED:
                    empty = await case.ask(door, "alice", nothing)
                    assert told(hers, mine) != told(empty, nothing), (route, "the case proves nothing", hers.body)
                elif case.kind is Kind.OWN:
                    assert told(hers, mine) != told(foreign, mine), (route, "the case proves nothing", hers.body)
            await shop.books_balance()


def case_words(case: Case) -> Any:
    """What a case itself writes: its values, as its asker holds them."""
    return [cell.cell_contents for cell in case.ask.__closure__ or ()]  # type: ignore[attr-defined]
