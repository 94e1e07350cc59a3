"""AllMySMS 9.0 as clients meet it: whole requests in, whole replies out, byte for byte where bytes are known.

Longer than most files because the tables of requests, statuses and tolerances share one Exchange.
"""

import json
import xml.etree.ElementTree as ET
from datetime import UTC, datetime
from urllib.parse import quote, quote_plus, urlencode

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chappe.core.errors import Refusal
from chappe.core.http import Request, Response
from chappe.core.model import Accepted, Account, AccountSettings, Moment, Send
from chappe.dialects import Call
from chappe.dialects.allmysms import dialect

NOW = Moment(datetime(2026, 3, 2, 9, 0, tzinfo=UTC))
NOWHERE_ELSE = AccountSettings(prices={"": None})
ACCOUNT = Account(1, "yourlogin", balance_micros=1_065_000, settings=NOWHERE_ELSE)
IDS = ("5f1c2a3e-0b1d-11f0-9c3a-0242ac120002", "5f1c2a3f-0b1d-11f0-9c3a-0242ac120002")

M = "<MESSAGE><![CDATA[Bonjour]]></MESSAGE>"
S = "<SMS><MOBILEPHONE>33612345678</MOBILEPHONE></SMS>"
S2 = "<SMS><MOBILEPHONE>33687654321</MOBILEPHONE></SMS>"
PLAIN = f"<DATA>{M}{S}</DATA>"

SENT_XML = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    "<response><status>100</status><statusText>Le message a été envoyé</statusText><invalidNumbers></invalidNumbers>"
    "<campaignId>4587</campaignId><credits>340</credits><creditsUsed>15</creditsUsed><nbContacts>1</nbContacts>"
    f"<nbSms>1</nbSms><smsIds><item><phoneNumber>33612345678</phoneNumber><smsId>{IDS[0]}</smsId></item></smsIds>"
    "<balance>1.02</balance></response>"
)
SENT_JSON = (
    '{"status":100,"statusText":"Le message a été envoyé","invalidNumbers":"","campaignId":"4587","credits":"340",'
    '"creditsUsed":"15","nbContacts":"1","nbSms":"1","smsIds":[{"phoneNumber":"33612345678",'
    f'"smsId":"{IDS[0]}"}}],"balance":1.02}}'
)
SENT_TWICE_JSON = (
    '{"status":100,"statusText":"Le message a été envoyé","invalidNumbers":"","campaignId":"4587","credits":"325",'
    '"creditsUsed":"30","nbContacts":"2","nbSms":"2","smsIds":['
    f'{{"phoneNumber":"33611111111","smsId":"{IDS[0]}"}},{{"phoneNumber":"33622222222","smsId":"{IDS[1]}"}}],"balance":0.975}}'
)


class Exchange:
    """One request through the dialect as the listener and the accept action drive it: the command and the reply."""

    def __init__(self, request: Request, account: Account = ACCOUNT) -> None:
        self.command: Send | None = None
        call: Call | None = None
        known: Account | None = None
        try:
            call = dialect.open(request)
            if (call.credentials.login.casefold(), call.credentials.key) != (account.login.casefold(), "yourapikey"):
                raise Refusal("key_unknown")
            known = account
            command = dialect.read(call, account, NOW)
            assert isinstance(command, Send)
            if account.balance_micros <= 0:
                raise Refusal("credit_none")
            if command.cost_micros > account.balance_micros:
                raise Refusal("credit_short", needed_micros=command.cost_micros, balance_micros=account.balance_micros)
        except Refusal as refusal:
            self.response = dialect.refuse(refusal, request, call, known)
        else:
            self.command = command
            left_micros = account.balance_micros - command.cost_micros
            outcome = Accepted(4587, command, left_micros, IDS[: len(command.recipients)])
            self.response = dialect.write(outcome, call)

    @property
    def body(self) -> str:
        return self.response.body.decode()

    @property
    def json(self) -> dict[str, object]:
        assert self.response.content_type == "text/html; charset=utf-8"
        decoded: dict[str, object] = json.loads(self.response.body.decode("ascii"))
        return decoded

    @property
    def status(self) -> int:
        return _status(self.response)

    @property
    def sent(self) -> Send:
        assert self.command is not None, self.body
        return self.command

    @property
    def texts(self) -> list[str]:
        return [self.sent.text if r.text is None else r.text for r in self.sent.recipients]


def _status(response: Response) -> int:
    if response.content_type.startswith("text/html"):
        status = json.loads(response.body)["status"]
        assert isinstance(status, int)  # clients compare strictly with a number
        return status
    assert response.content_type == "text/xml; charset=utf-8"
    return int(ET.fromstring(response.body).findtext("status") or "")


def _escaped(text: str) -> str:
    """JSON as it is shown with accents, as it is on the wire."""
    return "".join(c if c.isascii() else f"\\u{ord(c):04x}" for c in text)


def _post(body: bytes | str, path: str = "/http/9.0/sendSms/", content_type: str | None = None) -> Request:
    headers = {"content-type": content_type} if content_type else {}
    return Request("POST", path, b"", headers, body.encode() if isinstance(body, str) else body)


def _form(flow: str | None, **more: str) -> Request:
    fields = {"login": "yourlogin", "apiKey": "yourapikey"} | ({} if flow is None else {"smsData": flow}) | more
    return _post(urlencode(fields), content_type="application/x-www-form-urlencoded")


def _get(query: bytes | str, path: str = "/http/9.0/sendSms/") -> Request:
    return Request("GET", path, query.encode() if isinstance(query, str) else query)


def _simple(**fields: str) -> Request:
    return _get(urlencode({"login": "yourlogin", "apiKey": "yourapikey"} | fields), "/http/9.0/")


def _with(**settings: object) -> Account:
    return msgspec.structs.replace(ACCOUNT, settings=AccountSettings(**settings))  # type: ignore[arg-type]


def _json_flow(**data: object) -> str:
    return json.dumps({"DATA": {"MESSAGE": "Bonjour", "SMS": [{"MOBILEPHONE": "33612345678"}]} | data})


# --- golden examples -------------------------------------------------------------------------------------------------

