"""One session in both roles: binding, the window, answers of every kind, timers, ending, and a peer that misbehaves."""

import struct
from collections.abc import Sequence
from typing import Any, TypeVar

import pytest

from chappe.smpp import events as ev
from chappe.smpp import pdu as p
from chappe.smpp.commands import RESPONSE_BIT, SEQUENCE_MAX, CommandId, Status
from chappe.smpp.fields import Destination
from chappe.smpp.session import (
    Mode,
    Role,
    Session,
    Settings,
    State,
    StateError,
    Timers,
    TlvsRefused,
    WindowFull,
)
from chappe.smpp.states import BINDS, BOUND, TRANSITIONS
from chappe.smpp.tlv import Tag

E = TypeVar("E", bound=ev.Event)


def written(session: Session) -> list[p.Pdu]:
    """What the session wants to write, decoded."""
    octets, pdus = session.take(), []
    while octets:
        length = int.from_bytes(octets[:4], "big")
        pdus.append(p.decode(octets[:length]))
        octets = octets[length:]
    return pdus


def only(events: Sequence[ev.Event], kind: type[E]) -> E:
    assert [type(event) for event in events] == [kind], events
    event = events[0]
    assert isinstance(event, kind)
    return event


def esme(mode: Mode | None = Mode.TRX, *, peer_version: int | None = 0x34, now: float = 0.0, **changes: Any) -> Session:
    """An ESME's session, bound unless mode is None."""
    session = Session(Settings(Role.ESME, **changes), now)
    if mode is not None:
        sequence = session.bind(mode, b"us", b"pw", now)
        (request,) = written(session)
        tlvs = () if peer_version is None else ((Tag.SC_INTERFACE_VERSION, bytes((peer_version,))),)
        response = p.RESPONSES[request.command_id](b"smsc", sequence=sequence, tlvs=tlvs)  # type: ignore[misc, arg-type]
        only(session.receive(response.encode(), now), ev.Bound)
    return session


def smsc(mode: Mode | None = Mode.TRX, *, version: int = 0x34, now: float = 0.0, **changes: Any) -> Session:
    """An SMSC's session, bound unless mode is None."""
    session = Session(Settings(Role.SMSC, system_id=b"smsc", **changes), now)
    if mode is not None:
        asked = only(session.receive(bind_pdu(mode, version=version).encode(), now), ev.BindRequested)
        assert session.answer_bind(asked.sequence)
        written(session)
    return session


def bind_pdu(mode: Mode, *, version: int = 0x34, sequence: int = 1) -> p.BindRequest:
    kinds = {Mode.TX: p.BindTransmitter, Mode.RX: p.BindReceiver, Mode.TRX: p.BindTransceiver}
    return kinds[mode](b"us", b"pw", interface_version=version, sequence=sequence)


def submit_pdu(sequence: int = 0, **values: Any) -> p.SubmitSm:
    return p.SubmitSm(destination_addr=b"33600000001", short_message=b"hello", sequence=sequence, **values)


def deliver_pdu(sequence: int = 0, **values: Any) -> p.DeliverSm:
    return p.DeliverSm(source_addr=b"33600000001", short_message=b"yes", sequence=sequence, **values)


SUBMIT_SIZE = len(submit_pdu().encode())


# -- binding


@pytest.mark.parametrize("mode", list(Mode))
def test_a_bind_is_asked_and_accepted_in_every_mode(mode: Mode) -> None:
    client, server = Session(Settings(Role.ESME), 0.0), Session(Settings(Role.SMSC, system_id=b"smsc"), 0.0)
    assert not client.bound
    client.bind(mode, b"us", b"pw", 1.0, system_type=b"T", address_range=b"^336", addr_ton=1, addr_npi=1)
    asked = only(server.receive(client.take(), 1.0), ev.BindRequested)
    request = asked.request
    assert (asked.mode, request.system_id, request.password, request.system_type) == (mode, b"us", b"pw", b"T")
    assert (request.address_range, request.addr_ton, request.addr_npi) == (b"^336", 1, 1)
    assert server.answer_bind(asked.sequence)
    bound = only(client.receive(server.take(), 1.0), ev.Bound)
    assert (bound.mode, bound.system_id, bound.peer_version) == (mode, b"smsc", 0x34)
    assert client.state is server.state is BOUND[mode]
    assert (client.peer_version, server.peer_version) == (0x34, 0x34)
    assert client.bound
    assert server.bound


@pytest.mark.parametrize("status", [Status.RINVPASWD, Status.RALYBND, Status.RBINDFAIL, 0x401])
def test_a_refused_bind_ends_an_esme_and_leaves_an_smsc_open_for_another_try(status: int) -> None:
    client, server = esme(None), smsc(None)
    client.bind(Mode.TRX, b"us", b"wrong", 0.0)
    asked = only(server.receive(client.take(), 0.0), ev.BindRequested)
    server.answer_bind(asked.sequence, status)
    octets = server.take()
    assert len(octets) == 16
    assert only(client.receive(octets, 0.0), ev.BindRefused).status == status
    assert client.closing
    assert client.reason == ev.Reason.BIND_REFUSED
    assert not server.closing
    only(server.receive(bind_pdu(Mode.TX, sequence=2).encode(), 0.0), ev.BindRequested)


def test_a_nacked_bind_is_a_refused_one() -> None:
    client = esme(None)
    sequence = client.bind(Mode.TRX, b"us", b"pw", 0.0)
    nack = p.GenericNack(sequence=sequence, status=Status.RINVCMDID)
    assert only(client.receive(nack.encode(), 0.0), ev.BindRefused).status == Status.RINVCMDID


def test_a_bind_response_of_another_kind_is_ignored_and_the_bind_times_out() -> None:
    client = esme(None)
    sequence = client.bind(Mode.TRX, b"us", b"pw", 0.0)
    odd = only(client.receive(p.BindReceiverResp(sequence=sequence).encode(), 0.0), ev.Odd)
    assert odd.reason == ev.Oddity.UNEXPECTED_RESPONSE
    assert client.deadline == 30.0
    assert client.expire(29.9) == []
    assert only(client.expire(30.0), ev.BindRefused).status is None
    assert client.reason == ev.Reason.BIND_TIMEOUT


