"""The JSON API and the files of the page."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from chappe.core.http import Request
from chappe.handset import api
from chappe.handset.api import Api
from chappe.handset.smsc import Smsc
from chappe.smpp.events import Received
from chappe.smpp.session import Mode

ID = re.compile(r"\d{16}")


@pytest.mark.asyncio
async def test_a_message_has_exactly_the_fields_of_the_contract(running: Any) -> None:
    async with running() as bench:
        client = await bench.bound()
        _, id = await client.submit("Déjà 5 €".encode("utf-16-be"), data_coding=8)
        [message] = await bench.get("/handset/messages")
        assert message == {
            "id": id.decode(),
            "to": "+33612345678",
            "from": "Chappe",
            "text": "Déjà 5 €",
            "parts": 1,
            "encoding": "ucs2",
            "received_at": "2027-01-15T08:00:00.000Z",
        }


@pytest.mark.parametrize(
    "query",
    [
        "to=+33612345678",
        "to=%2B33612345678",
        "to=33612345678",
        "to=0033612345678",
        "to=%2B33%20612345678",
        "from=chappe",
    ],
)
@pytest.mark.asyncio
async def test_numbers_are_compared_by_digits(running: Any, query: str) -> None:
    async with running() as bench:
        client = await bench.bound()
        await client.submit(b"other", to=b"33699999999", source_addr=b"Other")
        await client.submit(b"this")
        assert [message["text"] for message in await bench.get(f"/handset/messages?{query}")] == ["this"]


@pytest.mark.asyncio
async def test_the_newest_come_first_and_after_polls(running: Any) -> None:
    async with running() as bench:
        client = await bench.bound()
        for number in range(60):
            await client.submit(str(number).encode())
        found = await bench.get("/handset/messages")
        assert [message["text"] for message in found] == [str(number) for number in range(59, 9, -1)]
        assert len(await bench.get("/handset/messages?limit=1000")) == 60
        newer = await bench.get(f"/handset/messages?after={found[2]['id']}")
        assert [message["text"] for message in newer] == ["59", "58"]
        assert await bench.get(f"/handset/messages?after={found[0]['id']}") == []


@pytest.mark.parametrize(
    ("method", "target", "body", "status", "sentence"),
    [
        ("GET", "/handset/messages?limit=0", None, 400, "limit wants a whole number from 1 to 1000"),
        ("GET", "/handset/messages?limit=1001", None, 400, "limit wants"),
        ("GET", "/handset/messages?limit=ten", None, 400, "limit wants"),
        ("GET", "/handset/messages?after=-1", None, 400, "after wants"),
        ("GET", "/handset/messages?too=1", None, 400, "did you mean to"),
        ("GET", "/handset/messages?to=1&to=2", None, 400, "'to' is there twice"),
        ("GET", "/handset/messages/1", None, 404, "no such message"),
        ("GET", "/handset/messages/" + "9" * 400, None, 404, "no such message"),
        ("GET", "/handset/mesages", None, 404, "did you mean /handset/messages"),
        ("GET", "/handset/../etc/passwd", None, 404, "nothing at this address"),
        ("PUT", "/handset/messages", None, 405, "GET and DELETE only"),
        ("POST", "/handset", None, 405, "GET only"),
        ("GET", "/handset/replies", None, 405, "POST only"),
        ("POST", "/handset/replies", b"", 400, "no JSON"),
        ("POST", "/handset/replies", b"[" * 60_000, 400, "no JSON"),
        ("POST", "/handset/replies", b"\xff", 400, "no JSON"),
        ("POST", "/handset/replies", [], 400, "no JSON object"),
        ("POST", "/handset/replies", {"from": "+33612345678", "to": "36111"}, 400, "'text' is missing"),
        ("POST", "/handset/replies", {"from": 1, "to": "1", "text": "x"}, 400, "'from' is missing"),
        ("POST", "/handset/replies", {"from": "me", "to": "36111", "text": "x"}, 400, "wants a phone number"),
        ("POST", "/handset/replies", {"from": "+33612345678", "to": "é" * 5, "text": "x"}, 400, "'to' wants"),
        ("POST", "/handset/replies", {"from": "+33612345678", "to": "x" * 21, "text": "x"}, 400, "'to' wants"),
        ("POST", "/handset/replies", {"from": "+33612345678", "to": "1", "text": "x" * 4000}, 400, "longer than"),
        ("POST", "/handset/replies", {"from": "1", "to": "1", "text": "x", "txt": ""}, 400, "did you mean text"),
        ("POST", "/handset/replies", b" " * 70_000, 413, "longer than"),
        ("POST", "/handset/chaos", {"latency": 1}, 400, "did you mean latency_ms"),
        ("POST", "/handset/chaos", {"error_rate": 2}, 400, "error_rate wants"),
        ("POST", "/handset/chaos", b"null", 400, "no JSON object"),
    ],
)
@pytest.mark.asyncio
async def test_mistakes_are_answered_in_a_sentence(
    method: str, target: str, body: object, status: int, sentence: str
) -> None:
    path, _, query = target.partition("?")
    octets = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    answer = await Smsc().page(Request(method, path, query.encode(), {}, octets))
    assert (answer.status, answer.content_type) == (status, "application/json")
    assert sentence in json.loads(answer.body)["error"]
    assert (status == 405) == ("Allow" in dict(answer.headers))


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"origin": "http://127.0.0.1:8080", "host": "127.0.0.1:8080"}, 200),
        ({"origin": "http://elsewhere.example", "host": "127.0.0.1:8080"}, 403),
        ({"origin": "null", "host": "127.0.0.1:8080"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-origin"}, 200),
    ],
)
@pytest.mark.asyncio
async def test_pages_of_other_sites_steer_nothing(headers: dict[str, str], status: int) -> None:
    assert (await Smsc().page(Request("DELETE", "/handset/messages", b"", headers))).status == status


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("", 200),
        ("127.0.0.1:8080", 200),
        ("[::1]:8080", 200),
        ("[fe80::1%25eth0]", 200),
        ("192.168.1.7", 200),
        ("localhost:8080", 200),
        ("LOCALHOST.", 200),
        ("phone.localhost", 200),
        ("handset:8025", 200),  # another container's name
        ("macbook.local:8080", 200),
        ("evil.example:8080", 403),
        ("evil.example.", 403),
        ("127.0.0.1.evil.example", 403),
        ("localhost.evil.example", 403),
        ("local.evil.example:8080", 403),
        ("127.0.0.1@evil.example", 403),
    ],
)
@pytest.mark.parametrize("path", ["/handset", "/handset/messages", "/handset/feed", "/handset/nothing"])
@pytest.mark.asyncio
async def test_no_strangers_name_leads_here(host: str, status: int, path: str) -> None:
    """DNS rebinding: the page of evil.example, whose name has just become 127.0.0.1, is of the same site for a
    browser."""
    headers = {"host": host, "origin": f"http://{host}"} if host else {}
    answer = await Smsc().page(Request("GET", path, b"", headers))
    assert answer.status == (404 if status == 200 and path.endswith("nothing") else status)


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/handset", "text/html"),
        ("/handset/", "text/html"),
        ("/handset/app.js", "text/javascript"),
        ("/handset/app.css", "text/css"),
    ],
)
@pytest.mark.asyncio
async def test_the_files_of_the_page_need_nothing_from_elsewhere(path: str, kind: str) -> None:
    answer = await Smsc().page(Request("GET", path))
    assert (answer.status, answer.content_type.partition(";")[0]) == (200, kind)
    assert "default-src 'none'" in dict(answer.headers)["Content-Security-Policy"]
    assert not re.search(rb"https?://|<script>|innerHTML|style=|onclick", answer.body)


@pytest.mark.asyncio
async def test_a_reply_waits_until_somebody_takes_it(running: Any) -> None:
    async with running() as bench:
        body = {"from": "06 12 34 56 78", "to": "36111", "text": "ê" * 80}
        answer = await bench.http("POST", "/handset/replies", body)
        assert (answer.status, json.loads(answer.body)["parts"]) == (201, 2)
        client = await bench.bound(Mode.RX)
        first, second = await client.deliver(), await client.deliver()
        assert (first.esm_class, first.data_coding, first.source_addr) == (0x40, 8, b"33612345678")
        assert (first.short_message[6:] + second.short_message[6:]).decode("utf-16-be") == "ê" * 80


@pytest.mark.asyncio
async def test_a_reply_goes_to_the_system_id_that_wrote_last(running: Any) -> None:
    async with running() as bench:
        one, two = await bench.bound(system_id=b"one"), await bench.bound(system_id=b"two")
        await two.submit(source_addr=b"36222", source_addr_ton=0)
        await one.submit(source_addr=b"36111", source_addr_ton=0)
        for to, client, other in (("36222", two, one), ("36111", one, two), ("39999", one, two)):
            await bench.http("POST", "/handset/replies", {"from": "+33612345678", "to": to, "text": "STOP"})
            assert (await client.deliver()).destination_addr == to.encode()
            assert not [event for event in await other.quiet() if isinstance(event, Received)]


@pytest.mark.asyncio
async def test_delete_deletes_and_the_feed_says_so(running: Any) -> None:
    async with running() as bench:
        client = await bench.bound()
        await client.submit(registered_delivery=1)
        feed = await bench.get("/handset/feed")
        assert (feed["whole"], feed["messages"][0]["state"]) == (True, "in_transit")
        unchanged = await bench.get(f"/handset/feed?after={feed['revision']}")
        assert (unchanged["whole"], unchanged["messages"]) == (False, [])
        bench.turn(1)
        await client.deliver()
        await client.ask_nothing()
        changed = await bench.get(f"/handset/feed?after={feed['revision']}")
        assert [(each["state"], each["receipt"]) for each in changed["messages"]] == [("delivered", "acknowledged")]
        assert json.loads((await bench.http("DELETE", "/handset/messages")).body) == {"deleted": 1}
        assert await bench.get("/handset/messages") == []
        assert await bench.get(f"/handset/feed?after={changed['revision']}") == {
            "revision": changed["revision"] + 1,
            "whole": True,
            "more": False,
            "messages": [],
            "replies": [],
            "chaos": [],
            "refused": {"count": 0, "last": []},
        }


@pytest.mark.asyncio
async def test_the_feed_has_replies_once(running: Any) -> None:
    async with running() as bench:
        await bench.http("POST", "/handset/replies", {"from": "+33612345678", "to": "36111", "text": "Hi"})
        feed = await bench.get("/handset/feed")
        [reply] = feed["replies"]
        assert (reply["from"], reply["to"], reply["text"]) == ("+33612345678", "36111", "Hi")
        assert (await bench.get(f"/handset/feed?after={feed['revision']}"))["replies"] == []


@pytest.mark.asyncio
async def test_details_keep_the_octets(running: Any) -> None:
    async with running() as bench:
        client = await bench.bound()
        _, id = await client.submit(b"\x00\x01\xff", data_coding=4, tlvs=((0x1401, b"\x2a"),))
        message = await bench.get(f"/handset/messages/{id.decode()}")
        [part] = message["details"]
        assert (message["encoding"], message["text"]) == ("binary", "0001ff")
        assert (part["short_message"], part["tlvs"]) == ("0001ff", [{"tag": "0x1401", "value": "2a"}])


@pytest.mark.asyncio
async def test_sessions_are_listed(running: Any) -> None:
    async with running() as bench:
        await bench.bound(Mode.RX)
        [line] = await bench.get("/handset/sessions")
        assert (line["system_id"], line["mode"], line["state"], line["address"]) == (
            "client",
            "rx",
            "bound_rx",
            "127.0.0.1",
        )


@given(path=some.text(max_size=40), query=some.binary(max_size=40), body=some.binary(max_size=60))
def test_no_request_breaks_the_api(path: str, query: bytes, body: bytes) -> None:
    api = Api(Smsc())
    for method in ("GET", "POST", "DELETE"):
        for place in (path, "/handset/replies", "/handset/chaos", "/handset/messages", f"/handset/messages/{path}"):
            answer = api.answer(Request(method, place, query, {}, body))
            assert 200 <= answer.status < 500


@pytest.mark.asyncio
async def test_the_feed_gives_every_change_in_portions_and_every_reply_once(running: Any) -> None:
    async with running() as bench:
        client = await bench.bound()
        for number in range(7):
            await client.submit(to=b"3361234560%d" % number)
            await bench.http("POST", "/handset/replies", {"from": f"+3361234560{number}", "to": "36111", "text": "Hi"})
        shown: list[str] = []
        written: list[str] = []
        revision, more, rounds = 0, True, 0
        while more:
            feed = await bench.get(f"/handset/feed?after={revision}&limit=3")
            assert len(feed["messages"]) <= 3
            shown += [message["to"] for message in feed["messages"]]
            written += [reply["from"] for reply in feed["replies"]]
            assert feed["whole"] is (revision == 0)
            revision, more, rounds = feed["revision"], feed["more"], rounds + 1
        assert shown == written == [f"+3361234560{number}" for number in range(7)]
        assert rounds == 3
        assert (await bench.get(f"/handset/feed?after={revision}"))["messages"] == []


@pytest.mark.asyncio
async def test_the_feed_says_what_no_phone_shows(running: Any) -> None:
    """Switches that are on, and what was refused when it was submitted: by a magic number, a switch, or its form."""
    async with running() as bench:
        client = await bench.bound()
        await client.submit(to=b"33639980017")
        await bench.http("POST", "/handset/chaos", {"error_rate": 1, "receipt_delay_ms": 5})
        await client.submit(to=b"33612345678")
        await client.submit(to=b"nobody")
        feed = await bench.get("/handset/feed")
        assert feed["messages"] == []
        assert feed["chaos"] == ["error_rate", "receipt_delay_ms"]
        assert feed["refused"]["count"] == 3
        assert [(each["to"], each["status"]) for each in feed["refused"]["last"]] == [
            ("nobody", "0x0B"),
            ("+33612345678", "0x08"),
            ("+33639980017", "0x0B"),
        ]
        await bench.http("DELETE", "/handset/chaos")
        assert (await bench.get("/handset/feed"))["chaos"] == []


@pytest.mark.asyncio
async def test_long_messages_come_in_small_portions(running: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "_FEED_CHARACTERS_MAX", 250)
    async with running() as bench:
        client = await bench.bound()
        for _ in range(5):
            await client.submit(b"x" * 100)
        sizes = []
        revision, more = 0, True
        while more:
            feed = await bench.get(f"/handset/feed?after={revision}")
            sizes.append(len(feed["messages"]))
            revision, more = feed["revision"], feed["more"]
        assert sizes == [2, 2, 1]
