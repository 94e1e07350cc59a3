"""Receipts: what is one, what it says in every shape carriers give it, and nothing invented."""

from __future__ import annotations

import re
import time
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chappe.smpp import status_words
from chappe.smpp.error_codes import ReceiptState
from chappe.smpp.profile import Profile, profile
from chappe.smpp.receipts import (
    BOTH,
    IN_PAYLOAD,
    TEXT_ONLY,
    TLVS_ONLY,
    IdForm,
    Kind,
    Shape,
    kind_of,
    read,
    read_usual,
    state_of,
    write,
    write_id,
)

GENERIC = profile()
USUAL = b"id:0123456789 sub:001 dlvrd:001 submit date:2401151230 done date:2401151231 stat:DELIVRD err:000 text:Bonjour"
AT = datetime(2024, 1, 15, 12, 30)

octets = st.binary(max_size=300)
WORDS = [
    b"id:",
    b"ID :",
    b"stat:",
    b"Stat:DELIVRD",
    b"err:",
    b"text:",
    b"done_date:",
    b"submit date:",
    b"sub:",
    b"date:",
]
NOISE = [b" ", b"\x00", b"\xff", b"x", b"1", b",", b";", b"foo:", b"\x05\x00\x03\x01\x02\x01", b"\n"]
soup = st.lists(st.sampled_from([*WORDS, *NOISE]), max_size=40).map(b"".join)
tlv_soup = st.lists(
    st.tuples(st.sampled_from([0x001E, 0x0423, 0x0424, 0x0427, 0x1400]), st.binary(max_size=80) | soup), max_size=6
)
states = st.sampled_from(ReceiptState)


@pytest.mark.parametrize(
    ("esm_class", "kind"),
    [
        (0x00, Kind.MESSAGE),
        (0x40, Kind.MESSAGE),
        (0x80, Kind.MESSAGE),
        (0x03, Kind.MESSAGE),
        (0x04, Kind.RECEIPT),
        (0x44, Kind.RECEIPT),
        (0x07, Kind.RECEIPT),
        (0xC4, Kind.RECEIPT),
        (0x08, Kind.SME_ACK),
        (0x10, Kind.SME_ACK),
        (0x50, Kind.SME_ACK),
        (0x18, Kind.MESSAGE),
        (0x20, Kind.INTERMEDIATE),
        (0x60, Kind.INTERMEDIATE),
    ],
)
def test_esm_class_decides(esm_class: int, kind: Kind) -> None:
    assert kind_of(esm_class, (), b"", GENERIC) is kind
    assert kind_of(esm_class, (), USUAL, GENERIC) is kind


@pytest.mark.parametrize("tlvs", [{0x001E: b"77\x00"}, ((0x1400, b""), (0x001E, b"77"))])
def test_a_tlv_makes_a_receipt_only_where_the_profile_says_so(tlvs: dict[int, bytes]) -> None:
    assert kind_of(0, tlvs, USUAL, GENERIC) is Kind.MESSAGE
    assert kind_of(0, tlvs, b"", profile("tlv-receipts")) is Kind.RECEIPT
    assert kind_of(0, {0x001E: b""}, b"", profile("tlv-receipts")) is Kind.MESSAGE


def test_a_carrier_may_be_said_to_misuse_esm_class() -> None:
    assert kind_of(0x04, (), USUAL, profile("generic", {"receipts_by_esm_class": "no"})) is Kind.MESSAGE


@pytest.mark.parametrize(
    ("text", "claimed"),
    [
        (USUAL, True),
        (USUAL.removesuffix(b" text:Bonjour"), True),
        (USUAL.replace(b"submit date", b"submit_date").replace(b"DELIVRD", b"delivrd"), True),
        (b"Hello " + USUAL, False),
        (b"Fwd: " + USUAL, False),
        (b"id:12 stat:DELIVRD", False),
        (USUAL.replace(b" err:000", b""), False),
        (USUAL.replace(b"stat:DELIVRD err:000", b"err:000 stat:DELIVRD"), False),
        (USUAL.replace(b"err:000", b"err:000 foo:1"), False),
        (USUAL.replace(b"DELIVRD", b"HAPPILY"), False),
        (USUAL.replace(b"0123456789", b""), False),
        (USUAL.replace(b"sub:001", b"sub:001 id:2"), False),
        (b"", False),
        (b"id: stat:", False),
    ],
)
def test_a_text_claims_to_be_a_receipt_only_as_a_whole(text: bytes, claimed: bool) -> None:
    assert kind_of(0, (), text, profile("text-receipts")) is (Kind.CLAIMED_RECEIPT if claimed else Kind.MESSAGE)
    assert kind_of(0, ((0x0424, text),), b"", profile("text-receipts")) is (
        Kind.CLAIMED_RECEIPT if claimed else Kind.MESSAGE
    )
    assert kind_of(0, (), text, GENERIC) is Kind.MESSAGE, "a subscriber can type this"