def test_nobody_binds_twice() -> None:
    client = esme(None)
    client.bind(Mode.TX, b"us", b"pw", 0.0)
    with pytest.raises(StateError):
        client.bind(Mode.TX, b"us", b"pw", 0.0)
    server = smsc()
    assert only(server.receive(bind_pdu(Mode.TRX, sequence=2).encode(), 0.0), ev.Odd).reason == "not_allowed"
    assert written(server)[0].status == Status.RALYBND
    waiting = smsc(None)
    waiting.receive(bind_pdu(Mode.TX).encode(), 0.0)
    waiting.receive(bind_pdu(Mode.TRX, sequence=2).encode(), 0.0)
    assert [(type(pdu), pdu.status) for pdu in written(waiting)] == [(p.BindTransceiverResp, Status.RALYBND)]


def test_a_bind_that_cannot_be_read_is_refused() -> None:
    server = smsc(None)
    odd = only(server.receive(struct.pack(">IIII", 20, 9, 0, 4) + b"us\0p", 0.0), ev.Odd)
    assert odd.reason == ev.Oddity.UNDECODABLE
    assert [(pdu.sequence, pdu.status) for pdu in written(server)] == [(4, Status.RINVCMDLEN)]


def test_outbind_leads_to_a_receiver_bind_and_nothing_else() -> None:
    client, server = esme(None), smsc(None)
    server.outbind(b"smsc", b"pw", 0.0)
    received = only(client.receive(server.take(), 0.0), ev.Received)
    assert isinstance(received.pdu, p.Outbind)
    assert (client.state, server.state) == (State.OUTBOUND, State.OUTBOUND)
    assert client.unanswered == 0
    with pytest.raises(StateError):
        client.bind(Mode.TRX, b"us", b"pw", 0.0)
    client.bind(Mode.RX, b"us", b"pw", 0.0)
    server.answer_bind(only(server.receive(client.take(), 0.0), ev.BindRequested).sequence)
    only(client.receive(server.take(), 0.0), ev.Bound)
    assert (client.state, client.mode) == (State.BOUND_RX, Mode.RX)


@pytest.mark.parametrize("role", list(Role))
def test_a_session_without_a_bind_closes_after_session_init(role: Role) -> None:
    session = Session(Settings(role), 100.0)
    assert session.deadline == 110.0
    session.expire(109.0)
    assert not session.closing
    session.expire(110.0)
    assert session.closing
    assert session.reason == ev.Reason.SESSION_INIT_TIMEOUT


def test_session_init_does_not_hurry_an_owner_who_checks_the_password() -> None:
    server = smsc(None)
    server.receive(bind_pdu(Mode.TRX).encode(), 9.0)
    assert server.deadline is None
    server.expire(50.0)
    assert not server.closing
    assert server.answer_bind(1)


# -- the state table


DESTINATION = Destination(1, 1, b"33600000001")
ALL_COMMANDS = [int(command) for command in CommandId if command != CommandId.GENERIC_NACK]


def sample(command_id: int, sequence: int) -> bytes:
    cls = next(cls for cls in p.PDUS if cls.command_id == command_id)
    value = cls(sequence=sequence)
    if isinstance(value, p.SubmitMulti):
        value.destinations = (DESTINATION,)
    return value.encode()


def in_state(role: Role, state: State) -> Session:
    mode = {bound: mode for mode, bound in BOUND.items()}.get(state)
    make = esme if role is Role.ESME else smsc
    session = make(mode, accept_deliver_on_tx=False)
    if state is State.OUTBOUND:
        if role is Role.SMSC:
            session.outbind(b"", b"", 0.0)
            session.take()
        else:
            session.receive(sample(CommandId.OUTBIND, 1), 0.0)
    assert session.state is state
    return session


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("state", [State.OPEN, State.OUTBOUND, *BOUND.values()])
def test_every_request_in_every_state_is_taken_by_the_table_or_refused_with_a_status(role: Role, state: State) -> None:
    asker = Role.SMSC if role is Role.ESME else Role.ESME
    for command_id in ALL_COMMANDS:
        session = in_state(role, state)
        events = session.receive(sample(command_id, 77), 0.0)
        answers = written(session)
        if (state, asker, command_id) in TRANSITIONS:
            assert not [event for event in events if isinstance(event, ev.Odd)], command_id
            if command_id == CommandId.ENQUIRE_LINK:
                assert (events, [type(pdu) for pdu in answers]) == ([], [p.EnquireLinkResp])
            elif command_id == CommandId.UNBIND:
                only(events, ev.Unbound)
            else:
                only(events, ev.BindRequested if command_id in BINDS else ev.Received)
                assert answers == []
        else:
            assert only(events, ev.Odd).reason == ev.Oddity.NOT_ALLOWED
            expected = Status.RALYBND if command_id in BINDS and state in BOUND.values() else Status.RINVBNDSTS
            if command_id in (CommandId.OUTBIND, CommandId.ALERT_NOTIFICATION):
                assert answers == []
            else:
                assert [(a.command_id, a.sequence, a.status) for a in answers] == [
                    (command_id | RESPONSE_BIT, 77, expected)
                ]


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("state", [State.OPEN, State.OUTBOUND, *BOUND.values()])
def test_our_own_requests_outside_the_table_are_our_mistake(role: Role, state: State) -> None:
    own = {CommandId.ENQUIRE_LINK, CommandId.UNBIND, CommandId.OUTBIND, *BINDS}
    for command_id in ALL_COMMANDS:
        session = in_state(role, state)
        request = p.decode(sample(command_id, 0))
        assert isinstance(request, p.Request)
        if (state, role, command_id) in TRANSITIONS and command_id not in own:
            session.request(request, "context", 0.0)
            assert len(written(session)) == 1
            assert session.outstanding == (command_id != CommandId.ALERT_NOTIFICATION)
        else:
            with pytest.raises(StateError):
                session.request(request, "context", 0.0)
            assert session.take() == b""


