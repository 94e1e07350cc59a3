"""Customers' web servers: one that counts the reports it gets, and one that treats its callers badly."""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections import Counter, defaultdict
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from time import monotonic
from typing import Any


class Reports:
    """Counts the reports it gets at /LOAD/NUMBER, by what they say. 200 to everybody."""

    def __init__(self) -> None:
        self.calls = 0
        self._told: defaultdict[str, set[int]] = defaultdict(set)
        self.delivered_at: dict[tuple[str, int], float] = {}
        self.times: Counter[tuple[str, int, str]] = Counter()
        self._lock = threading.Lock()
        reports = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                reports._take(self.path, json.loads(body))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            do_POST = do_GET

            def log_message(self, *_: object) -> None:
                """Says nothing."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 512

            def handle_error(self, *_: object) -> None:
                """A caller that has gone is no trouble of ours."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def told(self, load: str) -> set[int]:
        """The messages of a load whose end was reported."""
        with self._lock:
            return set(self._told[load])

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _take(self, path: str, report: dict[str, Any]) -> None:
        _, load, number = path.split("/", 2)
        status = report["status"]
        with self._lock:
            self.calls += 1
            self.times[load, int(number), status] += 1
            if status == "delivered":
                self._told[load].add(int(number))
                self.delivered_at.setdefault((load, int(number)), monotonic())


class Rude:
    """A web server that treats every caller badly: `behave` is given the connected socket and the end of patience."""

    def __init__(self, behave: Callable[[socket.socket, threading.Event], None]) -> None:
        self.calls = 0
        self._behave = behave
        self._ended = threading.Event()
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=512)
        self._threads: list[threading.Thread] = []
        self._listener = threading.Thread(target=self._listen)
        self._listener.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    def close(self) -> None:
        self._ended.set()
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for thread in [self._listener, *self._threads]:
            thread.join()

    def _listen(self) -> None:
        while not self._ended.is_set():
            try:
                caller, _ = self._socket.accept()
            except OSError:
                return
            self.calls += 1
            thread = threading.Thread(target=self._serve, args=(caller,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, caller: socket.socket) -> None:
        with caller:
            caller.settimeout(10)
            try:
                while not self._ended.is_set() and caller.recv(65_536):
                    self._behave(caller, self._ended)
            except OSError:
                return  # the caller has had enough


def hang(caller: socket.socket, ended: threading.Event) -> None:
    """Never answers."""
    ended.wait(120)


def dribble(caller: socket.socket, ended: threading.Event) -> None:
    """Answers one octet a second: the answer would need minutes."""
    for octet in b"HTTP/1.1 200 OK\r\nContent-Length: 400\r\n\r\n" + bytes(400):
        caller.sendall(bytes([octet]))
        if ended.wait(1.0):
            return


def reset(caller: socket.socket, ended: threading.Event) -> None:
    """Reads the question and resets the connection."""
    caller.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    raise ConnectionAbortedError


def redirect(caller: socket.socket, ended: threading.Event) -> None:
    """Sends every caller to itself, for ever."""
    host, port = caller.getsockname()
    caller.sendall(f"HTTP/1.1 302 Found\r\nLocation: http://{host}:{port}/again\r\nContent-Length: 0\r\n\r\n".encode())
