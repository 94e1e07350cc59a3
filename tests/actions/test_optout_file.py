"""Lists of opt-outs as people save them: encodings, separators, headings, numbers that a spreadsheet has changed."""

from __future__ import annotations

import codecs
import contextlib
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chappe.actions.optout_file import Line, ListError, read

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
ONE, TWO = "+33612345678", "+33612345679"


def numbers_of(octets: bytes, home: str = "FR") -> list[str | None]:
    return [None if line is None else line.number for _, line in read(octets, home, NOW)]


def lines_of(text: str) -> list[Line | None]:
    return [line for _, line in read(text.encode(), "FR", NOW)]


ACCENTED = "Numéro de téléphone;Prénom\n0612345678;Zoé\n0612345679;Éric\n"


@pytest.mark.parametrize(
    "octets",
    [
        ACCENTED.encode(),
        ACCENTED.encode("utf-8-sig"),
        ACCENTED.encode("cp1252"),
        ACCENTED.encode("utf-16"),
        codecs.BOM_UTF16_BE + ACCENTED.encode("utf-16-be"),
        ACCENTED.encode("utf-16-le"),
        ACCENTED.encode("utf-16-be"),
        ACCENTED.replace("\n", "\r\n").encode("cp1252"),
        ACCENTED.replace("\n", "\r").encode("cp1252"),  # a very old Macintosh
        ACCENTED.replace(";", "\t").encode("utf-16"),  # "Unicode text" of a spreadsheet
        ACCENTED.replace(";", ",").encode("cp1252"),
    ],
)
def test_every_encoding_that_spreadsheets_save_is_read(octets: bytes) -> None:
    assert numbers_of(octets) == [ONE, TWO]


def test_accents_may_come_late() -> None:
    rows = "".join(f"06{n:08d};Jean\n" for n in range(1499)) + "0612345678;Zoé\n"
    assert numbers_of(("numero;nom\n" + rows).encode("cp1252"))[-1] == ONE


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("0612345678\n0612345679\n", [ONE, TWO]),
        ("Dupont, Jean;0612345678\nMartin, Ana;0612345679\n", [ONE, TWO]),
        ("Nom;Téléphone\nDupont, Jean;0612345678\n", [ONE]),
        ('Nom,Mobile\n"Dupont, Jean",0612345678\n', [ONE]),
        ("N° de mobile\n0612345678\n", [ONE]),
        ("phone_number;comment\n0612345678;stop\n", [ONE]),
        ("Tél. fixe;Tél. portable\n;0612345678\n;0612345679\n", [ONE, TWO]),
        ("client;coordonnées\nA;0612345678\n", [ONE]),  # a heading that nobody knows is no bad line
        ("612345678\n687751234\n", [ONE, "+33687751234"]),
        ('="0612345678"\n\'0612345679\n', [ONE, TWO]),
        ("6,12345678E+08\n6.12345679e+8\n", [ONE, TWO]),  # all the digits are there
        ("number;x\n6,12345678E+08;a\n", [ONE]),
        ("33612345678.0\n612345679.0\n", [ONE, TWO]),
        ("06 12 34 56 78\n06.12.34.56.79\n", [ONE, TWO]),
        ("0612345678;\nabc;\n", [ONE, None]),
        ("\n\n;;\n0612345678\n", [ONE]),
        ("", []),
        ("numero\n", []),
    ],
)
def test_the_numbers_are_found(text: str, found: list[str | None]) -> None:
    assert numbers_of(text.encode()) == found


@pytest.mark.parametrize(
    ("octets", "complaint"),
    [
        (b"numero;nom\n0612345678;a\n6,12346E+08;b\n", "line 3 has a number that a spreadsheet rounded"),
        (b"6,12346E+08\n", "line 1 has a number that a spreadsheet rounded"),
        (b"6.12E+08\n", "line 1 has a number that a spreadsheet rounded"),
        (b"PK\x03\x04rest", "a spreadsheet, not a CSV file"),
        (b"\xd0\xcf\x11\xe0rest", "a spreadsheet, not a CSV file"),
        (b"\xff\xfe0", "no text in UTF-8"),
        (b"numero\n\x81\x8d\n", "no text in UTF-8"),
        (b'number\n"' + b"x" * 200_000 + b'"\n', "cannot be read"),
    ],
)
def test_what_cannot_be_read_is_said_before_anything_is_given(octets: bytes, complaint: str) -> None:
    with pytest.raises(ListError, match=complaint):
        list(read(octets, "FR", NOW))


def test_places_count_the_lines_of_the_file() -> None:
    assert [place for place, line in read(b"numero\n\n0612345678\nabc\n", "FR", NOW)] == [3, 4]


@pytest.mark.parametrize(
    ("written", "at"),
    [
        ("2026-01-02T03:04:05Z", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("2026-01-02", datetime(2026, 1, 2, tzinfo=UTC)),
        ("02/01/2026", datetime(2026, 1, 1, 23, 0, tzinfo=UTC)),
        ("02/01/2026 14:05", datetime(2026, 1, 2, 13, 5, tzinfo=UTC)),
        ("02/07/2026 14h05", datetime(2026, 7, 2, 12, 5, tzinfo=UTC)),
        ("", NOW),
    ],
)
def test_dates_are_iso_or_french(written: str, at: datetime) -> None:
    (line,) = lines_of(f"numero;at;comment\n0612345678;{written};Stop\n")
    assert line == Line(ONE, at, "stop", False)


def test_a_date_that_is_none_makes_a_bad_line() -> None:
    assert lines_of("numero;at\n0612345678;hier\n0612345678;31/02/2026\n") == [None, None]


def test_lost_zeros_are_counted_and_mean_nothing_elsewhere() -> None:
    (line,) = lines_of("612345678\n")
    assert line is not None
    assert line.completed
    assert numbers_of(b"687751234\n", "none") == ["+687751234"]


@given(st.binary(max_size=300))
def test_no_octets_raise_anything_else(octets: bytes) -> None:
    with contextlib.suppress(ListError):
        list(read(octets, "FR", NOW))
