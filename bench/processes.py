"""Processes of a run: started here, waited for by what they do, ended by their pid and no other way."""

from __future__ import annotations

import atexit
import os
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from threading import Event

HOST = "127.0.0.1"
END_TIMEOUT_S = 30.0


class BenchError(Exception):
    """A run cannot go on; the message is one sentence."""


class Program:
    """One process with its output in a file; `piped` ones speak over standard input and output instead."""

    def __init__(
        self,
        name: str,
        words: Sequence[str | Path],
        output: Path,
        *,
        piped: bool = False,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self.output = output
        with output.open("ab") as file:
            self.process = subprocess.Popen(
                [str(word) for word in words],
                stdin=subprocess.PIPE if piped else subprocess.DEVNULL,
                stdout=subprocess.PIPE if piped else file,
                stderr=file,
                env=dict(environment) if environment is not None else None,
                start_new_session=True,  # an interrupt of the terminal is ours to pass on, in our order
            )
        self.pid = self.process.pid
        atexit.register(self.end)

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def end(self) -> None:
        """SIGTERM; SIGKILL when that has not ended it in time. Does nothing the second time."""
        atexit.unregister(self.end)
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()
        if self.alive:
            self.process.terminate()
            try:
                self.process.wait(END_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.process.wait()

    def last_words(self) -> str:
        """The last line of its output, for a message about its failure."""
        lines = self.output.read_text(errors="replace").strip().splitlines()
        return lines[-1][:300] if lines else "it said nothing"


def until(condition: Callable[[], object], timeout_s: float, what: str, every_s: float = 0.02) -> None:
    """Returns when the condition holds, asking again and again. Raises BenchError when time is over."""
    if not holds_within(condition, timeout_s, every_s):
        raise BenchError(f"{what}: not within {timeout_s:g} s")


def holds_within(condition: Callable[[], object], timeout_s: float, every_s: float = 0.02) -> bool:
    """Whether the condition comes to hold in time."""
    end = time.monotonic() + timeout_s
    never = Event()
    while not condition():
        if time.monotonic() > end:
            return False
        never.wait(every_s)  # the pace of asking another process
    return True


def pass_time(seconds: float) -> None:
    """Lets a stretch of time pass in which something is observed."""
    Event().wait(seconds)


def accepts_connections(port: int) -> bool:
    try:
        socket.create_connection((HOST, port), 1).close()
    except OSError:
        return False
    return True


def free_ports(count: int) -> list[int]:
    """Ports of loopback that nobody listens on now."""
    held = [socket.create_server((HOST, 0)) for _ in range(count)]
    ports = [int(each.getsockname()[1]) for each in held]
    for each in held:
        each.close()
    return ports


def plain_environment() -> dict[str, str]:
    """Our environment without any setting of Chappe: a run measures what is shipped."""
    return {name: value for name, value in os.environ.items() if not name.startswith("CHAPPE_")}
