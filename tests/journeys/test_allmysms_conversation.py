"""AllMySMS both ways: sent by REST, acknowledged by 9.0, answered from the phone, told, stopped, deleted."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode

import pytest
from program import Answer, ask, until

if TYPE_CHECKING:
    from program import Program
    from receivers import Receiver

ALICE, BOB = "33655500001", "33655500002"


class Client:
    """A customer who speaks both APIs."""

    def __init__(self, program: Program, login: str, key: str) -> None:
        self.url, self.login, self.key = program.url, login, key

    def rest(self, path: str, **body: Any) -> Answer:
        """POST of JSON where there is a body, else GET."""
        basic = base64.b64encode(f"{self.login}:{self.key}".encode()).decode()
        headers = {"authorization": f"Basic {basic}"}
        if not body:
            return ask(self.url + path, headers=headers)
        return ask(self.url + path, "POST", json.dumps(body).encode(), headers)

    def method(self, name: str, **fields: object) -> Any:
        query = urlencode({"login": self.login, "apiKey": self.key} | fields)
        answer = ask(f"{self.url}/http/9.0/{name}?{query}")
        assert answer.status == 200
        return answer.json()


@pytest.fixture
def client(program: Program, request: pytest.FixtureRequest) -> Client:
    """A commercial customer whose messages may leave at any hour."""
    login = f"talker{abs(hash(request.node.nodeid)) % 10**12}"
    key = program.account(login, balance="1.065")
    program.command("account", "set", login, "window=none", "transactional=off")
    return Client(program, login, key)


def test_a_ping_needs_no_account(program: Program) -> None:
    answer = ask(f"{program.url}/ping/")
    assert (answer.status, answer.json()) == (200, {"code": 100, "description": "pong"})


def test_a_conversation_from_the_send_to_the_stop(
    program: Program, phones: Program, client: Client, receive: Callable[[], Receiver]
) -> None:
    receiver = receive()
    program.command("account", "set", client.login, f"replies_url={receiver.url}")
    sent = client.rest("/sms/send", to=f"+{ALICE}", text="Une question ?", **{"from": "allmysms", "cliMsgId": "réf"})
    assert sent.status == 201
    sms_id = sent.json()["smsId"]
    until(lambda: client.method("getAckBySmsId", smsId=sms_id)["status"] == "1", "the message is acknowledged")
    assert client.method("getAckBySmsId", smsId=sms_id)["cliMsgId"] == "réf"

    for text in ("Oui, à 9h 😀", "STOP"):
        program.phones.reply(f"+{ALICE}", "allmysms", text)
        (hook,) = receiver.wait_for(lambda hook, text=text: hook.query["message"] == text)
        assert (hook.method, hook.query["phoneNumber"], hook.query["smsId"]) == ("GET", ALICE, sms_id)
        assert hook.query["cliMsgId"] == "réf", "it is given back with what was sent under it"
    until(lambda: client.method("getBlacklist")["blacklist"], "the number is on the list")
    assert [entry["phoneNumber"] for entry in client.method("getBlacklist")["blacklist"]] == [ALICE]
    assert [reply["message"] for reply in client.method("getPulls")["mos"]] == ["Oui, à 9h 😀", "STOP"]
    assert client.method("getPulls") == {"mos": []}, "each reply once"
    assert client.method("getPullBySmsId", smsId=sms_id)["message"] == "STOP"

    simulated = client.rest("/sms/send/bulk", to=[ALICE, BOB], text="Promo", simulate=1).json()
    campaign = client.rest("/sms/send/bulk", to=[ALICE, BOB], text="Promo").json()
    for told in (simulated, campaign):
        assert (told["invalidNumbers"], told["nbContacts"], told["cost"]) == (ALICE, 1, 0.045)
    assert client.rest("/sms/send", to=ALICE, text="Promo").status == 400
    assert client.method("getInfo")["balance"] == 0.975, "nothing for the one who wants nothing"
    assert [message["text"] for message in program.phones.wait_for(f"+{BOB}")] == ["Promo"]
    assert [message["text"] for message in program.phones.messages(f"+{ALICE}")] == ["Une question ?"]


def test_a_scheduled_campaign_is_deleted_once_and_its_money_comes_back(program: Program, client: Client) -> None:
    sent = client.rest("/sms/send/bulk/", to=[ALICE, BOB], text="Demain", date="2030-01-31 10:00:00")
    campaign = sent.json()
    assert (sent.status, campaign["code"], campaign["balance"]) == (201, 101, 0.975)
    assert {ack["status"] for ack in client.method("getAcks", campId=campaign["campaignId"])["acks"]} == {"3"}
    stranger = Client(program, "stranger", program.account("stranger"))
    assert stranger.method("deleteCampaign", campId=campaign["campaignId"])["status"] == "0"
    for _ in range(2):
        assert client.method("deleteCampaign", campId=campaign["campaignId"]) == {"status": "OK"}
    report = client.rest(f"/report/campaign/{campaign['campaignId']}")
    assert {entry["code"] for entry in report.json()["reports"]} == {4}
    account = client.rest("/account").json()
    assert (account["balance"], account["nbSms"]) == (1.065, 23)


def test_a_simulated_campaign_leaves_nothing(program: Program, client: Client) -> None:
    flow = f"<DATA><MESSAGE>Bonjour</MESSAGE><SMS><MOBILEPHONE>{BOB}</MOBILEPHONE></SMS></DATA>"
    told = client.method("simulateCampaign", smsData=flow, returnformat="json")
    assert (told["status"], told["nbCredits"], told["nbContacts"], told["nbSms"]) == (100, 15, 1, 1)
    assert client.method("getInfo")["credits"] == "355"


def test_a_request_with_an_identifier_is_sent_once(program: Program, phones: Program, client: Client) -> None:
    def sent(**more: Any) -> tuple[int, int]:
        answer = client.rest("/sms/send", **{"to": BOB, "text": "Une fois", "uniqueIdentifier": "order 7"} | more)
        return answer.status, answer.json()["code"]

    assert sent(simulate=1) == (201, 100)
    assert sent(to="12") == (400, 114), "what was refused or simulated takes no identifier"
    assert sent(text="x" * 640, to=BOB) == (201, 100)
    assert sent() == (400, 121)
    assert sent(uniqueIdentifier="order 8") == (201, 100)
    assert [message["text"] for message in program.phones.wait_for(f"+{BOB}", 2)] == ["x" * 640, "Une fois"]


def test_a_rejected_number_is_told_and_its_money_comes_back(
    program: Program, phones: Program, client: Client, receive: Callable[[], Receiver]
) -> None:
    receiver = receive()
    program.command(
        "account", "set", client.login, "price.46=0.03", f"reports_url={receiver.url}/dlr", "reports_method=POST"
    )
    numbers = ["+46701740617", "12", "+46701740611"]  # the second is none; the handset knows the others' ends
    flow = json.dumps({"DATA": {"MESSAGE": "x", "SMS": [{"MOBILEPHONE": number} for number in numbers]}})
    sent = client.method("sendSms", smsData=flow)
    assert (sent["status"], sent["invalidNumbers"], sent["nbContacts"], sent["creditsUsed"]) == (113, "12", "2", "20")
    hooks = receiver.wait_for(count=2)
    told = {fields["phoneNumber"]: fields["status"] for fields in (dict(parse_qsl(h.body.decode())) for h in hooks)}
    assert told == {"46701740617": "5", "46701740611": "1"}
    acks = client.method("getAcks", campId=sent["campaignId"])["acks"]
    assert [(ack["phoneNumber"], ack["status"]) for ack in acks] == [("46701740617", "5"), ("46701740611", "1")]
    assert client.method("getInfo")["balance"] == 1.035


def test_a_master_reads_its_sub_account_and_a_stranger_does_not(program: Program, client: Client) -> None:
    login = f"below{client.login}"
    below = Client(program, login, program.account(login, balance="0.900"))
    sent = below.rest("/sms/send/bulk", to=[ALICE], text="x", date="2030-01-31 10:00:00").json()
    asked = {"campId": sent["campaignId"], "subAccount": login}
    assert client.method("getAcks", **asked) == {"status": "0", "statusText": "Ce sous-compte n’existe pas"}
    program.command("account", "set", login, f"master={client.login}")
    assert [ack["status"] for ack in client.method("getAcks", **asked)["acks"]] == ["3"]
    account = client.rest(f"/account?subAccount={login}").json()
    assert (account["balance"], account["apiKey"]) == (0.855, "")
    assert client.method("getInfo", subAccount=login)["credits"] == "285"
    assert below.method("getInfo", subAccount=client.login)["status"] == 102


def test_a_sender_that_cannot_be_used_gives_way_and_the_operator_sees_it(
    program: Program, phones: Program, client: Client
) -> None:
    flow = json.dumps({"DATA": {"MESSAGE": "x", "TPOA": "Nom de l’émetteur", "SMS": [{"MOBILEPHONE": BOB}]}})
    sent = client.method("sendSms", smsData=flow)
    assert sent["status"] == 100
    (message,) = program.phones.wait_for(f"+{BOB}")
    assert message["from"].isdigit()
    assert program.json("message", sent["campaignId"])["options"] == ["sender_malformed"]
