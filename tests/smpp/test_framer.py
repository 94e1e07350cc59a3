"""Cutting a stream into PDUs: any chunking, limits, and streams that are not SMPP."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chappe.smpp.framer import Framer


def pdu(body: bytes = b"", command_id: int = 0x15, sequence: int = 1) -> bytes:
    return struct.pack(">IIII", 16 + len(body), command_id, 0, sequence) + body


@given(st.lists(st.binary(max_size=60), max_size=20), st.lists(st.integers(1, 200), max_size=60))
def test_any_chunking_gives_the_same_frames(bodies: list[bytes], cuts: list[int]) -> None:
    frames = [pdu(body, sequence=number) for number, body in enumerate(bodies)]
    stream = b"".join(frames)
    framer, got = Framer(), []
    for cut in [*cuts, len(stream)]:
        got += framer.feed(stream[:cut])
        stream = stream[cut:]
    assert [frame for _, _, _, frame in got] == frames
    assert [sequence for _, _, sequence, _ in got] == list(range(len(frames)))
    assert framer.partial == 0
    assert not framer.lost


@pytest.mark.timeout(25)  # one second as it is; a minute if what is held were copied each time
def test_one_octet_at_a_time_is_not_copied_again_and_again() -> None:
    framer = Framer(1 << 20)
    frame = pdu(b"x" * ((1 << 20) - 16))
    got = []
    for position in range(len(frame)):
        got += framer.feed(frame[position : position + 1])
    assert [item[3] for item in got] == [frame]


@pytest.mark.parametrize(
    ("stream", "header_known"),
    [
        (struct.pack(">IIII", 0, 4, 0, 9), True),
        (struct.pack(">IIII", 8, 4, 0, 9), True),
        (struct.pack(">IIII", 15, 4, 0, 9), True),
        (struct.pack(">IIII", 65537, 4, 0, 9), True),
        (struct.pack(">IIII", 0xFFFFFFFF, 4, 0, 9), True),
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", True),
        (b"\x16\x03\x01\x02", False),  # the start of a TLS handshake: known to be wrong after four octets
    ],
)
@pytest.mark.parametrize("size", [1, 3, 100])
def test_a_length_that_cannot_be_loses_the_framing_for_good(stream: bytes, header_known: bool, size: int) -> None:
    framer = Framer()
    good = pdu()
    got = []
    for position in range(0, len(good + stream), size):
        got += framer.feed((good + stream)[position : position + size])
    assert [frame for _, _, _, frame in got] == [good]
    assert framer.lost
    assert framer.feed(good) == []
    if size == 100:
        assert (framer.lost_header is not None) == header_known


def test_the_longest_allowed_pdu_passes() -> None:
    framer = Framer(100)
    assert len(framer.feed(pdu(b"x" * 84))) == 1
    assert framer.feed(pdu(b"x" * 85)) == []
    assert framer.lost


def test_no_more_than_one_incomplete_pdu_is_held() -> None:
    framer = Framer(1000)
    for _ in range(50):
        framer.feed(pdu(b"y" * 900) * 3 + pdu(b"y" * 900)[:500])
        assert framer.partial <= 1000
        framer.feed(pdu(b"y" * 900)[500:])
    assert framer.partial == 0
    assert not framer.lost


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_any_kind_of_buffer_is_taken_and_frames_are_bytes(kind: type) -> None:
    frames = Framer().feed(kind(pdu(b"abc")))
    assert frames == [(0x15, 0, 1, pdu(b"abc"))]
    assert type(frames[0][3]) is bytes
