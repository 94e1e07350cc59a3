"""Message ids: both sides get one canonical form, and the rule of a carrier is learned."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chappe.smpp.message_ids import MATCHES_TO_FIX, MISSES_TO_FORGET, RULES, Learner, agrees, canonical, variants
from chappe.smpp.message_ids import without_prefix as cut_prefix
from chappe.smpp.profile import IdFormat

HEX, DEC, RAW, HEX_STRING, LEARN = IdFormat.HEX, IdFormat.DEC, IdFormat.RAW, IdFormat.HEX_STRING, IdFormat.LEARN

numbers = st.integers(0, 16**64 - 1)
padded_decimals = st.builds(lambda number, zeros: "0" * zeros + str(number), numbers, st.integers(0, 10))
padded_hexadecimals = st.builds(
    lambda number, zeros, prefix, upper: prefix + "0" * zeros + (f"{number:X}" if upper else f"{number:x}"),
    numbers,
    st.integers(0, 10),
    st.sampled_from(["", "0x", "0X"]),
    st.booleans(),
)


@pytest.mark.parametrize(
    ("id", "format", "form"),
    [
        (" 12a \x00", RAW, "12a"),
        ("007", RAW, "007"),
        ("007", LEARN, "007"),
        ("0007", DEC, "7"),
        ("0000", DEC, "0"),
        ("12a", DEC, "12a"),
        ("-7", DEC, "-7"),
        ("٧", DEC, "٧"),
        ("00001A", HEX, "26"),
        ("0x1a", HEX, "26"),
        ("0x", HEX, "0x"),
        ("abc.def:77", HEX, "abc.def:77"),
        ("1_0", HEX, "1_0"),
        ("+1", HEX, "+1"),
        ("A1B2-00FF", HEX_STRING, "a1b2-00ff"),
        ("00FF", HEX_STRING, "00ff"),
        ("", HEX, ""),
        ("\x00 ", DEC, ""),
        ("9" * 200, DEC, "9" * 200),
    ],
)
def test_an_id_has_one_canonical_form(id: str, format: IdFormat, form: str) -> None:
    assert canonical(id, format) == form


@given(
    number=numbers,
    response_form=st.sampled_from(["x", "X", "010x", "064X"]),
    receipt_form=st.sampled_from(["d", "080d"]),
)
def test_a_hexadecimal_side_meets_a_decimal_side_both_ways(number: int, response_form: str, receipt_form: str) -> None:
    as_hex, as_dec = format(number, response_form), format(number, receipt_form)
    assert canonical(as_hex, HEX) == canonical(as_dec, DEC)
    assert agrees(as_hex, as_dec, (HEX, DEC))
    assert agrees(as_dec, as_hex, (DEC, HEX))


@given(one=numbers, other=numbers, form=st.sampled_from([HEX, DEC]))
def test_different_numbers_keep_different_forms(one: int, other: int, form: IdFormat) -> None:
    code = "x" if form is HEX else "d"
    assert (canonical(format(one, code), form) == canonical(format(other, code), form)) is (one == other)


@given(id=st.text(max_size=300), format=st.sampled_from(IdFormat))
def test_any_text_has_a_canonical_form_and_raw_is_stable(id: str, format: IdFormat) -> None:
    canonical(id, format)
    variants(id)
    assert canonical(canonical(id, RAW), RAW) == canonical(id, RAW)


def test_variants_are_named() -> None:
    assert dict(variants("0026")) == {
        "raw": "0026",
        "upper": "0026",
        "lower": "0026",
        "no_zeros": "26",
        "dec_to_hex": "1a",
        "hex_to_dec": "38",
    }
    assert dict(variants("0X0aB"))["no_zeros"] == "ab"
    assert dict(variants("ab.C")) == {"raw": "ab.C", "upper": "AB.C", "lower": "ab.c", "no_zeros": "ab.c"}


@given(
    response_id=padded_decimals | padded_hexadecimals | st.uuids().map(str),
    receipt_id=padded_decimals | padded_hexadecimals,
    same=st.booleans(),
)
def test_ids_that_some_rule_joins_share_a_variant(response_id: str, receipt_id: str, same: bool) -> None:
    other = response_id.upper() if same else receipt_id
    forms = {form for _, form in variants(response_id)} & {form for _, form in variants(other)}
    assert forms or not any(agrees(response_id, other, rule) for rule in RULES)


@given(number=numbers, zeros=st.integers(0, 5))
def test_the_same_number_in_two_bases_shares_a_variant(number: int, zeros: int) -> None:
    forms = [{form for _, form in variants(text)} for text in (f"{number:x}", "0" * zeros + str(number))]
    assert forms[0] & forms[1]


def written(rule: tuple[IdFormat, IdFormat], number: int) -> tuple[str, str]:
    """A (response id, receipt id) pair that this rule joins and no stricter one does."""
    if rule == (RAW, RAW):
        return f"{number:08X}", f"{number:08X}"
    if rule == (HEX_STRING, HEX_STRING):
        return f"{number:08X}-Z", f"{number:08x}-z"
    if rule == (DEC, DEC):
        return f"{number:012}", f"{number}"
    if rule == (HEX, HEX):
        return f"00{number:X}", f"{number:x}"
    return (f"{number:x}", str(number)) if rule == (HEX, DEC) else (str(number), f"{number:x}")


@pytest.mark.parametrize("rule", RULES)
@given(first=st.integers(0xA00000, 0xFFFFFF))
def test_a_learner_fixes_the_rule_after_enough_matches(rule: tuple[IdFormat, IdFormat], first: int) -> None:
    learner = Learner()
    for number in range(first, first + MATCHES_TO_FIX):
        assert learner.fixed is None
        learner = learner.learn(*written(rule, number))
    assert learner.fixed == rule


def learned(rule: tuple[IdFormat, IdFormat]) -> Learner:
    learner = Learner()
    for number in range(0xA00000, 0xA00000 + MATCHES_TO_FIX):
        learner = learner.learn(*written(rule, number))
    return learner


def test_a_learner_tells_once_when_the_rule_changes_and_learns_the_new_one() -> None:
    learner = learned((HEX, DEC))
    alarms = 0
    for number in range(0xB00000, 0xB00000 + MATCHES_TO_FIX):
        learner = learner.learn(*written((DEC, HEX), number))
        alarms += learner.changed
    assert alarms == 1
    assert learner.fixed == (DEC, HEX)


def test_a_stray_match_changes_nothing() -> None:
    learner = learned((HEX, DEC))
    for round in range(3 * MISSES_TO_FORGET):
        for _ in range(MISSES_TO_FORGET - 1):
            learner = learner.learn("00ff", "00FF-stray")
        learner = learner.learn(*written((HEX, DEC), 0xC00000 + round))
    assert learner.fixed == (HEX, DEC)
    assert not learner.changed


def test_ids_that_fit_no_rule_fix_nothing() -> None:
    learner = Learner()
    for number in range(100):
        learner = learner.learn(f"a{number}", f"b{number}")
    assert learner == Learner()


@pytest.mark.parametrize(("id", "prefix", "rest"), [(" fr-12\x00", "fr-", "12"), ("12", "fr-", "12"), ("12", "", "12")])
def test_a_prefix_is_cut_from_the_front_only(id: str, prefix: str, rest: str) -> None:
    assert cut_prefix(id, prefix) == rest