def test_the_claimed_shape_is_the_carriers_own() -> None:
    own = profile("text-receipts", {"receipt_fields": "id,stat,done date", "status_words": "GONE:delivered"})
    assert kind_of(0, (), b"id:1 stat:GONE done date:240115", own) is Kind.CLAIMED_RECEIPT
    assert kind_of(0, (), USUAL, own) is Kind.MESSAGE


def test_the_usual_text_is_read() -> None:
    receipt = read(USUAL, (), GENERIC)
    assert (receipt.id, receipt.state, receipt.state_word, receipt.final) == (
        "0123456789",
        ReceiptState.DELIVERED,
        "DELIVRD",
        True,
    )
    assert (receipt.error_code, receipt.sub, receipt.dlvrd) == ("000", "001", "001")
    assert (receipt.submit_date, receipt.done_date) == ("2401151230", "2401151231")
    assert (receipt.id_source, receipt.state_source) == ("text", "text")
    assert receipt.text == b""
    assert receipt.contradictions == receipt.oddities == ()


def test_the_excerpt_is_kept_on_request_and_never_shown() -> None:
    receipt = read(USUAL, (), profile("generic", {"receipt_text_kept": "yes"}))
    assert receipt.text == b"Bonjour"
    assert "Bonjour" not in repr(receipt)


@pytest.mark.parametrize(
    ("text", "id", "word"),
    [
        (b"ID:77 STAT:delivrd", "77", "delivrd"),
        (b"stat:EXPIRED id:77", "77", "EXPIRED"),
        (b"id:abc.def:77 sub:001 stat:DELIVERED err:0", "abc.def:77", "DELIVERED"),
        (b"id:6f9619ff-8b86-d011-b42d-00cf4fc964ff stat:SENT", "6f9619ff-8b86-d011-b42d-00cf4fc964ff", "SENT"),
        (b"id: 0A1B\x00\x00\x00 sub:001 stat:ACKED", "0A1B", "ACKED"),
        (b"id:12\x0034 56 stat:DELIVRD", "123456", "DELIVRD"),
        (b"id:77 stat:DEL\x00IVRD\x00\x00 err:0", "77", "DELIVRD"),
        (b"id: abc:77 stat:DELIVRD", "abc:77", "DELIVRD"),
        (b"id:77;stat:UNDELIV;err:006", "77", "UNDELIV"),
        (b"id:77,stat:UNDELIV,err:006", "77", "UNDELIV"),
        (b"id:77\r\nstat:DELIVRD\r\n", "77", "DELIVRD"),
        (b"id : 77 stat : DELIVRD", "77", "DELIVRD"),
        (b"foo:1 id:77 bar:2 stat:DELIVRD baz:3", "77", "DELIVRD"),
        (b"\x05\x00\x03\x07\x01\x01id:77 stat:DELIVRD", "77", "DELIVRD"),
        (b"id:77 status:DELIVRD error:0", "77", "DELIVRD"),
        # A carrier's own words may have colons, bars and blanks in them.
        (
            b"id:77 sub:001 dlvrd:000 submit date:2026-09-05 14:30:12 done date:2026-09-05 14:30:13"
            b" stat:FAILED:Mob. Abst.|nt ext|out ser err:100 text:",
            "77",
            "FAILED:Mob. Abst.|nt ext|out ser",
        ),
        (b"id:77 stat:REJECTD: spam err:12", "77", "REJECTD: spam"),
        # Seen with other gateways: fields left out, ids of 30 digits, dates of 14 digits, nothing behind err.
        (b"id:1526758174 submit date:1701240904 done date:1701240904 stat:DELIVRD err:000", "1526758174", "DELIVRD"),
        (
            b"id:171026125222636445993424531920 sub:001 dlvrd:001 submit date:171026130350 done date:171026130355"
            b" stat:DELIVRD err:000 text:",
            "171026125222636445993424531920",
            "DELIVRD",
        ),
        (
            b"id:a1 sub:001 dlvrd:001 submit date:20260905143012 done date:20260905143013 stat:DELIVERD",
            "a1",
            "DELIVERD",
        ),
        (
            b"id:123A456B sub:1 dlvrd:1 submit date:1702281424 done date:1702281424 stat:DELIVRD err:0",
            "123A456B",
            "DELIVRD",
        ),
        (b"id:77 stat:DELIVRD text:id:99 stat:EXPIRED", "77", "DELIVRD"),
        (b"id:77 stat:DELIVRD Text:stat:EXPIRED id:99", "77", "DELIVRD"),
        (b"text:id:99 stat:EXPIRED id:77 stat:DELIVRD err:000", "77", "DELIVRD"),
        (b"id:77 id:99 stat:DELIVRD stat:EXPIRED", "77", "DELIVRD"),
        ("id:77 stat:DELIVRD".encode("utf-16-be"), "77", "DELIVRD"),
        ("id:77 stat:DELIVRD text:5 €".encode("utf-16-be"), "77", "DELIVRD"),
        (b"stat:DELIVRD", "", "DELIVRD"),
        (b"id:77", "77", ""),
        (b"id:sub:001 stat:DELIVRD", "sub:001", "DELIVRD"),
        (b"", "", ""),
        (b"Bonjour", "", ""),
        (b"void:77 estat:DELIVRD", "", ""),
    ],
)
def test_odd_texts_are_read(text: bytes, id: str, word: str) -> None:
    for receipt in (read(text, (), GENERIC), read(b"", ((0x0424, text),), GENERIC)):
        assert (receipt.id, receipt.state_word) == (id, word)
        assert receipt.state is (status_words.state_of(word) or ReceiptState.UNKNOWN)