def test_receipts_on_a_transmitter_bind_are_a_knob_on_both_sides() -> None:
    taking = esme(Mode.TX)
    only(taking.receive(deliver_pdu(5).encode(), 0.0), ev.Received)
    refusing = esme(Mode.TX, accept_deliver_on_tx=False)
    refusing.receive(deliver_pdu(5).encode(), 0.0)
    assert written(refusing)[0].status == Status.RINVBNDSTS
    smsc(Mode.TX, send_deliver_on_tx=True).deliver(deliver_pdu(), None, 0.0)
    with pytest.raises(StateError):
        smsc(Mode.TX).deliver(deliver_pdu(), None, 0.0)


# -- requests and answers


def test_answers_match_by_sequence_in_any_order_and_bring_their_context() -> None:
    client = esme()
    sequences = [client.submit(submit_pdu(), f"part {number}", 1.0) for number in range(3)]
    assert [pdu.sequence for pdu in written(client)] == sequences
    octets = b"".join(p.SubmitSmResp(b"id%d" % s, sequence=s).encode() for s in reversed(sequences))
    events = client.receive(octets, 2.0)
    assert [event.context for event in events if isinstance(event, ev.Answered)] == ["part 2", "part 1", "part 0"]
    assert [event.message_id for event in events if isinstance(event, ev.Answered)] == [
        b"id%d" % s for s in reversed(sequences)
    ]
    assert (client.outstanding, client.free) == (0, 10)


def test_an_error_answer_has_its_status_and_no_id() -> None:
    client = esme()
    request = submit_pdu()
    sequence = client.submit(request, "part", 1.0)
    octets = p.SubmitSmResp(sequence=sequence, status=0x401).encode()
    answered = only(client.receive(octets, 2.0), ev.Answered)
    assert (answered.status, answered.message_id, answered.sequence) == (0x401, b"", sequence)
    assert answered.context == "part"


def test_the_window_is_never_exceeded() -> None:
    client = esme(window=2)
    first = client.submit(submit_pdu(), 1, 0.0)
    client.submit(submit_pdu(), 2, 0.0)
    assert client.free == 0
    with pytest.raises(WindowFull):
        client.submit(submit_pdu(), 3, 0.0)
    assert len(written(client)) == 2
    client.receive(p.SubmitSmResp(b"1", sequence=first).encode(), 0.0)
    assert client.free == 1
    client.submit(submit_pdu(), 3, 0.0)


def test_a_pdu_that_cannot_be_written_leaves_the_session_as_it_was() -> None:
    client = esme()
    bad = submit_pdu(source_addr=b"a\0b")
    with pytest.raises(p.EncodeError):
        client.submit(bad, 1, 0.0)
    assert bad.sequence == 0
    assert (client.take(), client.outstanding, client.free) == (b"", 0, 10)
    client.submit(submit_pdu(), 2, 0.0)


def test_answers_come_before_requests_of_the_same_chunk_so_that_an_early_receipt_finds_its_id() -> None:
    client = esme()
    sequence = client.submit(submit_pdu(), "part", 0.0)
    octets = deliver_pdu(9, esm_class=4).encode() + p.SubmitSmResp(b"1", sequence=sequence).encode()
    assert [type(event) for event in client.receive(octets, 0.0)] == [ev.Answered, ev.Received]


def test_a_received_request_carries_its_octets_and_is_answered_by_its_sequence() -> None:
    client = esme()
    octets = deliver_pdu(9).encode()
    received = only(client.receive(octets, 0.0), ev.Received)
    assert (received.frame, client.unanswered) == (octets, 1)
    assert client.answer(received.pdu.sequence)
    assert client.take() == p.DeliverSmResp(sequence=9).encode()
    assert client.unanswered == 0
    with pytest.raises(StateError):
        client.answer(9)


@pytest.mark.parametrize(
    ("request_pdu", "response"),
    [
        (p.SubmitSm(sequence=5), p.SubmitSmResp(b"77", sequence=5)),
        (p.DataSm(sequence=5), p.DataSmResp(b"77", sequence=5)),
        (p.SubmitMulti(destinations=(DESTINATION,), sequence=5), p.SubmitMultiResp(b"77", sequence=5)),
        (p.BroadcastSm(sequence=5), p.BroadcastSmResp(b"77", sequence=5)),
    ],
)
def test_answer_submit_gives_an_id_to_all_that_take_one(request_pdu: p.Request, response: p.Response) -> None:
    server = smsc()
    server.receive(request_pdu.encode(), 0.0)
    with pytest.raises(p.EncodeError):
        server.answer_submit(5, 0, b"7\0")
    with pytest.raises(p.EncodeError):
        server.answer_submit(5, 8, b"77")
    assert server.unanswered == 1
    assert server.answer_submit(5, 0, b"77")
    assert written(server) == [response]


def test_answers_of_the_wrong_kind_are_our_mistake() -> None:
    server = smsc()
    server.receive(p.QuerySm(b"1", sequence=5).encode(), 0.0)
    with pytest.raises(StateError):
        server.answer_submit(5, 0, b"1")
    with pytest.raises(StateError):
        server.answer(5, 0, p.CancelSmResp())
    server.answer(5, 0, p.QuerySmResp(b"1", b"", 2, 0))
    (answer,) = written(server)
    assert isinstance(answer, p.QuerySmResp)
    assert (answer.sequence, answer.message_state) == (5, 2)
    server.receive(submit_pdu(6).encode(), 0.0)
    assert server.nack(6, Status.RINVCMDID)
    assert written(server) == [p.GenericNack(sequence=6, status=Status.RINVCMDID)]


def test_congestion_is_told_from_any_answer() -> None:
    client = esme()
    sequence = client.submit(submit_pdu(), 1, 0.0)
    octets = p.SubmitSmResp(b"1", sequence=sequence, tlvs=((Tag.CONGESTION_STATE, b"\x5f"),)).encode()
    events = client.receive(octets, 0.0)
    assert [type(event) for event in events] == [ev.Answered, ev.Congestion]
    assert [event.percent for event in events if isinstance(event, ev.Congestion)] == [95]


