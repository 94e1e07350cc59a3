"""Reassembly: parts meet whatever their order, sources never mix, and the table stays inside its bounds."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chappe.smpp.concatenation import Piece, cut, read
from chappe.smpp.profile import LongMethod
from chappe.smpp.reassembly import PART_OVERHEAD_OCTETS, Completed, Joiner

UDH8 = LongMethod.UDH8


def pieces(text: bytes, total: int, reference: int = 7, method: LongMethod = UDH8) -> list[Piece]:
    parts = [text + bytes([seqnum]) for seqnum in range(1, total + 1)]
    return [read(part.esm_class, part.short_message, part.tlvs) for part in cut(parts, method, reference)]


def add(joiner: Joiner, now: float, piece: Piece, source: str = "a", carrier: str = "c") -> list[Completed]:
    return joiner.add(now, carrier, source, "33", piece)


def test_a_message_of_one_part_leaves_at_once() -> None:
    joiner = Joiner()
    (out,) = add(joiner, 0, Piece(b"alone"))
    assert (out.joined.octets, out.reason, len(joiner)) == (b"alone", "complete", 0)


@given(
    sources=st.lists(st.sampled_from("abcd"), min_size=1, max_size=4, unique=True),
    total=st.integers(2, 6),
    data=st.data(),
)
def test_same_reference_from_several_sources_in_any_order(sources: list[str], total: int, data: st.DataObject) -> None:
    joiner = Joiner()
    wire = [(source, piece) for source in sources for piece in pieces(source.encode(), total)]
    out = [done for source, piece in data.draw(st.permutations(wire)) for done in add(joiner, 0, piece, source)]
    assert {done.key.source: done.joined.octets for done in out} == {
        source: b"".join(source.encode() + bytes([seqnum]) for seqnum in range(1, total + 1)) for source in sources
    }
    assert len(out) == len(sources)
    assert all(done.reason == "complete" and done.joined.oddities == () for done in out)
    assert (len(joiner), joiner.octets, joiner.deadline()) == (0, 0, None)


@pytest.mark.parametrize(
    "other",
    [
        {"carrier": "other"},
        {"source": "other"},
        {"destination": "other"},
        {"piece": pieces(b"x", 2, reference=8)[1]},
        {"piece": pieces(b"x", 3)[1]},
        {"piece": pieces(b"x", 2, method=LongMethod.UDH16)[1]},
        {"piece": pieces(b"x", 2, method=LongMethod.SAR)[1]},
    ],
)
def test_parts_that_differ_in_any_part_of_the_key_do_not_meet(other: dict[str, object]) -> None:
    joiner = Joiner()
    first, second = pieces(b"x", 2)
    same: dict[str, object] = {"now": 0.0, "carrier": "c", "source": "a", "destination": "33", "piece": second}
    assert add(joiner, 0, first) == []
    assert joiner.add(**{**same, **other}) == []  # type: ignore[arg-type]
    assert len(joiner.add(**same)) == 1  # type: ignore[arg-type]
    assert len(joiner) == 1


def test_a_second_copy_replaces_nothing_and_is_flagged() -> None:
    joiner = Joiner()
    first, second = pieces(b"x", 2)
    add(joiner, 0, first)
    assert add(joiner, 0, first) == []
    assert add(joiner, 0, Piece(b"forged", UDH8, 7, 2, 1)) == []
    (out,) = add(joiner, 0, second)
    assert out.joined.octets == b"x\x01x\x02"
    assert out.joined.oddities == ("repeated_part", "conflicting_part")


def test_what_waits_too_long_leaves_with_its_gaps() -> None:
    joiner = Joiner(timeout_s=1800)
    first, _, third = pieces(b"x", 3)
    add(joiner, 100, first)
    add(joiner, 1000, third)
    assert joiner.deadline() == 1900
    assert joiner.expire(1899.9) == []
    (out,) = joiner.expire(1900)
    assert (out.reason, out.joined.missing, out.joined.octets) == ("timeout", (2,), b"x\x01x\x03")
    assert (joiner.expire(1e12), joiner.octets, len(joiner)) == ([], 0, 0)


def test_adding_expires_others_first() -> None:
    joiner = Joiner(timeout_s=10)
    add(joiner, 0, pieces(b"x", 2)[0])
    out = add(joiner, 10, pieces(b"x", 2)[1])
    assert [(done.reason, done.joined.missing) for done in out] == [("timeout", (2,))]
    assert len(joiner) == 1, "the late part waits by itself"


def test_one_source_cannot_fill_the_table() -> None:
    joiner = Joiner(parts_per_source_max=3)
    add(joiner, 0, pieces(b"x", 2)[0], "victim")
    out = [done for reference in range(5) for done in add(joiner, 1, pieces(b"x", 2, reference)[0], "flood")]
    assert [(done.key.source, done.key.reference, done.reason) for done in out] == [
        ("flood", 0, "evicted"),
        ("flood", 1, "evicted"),
    ]
    assert len(add(joiner, 2, pieces(b"x", 2)[1], "victim")) == 1


def test_a_message_longer_than_the_bound_of_its_source_leaves_as_partial() -> None:
    joiner = Joiner(parts_per_source_max=3)
    out = [done for piece in pieces(b"x", 5) for done in add(joiner, 0, piece)]
    assert [(done.reason, done.joined.missing) for done in out] == [("evicted", (5,))]
    assert len(joiner) == 1


def test_the_oldest_source_leaves_first() -> None:
    joiner = Joiner(sources_max=2)
    out = [done for source in "abcd" for done in add(joiner, 0, pieces(b"x", 2)[0], source)]
    assert [(done.key.source, done.reason) for done in out] == [("a", "evicted"), ("b", "evicted")]


def test_the_octets_have_a_bound() -> None:
    joiner = Joiner(octets_max=3 * (PART_OVERHEAD_OCTETS + 200))
    out = [done for source in "abcd" for done in add(joiner, 0, pieces(b"x" * 150, 2)[0], source)]
    assert [done.key.source for done in out] == ["a"]
    assert joiner.octets <= joiner.octets_max


def test_a_part_larger_than_the_table_passes_through() -> None:
    joiner = Joiner(octets_max=2000)
    (out,) = add(joiner, 0, Piece(b"x" * 5000, UDH8, 1, 2, 2))
    assert (out.reason, out.joined.missing, joiner.octets) == ("evicted", (1,), 0)


@given(
    events=st.lists(
        st.tuples(
            st.integers(0, 50),
            st.sampled_from("abc"),
            st.integers(0, 2),
            st.integers(2, 4),
            st.integers(1, 4),
            st.binary(max_size=5),
        ),
        max_size=60,
    )
)
def test_every_part_leaves_exactly_once_and_the_bounds_hold(
    events: list[tuple[int, str, int, int, int, bytes]],
) -> None:
    joiner = Joiner(timeout_s=100, sources_max=2, parts_per_source_max=4, octets_max=8 * PART_OVERHEAD_OCTETS)
    now, taken, out = 0, 0, []
    for wait_s, source, reference, total, seqnum, body in events:
        now += wait_s
        piece = Piece(body, UDH8, reference, total, min(seqnum, total))
        before = joiner.octets
        left = add(joiner, now, piece, source)
        out.extend(left)
        taken += bool(left) or joiner.octets != before
        assert joiner.octets <= joiner.octets_max
        assert len(joiner) <= 2 * 4
    out.extend(joiner.expire(now + 100))
    assert (joiner.octets, len(joiner), joiner.deadline()) == (0, 0, None)
    assert sum(part is not None for done in out for part in done.joined.pieces) <= len(events)
    for done in out:
        assert (done.reason == "complete") == (done.joined.missing == ())


def test_a_flood_of_empty_parts_keeps_the_memory_flat() -> None:
    """The table counts an overhead per part; the real memory of the process stays under what it counts."""
    octets_max = 1024 * 1024
    joiner = Joiner(octets_max=octets_max)
    tracemalloc.start()
    try:
        evicted = sum(
            len(joiner.add(0, "carrier", f"336{number:08}", "33700000001", Piece(b"", UDH8, number & 255, 255, 1)))
            for number in range(10_000)
        )
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert evicted == 10_000 - octets_max // PART_OVERHEAD_OCTETS
    assert joiner.octets <= octets_max
    assert held < 2 * octets_max


def test_a_key_shows_no_number() -> None:
    (out,) = Joiner().add(0, "c", "33612345678", "33700000001", Piece(b"secret"))
    assert "336" not in repr(out)
    assert "337" not in repr(out)
    assert "secret" not in repr(out)
