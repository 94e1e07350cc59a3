"""SMS Partner's /bulk-send: one id for many texts, each item answered in its place."""

import json
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from smspartner_desk import MOMENT, PROLOG, account, ask, code_of, get, never, post, read

from chappe.core.errors import Refusal
from chappe.core.http import Request, Response
from chappe.core.model import Accepted, Account, Range, Send, Skipped
from chappe.dialects.smspartner import dialect
from chappe.dialects.smspartner.refusals import SmsPartnerRefusal, Violations

ONE, TWO = "+33600000001", "+33600000002"
PAIR = [{"phoneNumber": "0600000001", "message": "Bonjour Ana"}, {"phoneNumber": TWO, "message": "Bonjour Luc"}]


def accept(command: Send) -> Accepted:
    return Accepted(2254444, command, 0)


def accept_without(*opted_out: str) -> Any:
    """The action with numbers on the STOP list: they leave the recipients, in order, and join the skipped."""

    def action(command: Send) -> Accepted:
        stays = tuple(r for r in command.recipients if r.number not in opted_out)
        gone = tuple(Skipped(r.written, "opted_out", r.number) for r in command.recipients if r.number in opted_out)
        skipped = command.skipped + gone
        if not stays:
            raise Refusal("recipients_unusable", skipped=skipped)
        return accept(msgspec.structs.replace(command, recipients=stays, skipped=skipped))

    return action


def bulk(items: Any, **options: Any) -> Request:
    return post("bulk-send", {"SMSList": items, **options})


def answered(items: Any, owner: Account | None = None, action: Any = accept, **options: Any) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(ask(bulk(items, **options), action, owner).body)
    return body


def codes(items: Any, owner: Account | None = None, **options: Any) -> list[int]:
    return [item["code"] for item in answered(items, owner, **options)["SMSResponse_List"]]


def item(number: Any = "0600000001", message: Any = "Bonjour") -> dict[str, Any]:
    return {"phoneNumber": number, "message": message}


def test_the_text_of_a_bulk_is_one_that_is_sent() -> None:
    owner = account(prices={"262": None})
    sent = read(bulk([item("0692123456", "unsent ñ"), item(ONE, "sent")]), owner)
    assert (sent.text, sent.warnings) == ("sent", ())
    assert [recipient.text for recipient in sent.recipients] == [None]


def test_the_answer_does_not_read_the_request_again() -> None:
    items = [item(), item("abc"), item(TWO), item(), item("0140000001"), item("+447911123456"), item(TWO, "Autre")]
    call = dialect.open(bulk(items))
    command = dialect.read(call, account(), MOMENT)
    assert isinstance(command, Send)
    outcome = accept_without(TWO)(command)
    told = dialect.write(outcome, call, account())
    blank = msgspec.structs.replace(call, values={"apiKey": "KEY"})
    assert dialect.write(outcome, blank, account()) == told
    assert [one["code"] for one in json.loads(told.body)["SMSResponse_List"]] == [200, 9, 14, 15, 9, 13, 14]


class TestAnswer:
    def test_5_4_the_golden_example(self) -> None:
        assert ask(bulk(PAIR), accept) == Response(
            200,
            "application/json",
            b'{"success":true,"code":200,"message_id":2254444,"currency":"EUR","cost":0.076,"nbSMS":2,'
            b'"SMSResponse_List":[{"success":true,"code":200,"nbSms":1,"cost":0.038,"phoneNumber":"+33600000001"},'
            b'{"success":true,"code":200,"nbSms":1,"cost":0.038,"phoneNumber":"+33600000002"}]}',
        )

    def test_in_xml_the_values_keep_their_order(self) -> None:
        response = ask(bulk([*PAIR, item("abc")], _format="xml"), accept)
        assert response.content_type == "application/xml"
        good = (
            "<entry><entry>true</entry><entry>200</entry><entry>1</entry><entry>0.038</entry>"
            "<entry><![CDATA[{}]]></entry></entry>"
        )
        assert response.body.decode() == (
            f"{PROLOG}<result><entry>true</entry><entry>200</entry><entry>2254444</entry>"
            "<entry><![CDATA[EUR]]></entry><entry>0.076</entry><entry>2</entry>"
            f"<entry>{good.format(ONE)}{good.format(TWO)}"
            "<entry><entry>false</entry><entry>9</entry><entry><![CDATA[abc]]></entry>"
            "<entry>Ce numéro de téléphone n'est pas valide (abc)</entry></entry></entry></result>"
        )

    def test_a_schedule_is_told_as_the_last_value(self) -> None:
        body = answered(PAIR, scheduledDeliveryDate="21/10/2030", time=9, minute=0)
        assert list(body.items())[-1] == ("scheduledDeliveryDate", "2030-10-21 09:00:00")
        assert read(bulk(PAIR, scheduledDeliveryDate="21/10/2030", time=9, minute=0)).scheduled_at == datetime(
            2030, 10, 21, 7, 0, tzinfo=UTC
        )

    def test_the_sums_are_of_the_items(self) -> None:
        body = answered([item(message="a" * 161), item("0600000002"), item("0140000001"), item(TWO, "x")])
        costs = [entry.get("cost", 0) for entry in body["SMSResponse_List"]]
        assert costs == [0.076, 0.038, 0, 0.038]
        assert body["cost"] == pytest.approx(sum(costs))
        assert (body["nbSMS"], [e.get("nbSms") for e in body["SMSResponse_List"]]) == (4, [2, 1, None, 1])


