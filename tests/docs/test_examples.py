"""The examples of the pages for users have the keys and types of real answers, asked over a socket and a database."""

from __future__ import annotations

import base64
import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from front import Front, front
from shop import Shop, opened

from chappe.core.model import Reply, Report, message_id
from chappe.core.publicid import public_id
from chappe.dialects.allmysms import webhooks as allmysms_webhooks
from chappe.dialects.smspartner import webhooks as smspartner_webhooks
from chappe.embedded.server import ConnectionParameters
from chappe.store import accounts, optouts

USERS = Path(__file__).parents[2] / "docs" / "users"
LANGUAGES = ("en", "fr")
PHONE = "+33612345678"
LANDLINE = "0140000001"
FLOW = {
    "DATA": {"MESSAGE": "#param_1#", "DYNAMIC": 1, "CLIMSGID": "c", "SMS": [{"MOBILEPHONE": PHONE, "PARAM_1": "x"}]}
}
AT = datetime(2026, 12, 1, 5, 10, tzinfo=UTC)

# Section of smspartner.md -> what is asked. {id}: a submission; {stop}: an entry of the STOP list.
SMS_PARTNER: dict[str, dict[str, Any]] = {
    "/send": {"phoneNumbers": PHONE, "message": "hello"},
    "/bulk-send": {"SMSList": [{"phoneNumber": number, "message": "hello"} for number in (PHONE, LANDLINE)]},
    "/me": {},
    "/message-cancel": {"messageId": "{later}"},
    "/message-status": {"messageId": "{id}", "phoneNumber": PHONE},
    "/multi-status": {"SMSStatut_List": [{"phoneNumber": PHONE, "messageId": place} for place in ("{id}", 99_999)]},
    "/bulk-status": {"messageId": "{id}"},
    "/bulk-status-by-tag": {"tag": "order12"},
    "/statistics/cost-resume": {"interval": "custom", "from": "01-01-2026", "to": "31-12-2030"},
    "/stop-sms/list": {},
    "/stop-sms/add": {"phoneNumber": "+33612345699"},
    "/stop-sms/delete": {"id": "{stop}"},
    "/lookup": {"phoneNumbers": "33612345678, +2126"},
}
# Section of allmysms.md -> what is asked; which of the section's examples is the answer.
ALLMYSMS: dict[str, tuple[dict[str, str], int]] = {
    "sendSms": ({"smsData": json.dumps(FLOW)}, 1),
    "send": ({"message": "hello", "mobile": f"{PHONE};{LANDLINE}"}, 0),
    "simulateCampaign": ({"smsData": json.dumps(FLOW)}, 0),
    "getAcks": ({"campId": "{id}"}, 0),
    "getAckBySmsId": ({"smsId": "{sms}"}, 0),
    "getPulls": ({}, 0),
    "getPull": ({"campId": "{id}"}, 0),
    "getPullBySmsId": ({"smsId": "{sms}"}, 0),
    "getBlacklist": ({}, 0),
    "getInfo": ({}, 0),
    "getCreditsByCountryIsoCode": ({"countryIsoCode": "FR"}, 0),
    "getPrices": ({"countryIsoCode": "FR"}, 0),
    "getCampaignStats": ({"campaignId": "{id}"}, 0),
    "deleteCampaign": ({"campId": "{later}"}, 0),
}
# Section of allmysms-rest.md -> path, body, HTTP status.
REST: dict[str, tuple[str, dict[str, Any] | None, int]] = {
    "/sms/send": ("/sms/send", {"to": PHONE, "text": "hello", "cliMsgId": "c"}, 201),
    "/sms/send/bulk": ("/sms/send/bulk", {"to": [{"mobilePhone": PHONE, "param1": "x"}], "text": "#param1#"}, 201),
    "/report/campaign": ("/report/campaign/{id}", None, 200),
    "/account": ("/account", None, 200),
    "/voice/send/bulk": ("/voice/send/bulk", {"to": [PHONE]}, 501),
    "/ping": ("/ping/", None, 200),
}