@pytest.mark.parametrize("sequence", [0, 99, SEQUENCE_MAX, 0xFFFFFFFF])
def test_a_response_to_nothing_is_counted_and_ignored(sequence: int) -> None:
    client = esme()
    client.submit(submit_pdu(), 1, 0.0)
    odd = only(client.receive(p.SubmitSmResp(b"1", sequence=sequence).encode(), 0.0), ev.Odd)
    assert odd.reason == ev.Oddity.UNEXPECTED_RESPONSE
    assert client.outstanding == 1


def test_a_response_of_the_wrong_type_or_repeated_is_ignored() -> None:
    client = esme()
    sequence = client.submit(submit_pdu(), 1, 0.0)
    only(client.receive(p.DataSmResp(b"1", sequence=sequence).encode(), 0.0), ev.Odd)
    assert client.outstanding == 1
    right = p.SubmitSmResp(b"1", sequence=sequence).encode()
    events = client.receive(right + right, 0.0)
    assert [type(event) for event in events] == [ev.Answered, ev.Odd]


def test_generic_nack_settles_the_request_it_names() -> None:
    client = esme()
    sequence = client.submit(submit_pdu(), "part", 0.0)
    nack = p.GenericNack(sequence=sequence, status=Status.RINVCMDLEN).encode()
    nacked = only(client.receive(nack, 0.0), ev.Nacked)
    assert (nacked.context, nacked.status, client.outstanding) == ("part", Status.RINVCMDLEN, 0)


def test_a_few_generic_nacks_without_a_sequence_close_the_session() -> None:
    client = esme()
    nack = p.GenericNack(status=Status.RINVCMDLEN).encode()
    for _ in range(2):
        assert [type(event) for event in client.receive(nack, 0.0)] == [ev.Nacked, ev.Odd]
        assert not client.closing
    client.receive(nack, 0.0)
    assert client.closing
    assert client.reason == ev.Reason.NACKS


def test_a_request_without_a_class_is_nacked_and_the_session_lives() -> None:
    server = smsc()
    events = server.receive(struct.pack(">IIII", 19, 0x00010204, 0, 5) + b"abc", 0.0)
    assert only(events, ev.Odd).reason == ev.Oddity.UNKNOWN_COMMAND
    assert written(server) == [p.GenericNack(sequence=5, status=Status.RINVCMDID)]
    assert server.bound
    only(server.receive(struct.pack(">IIII", 16, 0x80010204, 0, 5), 0.0), ev.Odd)
    assert server.take() == b""


def test_sequences_wrap_and_leave_out_those_in_doubt() -> None:
    client = esme(first_sequence=SEQUENCE_MAX - 1, window=10)
    assert client.submit(submit_pdu(), 1, 0.0) == SEQUENCE_MAX
    assert client.submit(submit_pdu(), 2, 0.0) == 1
    again = esme(first_sequence=SEQUENCE_MAX - 2, window=10, timers=Timers(enquire_link_s=0, inactivity_s=0))
    doubtful = again.submit(submit_pdu(), 1, 0.0)
    assert doubtful == SEQUENCE_MAX - 1
    only(again.expire(60.0), ev.TimedOut)
    again._core.window._sequence = SEQUENCE_MAX - 2  # as after two thousand million messages
    assert again.submit(submit_pdu(), 2, 60.0) == SEQUENCE_MAX


# -- a peer without TLVs


def test_informative_tlvs_are_left_out_for_an_old_peer_and_others_refused() -> None:
    server = smsc(version=0x33)
    server.deliver(deliver_pdu(tlvs=((Tag.MESSAGE_STATE, b"\2"), (Tag.RECEIPTED_MESSAGE_ID, b"1\0"))), 1, 0.0)
    assert [pdu.tlvs for pdu in written(server)] == [()]
    odd = only(server.receive(b"", 0.0), ev.Odd)
    assert odd.reason == ev.Oddity.TLVS_DROPPED
    assert odd.detail == "deliver_sm message_state receipted_message_id"
    with pytest.raises(TlvsRefused):
        server.deliver(deliver_pdu(tlvs=((Tag.MESSAGE_PAYLOAD, b"long"),)), 2, 0.0)
    with pytest.raises(TlvsRefused):
        server.deliver(deliver_pdu(tlvs=((0x1401, b"x"),)), 2, 0.0)
    assert server.outstanding == 1


@pytest.mark.parametrize(
    ("ours", "theirs", "allowed"),
    [
        (0x34, 0x34, True),
        (0x34, 0x50, True),
        (0x34, None, True),
        (0x34, 0x33, False),
        (0x33, 0x34, False),
        (0x33, None, False),
    ],
)
def test_tlvs_need_3_4_on_both_sides(ours: int, theirs: int | None, allowed: bool) -> None:
    client = esme(peer_version=theirs, interface_version=ours)
    if allowed:
        client.submit(submit_pdu(tlvs=((Tag.MESSAGE_PAYLOAD, b"x"),)), 1, 0.0)
    else:
        with pytest.raises(TlvsRefused):
            client.submit(submit_pdu(tlvs=((Tag.MESSAGE_PAYLOAD, b"x"),)), 1, 0.0)


def test_an_old_peer_gets_no_version_in_its_bind_answer() -> None:
    for version, tlvs in ((0x33, ()), (0x34, ((Tag.SC_INTERFACE_VERSION, b"\x34"),))):
        server = smsc(None)
        server.receive(bind_pdu(Mode.TRX, version=version).encode(), 0.0)
        server.answer_bind(1)
        assert written(server)[0].tlvs == tlvs


# -- timers


def test_a_request_without_an_answer_is_in_doubt_and_a_late_answer_resolves_it() -> None:
    client = esme()
    sequence = client.submit(submit_pdu(), "part", 0.0)
    client.receive(p.EnquireLink(sequence=1).encode(), 45.0)
    assert client.deadline == 60.0
    assert client.expire(59.9) == []
    timed_out = only(client.expire(60.0), ev.TimedOut)
    assert (timed_out.context, timed_out.sequence, client.free) == ("part", sequence, 10)
    octets = p.SubmitSmResp(b"77", sequence=sequence).encode()
    late = only(client.receive(octets, 61.0), ev.AnsweredLate)
    assert (late.context, late.message_id, late.status) == ("part", b"77", 0)
    only(client.receive(octets, 61.0), ev.Odd)


