"""The table of account settings: complete, symmetric, and clear about what it does not take."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chappe.actions.account_settings import BY_NAME, TABLE, SettingError, apply, defaults, read_defaults, show
from chappe.core.model import Account, AccountSettings, AccountState

ACCOUNT = Account(id=1, login="shop")


def test_the_table_has_every_field_of_an_account_once() -> None:
    """A field without its line in the table could not be set: only `details` and `prices` are none of single values."""
    fields = {field.name for field in msgspec.structs.fields(AccountSettings)} - {"prices", "details"}
    assert sorted(row.field for row in TABLE) == sorted(fields)
    assert len(BY_NAME) == len(TABLE)


@pytest.mark.parametrize(
    ("word", "field", "value"),
    [
        ("transactional=on", "transactional", True),
        ("transactional=no", "transactional", False),
        ("price_premium=0.0381", "price_premium_micros", 38_100),
        ("senders_allowed=ACME, Shop 24 ,", "senders_allowed", ("ACME", "Shop 24")),
        ("addresses_allowed=192.0.2.7/24,::1", "addresses_allowed", ("192.0.2.0/24", "::1/128")),
        ("reports_method=post", "reports_method", "POST"),
        ("reports_url=https://example.org/a?b=c", "reports_url", "https://example.org/a?b=c"),
        ("Numbers-Per-Request-Max = 12", "numbers_per_request_max", 12),
        ("numbers_per_request_max=", "numbers_per_request_max", 500),
        ("sender=", "sender", ""),
        ("stop_words=Fin, plus rien", "stop_words", ("Fin", "plus rien")),
        ("start_words=encore", "start_words", ("encore",)),
        ("stop_words=", "stop_words", ()),
        ("stop_confirmation=C'est noté.", "stop_confirmation", "C'est noté."),
    ],
)
def test_a_word_sets_a_field(word: str, field: str, value: Any) -> None:
    assert getattr(apply(ACCOUNT, [word]).account.settings, field) == value


def test_state_access_and_prices_stand_beside_the_settings() -> None:
    after = apply(ACCOUNT, ["state=Disabled", "api=off", "price.+49=0.07", "price.4420=none"]).account
    assert (after.state, after.api_enabled) == (AccountState.DISABLED, False)
    assert after.settings.prices == {"49": 70_000, "4420": None}
    assert apply(after, ["price.49="]).account.settings.prices == {"4420": None}


@pytest.mark.parametrize(
    "word",
    [
        "=x",
        "price_premium=1e3",
        "price_premium=1001",
        "price.=1",
        "price.1234567890123456=1",
        "price.49=cheap",
        "sender=ab",
        "sender=ACME!",
        "sender=éclair",
        "transactional=maybe",
        "addresses_allowed=example.org",
        "requests_per_minute=-1",
        "requests_per_minute=1.5",
        "requests_per_minute=²",
        "email=a\nb",
        f"email={'x' * 201}",
        "message_language=de",
        f"senders_allowed={'abc,' * 1001}",
        "stop_words=12",
        "stop_words=start",
        "start_words=stop",
        f"stop_words={'x' * 41}",
        f"stop_confirmation={'x' * 201}",
    ],
)
def test_what_cannot_be_used_is_refused_in_one_line(word: str) -> None:
    with pytest.raises(SettingError) as raised:
        apply(ACCOUNT, [word])
    assert "\n" not in str(raised.value)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "price_premium_micros": st.integers(0, 10**9),
            "senders_allowed": st.lists(st.from_regex(r"\A[A-Za-z0-9]{3,11}\Z"), max_size=4).map(tuple),
            "transactional": st.booleans(),
            "numbers_per_request_max": st.integers(1, 65_536),
            "email": st.text(st.characters(codec="utf-8", categories=("L", "N", "P")), max_size=50),
            "prices": st.dictionaries(
                st.from_regex(r"\A[1-9][0-9]{0,4}\Z"), st.none() | st.integers(0, 10**9), max_size=4
            ),
        },
    )
)
def test_what_is_shown_can_be_set(fields: dict[str, Any]) -> None:
    account = msgspec.structs.replace(ACCOUNT, settings=AccountSettings(**fields))
    words = [f"{name}={value}" for name, value in show(account).items()]
    assert apply(ACCOUNT, words).account == account


def test_the_defaults_are_those_of_the_model() -> None:
    assert apply(ACCOUNT, [f"{name}={value}" for name, value in defaults().items()]).account == ACCOUNT


def test_words_are_checked_against_those_that_were_there_before() -> None:
    before = apply(ACCOUNT, ["start_words=encore"]).account
    with pytest.raises(SettingError, match="'encore' would mean STOP and START"):
        apply(before, ["stop_words=encore"])
    assert apply(before, ["stop_words=encore", "start_words="]).account.settings.stop_words == ("encore",)


def test_the_page_of_settings_is_current() -> None:
    root = Path(__file__).parents[2]
    page = runpy.run_path(str(root / "scripts" / "write-reference"))["account_reference"]()
    assert (root / "docs" / "operators" / "account-settings.md").read_text(encoding="utf-8") == page, (
        "run scripts/write-reference"
    )
    for name in [*BY_NAME, "state", "api", "price.PREFIX"]:
        assert f"| `{name}` |" in page


def test_what_is_set_is_own_also_where_it_is_the_default_and_what_is_emptied_is_not() -> None:
    own = apply(ACCOUNT, ["price_premium=0.038", "sender=", "price.49=0.07"], {"sender": "SHOP"}).own
    assert own == {"price_premium_micros": 38_000, "prices": {"49": 70_000}}
    assert apply(ACCOUNT, ["senders_allowed=A1B,C2D"]).own == {"senders_allowed": ("A1B", "C2D")}


@pytest.mark.parametrize(
    ("written", "own"),
    [
        ({}, {"price_premium_micros": 1}),
        ({"price_premium": 0.05}, {"price_premium_micros": 50_000}),
        ({"price-premium": "0.05"}, {"price_premium_micros": 50_000}),
        ({"errors_as_http_200": True}, {"price_premium_micros": 1, "errors_as_http_200": True}),
        ({"senders_denied": ["ABC", "DEF"]}, {"price_premium_micros": 1, "senders_denied": ("ABC", "DEF")}),
        ({"price.49": 0.07}, {"price_premium_micros": 1, "prices": {"49": 70_000}}),
    ],
)
def test_the_configuration_s_defaults_are_read_like_settings(
    written: dict[str, object], own: dict[str, object]
) -> None:
    assert read_defaults(written, {"price_premium_micros": 1}) == own


@pytest.mark.parametrize(
    "name", ["state", "api", "window", "master", "email", "price.x", "sendr", "requests_per_minute"]
)
def test_a_default_that_makes_no_sense_is_refused_in_one_sentence(name: str) -> None:
    with pytest.raises(SettingError, match="account_defaults: "):
        read_defaults({name: "-1"}, {})
