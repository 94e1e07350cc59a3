"""The real program as a process: started, asked, watched, killed and stopped; and the phones of its handset.

Used by the journeys and by storm.py. Everything waits for the thing itself, within a limit; nothing sleeps and hopes.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

CHAPPE = Path(sys.executable).parent / "chappe"
READY_S = 60.0
STOP_S = 40.0
ASK_S = 15.0
POLL_S = 0.02
TRACEBACKS_MAX = 5

_PART = re.compile(r"\x00chappe\.[\w.]+\x00([a-z]+)(?:-\d+)?\x00\d+\x00")  # python -m MODULE PART PARENT

T = TypeVar("T")


def until(look: Callable[[], T | None], what: str, timeout_s: float = 60.0) -> T:
    """The first value of `look` that is true; fails, with `what` was waited for, when there is none in time."""
    deadline = monotonic() + timeout_s
    pause = threading.Event()
    while True:
        found = look()
        if found:
            return found
        if monotonic() > deadline:
            raise AssertionError(f"waited {timeout_s:g} s in vain for {what}")
        pause.wait(POLL_S)


def free_port() -> int:
    """A port of loopback that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back over HTTP."""

    status: int
    content_type: str
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    def json(self) -> Any:
        return json.loads(self.body)


def ask(url: str, method: str = "GET", body: bytes | None = None, headers: Mapping[str, str] | None = None) -> Answer:
    """One request over a connection of its own; raises OSError or HTTPException when nobody answers."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=ASK_S)
    try:
        connection.request(method, parts.path + ("?" + parts.query if parts.query else ""), body, dict(headers or {}))
        response = connection.getresponse()
        return Answer(response.status, response.headers.get("Content-Type", ""), response.read())
    finally:
        connection.close()


class Phones:
    """What the handset's phones show and do, by its JSON API at `url`."""

    def __init__(self, url: str) -> None:
        self.url = url

    def messages(self, to: str = "", limit: int = 1000) -> list[dict[str, Any]]:
        """The newest messages first; to: a number in E.164, or everybody."""
        query = f"?limit={limit}" + (f"&to={quote(to)}" if to else "")
        answer = ask(f"{self.url}/handset/messages{query}")
        assert answer.status == 200, answer
        found: list[dict[str, Any]] = answer.json()
        return found

    def wait_for(self, to: str, count: int = 1, timeout_s: float = 60.0) -> list[dict[str, Any]]:
        """The messages of one phone, oldest first, once there are `count`; more than that fails."""

        def there() -> list[dict[str, Any]] | None:
            found = self.messages(to)
            return found if len(found) >= count else None

        found = until(there, f"{count} messages on the phone", timeout_s)
        assert len(found) == count, found
        return found[::-1]

    def clear(self) -> None:
        """Forgets all messages."""
        assert ask(f"{self.url}/handset/messages", "DELETE").status in (200, 204)

    def reply(self, sender: str, to: str, text: str) -> None:
        """Writes an SMS on the phone `sender`."""
        body = json.dumps({"from": sender, "to": to, "text": text}).encode()
        answer = ask(f"{self.url}/handset/replies", "POST", body, {"Content-Type": "application/json"})
        assert answer.status in (200, 201, 202), answer

    @contextlib.contextmanager
    def chaos(self, **switches: Any) -> Iterator[None]:
        """The network misbehaves for as long as the block lasts."""
        body = json.dumps(switches).encode()
        answer = ask(f"{self.url}/handset/chaos", "POST", body, {"Content-Type": "application/json"})
        assert answer.status == 200, answer
        try:
            yield
        finally:
            ask(f"{self.url}/handset/chaos", "DELETE")