def test_several_unanswered_requests_in_a_row_close_the_session() -> None:
    client = esme(timers=Timers(enquire_link_s=0))
    for number in range(5):
        client.submit(submit_pdu(), number, float(number))
    assert [client.expire(60.0 + number) != [] for number in range(4)] == [True] * 4
    assert not client.closing
    client.expire(64.0)
    assert client.closing
    assert client.reason == ev.Reason.RESPONSE_TIMEOUTS


def test_an_answer_between_time_outs_starts_the_count_again() -> None:
    client = esme(timers=Timers(enquire_link_s=0, inactivity_s=0))
    for turn in range(12):
        now = 100.0 * turn
        answered = client.submit(submit_pdu(), turn, now)
        client.submit(submit_pdu(), turn, now)
        client.receive(p.SubmitSmResp(b"1", sequence=answered).encode(), now + 1)
        only(client.expire(now + 60), ev.TimedOut)
    assert not client.closing


def test_a_late_answer_starts_the_count_of_time_outs_again() -> None:
    client = esme(timers=Timers(enquire_link_s=0, inactivity_s=0))
    for turn in range(12):
        now = 100.0 * turn
        sequence = client.submit(submit_pdu(), turn, now)
        only(client.expire(now + 60), ev.TimedOut)
        only(client.receive(p.SubmitSmResp(b"1", sequence=sequence).encode(), now + 61), ev.AnsweredLate)
    assert not client.closing


def test_a_late_generic_nack_settles_the_doubt_and_says_that_it_is_late() -> None:
    client = esme()
    sequence = client.submit(submit_pdu(), "part", 0.0)
    client.take()
    only(client.expire(60.0), ev.TimedOut)
    nacked = only(client.receive(p.GenericNack(sequence=sequence, status=3).encode(), 61.0), ev.Nacked)
    assert (nacked.context, nacked.status, nacked.late) == ("part", 3, True)


@pytest.mark.parametrize("is_late", [False, True])
def test_a_generic_nack_without_a_status_is_never_a_success(is_late: bool) -> None:
    client = esme()
    sequence = client.submit(submit_pdu(), "part", 0.0)
    if is_late:
        only(client.expire(60.0), ev.TimedOut)
    nacked, odd = client.receive(p.GenericNack(sequence=sequence).encode(), 61.0)
    assert isinstance(nacked, ev.Nacked)
    assert (nacked.context, nacked.status, nacked.late) == ("part", Status.RUNKNOWNERR, is_late)
    assert isinstance(odd, ev.Odd)
    assert odd.reason == ev.Oddity.NACK_WITHOUT_STATUS
    assert client.outstanding == 0


REQUESTS = [
    (esme, request)
    for request in (
        p.SubmitSm(),
        p.SubmitMulti(destinations=(Destination(1, 1, b"33600000001"),)),
        p.DataSm(),
        p.QuerySm(b"7"),
        p.CancelSm(message_id=b"7"),
        p.ReplaceSm(message_id=b"7"),
        p.BroadcastSm(),
        p.QueryBroadcastSm(),
        p.CancelBroadcastSm(),
    )
] + [(smsc, request) for request in (p.DeliverSm(), p.DataSm())]


@pytest.mark.parametrize("status", [0, int(Status.RTHROTTLED)])
@pytest.mark.parametrize(("side", "request_pdu"), REQUESTS, ids=lambda value: getattr(value, "name", ""))
def test_an_answer_of_any_kind_that_comes_late_is_told_as_late(side: Any, request_pdu: p.Request, status: int) -> None:
    session = side()
    sequence = session.request(request_pdu, "part", 0.0)
    only(session.expire(60.0), ev.TimedOut)
    wrong = p.QuerySmResp if request_pdu.command_id != CommandId.QUERY_SM else p.DataSmResp
    odd = only(session.receive(wrong(sequence=sequence, status=8).encode(), 61.0), ev.Odd)
    assert odd.reason == ev.Oddity.UNEXPECTED_RESPONSE
    response = p.RESPONSES[request_pdu.command_id](sequence=sequence, status=status)
    late = only(session.receive(response.encode(), 61.0), ev.AnsweredLate)
    assert (late.context, late.status) == ("part", status)
    again = only(session.receive(response.encode(), 61.0), ev.Odd)
    assert again.reason == ev.Oddity.UNEXPECTED_RESPONSE


@pytest.mark.parametrize("kind", [p.BindTransceiverResp, p.GenericNack])
@pytest.mark.parametrize("status", [0, int(Status.RINVPASWD)])
def test_a_bind_is_refused_once_however_late_its_answer_comes(kind: type[p.Response], status: int) -> None:
    client = esme(None)
    sequence = client.bind(Mode.TRX, b"us", b"pw", 0.0)
    assert only(client.expire(30.0), ev.BindRefused).status is None
    events = client.receive(kind(sequence=sequence, status=status).encode(), 31.0)
    assert not any(isinstance(event, ev.BindRefused | ev.Bound) for event in events)
    assert not client.bound
    assert client.reason == ev.Reason.BIND_TIMEOUT


@pytest.mark.parametrize("kind", [p.UnbindResp, p.GenericNack])
def test_the_end_by_unbind_is_told_once(kind: type[p.Response]) -> None:
    client = esme()
    client.unbind(0.0)
    (unbind,) = written(client)
    answer = kind(sequence=unbind.sequence, status=0 if kind is p.UnbindResp else 3).encode()
    events = client.receive(answer * 2, 1.0)
    assert sum(isinstance(event, ev.Unbound) for event in events) == 1
    assert client.reason == ev.Reason.UNBOUND


def test_the_late_table_is_bounded() -> None:
    client = esme(late_max=3, timeouts_max=1000, timers=Timers(enquire_link_s=0, inactivity_s=0))
    sequences = [client.submit(submit_pdu(), number, 0.0) for number in range(10)]
    client.expire(60.0)
    kinds = [type(client.receive(p.SubmitSmResp(b"1", sequence=s).encode(), 61.0)[0]) for s in sequences]
    assert kinds == [ev.Odd] * 7 + [ev.AnsweredLate] * 3