@pytest.mark.parametrize(
    ("text", "submit_date", "done_date", "error_code"),
    [
        (b"id:1 submit_date:240115123059 done_date:240115123100 stat:X err:nul", "240115123059", "240115123100", "nul"),
        (b"id:1 Submit Date:2024-01-15 12:30 Done Date:soon stat:X err:0000A1", "2024-01-15 12:30", "soon", "0000A1"),
        (b"id:1 submitdate: donedate:\x00 stat:X err:", "", "", ""),
        (
            b"id:1 submit date:2026-09-05 14:30:12 done date:2026-09-05 14:30:13 stat:FAILED:a|b c err:100",
            "2026-09-05 14:30:12",
            "2026-09-05 14:30:13",
            "100",
        ),
        (
            b"id:1 submit date:20260905143012 done date:05/09/2026 14:30 stat:X err:-1",
            "20260905143012",
            "05/09/2026 14:30",
            "-1",
        ),
    ],
)
def test_dates_and_errors_are_given_as_written(text: bytes, submit_date: str, done_date: str, error_code: str) -> None:
    receipt = read(text, (), GENERIC)
    assert (receipt.submit_date, receipt.done_date, receipt.error_code) == (submit_date, done_date, error_code)


FINALS = {"delivered", "undelivered", "expired", "rejected", "deleted"}


@pytest.mark.parametrize(
    ("words", "state"),
    [
        ("DELIVRD DELIVERED delivrd Delivered DELIVERD DELIVRED Delivered_To_Handset", "delivered"),
        ("UNDELIV UNDELIVERABLE UNDELIVERED UNDELIVRD FAILED SKIPPED BARRED NOCRED SYSERR MOB-OFF", "undelivered"),
        ("EXPIRED EXPIRD TIME-OUT-PROM", "expired"),
        ("REJECTD REJECTED DND_REJECTED DND-REJECTED DNDNUMB BLACKLIST SPAM", "rejected"),
        ("DELETED", "deleted"),
        ("ENROUTE BUFFERED BUFFRED SENT ACKED PENDING SCHEDULED SCHEDLD ACCEPTD ACCEPTED UNDETRM", "in_transit"),
        ("UNKNOWN NULL NO-DLR-OPTR", "unknown"),
        ("FAILED:Mob-Abst. FAILED|nt UNDELIV:27 DELIVRD:", None),
        ("DELIVER OK READ 2 DELIVRDX NO OK:DELIVRD :DELIVRD", "unknown"),
    ],
)
def test_status_words_are_known_or_unknown_but_never_guessed(words: str, state: str | None) -> None:
    for word in words.split():
        receipt = read(f"id:1 stat:{word}".encode(), (), GENERIC)
        expected = state or read(f"id:1 stat:{re.split('[:|]', word)[0]}".encode(), (), GENERIC).state
        assert (receipt.state, receipt.state_word, receipt.final) == (expected, word, expected in FINALS)
        assert ("unknown_state" in receipt.oddities) is (status_words.state_of(word) is None)


