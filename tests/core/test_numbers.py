"""Numbers: what people write becomes what the library knows, with overseas France in its own plans."""

import re
import subprocess
import sys

import phonenumbers
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from phonenumbers import PhoneMetadata, PhoneNumberType

from chappe.core import numbers
from chappe.core.numbers import Kind, Number, Unfit

FRENCH_CODES = ("33", "590", "594", "596", "262", "508")
OVERSEAS = ("overseas_rewritten",)

WRITTEN = {
    "06 12 34 56 78": "+33612345678",
    "0612345678": "+33612345678",
    "+33612345678": "+33612345678",
    "0033612345678": "+33612345678",
    "33612345678": "+33612345678",
    "+33(0)612345678": "+33612345678",
    "+33 (0) 6 12 34 56 78": "+33612345678",
    "0033 (0)6 12 34 56 78": "+33612345678",
    "33 06 12 34 56 78": "+33612345678",
    " + 33612345678": "+33612345678",
    "(+33) 6.12.34.56.78": "+33612345678",
    "06\u00a012\u202f34\u200956\u200b78": "+33612345678",
    "06-12-34-56-78": "+33612345678",
    "06\u201112\u201334\u221256\u201478": "+33612345678",
    "06/12/34/56/78": "+33612345678",
    "\u202a+33 6 12 34 56 78\u202c": "+33612345678",
    "\ufeff0612345678\r\n": "+33612345678",
    "0733333333": "+33733333333",
    "+590 690 12 34 56": "+590690123456",
    "+590 (0)690 12 34 56": "+590690123456",
    "262692123456": "+262692123456",
    "00262639012345": "+262639012345",
    "+508 55 12 34": "+508551234",
    "261341234567": "+261341234567",
    "+44 7911 123456": "+447911123456",
    "+44 (0)7911 123456": "+447911123456",
    "+32 470 12 34 56": "+32470123456",
    "+1 201 555 0123": "+12015550123",
    "+39 312 345 6789": "+393123456789",
}


WITHOUT_ZERO = {
    # as a spreadsheet leaves it -> what it was, and what it would be abroad
    "612345678": "+33612345678",
    "687751234": "+33687751234",  # New Caledonia
    "681821234": "+33681821234",  # Wallis
    "688901234": "+33688901234",  # Tuvalu
    "672381234": "+33672381234",  # Norfolk Island
    "650123456": "+33650123456",  # Singapore
    "771234567": "+33771234567",  # Kazakhstan
    "690723456": "+590690723456",
    "692123456": "+262692123456",
    "639012345": "+262639012345",
    "694123456": "+594694123456",
    "696123456": "+596696123456",
    "708412345": "+508708412345",
    "6 87 75 12 34": "+33687751234",
    "6.87.75.12.34": "+33687751234",
    "687751234.0": "+33687751234",
    "687751234,00": "+33687751234",
    " 687751234\xa0": "+33687751234",
}


@pytest.mark.parametrize(("text", "e164"), WITHOUT_ZERO.items())
def test_nine_digits_at_home_are_a_national_number_that_lost_its_zero(text: str, e164: str) -> None:
    found = numbers.read_mobile(text, numbers.HOME)
    assert isinstance(found, Number)
    assert (found.e164, numbers.COMPLETED in found.warnings) == (e164, True)
    abroad = numbers.read_mobile(text)
    assert not isinstance(abroad, Number) or numbers.COMPLETED not in abroad.warnings


@pytest.mark.parametrize("text", ["+687751234", "00687751234", "+687 75 12 34", "00 687 75 12 34"])
def test_whoever_writes_a_country_means_it(text: str) -> None:
    found = numbers.read_mobile(text, numbers.HOME)
    assert isinstance(found, Number)
    assert (found.e164, found.warnings) == ("+687751234", ())


@given(st.integers(600_000_000, 799_999_999))
def test_nine_digits_that_begin_with_6_or_7_never_reach_a_stranger_abroad(written: int) -> None:
    found = numbers.read(str(written), numbers.HOME)
    assert not isinstance(found, Number) or found.e164.startswith(tuple("+" + code for code in FRENCH_CODES))


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("140205050", Kind.LANDLINE),
        ("298123456", Kind.LANDLINE),
        ("376123456", Kind.LANDLINE),
        ("970000000", Kind.OTHER),
    ],
)
def test_nine_digits_of_a_landline_are_no_mobile_abroad(text: str, kind: Kind) -> None:
    """`298123456` is a mobile of the Faroe Islands, +298, when it is read as international."""
    found = numbers.read(text, numbers.HOME)
    assert isinstance(found, Number)
    assert (found.e164, found.kind) == ("+33" + text, kind)