def test_silence_is_asked_about_twice_and_then_the_link_is_dead() -> None:
    client = esme()
    assert client.deadline == 30.0
    for now in (30.0, 60.0):
        assert client.expire(now) == []
        assert [type(pdu) for pdu in written(client)] == [p.EnquireLink]
    assert client.deadline == 90.0
    client.expire(90.0)
    assert client.closing
    assert client.reason == ev.Reason.LINK_DEAD


@pytest.mark.parametrize(
    "sign",
    [p.EnquireLinkResp(sequence=2), p.EnquireLinkResp(sequence=2, status=8), p.EnquireLink(sequence=7), deliver_pdu(7)],
)
def test_any_pdu_is_a_sign_of_life(sign: p.Pdu) -> None:
    client = esme()
    client.expire(30.0)
    client.expire(60.0)
    octets = struct.pack(">IIII", 16, sign.command_id, sign.status, sign.sequence) if sign.status else sign.encode()
    assert not [event for event in client.receive(octets, 89.0) if isinstance(event, ev.Odd)]
    assert client.deadline == 119.0
    client.expire(119.0)
    assert not client.closing


def test_the_round_trip_of_an_enquire_link_is_told_once() -> None:
    client = esme()
    client.expire(30.0)
    (asked,) = written(client)
    octets = p.EnquireLinkResp(sequence=asked.sequence, status=8).encode()
    assert only(client.receive(octets, 30.25), ev.EnquiryAnswered).round_trip_s == 0.25
    assert only(client.receive(octets, 30.5), ev.Odd).reason == ev.Oddity.UNEXPECTED_RESPONSE
    client.expire(61.0)
    client.expire(92.0)
    first, second = written(client)
    assert (
        client.receive(p.EnquireLinkResp(sequence=first.sequence).encode(), 93.0) == []
    )  # of which of them, who knows
    only(client.receive(p.EnquireLinkResp(sequence=second.sequence).encode(), 93.0), ev.EnquiryAnswered)


def test_timers_can_be_changed_while_it_runs() -> None:
    client = esme()
    assert client.deadline == 30.0
    client.set_timers(Timers(enquire_link_s=5, response_s=3))
    assert client.deadline == 5.0
    client.submit(submit_pdu(), "part", 1.0)
    assert client.deadline == 4.0


def test_an_smsc_can_leave_enquire_link_unanswered() -> None:
    server = smsc()
    server.answers_enquire_link = False
    server.receive(p.EnquireLink(sequence=7).encode(), 0.0)
    assert server.take() == b""


def test_enquire_link_is_answered_in_every_state_even_with_unanswered_requests() -> None:
    client = esme(unanswered_max=1)
    client.receive(deliver_pdu(1).encode() + p.EnquireLink(sequence=2).encode(), 0.0)
    assert written(client) == [p.EnquireLinkResp(sequence=2)]


def test_without_enquire_link_an_inactive_session_closes() -> None:
    server = smsc(timers=Timers(enquire_link_s=0))
    assert server.deadline == 300.0
    server.expire(300.0)
    assert server.reason == ev.Reason.INACTIVE


def test_a_pdu_that_is_never_completed_closes_the_session_even_when_it_dribbles() -> None:
    server = smsc()
    octets = submit_pdu(5).encode()
    for number in range(10):
        server.receive(octets[number : number + 1], float(number))
    assert server.deadline == 10.0
    server.expire(9.9)
    assert not server.closing
    server.expire(10.0)
    assert server.reason == ev.Reason.PARTIAL_PDU_TIMEOUT


def test_the_timer_of_a_partial_pdu_starts_with_that_pdu() -> None:
    server = smsc()
    octets = submit_pdu(5).encode()
    server.receive(octets[:5], 0.0)
    server.receive(octets[5:] + submit_pdu(6).encode()[:5], 9.0)
    assert server.deadline == 19.0


def test_zero_disables_a_timer() -> None:
    off = Timers(bind_s=0, session_init_s=0, response_s=0, enquire_link_s=0, inactivity_s=0, partial_pdu_s=0)
    assert Session(Settings(Role.SMSC, timers=off), 0.0).deadline is None
    client = esme(timers=off)
    client.submit(submit_pdu(), 1, 0.0)
    client.receive(b"\0\0", 0.0)
    assert client.deadline is None
    assert client.expire(1e9) == []
    assert not client.closing


# -- ending


def test_unbind_drains_both_directions_then_closes() -> None:
    client = esme()
    sequence = client.submit(submit_pdu(), "part", 0.0)
    client.receive(deliver_pdu(8).encode(), 0.0)
    client.take()
    client.unbind(1.0)
    with pytest.raises(StateError, match="ending"):
        client.submit(submit_pdu(), 2, 1.0)
    assert (client.take(), client.free, client.bound) == (b"", 0, False)
    client.receive(p.SubmitSmResp(b"1", sequence=sequence).encode(), 2.0)
    assert client.take() == b""
    client.answer(8)
    first, second = written(client)
    assert [type(first), type(second)] == [p.DeliverSmResp, p.Unbind]
    assert only(client.receive(p.UnbindResp(sequence=second.sequence).encode(), 3.0), ev.Unbound).by_peer is False
    assert client.closing
    assert client.reason == ev.Reason.UNBOUND
    assert client.state is State.UNBOUND
    closed = only(client.lost(3.0), ev.Closed)
    assert (closed.reason, closed.outstanding, closed.unsent) == ("unbound", [], [])


def test_unbind_does_not_wait_for_ever() -> None:
    client = esme()
    client.submit(submit_pdu(), "part", 0.0)
    client.take()
    client.unbind(1.0)
    assert client.deadline == 11.0
    client.expire(11.0)
    assert [type(pdu) for pdu in written(client)] == [p.Unbind]
    assert client.deadline == 21.0
    client.expire(21.0)
    assert client.reason == ev.Reason.UNBIND_TIMEOUT
    assert only(client.lost(21.0), ev.Closed).outstanding == ["part"]