@pytest.mark.parametrize(
    ("word", "meant"),
    [("DELIVER", "DELIVERD"), ("UNDELIVERD", "UNDELIVERD"), ("EXPIRE", "EXPIRED"), ("2", ""), ("", "")],
)
def test_an_unknown_word_has_a_suggestion_where_it_resembles_a_known_one(word: str, meant: str) -> None:
    assert status_words.suggestion(word) == meant


def test_a_word_is_in_the_table_once() -> None:
    words = [word for _, _, several in status_words.SOURCES for word in several.split()]
    assert sorted(words) == sorted(set(words))
    assert all(status_words.key_of(word) == word for word in words)


def test_a_carriers_own_words_may_have_colons_and_blanks() -> None:
    own = profile("generic", {"status_words": "FAILED:out ser:expired;Not sent:rejected; OK :delivered"})
    found = [read(f"id:1 stat:{word} err:1".encode(), (), own).state for word in ("FAILED:OUT SER", "not sent", "ok")]
    assert found == ["expired", "rejected", "delivered"]
    assert read(b"id:1 stat:FAILED:other err:1", (), own).state == "undelivered"


@pytest.mark.parametrize(
    ("text_word", "tlv_state", "tlv_wins", "state"),
    [
        # Both final: the knob decides. One final: it is news, the other says nothing.
        ("UNDELIV", 2, "yes", "delivered"),
        ("UNDELIV", 2, "no", "undelivered"),
        ("DELIVRD", 5, "yes", "undelivered"),
        ("DELIVRD", 5, "no", "delivered"),
        ("DELIVRD", 1, "yes", "delivered"),
        ("DELIVRD", 7, "yes", "delivered"),
        ("DELIVRD", 6, "yes", "delivered"),
        ("ENROUTE", 2, "no", "delivered"),
        ("ODD", 8, "no", "rejected"),
        ("DELIVRD", 99, "yes", "delivered"),
        ("ENROUTE", 7, "yes", "unknown"),
        ("ENROUTE", 7, "no", "in_transit"),
    ],
)
def test_contradicting_states_are_decided_by_a_rule(text_word: str, tlv_state: int, tlv_wins: str, state: str) -> None:
    made = profile("generic", {"tlv_wins": tlv_wins})
    found = read(f"id:1 stat:{text_word} err:000".encode(), ((0x0427, bytes([tlv_state])),), made)
    assert (found.state, found.contradictions) == (state, ("state",))


@pytest.mark.parametrize(
    ("text", "tlv", "code"),
    [
        (b"id:1 stat:UNDELIV err:006", b"\x03\x00\x1b", "006"),
        (b"id:1 stat:UNDELIV err:000", b"\x03\x00\x1b", "27"),
        (b"id:1 stat:UNDELIV", b"\x03\x00\x1b", "27"),
        (b"id:1 stat:UNDELIV err:000", b"\x03\x00\x00", "000"),
        (b"id:1 stat:UNDELIV err:000", b"\x03\x1b", "000"),
    ],
)
def test_the_tlvs_error_code_stands_in_for_a_missing_one(text: bytes, tlv: bytes, code: str) -> None:
    assert read(text, ((0x0423, tlv),), GENERIC).error_code == code


def test_a_carrier_has_its_own_words_in_text_and_tlv() -> None:
    own = profile("generic", {"status_words": "ACCEPTD:delivered;READ:delivered;UNKNOWN:undelivered"})
    texts = [read(f"stat:{word}".encode(), (), own).state for word in ("acceptd", "READ", "UNKNOWN", "EXPIRED")]
    assert texts == ["delivered", "delivered", "undelivered", "expired"]
    assert [read(b"", {0x0427: bytes([state])}, own).state for state in (6, 7)] == ["delivered", "undelivered"]


