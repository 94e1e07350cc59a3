"""STOP mentions of another installation: found, left alone or rewritten as the account wants."""

from __future__ import annotations

from typing import Any

import pytest

from chappe.core.account import AccountSettings
from chappe.core.foreign_stop import has_foreign, with_own


def settings(**own: Any) -> AccountSettings:
    return AccountSettings(**{"stop_mention": " STOP 36111", **own})


@pytest.mark.parametrize(
    ("text", "rewritten"),
    [
        ("Promo STOP au 36180", "Promo STOP au 36111"),
        ("Promo stop 36180.", "Promo stop 36111."),
        ("STOP SMS au 36 180 merci", "STOP SMS au 36111 merci"),
        ("Promo STOPSMS 36180", "Promo STOPSMS 36111"),
        ("STOP au 36111 ou STOP au 36180", "STOP au 36111 ou STOP au 36111"),
    ],
)
def test_another_s_short_code_is_found_and_rewritten(text: str, rewritten: str) -> None:
    assert has_foreign(text, settings())
    assert with_own(text, settings()) == text, "the default only warns"
    assert with_own(text, settings(stop_foreign="rewrite")) == rewritten
    assert not has_foreign(rewritten, settings())


@pytest.mark.parametrize(
    ("text", "own"),
    [
        ("Promo STOP au 36111", {}),
        ("Promo STOP au 36 111", {}),
        ("Promo STOP 36180", {"sender": "36180"}),
        ("Promo STOP au 36180", {"stop_mention": "NoPub=STOP"}),  # it has no code to give
        ("Livraison non stop 30000 articles", {"stop_mention": " STOP"}),
        ("Bus stop 12345", {}),
        ("stop 361800", {}),
        ("36180", {}),
        ("", {}),
    ],
)
def test_what_is_no_foreign_mention_stays(text: str, own: dict[str, Any]) -> None:
    chosen = settings(stop_foreign="rewrite", **own)
    assert not has_foreign(text, chosen)
    assert with_own(text, chosen) == text
