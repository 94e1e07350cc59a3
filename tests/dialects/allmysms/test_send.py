"""AllMySMS sends: dates, senders, variables, the STOP rule and the limits."""

from datetime import UTC, datetime

import pytest

from chappe.core.errors import Refusal
from chappe.core.model import RECIPIENTS_MAX, Account, AccountSettings, Moment, Send
from chappe.core.numbers import OVERSEAS_REWRITTEN
from chappe.dialects.allmysms.flow import Block
from chappe.dialects.allmysms.send import VARIABLES_MAX, Wish, scheduled_at, send, sender_of

NOW = Moment(datetime(2026, 3, 2, 9, 0, tzinfo=UTC))
FRENCH, BRITISH = "33612345678", "447911123456"


def _account(**settings: object) -> Account:
    return Account(1, "login", settings=AccountSettings(**settings))  # type: ignore[arg-type]


def _send(message: str, *numbers: str, account: Account | None = None, sender: str = "", dynamic: bool = False) -> Send:
    wish = Wish(message, (Block(numbers or (FRENCH,), {1: "Ana", 2: "é" * 100}),), dynamic, sender)
    return send(wish, account or _account())


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("", None),
        ("2030-01-31 08:30:00", datetime(2030, 1, 31, 7, 30, tzinfo=UTC)),
        ("2030-07-31 08:30:00", datetime(2030, 7, 31, 6, 30, tzinfo=UTC)),
        ("2014-01-01 12:00:00", None),
        ("0001-01-01 00:00:00", None),
        ("2026-03-02 10:00:00", None),  # 09:00 UTC is now
        ("2026-03-02 10:00:01", datetime(2026, 3, 2, 9, 0, 1, tzinfo=UTC)),
        ("2026-03-29 02:30:00", datetime(2026, 3, 29, 1, 30, tzinfo=UTC)),  # skipped by the clocks: 03:30
        ("2026-10-25 02:30:00", datetime(2026, 10, 25, 0, 30, tzinfo=UTC)),  # comes twice: the first
        ("9999-12-31 23:59:59", datetime(9999, 12, 31, 22, 59, 59, tzinfo=UTC)),
    ],
)
def test_a_date_is_paris_time_and_a_past_one_is_now(written: str, expected: datetime | None) -> None:
    assert scheduled_at(written, NOW) == expected


@pytest.mark.parametrize(
    "written",
    [
        "31/01/2030",
        "2030-02-31 08:00:00",
        "2030-01-31 24:00:00",
        "2030-01-31 08:60:00",
        "2030-01-31 08:30",
        "2030-01-31T08:30:00",
        "2030-1-31 08:30:00",
        "0000-01-01 00:00:00",
        "2030-01-31 08:30:00Z",
        "２030-01-31 08:30:00",
        "2030-01-31 08:30:00\n",
        "now",
    ],
)
def test_what_is_no_date_is_refused(written: str) -> None:
    with pytest.raises(Refusal) as caught:
        scheduled_at(written, NOW)
    assert caught.value.code == "date_invalid"


@pytest.mark.parametrize("written", ["allmysms", "EXPEDITEUR", "A", "Ma Marque 1", "3M France", "x" * 11, "0 a"])
def test_a_well_formed_sender_is_kept(written: str) -> None:
    assert sender_of(written, AccountSettings(sender="36180")) == (written, ())