PHP_BODY = (
    "login=yourlogin&apiKey=yourapikey&smsData=%3CDATA%3E%3CMESSAGE%3E%3C%21%5BCDATA%5BEnvoi+de+SMS+test+avec+"
    "AllMySMS.com%5D%5D%3E%3C%2FMESSAGE%3E%3CTPOA%3Eallmysms%3C%2FTPOA%3E%3CSMS%3E%3CMOBILEPHONE%3E33612345678"
    "%3C%2FMOBILEPHONE%3E%3C%2FSMS%3E%3C%2FDATA%3E"
)
JAVA_QUERY = (
    "login=yourlogin&apiKey=yourapikey&smsData=<DATA><MESSAGE><![CDATA[[Envoi+de+SMS+en+Java+avec+www.allmysms.com+"
    "STOP+au+36180]]></MESSAGE><TPOA>allmysms</TPOA><SMS><MOBILEPHONE>33612345678</MOBILEPHONE></SMS></DATA>"
)
PERL_FLOW = (
    "<DATA><MESSAGE><![CDATA[envoi de SMS en perl avec www.allmysms.com]]></MESSAGE><TPOA>EXPEDITEUR</TPOA>"
    "<SMS><MOBILEPHONE>33612345678</MOBILEPHONE></SMS></DATA>"
)
PERL_BODY = "".join(
    f'--xYzZY\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
    for name, value in (("login", "yourlogin"), ("apiKey", "yourapikey"), ("smsData", PERL_FLOW))
)
SEED_JSON = """{
   "DATA": {
      "CAMPAIGN_NAME": "Nom de la campagne",
      "MESSAGE": "Votre message",
      "TPOA": "Nom de l’émetteur",
      "DYNAMIC": "2",
      "DATE": "2014-01-01 12:00:00",
      "SMS": [
         { "MOBILEPHONE": "33611111111", "PARAM_1": "Parametre 1", "PARAM_2": "Parametre 2" },
         { "MOBILEPHONE": "33622222222", "PARAM_1": "Parametre 1", "PARAM_2": "Parametre 2" }
      ]
   }
}"""
V8_QUERY = (
    "clientcode=yourlogin&passcode=yourapikey&smsData=%3CDATA%3E%3CMESSAGE%3E%3C%21%5BCDATA%5BBonjour%5D%5D%3E%3C%2F"
    "MESSAGE%3E%3CSMS%3E%3CMOBILEPHONE%3E33612345678%3C%2FMOBILEPHONE%3E%3C%2FSMS%3E%3C%2FDATA%3E"
)


@pytest.mark.parametrize(
    ("request_", "text", "sender"),
    [
        (
            _post(PHP_BODY, content_type="application/x-www-form-urlencoded"),
            "Envoi de SMS test avec AllMySMS.com",
            "allmysms",
        ),
        (_get(JAVA_QUERY), "[Envoi de SMS en Java avec www.allmysms.com STOP au 36180", "allmysms"),
        (
            _get(JAVA_QUERY, "/http/[version]/sendSms/"),
            "[Envoi de SMS en Java avec www.allmysms.com STOP au 36180",
            "allmysms",
        ),
        (
            _post(PERL_BODY + "--xYzZY--\r\n", content_type="multipart/form-data; boundary=xYzZY"),
            "envoi de SMS en perl avec www.allmysms.com",
            "EXPEDITEUR",
        ),
        (
            _post(
                f"login=yourlogin&apiKey=yourapikey&smsData={PERL_FLOW}",
                content_type="application/x-www-form-urlencoded",
            ),
            "envoi de SMS en perl avec www.allmysms.com",
            "EXPEDITEUR",
        ),
        (_get(V8_QUERY, "/http/sendSms_v8.php"), "Bonjour", ""),
    ],
    ids=["PHP", "Java", "Java, [version]", "Perl", ".NET", "v8"],
)
def test_the_provider_s_samples_send_and_get_xml(request_: Request, text: str, sender: str) -> None:
    exchange = Exchange(request_)
    assert exchange.body == SENT_XML
    assert (exchange.response.status, exchange.response.content_type) == (200, "text/xml; charset=utf-8")
    assert (exchange.sent.text, exchange.sent.sender) == (text, sender)


@pytest.mark.parametrize("written", ["json", "JSON", " Json "])
def test_an_xml_flow_gets_json_where_it_asks_for_it(written: str) -> None:
    exchange = Exchange(_post(f"{PHP_BODY}&returnformat={written}"))
    assert exchange.body == _escaped(SENT_JSON)
    assert (exchange.response.status, exchange.response.content_type) == (200, "text/html; charset=utf-8")


def test_the_provider_s_json_flow_is_sent_at_once_from_the_default_sender() -> None:
    exchange = Exchange(_form(SEED_JSON))
    assert exchange.body == _escaped(SENT_TWICE_JSON)
    assert exchange.sent.campaign == "Nom de la campagne"
    assert (exchange.sent.sender, exchange.sent.warnings) == ("", ("sender_malformed",))
    assert exchange.sent.scheduled_at is None


def test_a_json_flow_of_the_future_is_scheduled_in_paris_time() -> None:
    exchange = Exchange(_form(SEED_JSON.replace("2014-01-01 12:00:00", "2030-01-31 08:30:00")))
    expected = SENT_TWICE_JSON.replace('"status":100', '"status":101')
    expected = expected.replace("Le message a été envoyé", "Le message a été programmé pour un envoi différé")
    assert exchange.body == _escaped(expected)
    assert exchange.sent.scheduled_at == datetime(2030, 1, 31, 7, 30, tzinfo=UTC)


def test_a_json_flow_gets_xml_where_it_asks_for_it() -> None:
    root = ET.fromstring(Exchange(_form(SEED_JSON, returnformat="xml")).body)
    assert [child.tag for child in root] == list(json.loads(SENT_TWICE_JSON))
    assert [item.findtext("phoneNumber") for item in root.findall("smsIds/item")] == ["33611111111", "33622222222"]


def test_the_smallest_json_flow_is_sent() -> None:
    flow = (
        "%7B%22DATA%22%3A%7B%22MESSAGE%22%3A%22Votre%20message%22%2C%22SMS%22%3A%5B%7B%22MOBILEPHONE%22%3A%2233611111111"
        "%22%7D%5D%7D%7D"
    )
    exchange = Exchange(_post(f"login=yourlogin&apiKey=yourapikey&smsData={flow}"))
    assert exchange.body == _escaped(SENT_JSON).replace("33612345678", "33611111111")


