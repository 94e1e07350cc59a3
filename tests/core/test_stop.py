"""STOP mentions are recognised and not doubled."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chappe.core import stop
from chappe.core.folding import fold

MENTION = " STOP 36180"

MENTIONED = [
    "Promo STOP 36180", "promo stop 36180", "Promo Stop au 36180.", "Promo STOP AU 36 180", "Promo STOP SMS au 36180",
    "Promo STOP SMS", "Promo StopSMS 36180", "Promo STOP=36180", "Promo STOP: 36111 ", "Promo STOPau36180",
    "Promo STOP 36xxx", "Promo STOP au 36XXX", "Promo. Stop pub 38123", "Promo NoPub=STOP", "Promo - Répondez STOP",
    "Envoyez STOP au 36180", "Promo stop à 36180", "Promo STOP 36180 ✋", "Promo (STOP 36180)", "Promo STOP to 12345",
    "Promo STOP au 0612345678", "Promo STOP au +33 6 12 34 56 78", "STOP 36180",
    "Promo\nSTOP\n36180", "Promo ＳＴＯＰ 36180",
]  # fmt: skip
NOT_MENTIONED = [
    "", "Promo", "Stop", "Ouvert non stop 24h/24", "Soldes non-stop 36180", "non stop 10000 articles", "stop 10000",
    "Nonstop 36180", "STOP 36180 puis venez nous voir", "STOP 3618", "STOP 361800", "Appelez le 0612345678",
    "autostop 36180",
]  # fmt: skip


@pytest.mark.parametrize("text", MENTIONED)
def test_a_mention_is_recognised_however_it_is_written(text: str) -> None:
    assert stop.has_mention(text)
    assert stop.contains_mention(text)
    assert stop.append_mention(text, MENTION) == text


@pytest.mark.parametrize("text", NOT_MENTIONED)
def test_other_texts_get_the_mention_once(text: str) -> None:
    assert not stop.has_mention(text)
    mentioned = stop.append_mention(text, MENTION)
    assert mentioned == (text + MENTION if text else "STOP 36180")
    assert stop.append_mention(mentioned, MENTION) == mentioned


def test_a_mention_in_the_middle_counts_only_where_anywhere_is_asked() -> None:
    text = "STOP au 36180 avant dimanche"
    assert stop.contains_mention(text)
    assert not stop.has_mention(text)


@pytest.mark.parametrize(
    ("text", "mention", "expected"),
    [
        ("Promo ", " STOP 36180", "Promo STOP 36180"),
        ("Promo\n", " STOP 36180", "Promo\nSTOP 36180"),
        ("Promo", "", "Promo"),
        ("Promo", "  ", "Promo"),
        ("Promo", " Désinscription : exemple.fr/x", "Promo Désinscription : exemple.fr/x"),
        ("Promo desinscription exemple.fr/X!", " Désinscription : exemple.fr/x", "Promo desinscription exemple.fr/X!"),
        ("Promo sans stop", " stop", "Promo sans stop"),
        ("Promo autostop", " stop", "Promo autostop stop"),
    ],
)
def test_the_mention_is_the_accounts_own(text: str, mention: str, expected: str) -> None:
    assert stop.append_mention(text, mention) == expected


@given(st.text(), st.sampled_from([MENTION, " STOP au 36xxx", " Refus: rappelez", ""]))
def test_appending_twice_is_appending_once(text: str, mention: str) -> None:
    once = stop.append_mention(text, mention)
    assert once.startswith(text)
    assert stop.append_mention(once, mention) == once


@given(st.text())
def test_folding_settles(text: str) -> None:
    assert fold(fold(text)) == fold(text)


@given(st.text(st.characters(max_codepoint=127)))
def test_plain_text_folds_as_it_would_beside_an_accent(text: str) -> None:
    assert f"{fold(text)} e".strip() == fold(f"{text} é")
