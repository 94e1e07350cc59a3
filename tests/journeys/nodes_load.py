"""Customers of several nodes behind a load balancer, the phones that their messages reach, and what both have seen."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import select
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from time import monotonic, time
from typing import Any

from program import ask

CLIENTS = 100  # as many as may wait for a node that has just gone silent
CHECK_S = 0.5  # how often the balancer asks /readyz
CHECK_TIMEOUT_S = 2.0
CONNECT_S = 3.0
ANSWER_S = 50.0  # how long a customer waits for an answer
HARVEST_S = 0.2
HARVEST_MAX = 1000  # of one answer of the phones


@dataclass
class Seen:
    """What customers were told. Times are seconds since 1970, as those of the phones."""

    accepted: dict[int, int] = field(default_factory=dict)  # number of the message -> id of its submission
    unclear: dict[int, str] = field(default_factory=dict)  # number -> what came instead of a yes
    accepted_at: list[float] = field(default_factory=list)
    answers: list[tuple[float, float, int]] = field(default_factory=list)  # began, ended, status (0: none)
    asked: int = 0


class Balancer:
    """Which nodes are ready, as /readyz told within the last moments."""

    def __init__(self, urls: Sequence[str]) -> None:
        self.urls = tuple(urls)
        self.ready: dict[str, bool] = dict.fromkeys(urls, False)
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._check, args=(url,), daemon=True) for url in urls]
        for thread in self._threads:
            thread.start()

    def choose(self, number: int) -> str | None:
        """A node that is ready, by turns; None when there is none."""
        ready = [url for url in self.urls if self.ready[url]]
        return ready[number % len(ready)] if ready else None

    def close(self) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def _check(self, url: str) -> None:
        host, _, port = url.removeprefix("http://").partition(":")
        while not self._ended.wait(CHECK_S):
            connection = http.client.HTTPConnection(host, int(port), timeout=CHECK_TIMEOUT_S)
            try:
                connection.request("GET", "/readyz")
                self.ready[url] = connection.getresponse().status == 200
            except (OSError, http.client.HTTPException):
                self.ready[url] = False
            finally:
                connection.close()


class Load:
    """Messages at a steady rate until stop(), each asked for once: what may have been accepted is not asked again."""

    def __init__(self, balancer: Balancer, key: str, rate: float) -> None:
        self.seen = Seen()
        self._balancer = balancer
        self._key = key
        self._rate = rate
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._began_at = monotonic()
        self._threads = [threading.Thread(target=self._client, daemon=True) for _ in range(CLIENTS)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def _client(self) -> None:
        connections: dict[str, http.client.HTTPConnection] = {}
        while not self._ended.is_set():
            with self._lock:
                number = self.seen.asked
                self.seen.asked += 1
            self._ended.wait(max(0.0, self._began_at + number / self._rate - monotonic()))  # the pace of the load
            while not self._ended.is_set() and not self._ask(connections, number):
                self._ended.wait(0.1)  # nobody is ready, or who was is not there: the pace of looking again
        for connection in connections.values():
            connection.close()

    def _ask(self, connections: dict[str, http.client.HTTPConnection], number: int) -> bool:
        """Whether the message has come to something; False when no node has seen it."""
        url = self._balancer.choose(number)
        if url is None:
            return False
        connection = connections.pop(url, None)
        if connection is not None and select.select([connection.sock], [], [], 0)[0]:  # closed from the other side
            connection.close()
            connection = None
        if connection is None:
            host, _, port = url.removeprefix("http://").partition(":")
            connection = http.client.HTTPConnection(host, int(port), timeout=CONNECT_S)
            try:
                connection.connect()
            except OSError:
                connection.close()
                return False
            connection.sock.settimeout(ANSWER_S)
        began = time()
        body = json.dumps(
            {"apiKey": self._key, "phoneNumbers": to(number), "message": text(number), "sender": "NODES"}
        ).encode()
        try:
            connection.request("POST", "/v1/send", body, {"Content-Type": "application/json"})
            response = connection.getresponse()
            answer = json.loads(response.read())
            status, code = response.status, answer.get("code")
        except (OSError, http.client.HTTPException, ValueError) as error:
            status, code, answer = 0, type(error).__name__, {}
        if status and not connection.sock:
            connection.close()
        elif status:
            connections[url] = connection
        else:
            connection.close()
        with self._lock:
            ended = time()
            self.seen.answers.append((began, ended, status))
            if status == 200:
                self.seen.accepted[number] = answer["message_id"]
                self.seen.accepted_at.append(ended)
            else:
                self.seen.unclear[number] = f"{status} {code}"
        return True


class Harvest:
    """Everything that the phones show, taken while it comes: they forget what is old."""

    def __init__(self, url: str) -> None:
        self.shown: Counter[str] = Counter()
        self.shown_at: list[float] = []
        self.trouble = ""
        self._url = url
        self._last = -1
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.wait(HARVEST_S):
            with contextlib.suppress(OSError, http.client.HTTPException):  # the carrier is cut off: asked again
                self._take()

    def _take(self) -> None:
        after = f"&after={self._last}" if self._last >= 0 else ""
        answer = ask(f"{self._url}/handset/messages?limit={HARVEST_MAX}{after}")
        found: list[dict[str, Any]] = answer.json()
        if len(found) == HARVEST_MAX:
            self.trouble = "more came at once than one answer of the phones has"
        for message in reversed(found):
            self._last = int(message["id"])
            self.shown_at.append(datetime.fromisoformat(message["received_at"]).timestamp())
            self.shown[message["text"]] += 1  # last: who finds all texts finds all times


def text(number: int) -> str:
    return f"nodes message {number:06d}"


def to(number: int) -> str:
    return f"+3361{number:07d}"


def longest_gap_s(times: Sequence[float], began: float, ended: float) -> float:
    """The longest time within which nothing happened."""
    inside = [began, *sorted(at for at in times if began < at < ended), ended]
    return round(max(later - earlier for earlier, later in itertools.pairwise(inside)), 1)
