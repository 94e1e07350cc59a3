"""The application behind the listener, on real sockets and a real database: who answers, and when a yes is a yes."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
from typing import Any
from urllib.parse import quote

import pytest
from front import Answer, Front, front, read_answer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from shop import opened

from chappe.core.errors import Refusal
from chappe.core.http import Request, Response
from chappe.core.model import AccountState
from chappe.dialects.registry import BY_NAME
from chappe.embedded.server import ConnectionParameters
from chappe.store import accounts
from chappe.web import server
from chappe.web.key_guessing import FREE
from chappe.web.listener import Limits

pytestmark = pytest.mark.asyncio

PHONE = "+33612345678"


async def send(door: Front, login: str = "demo", **values: Any) -> Answer:
    wish = {"apiKey": f"key of {login}", "phoneNumbers": PHONE, "message": "hello", "sender": "SHOP"} | values
    return await door.post("/v1/send", wish)


# -- who answers


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/v2/send", 404),
        ("POST", "/v1send", 404),
        ("GET", "/favicon.ico", 404),
        ("GET", "//v1/send", 404),
        ("GET", "/v1/../v1/send", 404),
        ("OPTIONS", "*", 404),
        ("CONNECT", "a:443", 404),
        ("GET", "/v1/nothing", 404),
        ("GET", "/v1/contact/list", 400),
        ("GET", "/smspartner/v1/nothing", 400),
        ("GET", "/allmysms/ping/", 200),
        ("GET", "/smspartner", 400),
        ("GET", "/allmysms/", 404),
        ("GET", "/v1/send", 400),
        ("TRACE", "/v1/me", 400),
        ("GET", "/http/9.0/nothing", 404),
        ("GET", "/sms/nothing", 404),
        ("GET", "/ping/", 200),
    ],
)
async def test_a_path_finds_who_answers_it(
    database: ConnectionParameters, method: str, target: str, status: int
) -> None:
    async with opened(database) as shop, front(shop) as door:
        answer = await door.ask(method, target)
        assert answer.status == status, answer
        assert b"Traceback" not in answer.body


@pytest.mark.parametrize(
    ("headers", "is_json"),
    [
        ({}, False),
        ({"Accept": "text/html,*/*"}, False),
        ({"Accept": "application/json"}, True),
        ({"Content-Type": "application/json; charset=utf-8"}, True),
        ({"Authorization": "Basic ZGVtbzpLRVk="}, True),
    ],
)
@pytest.mark.parametrize("target", ["/blacklist", "/contact/list", "/mms/send", "/sms/nothing"])
async def test_a_program_reads_in_json_that_there_is_nothing(
    database: ConnectionParameters, target: str, headers: dict[str, str], is_json: bool
) -> None:
    async with opened(database) as shop, front(shop) as door:
        answer = await door.ask("GET", target, b"", headers)
        assert answer.status == 404
        if is_json:
            assert json.loads(answer.body) == {"code": 404, "description": "There is nothing at this address."}
        else:
            assert answer.body == b"There is nothing at this address.\n"


@pytest.mark.parametrize("target", ["/allmysms/blacklist", "/allmysms/sms/nothing", "/allmysms/"])
async def test_below_its_mount_rest_is_answered_in_its_form(database: ConnectionParameters, target: str) -> None:
    async with opened(database) as shop, front(shop) as door:
        answer = await door.ask("GET", target)
        assert answer.status == 404
        assert json.loads(answer.body)["code"] == 404


async def test_pages_are_asked_before_dialects_and_one_that_fails_harms_nobody(
    database: ConnectionParameters, caplog: pytest.LogCaptureFixture
) -> None:
    async def show(request: Request) -> Response:
        return Response(200, "text/plain", request.path.encode())

    async def fail(request: Request) -> Response:
        raise RuntimeError("+33612345678")

    pages = {"/v1/me": show, "/tree/": show, "/fail": fail}
    async with opened(database) as shop, front(shop, pages=pages) as door:
        assert (await door.ask("GET", "/v1/me")).body == b"/v1/me"
        assert (await door.ask("GET", "/tree/leaf")).body == b"/tree/leaf"
        assert (await door.ask("GET", "/tree")).status == 404
        assert (await door.ask("GET", "/fail")).status == 500
        assert (await door.ask("GET", "/tree/leaf")).status == 200
        await door.api.idle()
    assert "612345678" not in caplog.text
    assert [record.levelno for record in caplog.records if "request failed" in record.getMessage()] == [logging.ERROR]


async def test_the_front_page_is_no_folder_of_all_other_paths(database: ConnectionParameters) -> None:
    async def show(request: Request) -> Response:
        return Response(200, "text/plain", b"shown")

    async with opened(database) as shop, front(shop, pages={"/": show, "/tree/": show}) as door:
        assert (await door.ask("GET", "/")).body == b"shown"
        assert (await door.ask("GET", "/tree/leaf/below")).body == b"shown"
        assert (await door.ask("GET", "/account")).json()["code"] == 102, "an address of an API"
        for target in ("/elsewhere", "/elsewhere/", "/tree", "/treehouse/leaf"):
            assert (await door.ask("GET", target)).status == 404, target


@pytest.mark.parametrize(
    "target", ["/tre%65/leaf", "/tree/%6ceaf", "http://a/tree/leaf", "/tree/leaf#a", "/tree/leaf?a#b"]
)
async def test_no_page_is_found_by_another_writing_of_its_path(database: ConnectionParameters, target: str) -> None:
    async def show(request: Request) -> Response:
        return Response(200, "text/plain", b"shown")

    async with opened(database) as shop, front(shop, pages={"/tree/": show}) as door:
        assert (await door.ask("GET", "/tree/leaf?a=%20")).body == b"shown"
        assert (await door.ask("GET", target)).status == 404


@pytest.mark.parametrize(
    ("target", "status", "words"),
    [
        ("/v1/send", 413, b'"success":false'),
        ("/http/9.0/sendSms", 413, b'"status"'),
        ("/sms/send", 413, b'"code"'),
        ("/elsewhere", 413, b"too large"),
    ],
)
async def test_a_body_over_the_limit_is_refused_in_the_words_of_its_api(
    database: ConnectionParameters, target: str, status: int, words: bytes
) -> None:
    async with opened(database) as shop, front(shop, limits=Limits(body_bytes_max=1_000)) as door:
        answer = await door.ask("POST", target, b"x" * 1_001)
        assert words in answer.body, answer
        assert answer.fields["connection"] == "close"
        assert answer.status in (200, 400, status)


# -- whose it is


async def test_credentials_decide_and_say_no_more_than_they_must(database: ConnectionParameters) -> None:
    """A wrong key of a login that exists is answered as one of a login that does not."""
    async with opened(database) as shop, front(shop) as door:
        await shop.account()
        wrong = [
            await door.form("/http/9.0/getInfo", login=login, apiKey=key, returnformat="json")
            for login, key in (
                ("demo", "wrong"),
                ("nobody", "wrong"),
                ("nobody", "key of demo"),
                ("demo", "KEY OF DEMO"),
            )
        ]
        assert len({(answer.status, answer.body) for answer in wrong}) == 1
        basic = [base64.b64encode(pair).decode() for pair in (b"demo:wrong", b"nobody:wrong", b"nobody:key of demo")]
        rest = [await door.ask("GET", "/account", b"", {"Authorization": f"Basic {token}"}) for token in basic]
        assert len({(answer.status, answer.body) for answer in rest}) == 1
        right = await door.form("/http/9.0/getInfo", login="DEMO", apiKey="key of demo", returnformat="json")
        assert right.json()["status"] == "Active Account"


async def test_what_an_operator_changes_holds_after_refresh(database: ConnectionParameters) -> None:
    async with opened(database) as shop, front(shop) as door:
        account = await shop.account(transactional=True)
        assert (await send(door)).json()["code"] == 200
        await accounts.save_state(shop.database, account.id, AccountState.BLOCKED, api_enabled=True)
        await shop.carrier("red", prefix="33")
        await door.api.refresh()
        assert (await send(door)).json()["success"] is False
        await accounts.save_state(shop.database, account.id, AccountState.ACTIVE, api_enabled=True)
        await door.api.refresh()
        before = {row["lane"] for row in await shop.outbox()}
        assert (await send(door)).json()["code"] == 200
        assert {row["lane"] for row in await shop.outbox()} > before, "the new route is used"


async def test_errors_as_200_of_the_installation_hold_for_callers_that_are_unknown(
    database: ConnectionParameters,
) -> None:
    async with opened(database) as shop, front(shop) as door:
        await shop.account()
        wrong = {"apiKey": "wrong", "phoneNumbers": PHONE}
        assert (await door.post("/v1/send", wrong)).status == 400
        async with shop.database.transaction() as tx:
            await accounts.set_defaults(tx, {"errors_as_http_200": True, "message_language": "en"}, {})
        await door.api.refresh()
        for target, body, code in (
            ("/v1/send", b'{"apiKey":"wrong"}', 10),
            ("/v1/send", b"{}", 1),
            ("/v1/send", b'{"apiKey":', 90),
            ("/v1/send", b'{"apiKey":"key of demo"}', 2),
            ("/v1/location/status", b'{"apiKey":"key of demo"}', 40),
        ):
            answer = await door.ask("POST", target, body)
            assert (answer.status, answer.json()["code"]) == (200, code)
        assert (await door.post("/v1/me", {"apiKey": "wrong"})).json()["message"] == "Invalid API key"


# -- when a yes is a yes


async def test_a_message_is_in_the_database_when_its_answer_leaves(database: ConnectionParameters) -> None:
    async with opened(database) as shop, front(shop, sender_default="36111") as door:
        account = await shop.account("own", transactional=True, sender="MINE")
        await shop.account("demo", transactional=True)
        for number, (login, given, sender) in enumerate(
            [("demo", "", "36111"), ("own", "", "MINE"), ("own", "X1Y", "X1Y")], 1
        ):
            answer = (await send(door, login, sender=given)).json()
            assert answer["code"] == 200, answer
            rows = await shop.database.fetch("select sender from submission order by id")
            assert (len(rows), rows[-1]["sender"]) == (number, sender)
        assert len(await shop.outbox()) == 3
        assert await shop.balance(account) == 100_000_000 - 2 * 38_000
        await shop.books_balance()


async def test_a_thousand_at_once_are_each_answered_with_their_own(database: ConnectionParameters) -> None:
    async with opened(database) as shop, front(shop) as door:
        await shop.account(transactional=True, messages_per_number_per_hour=0)
        await shop.carrier()
        body = json.dumps({"apiKey": "key of demo", "phoneNumbers": PHONE, "message": "hello"}).encode()
        one = b"POST /v1/send HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n%%b\r\n%b" % (len(body), body)
        pipelined = one.replace(b"%b", b"") * 99 + one.replace(b"%b", b"Connection: close\r\n")
        answers = await asyncio.gather(*(door.say(pipelined) for _ in range(10)))
        ids: list[int] = []
        for octets in answers:
            bodies = [part.partition(b"\r\n\r\n")[2] for part in octets.split(b"HTTP/1.1 ")[1:]]
            ids += [json.loads(body)["message_id"] for body in bodies]
        assert len(ids) == len(set(ids)) == 1_000
        assert len(await shop.outbox()) == 1_000
        await shop.books_balance()


async def test_without_its_database_nobody_is_known_and_nothing_is_told(database: ConnectionParameters) -> None:
    """What becomes of sends then, `make hard` shows."""
    async with opened(database) as shop, front(shop) as door:
        await shop.account(transactional=True)
        assert (await send(door)).json()["code"] == 200
        await shop.database.close()
        await door.api.close()
        for answer in await asyncio.gather(door.post("/v1/me", {"apiKey": "key of demo"}), send(door, "new")):
            assert answer.json()["success"] is False, answer
            assert answer.status >= 400


async def test_a_refused_command_fails_no_neighbour_in_its_batch(database: ConnectionParameters) -> None:
    async with opened(database) as shop, front(shop) as door:
        await shop.account("rich", transactional=True)
        await shop.account("poor", balance_micros=38_000, transactional=True)
        askers = ["rich", "poor", "rich", "poor", "poor", "rich"]
        answers = await asyncio.gather(*(send(door, login) for login in askers))
        done = [login for login, answer in zip(askers, answers, strict=True) if answer.json()["code"] == 200]
        assert sorted(done) == ["poor", "rich", "rich", "rich"]
        await shop.books_balance()


# -- limits


async def test_requests_that_come_together_have_a_chance_of_their_own_each(database: ConnectionParameters) -> None:
    async with opened(database) as shop, front(shop) as door:
        await shop.account()
        body = json.dumps({"apiKey": "key of demo", "type": "simple", "parameters": {}}).encode()
        head = b"POST /v1/subaccount/create HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
        wish = head + b"Content-Length: %d\r\n" % len(body)
        told = await door.say((wish + b"\r\n" + body) * 4 + wish + b"Connection: close\r\n\r\n" + body)
        logins = await shop.database.fetch("select login from account where settings ->> 'master' = 'demo'")
        assert (told.count(b"HTTP/1.1 200"), len(logins)) == (5, 5), "generated logins differ"


async def test_more_than_can_wait_is_refused_and_not_lost(
    database: ConnectionParameters, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(database) as shop, front(shop) as door:
        await shop.account(transactional=True)
        await send(door)
        await shop.account("other", transactional=True)
        monkeypatch.setattr(door.api._small.commit, "_waiting_weight_max", 0)
        answers = await asyncio.gather(*(send(door, login) for login in ("demo", "demo", "other")))
        assert sorted(answer.json()["success"] for answer in answers) == [False, True, True]
        assert answers[2].json()["success"] is True, "who has nothing waiting is not kept out by those who have"
        assert len(await shop.outbox()) == 3
        monkeypatch.undo()
        assert (await send(door)).json()["code"] == 200


async def test_limits_of_an_account_and_of_dear_requests_hold(database: ConnectionParameters) -> None:
    async with opened(database) as shop, front(shop) as door:
        await shop.account("slow", requests_per_minute=3)
        await shop.account("quick")
        codes = [(await door.post("/v1/me", {"apiKey": "key of slow"})).json()["success"] for _ in range(5)]
        assert codes == [True] * 3 + [False] * 2
        wish = {"apiKey": "key of quick", "interval": "last_month"}
        limit = BY_NAME["smspartner"].CALLS_PER_MINUTE["statistics/cost-resume"]
        dear = [(await door.post("/v1/statistics/cost-resume", wish)).json()["success"] for _ in range(limit + 1)]
        assert dear == [True] * limit + [False]


@pytest.mark.parametrize(("path", "limit"), [("/v1/me", "ASKED_AT_ONCE_MAX"), ("/v1/send", "SENT_AT_ONCE_MAX")])
async def test_one_account_takes_no_more_than_its_share_at_once(
    database: ConnectionParameters, monkeypatch: pytest.MonkeyPatch, path: str, limit: str
) -> None:
    monkeypatch.setattr(server, limit, 3)
    async with opened(database) as shop, front(shop) as door:
        for login in ("greedy", "modest"):
            await shop.account(login, transactional=True)
            assert (await send(door, login)).json()["code"] == 200, "from here both keys are known"
        body = json.dumps({"apiKey": "key of greedy", "phoneNumbers": PHONE, "message": "hello"}).encode()
        one = b"POST %b HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n%%b\r\n%b" % (path.encode(), len(body), body)
        pipelined = one.replace(b"%b", b"") * 19 + one.replace(b"%b", b"Connection: close\r\n")
        octets, modest = await asyncio.gather(door.say(pipelined), send(door, "modest"))
        answers = [json.loads(part.partition(b"\r\n\r\n")[2])["success"] for part in octets.split(b"HTTP/1.1 ")[1:]]
        assert answers == [True] * 3 + [False] * 17
        assert modest.json()["code"] == 200
        again = await door.ask("POST", path, body)
        assert again.json()["success"] is True, "what has ended counts no more"
        await door.api.idle()
        assert door.api._asking._of == door.api._sending._of == {}


@pytest.mark.parametrize("target", ["/v1/send", "/http/9.0/sendSms", "/sms/send"])
async def test_large_bodies_that_lead_to_no_account_are_soon_not_read_any_more(
    database: ConnectionParameters, monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    monkeypatch.setattr(server, "HEAVY_BYTES", 1_000)
    async with opened(database) as shop, front(shop) as door:
        await shop.account(transactional=True)
        for body in (b'{"apiKey":"wrong","login":"a"}', b"[[["):
            await door.ask("POST", target, body + b" " * 1_000 * FREE, {"Content-Type": "application/json"})
        answer = await door.ask("POST", target, b'{"apiKey":"key of demo","login":"demo"}' + b" " * 1_000)
        refused = BY_NAME["smspartner" if target.startswith("/v1") else "allmysms"].refuse(
            Refusal("too_many_requests"), Request("POST", target)
        )
        assert (answer.status, answer.body) == (refused.status, refused.body)
        small = await door.post("/v1/me", {"apiKey": "key of demo"})
        assert small.json()["success"] is False, "a key never used from here has to wait too"


# -- whatever is sent


PATHS = ["/v1/send", "/v1/bulk-send", "/v1/multi-status", "/v1/lookup", "/http/9.0/sendSms", "/http/9.0/", "/sms/send"]
NAMES = (
    *("apiKey", "login", "phoneNumbers", "SMSList", "message", "sender", "scheduledDeliveryDate", "time", "tag", "to"),
    *(
        "text",
        "DATA",
        "smsData",
        "mobile",
        "date",
        "messageId",
        "SMSStatut_List",
        "from",
        "urlDlr",
        "isStopSms",
        "gamme",
    ),
)
HEADS = st.fixed_dictionaries(
    {},
    optional={
        "Content-Type": st.sampled_from(
            ["application/json", "text/xml", "multipart/form-data; boundary=x", "text/plain; charset=utf-7", "x" * 300]
        ),
        "Content-Encoding": st.sampled_from(["gzip", "identity", "br"]),
        "Authorization": st.sampled_from(["Basic", "Basic ====", "Bearer x", "Basic ZGVtbzprZXkgb2YgZGVtbw=="]),
        "Expect": st.just("100-continue"),
        "X-Forwarded-For": st.text("0123456789.,: ", max_size=30),
    },
)
JSONS = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=6),
    max_leaves=12,
)
BODIES = st.one_of(
    st.binary(max_size=200),
    JSONS.map(lambda value: json.dumps(value).encode()),
    st.dictionaries(st.sampled_from(NAMES), JSONS, max_size=8).map(
        lambda value: json.dumps(value | {"apiKey": "key of demo", "login": "demo"}).encode()
    ),
)


async def test_no_request_makes_it_fail(database: ConnectionParameters) -> None:
    async with opened(database) as shop, front(shop) as door:
        await shop.account(transactional=True)
        asked: list[tuple[str, dict[str, str], bytes]] = []

        @settings(max_examples=150, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @given(st.sampled_from(PATHS), HEADS, BODIES)
        def gather(path: str, fields: dict[str, str], body: bytes) -> None:
            asked.append((path, fields, body))

        await asyncio.to_thread(gather)
        for path, fields, body in asked:
            door.api._book.guesses._owed.clear()
            answer = await door.ask("POST", path, body, fields)
            while answer.status == 100:
                answer = read_answer(answer.body)
            assert answer.status in (200, 201, 400, 401, 403, 404, 413, 422), (path, fields, body, answer)
            assert b"Internal server error" not in answer.body
        assert (await send(door)).json()["code"] == 200
        await shop.books_balance()


NASTY = ("\ud800", "\udfff\ud800", "\x00", "\ufffe", "\U0010ffff", "a\u0301" * 50, "\u202e", "\r\n", "'; --", "\x1b[2J")
FIELDS = ("message", "sender", "tag", "urlDlr", "urlResponse", "phoneNumbers", "scheduledDeliveryDate", "time", "gamme")


async def test_no_character_in_any_field_makes_it_fail(database: ConnectionParameters) -> None:
    async with opened(database) as shop, front(shop) as door:
        await shop.account(transactional=True)
        for field in FIELDS:
            for nasty in NASTY:
                wish = {"urlDlr": "http://h.example/" + nasty} if field == "urlDlr" else {field: f"x{nasty}"}
                answer = await send(door, **wish)
                assert answer.status in (200, 400), (field, ascii(nasty), answer)
                assert answer.json()["code"] not in (500, 429), (field, ascii(nasty), answer)
        for nasty in NASTY:
            wish = {"login": "demo", "apiKey": "key of demo", "text": f"x{nasty}", "to": PHONE, "campaignName": nasty}
            answer = await door.post("/sms/send", wish | {"cliMsgId": nasty, "uniqueIdentifier": f"{nasty}1"})
            assert answer.status in (200, 201, 400), (ascii(nasty), answer)
            flow = f"<DATA><MESSAGE>x{nasty}</MESSAGE><SMS><MOBILEPHONE>{PHONE}</MOBILEPHONE></SMS></DATA>"
            octets = flow.encode("utf-8", "surrogatepass")
            answer = await door.ask(
                "POST", "/http/9.0/sendSms?login=demo&apiKey=key%20of%20demo&smsData=" + quote(octets)
            )
            assert answer.status in (200, 400), (ascii(nasty), answer)
            assert b'"status":500' not in answer.body
        await shop.books_balance()