@pytest.mark.parametrize(
    ("number", "state"),
    [
        (0, "in_transit"),
        (1, "in_transit"),
        (2, "delivered"),
        (3, "expired"),
        (4, "deleted"),
        (5, "undelivered"),
        (6, "in_transit"),
        (7, "unknown"),
        (8, "rejected"),
        (9, "undelivered"),
        (10, "unknown"),
        (255, "unknown"),
    ],
)
def test_message_state_is_read(number: int, state: str) -> None:
    receipt = read(b"", ((0x001E, b"a1\x00"), (0x0427, bytes([number]))), GENERIC)
    assert (receipt.id, receipt.id_source, receipt.state, receipt.state_source) == ("a1", "tlv", state, "tlv")


def test_the_tlv_wins_and_the_contradiction_is_named() -> None:
    tlvs = ((0x001E, b"1A2B\x00"), (0x0427, b"\x05"), (0x0423, b"\x03\x00\x06"))
    receipt = read(USUAL, tlvs, GENERIC)
    assert (receipt.id, receipt.state, receipt.network_error) == ("1A2B", ReceiptState.UNDELIVERED, (3, 6))
    assert receipt.contradictions == ("id", "state")
    by_text = read(USUAL, tlvs, profile("generic", {"tlv_wins": "no"}))
    assert (by_text.id, by_text.state, by_text.contradictions) == ("0123456789", "delivered", ("id", "state"))


def test_two_words_for_one_state_and_two_cases_of_one_id_are_no_contradiction() -> None:
    assert read(b"id:ab stat:BUFFERED", {0x001E: b"AB", 0x0427: b"\x01"}, GENERIC).contradictions == ()


def test_partial_tlvs_are_completed_by_the_text() -> None:
    receipt = read(b"id:7 stat:EXPIRED err:027", {0x001E: b"7\x00"}, GENERIC)
    assert (receipt.id_source, receipt.state, receipt.state_source) == ("tlv", ReceiptState.EXPIRED, "text")
    assert read(b"id:7 stat:EXPIRED", {0x0427: b"\x03"}, GENERIC).id == "7"


@pytest.mark.parametrize(
    ("text", "tlvs", "oddity"),
    [
        (b"stat:DELIVRD", (), "no_id"),
        (b"id:1", (), "no_state"),
        (b"id:1 stat:WHAT", (), "unknown_state"),
        (b"id:1 stat:DELIVRD", ((0x0427, b""),), "message_state_length"),
        (b"id:1 stat:DELIVRD", ((0x0427, b"\x00\x02"),), "message_state_length"),
        (b"id:1 stat:DELIVRD", ((0x0423, b"\x03"),), "network_error_length"),
        (b"id:1 stat:DELIVRD", ((0x0424, b"id:1 stat:DELIVRD"),), "payload_and_text"),
        (b"id:1 id:2 stat:DELIVRD", (), "repeated_field"),
        (b"text:x id:2 stat:DELIVRD", (), "text_first"),
        (b"id:1 2 stat:DELIVRD", (), "blank_in_id"),
        (b"id:" + b"9" * 300 + b" stat:DELIVRD", (), "id_too_long"),
        (b"id:1 stat:DELIVRD text:" + b"x" * 5000, (), "text_too_long"),
    ],
)
def test_what_is_unusual_is_flagged(text: bytes, tlvs: tuple[tuple[int, bytes], ...], oddity: str) -> None:
    assert read(text, tlvs, GENERIC).oddities == (oddity,)


@pytest.mark.parametrize(("tlv", "id"), [(b"77\x00", "77"), (b" 77 \x00junk", "77"), (b"\x00", "1"), (b"", "1")])
def test_the_id_tlv_ends_at_its_nul_and_an_empty_one_says_nothing(tlv: bytes, id: str) -> None:
    assert read(b"id:1 stat:DELIVRD", {0x001E: tlv}, GENERIC).id == id


def test_a_prefix_of_ids_is_removed() -> None:
    own = profile("generic", {"receipt_id_prefix": "fr-"})
    assert read(b"id:fr-77 stat:DELIVRD", {0x001E: b"fr-77\x00"}, own).id == "77"


def test_the_payload_is_read_in_place_of_the_text() -> None:
    assert read(b"id:1 stat:EXPIRED", ((0x0424, USUAL),), GENERIC).state is ReceiptState.DELIVERED