class TestItems:
    @pytest.mark.parametrize(
        ("bad", "code", "message"),
        [
            (item("922264"), 9, "Ce numéro de téléphone n'est pas valide (922264)"),
            (item(None), 9, "Ce numéro de téléphone n'est pas valide ()"),
            ({"phoneNumber": "0600000009"}, 9, "Le message est requis"),
            (item("0600000009", "  "), 9, "Le message est requis"),
            (item("0140000001"), 9, "Le téléphone (+33140000001) n'est pas être un numéro de mobile"),
            (item("+33000000000"), 9, "Le téléphone (+33000000000) n'est pas être un numéro de mobile"),
            (
                item("+4915112345678"),
                13,
                "Aucun prix par défaut n'a été trouvé pour les numéros suivant (+4915112345678)",
            ),
            (item("+33600000001", "Bonjour Ana"), 15, "Le numéro est déjà présent dans la liste"),
            (item("0600000009", "a" * 1531), 52, "Le nombre de SMS concaténés ne peut excéder 10 SMS"),
            (item("0600000009", "a" * 20_000), 52, "Le nombre de SMS concaténés ne peut excéder 10 SMS"),
        ],
    )
    def test_a_bad_item_is_told_in_its_place_and_the_others_are_sent(
        self, bad: dict[str, Any], code: int, message: str
    ) -> None:
        body = answered([PAIR[0], bad, PAIR[1]])
        assert [entry["code"] for entry in body["SMSResponse_List"]] == [200, code, 200]
        failed = body["SMSResponse_List"][1]
        assert list(failed) == ["success", "code", "phoneNumber", "message"]
        assert (failed["success"], failed["message"]) == (False, message)
        assert body["cost"] == 0.076

    def test_low_cost_items_have_one_part_by_the_later_rules(self) -> None:
        found = [item(message="a" * 161), item(TWO)]
        assert codes(found, account(provider="2024"), gamme=2) == [42, 200]
        assert codes(found, gamme=2) == [200, 200]
        assert read(bulk(found, gamme="2")).range is Range.LOWCOST

    def test_one_number_may_get_two_texts(self) -> None:
        command = read(bulk([item(message="a"), item(message="b"), item("+33600000001", "a")]))
        assert [(r.number, r.text or command.text) for r in command.recipients] == [(ONE, "a"), (ONE, "b")]
        assert command.skipped == ()  # the same once more is no message that could have a state

    def test_the_same_item_again_is_code_15_whatever_became_of_the_first(self) -> None:
        far = item("+4915112345678")
        found = [far, far, item(), item("+33600000001"), item(TWO), item(TWO), item("abc"), item("abc")]
        body = answered(found, action=accept_without(ONE))
        assert [entry["code"] for entry in body["SMSResponse_List"]] == [13, 15, 14, 15, 200, 15, 9, 9]

    @pytest.mark.parametrize("written", ["a\x00b", "\ud83d", "9" * 100_000, "<&>]]>"])
    def test_what_is_no_number_can_be_stored_and_quoted(self, written: str) -> None:
        request = Request(
            "POST",
            "/v1/bulk-send",
            b"_format=xml",
            body=json.dumps({"apiKey": "KEY", "SMSList": [item(written), *PAIR]}).encode(),
        )
        (skipped,) = read(request).skipped
        assert skipped.reason == "number_malformed"
        assert "\0" not in skipped.written.encode().decode()
        assert len(skipped.written) <= 64
        assert ask(request, accept).status == 200

    def test_opted_out_numbers_are_code_14_in_their_place(self) -> None:
        found = [item(message="a"), item("abc"), item(TWO), item(message="b"), item("0600000003")]
        body = answered(found, action=accept_without(ONE))
        assert [entry["code"] for entry in body["SMSResponse_List"]] == [14, 9, 200, 14, 200]
        assert body["SMSResponse_List"][0] == {
            "success": False,
            "code": 14,
            "phoneNumber": ONE,
            "message": "Le numéro est dans la liste des STOP SMS",
        }
        assert [e.get("phoneNumber") for e in body["SMSResponse_List"]] == [ONE, "abc", TWO, ONE, "+33600000003"]
        assert (body["cost"], body["nbSMS"]) == (0.076, 2)

    def test_english_is_spoken_to_accounts_that_want_it(self) -> None:
        body = answered([*PAIR, item("0140000001")], account(message_language="en"))
        assert body["SMSResponse_List"][2]["message"] == "The phone number (+33140000001) is not a mobile number"

    def test_names_are_read_in_any_case_and_values_as_any_type(self) -> None:
        command = read(post("bulk-send", {"smslist": [{"PhoneNumber": 33600000001, "MESSAGE": 42}]}))
        assert [(r.number, command.text) for r in command.recipients] == [(ONE, "42")]

    def test_a_list_may_come_as_text_of_a_form(self) -> None:
        request = Request("POST", "/v1/bulk-send", b"apiKey=KEY&SMSList=" + json.dumps(PAIR).replace(" ", "").encode())
        assert [r.number for r in read(request).recipients] == [ONE, TWO]

    @pytest.mark.parametrize(("written", "sent"), [("0", "Bonjour"), ("1", "Bonjour STOP 36111")])
    def test_the_mention_is_appended_to_each_text(self, written: str, sent: str) -> None:
        command = read(bulk([item(), item(TWO, "Salut")], isStopSms=written))
        assert command.text == sent
        assert command.recipients[1].text == sent.replace("Bonjour", "Salut")

    def test_a_text_that_is_the_same_for_all_is_stored_once(self) -> None:
        command = read(bulk([item(), item(TWO)]))
        assert (command.text, [r.text for r in command.recipients]) == ("Bonjour", [None, None])


