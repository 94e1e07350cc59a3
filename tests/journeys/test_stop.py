"""A phone answers STOP on the handset: the next campaign skips it, says so, and costs nothing for it."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from program import Program, ask, until

if TYPE_CHECKING:
    from receivers import Receiver

STOPS, STAYS = "+33612360001", "+33612360002"
PRICE = Decimal("0.038")


class Shop:
    """A customer of the program who advertises, at any hour."""

    def __init__(self, program: Program, login: str) -> None:
        self.program = program
        self.key = str(program.json("account", "create", login, "--balance", "10.000")["api_key"])
        program.command("account", "set", login, "window=none")
        until(lambda: self.post("stop-sms/list")["success"], "the account to be known")

    def get(self, page: str, /, **values: Any) -> Any:
        return ask(f"{self.program.url}/v1/{page}?{urlencode({'apiKey': self.key, **values})}").json()

    def post(self, page: str, /, **values: Any) -> Any:
        body = json.dumps({"apiKey": self.key, **values}).encode()
        return ask(f"{self.program.url}/v1/{page}", "POST", body).json()

    def campaign(self, *numbers: str, **more: Any) -> Any:
        return self.post("send", phoneNumbers=",".join(numbers), message="Soldes", isStopSms=1, **more)

    def balance(self) -> Decimal:
        return Decimal(self.get("me")["credits"]["balance"])

    def status(self, submission_id: int, number: str) -> tuple[str, bool, float]:
        found = self.get("message-status", messageId=submission_id, phoneNumber=number)
        return found["statut"], found["stopSms"], found["cost"]


def test_who_answers_stop_is_skipped_by_the_next_campaign_which_says_so_and_costs_nothing_for_him(
    phones: Program, receive: Callable[[], Receiver]
) -> None:
    shop, receiver = Shop(phones, "soldes"), receive()
    first = shop.campaign(STOPS, STAYS, urlResponse=f"{receiver.url}/replies")
    assert (first["nb_sms"], first["cost"]) == (2, 0.076)
    (shown,) = phones.phones.wait_for(STOPS)
    assert (shown["from"], shown["text"]) == ("36111", "Soldes STOP 36111")
    tomorrow = datetime.now(UTC) + timedelta(days=2)
    waiting = shop.campaign(
        STOPS, STAYS, scheduledDeliveryDate=f"{tomorrow:%d/%m/%Y}", time=12, minute=0, urlDlr=f"{receiver.url}/reports"
    )["message_id"]
    assert shop.balance() == 10 - 4 * PRICE

    phones.phones.reply(STOPS, shown["from"], "Stop svp")

    (heard,) = receiver.wait_for(lambda hook: hook.path == "/replies")
    assert heard.json() == {
        "type": "stop",
        "phone_number": STOPS,
        "text": "Stop svp",
        "message_id": first["message_id"],
    }
    (entry,) = shop.get("stop-sms/list")["data"]
    assert entry["phoneNumber"] == STOPS
    # What waits for him ends at once, with its money back; the other one's stays.
    (report,) = receiver.wait_for(lambda hook: hook.path == "/reports")
    assert (report.json()["phone"], report.json()["status"], report.json()["cost"]) == (STOPS, "ko", "0.000")
    assert shop.status(waiting, STOPS) == ("ko", True, 0)
    assert shop.status(waiting, STAYS) == ("Waiting", False, 0.038)
    assert shop.balance() == 10 - 3 * PRICE

    second = shop.campaign(STOPS, STAYS, urlDlr=f"{receiver.url}/second")
    assert (second["success"], second["nb_sms"], second["cost"]) == (True, 1, 0.038)
    assert shop.balance() == 10 - 4 * PRICE
    assert shop.status(second["message_id"], STOPS) == ("ko", True, 0)
    reports = receiver.wait_for(lambda hook: hook.path == "/second", 3)
    told = [(hook.json()["phone"], hook.json()["status"], hook.json()["cost"]) for hook in reports]
    assert sorted(told) == [(STOPS, "ko", "0.000"), (STAYS, "delivered", "0.038"), (STAYS, "waiting", "0.038")]
    listed = shop.post(
        "bulk-send", SMSList=[{"phoneNumber": STOPS, "message": "a"}, {"phoneNumber": STAYS, "message": "b"}]
    )
    refused, sent = listed["SMSResponse_List"]
    assert (refused["success"], refused["code"], refused["phoneNumber"]) == (False, 14, STOPS)
    assert (sent["success"], listed["nbSMS"], listed["cost"]) == (True, 1, 0.038)
    assert shop.campaign(STOPS) == {
        "success": False,
        "code": 55,
        "message": "Aucun numéro à envoyer",
        "errors": [{"success": False, "code": "14", "message": "Le numéro est dans la liste des STOP SMS"}],
    }
    assert shop.balance() == 10 - 5 * PRICE
    phones.phones.wait_for(STAYS, 3)
    phones.phones.wait_for(STOPS, 1)
    (timeline,) = (m for m in phones.json("message", str(second["message_id"]))["messages"] if m["recipient"] == STOPS)
    assert (timeline["state"], timeline["reason"], timeline["price"]) == ("suppressed", "opted_out", "0")


def test_his_stop_is_for_the_one_who_wrote_to_him_and_start_takes_it_back(phones: Program) -> None:
    mine, other = Shop(phones, "mine"), Shop(phones, "other")
    number = "+33612360010"
    mine.campaign(number)
    (shown,) = phones.phones.wait_for(number)
    phones.phones.reply(number, shown["from"], "ARRÊT")
    until(lambda: mine.get("stop-sms/list")["nbData"], "the STOP")
    assert other.get("stop-sms/list")["nbData"] == 0
    assert mine.campaign(number)["code"] == 55

    phones.phones.reply(number, shown["from"], "start")
    until(lambda: not mine.get("stop-sms/list")["nbData"], "the START")
    assert mine.campaign(number)["success"] is True
    phones.phones.wait_for(number, 2)
