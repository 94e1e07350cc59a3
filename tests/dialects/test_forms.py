"""Queries and form bodies: every way in which clients send names and values."""

import contextlib
from functools import partial
from urllib.parse import quote, unquote_to_bytes, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chappe.core.errors import Refusal
from chappe.dialects import forms

NAMES = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=12)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=80)


@pytest.mark.parametrize(
    ("octets", "expected"),
    [
        (b"", ""),
        (b"plain", "plain"),
        ("Ça coûte 5 €".encode(), "Ça coûte 5 €"),
        (b"\xef\xbb\xbfmarked", "marked"),
        ("Ça coûte 5 €".encode("cp1252"), "Ça coûte 5 €"),
        ("“quoted” œuvre…".encode("cp1252"), "“quoted” œuvre…"),
        (b"\x81\x8d\x8f\x90\x9d\xff", "\x81\x8d\x8f\x90\x9dÿ"),  # the holes of Windows-1252
        (b"\xef\xbb\xbf\xe9", "é"),
    ],
)
def test_text_is_utf8_or_else_windows_1252(octets: bytes, expected: str) -> None:
    assert forms.text(octets) == expected


@pytest.mark.parametrize(
    ("octets", "expected"),
    [
        (b"a=1&b=2", {"a": "1", "b": "2"}),
        (b"a=1&b=2&", {"a": "1", "b": "2"}),
        (b"&&a=1", {"a": "1"}),
        (b"a&b=", {"a": "", "b": ""}),
        (b"=x", {"": "x"}),
        (b"a=1&a=2", {"a": "2"}),
        (b"a=b=c", {"a": "b=c"}),
        (b"a=x+y%2Bz", {"a": "x y+z"}),
        (b"a%20b=1", {"a b": "1"}),
        (b"?apiKey=K", {"apiKey": "K"}),
        (b"a=%C3%A9", {"a": "é"}),
        (b"a=%E9", {"a": "é"}),
        (b"a=\xe9", {"a": "é"}),
        (b"a=\xc3\xa9", {"a": "é"}),
        (b"a=%e2%82%ac", {"a": "€"}),
        (b"a=%E9%u20AC", {"a": "é€"}),  # Escape() of VBScript
        (b"a=%u0063%u00e9", {"a": "cé"}),
        (b"a=%uD83D%uDE00", {"a": "😀"}),
        (b"a=%uD83D", {"a": "\ufffd"}),
        (b"a=%C3%A9%u20AC", {"a": "é€"}),
        (b"a=100%", {"a": "100%"}),
        (b"a=%zz%4", {"a": "%zz%4"}),
        (b"a=%u12", {"a": "%u12"}),
        (b"a=%00", {"a": "\0"}),
        (b"a=1\r\n", {"a": "1"}),
        (b"\xef\xbb\xbfa=1", {"a": "1"}),
        (b"phoneNumber=+33612345678", {"phoneNumber": " 33612345678"}),
    ],
)
def test_a_query_is_read(octets: bytes, expected: dict[str, str]) -> None:
    assert forms.parse_query(octets) == expected


@pytest.mark.parametrize(
    ("octets", "expected"),
    [
        (
            b"login=l&smsData=<DATA><A>[x]</A></DATA>&z=1",
            {"login": "l", "smsData": "<DATA><A>[x]</A></DATA>", "z": "1"},
        ),
        (b"smsData=<A>Tom &amp; Ann &lt;3</A>&z=1", {"smsData": "<A>Tom &amp; Ann &lt;3</A>", "z": "1"}),
        (b"smsData=<A>&#233;&#xE9;</A>", {"smsData": "<A>&#233;&#xE9;</A>"}),
        (b'smsData={"a":"Tom & Ann = 2"}&z=JSON', {"smsData": '{"a":"Tom & Ann = 2"}', "z": "JSON"}),
        (b"smsData=<A>5 % de remise, 100%25</A>", {"smsData": "<A>5 % de remise, 100%</A>"}),
        (b"a=R&D=1", {"a": "R", "D": "1"}),  # cannot be told from two values
    ],
)
def test_a_body_that_was_not_escaped_is_read(octets: bytes, expected: dict[str, str]) -> None:
    assert forms.parse_query(octets) == expected


@given(st.dictionaries(NAMES, TEXTS, max_size=8), st.sampled_from([quote, None]))
def test_what_a_library_escapes_comes_back(values: dict[str, str], with_spaces: object) -> None:
    encoded = urlencode(values, quote_via=quote) if with_spaces else urlencode(values)
    # A mark at the beginning of a value is taken for an encoding's, not for text.
    assert forms.parse_query(encoded.encode()) == {n: v.removeprefix("\ufeff") for n, v in values.items()}


@given(
    st.binary(max_size=60)
    | st.lists(st.sampled_from([b"%", b"%3", b"%3D", b"%e9", b"%0d%0A", b"=", b"\r\n", b"\t ", b"_", b"x"])).map(
        b"".join
    )
)
def test_octets_are_decoded_as_the_standard_library_does(octets: bytes) -> None:
    spaced = octets.replace(b"+", b" ")
    assert forms.unquote(octets.replace(b"%u", b"%v")) == forms.text(unquote_to_bytes(spaced.replace(b"%u", b"%v")))


