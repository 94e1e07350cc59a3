"""The tools do what the figures rest on: each request once, at its time, and an SMSC that keeps to the protocol."""

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import pytest
from instruments import NUMBERS_PER_RUN, Ask, Load, Sink, Smsc, load
from processes import free_ports, holds_within
from records import columns

FIRST = NUMBERS_PER_RUN
BIND_TRANSCEIVER, SUBMIT_SM, DELIVER_SM, ENQUIRE_LINK, RESPONSE = 0x9, 0x4, 0x5, 0x15, 0x80000000


@pytest.fixture
def sink(tools: Path, tmp_path: Path) -> Iterator[Sink]:
    made = Sink(tools, tmp_path, "waiting")
    yield made
    made.end()


@pytest.fixture
def smsc(tools: Path, tmp_path: Path) -> Iterator[Smsc]:
    made = Smsc(tools, tmp_path)
    yield made
    made.end()


def test_each_number_is_asked_once(tools: Path, tmp_path: Path, sink: Sink) -> None:
    ask = Ask(sink.port, "POST /r/@id@ HTTP/1.1\nHost: localhost\n\n{}", status=200, expect="OK")
    said, asked = load(tools, tmp_path, ask, Load(7, 500), FIRST)
    assert (said["asked"], said["accepted"], said["refused"], said["broken"]) == (500, 500, 0, 0)
    wanted = list(range(FIRST, FIRST + 500))
    assert sorted(columns(asked, 6)[0]) == wanted
    assert sorted(columns(sink.records(0), 3)[0]) == wanted


def test_an_answer_without_what_is_expected_is_a_refusal(tools: Path, tmp_path: Path, sink: Sink) -> None:
    ask = Ask(sink.port, "GET /r/@id@ HTTP/1.1\nHost: localhost\n\n", expect="success")
    said, _ = load(tools, tmp_path, ask, Load(2, 10), FIRST)
    assert (said["accepted"], said["refused"]) == (0, 10)
    assert said["first_refusal"] == "status 200: OK"


def test_requests_at_a_rate_are_due_at_its_beat(tools: Path, tmp_path: Path, sink: Sink) -> None:
    ask = Ask(sink.port, "GET /r/@id@ HTTP/1.1\nHost: localhost\n\n")
    _, asked = load(tools, tmp_path, ask, Load(5, 200, rate=1000.0), FIRST)
    due, sent = columns(asked, 6)[1], columns(asked, 6)[2]
    ordered = sorted(due)
    assert {b - a for a, b in pairwise(ordered)} <= {999_999, 1_000_000, 1_000_001}
    assert all(at >= when for when, at in zip(due, sent, strict=True))


def test_nobody_there_ends_the_load(tools: Path, tmp_path: Path) -> None:
    ask = Ask(free_ports(1)[0], "GET / HTTP/1.1\nHost: localhost\n\n")
    said, _ = load(tools, tmp_path, ask, Load(3, 10), FIRST)
    assert (said["asked"], said["accepted"]) == (0, 0)


def test_marks_are_replaced_for_each_recipient(tools: Path, tmp_path: Path) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        server.settimeout(5)
        template = "POST / HTTP/1.1\nHost: localhost\n\n@id@ @turn@ a@b [@each@<@to@ @id@>@end@]"
        ask = Ask(server.getsockname()[1], template, recipients=2, cycle=7)
        heard: list[bytes] = []

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                heard.append(connection.recv(65536))
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

        answering = threading.Thread(target=answer)
        answering.start()
        said, _ = load(tools, tmp_path, ask, Load(1, 1), FIRST + 5)
        answering.join()
    head, _, body = heard[0].partition(b"\r\n\r\n")
    assert body == b"000010000005 000001 a@b [<33610901695 000010000005>,<33617082034 000010000006>]"
    assert b"Content-Length: %d" % len(body) in head
    assert said["accepted"] == 2


def test_interim_calls_are_told_from_final_ones(sink: Sink) -> None:
    with socket.create_connection(("127.0.0.1", sink.port), 5) as customer:
        for body in (b'{"status":"waiting"}', b'{"status":"delivered"}'):
            head = b"POST /r/42/x HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(body)
            customer.sendall(head)
            customer.sendall(body)
            assert customer.recv(1024).startswith(b"HTTP/1.1 200")
    assert (sink.calls, sink.final_calls) == (2, 1)
    numbers, _, interim = columns(sink.records(0), 3)
    assert (list(numbers), list(interim)) == ([42, 42], [1, 0])


