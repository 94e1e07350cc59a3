"""One running PostgreSQL program as our child: started safely, its words sent to our log, its end known at once."""

from __future__ import annotations

import json
import logging
import os
import re
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from chappe.embedded import exec_postgres
from chappe.embedded.os_user import Identity

LOGGER = logging.getLogger("chappe.postgres")

# What chappe.conf puts before each line: kind of process, its id, SQLSTATE.
LOG_LINE_PREFIX = "%b|%p|%e|"

_LINE = re.compile(
    r"(?:(?P<kind>[a-z ]+)\|(?P<pid>\d+)\|(?P<sqlstate>[0-9A-Z]{5})\|)?.*?"
    r"\b(?P<severity>DEBUG\d?|LOG|INFO|NOTICE|WARNING|ERROR|FATAL|PANIC):\s+(?P<text>.*)"
)
_LEVELS = {
    "LOG": logging.INFO,
    "INFO": logging.INFO,
    "NOTICE": logging.INFO,
    "WARNING": logging.WARNING,
    "ERROR": logging.WARNING,
    "FATAL": logging.ERROR,
    "PANIC": logging.CRITICAL,
}
# FATAL to the client that came too early or too late, which is how readiness is asked for: nothing is wrong.
_NOT_READY = "57P03"
_NOTE = "chappe-launch: note: "
_TAIL_LINES_MAX = 40
_LINE_OCTETS_MAX = 4096
_ENVIRONMENT_KEPT = ("PATH", "LD_LIBRARY_PATH", "TMPDIR")


@dataclass(frozen=True, slots=True)
class LaunchSpec:
    """What launch.py is told: see there. `must_reach` pairs a path with an access mode of os.access."""

    argv: list[str]
    environment: dict[str, str]
    parent_pid: int
    user: str
    uid: int | None
    gid: int
    groups: list[int]
    must_reach: list[tuple[str, int]]
    announce: bool


class Child:
    """A started program; `exited` becomes its exit status (negative: the signal), also when nobody waits.

    Must be made in the main thread: the parent-death signal follows the thread that forked, not the process.
    """

    def __init__(
        self,
        argv: Sequence[str],
        identity: Identity,
        must_reach: Sequence[tuple[Path, int]] = (),
        *,
        is_server: bool,
    ) -> None:
        assert threading.current_thread() is threading.main_thread(), "PostgreSQL must be started in the main thread"
        spec = LaunchSpec(
            argv=list(argv),
            environment={name: os.environ[name] for name in _ENVIRONMENT_KEPT if name in os.environ} | {"LC_ALL": "C"},
            parent_pid=os.getpid(),
            user=identity.name,
            uid=identity.uid if identity.changes else None,
            gid=identity.gid,
            groups=list(identity.groups),
            must_reach=[(str(path), mode) for path, mode in must_reach],
            announce=is_server,
        )
        self.exited: Future[int] = Future()
        self.exited.set_running_or_notify_cancel()
        self._tail: deque[str] = deque(maxlen=_TAIL_LINES_MAX)
        self._log = _ServerLog() if is_server else None
        # A session of its own: Ctrl-C in the terminal must stop us first, and PostgreSQL when we are done with it.
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", exec_postgres.__file__, json.dumps(asdict(spec))],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        assert self._process.stdout is not None
        # Threads, not the event loop: a busy loop must never let the pipe fill up, since a full pipe stops PostgreSQL.
        self._reader = threading.Thread(target=self._read, args=(self._process.stdout,), daemon=True)
        self._reader.start()
        threading.Thread(target=self._wait, daemon=True).start()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return not self.exited.done()

    def signal(self, number: signal.Signals) -> None:
        """Sends a signal, unless the program has ended."""
        self._process.send_signal(number)

    def words(self, wait_s: float = 1.0) -> list[str]:
        """The last lines it wrote; waits briefly for the rest of them if it has ended."""
        if not self.alive:
            self._reader.join(wait_s)
        return list(self._tail)

    def _read(self, stream: IO[bytes]) -> None:
        with stream:
            while line := stream.readline(_LINE_OCTETS_MAX):
                text = line.decode("utf-8", "replace").rstrip("\r\n")
                if text.startswith(_NOTE):
                    LOGGER.info("%s", text.removeprefix(_NOTE))
                elif text:
                    self._tail.append(text)
                    if self._log is not None:
                        self._log.write(text)

    def _wait(self) -> None:
        self.exited.set_result(self._process.wait())


class _ServerLog:
    """Lines of PostgreSQL -> records of our log, without what a customer may have written.

    The message of a failed statement may quote a value (`invalid input syntax for type bigint: "..."`), and the client
    has it as an exception anyway: of these, only the SQLSTATE is logged, at debug level.
    """

    def __init__(self) -> None:
        self._skips_continuation = False

    def write(self, line: str) -> None:
        if line.startswith("\t"):
            if not self._skips_continuation:
                LOGGER.info("%s", line.strip())
            return
        match = _LINE.match(line)
        if match is None:
            self._skips_continuation = False
            LOGGER.warning("%s", line)
            return
        severity = match["severity"]
        of_client = match["kind"] == "client backend" and severity in ("WARNING", "NOTICE", "ERROR")
        self._skips_continuation = of_client or match["sqlstate"] == _NOT_READY
        if self._skips_continuation:
            LOGGER.debug("a client was answered", extra={"severity": severity, "sqlstate": match["sqlstate"]})
        else:
            LOGGER.log(_LEVELS.get(severity, logging.DEBUG), "%s", match["text"])