@given(st.binary(max_size=300), st.sampled_from(["", "multipart/form-data; boundary=b", "multipart/x", "text/plain"]))
def test_no_octets_raise_anything_but_a_refusal(octets: bytes, content_type: str) -> None:
    for read in (partial(forms.parse_query, octets), partial(forms.parse_form, content_type, octets)):
        with contextlib.suppress(Refusal):
            "".join(text for pair in read().items() for text in pair).encode()  # text, and no lone surrogates


def _multipart(end: bytes, *parts: tuple[bytes, bytes]) -> bytes:
    lines = [b"--xYzZY" + end + head + end + end + value + end for head, value in parts]
    return b"".join(lines) + b"--xYzZY--" + end


@pytest.mark.parametrize("end", [b"\r\n", b"\n"])
@pytest.mark.parametrize(
    ("head", "name"),
    [
        (b'Content-Disposition: form-data; name="login"', "login"),
        (b"Content-Disposition: form-data; name=login", "login"),  # .NET
        (b'content-disposition:form-data;name="login"', "login"),
        (b'Content-Type: text/plain; charset=utf-8\r\nContent-Disposition: form-data; name="login"', "login"),
        (b'Content-Disposition: form-data; filename="login.txt"; name="smsData"', "smsData"),
        ('Content-Disposition: form-data; name="numéro"'.encode(), "numéro"),
    ],
)
def test_a_part_is_named_by_its_head(end: bytes, head: bytes, name: str) -> None:
    body = _multipart(end, (head, b"value"))
    assert forms.parse_form("multipart/form-data; boundary=xYzZY", body) == {name: "value"}


@pytest.mark.parametrize(
    "content_type",
    [
        "multipart/form-data; boundary=xYzZY",
        'Multipart/Form-Data; charset=utf-8; BOUNDARY="xYzZY"',
        "multipart/form-data",
        "",
        "application/x-www-form-urlencoded",
    ],
)
def test_multipart_is_known_by_label_or_by_look(content_type: str) -> None:
    body = _multipart(b"\r\n", (b'Content-Disposition: form-data; name="a"', b"1"))
    assert forms.parse_form(content_type, body) == {"a": "1"}


def test_parts_keep_their_octets() -> None:
    head = b'Content-Disposition: form-data; name="%s"'
    values = {b"a": b"x\r\n\r\ny", b"b": b"1+1=2 & 50%25", b"c": "é".encode("cp1252"), b"d": b"--xYzZ", b"e": b""}
    body = (
        b"preamble\r\n" + _multipart(b"\r\n", *((head % name, value) for name, value in values.items())) + b"epilogue"
    )
    expected = {"a": "x\r\n\r\ny", "b": "1+1=2 & 50%25", "c": "é", "d": "--xYzZ", "e": ""}
    assert forms.parse_form("multipart/form-data; boundary=xYzZY", body) == expected


def test_parts_that_are_no_fields_are_skipped_and_a_missing_end_is_forgiven() -> None:
    body = b'--b\r\nX: y\r\n\r\nno field\r\n--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n1'
    assert forms.parse_form("multipart/form-data; boundary=b", body) == {"a": "1"}


def test_a_line_that_only_begins_like_the_boundary_is_text() -> None:
    body = _multipart(b"\r\n", (b'Content-Disposition: form-data; name="a"', b"1\r\n--xYzZY2\r\n2"))
    assert forms.parse_form("multipart/form-data; boundary=xYzZY", body) == {"a": "1\r\n--xYzZY2\r\n2"}


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("multipart/form-data; boundary=other", b"--xYzZY\r\n\r\n"),
        ("multipart/form-data", b"a=1"),
        ("multipart/form-data; boundary=b", b""),
        ("", b"&".join(b"n%d=" % n for n in range(forms.FIELDS_MAX + 1))),
        (
            "multipart/form-data; boundary=b",
            b"".join(b'--b\r\nContent-Disposition: form-data; name="%d"\r\n\r\n\r\n' % n for n in range(1_100)),
        ),
    ],
    ids=["no such boundary", "not multipart", "nothing", "too many values", "too many parts"],
)
def test_what_cannot_be_read_is_refused(content_type: str, body: bytes) -> None:
    with pytest.raises(Refusal) as caught:
        forms.parse_form(content_type, body)
    assert caught.value.code == "unreadable"


def test_the_most_names_allowed_are_read() -> None:
    assert len(forms.parse_query(b"&".join(b"n%d=" % n for n in range(forms.FIELDS_MAX)))) == forms.FIELDS_MAX


def test_an_unescaped_body_of_ampersands_takes_no_quadratic_time() -> None:
    assert len(forms.parse_query(b"a=1" + b"& x" * 99_000)["a"]) == 1 + 3 * 99_000


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/x-www-form-urlencoded", b"a=b" + b"& " * 100_000 + b"&"),
        (
            "multipart/form-data; boundary=x",
            b'--x\r\nContent-Disposition: form-data; name="' + b"a" * 9_000 + b'"\r\n\r\nb',
        ),
        ("multipart/form-data; boundary=x", b"--x\r\nContent-Disposition: form-data;" + b'\\"' * 9_000),
    ],
)
def test_what_costs_far_more_than_it_carries_is_refused(content_type: str, body: bytes) -> None:
    with pytest.raises(Refusal, match="cannot be read"):
        forms.parse_form(content_type, body)