@pytest.mark.parametrize(
    ("text", "e164"),
    [
        ("33612345678.0", "+33612345678"),
        ("+33612345678.0", "+33612345678"),
        ("612345678.0", None),
        ("628123456.0", None),
    ],
)
def test_a_number_that_a_program_took_for_a_decimal_loses_nothing(text: str, e164: str | None) -> None:
    found = numbers.read_mobile(text)
    assert (found.e164 if isinstance(found, Number) else None) == e164


def test_a_send_says_that_numbers_were_completed() -> None:
    assert numbers.warnings_of_numbers([(), (numbers.OVERSEAS_REWRITTEN,)]) == ()
    assert numbers.warnings_of_numbers([(), (numbers.COMPLETED, numbers.OVERSEAS_REWRITTEN)]) == ("numbers_completed",)


@pytest.mark.parametrize(("text", "e164"), WRITTEN.items())
@pytest.mark.parametrize("home", ["", "none", numbers.HOME])
def test_other_writings_are_read_alike_at_home_and_abroad(text: str, e164: str, home: str) -> None:
    found = numbers.read_mobile(text, home)
    assert isinstance(found, Number)
    assert (found.e164, found.warnings) == (e164, ())


@pytest.mark.parametrize(("text", "e164"), WRITTEN.items())
def test_a_mobile_is_read_in_every_usual_writing(text: str, e164: str) -> None:
    found = numbers.read_mobile(text)
    assert isinstance(found, Number)
    assert (found.e164, found.kind, found.warnings) == (e164, Kind.MOBILE, ())


@pytest.mark.parametrize(
    ("text", "e164", "region"),
    [
        ("0690123456", "+590690123456", "GP"),
        ("0691221234", "+590691221234", "GP"),
        ("0709012345", "+590709012345", "GP"),
        ("0694012345", "+594694012345", "GF"),
        ("0709312345", "+594709312345", "GF"),
        ("0696123456", "+596696123456", "MQ"),
        ("0697123456", "+596697123456", "MQ"),
        ("0709112345", "+596709112345", "MQ"),
        ("0692123456", "+262692123456", "RE"),
        ("0693012345", "+262693012345", "RE"),
        ("0709212345", "+262709212345", "RE"),
        ("0639012345", "+262639012345", "YT"),
        ("0709351234", "+262709351234", "YT"),
        ("0708412345", "+508708412345", "PM"),
        ("0508551234", "+508551234", "PM"),
        ("+33 690 12 34 56", "+590690123456", "GP"),
        ("+33 692 12 34 56", "+262692123456", "RE"),
        ("33639012345", "+262639012345", "YT"),
        ("0033 (0)696 12 34 56", "+596696123456", "MQ"),
    ],
)
def test_overseas_numbers_move_to_their_own_plan_with_a_warning(text: str, e164: str, region: str) -> None:
    assert numbers.read_mobile(text) == Number(e164, region, Kind.MOBILE, OVERSEAS)


@pytest.mark.parametrize(
    ("text", "e164"),
    [
        ("0590201234", "+590590201234"),
        ("0594281234", "+594594281234"),
        ("0596301234", "+596596301234"),
        ("0262201234", "+262262201234"),
        ("0269601234", "+262269601234"),
        ("0140000001", "+33140000001"),
        ("+33140000001", "+33140000001"),
    ],
)
def test_landlines_exist_but_are_no_mobiles(text: str, e164: str) -> None:
    found = numbers.read(text)
    assert isinstance(found, Number)
    assert (found.e164, found.kind) == (e164, Kind.LANDLINE)
    assert numbers.read_mobile(text) is Unfit.NOT_MOBILE


