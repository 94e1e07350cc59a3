"""SMS Partner's characters: its marks, its list, and what a reader expects of the rest."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chappe.core import gsm7
from chappe.core.graphemes import clusters
from chappe.dialects.smspartner.characters import read_marks, replace

SMSPARTNER_LIST = [
    *[(letter, "à") for letter in "ą"],
    *[(letter, "'") for letter in "’‘“`"],
    *[(letter, '"') for letter in "«»”"],
    *[(letter, "y") for letter in "ÿ"],
    *[(letter, "Ç") for letter in "ç"],
    *[(letter, "u") for letter in "ûüµ"],
    *[(letter, "i") for letter in "ïî"],
    *[(letter, "o") for letter in "ôöó"],
    *[(letter, "e") for letter in "ëê"],
    *[(letter, "a") for letter in "äáâã"],
    *[(letter, "(") for letter in "[{"],
    *[(letter, ")") for letter in "]}"],
    *[(letter, "A") for letter in "ÄÀÁÂÃ"],
    *[(letter, "E") for letter in "ÈÊË"],
    *[(letter, "I") for letter in "Î"],
    *[(letter, "U") for letter in "ÜÙÚÛ"],
    *[(letter, "Y") for letter in "Ý"],
    *[(letter, "O") for letter in "ÖÔ"],
    ("œ", "oe"),
    ("ñ", "n"),
    ("Ñ", "N"),
    ("°", "."),
    *[(letter, "") for letter in "^~|\\¨§"],
    *[(letter, letter) for letter in "éèàùìòÉåÅæÆøØß€£$¥@¿¡ΔΩ"],
]


@pytest.mark.parametrize(("letter", "replaced"), SMSPARTNER_LIST)
def test_each_character_of_the_smspartner_list_is_replaced(letter: str, replaced: str) -> None:
    assert replace(f"a{letter}b") == f"a{replaced}b"


@pytest.mark.parametrize(
    ("text", "replaced"),
    [
        ("Bonjour 😀", "Bonjour ?"),
        ("👨\u200d👩\u200d👧!", "?!"),
        ("🇫🇷🇪🇺", "??"),
        ("❤\ufe0f", "?"),
        ("5\ufe0f\u20e3", "5"),
        ("Привет", "??????"),
        ("Привет !", "?????? !"),
        ("de\u0301ja\u0300 e\u0302tre", "déjà etre"),
        ("ç", "Ç"),
    ],
)
def test_what_is_left_over_becomes_one_question_mark_per_visible_character(text: str, replaced: str) -> None:
    assert replace(text) == replaced


@pytest.mark.parametrize(
    ("text", "replaced", "septets"),
    [
        ("a\r\nb", "a\r\nb", 4),
        ("a\nb", "a\nb", 3),
        ("a:br:b", "a\r\nb", 4),
        ("a\\r\\nb", "a\r\nb", 4),
        ("a\\nb", "anb", 3),
        ("5:euro:", "5€", 3),
        ("C:\\dossier", "C:dossier", 9),
        (":BR:", ":BR:", 4),
    ],
)
def test_marks_are_read_before_the_backslash_is_deleted(text: str, replaced: str, septets: int) -> None:
    assert replace(text) == replaced
    assert gsm7.cost(replaced) == septets


def test_marks_are_read_in_unicode_messages_without_touching_the_rest() -> None:
    assert read_marks("ê:br:\\r\\n:euro: {ok} \\") == "ê\r\n\r\n€ {ok} \\"


@given(st.text())
def test_replaced_text_always_fits_and_only_the_euro_costs_two(text: str) -> None:
    replaced = replace(text)
    septets = gsm7.cost(replaced)
    assert septets is not None
    assert septets == len(replaced) + replaced.count("€") + replaced.count("\f")


@given(st.text(st.characters(min_codepoint=0x4E00, max_codepoint=0x9FFF) | st.sampled_from("😀\u200d\ufe0f🏽")))
def test_question_marks_count_visible_characters(text: str) -> None:
    assert replace(text) == "?" * len(list(clusters(text)))


@pytest.mark.parametrize(
    ("text", "replaced"),
    [
        ("Promo\u00a0!", "Promo !"),
        ("Promo\u202f!", "Promo !"),
        ("10\u202f000\u00a0€", "10 000 €"),
        ("Le 8\u2009h\u205f30", "Le 8 h 30"),
        ("a–b—c―d−e‑f", "a-b-c-d-e-f"),
        ("Suite…", "Suite..."),
        ("• un\n• deux", "- un\n- deux"),
        ("✓ Livraison · offerte", "- Livraison - offerte"),
        ("œuf ŒUF Œuvre", "oeuf OEUF OEuvre"),
        ("«\u00a0Ouvert\u00a0»", '" Ouvert "'),
        ("“Ouvert” ‘ce soir’ l’été", "'Ouvert\" 'ce soir' l'été"),
        ("„Ouvert‟ ‚ce soir‛", "\"Ouvert\" 'ce soir'"),
        ("‹a› ´b´", "'a' 'b'"),
        ("so\u00adleil\u200b\u2060", "soleil"),
        ("Ïle, Noël, maïs, Ÿ", "Ile, Noel, mais, Y"),
        ("Íñigo Núñez, Žižek, Łódź, São", "Inigo Nunez, Zizek, Lodz, Sao"),
        ("𝗦𝗢𝗟𝗗𝗘𝗦 Ｓｏｌｄｅｓ ①", "SOLDES Soldes 1"),
        ("m² ½ 5 ‰ n° 3 nº 4", "m2 1/2 5 ? n. 3 no 4"),
        ("© ® ™ → ×", "(C) (R) TM -> x"),
        ("★★★☆", "****"),
        ("Bonne fête 🎉 à tous", "Bonne fete ? à tous"),
        ("مرحبا", "?????"),
    ],
)
def test_a_reader_gets_what_he_expects(text: str, replaced: str) -> None:
    assert replace(text) == replaced