@given(text=octets | soup, tlvs=tlv_soup, names=st.sampled_from(["generic", "text-receipts,tlv-receipts"]))
def test_no_octets_raise_and_no_state_is_invented(text: bytes, tlvs: list[tuple[int, bytes]], names: str) -> None:
    used = profile(names)
    kind_of(0, tlvs, text, used)
    receipt = read(text, tlvs, used)
    assert receipt.final is (receipt.state in FINALS)
    assert len(receipt.id) <= 256
    assert not set(receipt.id) & set(" \x00")
    dates = receipt.submit_date + receipt.done_date
    assert "\x00" not in receipt.state_word + receipt.error_code + receipt.sub + receipt.dlvrd + dates
    known = status_words.state_of(receipt.state_word) or ReceiptState.UNKNOWN
    assert receipt.state is known
    assert (receipt.state_source == "") is (receipt.state_word == "")


@pytest.mark.parametrize(
    "hostile",
    [
        b"id:" * 20_000,
        b" id:" * 15_000,
        b"stat " * 12_000,
        b"a" * 60_000 + b":",
        b" " * 60_000,
        b"text:" * 12_000,
        b"submit date " * 5000,
        b"id" + b" " * 60_000 + b":1",
        b"\x00i\x00d\x00:" * 10_000,
    ],
)
def test_a_hostile_text_costs_no_more_than_a_long_one(hostile: bytes) -> None:
    started = time.perf_counter()
    for names in ("generic", "text-receipts"):
        kind_of(0, (), hostile, profile(names))
        read(hostile, ((0x0424, hostile),), profile(names))
    assert time.perf_counter() - started < 1, "these take milliseconds; a quadratic search takes minutes"


@given(
    number=st.integers(0, 2**63),
    form=st.sampled_from(IdForm),
    state=states,
    shape=st.sampled_from([BOTH, TEXT_ONLY, TLVS_ONLY, IN_PAYLOAD]),
    text=st.binary(max_size=40),
)
def test_what_an_smsc_writes_is_read_back(
    number: int, form: IdForm, state: ReceiptState, shape: Shape, text: bytes
) -> None:
    id = write_id(number, form)
    body, tlvs = write(id, state, submitted_at=AT, done_at=AT, error_code="007", text=text, shape=shape)
    used: Profile = profile("generic", {"receipt_text_kept": "yes"})
    receipt = read(body, tlvs, used)
    assert (receipt.id, receipt.state, receipt.contradictions, receipt.oddities) == (id, state, (), ())
    assert receipt.id_source == ("tlv" if shape.tlvs else "text")
    if shape.text:
        assert (receipt.error_code, receipt.submit_date, receipt.text) == ("007", "2401151230", text[:20])
        assert kind_of(0, (), body or dict(tlvs)[0x0424], profile("text-receipts")) is Kind.CLAIMED_RECEIPT


def test_the_text_written_is_that_of_appendix_b() -> None:
    body, tlvs = write(
        "0123456789", ReceiptState.DELIVERED, submitted_at=AT, done_at=AT, text=b"Bonjour", shape=TEXT_ONLY
    )
    assert body == USUAL.replace(b"1231 stat", b"1230 stat")
    assert tlvs == ()


@pytest.mark.parametrize(
    ("form", "id"),
    [
        (IdForm.DEC, "1234567"),
        (IdForm.DEC_PADDED, "0001234567"),
        (IdForm.HEX, "12d687"),
        (IdForm.HEX_UPPER, "12D687"),
        (IdForm.HEX_PADDED, "000012D687"),
    ],
)
def test_ids_are_written_in_every_form(form: IdForm, id: str) -> None:
    assert write_id(1234567, form) == id


def test_a_receipt_can_contradict_itself_on_purpose() -> None:
    body, tlvs = write(
        "77",
        ReceiptState.DELIVERED,
        submitted_at=AT,
        done_at=AT,
        tlv_id="4D",
        tlv_state=ReceiptState.EXPIRED,
        network_error=(3, 27),
    )
    receipt = read(body, tlvs, GENERIC)
    assert (receipt.id, receipt.state, receipt.network_error) == ("4D", ReceiptState.EXPIRED, (3, 27))
    assert receipt.contradictions == ("id", "state")