@pytest.mark.parametrize("written", ["x" * 12, "Expéditeur", "0612345678", "36111", "a-b", "a.b", "☎", "a\0b", "1 2"])
def test_a_malformed_sender_gives_way_to_the_account_s_own(written: str) -> None:
    assert sender_of(written, AccountSettings(sender="36180")) == ("36180", ("sender_malformed",))
    with pytest.raises(Refusal) as caught:
        sender_of(written, AccountSettings(sender_strict=True))
    assert caught.value.code == "sender_invalid"


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("", ("36180", ())),
        ("36180", ("36180", ())),
        ("MaMarque", ("MaMarque", ())),
        ("33700000001", ("33700000001", ())),  # a listed sender may be a number
        ("Autre", ("36180", ("sender_not_allowed",))),
        ("mamarque", ("MaMarque", ())),  # as it is listed
        ("+33700000001", ("33700000001", ())),
        ("07 00 00 00 01", ("33700000001", ())),
        ("0033700000001", ("33700000001", ())),
        ("+33700000002", ("36180", ("sender_not_allowed",))),
        ("ListedButFarTooLong", ("36180", ("sender_malformed",))),
    ],
)
def test_a_list_of_senders_decides(written: str, expected: object) -> None:
    allowed = ("MaMarque", "33700000001", "ListedButFarTooLong")
    assert sender_of(written, AccountSettings(sender="36180", senders_allowed=allowed)) == expected


def test_a_strict_account_s_list_refuses() -> None:
    with pytest.raises(Refusal) as caught:
        sender_of("Autre", AccountSettings(senders_allowed=("MaMarque",), sender_strict=True))
    assert caught.value.code == "sender_refused"


@pytest.mark.parametrize(
    ("text", "numbers", "settings", "kept"),
    [
        ("Promo", (FRENCH,), {}, False),
        ("Promo", ("0692123456",), {}, False),
        ("Promo", (BRITISH, FRENCH), {}, False),
        ("Promo", (BRITISH,), {}, True),
        ("Promo stop AU 36180", (FRENCH,), {}, True),
        ("STOP au 36180. Promo", (FRENCH,), {}, True),
        ("Promo STOP 36111", (FRENCH,), {}, True),  # another code's mention is an opt-out, too
        ("Promo non stop", (FRENCH,), {}, False),
        ("Promo", (FRENCH,), {"stop_mention_automatic": True}, True),
        ("Promo", (FRENCH,), {"stop_mention_automatic": True, "transactional": True}, False),
        ("Promo", (FRENCH,), {"sender_needs_stop": False}, True),
    ],
)
def test_where_a_sender_needs_an_opt_out_french_numbers_get_the_short_code_without_one(
    text: str, numbers: tuple[str, ...], settings: dict[str, object], kept: bool
) -> None:
    prices = {"44": 1}
    own = {"sender_needs_stop": True, "stop_mention": " STOP au 36180", "prices": prices, "sender": "36180"} | settings
    sent = _send(text, *numbers, account=_account(**own), sender="MaMarque")
    assert (sent.sender, sent.warnings) == (("MaMarque", ()) if kept else ("36180", ("sender_without_stop",)))


def test_a_strict_account_refuses_a_sender_without_opt_out() -> None:
    with pytest.raises(Refusal) as caught:
        _send("Promo", account=_account(sender_needs_stop=True, sender_strict=True), sender="MaMarque")
    assert caught.value.code == "sender_refused"


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ("Bonjour #param_1#", "Bonjour Ana"),
        ("Bonjour #PARAM_1#!", "Bonjour Ana!"),
        ("#param1# #Param_01#", "Ana Ana"),
        ("#param_1##param_1#", "AnaAna"),
        ("x#param_3#", "x"),
        ("x#param_0#", "x"),
        ("#param_#param_1#", "#param_Ana"),
        ("#param_12345#", "#param_12345#"),
        ("#param_x#", "#param_x#"),
        ("# param_1 #", "# param_1 #"),
    ],
)
def test_markers_are_replaced_when_the_text_is_dynamic(message: str, text: str) -> None:
    (recipient,) = _send(message, dynamic=True).recipients
    assert (message if recipient.text is None else recipient.text) == text
    sent = _send(message)
    assert (sent.text, sent.recipients[0].text) == (message, None)


def test_a_value_with_a_marker_in_it_is_not_replaced_again() -> None:
    wish = Wish("#param_1#", (Block((FRENCH,), {1: "#param_2#", 2: "x"}),), dynamic=True)
    assert send(wish, _account()).recipients[0].text == "#param_2#"


