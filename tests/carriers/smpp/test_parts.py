"""Parts of messages: the quick way writes the octets of the long way, for every profile, and keeps nothing stale."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chappe.carriers import Outgoing
from chappe.carriers.smpp.parts import KEPT_MAX, Part, Parts
from chappe.carriers.smpp.submission import CannotCarry, pdus, validity
from chappe.smpp.header import HEADER
from chappe.smpp.profile import Profile, profile

WALL_S = datetime(2026, 3, 2, 10, 0, 0, 250_000, tzinfo=UTC).timestamp()
CLOSES_S = WALL_S + 3600
KNOBS: list[dict[str, str]] = [
    {},
    {"long_method": "udh16", "validity_format": "relative"},
    {"long_method": "sar", "validity_format": "none"},
    {"long_method": "payload"},
    {"default_charset": "gsm7-packed", "flash": "subunit"},
    {"default_charset": "latin1", "destination_form": "plus", "flash": "class", "service_type": "CMT"},
    {"default_charset": "ascii", "destination_form": "national", "parts_reversed": "yes", "priority_flag": "1"},
]
PROFILES = [profile("generic", knobs) for knobs in KNOBS]
texts = st.sampled_from(
    ["", "hello", "a" * 160, "a" * 161, "é" * 200, "😀 hey", "ê" * 70, "{}" * 90, "\x00"]
) | st.text(st.characters(exclude_categories=["Cs"]), max_size=80)
messages = st.builds(
    Outgoing,
    message_id=st.integers(1 << 16, 1 << 40),
    recipient=st.sampled_from(["+33612345678", "+33612345679", "+262692123456", "36111"]),
    sender=st.sampled_from(["SHOP", "+33700000001", "36111", "Été"]),
    text=texts,
    unicode=st.booleans(),
    flash=st.booleans(),
    parts_done=st.sampled_from([0, 0, 0, 2, 4]),
    valid_until=st.sampled_from([0.0, CLOSES_S, CLOSES_S + 500_000]),
)


def body(part: Part, made: Parts, wall_s: float = WALL_S) -> bytes:
    return part.octets if part.pdu is None else made.renewed(part, wall_s).encode()[HEADER.size :]


def the_long_way(message: Outgoing, made: Profile, wall_s: float = WALL_S) -> list[tuple[int, int, bytes]]:
    seconds = min(message.valid_until - wall_s, made.validity_s) if message.valid_until else made.validity_s
    whole = pdus(message, made, validity(datetime.fromtimestamp(wall_s, UTC), seconds, made))
    numbered = [(n if len(whole) > 1 else 0, len(whole), pdu.encode()[HEADER.size :]) for n, pdu in enumerate(whole, 1)]
    left = [row for n, row in enumerate(numbered, 1) if not message.parts_done >> n & 1]
    return left[::-1] if made.parts_reversed else left


@given(batch=st.lists(messages, min_size=1, max_size=6), made=st.sampled_from(PROFILES))
def test_a_batch_is_written_as_each_message_would_be_alone(batch: list[Outgoing], made: Profile) -> None:
    parts = Parts(made)
    for message in batch:
        try:
            expected = the_long_way(message, made)
        except CannotCarry:
            with pytest.raises(CannotCarry):
                parts.of(message, WALL_S)
            continue
        assert [(part.part, part.parts, body(part, parts)) for part in parts.of(message, WALL_S)] == expected


def test_most_messages_take_the_quick_way() -> None:
    parts = Parts(PROFILES[0])
    for number in range(3):
        for text in ("hello", "ê", "a" * 160):
            (part,) = parts.of(Outgoing(number, f"+3361234567{number}", "SHOP", text), WALL_S)
            assert part.pdu is None, text


def test_the_validity_moves_with_the_clock() -> None:
    made = profile("generic")
    parts = Parts(made)
    for later_s in (0.0, 0.5, 1.0, 61.0):
        message = Outgoing(1, "+33612345678", "SHOP", "hello")
        (part,) = parts.of(message, WALL_S + later_s)
        second = int(WALL_S + later_s)
        assert body(part, parts) == the_long_way(message, made, second)[0][2]


def test_a_relative_validity_counts_from_the_moment_of_writing() -> None:
    made = profile("generic", {"validity_format": "relative"})
    parts = Parts(made)
    message = Outgoing(1, "+33612345678", "SHOP", "hello", valid_until=CLOSES_S)
    (part,) = parts.of(message, WALL_S)
    assert parts.renewed(part, WALL_S + 100.5).validity_period == b"000000005819000R"
    (again,) = parts.of(message, WALL_S + 0.5)
    assert parts.renewed(again, WALL_S + 0.5).validity_period == b"000000005959000R"


@pytest.mark.parametrize("sender", ["S" * 30, "nul\x00inside"])
def test_a_sender_that_cannot_be_written_is_told_when_its_turn_comes(sender: str) -> None:
    (part,) = Parts(PROFILES[0]).of(Outgoing(1, "+33612345678", sender, "hello"), WALL_S)
    assert part.pdu is not None
    with pytest.raises(ValueError, match="source_addr"):
        part.pdu.encode()


def test_a_number_that_cannot_be_written_is_told_when_its_turn_comes() -> None:
    (part,) = Parts(PROFILES[0]).of(Outgoing(1, "+" + "1" * 30, "SHOP", "hello"), WALL_S)
    assert part.pdu is not None


def test_little_is_kept() -> None:
    parts = Parts(PROFILES[0])
    for number in range(KEPT_MAX * 2 + 5):
        parts.of(Outgoing(1, "+33612345678", f"S{number}", f"text {number}"), WALL_S)
    assert len(parts._texts) <= KEPT_MAX
    assert len(parts._frames) <= KEPT_MAX
    parts.of(Outgoing(1, "+33612345678", "S", "text"), WALL_S + 1)
    assert len(parts._texts) == 1, "a second later texts are forgotten"