def test_the_windev_sample_is_read_unescaped_with_its_lower_case_date() -> None:
    exchange = Exchange(
        _post(
            'login=yourlogin&apiKey=yourapikey&smsData={"DATA":{"MESSAGE":"Bonjour","SMS":[{"MOBILEPHONE":"33612345678"}],'
            '"date":"2030-01-31 08:30:00","TPOA":"Expediteur"}}&returnformat=JSON'
        )
    )
    assert exchange.json["status"] == 101
    assert exchange.sent.sender == "Expediteur"


def test_the_vb_sample_s_escapes_are_decoded() -> None:
    flow = PLAIN.replace("Bonjour", "%C9t%E9 %u20AC")
    exchange = Exchange(_get(f"login=yourlogin&apiKey=yourapikey&smsData={flow}"))
    assert exchange.body == SENT_XML
    assert exchange.sent.text == "Été €"


def test_variables_are_each_recipient_s_own() -> None:
    flow = (
        "<DATA><MESSAGE><![CDATA[Bonjour #param_1#, rendez-vous à #param_2#]]></MESSAGE><DYNAMIC>2</DYNAMIC>"
        "<SMS><MOBILEPHONE>33611111111</MOBILEPHONE><PARAM_1>Ana</PARAM_1><PARAM_2>9h</PARAM_2></SMS>"
        "<SMS><MOBILEPHONE>0622222222</MOBILEPHONE><PARAM_1>Paul</PARAM_1></SMS></DATA>"
    )
    exchange = Exchange(_form(flow, returnformat="json"))
    assert exchange.texts == ["Bonjour Ana, rendez-vous à 9h", "Bonjour Paul, rendez-vous à "]
    assert exchange.body == _escaped(SENT_TWICE_JSON)


def test_simple_parameters_are_sent() -> None:
    query = "login=yourlogin&apiKey=yourapikey&message=Bonjour&mobile=33611111111;0622222222&tpoa=allmysms"
    exchange = Exchange(_get(query, "/http/9.0/"))
    assert exchange.body == _escaped(SENT_TWICE_JSON)
    assert (exchange.sent.text, exchange.sent.sender) == ("Bonjour", "allmysms")


# --- every status ----------------------------------------------------------------------------------------------------

BROKE = msgspec.structs.replace(ACCOUNT, balance_micros=0)
POOR = msgspec.structs.replace(ACCOUNT, balance_micros=60_000)
AFTER = "Flux XML invalide ou incomplet après la balise "
LOGIN = "Problème de connexion – Aucun compte ne correspond aux clientcode et passcode spécifiés"
NO_NUMBER = (
    "Aucun numéro de téléphone valide dans le flux. Veuillez-vous référer à la documentation en ligne pour connaitre "
    "les formats valides."
)
NO_PRICE = "Le numéro est valide, mais ce compte n’a pas de tarif pour sa destination"
BAD_DATE = "Flux XML invalide ou date mal formatée entre les balises <DATE> et </DATE>"
TOO_LONG = "Le message dépasse 640 caractères"
LINK = "Balise <URL> – Lien trop long, dépasse les 80 caractères"
CLIENT = "Le code CLIENT donné dans le flux XML est incorrect, il doit correspondre au clientcode en majuscule"