class TestRequest:
    @pytest.mark.parametrize("listed", [None, [], "", "x", {}, [1], ["0600000001"], "[", 7, [[]]])
    def test_no_list_of_items_is_a_missing_number(self, listed: Any) -> None:
        assert code_of(ask(bulk(listed), never)) == 2

    def test_more_items_than_the_limit_are_refused(self) -> None:
        many = [item(f"06{n:08d}") for n in range(501)]
        assert code_of(ask(bulk(many), never)) == 50
        assert code_of(ask(bulk(PAIR), never, account(numbers_per_request_max=1))) == 50
        assert len(read(bulk(many[:500])).skipped) + len(read(bulk(many[:500])).recipients) == 500

    @pytest.mark.parametrize(
        ("options", "code"),
        [
            ({"sender": "ab"}, 44),
            ({"scheduledDeliveryDate": "31/02/2030", "time": 9, "minute": 0}, 49),
            ({"scheduledDeliveryDate": "21/10/2030", "time": 25, "minute": 0}, 46),
            ({"scheduledDeliveryDate": "21/10/2030", "time": 9, "minute": "x"}, 47),
            ({"scheduledDeliveryDate": "21/10/2030", "time": 9, "minute": 3}, 48),
        ],
    )
    def test_single_rules_are_those_of_send(self, options: dict[str, Any], code: int) -> None:
        assert code_of(ask(bulk(PAIR, **options), never)) == code

    @pytest.mark.parametrize(
        ("own", "options", "code"),
        [
            ({"lowcost_enabled": False}, {"gamme": 2}, 51),
            ({"unicode_enabled": False}, {"isUnicode": 1}, 40),
            ({"senders_allowed": ("Boutique",)}, {"sender": "Autre"}, 992),
        ],
    )
    def test_what_the_account_may_not_is_refused(self, own: Any, options: Any, code: int) -> None:
        assert code_of(ask(bulk(PAIR, **options), never, account(**own))) == code

    @pytest.mark.parametrize(("code", "number"), [("credit_short", 11), ("window_hour", 22), ("window_day", 23)])
    def test_what_the_action_refuses_is_told(self, code: str, number: int) -> None:
        def action(command: Any) -> Any:
            raise SmsPartnerRefusal(code)

        assert code_of(ask(bulk(PAIR), action)) == number

    @pytest.mark.parametrize("items", [[item("922264"), item("0600000001", ""), item()], [item("922264", "")]])
    @pytest.mark.parametrize(("form", "name"), [("json", "phoneNumber"), ("xml", "phoneNumbers")])
    def test_all_violations_of_a_request_are_told_at_once(self, form: str, name: str, items: list[Any]) -> None:
        request = bulk(items, sender="BoutiqueDuCoin", _format=form)
        with pytest.raises(Violations) as caught:
            read(request)
        assert [(v.field, v.rule) for v in caught.value.items] == [
            ("message", "required"),
            ("recipients", "invalid"),
            ("sender", "too_long"),
        ]
        body = ask(request, never).body.decode()
        assert [f"children[{name}].data" in body, body.count("children[")] == [True, 6 if form == "json" else 3]

    def test_no_usable_item_is_shape_c_in_the_order_of_the_request(self) -> None:
        body = answered([item("0140000001"), item("922264"), item("+4915112345678"), item("0600000001", "")])
        assert (body["success"], body["code"], body["message"]) == (False, 55, "Aucun numéro à envoyer")
        assert [entry["code"] for entry in body["errors"]] == ["9", "9", "13", "9"]

    def test_only_prices_missing_is_code_13(self) -> None:
        body = answered([item("+4915112345678"), item("+4915112345679")])
        assert (body["code"], [entry["code"] for entry in body["errors"]]) == (13, ["13", "13"])

    def test_only_opted_out_numbers_are_shape_c_with_14(self) -> None:
        body = answered(PAIR, action=accept_without(ONE, TWO))
        assert (body["code"], [entry["code"] for entry in body["errors"]]) == (55, ["14", "14"])

    def test_what_travels_along_is_that_of_send(self) -> None:
        command = read(
            bulk(
                PAIR,
                sender="Boutique",
                tag="promo",
                urlDlr="https://a.example/d",
                urlResponse="https://a.example/r",
                sandbox=1,
                isUnicode="1",
            )
        )
        assert (
            command.sender,
            command.tag,
            command.report_url,
            command.reply_url,
            command.sandbox,
            command.unicode,
        ) == (
            "Boutique",
            "promo",
            "https://a.example/d",
            "https://a.example/r",
            True,
            True,
        )
        assert not command.schedule_strict

    def test_a_schedule_is_strict_by_the_later_rules(self) -> None:
        assert read(bulk(PAIR), account(provider="2024")).schedule_strict