def examples(language: str, name: str, heading: str = "") -> list[Any]:
    """The JSON examples of a page, or of one section of it."""
    text = (USERS / language / name).read_text(encoding="utf-8")
    if heading:
        found = re.search(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
        assert found, heading
        text = found[1]
    return [json.loads(block) for block in re.findall(r"^```json\n(.*?)^```", text, re.MULTILINE | re.DOTALL)]


def shape(value: Any) -> Any:
    """Keys in their order and types; of a list the shapes of its entries, each once. Money may be whole."""
    if isinstance(value, dict):
        return [(key, shape(held)) for key, held in value.items()]
    if isinstance(value, list):
        shapes: list[Any] = []
        for held in map(shape, value):
            if held not in shapes:
                shapes.append(held)
        return shapes
    return "number" if type(value) in (int, float) else type(value).__name__


async def furnished(shop: Shop, door: Front) -> dict[str, str]:
    """An account with a sent message, a scheduled one, a reply, a cost and an entry on its STOP list: their ids."""
    account = await shop.account(transactional=True)
    wish = {"apiKey": "key of demo", "phoneNumbers": PHONE, "message": "hello", "tag": "order12"}
    sent = (await door.post("/v1/send", wish)).json()["message_id"]
    date = {"scheduledDeliveryDate": "31/12/2036", "time": 10, "minute": 0}
    later = (await door.post("/v1/send", wish | date)).json()["message_id"]
    first = message_id(sent, 0)
    now = datetime.now(UTC)
    async with shop.database.transaction() as tx:
        stop, _ = await optouts.add(tx, account.id, "+33612345688", now, "api", "manual")
        await tx.execute("insert into daily_cost values ($1, current_date, 38000, 0, 1)", account.id)
        await tx.execute(
            """insert into reply values (1, $1, 1, $2, 0, $3, '36111', 'Oui', '{Oui}', 0, false, $4, 'allmysms', '')""",
            account.id,
            now,
            PHONE,
            first,
        )
    secret = await accounts.installation_secret(shop.database)
    return {"{id}": str(sent), "{later}": str(later), "{stop}": str(stop), "{sms}": public_id(secret, first)}


def filled(wish: Any, ids: dict[str, str]) -> Any:
    written = json.dumps(wish)
    for mark, value in ids.items():
        written = written.replace(mark, value)
    return json.loads(written)


@pytest.mark.asyncio
async def test_the_examples_of_smspartner_are_shaped_like_its_answers(database: ConnectionParameters) -> None:
    async with opened(database) as shop, front(shop) as door:
        ids = await furnished(shop, door)
        for heading, wish in SMS_PARTNER.items():
            answer = await door.post(f"/v1{heading}", {"apiKey": "key of demo"} | filled(wish, ids))
            assert answer.status == 200, (heading, answer)
            for language in LANGUAGES:
                assert shape(answer.json()) == shape(examples(language, "smspartner.md", heading)[0]), heading


@pytest.mark.asyncio
async def test_the_errors_that_are_shown_for_smspartner_are_answered_word_for_word(
    database: ConnectionParameters,
) -> None:
    async with opened(database) as shop, front(shop) as door:
        await shop.account(transactional=True)
        wish = {"apiKey": "key of demo"}
        wrong = (await door.post("/v1/send", wish | {"phoneNumbers": "922264", "message": " "})).json()
        none_left = (await door.post("/v1/send", wish | {"phoneNumbers": LANDLINE, "message": "hello"})).json()
        for language in LANGUAGES:
            assert [wrong, none_left] == examples(language, "smspartner.md", "/send")[1:]
            assert (await door.post("/v1/me", {"apiKey": "wrong"})).json() in examples(language, "first-sms.md")


@pytest.mark.asyncio
async def test_the_examples_of_allmysms_are_shaped_like_its_answers(database: ConnectionParameters) -> None:
    async with opened(database) as shop, front(shop) as door:
        ids = await furnished(shop, door)
        for heading, (wish, place) in ALLMYSMS.items():
            method = "" if heading == "send" else heading
            answer = await door.form(f"/http/9.0/{method}", login="demo", apiKey="key of demo", **filled(wish, ids))
            assert answer.status == 200, (heading, answer)
            for language in LANGUAGES:
                assert shape(answer.json()) == shape(examples(language, "allmysms.md", heading)[place]), heading


@pytest.mark.asyncio
async def test_the_examples_of_the_rest_api_are_shaped_like_its_answers(database: ConnectionParameters) -> None:
    basic = {"Authorization": "Basic " + base64.b64encode(b"demo:key of demo").decode()}
    async with opened(database) as shop, front(shop) as door:
        ids = await furnished(shop, door)
        for heading, (path, wish, status) in REST.items():
            path = path.replace("{id}", ids["{id}"])
            answer = await (door.ask("GET", path, headers=basic) if wish is None else door.post(path, wish, basic))
            assert answer.status == status, (heading, answer)
            for language in LANGUAGES:
                assert shape(answer.json()) == shape(examples(language, "allmysms-rest.md", heading)[0]), heading


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_webhooks_of_smspartner_that_are_shown_are_those_that_are_sent(language: str) -> None:
    report = Report("smspartner", 1, message_id(1, 0), "", PHONE, "delivered", AT, 38_000, "http://a/", "order12")
    replies = (
        Reply(1, PHONE, "36111", "Oui", AT, "response", 3),
        Reply(2, PHONE, "36111", "STOP", AT, "stop", 2),
        Reply(7, "+33600000001", "+33644000000", "Oui merci", AT, long_number=True, parts=("Oui merci",)),
    )
    bodies = [smspartner_webhooks.report(report), *(smspartner_webhooks.reply(reply)[0] for reply in replies)]
    shown = examples(language, "webhooks.md")[1:]  # the first is a report without a tag
    assert [shape(json.loads(call.body)) for call in bodies] == [shape(example) for example in shown]
    assert json.loads(bodies[-1].body) == shown[-1]


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_webhooks_of_allmysms_that_are_shown_are_those_that_are_sent(language: str) -> None:
    target = "http://a/hook?token=t"
    calls = (
        allmysms_webhooks.receipt(Report("allmysms", 20, message_id(20, 0), "id", PHONE, "delivered", AT, 0, target)),
        allmysms_webhooks.reply(Reply(5, PHONE, "36111", "Oui", AT, target=target)),
    )
    text = (USERS / language / "webhooks.md").read_text(encoding="utf-8")
    shown = re.findall(r"^GET (\S+)$", text, re.MULTILINE)
    assert [names(call.url) for call in calls] == [names(line) for line in shown]


def names(url: str) -> list[str]:
    return [name for name, _ in parse_qsl(urlsplit(url).query, keep_blank_values=True)]