@pytest.mark.parametrize(
    "change",
    [
        {"id": ""},
        {"id": "7 7"},
        {"id": "7\x00"},
        {"id": "9" * 65},
        {"id": "é"},
        {"error_code": ""},
        {"state_word": "DELI VRD"},
        {"tlv_id": "\n"},
        {"shape": Shape(text=False, tlvs=False)},
    ],
)
def test_what_would_shift_the_fields_is_not_written(change: dict[str, object]) -> None:
    arguments: dict[str, object] = {"id": "7", "state": ReceiptState.DELIVERED, "submitted_at": AT, "done_at": AT}
    with pytest.raises(ValueError, match=r"printable ASCII|has a text"):
        write(**{**arguments, **change})  # type: ignore[arg-type]


def test_a_negative_number_is_no_id() -> None:
    with pytest.raises(ValueError, match="negative"):
        write_id(-1, IdForm.HEX)


def mostly(usual: bytes, *odd: bytes) -> st.SearchStrategy[bytes]:
    return st.sampled_from([usual] * 4 * len(odd) + list(odd))


NEARLY_USUAL = st.tuples(
    mostly(b"id:", b"ID:", b" id:"),
    st.sampled_from([b"0123456789", b"a-1.b_2", b"x" * 64]) | mostly(b"77", b"x" * 65, b"", b"12,5", b"id:7"),
    mostly(b" sub:001", b" sub:1", b""),
    mostly(b" dlvrd:001", b" dlvrd:001;"),
    mostly(b" submit date:2401151230", b" submit_date:2401151230"),
    mostly(b" done date:2401151231", b" done date:240115123100"),
    st.sampled_from([b" stat:DELIVRD", b" stat:UNKNOWN", b" stat:ODD"])
    | mostly(b" stat:EXPIRED", b" stat:Delivrd", b" stat:UNDELIV text:x"),
    mostly(b" err:000", b" err:1A", b" err:", b" err:000 "),
    mostly(b" text:", b"", b" Text:hello", b" text:id:5 stat:EXPIRED err:9", b" TEXT:", b"\n") | octets,
).map(b"".join)
NEARLY_TLVS = st.lists(
    st.tuples(st.just(0x001E), st.sampled_from([b"0123456789", b"0123456789\x00", b"77\x00", b"", b"a-1.b_2\0\0"]))
    | st.tuples(st.just(0x0427), st.sampled_from([b"\x02", b"\x05", b"\x63", b"", b"\x02\x02"]))
    | st.tuples(st.just(0x0424), st.sampled_from([b"", USUAL]))
    | st.tuples(st.just(0x0423), st.just(b"\x03\x00\x01")),
    max_size=3,
).map(tuple)


@given(
    text=NEARLY_USUAL | soup,
    tlvs=NEARLY_TLVS,
    knobs=st.sampled_from([{}, {"tlv_wins": "no"}, {"receipt_id_prefix": "a"}, {"status_words": "ODD:expired"}]),
)
def test_the_quick_way_reads_what_the_long_way_reads_or_nothing(
    text: bytes, tlvs: tuple[tuple[int, bytes], ...], knobs: dict[str, str]
) -> None:
    made = profile("generic", knobs)
    quick = read_usual(text, tlvs, made)
    if quick is not None:
        long = read(text, tlvs, made)
        assert quick == (long.id, long.state_word, long.error_code)
        assert state_of(quick[1], made) is long.state


@pytest.mark.parametrize("shape", [BOTH, TEXT_ONLY])
@pytest.mark.parametrize("state", [ReceiptState.DELIVERED, ReceiptState.UNDELIVERED, ReceiptState.EXPIRED])
def test_the_quick_way_reads_what_an_smsc_usually_writes(shape: Shape, state: ReceiptState) -> None:
    text, tlvs = write("3f-1", state, submitted_at=AT, done_at=AT, error_code="012", text=b"id:9 stat:X", shape=shape)
    quick = read_usual(text, tlvs, GENERIC)
    assert quick is not None
    assert (quick[0], state_of(quick[1], GENERIC), quick[2]) == ("3f-1", state, "012")


@pytest.mark.parametrize("tlvs", [((0x001E, b"78\x00"),), ((0x0424, USUAL),), ((0x0427, b"\x02"), (0x0427, b"\x03"))])
def test_the_quick_way_leaves_contradictions_to_the_long_way(tlvs: tuple[tuple[int, bytes], ...]) -> None:
    assert read_usual(USUAL, (), GENERIC) == ("0123456789", "DELIVRD", "000")
    assert read_usual(USUAL, tlvs, GENERIC) is None
