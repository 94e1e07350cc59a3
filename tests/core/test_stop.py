"""STOP: mentions are recognised and not doubled; replies that ask for silence get it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chappe.core import stop

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


@pytest.mark.parametrize(
    "reply",
    [
        "STOP", "stop", "Stop m'écrire", "«STOP»", '"stop"', "'stop'", "’stop’", "STOP!", "...stop", "🛑 stop",
        "stop🙏",
        "S.T.O.P", "s t o p merci", "STOP36180", "stop 36180", "STOP SMS", "StopSMS", "ARRET", "Arrêt",
        "arre\u0302t", "ARRÊT svp",
        "désabo", "Désabonnement", "DÉSINSCRIPTION", "unsubscribe", "  stop", "\nstop", "ＳＴＯＰ", "𝗦𝗧𝗢𝗣",
        "st\u00adop", "stop-pub",
        "Désabonnez-moi",
    ],
)  # fmt: skip
def test_these_replies_are_a_stop(reply: str) -> None:
    assert stop.is_stop(reply)
    assert not stop.is_start(reply)


@pytest.mark.parametrize(
    "reply",
    ["", " ", "🙏", "ok", "Bonjour, stop", "ne stoppez pas", "stopover", "autostop", "1", "start", "a b c", "s t"],
)
def test_these_replies_are_no_stop(reply: str) -> None:
    assert not stop.is_stop(reply)


@pytest.mark.parametrize("reply", ["START", "start svp", "Reprise", "«reprise»!"])
def test_these_replies_start_again(reply: str) -> None:
    assert stop.is_start(reply)
    assert not stop.is_stop(reply)


def test_contact_asks_who_is_writing() -> None:
    assert stop.is_contact("Contact ?")
    assert not stop.is_contact("contactez-moi")


def test_words_are_the_accounts_own() -> None:
    assert stop.is_stop("Baja por favor", ("BAJA",))
    assert not stop.is_stop("stop", ("BAJA",))
    assert stop.is_stop("plus de pub merci", ["Plus de pub"])
    assert not stop.is_stop("plus de nouvelles", ["Plus de pub"])
    assert not stop.is_stop("stop", ("", "!"))


@given(st.text(), st.text(st.sampled_from(" \"'«.!-🙏")))
def test_what_stands_before_and_after_the_word_does_not_matter(after: str, before: str) -> None:
    assert stop.is_stop(f"{before}stop {after}")


@given(st.text())
def test_folding_settles(text: str) -> None:
    assert stop.fold(stop.fold(text)) == stop.fold(text)


@given(st.text(st.characters(max_codepoint=127)))
def test_plain_text_folds_as_it_would_beside_an_accent(text: str) -> None:
    assert f"{stop.fold(text)} e".strip() == stop.fold(f"{text} é")


@pytest.mark.parametrize(
    ("words", "text", "kind"),
    [
        (stop.Words(), "STOP", "stop"),
        (stop.Words(), "Reprise svp", "start"),
        (stop.Words(), "Fin", "response"),
        (stop.Words(("fin",)), "FIN de l'histoire", "stop"),
        (stop.Words(("plus rien",)), "Plus, rien !", "stop"),
        (stop.Words(("plus rien",)), "Plus tard", "response"),
        (stop.Words(("fin",)), "arrêt", "stop"),
        (stop.Words((), ("encore",)), "Encore 1", "start"),
        (stop.Words((), ("encore",)), "start", "start"),
        (stop.Words(("fin",)).with_(("assez",), ("encore",)), "assez", "stop"),
        (stop.Words(("fin",)).with_(("assez",), ("encore",)), "fin", "stop"),
    ],
)
def test_words_of_ones_own_are_understood_beside_the_usual_ones(words: stop.Words, text: str, kind: str) -> None:
    assert words.kind(text) == kind


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (stop.Words(("!!",)), "no word"),
        (stop.Words(("x",)), "no word"),
        (stop.Words(("12",)), "no word"),
        (stop.Words(("a" * 41,)), "no word"),
        (stop.Words(("un deux trois quatre cinq",)), "too much"),
        (stop.Words(("2 fin",)), "begins with a number"),
        (stop.Words(("start",)), "STOP and START"),
        (stop.Words(("Encore!",), ("encore",)), "STOP and START"),
        (stop.Words((), ("stop plus",)), "read as STOP"),
        (stop.Words((), ("Désabo",)), "read as STOP"),
        (stop.Words(("fin",), ("fin fin",)), "read as STOP"),
        (stop.Words(tuple(f"mot{chr(97 + n // 26)}{chr(97 + n % 26)}" for n in range(51))), "more than 50"),
    ],
)
def test_words_that_could_not_be_told_apart_are_refused(words: stop.Words, complaint: str) -> None:
    with pytest.raises(stop.WordError, match=complaint):
        stop.check_words(words)


def test_usual_words_and_reasonable_ones_are_taken() -> None:
    words = stop.Words((*stop.STOP_WORDS, "Fin", "plus rien", "Ça suffit"), (*stop.START_WORDS, "encore"))
    assert stop.check_words(words) == words