@pytest.mark.parametrize(
    "text",
    [
        "922264", "abc", "", " ", "+", "00", "0", "06123456789", "061234567", "0612345678a", "0612345678 ext 2",
        "0612345678;0712345678", "0612345678 0712345678", "0612345678,", "06+12345678", "++33612345678", "+0612345678",
        "000612345678", "3615", "36180", "tel:+33612345678", "+331234567890123456", "\u0660\u0666\u0661\u0662",
        "٠٦١٢٣٤٥٦٧٨", "0612345678\x00", "０６１２３４５６７８", "+33 6 12 34 56 78" + " " * 60, "9" * 100_000,
    ],
)  # fmt: skip
def test_what_is_not_written_like_a_number_is_told_apart(text: str) -> None:
    assert numbers.read(text) is Unfit.FORM
    assert numbers.read_mobile(text) is Unfit.FORM
    assert not Unfit.FORM.has_form


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("+33000000000", Unfit.UNASSIGNED),
        ("0000000000", Unfit.UNASSIGNED),
        ("+999123456789", Unfit.UNASSIGNED),
        ("+33612345", Unfit.UNASSIGNED),
        ("0700123456", Unfit.UNASSIGNED),
        ("0693250000", Unfit.UNASSIGNED),
        ("0800123456", Unfit.NOT_MOBILE),
        ("0890123456", Unfit.NOT_MOBILE),
        ("0970123456", Unfit.NOT_MOBILE),
        ("07001234567890", Unfit.NOT_MOBILE),
        ("0700 12 34 56 78 90", Unfit.NOT_MOBILE),
        ("+337001234567890", Unfit.NOT_MOBILE),
        ("+44 20 7946 0958", Unfit.NOT_MOBILE),
        ("+800 1234 5678", Unfit.NOT_MOBILE),
    ],
)
def test_what_has_the_form_but_takes_no_sms_is_told_apart(text: str, why: Unfit) -> None:
    assert numbers.read_mobile(text) is why
    assert why.has_form


def test_the_comoros_are_served_with_a_warning_since_mayotte_has_left_them() -> None:
    assert numbers.read_mobile("+269 321 23 45") == Number("+2693212345", "KM", Kind.MOBILE, ("comoros",))
    assert numbers.read_mobile("+269 639 01 23 45") is Unfit.UNASSIGNED


def test_fast_patterns_are_those_of_the_installed_library() -> None:
    for region, (code, pattern) in numbers.MOBILE_PATTERNS.items():
        metadata = PhoneMetadata.metadata_for_region(region)
        assert metadata is not None
        assert metadata.mobile is not None
        assert (str(metadata.country_code), metadata.mobile.national_number_pattern) == (code, pattern)


def library_says(e164: str) -> tuple[str, bool] | None:
    """The library's own answer: E.164 and whether it is a mobile, or None for no such number."""
    try:
        parsed = phonenumbers.parse(e164)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_valid_number(parsed):
        return None
    mobile = phonenumbers.number_type(parsed) in (PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE_OR_MOBILE)
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164), mobile


def we_say(text: str) -> tuple[str, bool] | None:
    found = numbers.read(text)
    return (found.e164, found.kind is Kind.MOBILE) if isinstance(found, Number) else None


def mobile_prefixes() -> list[str]:
    """All beginnings of 06 and 07 numbers, five digits deep where ranges are that narrow."""
    narrow = ("69", "639", "708", "709")
    return [
        prefix
        for start in ("6", "7")
        for rest in range(10_000)
        if (prefix := f"{start}{rest:04d}").startswith(narrow) or prefix.endswith("42")
    ]


def test_every_06_and_07_range_is_read_in_the_one_plan_that_knows_it() -> None:
    for prefix in mobile_prefixes():
        significant = prefix + "4321"
        plans = [
            f"+{code}{significant}" for code in FRENCH_CODES if (library_says(f"+{code}{significant}") or ("", 0))[1]
        ]
        assert len(plans) <= 1, "ranges of two plans collide: the rewriting table cannot work"
        if re.fullmatch(numbers.FICTION, significant):  # in the plan, though in no metadata
            plans = ["+33" + significant]
        expected = (plans[0], True) if plans else None
        assert we_say("0" + significant) == expected, significant
        assert we_say("+33" + significant) == expected, significant