class TestCourtesyOfSend:
    def test_send_with_a_list_and_no_numbers_is_a_bulk_send(self) -> None:
        assert ask(post("send", {"SMSList": PAIR}), accept) == ask(bulk(PAIR), accept)
        refused = ask(
            post("send", {"SMSList": PAIR, "scheduledDeliveryDate": "01/01/2020", "time": 9, "minute": 5}), never
        )
        assert json.loads(refused.body)["code"] == 9

    def test_send_with_numbers_stays_a_send(self) -> None:
        command = read(post("send", {"SMSList": PAIR, "phoneNumbers": "0600000003", "message": "x"}))
        assert [r.number for r in command.recipients] == ["+33600000003"]

    def test_other_methods_are_answered_alike(self) -> None:
        assert code_of(ask(get("bulk-send"), never)) == 2
        assert read(get("bulk-send", SMSList=json.dumps(PAIR))).recipients[1].number == TWO


NUMBERS = st.sampled_from(
    ["0600000001", "+33600000001", TWO, "0140000001", "abc", "", "+4915112345678", "+33000000000"]
)
MESSAGES = st.sampled_from(["a", "b", "", "é€😀", "x" * 1600])


@given(
    st.lists(st.builds(item, NUMBERS, MESSAGES), min_size=1, max_size=12),
    st.sets(st.sampled_from([ONE, TWO])),
    st.sampled_from([1, 2]),
)
def test_every_item_has_its_answer_and_the_sums_are_right(items: list[Any], stopped: set[str], gamme: int) -> None:
    request = bulk(items, gamme=gamme)
    body = json.loads(ask(request, accept_without(*stopped)).body)
    if not body["success"]:
        assert 1 <= len(body["errors"]) <= len(items)
        return
    listed = body["SMSResponse_List"]
    assert len(listed) == len(items)
    for asked, entry in zip(items, listed, strict=True):
        if entry["success"]:
            assert entry["phoneNumber"][-9:] == asked["phoneNumber"][-9:]
            assert entry["phoneNumber"] not in stopped
            assert asked["message"]
    sent = [entry for entry in listed if entry["success"]]
    assert body["nbSMS"] == sum(entry["nbSms"] for entry in sent)
    assert round(body["cost"] * 1e6) == sum(round(entry["cost"] * 1e6) for entry in sent)
    command = dialect.read(dialect.open(request), account(), MOMENT)
    assert isinstance(command, Send)
    assert len({(r.number, r.text) for r in command.recipients}) == len(command.recipients)