def test_the_peer_s_unbind_is_answered_when_what_is_due_has_come() -> None:
    client = esme()
    sequence = client.submit(submit_pdu(), "part", 0.0)
    client.take()
    assert only(client.receive(p.Unbind(sequence=5).encode(), 1.0), ev.Unbound).by_peer is True
    assert (client.take(), client.closing, client.free) == (b"", False, 0)
    client.receive(p.SubmitSmResp(b"1", sequence=sequence).encode(), 2.0)
    assert written(client) == [p.UnbindResp(sequence=5)]
    assert client.closing
    assert client.reason == ev.Reason.UNBOUND_BY_PEER


def test_the_peer_s_unbind_is_answered_at_the_latest_after_its_timer() -> None:
    client = esme()
    client.submit(submit_pdu(), "part", 0.0)
    client.take()
    client.receive(p.Unbind(sequence=5).encode(), 1.0)
    assert client.deadline == 3.0
    client.expire(3.0)
    assert written(client) == [p.UnbindResp(sequence=5)]
    assert only(client.lost(3.0), ev.Closed).outstanding == ["part"]


def test_both_sides_may_unbind_at_once() -> None:
    client, server = esme(), smsc()
    client.unbind(0.0)
    server.unbind(0.0)
    to_server, to_client = client.take(), server.take()
    client.receive(to_client, 0.0)
    server.receive(to_server, 0.0)
    to_server, to_client = client.take(), server.take()
    only(client.receive(to_client, 0.0), ev.Unbound)
    only(server.receive(to_server, 0.0), ev.Unbound)
    assert client.reason == server.reason == ev.Reason.UNBOUND


@pytest.mark.parametrize(
    ("session", "request_pdu", "status"),
    [
        (esme, deliver_pdu(6), Status.RX_T_APPN),
        (smsc, submit_pdu(6), Status.RINVBNDSTS),
    ],
)
def test_requests_behind_an_unbind_are_refused_so_that_they_come_again(
    session: Any, request_pdu: p.Request, status: int
) -> None:
    ours = session()
    ours.unbind(0.0)
    ours.take()
    assert only(ours.receive(request_pdu.encode(), 0.0), ev.Odd).reason == ev.Oddity.ENDING
    assert [(pdu.sequence, pdu.status) for pdu in written(ours)] == [(6, status)]
    theirs = session()
    events = theirs.receive(p.Unbind(sequence=5).encode() + request_pdu.encode(), 0.0)
    assert [type(event) for event in events] == [ev.Unbound, ev.Odd]
    assert [(pdu.sequence, pdu.status) for pdu in written(theirs)] == [(6, status), (5, 0)]


def test_unbind_before_a_bind_just_closes() -> None:
    session = esme(None)
    session.unbind(0.0)
    assert session.closing
    assert session.take() == b""


@pytest.mark.parametrize(
    ("kept_back", "in_doubt", "not_sent"),
    [
        # The kernel got this many octets less than the three PDUs that were taken; the fourth was not taken.
        (0, [0, 1, 2], [3]),
        (1, [0, 1], [2, 3]),
        (SUBMIT_SIZE, [0, 1], [2, 3]),
        (SUBMIT_SIZE + 1, [0], [1, 2, 3]),
        (3 * SUBMIT_SIZE, [], [0, 1, 2, 3]),
    ],
)
def test_a_lost_transport_tells_what_is_in_doubt_and_what_never_left(
    kept_back: int, in_doubt: list[int], not_sent: list[int]
) -> None:
    client = esme()
    for number in range(3):
        client.submit(submit_pdu(), number, 0.0)
    client.take()
    client.submit(submit_pdu(), 3, 0.0)
    closed = only(client.lost(1.0, unsent=kept_back), ev.Closed)
    assert (closed.outstanding, closed.unsent) == (in_doubt, not_sent)
    assert closed.reason == ev.Reason.TRANSPORT_LOST
    assert client.state is State.CLOSED


def test_after_the_end_nothing_happens() -> None:
    client = esme()
    client.submit(submit_pdu(), 3, 0.0)
    only(client.lost(1.0), ev.Closed)
    assert client.lost(1.0) == []
    assert client.receive(submit_pdu(5).encode(), 2.0) == []
    assert client.expire(1e6) == []
    assert client.answer_submit(1) is False
    assert client.take() == b""
    assert (client.outstanding, client.free, client.deadline) == (0, 0, None)
    with pytest.raises(StateError):
        client.submit(submit_pdu(), 4, 2.0)


def test_answers_that_come_while_closing_still_count() -> None:
    client = esme()
    sequence = client.submit(submit_pdu(), "part", 0.0)
    client.close()
    assert client.closing
    assert client.reason == "closed by us"
    octets = deliver_pdu(8).encode() + p.SubmitSmResp(b"1", sequence=sequence).encode()
    only(client.receive(octets, 0.0), ev.Answered)


def test_an_answer_after_the_end_is_not_an_error() -> None:
    server = smsc()
    server.receive(submit_pdu(5).encode(), 0.0)
    server.lost(1.0)
    assert server.answer_submit(5, 0, b"77") is False
    assert server.answer(5) is False
    assert server.nack(5, 8) is False
    assert server.answer_bind(5) is False


# -- limits


@pytest.mark.parametrize(
    ("session", "make", "status"),
    [(smsc, submit_pdu, Status.RTHROTTLED), (esme, deliver_pdu, Status.RX_T_APPN)],
)
def test_too_many_unanswered_requests_are_refused_for_later(session: Any, make: Any, status: int) -> None:
    ours = session(unanswered_max=3)
    events = ours.receive(b"".join(make(number).encode() for number in range(1, 6)), 0.0)
    assert [type(event) for event in events] == [ev.Received] * 3 + [ev.Odd] * 2
    assert [(pdu.sequence, pdu.status) for pdu in written(ours)] == [(4, status), (5, status)]
    assert ours.unanswered == 3
    ours.answer(2)
    only(ours.receive(make(6).encode(), 0.0), ev.Received)


STRANGE = [0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF]


