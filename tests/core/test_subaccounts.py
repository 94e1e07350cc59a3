"""Tokens and keys of sub-accounts: ours, of one account, of one installation, and never each other."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from chappe.core.subaccounts import id_of, key_of, token_of

IDS = st.integers(1, 0x7FFFFFFF)
SECRETS = st.binary(min_size=16, max_size=32)


@given(SECRETS, IDS)
def test_a_token_leads_back_to_its_account(secret: bytes, account_id: int) -> None:
    token = token_of(secret, account_id)
    assert len(token) == 32
    assert id_of(secret, token) == id_of(secret, f" {token.upper()} ") == account_id


@given(SECRETS, IDS, IDS, st.integers(0, 31), st.sampled_from("0123456789abcdef"))
def test_what_we_did_not_make_leads_nowhere(secret: bytes, one: int, other: int, at: int, digit: str) -> None:
    token = token_of(secret, one)
    assert id_of(secret + b"x", token) is None
    forged = token[:at] + digit + token[at + 1 :]
    assert (id_of(secret, forged) is None) is (forged != token)
    if one != other:
        assert id_of(secret, token_of(secret, other)[:8] + token[8:]) is None
    assert token[8:] not in key_of(secret, one)


@given(st.text(max_size=40))
def test_any_text_is_read_without_trouble(text: str) -> None:
    assert id_of(b"secret", text) is None
