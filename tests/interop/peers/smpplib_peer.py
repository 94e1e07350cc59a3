"""PyPI smpplib as ESME, in a thread since it waits, and its PDUs on a bare socket as an SMSC (it has no server)."""

from __future__ import annotations

import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable
from typing import Any, Self

import smpplib.client
import smpplib.consts
import smpplib.exceptions
import smpplib.gsm
import smpplib.smpp

WAIT_S = 10.0


class SmpplibEsme:
    """A client that waits with a deadline; use it in a thread. `received` and `sent` are what its handlers got."""

    def __init__(self, port: int, tls: ssl.SSLContext | None = None, **bind: Any) -> None:
        self.client = smpplib.client.Client(
            "127.0.0.1", port, timeout=WAIT_S, ssl_context=tls, allow_unknown_opt_params=True
        )
        self.received: list[Any] = []
        self.sent: list[Any] = []
        self.errors: list[int] = []
        self.deliver_status = 0
        self.client.set_message_received_handler(self._received)
        self.client.set_message_sent_handler(lambda pdu: self.sent.append(pdu))
        self.client.set_query_resp_handler(lambda pdu: self.sent.append(pdu))
        self.client.set_error_pdu_handler(lambda pdu: self.errors.append(int(pdu.status)))
        self._bind = {"system_id": "smpplib", "password": "secret", **bind}

    def bind(self, mode: str = "transceiver") -> Any:
        """Connects and binds; gives the answer. Raises PDUError when refused."""
        self.client.connect()
        return getattr(self.client, f"bind_{mode}")(**self._bind)

    def until(self, condition: Callable[[], Any]) -> Any:
        """Reads PDUs until the condition is true. Raises TimeoutError."""
        deadline = time.monotonic() + WAIT_S
        while not condition():
            if time.monotonic() > deadline:
                raise TimeoutError
            self.client.read_once()
        return condition()

    def close(self) -> None:
        """Unbinds, reading past what comes meanwhile, and closes."""
        self.client.send_pdu(smpplib.smpp.make_pdu("unbind", client=self.client))
        while self.client.read_pdu().command != "unbind_resp":
            continue
        self.client.disconnect()

    def _received(self, pdu: Any) -> int:
        self.received.append(pdu)
        return self.deliver_status


class SmpplibSmsc:
    """An SMSC for one connection after the other, made of smpplib's PDUs; in a thread of its own.

    It takes every bind and submit; `submits` are those it read, `answers` the PDUs that answered it.
    """

    def __init__(self, *, password: str = "secret") -> None:
        self.submits: list[Any] = []
        self.answers: list[Any] = []
        self.binds: list[Any] = []
        self._password = password
        self._sequence = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._connection: socket.socket | None = None
        self._thread = threading.Thread(target=self._serve, daemon=True)

    @property
    def sequence(self) -> int:  # smpplib asks its client for numbers
        return self._sequence

    def next_sequence(self) -> int:
        self._sequence += 1
        return self._sequence

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(WAIT_S)
        assert not self._thread.is_alive()

    def send(self, command: str, **fields: Any) -> int:
        """Sends a request to whoever is bound; gives its sequence."""
        pdu = smpplib.smpp.make_pdu(command, client=self, **fields)
        assert self._connection is not None
        self._connection.sendall(pdu.generate())
        return int(pdu.sequence)

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                self._connection = connection
                self._talk(connection)

    def _talk(self, connection: socket.socket) -> None:
        while (length := _exactly(connection, 4)) is not None:
            body = _exactly(connection, struct.unpack(">I", length)[0] - 4)
            if body is None:
                return
            pdu = smpplib.smpp.parse_pdu(length + body, client=self, allow_unknown_opt_params=True)
            if pdu.command.endswith("_resp"):
                self.answers.append(pdu)
                continue
            self._answer(connection, pdu)
            if pdu.command == "unbind":
                return

    def _answer(self, connection: socket.socket, pdu: Any) -> None:
        fields: dict[str, Any] = {}
        status = 0
        if pdu.command.startswith("bind_"):
            self.binds.append(pdu)
            fields["system_id"] = "smpplib"
            if pdu.password != self._password.encode():
                status = smpplib.consts.SMPP_ESME_RINVPASWD
        elif pdu.command == "submit_sm":
            self.submits.append(pdu)
            fields["message_id"] = f"{len(self.submits):x}"
        response = smpplib.smpp.make_pdu(f"{pdu.command}_resp", client=self, status=status, **fields)
        response.sequence = pdu.sequence
        connection.sendall(response.generate())


def _exactly(connection: socket.socket, count: int) -> bytes | None:
    """So many octets, or None when the connection ended."""
    octets = b""
    while len(octets) < count:
        try:
            piece = connection.recv(count - len(octets))
        except OSError:
            return None
        if not piece:
            return None
        octets += piece
    return octets
