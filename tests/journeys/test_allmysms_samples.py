"""The second API's own samples, from their programs to the phone, with the credits that they cost."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_plus
from zoneinfo import ZoneInfo

import pytest
from clients import ask_raw, run_sample
from program import Answer, ask

if TYPE_CHECKING:
    from program import Program

HOST = "https://api.www.allmysms.com"
PHONE = "33612345678"
UUID = 36


def flow(text: str) -> str:
    """The flow of most samples."""
    return (
        f"<DATA><MESSAGE><![CDATA[{text}]]></MESSAGE><TPOA>EXPEDITEUR</TPOA>"
        f"<SMS><MOBILEPHONE>{PHONE}</MOBILEPHONE></SMS></DATA>"
    )


@pytest.fixture
def login(program: Program, request: pytest.FixtureRequest) -> tuple[str, str]:
    """Login and key of a customer with 355 credits, made for one test."""
    name = f"customer{abs(hash(request.node.nodeid)) % 10**12}"
    return name, program.account(name, balance="1.065")


def check_xml(printed: str) -> None:
    """The reply to one part from 355 credits, in the order of its elements."""
    root = ElementTree.fromstring(printed.encode())
    assert root.findtext("status") == "100"
    assert [(element.tag, element.text) for element in root if not len(element)] == [
        ("status", "100"),
        ("statusText", "Le message a été envoyé"),
        ("invalidNumbers", None),
        ("campaignId", root.findtext("campaignId")),
        ("credits", "340"),
        ("creditsUsed", "15"),
        ("nbContacts", "1"),
        ("nbSms", "1"),
        ("balance", "1.02"),
    ]
    (item,) = root.findall("smsIds/item")
    assert item.findtext("phoneNumber") == PHONE
    assert len(item.findtext("smsId") or "") == UUID


def check_phone(program: Program, sender: str, text: str) -> None:
    (shown,) = program.phones.wait_for("+" + PHONE)
    assert (shown["from"], shown["text"], shown["parts"]) == (sender, text, 1)


@pytest.mark.parametrize(
    ("sample", "sender", "text", "more"),
    [
        ("allmysms.php", "allmysms", "Envoi de SMS test avec AllMySMS.com", {}),
        # A letter too many in the sample: the text begins with a bracket. It is not encoded, and must arrive.
        ("sendSms.java", "allmysms", "[Envoi de SMS en Java avec www.allmysms.com STOP au 36180", {}),
        ("allmysms.pl", "EXPEDITEUR", "envoi de SMS en perl avec www.allmysms.com", {"[ 'https']": "[ 'http']"}),
        (
            "allmysms.rb",
            "EXPEDITEUR",
            "envoi de SMS en windev avec www.allmysms.com",
            {"use_ssl = true": "use_ssl = false"},
        ),
    ],
)
def test_the_sample_sends(
    sample: str,
    sender: str,
    text: str,
    more: dict[str, str],
    phones: Program,
    login: tuple[str, str],
    tmp_path: Path,
) -> None:
    replacements = {HOST: phones.url, "yourlogin": login[0], "yourapikey": login[1]} | more
    check_xml(run_sample(sample, tmp_path, replacements))
    check_phone(phones, sender, text)


# -- samples of languages that do not run here: their octets


def dotnet(program: Program, login: tuple[str, str]) -> Answer:
    """A form that is not encoded, announced by Expect: 100-continue."""
    text = flow("envoi de SMS en dotNet avec www.allmysms.com")
    body = f"login={login[0]}&apiKey={login[1]}&smsData={text}".encode()
    head = f"""POST /http/[version]/sendSms/ HTTP/1.1
        Content-Type: application/x-www-form-urlencoded
        Host: api.www.allmysms.com
        Content-Length: {len(body)}
        Expect: 100-continue
        Connection: Keep-Alive"""
    return ask_raw(program.url, head, body)


def escape(text: str) -> str:
    """Escape() of Visual Basic: Latin-1 octets as %XX, other letters as %uXXXX."""
    kept = "@*_+-./"
    return "".join(
        c if c.isascii() and (c.isalnum() or c in kept) else f"%{ord(c):02X}" if ord(c) < 256 else f"%u{ord(c):04X}"
        for c in text
    )


def visual_basic(program: Program, login: tuple[str, str]) -> Answer:
    """A GET whose flow went through Escape()."""
    text = escape(flow("envoi de SMS en vb avec www.allmysms.com"))
    head = f"""GET /http/[version]/sendSms/?login={login[0]}&apiKey={login[1]}&smsData={text} HTTP/1.1
        Accept: */*
        Host: api.www.allmysms.com
        Connection: Keep-Alive"""
    return ask_raw(program.url, head)


def python_2(program: Program, login: tuple[str, str]) -> Answer:
    """Version 8 by older names; the sample forgets the `?` before its parameters. Its flow, which lost its tags on the
    provider's page, is whole here."""
    text = quote_plus(flow("envoi de SMS en python avec www.allmysms.com"))
    target = f"/http/sendSms_v8.phpclientcode={login[0]}&passcode={login[1]}&smsData={text}"
    head = f"""GET {target} HTTP/1.0
        Host: api.msinnovations.com
        User-Agent: Python-urllib/1.17"""
    return ask_raw(program.url, head)


@pytest.mark.parametrize(
    ("client", "text"),
    [
        (dotnet, "envoi de SMS en dotNet avec www.allmysms.com"),
        (visual_basic, "envoi de SMS en vb avec www.allmysms.com"),
        (python_2, "envoi de SMS en python avec www.allmysms.com"),
    ],
)
def test_the_request_of_the_sample_sends(
    client: Callable[[Program, tuple[str, str]], Answer], text: str, phones: Program, login: tuple[str, str]
) -> None:
    answer = client(phones, login)
    assert (answer.status, answer.content_type.partition(";")[0]) == (200, "text/xml")
    check_xml(answer.text)
    check_phone(phones, "EXPEDITEUR", text)


def test_the_flow_of_the_python_sample_as_printed_is_refused(program: Program, login: tuple[str, str]) -> None:
    text = quote_plus(f"<![CDATA[envoi de SMS en python avec www.allmysms.com]]>EXPEDITEUR{PHONE}")
    target = f"/http/sendSms_v8.php?clientcode={login[0]}&passcode={login[1]}&smsData={text}"
    assert ElementTree.fromstring(ask(program.url + target).body).findtext("status") == "106"


def windev(program: Program, login: tuple[str, str], text: str, date: datetime) -> Any:
    """JSON in a form that is not encoded, with `date` in lower case; the reply is JSON as asked for."""
    flow = {
        "DATA": {
            "MESSAGE": text,
            "SMS": [{"MOBILEPHONE": PHONE}],
            "date": date.strftime("%Y-%m-%d %H:%M:%S"),
            "TPOA": "Expediteur",
        }
    }
    body = (
        f"login={login[0]}&apiKey={login[1]}&smsData={json.dumps(flow, ensure_ascii=False)}&returnformat=JSON".encode()
    )
    head = f"""POST /http/9.0/sendSms/ HTTP/1.1
        User-Agent: PC SOFT Framework
        Host: api.www.allmysms.com
        Content-Length: {len(body)}"""
    answer = ask_raw(program.url, head, body)
    assert (answer.status, answer.content_type.partition(";")[0]) == (200, "text/html")
    return answer.json()


def test_the_request_of_the_windev_sample_sends_now(phones: Program, login: tuple[str, str]) -> None:
    text = "Message envoyé à WinDev, déjà 5 €"
    reply = windev(phones, login, text, datetime.now(ZoneInfo("Europe/Paris")))
    assert list(reply) == [
        "status",
        "statusText",
        "invalidNumbers",
        "campaignId",
        "credits",
        "creditsUsed",
        "nbContacts",
        "nbSms",
        "smsIds",
        "balance",
    ]
    assert (reply["status"], reply["credits"], reply["creditsUsed"], reply["balance"]) == (100, "340", "15", 1.02)
    check_phone(phones, "Expediteur", text)


def test_the_request_of_the_windev_sample_is_scheduled(phones: Program, login: tuple[str, str]) -> None:
    later = datetime.now(ZoneInfo("Europe/Paris")) + timedelta(days=30)
    reply = windev(phones, login, "Plus tard", later)
    assert (reply["status"], reply["statusText"]) == (101, "Le message a été programmé pour un envoi différé")
    assert (reply["credits"], reply["creditsUsed"]) == ("340", "15")
    told = phones.json("message", reply["campaignId"])
    assert "scheduled" in json.dumps(told)
    assert phones.phones.messages("+" + PHONE) == []


def test_the_flow_of_the_xml_example_sends_to_each_recipient(phones: Program, login: tuple[str, str]) -> None:
    """The example of the page, remarks between its elements included; its past date means now."""
    flow = """<DATA>
       <MESSAGE><![CDATA[Votre message]]></MESSAGE>
       <DYNAMIC>2</DYNAMIC> (needed when the message varies)
       <CAMPAIGN_NAME>nom de campagne </CAMPAIGN_NAME> (optional)
       <DATE>2011-11-05 15:10:00 </DATE> (optional)
       <TPOA>emetteur</TPOA>
       <SMS><MOBILEPHONE>33611111111</MOBILEPHONE><PARAM_1>A</PARAM_1><PARAM_2>B</PARAM_2></SMS>
       <SMS><MOBILEPHONE>33622222222</MOBILEPHONE><PARAM_1>A</PARAM_1><PARAM_2>B</PARAM_2></SMS>
    </DATA>"""
    query = f"login={login[0]}&apiKey={login[1]}&smsData={quote_plus(flow)}"
    root = ElementTree.fromstring(ask(f"{phones.url}/http/9.0/sendSms?{query}").body)
    assert (root.findtext("status"), root.findtext("credits"), root.findtext("nbSms")) == ("100", "325", "2")
    for to in ("+33611111111", "+33622222222"):
        (shown,) = phones.phones.wait_for(to)
        assert (shown["from"], shown["text"]) == ("emetteur", "Votre message")
