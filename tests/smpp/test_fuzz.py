"""Hostile octets: only declared errors, bounded memory, and the next valid PDU is still handled."""

import os
import random
import struct
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chappe.smpp import codec, events, pdu
from chappe.smpp.commands import RESPONSE_BIT, Status
from chappe.smpp.fields import CString, Destination, Failure, Time
from chappe.smpp.framer import Framer
from chappe.smpp.session import Mode, Role, Session, Settings, Timers

MUTANTS = 60_000
INTERESTING = (0, 1, 0x7F, 0x80, 0xFE, 0xFF)


def corpus() -> list[bytes]:
    """Every PDU with something in each field, with and without TLVs."""
    octets = []
    for cls in pdu.PDUS:
        values: dict[str, Any] = {}
        for row in codec.columns(cls):
            if isinstance(row.kind, CString):
                values[row.name] = b"33600000001"[: row.kind.size - 1]
            elif isinstance(row.kind, Time):
                values[row.name] = b"260201083000000+"
            elif row.name == "destinations":
                values[row.name] = (Destination(1, 1, b"336"), Destination(1, 1, b"337"))
            elif row.name == "failures":
                values[row.name] = (Failure(1, 1, b"336", 11),)
            elif row.name == "short_message":
                values[row.name] = b"id:1 stat:DELIVRD"
        for tlvs in ((), ((0x1E, b"abc\0"), (0x0427, b"\2"), (0x1400, b""), (0x0424, b"payload"))):
            octets.append(cls(**values, sequence=5, tlvs=tlvs).encode())
    return octets


def mutated(seed_octets: bytes, chance: random.Random) -> bytes:
    """The octets with a few flips, cuts, insertions and repeats; command_length is put right most of the time."""
    octets = bytearray(seed_octets)
    for _ in range(chance.randint(1, 4)):
        position = chance.randrange(len(octets)) if octets else 0
        what = chance.randrange(5)
        if what == 0 and octets:
            octets[position] = chance.choice(INTERESTING)
        elif what == 1 and octets:
            octets[position] ^= 1 << chance.randrange(8)
        elif what == 2:
            del octets[position : position + chance.randint(1, 8)]
        elif what == 3:
            octets[position:position] = chance.randbytes(chance.randint(1, 8))
        else:
            octets[position:position] = octets[position : position + chance.randint(1, 40)]
    if chance.random() < 0.9:
        octets[:4] = struct.pack(">I", max(16, len(octets)))
        octets += bytes(max(0, 16 - len(octets)))
    return bytes(octets)


def fresh(role: Role) -> Session:
    """A bound session that does not close for the number of bad PDUs alone."""
    session = Session(Settings(role, undecodable_max=1 << 30, nacks_max=1 << 30, timers=Timers(enquire_link_s=0)), 0.0)
    if role is Role.ESME:
        sequence = session.bind(Mode.TRX, b"a", b"b", 0.0)
        session.receive(pdu.BindTransceiverResp(sequence=sequence).encode(), 0.0)
    else:
        session.receive(pdu.BindTransceiver(sequence=1).encode(), 0.0)
        session.answer_bind(1)
    session.take()
    return session


def probe(role: Role) -> bytes:
    cls = pdu.DeliverSm if role is Role.ESME else pdu.SubmitSm
    return cls(short_message=b"probe", sequence=0x7ABCDEF0).encode()


def read(octets: bytes) -> pdu.Pdu | pdu.DecodeError:
    """The PDU, or the one error that may be raised, which always names a status to answer."""
    try:
        return pdu.decode(octets)
    except pdu.DecodeError as error:
        Status(error.status)
        return error