def test_each_recipient_pays_for_its_own_text() -> None:
    blocks = (Block((FRENCH,), {1: "x"}), Block((FRENCH,), {1: "x" * 170}), Block((FRENCH,), {1: "ł" * 60}))
    sent = send(Wish("Bonjour #param_1#", blocks, dynamic=True), _account())
    assert [(r.parts, r.price_micros) for r in sent.recipients] == [(1, 45_000), (2, 90_000), (1, 45_000)]
    assert (sent.parts, sent.cost_micros) == (4, 180_000)


@pytest.mark.parametrize(
    ("message", "value", "fits"),
    [
        ("x" * 537 + "#param_1#", "y" * 103, True),
        ("x" * 537 + "#param_1#", "y" * 104, False),
        ("x" * 640, "", True),
        ("€" * 640, "", True),
        ("x" * 641, "", False),
        ("x#param_1#" * VARIABLES_MAX, "yyyyy", True),
        ("#param_1#" * VARIABLES_MAX, "y" * 10_000_000, False),
        ("x#param_1#" * (VARIABLES_MAX + 1), "", False),
        ("x" * 10_000_000, "", False),
    ],
    ids=lambda value: str(value)[:12],
)
def test_the_length_counts_after_replacement(message: str, value: str, fits: bool) -> None:
    wish = Wish(message, (Block((FRENCH,), {1: value}),), dynamic=True)
    if fits:
        assert send(wish, _account()).recipients
        return
    with pytest.raises(Refusal) as caught:
        send(wish, _account())
    assert (caught.value.code, caught.value.values["limit"]) == ("text_too_long", 640)


@pytest.mark.parametrize(
    ("message", "most", "parts"),
    [
        ("😀" * 330, 1_224, 10),
        ("😀" * 331, 1_224, None),
        ("😀" * 640, 640, None),
        ("ж" * 670, 1_224, 10),
        ("ж" * 671, 1_224, None),
        ("a" * 1_530, 2_000, 10),
        ("a" * 1_531, 2_000, None),
        ("€" * 640, 640, 9),
    ],
)
@pytest.mark.parametrize("dynamic", [False, True])
def test_more_than_ten_parts_are_too_long_before_anything_is_paid(
    message: str, most: int, parts: int | None, dynamic: bool
) -> None:
    account = _account(message_characters_max=most)
    text = "#param_1#" if dynamic else message
    wish = Wish(text, (Block(("0612345678",), {1: message}),), dynamic=dynamic)
    if parts is None:
        with pytest.raises(Refusal) as refused:
            send(wish, account)
        assert (refused.value.code, refused.value.values["limit"] < 1_531) == ("text_too_long", True)
    else:
        assert send(wish, account).recipients[0].parts == parts


def test_one_recipient_s_too_long_text_refuses_the_whole_flow() -> None:
    blocks = (Block((FRENCH,), {1: "x"}), Block((FRENCH,), {1: "x" * 641}))
    with pytest.raises(Refusal) as caught:
        send(Wish("#param_1#", blocks, dynamic=True), _account())
    assert caught.value.code == "text_too_long"


def test_a_limit_beyond_what_we_look_at_is_a_refusal_too() -> None:
    with pytest.raises(Refusal) as caught:
        _send("x" * 20_000, account=_account(message_characters_max=50_000))
    assert caught.value.code == "text_too_long"


@pytest.mark.parametrize(
    ("text", "unicode", "parts"),
    [
        ("x" * 160, False, 1),
        ("x" * 161, False, 2),
        ("€" * 80, False, 1),
        ("€" * 81, False, 2),
        ("ł" * 70, False, 1),
        ("ł" * 71, False, 2),
        ("x" * 70, True, 1),
        ("x" * 71, True, 2),
    ],
)
def test_parts_are_counted_by_alphabet(text: str, unicode: bool, parts: int) -> None:
    sent = send(Wish(text, (Block((FRENCH,), {}),), unicode=unicode), _account())
    assert (sent.recipients[0].parts, sent.unicode, sent.text) == (parts, unicode, text)