STATUSES: list[tuple[int, str, str | None, Account]] = [
    (100, "Le message a été envoyé", PLAIN, ACCOUNT),
    (100, "Le message a été envoyé", f"<DATA><CLIENT>YOURLOGIN</CLIENT>{M}{S}</DATA>", ACCOUNT),
    (100, "Le message a été envoyé", f"<DATA><CLIENTCODE>YOURLOGIN</CLIENTCODE>{M}{S}</DATA>", ACCOUNT),
    (100, "Le message a été envoyé", f"<DATA>{M.replace('Bonjour', 'x' * 640)}{S}</DATA>", ACCOUNT),
    (100, "Le message a été envoyé", f"<DATA>{M}<DATE>2026-03-02 10:00:00</DATE>{S}</DATA>", ACCOUNT),  # now, in Paris
    (100, "Le message a été envoyé", f"<DATA>{M}<URL>{'x' * 80}</URL>{S}</DATA>", ACCOUNT),
    (100, "Le message a été envoyé", f"<DATA>{M}<MASTERACCOUNT>Boss</MASTERACCOUNT>{S}</DATA>", _with(master="boss")),
    (
        101,
        "Le message a été programmé pour un envoi différé",
        f"<DATA>{M}<DATE>2030-01-31 08:30:00</DATE>{S}</DATA>",
        ACCOUNT,
    ),
    (
        101,
        "Le message a été programmé pour un envoi différé",
        f"<DATA>{M}<DATE>2026-03-02 10:00:01</DATE>{S}</DATA>",
        ACCOUNT,
    ),
    (103, "Crédit SMS épuisé. Veuillez re-créditer votre compte sur AllMySMS.com", PLAIN, BROKE),
    (
        104,
        "Crédit insuffisant pour traiter cet envoi. A utiliser: 30 Crédits, Disponibles: 20 Crédits. Veuillez "
        "re-créditer votre compte sur AllMySMS.com",
        f"<DATA>{M}{S}{S2}</DATA>",
        POOR,
    ),
    (105, "Flux XML Vide", "", ACCOUNT),
    (105, "Flux XML Vide", " \r\n", ACCOUNT),
    (105, "Flux XML Vide", None, ACCOUNT),
    (106, AFTER + "<DATA>", f"<DATA>{M}{S}", ACCOUNT),
    (106, AFTER + "<DATA>", "<SMS/>", ACCOUNT),
    (106, AFTER + "<DATA>", '{"DATA":', ACCOUNT),
    (106, AFTER + "<DATA>", '{"TEXT":"x","TO":["33612345678"]}', ACCOUNT),
    (106, AFTER + "<DATA>", '{"DATA":null,"MESSAGE":"x","SMS":[{"MOBILEPHONE":"33612345678"}]}', ACCOUNT),
    # One library writes the flow without its root, and numbers in place of blocks.
    (100, "Le message a été envoyé", '{"message":"x","sms":["0612345678"]}', ACCOUNT),
    (100, "Le message a été envoyé", '{"MESSAGE":"x","SMS":[{"MOBILEPHONE":"33612345678"}]}', ACCOUNT),
    (100, "Le message a été envoyé", '{"message":"x","sms":"0612345678"}', ACCOUNT),
    (100, "Le message a été envoyé", _json_flow(SMS=[33612345678]), ACCOUNT),
    (109, AFTER + "<MESSAGE>", '{"sms":["0612345678"]}', ACCOUNT),
    (112, AFTER + "<SMS>", '{"message":"x"}', ACCOUNT),
    (106, AFTER + "<DATA>", '{"DATA":[]}', ACCOUNT),
    (106, AFTER + "<DATA>", "Bonjour", ACCOUNT),
    (106, AFTER + "<DATA>", "[]", ACCOUNT),
    (106, AFTER + "<DATA>", f"<!DOCTYPE DATA>{PLAIN}", ACCOUNT),
    (106, AFTER + "<DATA>", "<![CDATA[envoi de SMS]]>EXPEDITEUR33612345678", ACCOUNT),  # the Python sample, as printed
    (106, AFTER + "<CLIMSGID>", f"<DATA>{M}<CLIMSGID>{'x' * 256}</CLIMSGID>{S}</DATA>", ACCOUNT),
    (106, AFTER + "<CAMPAIGN_NAME>", f"<DATA>{M}<CAMPAIGN_NAME>{'x' * 256}</CAMPAIGN_NAME>{S}</DATA>", ACCOUNT),
    (107, AFTER + "<CLIENT>", f"<DATA><CLIENT></CLIENT>{M}{S}</DATA>", ACCOUNT),
    (107, AFTER + "<CLIENT>", f"<DATA><CLIENTCODE> </CLIENTCODE>{M}{S}</DATA>", ACCOUNT),
    (108, CLIENT, f"<DATA><CLIENT>OTHER</CLIENT>{M}{S}</DATA>", ACCOUNT),
    (108, CLIENT, f"<DATA><CLIENTCODE>yourlogin</CLIENTCODE>{M}{S}</DATA>", ACCOUNT),
    (109, AFTER + "<MESSAGE>", f"<DATA>{S}</DATA>", ACCOUNT),
    (109, AFTER + "<MESSAGE>", f"<DATA><MESSAGE>Hello <b>you</b></MESSAGE>{S}</DATA>", ACCOUNT),
    (109, AFTER + "<MESSAGE>", _json_flow(MESSAGE=None), ACCOUNT),
    (110, "Message non défini (vide) dans le flux XML", f"<DATA><MESSAGE><![CDATA[]]></MESSAGE>{S}</DATA>", ACCOUNT),
    (
        110,
        "Message non défini (vide) dans le flux XML",
        f"<DATA><MESSAGE><![CDATA[ \n ]]></MESSAGE>{S}</DATA>",
        ACCOUNT,
    ),
    (110, "Message non défini (vide) dans le flux XML", _json_flow(MESSAGE="\0"), ACCOUNT),
    (110, "Message non défini (vide) dans le flux XML", _json_flow(MESSAGE="#param_1#", DYNAMIC=1), ACCOUNT),
    (111, TOO_LONG, f"<DATA>{M.replace('Bonjour', 'x' * 641)}{S}</DATA>", ACCOUNT),
    (
        111,
        "Le message dépasse 1224 caractères",
        f"<DATA>{M.replace('Bonjour', 'x' * 1225)}{S}</DATA>",
        _with(message_characters_max=1224),
    ),
    (112, AFTER + "<SMS>", f"<DATA>{M}</DATA>", ACCOUNT),
    (112, AFTER + "<SMS>", _json_flow(SMS=[]), ACCOUNT),
    (112, AFTER + "<SMS>", _json_flow(SMS=None), ACCOUNT),
    (112, AFTER + "<MOBILEPHONE>", f"<DATA>{M}<SMS><PARAM_1>x</PARAM_1></SMS></DATA>", ACCOUNT),
    (112, AFTER + "<MOBILEPHONE>", f"<DATA>{M}{S}<SMS><MOBILEPHONE> </MOBILEPHONE></SMS></DATA>", ACCOUNT),
    (112, AFTER + "<MOBILEPHONE>", _json_flow(SMS=[{}]), ACCOUNT),
    (112, AFTER + "<MOBILEPHONE>", _json_flow(SMS=[" "]), ACCOUNT),
    (
        113,
        "Certains numéros de téléphone sont invalides ou non pris en charge",
        f"<DATA>{M}{S}{S.replace('33612345678', '12')}</DATA>",
        ACCOUNT,
    ),
    (
        113,
        "Certains numéros de téléphone sont invalides ou non pris en charge",
        f"<DATA>{M}<DATE>2030-01-31 08:30:00</DATE>{S}{S.replace('33612345678', '12')}</DATA>",
        ACCOUNT,
    ),
    (114, NO_NUMBER, f"<DATA>{M}{S.replace('33612345678', '12')}</DATA>", ACCOUNT),
    (114, NO_NUMBER, f"<DATA>{M}{S.replace('33612345678', '0145678901')}</DATA>", ACCOUNT),
    (114, NO_PRICE, f"<DATA>{M}{S.replace('33612345678', '+447911123456')}</DATA>", ACCOUNT),
    (
        114,
        NO_NUMBER,
        f"<DATA>{M}{S.replace('33612345678', '+447911123456')}{S.replace('33612345678', '12')}</DATA>",
        ACCOUNT,
    ),
    (115, BAD_DATE, f"<DATA>{M}<DATE>31/01/2030</DATE>{S}</DATA>", ACCOUNT),
    (115, BAD_DATE, f"<DATA>{M}<DATE>2030-02-31 08:00:00</DATE>{S}</DATA>", ACCOUNT),
    (116, AFTER + "<TPOA>", f"<DATA>{M}<TPOA>Trop-long-expéditeur</TPOA>{S}</DATA>", _with(sender_strict=True)),
    (117, LINK, f"<DATA>{M}<URL>{'x' * 81}</URL>{S}</DATA>", ACCOUNT),
    (117, LINK, f"<DATA>{M}<LINK>{'x' * 81}</LINK>{S}</DATA>", ACCOUNT),
    (117, LINK, _json_flow(Lien="x" * 81), ACCOUNT),
    (
        118,
        "Le compte maître spécifié n’existe pas",
        f"<DATA>{M}<MASTERACCOUNT>nobody</MASTERACCOUNT>{S}</DATA>",
        ACCOUNT,
    ),
    (
        118,
        "Le compte maître spécifié n’existe pas",
        f"<DATA>{M}<MASTERACCOUNT>nobody</MASTERACCOUNT>{S}</DATA>",
        _with(master="boss"),
    ),
]


