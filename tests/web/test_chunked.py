"""Chunked bodies: whole whatever the pieces, and nothing that could be read in two ways."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chappe.web.chunked import BadChunk, BodyTooLarge, ChunkedBody


def read(octets: bytes, sizes: list[int] | None = None, bytes_max: int = 10_000) -> tuple[bytes, int] | None:
    """Body and offset behind it, feeding pieces of the given sizes; None when the body is not whole."""
    chunked = ChunkedBody(bytes_max)
    position = 0
    for size in [*(sizes or []), len(octets)]:
        piece = octets[position : position + size]
        end = chunked.feed(piece, 0)
        if end >= 0:
            return bytes(chunked.body), position + end
        position += len(piece)
    return None


@pytest.mark.parametrize(
    ("octets", "body"),
    [
        (b"0\r\n\r\n", b""),
        (b"3\r\nabc\r\n0\r\n\r\n", b"abc"),
        (b"3\r\nabc\r\n00A\r\n0123456789\r\n000\r\n\r\n", b"abc0123456789"),
        (b"3;name=value;x\r\nabc\r\n0;last\r\n\r\n", b"abc"),
        (b"3 \r\nabc\r\n0\r\nTrailer: x\r\nOther: y\r\n\r\n", b"abc"),
        (b"2\r\n\r\n\r\n0\r\n\r\n", b"\r\n"),
    ],
)
def test_chunks_are_joined(octets: bytes, body: bytes) -> None:
    assert read(octets + b"GET /next") == (body, len(octets))


@pytest.mark.parametrize(
    "octets",
    [
        b"\r\n", b"x\r\n", b"-3\r\nabc\r\n", b"+3\r\nabc\r\n", b"0x3\r\nabc\r\n", b"3_0\r\n",
        b" 3\r\nabc\r\n", b"3\r\nabcd\r\n",
        b"123456789\r\n", b"3;\x00\r\nabc\r\n", b"3\r\nabc0\r\n", b"3\rabc\r\n", b"3;" + b"x" * 2_000,
        b"".join(b"1;" + b"x" * 900 + b"\r\na\r\n" for _ in range(20)),
        b"0\r\n" + b"Trailer: 1\r\n" * 1_000,
        # A proxy that ends these lines at CRLF only would see another end of the request.
        b"3\nabc\n0\n\n", b"3\nabc\r\n0\r\n\r\n", b"3\r\nabc\n0\r\n\r\n", b"3\r\nabc\r\n0\n\r\n",
        b"3;x\nabc\r\n0\r\n\r\n",
        b"3;a\nb\r\nabc\r\n0\r\n\r\n", b'3;a="\n"\r\nabc\r\n0\r\n\r\n', b"0\r\nT: x\n\r\n", b"0\r\nT: x\r\n\n",
        b"0\r\n\n",
        b"0\r\nT: x\ry\r\n\r\n", b"0\r\nT: \x00\r\n\r\n", b"3;a\rb\r\nabc\r\n0\r\n\r\n", b"3\r\nabc\r\r\n0\r\n\r\n",
    ],
)  # fmt: skip
def test_anything_else_is_refused(octets: bytes) -> None:
    with pytest.raises(BadChunk):
        read(octets)


def test_a_body_over_the_limit_is_refused_before_it_is_read() -> None:
    assert read(b"A\r\n0123456789\r\n0\r\n\r\n", bytes_max=10) is not None
    with pytest.raises(BodyTooLarge):
        read(b"B\r\n", bytes_max=10)
    with pytest.raises(BodyTooLarge):
        read(b"A\r\n0123456789\r\n1\r\n", bytes_max=10)


@given(
    st.lists(st.binary(min_size=1, max_size=40), max_size=8),
    st.lists(st.integers(1, 9), max_size=60),
    st.binary(max_size=5),
)
def test_the_pieces_do_not_matter(chunks: list[bytes], sizes: list[int], behind: bytes) -> None:
    octets = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
    assert read(octets + behind, sizes) == (b"".join(chunks), len(octets))


@given(st.binary(max_size=100))
def test_any_octets_are_a_body_or_are_refused(octets: bytes) -> None:
    try:
        found = read(octets)
    except (BadChunk, BodyTooLarge):
        return
    assert found is None or found[1] <= len(octets)
