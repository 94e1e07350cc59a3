"""Bounded load by threads that behave like customers' programs, and what they were told."""

from __future__ import annotations

import http.client
import json
import threading
from collections import Counter
from collections.abc import Callable
from time import monotonic

from program import until

CLIENTS = 6
ASK_S = 40.0
BY_SENDER = 400


class Load:
    """Sends `messages` texts at `rate` a second; each has a number, which its text, recipient and report's path bear.

    report_url: where reports go, or empty. again: whether a client asks again, with another connection, until it hears
    yes or no; what it then hears decides. name: part of every text, so that several loads can be told apart.
    """

    def __init__(
        self,
        port: int,
        key: str,
        messages: int,
        rate: float,
        *,
        name: str = "hard",
        report_url: str = "",
        ready: Callable[[], bool] = lambda: True,
        clients: int = CLIENTS,
    ) -> None:
        self.port = port
        self.key = key
        self.messages = messages
        self.rate = rate
        self.name = name
        self.report_url = report_url
        self.accepted: dict[int, int] = {}  # number of the message -> id of its submission
        self.accepted_at: dict[int, float] = {}
        self.refused: list[str] = []
        self.refused_numbers: set[int] = set()
        self.unanswered: set[int] = set()
        self.slowest_s = 0.0
        self._ready = ready
        self._clients = clients
        self._next = 0
        self._began_at = 0.0
        self._lock = threading.Lock()
        self._progress = threading.Condition(self._lock)
        self._stopped = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self) -> Load:
        self._began_at = monotonic()
        self._threads = [threading.Thread(target=self._client) for _ in range(self._clients)]
        for thread in self._threads:
            thread.start()
        return self

    def join(self) -> None:
        """Until every message has been asked for, and answered or not."""
        for thread in self._threads:
            thread.join()

    def stop(self) -> None:
        self._stopped.set()
        self.join()

    def run(self) -> Load:
        self.start()
        self.join()
        return self

    def reached(self, share: float, timeout_s: float = 120.0) -> None:
        """Until so large a share of the messages has been begun."""
        wanted = int(self.messages * share)
        with self._progress:
            assert self._progress.wait_for(lambda: self._next >= wanted, timeout_s), f"only {self._next} were begun"

    def has_begun(self, share: float) -> bool:
        """Whether so large a share of the messages has been begun."""
        return self._next >= int(self.messages * share)

    @property
    def begun(self) -> int:
        return self._next

    @property
    def answers(self) -> Counter[str]:
        return Counter(self.refused)

    def text(self, number: int) -> str:
        return f"{self.name} message {number:05d}"

    def number_of(self, text: str) -> int | None:
        name, _, number = text.partition(" message ")
        return int(number) if name == self.name and number.isdigit() else None

    def sender(self, number: int) -> str:
        return f"{self.name[:8].upper()}{number // BY_SENDER}"

    def to(self, number: int) -> str:
        return f"+3361{number:07d}"

    # -- one client

    def _client(self) -> None:
        pause = threading.Event()
        connection: http.client.HTTPConnection | None = None
        while not self._stopped.is_set():
            with self._progress:
                number = self._next
                if number >= self.messages:
                    break
                self._next += 1
                self._progress.notify_all()
            pause.wait(max(0.0, self._began_at + number / self.rate - monotonic()))  # the pace of the load
            if connection is None:
                connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=ASK_S)
            try:
                self._send(connection, number)
            except (OSError, http.client.HTTPException):
                with self._lock:
                    self.unanswered.add(number)
                connection.close()
                connection = None
                until(lambda: self._ready() or self._stopped.is_set(), "the program to be back", 90.0)
        if connection is not None:
            connection.close()

    def _send(self, connection: http.client.HTTPConnection, number: int) -> None:
        began_at = monotonic()
        wish = {
            "apiKey": self.key,
            "phoneNumbers": self.to(number),
            "message": self.text(number),
            "sender": self.sender(number),
        }
        if self.report_url:
            wish["urlDlr"] = f"{self.report_url}/{self.name}/{number}"
        connection.request("POST", "/v1/send", json.dumps(wish), {"Content-Type": "application/json"})
        response = connection.getresponse()
        answer = json.loads(response.read())
        with self._lock:
            self.slowest_s = max(self.slowest_s, monotonic() - began_at)
            if response.status == 200:
                self.accepted[number] = answer["message_id"]
                self.accepted_at[number] = monotonic()
            else:
                self.refused.append(f"{response.status} {answer.get('code')}")
                self.refused_numbers.add(number)