@pytest.mark.parametrize("form", ["json", "xml"])
@pytest.mark.parametrize(("status", "text", "flow", "account"), STATUSES)
def test_every_status_has_its_trigger_and_its_text(
    status: int, text: str, flow: str | None, account: Account, form: str
) -> None:
    exchange = Exchange(_form(flow, returnformat=form), account)
    if form == "json":
        told = exchange.json
    else:
        told = {child.tag: child.text or "" for child in ET.fromstring(exchange.body)}
        told["status"] = int(str(told["status"]))
    assert (told["status"], told["statusText"]) == (status, text)
    assert exchange.response.status == 200
    assert len(told) == (2 if status not in (100, 101, 113) else 10)
    assert (exchange.command is not None) == (status in (100, 101, 113))


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"login": "yourlogin"},
        {"apiKey": "yourapikey"},
        {"login": "", "apiKey": "yourapikey"},
        {"login": "yourlogin", "apiKey": " "},
        {"login": "yourlogin", "apiKey": "wrong"},
        {"login": "yourlogin", "apiKey": "YOURAPIKEY"},
        {"login": "other", "apiKey": "yourapikey"},
        {"login": "your\0login", "apiKey": "yourapikey"},
        {"login": "yourlogin", "apiKey": "k" * 201},
    ],
)
@pytest.mark.parametrize("path", ["/http/9.0/sendSms", "/http/9.0/", "/http/sendSms_v8.php"])
def test_without_the_right_credentials_102_comes_before_anything_else(fields: dict[str, str], path: str) -> None:
    exchange = Exchange(Request("GET", path, urlencode(fields).encode()))
    assert exchange.response.status == 200
    assert exchange.json == {"status": 102, "statusText": LOGIN}


def test_102_is_xml_for_an_xml_flow_with_a_forgotten_key() -> None:
    exchange = Exchange(_post(urlencode({"login": "yourlogin", "smsData": PLAIN})))
    assert exchange.response.content_type.startswith("text/xml")
    assert exchange.status == 102


def test_an_error_is_written_as_the_provider_s_clients_expect_it() -> None:
    assert Exchange(_form(f"<DATA><MESSAGE/>{S}</DATA>", returnformat="json")).body == _escaped(
        '{"status":110,"statusText":"Message non défini (vide) dans le flux XML"}'
    )
    assert Exchange(_form(f"<DATA>{M}{S}")).body == (
        '<?xml version="1.0" encoding="UTF-8"?>\n<response><status>106</status>'
        "<statusText>Flux XML invalide ou incomplet après la balise &lt;DATA&gt;</statusText></response>"
    )


@pytest.mark.parametrize(
    ("flow", "status"),
    [
        (f"<DATA><CLIENT/>{S}", 106),
        (f"<DATA><CLIENT>X</CLIENT>{S}</DATA>", 108),
        ("<DATA><MESSAGE/><DATE>x</DATE></DATA>", 110),
        (f"<DATA>{M}<DATE>x</DATE></DATA>", 112),
        (f"<DATA>{M}{S}<DATE>x</DATE><URL>{'x' * 81}</URL></DATA>", 115),
        (f"<DATA>{M}{S}<URL>{'x' * 81}</URL><MASTERACCOUNT>x</MASTERACCOUNT></DATA>", 117),
        (f"<DATA>{M.replace('B', 'x' * 640)}{S}<MASTERACCOUNT>x</MASTERACCOUNT></DATA>", 118),
        (f"<DATA>{M.replace('B', 'x' * 640)}<SMS><MOBILEPHONE>12</MOBILEPHONE></SMS></DATA>", 111),
        (f"<DATA>{M}<SMS><MOBILEPHONE>12</MOBILEPHONE></SMS></DATA>", 114),
    ],
)
def test_checks_come_in_the_contract_s_order(flow: str, status: int) -> None:
    assert Exchange(_form(flow), BROKE).status == status


def test_some_bad_numbers_are_told_as_they_were_given_and_the_others_sent() -> None:
    numbers = ["33612345678", "12", "01 45 67 89 01", "0687654321", "+44 7911 123456"]
    exchange = Exchange(_form(_json_flow(SMS=[{"MOBILEPHONE": n} for n in numbers])))
    told = exchange.json
    assert told["status"] == 113
    assert told["invalidNumbers"] == "12|01 45 67 89 01|+44 7911 123456"
    assert (told["nbContacts"], told["nbSms"], told["creditsUsed"], told["credits"]) == ("2", "2", "30", "325")
    assert [r.number for r in exchange.sent.recipients] == ["+33612345678", "+33687654321"]
    assert [s.reason for s in exchange.sent.skipped] == ["number_invalid", "number_not_mobile", "price_missing"]


def test_the_language_of_texts_is_the_account_s() -> None:
    english = _with(message_language="en")
    assert Exchange(_form(PLAIN, returnformat="json"), english).json["statusText"] == "Your messages have been sent"
    refused = Exchange(_form(f"<DATA>{M}</DATA>", returnformat="json"), english).json
    assert refused["statusText"] == "The XML flow is invalid or incomplete after the tag <SMS>"


# --- paths -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "/http/9.0/sendSms",
        "/http/9.0/sendSms/",
        "/http/9.0/sendSMS",
        "/http/9.0/SENDSMS/",
        "/HTTP/8.5/sendsms",
        "/http/[version]/sendSms/",
        "/http/latest/sendSms",
        "//http//9.0//sendSms//",
        "/http/sendSms",
        "/http/sendSms_v8.php",
        "/http/sendsms_V8.PHP/",
        "/amsmodule.sendsms.v6.php",
    ],
)
def test_every_writing_of_the_path_sends(path: str) -> None:
    assert dialect.matches(path)
    assert Exchange(_post(PHP_BODY, path)).body == SENT_XML


