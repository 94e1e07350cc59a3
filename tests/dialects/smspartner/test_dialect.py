"""SMS Partner v1 from octets to octets: the golden examples of its contract, and that nothing makes it stumble."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chappe.core.errors import Refusal
from chappe.core.http import Request, Response
from chappe.core.model import (
    Accepted,
    Account,
    AccountSettings,
    Balance,
    Moment,
    ReadBalance,
    Report,
)
from chappe.dialects import Dialect
from chappe.dialects.smspartner import dialect
from chappe.dialects.smspartner.refusals import SmsPartnerRefusal

NOW = datetime(2026, 3, 4, 10, 0, tzinfo=UTC)
MOMENT = Moment(NOW)
PROLOG = b"<?xml version='1.0' encoding='UTF-8'?>\n"


def account(balance_micros: int = 10_225_119_000, **own: Any) -> Account:
    own = {"email": "exemple@email.com", "firstname": "John", "lastname": "Doe", "stop_mention": " STOP 36111", **own}
    return Account(1, "exemple", balance_micros=balance_micros, settings=AccountSettings(**own))


def ask(request: Request, submission_id: int = 307, owner: Account | None = None) -> Response:
    """What the listener does, with an account that always has credit."""
    owner = owner or account()
    call = None
    try:
        call = dialect.open(request)
        command = dialect.read(call, owner, MOMENT)
    except Refusal as refusal:
        return dialect.refuse(refusal, request, call, owner if call else None)
    if isinstance(command, ReadBalance):
        return dialect.write(Balance(owner, owner.balance_micros, 0), call)
    return dialect.write(Accepted(submission_id, command, owner.balance_micros), call)


def post(path: str, body: bytes, **headers: str) -> Request:
    return Request("POST", path, headers={name.replace("_", "-"): value for name, value in headers.items()}, body=body)


HELLO = b'{"apiKey":"KEY","phoneNumbers":"+33600000000","message":"Hello world"}'
VIRTUAL = b'{"apiKey":"KEY","to":"33600000001","from":"33700000001","message":"This is your message"}'
WRONG = (
    b'{"apiKey":"KEY","phoneNumbers":"922264","message":"","sender":"BoutiqueDuCoin",'
    b'"scheduledDeliveryDate":"21/11/2014"'
)


@pytest.mark.parametrize("page", ["hlr/notify", "rcs/send", "location/optin", "location/status"])
def test_what_needs_another_provider_is_denied_as_to_accounts_that_have_not_ordered_it(page: str) -> None:
    denied = ask(post(f"/v1/{page}", HELLO))
    assert (denied.status, json.loads(denied.body)["code"]) == (400, 40)
    stranger = ask(post(f"/v1/{page}", b'{"phoneNumbers":"+33600000000"}'))
    assert json.loads(stranger.body)["code"] == 1


def test_the_module_is_a_dialect() -> None:
    table: list[Dialect] = [dialect]
    assert table[0].NAME == "smspartner"


class TestGoldenExamples:
    @pytest.mark.parametrize("label", ["application/json", "application/x-www-form-urlencoded", ""])
    def test_10_1_a_send_is_answered_alike_whatever_the_label(self, label: str) -> None:
        response = ask(post("/v1/send", HELLO, content_type=label))
        assert response == Response(
            200,
            "application/json",
            b'{"success":true,"code":200,"message_id":307,"nb_sms":1,"cost":0.038,"currency":"EUR"}',
        )

    SCHEDULED = (
        b'{"apiKey":"KEY","phoneNumbers":"0600000001, +33600000002","message":"Bonjour","sender":"Boutique",'
        b'"scheduledDeliveryDate":"21/10/2030","time":9,"minute":0'
    )

    def test_10_2_a_scheduled_send_in_xml(self) -> None:
        response = ask(post("/v1/send", self.SCHEDULED + b',"_format":"xml"}'), 308)
        assert response == Response(
            200,
            "application/xml",
            PROLOG + b"<result><entry>true</entry><entry>200</entry><entry>308</entry><entry>2</entry>"
            b"<entry>0.076</entry><entry><![CDATA[EUR]]></entry>"
            b"<entry><![CDATA[2030-10-21 09:00:00]]></entry></result>",
        )

    def test_10_2_a_scheduled_send_in_json(self) -> None:
        assert ask(post("/v1/send", self.SCHEDULED + b"}"), 308).body == (
            b'{"success":true,"code":200,"message_id":308,"nb_sms":2,"cost":0.076,"currency":"EUR",'
            b'"scheduledDeliveryDate":"2030-10-21 09:00:00"}'
        )

    @pytest.mark.parametrize(
        ("body", "expected"),
        [
            (
                b'{"phoneNumbers":"+33600000000","message":"Hello world"}',
                {"success": False, "code": 1, "message": "La clé API est requise"},
            ),
            (
                b'{"apiKey":"KEY","message":"Hello world"}',
                {"success": False, "code": 2, "message": "Le champ phoneNumbers est requis"},
            ),
            (
                b'{"apiKey":"KEY","phoneNumbers":"0140000001","message":"Hello world"}',
                {
                    "success": False,
                    "code": 55,
                    "message": "Aucun numéro à envoyer",
                    "errors": [
                        {
                            "success": False,
                            "code": "9",
                            "message": "Le téléphone (+33140000001) n'est pas être un numéro de mobile",
                        }
                    ],
                },
            ),
            (
                b'{"apiKey":"KEY",',
                {"success": False, "code": 90, "message": "Le JSON est malformé: erreur de syntaxe"},
            ),
        ],
    )
    def test_10_3_errors(self, body: bytes, expected: dict[str, Any]) -> None:
        response = ask(post("/v1/send", body))
        assert (response.status, response.content_type) == (400, "application/json")
        assert response.body == json.dumps(expected, separators=(",", ":")).encode()

    @pytest.mark.parametrize(
        ("refusal", "body"),
        [
            ("key_unknown", b'{"success":false,"code":10,"message":"Clef API incorrecte"}'),
            ("credit_short", b'{"success":false,"code":11,"message":"Cr\\u00e9dit insuffisant"}'),
            ("credit_none", b'{"success":false,"code":11,"message":"Cr\\u00e9dit insuffisant"}'),
        ],
    )
    def test_10_3_errors_that_others_find(self, refusal: str, body: bytes) -> None:
        request = post("/v1/send", HELLO)
        assert dialect.refuse(SmsPartnerRefusal(refusal), request) == Response(400, "application/json", body)

    def test_10_3_all_violations_at_once_in_json(self) -> None:
        listed = (
            b'[{"elementId":"children[message].data","message":"Le message est requis"},'
            b'{"elementId":"children[phoneNumbers].data",'
            b'"message":"Ce numero de telephone n\'est pas valide (922264)"},'
            b'{"elementId":"children[sender].data",'
            b'"message":"L\'emetteur ne peut pas etre plus long que 11 caracteres"},'
            b'{"elementId":"children[scheduledDeliveryDate].data",'
            b'"message":"La date (21/11/2014 \\u00e0 :) est anterieure a la date actuelle."},'
            b'{"elementId":"children[minute].data","message":"La minute est requise"},'
            b'{"elementId":"children[time].data","message":"L\'heure est requise"}]'
        )
        assert ask(post("/v1/send", WRONG + b"}")) == Response(
            400,
            "application/json",
            b'{"success":false,"code":9,"error":' + listed + b',"errors":' + listed + b"}",
        )

    def test_10_3_all_violations_at_once_in_xml(self) -> None:
        expected = (
            "<result><entry>false</entry><entry>9</entry><entry>"
            "<entry><entry>children[message].data</entry><entry>Le message est requis</entry></entry>"
            "<entry><entry>children[phoneNumbers].data</entry>"
            "<entry>Ce numéro de téléphone n'est pas valide (922264)</entry></entry>"
            "<entry><entry>children[sender].data</entry>"
            "<entry>L'émetteur ne peut pas être plus long que 11 caractères</entry></entry>"
            "<entry><entry>children[scheduledDeliveryDate].data</entry>"
            "<entry>La date (21/11/2014 à :) est anterieure à la date actuelle. "
            "Si vous souhaitez l'envoyer maintenant vous devez sélectionner [Envoi immédiat]</entry></entry>"
            "<entry><entry>children[minute].data</entry><entry>La minute est requise</entry></entry>"
            "<entry><entry>children[time].data</entry><entry>L'heure est requise</entry></entry>"
            "</entry></result>"
        )
        assert ask(post("/v1/send", WRONG + b',"_format":"XML"}')) == Response(
            400, "application/xml", PROLOG + expected.encode()
        )

    def test_10_3_a_simple_error_in_xml(self) -> None:
        response = dialect.refuse(Refusal("key_unknown"), Request("GET", "/v1/me", b"apiKey=K&_format=xml"))
        assert response == Response(
            400,
            "application/xml",
            PROLOG + b"<result><entry>false</entry><entry>10</entry><entry>Clef API incorrecte</entry></result>",
        )

    def test_10_4_a_send_from_a_long_number(self) -> None:
        request = post("/v1/vn/send", VIRTUAL, content_type="application/x-www-form-urlencoded")
        assert ask(request, 309) == Response(
            200,
            "application/json",
            b'{"success":true,"code":200,"message_id":309,"nb_sms":1,"cost":0.038,"currency":"EUR"}',
        )

    def test_10_4_a_send_from_a_long_number_in_xml(self) -> None:
        request = post("/v1/vn/send", VIRTUAL[:-1] + b',"_format":"xml"}')
        assert ask(request, 309).body == (
            PROLOG + b"<result><entry>true</entry><entry>200</entry><entry>309</entry><entry>1</entry>"
            b"<entry>0.038</entry><entry><![CDATA[EUR]]></entry></result>"
        )

    @pytest.mark.parametrize("query", [b"apiKey=KEY", b"?apiKey=KEY", b"apiKey=KEY&_format=json"])
    def test_10_5_credits_in_json(self, query: bytes) -> None:
        assert ask(Request("GET", "/v1/me", query, {"content-type": "application/json"})) == Response(
            200,
            "application/json",
            b'{"success":true,"code":200,'
            b'"user":{"username":"exemple@email.com","firstname":"John","lastname":"Doe"},'
            b'"credits":{"creditSms":269082,"creditSmsLowCost":444570,"creditHlr":2045023,"toSend":0,'
            b'"solde":"10225.119","currency":"EUR","balance":"10225.119","creditSmsECO":444570}}',
        )

    def test_10_5_credits_in_xml(self) -> None:
        response = ask(Request("GET", "/v1/me", b"apiKey=KEY&_format=xml"), owner=account(10_224_688_000))
        assert response == Response(
            200,
            "application/xml",
            PROLOG + b"<result><entry>true</entry><entry>200</entry><entry><username>exemple@email.com</username>"
            b"<firstname>John</firstname><lastname>Doe</lastname></entry><entry><entry>269070</entry>"
            b"<entry>444551</entry><entry>2044937</entry><entry>0</entry><entry><![CDATA[10224.688]]></entry>"
            b"<entry><![CDATA[EUR]]></entry><entry><![CDATA[10224.688]]></entry></entry></result>",
        )

    def test_10_5_credits_at_the_prices_of_a_recording(self) -> None:
        owner = account(900_000, price_premium_micros=45_000, price_lowcost_micros=24_000)
        found = json.loads(ask(Request("GET", "/v1/me", b"apiKey=KEY"), owner=owner).body)["credits"]
        assert (found["creditSms"], found["creditSmsLowCost"], found["creditHlr"]) == (20, 37, 180)
        assert (found["solde"], found["balance"]) == ("0.900", "0.900")


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "PATCH"])
@pytest.mark.parametrize("path", ["/v1/send", "/v1/send/"])
def test_any_method_is_answered_on_every_path(method: str, path: str) -> None:
    query = b"apiKey=KEY&phoneNumbers=+33600000000&message=Hello+world"
    assert ask(Request(method, path, query)).status == 200


@pytest.mark.parametrize("path", ["/v1/me", "/v1/me/"])
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_credits_take_their_key_from_the_body_too(method: str, path: str) -> None:
    assert ask(Request(method, path, body=b'{"apiKey":"KEY"}')).status == 200


def test_the_body_wins_over_the_query() -> None:
    call = dialect.open(Request("POST", "/v1/send", b"apiKey=query&tag=t", body=b'{"apiKey":"body"}'))
    assert call.credentials.key == "body"
    assert call.values == {"apiKey": "body", "tag": "t"}


@pytest.mark.parametrize(
    ("path", "ours"),
    [
        *((f"/v1/{page}", True) for page in dialect.PAGES if page != dialect.UNSERVED),
        *((f"/v1/{page}/", True) for page in sorted(dialect.PAGES_ELSEWHERE)),
        *((path, True) for path in ("/v1/send/", "/v1/contact/list", "/v1/groupe/delete", "/v1/subaccount/create")),
        *((path, False) for path in ("/v1/public/message/send", "/v1/sms", "/v1/nothing", "/v1/me/KEY", "/v1/sendx")),
        *((path, False) for path in ("/v1/", "/v1", "/v1/(unserved)", "/v1/Send", "/v2/send", "/v11", "/", "")),
    ],
)
def test_the_pages_of_the_provider_are_ours_and_no_others(path: str, ours: bool) -> None:
    assert dialect.matches(path) is ours


@pytest.mark.parametrize(
    "path", ["/v1", "/v1/", "/v1/sendx", "/v1/me/KEY", "/v1/Send", "/v1/vn", "/v1/hlr", "/v1/cancel"]
)
@pytest.mark.parametrize(
    ("query", "content_type"), [(b"apiKey=KEY", "application/json"), (b"_format=xml", "application/xml")]
)
def test_what_is_not_there_is_denied_in_the_form_asked_for(path: str, query: bytes, content_type: str) -> None:
    response = ask(Request("GET", f"{path}", query + b"&apiKey=KEY"))
    assert (response.status, response.content_type) == (400, content_type)
    assert b"40" in response.body
    assert b"404" not in response.body


@pytest.mark.parametrize("key", ["", "   ", None, False])
def test_an_empty_key_is_a_missing_one(key: str | None) -> None:
    body = json.dumps({"apiKey": key, "phoneNumbers": "+33600000000", "message": "x"}).encode()
    assert json.loads(ask(post("/v1/send", body)).body)["code"] == 1


@pytest.mark.parametrize("key", ["a\x00b", "\ud83d", "k" * 201])
def test_a_key_that_no_account_can_have_is_unknown(key: str) -> None:
    assert json.loads(ask(post("/v1/me", json.dumps({"apiKey": key}).encode())).body)["code"] == 10


def test_a_key_may_be_written_as_a_number() -> None:
    assert dialect.open(post("/v1/me", b'{"apiKey":12345}')).credentials.key == "12345"


@pytest.mark.parametrize(
    ("request_", "content_type"),
    [
        (Request("POST", "/v1/send", b"_format=xml", body=b'{"apiKey":'), "application/xml"),
        (Request("POST", "/v1/send", b"_format=xml", body=b'{"_format":"json"}'), "application/json"),
        (Request("POST", "/v1/send", body=b'{"_format":" XML "}'), "application/xml"),
        (Request("POST", "/v1/send", body=b"_format=Xml"), "application/xml"),
        (Request("POST", "/v1/send", body=b'{"_format":["xml"]}'), "application/json"),
        (Request("POST", "/v1/send", b"&".join(b"a%d=1" % n for n in range(1_002))), "application/json"),
    ],
)
def test_an_error_comes_in_the_form_asked_for_as_far_as_it_can_be_read(request_: Request, content_type: str) -> None:
    assert ask(request_).content_type == content_type


# Every code of 8.1 that these endpoints can answer, by the refusal behind it: body code, HTTP status, French text.
CODES = [
    ("key_missing", 1, 400, "La clé API est requise"),
    ("recipients_missing", 2, 400, "Le champ phoneNumbers est requis"),
    ("key_unknown", 10, 400, "Clef API incorrecte"),
    ("credit_short", 11, 400, "Crédit insuffisant"),
    ("credit_none", 11, 400, "Crédit insuffisant"),
    ("price_missing", 13, 400, "Aucun prix par défaut n'a été trouvé pour les numéros suivant"),
    ("account_disabled", 20, 400, "Compte désactivé"),
    (
        "window_hour",
        22,
        400,
        "SMS Marketing: L'heure d'envoi n'est pas valide, elle doit être comprise entre 8h et 22h.",
    ),
    ("account_blocked", 30, 400, "Compte bloqué"),
    ("access_denied", 40, 400, "L'accès à l'API est refusé"),
    ("unicode_unavailable", 40, 400, "L'accès à l'API est refusé"),
    ("lowcost_too_long", 42, 400, "Le nombre de caractères pour un sms Low Cost est 160 caractères"),
    ("sender_invalid", 44, 400, "L'émetteur est invalide"),
    ("sender_missing", 44, 400, "L'émetteur est invalide"),
    ("time_invalid", 46, 400, "L'heure est requise"),
    ("minute_invalid", 47, 400, "Le chiffre des minutes est invalide"),
    ("minute_step", 48, 400, "Les minutes doivent-être comprise entre 5 et 55 dans un interval de 5 minutes"),
    ("date_invalid", 49, 400, "La date est invalide"),
    ("recipients_too_many", 50, 400, "Le nombre de numéros autorisés est de 500 maxi"),
    ("lowcost_unavailable", 51, 400, "La gamme lowcost n'est pas éligible"),
    ("text_too_long", 52, 400, "Le nombre de SMS concaténés ne peut excéder 10 SMS"),
    ("recipients_unusable", 55, 400, "Aucun numéro à envoyer"),
    ("unreadable", 90, 400, "Le JSON est malformé: erreur de syntaxe"),
    ("address_refused", 96, 400, "L'IP n'est pas autorisée"),
    ("queue_failed", 500, 500, "Problème lors de l'ajout du sms dans la file d'attente"),
    ("sender_refused", 992, 400, "Sender non autorisé"),
    ("not_found", 404, 404, "La ressource demandée n'existe pas"),
    ("too_many_requests", 429, 429, "Trop de requêtes, veuillez réessayer plus tard"),
    ("body_too_large", 90, 413, "Le corps de la requête est trop volumineux"),
]


@pytest.mark.parametrize(("refusal", "code", "status", "text"), CODES)
def test_each_refusal_has_its_number_its_status_and_its_text(refusal: str, code: int, status: int, text: str) -> None:
    response = dialect.refuse(SmsPartnerRefusal(refusal), post("/v1/me", HELLO))
    body = json.loads(response.body)
    assert (body["success"], body["code"], body["message"]) == (False, code, text)
    assert response.status == status


def test_a_forbidden_day_is_quoted_as_it_was_written() -> None:
    request = post("/v1/send", TestGoldenExamples.SCHEDULED + b"}")
    response = dialect.refuse(Refusal("window_day"), request, dialect.open(request), account())
    assert json.loads(response.body) == {
        "success": False,
        "code": 23,
        "message": "SMS Marketing: La date 21/10/2030 n'est pas valide, "
        "L'envoi des sms n'est pas possible le dimanche et jours fériés.",
    }


@pytest.mark.parametrize("code", sorted(SmsPartnerRefusal.CODES))
@pytest.mark.parametrize("language", ["fr", "en", "es"])
@pytest.mark.parametrize("query", [b"", b"_format=xml"])
def test_every_refusal_is_answered_in_every_form_and_language(code: str, language: str, query: bytes) -> None:
    request = Request("GET", "/v1/send", query)
    response = dialect.refuse(SmsPartnerRefusal(code), request, None, account(message_language=language))
    assert 400 <= response.status < 600
    assert response.body.isascii() or query
    assert b"{limit}" not in response.body
    assert b"{date}" not in response.body
    if not query:
        assert json.loads(response.body)["success"] is False


def test_english_is_spoken_to_accounts_that_want_it() -> None:
    response = dialect.refuse(Refusal("key_unknown"), Request("GET", "/v1/me"), None, account(message_language="en"))
    assert json.loads(response.body)["message"] == "Invalid API key"


def test_the_limit_in_the_text_is_the_account_s_own() -> None:
    owner = account(numbers_per_request_max=20)
    response = dialect.refuse(Refusal("recipients_too_many"), post("/v1/send", HELLO), None, owner)
    assert json.loads(response.body)["message"] == "Le nombre de numéros autorisés est de 20 maxi"


@pytest.mark.parametrize(
    ("refusal", "status"), [("key_unknown", 200), ("not_found", 404), ("too_many_requests", 429), ("queue_failed", 500)]
)
def test_errors_as_200_spares_what_proxies_and_retries_need(refusal: str, status: int) -> None:
    owner = account(errors_as_http_200=True)
    assert dialect.refuse(SmsPartnerRefusal(refusal), post("/v1/send", HELLO), None, owner).status == status


def test_too_many_requests_says_how_long_to_wait() -> None:
    refusal = Refusal("too_many_requests", retry_after_s=7)
    assert dialect.refuse(refusal, Request("GET", "/v1/me")).headers == (("Retry-After", "7"),)


def report(**own: Any) -> Report:
    values: dict[str, Any] = {
        "dialect": "smspartner",
        "submission_id": 95_000_001,
        "message_id": 95_000_001 << 16,
        "public_id": "",
        "recipient": "+33600000001",
        "state": "delivered",
        "at": datetime.fromtimestamp(1_771_941_463, UTC),
        "cost_micros": 49_000,
        "target": "https://example.com/dlr?secret=a%20b&x",
        "tag": "promo",
    }
    return Report(**{**values, **own})


def test_a_report_is_told_as_recorded() -> None:
    call = dialect.tell(report())
    assert (call.method, call.url, call.content_type) == (
        "POST",
        "https://example.com/dlr?secret=a%20b&x",
        "application/json",
    )
    assert call.body == (
        b'{"status":"delivered","msgId":"95000001","date":1771941463,"phone":"+33600000001",'
        b'"cost":"0.049","currency":"EUR","tag":"promo"}'
    )


def test_a_report_has_a_tag_only_when_the_send_had_one() -> None:
    assert "tag" not in json.loads(dialect.tell(report(tag="")).body)
    assert json.loads(dialect.tell(report(tag='é"\\')).body)["tag"] == 'é"\\'


WORDS = [
    ("scheduled", "waiting"),
    ("held", "waiting"),
    ("queued", "waiting"),
    ("submitting", "waiting"),
    ("submitted", "waiting"),
    ("uncertain", "waiting"),
    ("delivered", "delivered"),
    ("undelivered", "not delivered"),
    ("expired", "not delivered"),
    ("rejected", "not delivered"),
    ("no_receipt", "not delivered"),
    ("suppressed", "ko"),
    ("failed", "ko"),
    ("cancelled", "ko"),
]


@pytest.mark.parametrize(("state", "word"), WORDS)
def test_each_state_has_its_word(state: str, word: str) -> None:
    assert json.loads(dialect.tell(report(state=state)).body)["status"] == word


def test_the_words_cover_the_lifecycle() -> None:
    from chappe.core.lifecycle import State

    assert {state.word for state in State} == {state for state, _ in WORDS}


OCTETS = st.binary(max_size=200)
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(alphabet=st.characters(), max_size=20)
)
NAMED = st.dictionaries(
    st.sampled_from(
        [
            "apiKey",
            "phoneNumbers",
            "to",
            "from",
            "message",
            "gamme",
            "sender",
            "scheduledDeliveryDate",
            "time",
            "minute",
            "isStopSms",
            "isUnicode",
            "sandbox",
            "tag",
            "urlDlr",
            "urlResponse",
            "webhookUrl",
            "_format",
            "APIKEY",
            "To",
        ]
    ),
    st.one_of(
        SCALARS,
        st.lists(SCALARS, max_size=3),
        st.dictionaries(st.text(max_size=3), SCALARS, max_size=2),
        st.sampled_from(
            ["0612345678", "+33612345678,0140000001", "21/10/2030", "9", "24", "55", "KEY", "xml", "2", "1"]
        ),
    ),
)


@settings(max_examples=150)
@given(st.sampled_from(["/v1/send", "/v1/vn/send", "/v1/me", "/v1/x"]), OCTETS, OCTETS, st.text(max_size=20))
def test_no_octets_make_it_stumble(path: str, query: bytes, body: bytes, label: str) -> None:
    response = ask(Request("POST", path, query, {"content-type": label}, body))
    assert response.status in (200, 400, 404)


@settings(max_examples=300)
@given(st.sampled_from(["/v1/send", "/v1/vn/send", "/v1/me"]), NAMED)
def test_no_values_make_it_stumble(path: str, values: dict[str, Any]) -> None:
    body = json.dumps({"apiKey": "KEY", "phoneNumbers": "0612345678", "message": "x", **values}).encode()
    response = ask(post(path, body))
    assert response.status in (200, 400)
    if response.content_type == "application/json":
        assert response.body.isascii()
        assert json.loads(response.body)["success"] is (response.status == 200)
    else:
        from xml.etree import ElementTree

        assert ElementTree.fromstring(response.body)[0].text == ("true" if response.status == 200 else "false")
