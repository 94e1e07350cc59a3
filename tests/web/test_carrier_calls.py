"""The addresses that carriers' services call: who is let in, what is stored before the answer, what is told."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
import pytest_asyncio
from shop import Shop, opened

from chappe.actions import carriers as carriers_action
from chappe.actions import inbound as inbound_action
from chappe.carriers.http import signatures
from chappe.core.http import Request
from chappe.core.lifecycle import State
from chappe.embedded.server import ConnectionParameters
from chappe.store import carriers
from chappe.web.carrier_calls import BODY_BYTES_MAX, CarrierCalls
from chappe.web.key_guessing import FREE, Guesses

pytestmark = pytest.mark.asyncio

SECRET = "s" * 32
FORM = {"content-type": "application/x-www-form-urlencoded"}


class Desk:
    """One process that takes calls, with a carrier over HTTP whose messages have been submitted."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        self.now = 0.0
        self.told = 0
        self.guesses = Guesses(lambda: self.now)
        self.calls = CarrierCalls(shop.database, self.guesses, self._tell)
        self.carrier_id = 0

    def _tell(self) -> None:
        self.told += 1

    async def carrier(self, preset: str, **settings: str) -> None:
        made = carriers_action.build_settings(
            kind="http",
            system_id="US",
            password="KEY",
            profile_names=preset,
            settings={"callback_secret": SECRET, "public_url": "https://sms.example.com", **settings},
        )
        self.carrier_id = (await carriers_action.add(self.shop.database, "net", made, "http")).id
        await self.calls.refresh()

    async def submitted(self, *references: str) -> list[int]:
        """Messages that the service has taken under these ids."""
        account = await self.shop.account()
        numbers = await self.shop.messages(account, len(references), now=datetime.now(UTC))
        for number, reference in zip(numbers, references, strict=True):
            await self.shop.database.execute(
                """insert into reference (carrier_id, carrier_ref, message_id, part, submitted_at)
                   values ($1, $2, $3, 0, now())""",
                self.carrier_id,
                reference,
                number,
            )
        return numbers

    async def post(self, what: str, body: object, secret: str = SECRET, name: str = "net", **given: object) -> int:
        octets = body if isinstance(body, bytes) else json.dumps(body).encode()
        request = Request("POST", f"/carriers/{name}/{secret}/{what}", body=octets, remote="192.0.2.1")
        for field, value in given.items():
            request = type(request)(**{**{f: getattr(request, f) for f in request.__struct_fields__}, field: value})
        self.answer = await self.calls.take(request)
        return self.answer.status

    async def state(self, number: int) -> State:
        return State(await self.shop.database.value("select state from message where id = $1", number))

    async def count(self, table: str) -> int:
        found = await self.shop.database.value(f"select count(*) from {table}")
        assert isinstance(found, int)
        return found


@pytest_asyncio.fixture
async def desk(database: ConnectionParameters) -> AsyncIterator[Desk]:
    async with opened(database) as shop:
        yield Desk(shop)


def receipt(reference: str, status: str = "delivered") -> dict[str, object]:
    return {"status": status, "msgId": reference, "date": 1, "cost": "0.049", "currency": "EUR"}


async def test_a_receipt_moves_its_message_and_rings(desk: Desk):
    await desk.carrier("smspartner")
    first, second = await desk.submitted("701", "702")
    assert await desk.post("receipt", receipt("701")) == 200
    assert await desk.post("receipt", receipt("702", "not delivered")) == 200
    assert (await desk.state(first), await desk.state(second)) == (State.DELIVERED, State.UNDELIVERED)
    assert desk.told == 2


async def test_a_receipt_before_its_message_waits_and_news_end_nothing(desk: Desk):
    await desk.carrier("smspartner")
    assert await desk.post("receipt", receipt("early")) == 200
    assert await desk.count("receipt_unmatched") == 1
    (number,) = await desk.submitted("701")
    before = await desk.state(number)
    assert await desk.post("receipt", receipt("701", "waiting")) == 200
    assert await desk.post("receipt", receipt("701", "a new word")) == 200
    assert await desk.state(number) == before
    assert await desk.shop.database.value("select oddity from receipt order by id desc limit 1") == "unknown_word"


async def test_several_receipts_of_one_message_in_one_call(desk: Desk):
    await desk.carrier("smspartner", receipt_list="all")
    (number,) = await desk.submitted("701")
    assert await desk.post("receipt", {"all": [receipt("701", "waiting"), receipt("701"), receipt("701")]}) == 200
    assert await desk.state(number) is State.DELIVERED
    assert await desk.count("receipt") == 3