@pytest.mark.parametrize("path", ["/http/9.0/", "/http/9.0", "/http/[version]/", "/http/8.0//"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_simple_parameters_come_by_get_and_post(path: str, method: str) -> None:
    fields = urlencode(
        {"login": "yourlogin", "apiKey": "yourapikey", "message": "Bonjour", "mobile": "33612345678"}
    ).encode()
    query, body = (fields, b"") if method == "GET" else (b"", fields)
    assert Exchange(Request(method, path, query, {}, body)).body == _escaped(SENT_JSON)


@pytest.mark.parametrize(
    "path", ["/http", "/http/", "/http/9.0/getHlr", "/http/9.0/sendVMS/", "/http/9.0/a/b", "/http/getAcks_v8.php"]
)
@pytest.mark.parametrize(("query", "form"), [(b"", "json"), (b"returnformat=xml", "xml")])
def test_what_does_not_exist_is_404(path: str, query: bytes, form: str) -> None:
    assert not dialect.matches(path)
    response = Exchange(Request("GET", path, query)).response
    assert response.status == 404
    if form == "json":
        assert response.body == b'{"status":404,"statusText":"Unknown method"}'
    else:
        assert ET.fromstring(response.body).findtext("statusText") == "Unknown method"


@pytest.mark.parametrize(
    "path", ["/", "/v1/send", "/httpx/9.0/sendSms", "/a/http/9.0/sendSms", "/http/1.6/sendSMS.do", "/http/sendmsg.php"]
)
def test_other_paths_are_not_ours(path: str) -> None:
    assert not dialect.matches(path)


def test_version_6_has_other_names_for_the_same() -> None:
    body = urlencode({"clientcode": "yourlogin", "passcode": "yourapikey", "XMLFlow": PLAIN}).encode()
    assert Exchange(_post(body, "/amsmodule.sendsms.v6.php")).status == 100


def test_parameters_glued_to_the_old_path_are_read_as_a_query() -> None:
    # urllib.urlopen(urlbase + urlparam) of the provider's sample; the listener has decoded the path.
    for flow, status in ((PLAIN, 100), ("<![CDATA[envoi de SMS]]>EXPEDITEUR33612345678", 106)):
        path = "/http/sendSms_v8.phpclientcode=yourlogin&passcode=yourapikey&smsData=" + flow.replace(" ", "+")
        assert dialect.matches(path)
        exchange = Exchange(Request("GET", path))
        assert (exchange.status, exchange.response.content_type) == (status, "text/xml; charset=utf-8")


def test_a_percent_sign_and_a_question_mark_in_a_glued_query_stay() -> None:
    flow = PLAIN.replace("Bonjour", "5%20 ?")
    head, _, tail = ("/http/sendSms_v8.phpclientcode=yourlogin&passcode=yourapikey&smsData=" + flow).partition("?")
    assert Exchange(Request("GET", head, tail.encode())).sent.text == "5%20 ?"


# --- tolerances ------------------------------------------------------------------------------------------------------

LOGGED_IN = "login=yourlogin&apiKey=yourapikey"
PHP_TEXT = "Envoi de SMS test avec AllMySMS.com"
SUMMER = PLAIN.replace("Bonjour", "été")
ENTITIES = PLAIN.replace("<![CDATA[Bonjour]]>", "a &amp; b")
REMARKS = f"<DATA>{M}<DYNAMIC>0</DYNAMIC> (obligatoire) <CAMPAIGN_NAME>nom </CAMPAIGN_NAME> (option){S}</DATA>"
TOLERATED: list[tuple[str, Request, str]] = [
    ("trailing ampersand", _post(PHP_BODY + "&"), PHP_TEXT),
    ("no content type", _post(PHP_BODY), PHP_TEXT),
    ("wrong content type", _post(PHP_BODY, content_type="application/json"), PHP_TEXT),
    ("line end after the body", _post(PHP_BODY + "\r\n"), PHP_TEXT),
    ("old names", _form(PLAIN, login="", apiKey="", clientcode="yourlogin", passcode="yourapikey"), "Bonjour"),
    ("names in any case", _post(PHP_BODY.replace("smsData", "SMSDATA").replace("apiKey", "apikey")), PHP_TEXT),
    ("login in another case", _form(PLAIN, login="YourLogin"), "Bonjour"),
    ("empty sub-account", _form(PLAIN, subAccount=""), "Bonjour"),
    ("unknown return format", _form(PLAIN, returnformat="yaml"), "Bonjour"),
    ("white space around values", _form(PLAIN, login=" yourlogin ", apiKey="yourapikey\n"), "Bonjour"),
    ("prolog", _form(f'\n<?xml version="1.0" encoding="iso-8859-1"?>\n{PLAIN}\n'), "Bonjour"),
    ("Latin-1", _post(f"{LOGGED_IN}&smsData=" + quote(SUMMER, encoding="latin-1")), "été"),
    ("Latin-1, unescaped", _get(f"{LOGGED_IN}&smsData={SUMMER}".encode("latin-1")), "été"),
    ("UTF-8, unescaped", _get(f"{LOGGED_IN}&smsData={SUMMER}"), "été"),
    ("entities, unescaped", _post(f"{LOGGED_IN}&smsData={ENTITIES}"), "a & b"),
    (
        "query and body",
        Request("POST", "/http/9.0/sendSms", LOGGED_IN.encode(), {}, b"smsData=" + quote_plus(PLAIN).encode()),
        "Bonjour",
    ),
    ("stray text", _form(REMARKS), "Bonjour"),
    ("tags in lower case", _form(PLAIN.lower().replace("![cdata[", "![CDATA[")), "bonjour"),
]


@pytest.mark.parametrize(("request_", "text"), [case[1:] for case in TOLERATED], ids=[case[0] for case in TOLERATED])
def test_imperfect_requests_are_sent(request_: Request, text: str) -> None:
    exchange = Exchange(request_)
    assert exchange.body == SENT_XML
    assert exchange.sent.text == text


JSON_TOLERATED = {
    "nulls": _json_flow(TPOA=None, DATE=None, CLIMSGID=None, MASTERACCOUNT=None, DYNAMIC=None, CLIENT=None),
    "empty values": _json_flow(TPOA="", DATE=" ", CLIMSGID="", MASTERACCOUNT=""),
    "names in any case": json.dumps({"data": {"message": "Bonjour", "sms": [{"MobilePhone": "33612345678"}]}}),
    "CDATA object": _json_flow(MESSAGE={"#cdata-section": "Bonjour"}),
    "one object": _json_flow(SMS={"MOBILEPHONE": "33612345678"}),
    "number as a number": _json_flow(SMS=[{"MOBILEPHONE": 33612345678}]),
    "number as a float": _json_flow(SMS=[{"MOBILEPHONE": 33612345678.0}]),
    "flags as numbers": _json_flow(FLASH=0, DYNAMIC=0, TRACKING=1, MAIL_NOTIF=1),
    "unknown keys": _json_flow(WHATEVER={"a": [1]}, OTHER=[]),
    "white space": "\r\n  " + _json_flow() + "  \n",
}


@pytest.mark.parametrize("flow", JSON_TOLERATED.values(), ids=JSON_TOLERATED)
def test_imperfect_json_flows_are_sent(flow: str) -> None:
    exchange = Exchange(_form(flow))
    assert exchange.body == _escaped(SENT_JSON)
    assert (exchange.sent.text, exchange.sent.sender, exchange.sent.flash) == ("Bonjour", "", False)


@pytest.mark.parametrize(
    "body",
    [
        {"login": "yourlogin", "apiKey": "yourapikey", "smsData": _json_flow()},
        {"login": "yourlogin", "apiKey": "yourapikey", "smsData": json.loads(_json_flow())},
        {"login": "yourlogin", "apiKey": "yourapikey", "returnformat": None} | json.loads(_json_flow()),
        {"clientcode": "yourlogin", "passcode": "yourapikey", "returnformat": "json", "smsData": PLAIN},
    ],
)
@pytest.mark.parametrize("content_type", ["application/json", "text/plain"])
def test_a_json_body_has_the_same_names_at_its_top(body: dict[str, object], content_type: str) -> None:
    exchange = Exchange(_post("\ufeff" + json.dumps(body, ensure_ascii=False), content_type=content_type))
    assert exchange.body == _escaped(SENT_JSON)


@pytest.mark.parametrize("body", ["{", '{"a":1e999}', '{"a":' * 5000, '{"a":"\\ud83d"}', '{"login":"l"}}'])
def test_a_json_body_that_cannot_be_read_is_106(body: str) -> None:
    assert Exchange(_post(body)).json["status"] == 106


def test_several_numbers_of_one_block_are_each_sent() -> None:
    xml = f"<DATA>{M}<SMS><MOBILEPHONE>33611111111</MOBILEPHONE><MOBILEPHONE>33622222222</MOBILEPHONE></SMS></DATA>"
    for flow in (xml, _json_flow(SMS=[{"MOBILEPHONE": ["33611111111", "33622222222"]}])):
        assert Exchange(_form(flow, returnformat="json")).body == _escaped(SENT_TWICE_JSON)


def test_a_repeated_number_is_sent_twice() -> None:
    exchange = Exchange(_form(f"<DATA>{M}{S}{S}</DATA>"))
    assert [r.number for r in exchange.sent.recipients] == ["+33612345678"] * 2


# --- simple parameters -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"mobile": "33612345678"}, 110),
        ({"message": " ", "mobile": "33612345678"}, 110),
        ({"message": "x"}, 112),
        ({"message": "x", "mobile": " ; , "}, 112),
        ({"message": "x", "mobile": "12"}, 114),
        ({"message": "x", "mobile": "33612345678;12"}, 113),
        ({"message": "x", "mobile": "33612345678", "date": "demain"}, 115),
        ({"message": "x", "mobile": "33612345678", "date": ""}, 100),
        ({"message": "x", "mobile": "33612345678", "date": "2030-01-31 08:30:00"}, 101),
        ({"message": "x" * 641, "mobile": "33612345678"}, 111),
        ({"message": "x", "mobile": "33612345678", "campaign": "x" * 256}, 106),
    ],
)
def test_simple_parameters_are_checked(fields: dict[str, str], status: int) -> None:
    assert Exchange(_simple(**fields)).json["status"] == status