class Client:
    """A bind that says what it is told to."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), 5)
        self.say(BIND_TRANSCEIVER, 1, b"me\0pw\0\0\x34\0\0\0")
        assert self.hear()[:3] == (BIND_TRANSCEIVER | RESPONSE, 0, 1)

    def say(self, command: int, sequence: int, body: bytes = b"", status: int = 0) -> None:
        self.socket.sendall(struct.pack(">IIII", 16 + len(body), command, status, sequence) + body)

    def hear(self) -> tuple[int, int, int, bytes]:
        length, command, status, sequence = struct.unpack(">IIII", self._exactly(16))
        return command, status, sequence, self._exactly(length - 16)

    def _exactly(self, count: int) -> bytes:
        read = b""
        while len(read) < count:
            read += self.socket.recv(count - len(read)) or pytest.fail("the SMSC has closed")
        return read

    def submit(self, sequence: int, text: bytes) -> bytes:
        body = b"\0\x01\x0136111\0\x01\x0133610000042\0\0\0\0\0\0\x01\0\0\0" + bytes([len(text)]) + text
        self.say(SUBMIT_SM, sequence, body)
        command, status, answered, id = self.hear()
        assert (command, status, answered) == (SUBMIT_SM | RESPONSE, 0, sequence)
        return id.rstrip(b"\0")


@pytest.fixture
def bind(smsc: Smsc) -> Iterator[Callable[[], Client]]:
    made: list[Client] = []

    def connect() -> Client:
        made.append(Client(smsc.port))
        return made[-1]

    yield connect
    for client in made:
        client.socket.close()


def test_the_smsc_answers_and_records(smsc: Smsc, bind: Callable[[], Client]) -> None:
    client = bind()
    client.say(ENQUIRE_LINK, 2)
    assert client.hear() == (ENQUIRE_LINK | RESPONSE, 0, 2, b"")
    assert client.submit(3, b"000010000042 hello") != client.submit(4, b"000010000043 hello")
    numbers, to, submitted, answered, receipt, _ = columns(smsc.records(0), 6)
    assert list(numbers) == [10_000_042, 10_000_043]
    assert list(to) == [33_610_000_042] * 2
    assert all(0 < a <= b for a, b in zip(submitted, answered, strict=True))
    assert list(receipt) == [0, 0]


def test_ids_of_the_smsc_are_hexadecimal_and_in_no_order(bind: Callable[[], Client]) -> None:
    client = bind()
    ids = [client.submit(sequence, b"000010000042 hello") for sequence in range(2, 34)]
    assert len(set(ids)) == len(ids)
    assert all(len(id) == 16 and int(id, 16) >= 0 for id in ids)
    assert ids != sorted(ids)
    assert ids != sorted(ids, reverse=True)


def test_an_answer_takes_as_long_as_asked_for(smsc: Smsc, bind: Callable[[], Client]) -> None:
    smsc.set("latency-ms", 30)
    bind().submit(2, b"000010000042 hello")
    _, _, submitted, answered, _, _ = columns(smsc.records(0), 6)
    assert 30_000_000 <= answered[0] - submitted[0] < 1_000_000_000


def test_a_receipt_says_what_became_of_its_message(smsc: Smsc, bind: Callable[[], Client]) -> None:
    smsc.set("receipts", 1)
    smsc.set("receipt-delay-ms", 20)
    client = bind()
    id = client.submit(2, b"000010000042 hello")
    command, _, sequence, body = client.hear()
    assert command == DELIVER_SM
    assert b"id:" + id + b" " in body
    assert b"stat:DELIVRD" in body
    client.say(DELIVER_SM | RESPONSE, sequence, b"\0")
    assert holds_within(lambda: smsc.stats()["receipts_answered"] == 1, 5)


def test_a_receipt_that_was_not_answered_comes_again(smsc: Smsc, bind: Callable[[], Client]) -> None:
    smsc.set("receipts", 1)
    smsc.set("receipt-delay-ms", 0)
    gone = bind()
    id = gone.submit(2, b"000010000042 hello")
    assert gone.hear()[0] == DELIVER_SM
    stays = bind()
    gone.socket.close()
    command, _, _, body = stays.hear()
    assert command == DELIVER_SM
    assert b"id:" + id + b" " in body