async def test_a_reply_is_stored_once_and_sorted(desk: Desk):
    await desk.carrier("twilio")
    body = b"MessageSid=SM1&From=%2B33600000001&To=%2B33700000000&Body=Oui"
    url = f"https://sms.example.com/carriers/net/{SECRET}/reply"
    fields = [("MessageSid", "SM1"), ("From", "+33600000001"), ("To", "+33700000000"), ("Body", "Oui")]
    signed = FORM | {"x-twilio-signature": signatures.twilio(url, fields, "KEY")}
    for _ in range(3):
        assert await desk.post("reply", body, headers=signed) == 200
        assert (desk.answer.content_type, desk.answer.body) == ("text/xml", b"<Response></Response>")
    assert await desk.count("inbound") == 1
    assert await desk.post("reply", body, headers=FORM) == 403
    assert await desk.post("reply", body + b"!", headers=signed) == 403
    assert await desk.count("inbound") == 1


async def test_a_long_reply_that_comes_in_parts_is_put_together(desk: Desk):
    await desk.carrier("smspartner")
    account = await desk.shop.account()
    await desk.shop.database.execute(
        "insert into virtual_number (number, account_id) values ('+33700000001', $1)", account.id
    )
    part = {"msisdn": "33600000001", "to": "33700000001", "concat": "true", "concat-ref": "171", "concat-total": "2"}
    for place, text in ((2, "world"), (1, "hello ")):
        assert (
            await desk.post("reply", {**part, "messageId": f"0{place}", "text": text, "concat-part": str(place)}) == 200
        )
    known = {one.id: one for one in await carriers.all_carriers(desk.shop.database)}
    await inbound_action.sort(desk.shop.database, datetime.now(UTC), known)
    assert await desk.shop.database.value("select text from reply") == "hello world"


async def test_what_cannot_be_read_is_kept_and_answered(desk: Desk):
    await desk.carrier("smspartner")
    for what in ("receipt", "reply"):
        assert await desk.post(what, b"<xml/>") == 200
    assert await desk.count("quarantine") == 2
    assert await desk.post("receipt", b"") == 200  # a check of the address
    assert await desk.count("quarantine") == 2


@pytest.mark.parametrize(
    ("given", "status"),
    [
        ({"secret": "t" * 32}, 404),
        ({"secret": ""}, 404),
        ({"secret": SECRET + "/x"}, 404),
        ({"name": "other"}, 404),
        ({"name": ""}, 404),
        ({"method": "DELETE"}, 405),
        ({"body": b"x" * (BODY_BYTES_MAX + 1)}, 413),
        ({"query": b"x" * 20_000}, 413),
    ],
)
async def test_who_is_not_let_in(desk: Desk, given: dict[str, object], status: int):
    await desk.carrier("smspartner")
    body = given.pop("body", receipt("701"))
    assert await desk.post("receipt", body, **given) == status  # type: ignore[arg-type]
    assert await desk.count("receipt") == 0
    assert await desk.count("quarantine") == 0


async def test_other_addresses_of_a_carrier_are_nothing_and_no_guess(desk: Desk):
    await desk.carrier("smspartner")
    for _ in range(FREE + 1):
        assert await desk.post("receipts", receipt("701")) == 404
    assert await desk.post("receipt", receipt("701")) == 200


async def test_wrong_secrets_count_as_wrong_keys_but_not_against_a_service_that_is_known(desk: Desk):
    await desk.carrier("smspartner")
    assert await desk.post("receipt", receipt("701"), remote="192.0.2.9") == 200
    for remote in ("192.0.2.9", "192.0.2.1"):
        for _ in range(FREE):
            assert await desk.post("receipt", receipt("702"), secret="wrong", remote=remote) == 404
    assert await desk.post("receipt", receipt("703")) == 429
    assert await desk.post("receipt", receipt("703"), remote="192.0.2.9") == 200
    desk.now += 3_600
    assert await desk.post("receipt", receipt("704")) == 200


async def test_before_the_carriers_are_known_services_are_asked_to_come_again(desk: Desk):
    assert await desk.post("receipt", receipt("701")) == 503


async def test_a_carrier_of_another_kind_has_no_address(desk: Desk):
    await desk.shop.carrier("smsc", port=2775)
    await desk.calls.refresh()
    assert await desk.post("receipt", receipt("701"), name="smsc", secret="") == 404