def test_nothing_is_added_to_a_text_unless_the_account_says_so() -> None:
    assert _send("Promo", account=_account(stop_mention=" STOP au 36180")).text == "Promo"
    added = _account(stop_mention=" STOP au 36180", stop_mention_automatic=True)
    assert _send("Promo", account=added).text == "Promo STOP au 36180"
    assert _send("#param_1#", account=added, dynamic=True).recipients[0].text == "Ana STOP au 36180"


def test_control_characters_never_reach_the_command() -> None:
    assert _send("a\0b\x1bc").text == "abc"
    assert _send("a\0#param_1#", dynamic=True).text == "a#param_1#"


@pytest.mark.parametrize("limit", [1, 5_000, RECIPIENTS_MAX])
def test_more_recipients_than_a_request_may_have_are_refused(limit: int) -> None:
    own = {} if limit == 5_000 else {"numbers_per_request_allmysms_max": limit}
    with pytest.raises(Refusal) as caught:
        _send("x", *[FRENCH] * (limit + 1), account=_account(**own))
    assert caught.value.code == "recipients_too_many"
    assert len(_send("x", *[FRENCH] * limit, account=_account(**own)).recipients) == limit


@pytest.mark.parametrize("dynamic", [False, True])
def test_accents_typed_apart_are_put_together(dynamic: bool) -> None:
    """macOS writes `e` and an accent: 100 characters of `Café ` were Unicode in two parts."""
    message = "Cafe\u0301 " * 20 + ("#param_1#" if dynamic else "")
    sent = _send(message, dynamic=dynamic)
    assert (sent.recipients[0].text or sent.text).startswith("Café Café ")
    assert (sent.recipients[0].parts, sent.warnings) == (1, ())


def test_characters_count_for_the_limit_as_they_are_sent() -> None:
    account = _account(message_characters_max=100)
    assert _send("e\u0301" * 100, account=account).text == "é" * 100


@pytest.mark.parametrize(
    ("message", "dynamic", "warnings"),
    [
        ("Bravo", False, ()),
        ("Bravo 🎉", False, ("unicode_forced",)),
        ("Fête", False, ("unicode_forced",)),
        ("#param_1# 🎉", True, ("unicode_forced",)),
        ("#param_1# é", True, ()),
    ],
)
def test_a_text_that_becomes_unicode_says_so(message: str, dynamic: bool, warnings: tuple[str, ...]) -> None:
    assert _send(message, dynamic=dynamic).warnings == warnings
    wish = Wish(message, (Block((FRENCH,), {1: "Ana"}),), dynamic, unicode=True)
    assert send(wish, _account()).warnings == (), "it was asked for"


def test_warnings_of_numbers_go_with_the_recipient() -> None:
    assert _send("x", "0692123456").recipients[0].warnings == (OVERSEAS_REWRITTEN,)


def test_when_no_number_is_left_the_skipped_ones_are_told() -> None:
    with pytest.raises(Refusal) as caught:
        _send("x", "12", "0145678901")
    assert caught.value.code == "recipients_unusable"
    assert [s.written for s in caught.value.values["skipped"]] == ["12", "0145678901"]


def test_a_forbidden_name_gives_way_to_the_account_s_own_or_is_refused() -> None:
    own = AccountSettings(sender="36180", senders_denied=("Ameli",))
    assert sender_of("AM3L1", own) == ("36180", ("sender_not_allowed",))
    with pytest.raises(Refusal) as refused:
        sender_of("AM3L1", AccountSettings(senders_denied=("Ameli",), sender_strict=True))
    assert refused.value.code == "sender_refused"