def test_sixty_thousand_mutants_raise_nothing_undeclared_and_the_next_pdu_is_handled() -> None:
    seed = int(os.environ.get("CHAPPE_TEST_SEED", random.SystemRandom().randrange(1 << 32)))
    chance = random.Random(seed)
    seeds = corpus()
    sessions = {role: fresh(role) for role in Role}
    seen = {"decoded": 0, "refused": 0, "lost": 0}
    for _ in range(MUTANTS):
        octets = mutated(chance.choice(seeds), chance)
        decoded = read(octets)
        seen["refused" if isinstance(decoded, pdu.DecodeError) else "decoded"] += 1
        role = chance.choice(list(Role))
        session = sessions[role]
        before = session.unanswered
        told = session.receive(octets + probe(role), 0.0)
        assert all(isinstance(event, events.Event) for event in told)
        ending = session.closing or any(isinstance(event, events.Unbound) for event in told)
        if ending or int.from_bytes(octets[:4], "big") != len(octets):
            # The mutant ended the session, or its length says where no PDU ends: what follows cannot be told.
            seen["lost"] += 1
            sessions[role] = fresh(role)
            continue
        taken = [event.pdu for event in told if isinstance(event, events.Received)]
        assert any(request.sequence == 0x7ABCDEF0 for request in taken), f"seed {seed}: {octets.hex()}"
        for request in taken:
            if request.command_id in pdu.RESPONSES:
                assert session.answer(request.sequence)
        assert session.unanswered == before == 0, seed
        assert session.take()
    assert seen["decoded"] > MUTANTS // 3, seen
    assert seen["refused"] > MUTANTS // 50, seen
    assert seen["lost"] < MUTANTS // 2, seen


@given(st.binary(max_size=400))
def test_any_body_under_any_command_is_read_or_refused(body: bytes) -> None:
    for cls in pdu.PDUS:
        octets = struct.pack(">IIII", 16 + len(body), cls.command_id, 0, 1) + body
        decoded = read(octets)
        if isinstance(decoded, pdu.DecodeError):
            assert not decoded.framing_lost
            assert not cls.command_id & RESPONSE_BIT, "no response is refused for its body"
        else:
            assert isinstance(decoded, cls)
            assert decoded.sequence == 1


@given(st.binary(max_size=400), st.integers(0, 0xFFFFFFFF), st.integers(0, 0xFFFFFFFF))
def test_well_formed_octets_are_written_back_as_they_were(body: bytes, command_id: int, sequence: int) -> None:
    for command in (command_id, 4, 5, 0x103, 0x80000004):
        octets = struct.pack(">IIII", 16 + len(body), command, 0, sequence) + body
        try:
            decoded = pdu.decode(octets)
            again = decoded.encode()
        except (pdu.DecodeError, pdu.EncodeError):
            continue  # not well-formed
        if not decoded.flags:
            assert again == octets


@given(st.lists(st.binary(max_size=300), max_size=10), st.sampled_from(list(Role)))
def test_random_streams_never_raise_and_hold_at_most_one_pdu(chunks: list[bytes], role: Role) -> None:
    session = fresh(role)
    for now, chunk in enumerate(chunks):
        session.receive(chunk, float(now))
        session.expire(float(now))
        assert session._core.framer.partial <= session.settings.pdu_length_max
        assert session.unanswered <= session.settings.unanswered_max
    session.take()
    closed = session.lost(99.0)
    assert isinstance(closed[-1], events.Closed)


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1))
def test_tables_stay_bounded_under_a_flood_of_valid_pdus_that_nobody_answers(seed: int) -> None:
    chance = random.Random(seed)
    session = Session(Settings(Role.SMSC, unanswered_max=20, pending_max=100_000, late_max=5), 0.0)
    session.receive(pdu.BindTransceiver(sequence=1).encode(), 0.0)
    session.answer_bind(1)
    seeds = [octets for octets in corpus() if octets[7] != 6]
    for _ in range(300):
        octets = bytearray(chance.choice(seeds))
        octets[12:16] = struct.pack(">I", chance.randrange(1 << 32))
        session.receive(bytes(octets), 0.0)
        assert session.unanswered <= 20
        assert session.pending <= 100_000


@pytest.mark.parametrize("octets", [bytes(1 << 16), b"\xff" * (1 << 16), b"\0\0\0\x10" * (1 << 14)])
def test_large_noise_is_read_in_linear_time(octets: bytes) -> None:
    frames = Framer().feed(octets)
    assert len(frames) <= len(octets) // 16
    for role in Role:
        session = fresh(role)
        session.receive(octets, 0.0)
        session.take()


def test_tlv_soup_and_long_lists_are_read_in_linear_time() -> None:
    soup = b"\x14\0\0\0" * 16_000
    body = b"\0" * 17 + soup
    decoded = pdu.decode(struct.pack(">IIII", 16 + len(body), 4, 0, 1) + body)
    assert len(decoded.tlvs) == 16_000
    assert decoded.encode()[16:] == body