@pytest.mark.parametrize("sequence", STRANGE)
@pytest.mark.parametrize(("side", "request_pdu"), REQUESTS, ids=lambda value: getattr(value, "name", ""))
def test_a_request_is_taken_and_answered_under_any_number_and_as_often_as_it_comes(
    side: Any, request_pdu: p.Request, sequence: int
) -> None:
    """Some carriers give all their deliver_sm the number 0, or one and the same."""
    session = smsc() if side is esme else esme()
    request_pdu.sequence = sequence
    events = session.receive(request_pdu.encode() * 10, 0.0)
    request_pdu.sequence = 0
    assert sum(isinstance(event, ev.Received) for event in events) == 10
    reasons = {event.reason for event in events if isinstance(event, ev.Odd)}
    assert reasons == {ev.Oddity.SEQUENCE_REPEATED} | ({ev.Oddity.SEQUENCE_ZERO} if not sequence else set())
    assert session.unanswered == 10
    for _ in range(10):
        assert session.answer(sequence, Status.RSYSERR)
    answers = written(session)
    response_id = request_pdu.command_id | RESPONSE_BIT
    assert [(pdu.command_id, pdu.sequence, pdu.status) for pdu in answers] == [(response_id, sequence, 8)] * 10
    assert session.unanswered == 0
    with pytest.raises(StateError):
        session.answer(sequence)


def test_requests_of_two_kinds_under_one_number_each_get_their_own_kind_of_answer() -> None:
    client = esme()
    octets = deliver_pdu(0).encode() + p.DataSm(sequence=0).encode() + deliver_pdu(0).encode()
    client.receive(octets, 0.0)
    client.answer(0, response=p.DataSmResp(b"7"))
    client.answer(0)
    client.nack(0, 8)
    assert [type(pdu) for pdu in written(client)] == [p.DataSmResp, p.DeliverSmResp, p.GenericNack]


def test_forgetting_leaves_the_others_under_the_same_number() -> None:
    server = smsc()
    server.receive(submit_pdu(5).encode() * 2, 0.0)
    server.forget(5)
    assert server.unanswered == 1
    server.answer_submit(5, 0, b"1")
    server.forget(5)
    assert written(server) == [p.SubmitSmResp(b"1", sequence=5)]


def test_requests_under_one_number_are_no_way_round_the_limit_and_end_with_the_session() -> None:
    client = esme(unanswered_max=3)
    events = client.receive(deliver_pdu(0).encode() * 5, 0.0)
    assert sum(isinstance(event, ev.Received) for event in events) == 3
    assert [pdu.status for pdu in written(client)] == [Status.RX_T_APPN] * 2
    client.unbind(0.0)
    assert client.take() == b""
    for _ in range(3):
        client.answer(0)
    assert [type(pdu) for pdu in written(client)] == [p.DeliverSmResp] * 3 + [p.Unbind]


@pytest.mark.parametrize("sequence", STRANGE)
def test_session_requests_are_answered_under_any_number(sequence: int) -> None:
    server = smsc(None)
    asked = only(server.receive(bind_pdu(Mode.TRX, sequence=sequence).encode(), 0.0), ev.BindRequested)
    assert server.answer_bind(asked.sequence)
    server.receive(p.EnquireLink(sequence=sequence).encode() * 2, 0.0)
    server.receive(p.Unbind(sequence=sequence).encode(), 0.0)
    assert [pdu.sequence for pdu in written(server)] == [sequence] * 4
    assert server.reason == ev.Reason.UNBOUND_BY_PEER


@pytest.mark.parametrize("length", [0, 8, 15, 65537, 0xFFFFFFFF])
def test_a_length_that_cannot_be_is_nacked_and_the_session_closes(length: int) -> None:
    server = smsc()
    good = submit_pdu(5).encode()
    events = server.receive(good + struct.pack(">IIII", length, 4, 0, 6) + good, 0.0)
    only(events, ev.Received)
    assert written(server) == [p.GenericNack(sequence=6, status=Status.RINVCMDLEN)]
    assert server.closing
    assert server.reason == ev.Reason.FRAMING_LOST


def test_http_on_our_port_is_nacked_without_a_sequence() -> None:
    server = smsc(None)
    server.receive(b"GET / HTTP/1.1\r\nHost: example\r\n\r\n", 0.0)
    assert written(server) == [p.GenericNack(sequence=0, status=Status.RINVCMDLEN)]
    assert server.closing


def test_a_peer_that_never_reads_cannot_grow_our_output() -> None:
    server = smsc(pending_max=10_000)
    for number in range(1000):
        server.receive(p.EnquireLink(sequence=number + 1).encode(), 0.0)
    assert server.closing
    assert server.reason == ev.Reason.OVERFLOW
    assert server.pending == 0


def test_many_unreadable_requests_in_a_row_close_the_session() -> None:
    server = smsc(undecodable_max=3)
    bad = struct.pack(">IIII", 17, 4, 0, 6) + b"x"
    server.receive(bad * 2, 0.0)
    server.receive(submit_pdu(5).encode() + bad * 2, 0.0)
    assert not server.closing
    server.receive(bad, 0.0)
    assert server.reason == ev.Reason.UNDECODABLE


def test_a_peer_that_never_answers_enquire_link_but_lives_does_not_grow_us() -> None:
    client = esme()
    for turn in range(1, 1000):
        client.expire(31.0 * turn)
        client.receive(p.EnquireLink(sequence=turn).encode(), 31.0 * turn)
        client.take()
    assert not client.closing
    assert len(client._core.window._reserved) <= 100


def test_for_tests_an_smsc_can_misbehave() -> None:
    server = smsc()
    server.receive(submit_pdu(5).encode() + submit_pdu(6).encode(), 0.0)
    server.forget(5)
    assert server.unanswered == 1
    server.inject(p.SubmitSmResp(b"1", sequence=0).encode())
    assert [pdu.sequence for pdu in written(server)] == [0]


def test_no_event_shows_a_text_a_number_or_a_password() -> None:
    server = smsc(None)
    shown = repr(server.receive(bind_pdu(Mode.TRX).encode(), 0.0))
    server.answer_bind(1)
    shown += repr(server.receive(submit_pdu(5).encode() + struct.pack(">IIII", 25, 4, 0, 6) + b"x336\0hell", 0.0))
    server.deliver(deliver_pdu(), "context with 33600000001", 0.0)
    shown += repr(server.lost(0.0))
    for secret in ("33600000001", "336", "hell", "pw"):
        assert secret not in shown
