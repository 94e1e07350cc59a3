"""Public ids: valid UUIDs that give the message id back, and only when we made them."""

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chappe.core.publicid import MESSAGE_ID_MAX, message_id_of, public_id

SECRET = bytes(range(32))
IDS = st.integers(0, MESSAGE_ID_MAX)


@given(IDS, st.binary(max_size=80))
def test_the_message_id_comes_back(message_id: int, secret: bytes) -> None:
    assert message_id_of(secret, public_id(secret, message_id)) == message_id


@given(IDS)
def test_it_is_a_lower_case_uuid_of_version_8_and_the_rfc_variant(message_id: int) -> None:
    text = public_id(SECRET, message_id)
    parsed = uuid.UUID(text)
    assert (parsed.version, parsed.variant, str(parsed)) == (8, uuid.RFC_4122, text)


@given(IDS, st.integers(0, 127))
def test_any_changed_bit_is_noticed(message_id: int, bit: int) -> None:
    changed = str(uuid.UUID(int=uuid.UUID(public_id(SECRET, message_id)).int ^ 1 << bit))
    assert message_id_of(SECRET, changed) is None


@given(IDS)
def test_another_installation_s_id_is_none_of_ours(message_id: int) -> None:
    assert message_id_of(SECRET[::-1], public_id(SECRET, message_id)) is None


@given(IDS, IDS)
def test_messages_have_different_ids(one: int, other: int) -> None:
    assert (public_id(SECRET, one) == public_id(SECRET, other)) == (one == other)


def test_the_layout_never_changes_since_nothing_is_stored() -> None:
    assert public_id(SECRET, 4587 << 16 | 3) == "00000001-1eb0-8003-a25a-ef35c0f52d35"


def test_upper_case_and_white_space_are_read() -> None:
    assert message_id_of(SECRET, f" {public_id(SECRET, 300_613_632).upper()}\n") == 300_613_632


@pytest.mark.parametrize(
    "text",
    [
        "",
        "4587",
        "5f1c2a3e-0b1d-11f0-9c3a-0242ac120002",
        public_id(SECRET, 1).replace("-", ""),
        public_id(SECRET, 1) + "0",
        public_id(SECRET, 1)[:-1] + "g",
        public_id(SECRET, 1)[:-1] + "１",
        "{" + public_id(SECRET, 1) + "}",
    ],
)
def test_what_we_did_not_make_is_none(text: str) -> None:
    assert message_id_of(SECRET, text) is None


@pytest.mark.parametrize("message_id", [-1, MESSAGE_ID_MAX + 1])
def test_an_id_that_does_not_fit_is_our_bug(message_id: int) -> None:
    with pytest.raises(AssertionError):
        public_id(SECRET, message_id)


@given(st.text(max_size=60))
def test_no_text_makes_it_fail(text: str) -> None:
    assert message_id_of(SECRET, text) is None