@pytest.mark.parametrize(
    "mobile",
    [
        "+33611111111;+33622222222",
        "33611111111,0622222222;",
        " 06 11 11 11 11 ; 06.22.22.22.22",
        "0611111111\n0622222222",
    ],
)
def test_numbers_may_be_joined_in_several_ways(mobile: str) -> None:
    assert Exchange(_simple(message="Bonjour", mobile=mobile)).body == _escaped(SENT_TWICE_JSON)
    unescaped = f"login=yourlogin&apiKey=yourapikey&message=Bonjour&mobile={mobile}"
    assert Exchange(_get(unescaped, "/http/9.0/")).body == _escaped(SENT_TWICE_JSON)


def test_every_simple_parameter_is_read() -> None:
    sent = Exchange(
        _simple(
            message=" Ça va ? ", mobile="0612345678", tpoa=" ", flash="1", campaign=" Noël ", coding="2", lowcost="true"
        )
    ).sent
    assert (sent.text, sent.sender, sent.flash, sent.campaign, sent.unicode, sent.range) == (
        " Ça va ? ",
        "",
        True,
        "Noël",
        True,
        2,
    )
    assert (sent.warnings, sent.public_ids, sent.dialect) == ((), True, "allmysms")


def test_low_cost_where_there_is_none_is_sent_normally_with_a_warning() -> None:
    sent = Exchange(_simple(message="x", mobile="0612345678", lowcost="1"), _with(lowcost_enabled=False)).sent
    assert (sent.range, sent.warnings) == (1, ("lowcost_unavailable",))


def test_simple_parameters_do_not_replace_variables() -> None:
    assert Exchange(_simple(message="#param_1#", mobile="0612345678")).texts == ["#param_1#"]


# --- what is given back ----------------------------------------------------------------------------------------------


def test_the_caller_s_reference_comes_back_only_when_there_is_one() -> None:
    flow = PLAIN.replace("<SMS>", '<CLIMSGID> réf &amp; "1" </CLIMSGID><SMS>')
    assert Exchange(_form(flow, returnformat="json")).json["cliMsgId"] == 'réf & "1"'
    assert ET.fromstring(Exchange(_form(flow)).body).findtext("cliMsgId") == 'réf & "1"'
    assert "cliMsgId" not in Exchange(_form(PLAIN, returnformat="json")).json