class Program:
    """`chappe serve` on a data directory or a database URL, as its operator runs it.

    demo: in demo mode, with phones. start() waits until it is ready; output: what it has printed so far, log included.
    """

    def __init__(
        self,
        data: Path,
        *,
        arguments: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        database_url: str = "",
        host: str = "127.0.0.1",
        demo: bool = False,
    ) -> None:
        self.data = data
        self.port = free_port()
        self.host = host
        self.database_url = database_url
        self.output_path = data.parent / f"{data.name}.out"
        self.errors_path = data.parent / f"{data.name}.err"
        self.process: subprocess.Popen[bytes] | None = None
        self._arguments = [*(["--demo"] if demo else []), *arguments]
        kept = {name: value for name, value in os.environ.items() if not name.startswith("CHAPPE_")}
        self._environment = kept | {"CHAPPE_HANDSET_PORT": "0"} | dict(environment or {})

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def phones(self) -> Phones:
        return Phones(self.url)

    @property
    def where(self) -> list[str]:
        """How a command finds this installation."""
        return ["--database-url", self.database_url] if self.database_url else ["--data", str(self.data)]

    @property
    def output(self) -> str:
        return self.output_path.read_text(errors="replace") if self.output_path.exists() else ""

    @property
    def errors(self) -> str:
        return self.errors_path.read_text(errors="replace") if self.errors_path.exists() else ""

    @property
    def tracebacks(self) -> list[str]:
        """The last line of each traceback in the log: a program that lives through trouble has none."""
        found = []
        inside = False
        for line in self.errors.splitlines():
            if line.startswith("Traceback (most recent call last)"):
                inside = True
            elif inside and not line.startswith(" "):
                found.append(line)
                inside = False
        return found

    def spawn(self) -> None:
        """Starts it and waits for nothing."""
        command = [str(CHAPPE), "serve", "--host", self.host, "--port", str(self.port), *self.where]
        if self.database_url:
            command += ["--data", str(self.data)]
        with self.output_path.open("ab") as output, self.errors_path.open("ab") as errors:
            self.process = subprocess.Popen(
                [*command, *self._arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
                env=self._environment,
                start_new_session=True,
            )

    def start(self) -> Program:
        self.spawn()
        try:
            self.wait_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def wait_ready(self, timeout_s: float = READY_S) -> None:
        """Until /readyz says yes; fails at once when the program has ended."""

        def ready() -> bool:
            assert self.process is not None
            status = self.process.poll()
            assert status is None, f"chappe serve ended with {status}: {self.errors[-3000:]}{self.output[-1000:]}"
            assert len(self.tracebacks) < TRACEBACKS_MAX, f"its parts cannot start: {self.tracebacks}"
            return self.is_ready()

        try:
            until(ready, "chappe serve to be ready", timeout_s)
        except AssertionError as error:
            raise AssertionError(f"{error}; its log ends with: {self.errors[-3000:]}") from None

    def is_ready(self) -> bool:
        """Whether an API process accepts messages at this moment."""
        try:
            return ask(f"{self.url}/readyz").status == 200
        except (OSError, http.client.HTTPException):
            return False

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Ends it as an operator does, and gives its exit status."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"chappe serve did not stop: {self.errors[-3000:]}") from None

    def __enter__(self) -> Program:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    # -- its processes

    def parts(self) -> dict[str, int]:
        """The processes that serve has started, by name: api, work, handset, postgres."""
        assert self.process is not None
        found = {}
        for process_id, command in children(self.process.pid):
            part = _PART.search(command)
            if part is not None:
                found[part[1]] = process_id
            elif "postgres" in command.partition("\x00")[0]:
                found["postgres"] = process_id
        return found

    def kill(self, part: str) -> int:
        """kill -9 of one part, or of the supervisor by the name `serve`; gives the process id that died."""
        assert self.process is not None
        if part == "serve":
            below = descendants(self.process.pid)
            self.process.kill()
            self.process.wait()
            # The children notice by themselves and end in good order; until then they hold the port and the data.
            until(lambda: not any(map(lives, below)), "the children of a killed supervisor to end", 60.0)
            return self.process.pid
        process_id = until(lambda: self.parts().get(part), f"the process {part} to be there", 60.0)
        os.kill(process_id, signal.SIGKILL)
        until(lambda: not lives(process_id), f"{part} to die")
        return process_id

    # -- its commands

    def command(self, *arguments: str, expect: int = 0) -> subprocess.CompletedProcess[str]:
        """One `chappe` command on this installation, in a process of its own."""
        done = subprocess.run(
            [str(CHAPPE), *arguments, *self.where],
            capture_output=True,
            text=True,
            timeout=60,
            env=self._environment,
            stdin=subprocess.DEVNULL,
        )
        assert done.returncode == expect, (arguments[:2], done.returncode, done.stdout, done.stderr)
        return done

    def json(self, *arguments: str) -> Any:
        """What a command prints with --json."""
        return json.loads(self.command(*arguments, "--json").stdout)

    def account(self, login: str, *options: str, balance: str = "100.000") -> str:
        """Makes a transactional account (it sends at any hour) and gives its API key."""
        made = self.json("account", "create", login, "--balance", balance, "--transactional", *options)
        return str(made["api_key"])

    def add_carrier(self, smsc: Smsc, name: str = "operator") -> None:
        """What an operator types to reach a carrier."""
        self.command(
            "carrier", "add", name, "--host", "127.0.0.1", "--port", str(smsc.port),
            "--system-id", "us", "--password", "secret", "--window", "20",
        )  # fmt: skip
        self.command("route", "add", "--carrier", name, "--prefix", "33")

    # -- its database

    async def rows(self, statement: str, *arguments: Any) -> list[dict[str, Any]]:
        """What a statement gives, straight from the database: for what no interface of the program shows."""
        import asyncpg

        from chappe.embedded import server

        async with contextlib.AsyncExitStack() as stack:
            if self.database_url:
                connection = await asyncpg.connect(self.database_url)
            else:
                found = await stack.enter_async_context(server.attach(self.data))
                connection = await asyncpg.connect(**found.arguments())
            try:
                return [dict(row) for row in await connection.fetch(statement, *arguments)]
            finally:
                await connection.close()

    # -- what a customer does

    def send(self, key: str, to: str, text: str, **more: Any) -> Answer:
        """POST /v1/send, as a customer of the first API does."""
        body = json.dumps({"apiKey": key, "phoneNumbers": to, "message": text} | more).encode()
        return ask(f"{self.url}/v1/send", "POST", body, {"Content-Type": "application/json"})


class Smsc:
    """`chappe smsc`: the handset alone, as a carrier of another program."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self._http_port = free_port()
        self._log = folder / f"smsc-{self.port}.out"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def phones(self) -> Phones:
        return Phones(f"http://127.0.0.1:{self._http_port}")

    def __enter__(self) -> Smsc:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("CHAPPE_")}
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [str(CHAPPE), "smsc", "--port", str(self.port), "--http-port", str(self._http_port)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=kept,
                start_new_session=True,
            )
        until(self._answers, f"chappe smsc to answer: {self._log.read_text()}", READY_S)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        self._process.terminate()
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self._log.read_text()
        try:
            return self.phones.messages() == []
        except (OSError, http.client.HTTPException):
            return False


def _stat(process_id: int) -> list[str]:
    """The fields of /proc/PID/stat after the name: state, parent, ...; empty when there is no such process."""
    try:
        return Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def lives(process_id: int) -> bool:
    """Whether a process is there and no zombie."""
    fields = _stat(process_id)
    return bool(fields) and fields[0] != "Z"


def stands_still(process_id: int) -> bool:
    """Whether a process is stopped, or gone."""
    fields = _stat(process_id)
    return not fields or fields[0] in "TZ"


def children(parent: int) -> list[tuple[int, str]]:
    """The living children of a process: id and command line, its words parted by NULs."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        fields = _stat(int(entry.name))
        if fields and fields[0] != "Z" and int(fields[1]) == parent:
            with contextlib.suppress(OSError):
                found.append((int(entry.name), (entry / "cmdline").read_text(errors="replace")))
    return found


def descendants(parent: int) -> list[int]:
    """All processes below a process."""
    found = []
    for process_id, _ in children(parent):
        found += [process_id, *descendants(process_id)]
    return found
