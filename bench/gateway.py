"""What a gateway must offer to be measured, and the figures of its first message."""

from __future__ import annotations

import http.client
from abc import ABC, abstractmethod
from pathlib import Path

from instruments import Ask, Sink, Smsc
from processes import HOST, BenchError, Program

# The same for every gateway: unanswered submit_sm on the one bind that each has.
WINDOW = 100
WORDS = "a message of ordinary length, as a shop would send it to a customer"


class Gateway(ABC):
    """One product under test, from an empty folder. `start` before everything else, `stop` in the end."""

    name: str
    # What a call that says "under way", and not how it ended, has in it.
    interim: str

    def __init__(self, folder: Path, smsc: Smsc, sink: Sink) -> None:
        self.folder = folder
        self.smsc = smsc
        self.sink = sink
        self.programs: list[Program] = []

    @staticmethod
    @abstractmethod
    def missing() -> str:
        """Why it cannot be measured on this machine; empty when it can."""

    @abstractmethod
    def start(self) -> dict[str, float]:
        """Starts it with an empty store and binds it to the SMSC; figures of the start, in seconds."""

    @abstractmethod
    def ask(self, kind: str) -> Ask | None:
        """The request of a kind; None when it has no such API.

        plain; receipts: called back with how it ended; reports: also when the carrier has it; bulk: 500 numbers;
        personal: many texts in one request; scheduled: for another day; accounts: in turn from many accounts.
        """

    @abstractmethod
    def settings(self) -> dict[str, str]:
        """What it was run with: versions, durability, window."""

    @property
    def roots(self) -> list[int]:
        """The processes that it was started as."""
        return [program.pid for program in self.programs]

    def check_alive(self) -> None:
        """Raises BenchError when one of its processes has ended."""
        for program in self.programs:
            if not program.alive:
                raise BenchError(f"{program.name} has ended: {program.last_words()}")

    def stop(self) -> None:
        for program in reversed(self.programs):
            program.end()


def fetch(port: int, path: str, body: bytes | None = None, content_type: str = "application/json") -> tuple[int, bytes]:
    """One request to loopback: status and body; status 0 while nobody answers."""
    connection = http.client.HTTPConnection(HOST, port, timeout=5)
    try:
        if body is None:
            connection.request("GET", path)
        else:
            connection.request("POST", path, body, {"Content-Type": content_type})
        answer = connection.getresponse()
        return answer.status, answer.read()
    except (OSError, http.client.HTTPException):
        return 0, b""
    finally:
        connection.close()