def test_parts_are_counted_and_charged() -> None:
    exchange = Exchange(_form(f"<DATA>{M.replace('Bonjour', 'é' * 161)}{S}{S2}</DATA>", returnformat="json"))
    told = exchange.json
    assert (told["nbContacts"], told["nbSms"], told["creditsUsed"], told["credits"]) == ("2", "4", "60", "295")
    assert told["balance"] == 0.885


def test_the_account_s_prices_and_webhooks_go_into_the_command() -> None:
    account = _with(
        price_allmysms_micros=50_000, prices={"44": 70_000, "596": None}, reports_url="https://a/", replies_url="https://b/"
    )  # fmt: skip
    numbers = ("33612345678", "447911123456", "0696123456")
    sent = Exchange(_form(_json_flow(SMS=[{"MOBILEPHONE": n} for n in numbers])), account).sent
    assert [(r.number, r.price_micros) for r in sent.recipients] == [
        ("+33612345678", 50_000),
        ("+447911123456", 70_000),
    ]
    assert [(s.number, s.reason) for s in sent.skipped] == [("+596696123456", "price_missing")]
    assert (sent.report_url, sent.reply_url) == ("https://a/", "https://b/")


# --- nothing breaks it -----------------------------------------------------------------------------------------------

PATHS = st.sampled_from(["/http/9.0/sendSms", "/http/9.0/", "/http/sendSms_v8.php"]) | st.text(max_size=40).map(
    "/http/".__add__
)
FLOWS = st.binary(max_size=200) | st.text(max_size=80).map(str.encode)
PIECES = [
    "<DATA>",
    "</DATA>",
    M,
    S,
    "<SMS>",
    "</SMS>",
    "<DYNAMIC>9</DYNAMIC>",
    "#param_1#",
    "<DATE>0001-01-01 00:00:00</DATE>",
    "<![CDATA[",
    "]]>",
    "&amp;",
]
KEYS = st.sampled_from(["DATA", "MESSAGE", "SMS", "MOBILEPHONE", "PARAM_1", "DATE", "#cdata-section", "DYNAMIC"])
JSONS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


def _never_breaks(request: Request) -> None:
    response = Exchange(request, ACCOUNT).response
    assert response.status in (200, 404)
    _status(response)


@given(PATHS, FLOWS, FLOWS, st.sampled_from(["", "application/json", "multipart/form-data; boundary=b"]))
def test_no_octets_raise_anything_but_a_refusal(path: str, query: bytes, body: bytes, content_type: str) -> None:
    _never_breaks(Request("POST", path, query, {"content-type": content_type}, body))


@given(FLOWS | st.lists(st.sampled_from(PIECES), max_size=12).map(lambda pieces: "".join(pieces).encode()))
def test_no_flow_raises_anything_but_a_refusal(flow: bytes) -> None:
    _never_breaks(_get(b"login=yourlogin&apiKey=yourapikey&smsData=" + quote(flow).encode()))


@given(JSONS, JSONS, JSONS)
def test_no_json_flow_raises_anything_but_a_refusal(message: object, block: object, date: object) -> None:
    _never_breaks(_form(_json_flow(MESSAGE=message, SMS=block, DATE=date)))
    _never_breaks(_post(json.dumps({"login": "yourlogin", "apiKey": "yourapikey", "smsData": message, "DATA": block})))


V2 = "/smsmod/amsmodule.sendsms.v2.php"


def _version_2(flow: str, path: str = V2, **fields: str) -> Exchange:
    values = {"clientcode": "yourlogin", "passcode": "yourapikey", "XMLFlow": flow, **fields}
    return Exchange(Request("POST", path, body=urlencode(values).encode()))


@pytest.mark.parametrize("path", [V2, "/SMSMOD/amsmodule.sendsms.V2.php/"])
def test_version_2_has_numbers_without_blocks_and_answers_in_lines(path: str) -> None:
    assert dialect.matches(path)
    numbers = "<MOBILEPHONE> 33612345678 </MOBILEPHONE><MOBILEPHONE>0687654321</MOBILEPHONE><MOBILEPHONE/>"
    exchange = _version_2(f"<DATA><CLIENT>YOURLOGIN</CLIENT>{M}{numbers}</DATA>", path, returnformat="json")
    assert exchange.sent is not None
    assert [recipient.number for recipient in exchange.sent.recipients] == ["+33612345678", "+33687654321"]
    assert exchange.response.content_type == "text/plain; charset=utf-8"
    assert exchange.body.splitlines() == [
        "Status=100", "StatusText=Le message a été envoyé", "UnvalidNums=", "CampaignId=4587", "Credits=325",
        "CreditsUsed=30", "NbContacts=2", "NbSms=2", "Balance=0.975",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("flow", "first"),
    [
        (f"<DATA>{M}<MOBILEPHONE>33612345678</MOBILEPHONE><MOBILEPHONE>12</MOBILEPHONE></DATA>", "Status=113"),
        (f"<DATA>{M}</DATA>", "Status=112"),
        ("<DATA>", "Status=106"),
        ("", "Status=105"),
        (f"<DATA><CLIENT>OTHER</CLIENT>{M}<MOBILEPHONE>33612345678</MOBILEPHONE></DATA>", "Status=108"),
    ],
)
def test_version_2_says_in_lines_what_is_wrong(flow: str, first: str) -> None:
    lines = _version_2(flow).body.splitlines()
    assert lines[0] == first
    assert lines[1].startswith("StatusText=")
    if first == "Status=113":
        assert lines[2] == "UnvalidNums=12"


def test_version_2_answers_a_wrong_key_and_an_unreadable_body_in_lines() -> None:
    assert _version_2(PLAIN, passcode="wrong").body.startswith("Status=102\n")
    assert Exchange(Request("POST", V2, body=b'{"a":')).body.startswith("Status=106\n")


def test_a_line_of_an_answer_stays_one_line() -> None:
    exchange = _version_2(f"<DATA>{M}<MOBILEPHONE>33612345678</MOBILEPHONE><MOBILEPHONE>1&#10;2</MOBILEPHONE></DATA>")
    assert exchange.body.splitlines()[2] == "UnvalidNums=1 2"
