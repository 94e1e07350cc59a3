"""A customer's web server: takes webhooks, remembers them, and may be slow or refuse."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from time import monotonic
from typing import Any
from urllib.parse import parse_qsl, urlsplit


@dataclass(frozen=True, slots=True)
class Hook:
    """One call that came in."""

    method: str
    path: str
    query: dict[str, str]
    content_type: str
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class Receiver:
    """Listens on a free port of loopback.

    status: what it answers. hold(): from now on nobody is answered, until release().
    """

    def __init__(self, status: int = 200) -> None:
        self.status = status
        self.hooks: list[Hook] = []
        self.open_calls = 0
        self._changed = threading.Condition()
        self._released = threading.Event()
        self._released.set()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                receiver._take(self)

            def do_POST(self) -> None:
                receiver._take(self)

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

    def hold(self) -> None:
        self._released.clear()

    def release(self) -> None:
        self._released.set()

    def wait_for(
        self, fits: Callable[[Hook], bool] = lambda hook: True, count: int = 1, timeout_s: float = 60.0
    ) -> list[Hook]:
        """The hooks that fit, in the order they came, once there are `count`."""
        deadline = monotonic() + timeout_s
        with self._changed:
            while True:
                found = [hook for hook in self.hooks if fits(hook)]
                if len(found) >= count:
                    return found
                left = deadline - monotonic()
                assert left > 0, f"{len(found)} of {count} webhooks came within {timeout_s:g} s; in all: {self.hooks}"
                self._changed.wait(left)

    def close(self) -> None:
        self.release()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _take(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers.get("Content-Length", "0")))
        with self._changed:
            self.open_calls += 1
        self._released.wait()
        parts = urlsplit(handler.path)
        hook = Hook(
            handler.command,
            parts.path,
            dict(parse_qsl(parts.query, keep_blank_values=True)),
            handler.headers.get("Content-Type", ""),
            body,
        )
        with self._changed:
            self.open_calls -= 1
            self.hooks.append(hook)
            self._changed.notify_all()
        handler.send_response(self.status)
        handler.send_header("Content-Length", "0")
        handler.end_headers()
