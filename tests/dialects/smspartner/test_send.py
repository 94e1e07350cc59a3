"""What SMS Partner's sends mean: numbers, texts, prices, senders, schedules, and which rule is checked first."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chappe.core.errors import Refusal
from chappe.core.model import Account, AccountSettings, Moment, Range, Send, Skipped
from chappe.core.numbers import OVERSEAS_REWRITTEN
from chappe.dialects.smspartner.refusals import Violation, Violations
from chappe.dialects.smspartner.send import read

LATER = {"provider": "2024"}
NOW = datetime(2026, 3, 4, 10, 0, tzinfo=UTC)  # a Wednesday, 11:00 in Paris
MENTION = " STOP 36111"


def nowhere_else(own: dict[str, Any]) -> dict[str, Any]:
    """Settings of an account that serves the French zone and what it has prices for."""
    return {**own, "prices": {"": None, **own.get("prices", {})}}


def send(verb: str = "send", now: datetime = NOW, own: dict[str, Any] | None = None, **values: Any) -> Send:
    settings = AccountSettings(**nowhere_else({"stop_mention": MENTION, **(own or {})}))
    base: dict[str, Any] = {"message": "Bonjour"}
    base |= {"to": "0612345678", "from": "33700000001"} if verb == "vn/send" else {"phoneNumbers": "0612345678"}
    if "virtual_from" in values:
        values["from"] = values.pop("virtual_from")
    given = {name: value for name, value in {**base, **values}.items() if value is not None}
    return read(verb, given, Account(1, "demo", settings=settings), Moment(now))


def refusal_of(*args: Any, **kwargs: Any) -> str:
    with pytest.raises(Refusal) as caught:
        send(*args, **kwargs)
    return caught.value.code


def violations_of(*args: Any, **kwargs: Any) -> list[tuple[str, str, str]]:
    with pytest.raises(Violations) as caught:
        send(*args, **kwargs)
    return [(item.field, item.rule, item.value) for item in caught.value.items]


class TestNumbers:
    @pytest.mark.parametrize(
        "written",
        [
            "0612345678",
            "+33612345678",
            "0033612345678",
            "33612345678",
            "+33 6 12 34 56 78",
            "+ 33612345678",
            "06.12.34.56.78",
            "06-12-34-56-78",
            "(06) 12 34 56 78",
            "+33(0)612345678",
            33612345678,
            ["0612345678"],
            [33612345678],
            ["0612345678,"],
            " 0612345678 ,\r\n",
            ",,0612345678,,",
        ],
    )
    def test_every_writing_of_a_number_is_read(self, written: object) -> None:
        assert [r.number for r in send(phoneNumbers=written).recipients] == ["+33612345678"]

    @pytest.mark.parametrize(
        "written",
        [
            "0612345678,0612345679",
            "0612345678, +33612345679",
            "0612345678,\n0612345679,\n",
            "0612345678\r\n0612345679",
            ["0612345678", "0612345679"],
            ["0612345678, 33612345679"],
        ],
    )
    def test_every_writing_of_a_list_is_read(self, written: object) -> None:
        assert [r.number for r in send(phoneNumbers=written).recipients] == ["+33612345678", "+33612345679"]

    def test_a_number_repeated_in_any_writing_is_sent_once(self) -> None:
        command = send(phoneNumbers="0612345678,+33612345678,0033 6 12 34 56 78,0612345679")
        assert [r.number for r in command.recipients] == ["+33612345678", "+33612345679"]

    def test_what_was_written_is_kept(self) -> None:
        assert send(phoneNumbers="06 12 34 56 78").recipients[0].written == "06 12 34 56 78"

    def test_overseas_numbers_keep_their_warning(self) -> None:
        recipient = send(phoneNumbers="0692123456").recipients[0]
        assert (recipient.number, recipient.warnings) == ("+262692123456", (OVERSEAS_REWRITTEN,))

    @pytest.mark.parametrize("written", [None, "", " ", ",", " , ,\n", [], [""], [None]])
    def test_no_number_is_a_missing_one(self, written: object) -> None:
        assert refusal_of(phoneNumbers=written) == "recipients_missing"

    @pytest.mark.parametrize("name", ["to", "sms", "phoneNumber"])
    def test_a_wrong_key_is_a_missing_number(self, name: str) -> None:
        assert refusal_of(phoneNumbers=None, **{name: "0612345678"}) == "recipients_missing"

    def test_500_numbers_are_allowed_and_501_are_not(self) -> None:
        numbers = [f"06{n:08d}" for n in range(501)]
        assert len(send(phoneNumbers=",".join(numbers[:500])).recipients) == 500
        assert refusal_of(phoneNumbers=",".join(numbers)) == "recipients_too_many"

    @pytest.mark.parametrize(
        "written", ["," * 1_000_000, "1" + "\n" * 1_000_000 + "1", [""] * 100_000, ["0612345678,"] * 1_000]
    )
    def test_a_list_of_too_many_places_is_not_even_read(self, written: object) -> None:
        assert refusal_of(phoneNumbers=written) == "recipients_too_many"

    def test_repeated_numbers_count_for_the_limit(self) -> None:
        assert refusal_of(phoneNumbers="0612345678,0612345678", own={"numbers_per_request_max": 1}) == (
            "recipients_too_many"
        )

    @pytest.mark.parametrize("bad", ["922264", "abc", "06123456789", "0612345678 ext 3", "+", "{}", "9" * 100])
    def test_what_has_not_the_form_of_a_number_refuses_the_whole_request(self, bad: str) -> None:
        assert violations_of(phoneNumbers=f"0612345678,{bad}") == [("recipients", "invalid", bad)]

    def test_each_bad_number_is_told(self) -> None:
        assert violations_of(phoneNumbers="abc,0612345678,922264") == [
            ("recipients", "invalid", "abc"),
            ("recipients", "invalid", "922264"),
        ]

    @pytest.mark.parametrize(
        ("bad", "reason", "number"),
        [
            ("+33000000000", "number_invalid", "+33000000000"),
            ("0140000001", "number_not_mobile", "+33140000001"),
            ("+33 1 40 00 00 01", "number_not_mobile", "+33140000001"),
            ("07001234567890", "number_not_mobile", "+337001234567890"),
            ("0033000000000", "number_invalid", "+33000000000"),
            ("+4915112345678", "price_missing", "+4915112345678"),
        ],
    )
    def test_what_cannot_be_reached_is_skipped_and_the_others_are_sent(
        self, bad: str, reason: str, number: str
    ) -> None:
        command = send(phoneNumbers=f"{bad},0612345678,{bad}")
        assert [r.number for r in command.recipients] == ["+33612345678"]
        assert command.skipped == (Skipped(bad, reason, number),)
        assert (command.parts, command.cost_micros) == (1, 38_000)

    @pytest.mark.parametrize(
        ("written", "code"),
        [
            ("0140000001", "recipients_unusable"),
            ("0140000001,+33000000000", "recipients_unusable"),
            ("+4915112345678", "price_missing"),
            ("+4915112345678,+4915112345679", "price_missing"),
            ("+4915112345678,0140000001", "recipients_unusable"),
        ],
    )
    def test_nobody_left_is_a_refusal_that_names_each(self, written: str, code: str) -> None:
        with pytest.raises(Refusal) as caught:
            send(phoneNumbers=written)
        assert caught.value.code == code
        assert {item.written for item in caught.value.values["skipped"]} == set(written.split(","))


class TestText:
    @pytest.mark.parametrize("message", [None, "", " ", "\r\n", "~^", [], {"a": 1}, ["x"]])
    def test_an_empty_message_is_a_violation(self, message: object) -> None:
        assert violations_of(message=message) == [("message", "required", "")]

    @pytest.mark.parametrize(
        ("written", "sent"),
        [
            ("déjà", "déjà"),
            ("[œ] «ça» ~x", '(oe) "Ça" x'),
            ("a\r\nb", "a\r\nb"),
            ("a\nb", "a\nb"),
            ("a:br:b", "a\r\nb"),
            ("a\\r\\nb", "a\r\nb"),
            ("9:euro:", "9€"),
            ("😀", "?"),
            ("\ud83d", "?"),
            (" x ", " x "),
            (42, "42"),
        ],
    )
    def test_characters_are_replaced_before_counting(self, written: object, sent: str) -> None:
        command = send(message=written)
        assert (command.text, command.unicode, command.parts) == (sent, False, 1)

    @pytest.mark.parametrize(
        ("message", "parts"),
        [
            ("a" * 160, 1),
            ("a" * 161, 2),
            ("a" * 306, 2),
            ("a" * 307, 3),
            ("€" * 80, 1),
            ("€" * 81, 2),
            ("a" * 158 + ":br:", 1),
            ("a" * 159 + ":br:", 2),
            ("a" * 159 + "\n", 1),
            ("a" * 1530, 10),
        ],
    )
    def test_length_is_160_then_153(self, message: str, parts: int) -> None:
        command = send(message=message)
        assert (command.parts, command.cost_micros) == (parts, parts * 38_000)

    @pytest.mark.parametrize("message", ["a" * 1531, "a" * 20_000])
    def test_more_than_10_parts_are_too_long(self, message: str) -> None:
        assert refusal_of(message=message) == "text_too_long"

    @pytest.mark.parametrize(
        ("message", "parts"), [("a" * 70, 1), ("a" * 71, 2), ("ж" * 134, 2), ("ж" * 135, 3), ("😀" * 35, 1)]
    )
    def test_unicode_is_70_then_67_and_nothing_is_replaced(self, message: str, parts: int) -> None:
        command = send(message=message, isUnicode=1)
        assert (command.text, command.unicode, command.parts) == (message, True, parts)

    def test_marks_work_in_unicode_too(self) -> None:
        assert send(message="ж:br:[~]:euro:", isUnicode="1").text == "ж\r\n[~]€"

    def test_unicode_is_refused_where_the_account_has_it_not(self) -> None:
        assert refusal_of(isUnicode=True, own={"unicode_enabled": False}) == "unicode_unavailable"

    def test_parts_are_counted_over_recipients(self) -> None:
        command = send(message="a" * 161, phoneNumbers="0612345678,0612345679")
        assert (command.parts, command.cost_micros) == (4, 152_000)


class TestStopMention:
    @pytest.mark.parametrize("wish", [1, "1", True, "true"])
    def test_it_is_appended_on_request_and_counted(self, wish: object) -> None:
        command = send(message="a" * 150, isStopSms=wish)
        assert (command.text, command.parts) == ("a" * 150 + MENTION, 2)

    @pytest.mark.parametrize("wish", [0, "0", "false", None])
    def test_it_is_not_appended_unasked(self, wish: object) -> None:
        assert send(isStopSms=wish).text == "Bonjour"

    def test_it_is_not_doubled(self) -> None:
        assert send(message="Soldes stop au 36180", isStopSms=1).text == "Soldes stop au 36180"

    def test_low_cost_ignores_it(self) -> None:
        assert send(gamme=2, isStopSms=1).text == "Bonjour"

    def test_an_account_can_have_it_always(self) -> None:
        assert send(own={"stop_mention_automatic": True}).text == "Bonjour" + MENTION

    def test_it_works_in_unicode_and_from_long_numbers(self) -> None:
        assert send(message="ж", isUnicode=1, isStopSms=1).text == "ж" + MENTION
        assert send("vn/send", isStopSms=1).text == "Bonjour" + MENTION


class TestRange:
    @pytest.mark.parametrize("written", [None, 1, "1", 3, "3", 0, "abc", [2]])
    def test_premium_unless_low_cost_is_meant(self, written: object) -> None:
        command = send(gamme=written)
        assert (command.range, command.cost_micros) == (Range.PREMIUM, 38_000)

    @pytest.mark.parametrize("written", [2, "2", 2.0, " 2 "])
    def test_low_cost_has_its_own_price(self, written: object) -> None:
        command = send(gamme=written)
        assert (command.range, command.cost_micros) == (Range.LOWCOST, 23_000)

    @pytest.mark.parametrize(
        "values",
        [
            {"message": "a" * 161},
            {"message": "ж" * 71, "isUnicode": 1},
            {"message": "€" * 81},
            {"message": "a" * 20_000},
        ],
    )
    def test_low_cost_is_one_part_by_the_later_rules(self, values: dict[str, Any]) -> None:
        assert refusal_of(gamme=2, own=LATER, **values) == "lowcost_too_long"

    @pytest.mark.parametrize(
        ("values", "parts"),
        [
            ({"message": "a" * 160}, 1),
            ({"message": "a" * 161}, 2),
            ({"message": "a" * 307}, 3),
            ({"message": "ж" * 71, "isUnicode": 1}, 2),
            ({"message": "a" * 1_530}, 10),
        ],
    )
    def test_low_cost_is_counted_by_the_part(self, values: dict[str, Any], parts: int) -> None:
        command = send(gamme=2, **values)
        assert (command.parts, command.cost_micros) == (parts, 23_000 * parts)

    @pytest.mark.parametrize("message", ["a" * 1_531, "a" * 20_000])
    def test_low_cost_has_ten_parts_at_most(self, message: str) -> None:
        assert refusal_of(gamme=2, message=message) == "text_too_long"

    def test_low_cost_can_be_closed_to_an_account(self) -> None:
        assert refusal_of(gamme=2, own={"lowcost_enabled": False}) == "lowcost_unavailable"

    def test_own_prices_are_of_the_premium_range(self) -> None:
        own = {"prices": {"336": 30_000, "49": 75_000}}
        assert send(own=own).cost_micros == 30_000
        assert send(own=own, phoneNumbers="+4915112345678").cost_micros == 75_000
        assert send(own=own, gamme=2).cost_micros == 23_000
        assert refusal_of(own=own, gamme=2, phoneNumbers="+4915112345678") == "price_missing"


class TestSender:
    @pytest.mark.parametrize("own", [{}, LATER])
    @pytest.mark.parametrize("written", ["12345678901", "0140000001", "3314000 001"])
    def test_a_telephone_number_is_no_sender_unless_it_is_the_account_s(
        self, written: str, own: dict[str, Any]
    ) -> None:
        assert refusal_of(sender=written, own=own) == "sender_invalid"
        assert send(sender=written, own={**own, "senders_allowed": (written,)}).sender == written
        assert send(sender=written, own={**own, "sender": written}).sender == written

    @pytest.mark.parametrize("written", ["123", "36111", "12345678", "1 2 3"])
    def test_digits_alone_are_a_sender_but_for_the_later_rules(self, written: str) -> None:
        assert send(sender=written).sender == written
        assert refusal_of(sender=written, own=LATER) == "sender_invalid"
        assert send(sender=written, own={**LATER, "senders_allowed": (written,)}).sender == written

    @pytest.mark.parametrize("written", ["AMELI", "AM3L1"])
    def test_a_forbidden_name_is_refused_in_its_disguises_too(self, written: str) -> None:
        assert refusal_of(sender=written, own={"senders_denied": ("Ameli",)}) == "sender_refused"

    @pytest.mark.parametrize("written", ["Boutique", "abc", "A1 b2 C3 d4", " Shop "])
    def test_3_to_11_letters_digits_and_spaces(self, written: str) -> None:
        assert send(sender=written).sender == written.strip()

    @pytest.mark.parametrize("written", [None, "", "  "])
    def test_none_is_the_account_s_own_or_the_short_code(self, written: str | None) -> None:
        assert send(sender=written).sender == ""
        assert send(sender=written, own={"sender": "Own"}).sender == "Own"

    @pytest.mark.parametrize("written", ["BoutiqueDuCoin", "+33612345678", "é" * 12])
    def test_over_11_characters_is_a_violation(self, written: str) -> None:
        assert violations_of(sender=written) == [("sender", "too_long", written)]

    @pytest.mark.parametrize(
        "written", ["ab", "Café", "A-B-C", "A&B", "shop!", "a.b", "0612345678", "33612345678", "07 12345678", 1, [1]]
    )
    def test_a_malformed_one_is_invalid(self, written: object) -> None:
        assert refusal_of(sender=written) == "sender_invalid"

    def test_an_allow_list_decides(self) -> None:
        own = {"senders_allowed": ("Boutique", "Marque")}
        assert send(sender="boutique", own=own).sender == "boutique"
        assert refusal_of(sender="Banque", own=own) == "sender_refused"
        assert send(own=own).sender == "", "no sender is the short code, which is no one's name"


class TestVirtualNumber:
    @pytest.mark.parametrize(
        ("written", "number"),
        [
            ("33700000001", "+33700000001"),
            ("+33700000001", "+33700000001"),
            ("0700000001", "+33700000001"),
            ("0033700000001", "+33700000001"),
            ("+33 7 00 00 00 01", "+33700000001"),
            (33700000001, "+33700000001"),
            ("0937000001", "+33937000001"),
        ],
    )
    def test_the_sender_is_a_long_number(self, written: object, number: str) -> None:
        command = send("vn/send", virtual_from=written)
        assert (command.sender, command.virtual_number) == (number, True)

    @pytest.mark.parametrize("written", [None, "", " "])
    def test_no_sender_is_refused(self, written: str | None) -> None:
        assert refusal_of("vn/send", virtual_from=written) == "sender_missing"

    @pytest.mark.parametrize("written", ["Boutique", "123", "9" * 50])
    def test_a_sender_that_is_no_number_is_a_violation(self, written: str) -> None:
        assert violations_of("vn/send", virtual_from=written) == [("sender", "invalid", written)]

    def test_violations_come_before_the_missing_sender(self) -> None:
        assert violations_of("vn/send", virtual_from=None, message=None) == [("message", "required", "")]

    def test_parameters_of_send_do_not_leak_in(self) -> None:
        command = send("vn/send", gamme=2, sender="Boutique", phoneNumbers="0712345678")
        assert (command.range, command.sender) == (Range.PREMIUM, "+33700000001")
        assert [r.number for r in command.recipients] == ["+33612345678"]

    def test_a_list_of_recipients_and_a_schedule_are_accepted(self) -> None:
        command = send(
            "vn/send", to="0612345678,0612345679", scheduledDeliveryDate="21/10/2030", time=9, minute=0, sandbox=1
        )
        assert (len(command.recipients), command.sandbox) == (2, True)
        assert command.scheduled_at == datetime(2030, 10, 21, 7, 0, tzinfo=UTC)

    def test_no_recipient_is_missing(self) -> None:
        assert refusal_of("vn/send", to=None) == "recipients_missing"


class TestSchedule:
    def test_a_schedule_is_not_before_its_instant(self) -> None:
        command = send(scheduledDeliveryDate="21/10/2030", time=9, minute=0)
        assert command.scheduled_at == datetime(2030, 10, 21, 7, 0, tzinfo=UTC)

    def test_without_a_date_it_leaves_at_once(self) -> None:
        assert send(time=9, minute=0).scheduled_at is None

    def test_what_is_wrong_with_it_is_told(self) -> None:
        assert violations_of(scheduledDeliveryDate="21/10/2030", time=9) == [("minute", "required", "")]
        assert refusal_of(scheduledDeliveryDate="x", time=9, minute=0) == "date_invalid"


class TestOrderOfChecks:
    # From the last check to the first: each request breaks one rule more, and the answer follows.
    LADDER = (
        ("recipients_unusable", {"phoneNumbers": "0140000001"}),
        ("text_too_long", {"message": "a" * 2_000}),
        ("unicode_unavailable", {"isUnicode": 1}),
        ("minute_step", {"scheduledDeliveryDate": "21/10/2030", "time": 9, "minute": 1}),
        ("minute_invalid", {"minute": "x"}),
        ("time_invalid", {"time": 99}),
        ("date_invalid", {"scheduledDeliveryDate": "x"}),
        ("sender_refused", {"sender": "Banque"}),
        ("sender_invalid", {"sender": "a&b"}),
        ("violations", {"message": ""}),
        ("recipients_too_many", {"phoneNumbers": "0140000001,0140000002,0140000003"}),
        ("recipients_missing", {"phoneNumbers": ","}),
    )

    @pytest.mark.parametrize("step", range(1, len(LADDER) + 1))
    def test_the_earlier_rule_answers(self, step: int) -> None:
        values: dict[str, Any] = {}
        for _, broken in self.LADDER[:step]:
            values |= broken
        own = {"unicode_enabled": False, "senders_allowed": ("Boutique",), "numbers_per_request_max": 2}
        assert refusal_of(own=own, **values) == self.LADDER[step - 1][0]

    def test_low_cost_length_comes_before_low_cost_itself(self) -> None:
        own = {"lowcost_enabled": False, **LATER}
        assert refusal_of(gamme=2, message="a" * 2_000, own=own) == "lowcost_too_long"
        assert refusal_of(gamme=2, isUnicode=1, own={**own, "unicode_enabled": False}) == "lowcost_unavailable"

    def test_all_violations_come_at_once_in_the_provider_s_order(self) -> None:
        assert violations_of(
            message="",
            phoneNumbers="abc,922264",
            sender="BoutiqueDuCoin",
            scheduledDeliveryDate="21/11/2014",
            tag="t" * 21,
            urlDlr="ftp://x",
            urlResponse="a b",
        ) == [
            ("message", "required", ""),
            ("recipients", "invalid", "abc"),
            ("recipients", "invalid", "922264"),
            ("sender", "too_long", "BoutiqueDuCoin"),
            ("date", "past", "21/11/2014 à :"),
            ("minute", "required", ""),
            ("time", "required", ""),
            ("tag", "too_long", "t" * 21),
            ("report_url", "invalid", ""),
            ("reply_url", "invalid", ""),
        ]


class TestExtras:
    @pytest.mark.parametrize("tag", ["promo", "c#12", "Été 2030", "t" * 20])
    def test_a_tag_is_any_text_of_20_characters(self, tag: str) -> None:
        assert send(tag=tag).tag == tag

    def test_control_characters_do_not_reach_the_tag(self) -> None:
        assert send(tag="a\x00b\ud83d").tag == "ab\ufffd"

    @pytest.mark.parametrize(
        ("written", "url"),
        [
            ("https://example.com/dlr?s=1", "https://example.com/dlr?s=1"),
            ("HTTP://example.com", "HTTP://example.com"),
            ("example.com/dlr", "http://example.com/dlr"),
            (" http://127.0.0.1:9/x ", "http://127.0.0.1:9/x"),
        ],
    )
    def test_urls_are_kept(self, written: str, url: str) -> None:
        command = send(urlDlr=written, urlResponse=written)
        assert (command.report_url, command.reply_url) == (url, url)

    @pytest.mark.parametrize(
        "url",
        [
            "ftp://x",
            "javascript://x",
            "http://a b",
            "http://a\x00",
            "http://" + "a" * 2_000,
            "http://127.0.0.1:80#1",
            "http://u:p@a/",
            "a@b/x",
            "http://a\\b/",
            "http://a:0/",
        ],
    )
    def test_what_is_no_url_is_a_violation(self, url: str) -> None:
        assert violations_of(urlDlr=url) == [("report_url", "invalid", "")]

    def test_the_account_s_own_urls_are_used_where_the_request_names_none(self) -> None:
        own = {"reports_url": "http://own/r", "replies_url": "http://own/m"}
        command = send(own=own)
        assert (command.report_url, command.reply_url) == ("http://own/r", "http://own/m")
        assert send(own=own, urlDlr="http://x").report_url == "http://x"

    def test_webhook_url_is_read_where_url_dlr_is_absent(self) -> None:
        assert send(webhookUrl="http://w").report_url == "http://w"
        assert send(webhookUrl="http://w", urlDlr="http://d").report_url == "http://d"

    @pytest.mark.parametrize(("written", "sandbox"), [(1, True), ("1", True), (True, True), (0, False), (None, False)])
    def test_the_sandbox_costs_what_it_would_have_cost(self, written: object, sandbox: bool) -> None:
        command = send(sandbox=written)
        assert (command.sandbox, command.cost_micros) == (sandbox, 38_000)

    def test_a_transactional_account_sends_transactional_messages(self) -> None:
        assert send(own={"transactional": True}).transactional is True
        assert send().transactional is False


@given(
    st.lists(
        st.one_of(
            st.integers(0, 99_999_999).map(lambda n: f"06{n:08d}"),
            st.integers(0, 99_999_999).map(lambda n: f"+337{n:08d}"),
            st.sampled_from(["0140000001", "+33000000000", "+4915112345678"]),
        ),
        min_size=1,
        max_size=20,
    ),
    st.text(max_size=400),
)
def test_what_is_accepted_is_paid_by_part_and_everybody_is_accounted_for(written: list[str], message: str) -> None:
    settings = AccountSettings(**nowhere_else({"stop_mention": MENTION}))
    values = {"phoneNumbers": ",".join(written), "message": message}
    try:
        command = read("send", values, Account(1, "demo", settings=settings), Moment(NOW))
    except Refusal as refusal:
        told = refusal
    else:
        numbers = [r.number for r in command.recipients] + [s.number for s in command.skipped]
        assert len(numbers) == len(set(numbers))
        assert {r.written for r in command.recipients} | {s.written for s in command.skipped} <= set(written)
        assert command.parts == len(command.recipients) * command.recipients[0].parts
        assert command.cost_micros == 38_000 * command.parts
        return
    if isinstance(told, Violations):
        assert told.items == (Violation("message", "required"),)
    else:
        assert told.code in ("text_too_long", "recipients_unusable", "price_missing")