def overseas(international: str) -> bool:
    """Whether an overseas mobile is written behind +33: those are moved on purpose, as tested above."""
    return re.match("330?(?:69[0-467]|639|708[45]|709)", international) is not None


@given(st.sampled_from(FRENCH_CODES), st.integers(0, 9_999_999_999), st.integers(5, 10))
def test_french_plans_agree_with_the_library(code: str, digits: int, length: int) -> None:
    international = code + f"{digits:010d}"[:length]
    assume(len(international) > 7)
    assume(not overseas(international))
    assert we_say("+" + international) == library_says("+" + international)
    assert we_say("00" + international) == library_says("+" + international)


@given(st.from_regex(r"[1-9][0-9]{7,14}", fullmatch=True))
def test_random_international_numbers_agree_with_the_library(international: str) -> None:
    assume(not overseas(international))
    assert we_say(international) == library_says("+" + international)


def countries() -> list[str]:
    return [
        region
        for region in sorted(phonenumbers.SUPPORTED_REGIONS)
        if phonenumbers.example_number_for_type(region, PhoneNumberType.MOBILE)
    ]


@pytest.mark.parametrize("region", countries())
def test_the_example_mobile_of_each_country_is_a_mobile(region: str) -> None:
    example = phonenumbers.example_number_for_type(region, PhoneNumberType.MOBILE)
    assert example is not None
    e164 = phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.E164)
    for form in (phonenumbers.PhoneNumberFormat.E164, phonenumbers.PhoneNumberFormat.INTERNATIONAL):
        found = numbers.read_mobile(phonenumbers.format_number(example, form))
        assert isinstance(found, Number)
        assert found.e164 == e164


@given(st.text())
def test_no_text_makes_it_raise_and_every_number_reads_as_itself(text: str) -> None:
    found = numbers.read(text)
    if isinstance(found, Number):
        again = numbers.read(found.e164)
        assert isinstance(again, Number)
        assert again.e164 == found.e164


@given(st.from_regex(r"0[67][0-9]{8}", fullmatch=True))
def test_national_undoes_reading_of_french_mobiles(text: str) -> None:
    found = numbers.read(text)
    assume(isinstance(found, Number))
    assert isinstance(found, Number)
    assert numbers.national(found.e164) == text


@pytest.mark.parametrize(
    ("e164", "national"),
    [
        ("+33612345678", "0612345678"),
        ("+262692123456", "0692123456"),
        ("+508551234", "0508551234"),
        ("+508708412345", "0708412345"),
        ("+447911123456", "07911123456"),
        ("+34612345678", "612345678"),
    ],
)
def test_national_is_how_the_country_itself_dials(e164: str, national: str) -> None:
    assert numbers.national(e164) == national
    assert numbers.digits(e164) == e164[1:]


@pytest.mark.parametrize(
    ("e164", "zone"),
    [
        ("+33612345678", "Europe/Paris"),
        ("+590690123456", "America/Guadeloupe"),
        ("+596696123456", "America/Martinique"),
        ("+594694012345", "America/Cayenne"),
        ("+508551234", "America/Miquelon"),
        ("+262692123456", "Indian/Reunion"),
        ("+262693012345", "Indian/Reunion"),
        ("+262709212345", "Indian/Reunion"),
        ("+262262201234", "Indian/Reunion"),
        ("+262639012345", "Indian/Mayotte"),
        ("+262709351234", "Indian/Mayotte"),
        ("+262709371234", "Indian/Mayotte"),
        ("+262269601234", "Indian/Mayotte"),
        ("+687751234", "Pacific/Noumea"),
        ("+68987123456", "Pacific/Tahiti"),
        ("+681721234", "Pacific/Wallis"),
        ("+447911123456", None),
        ("+3765551234", None),
    ],
)
def test_the_numbering_plan_gives_the_zone(e164: str, zone: str | None) -> None:
    assert numbers.zone(e164) == zone


@pytest.mark.parametrize(("number", "masked"), [("+33612345678", "+33*******78"), ("36180", "*****"), ("", "")])
def test_a_masked_number_cannot_be_dialled(number: str, masked: str) -> None:
    assert numbers.mask(number) == masked


def test_importing_does_not_load_the_library() -> None:
    code = "import sys, chappe.core.numbers as n; n.read('0612345678'); sys.exit('phonenumbers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
