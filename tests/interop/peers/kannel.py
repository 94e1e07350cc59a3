"""Kannel's bearerbox and smsbox as child processes on free ports of the loopback, with a sink for what they report."""

from __future__ import annotations

import asyncio
import shutil
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs, quote_plus, urlencode, urlsplit

WAIT_S = 20.0
_PATH = "/usr/sbin:/usr/bin:/sbin"
_POLL_S = 0.05
_PASSWORD = "adminpass"

Fields = dict[str, str]

_CORE = """
group = core
admin-port = {admin}
admin-interface = 127.0.0.1
admin-password = {password}
admin-deny-ip = "*.*.*.*"
admin-allow-ip = "127.0.0.1"
smsbox-port = {box}
smsbox-interface = 127.0.0.1
box-deny-ip = "*.*.*.*"
box-allow-ip = "127.0.0.1"
log-file = "{folder}/bearerbox.log"
log-level = 0
dlr-storage = internal
sms-resend-freq = 1

{binds}

group = smsbox
bearerbox-host = 127.0.0.1
sendsms-port = {send}
sendsms-interface = 127.0.0.1
log-file = "{folder}/smsbox.log"
log-level = 0

group = sendsms-user
username = tester
password = secret
concatenation = true
max-messages = 10

group = sms-service
keyword = default
catch-all = true
max-messages = 0
get-url = "http://127.0.0.1:{sink}/reply?from=%p&to=%P&text=%b&coding=%c&charset=%C"
"""

_BIND = """
group = smsc
smsc = smpp
smsc-id = peer
host = 127.0.0.1
{port} = {smsc}
smsc-username = kannel
smsc-password = secret
system-type = ""
dest-addr-ton = 1
dest-addr-npi = 1
reconnect-delay = 1
{settings}
"""


class Kannel:
    """`async with Kannel(port_of_smsc, folder) as kannel`; `reports` and `replies` are what it told its customer.

    settings: of the group smsc. Without transceiver-mode it has two such groups, for a TX and an RX bind.
    """

    def __init__(self, smsc_port: int, folder: Path, **settings: str) -> None:
        self._folder = folder
        self._smsc_port = smsc_port
        self._settings = {"transceiver-mode": "true"} | {
            key.replace("_", "-"): value for key, value in settings.items()
        }
        self._processes: list[asyncio.subprocess.Process] = []
        self._news = asyncio.Condition()
        self.reports: list[Fields] = []
        self.replies: list[Fields] = []

    async def __aenter__(self) -> Self:
        self._sink = await asyncio.start_server(self._told, "127.0.0.1", 0)
        self._sink_port: int = self._sink.sockets[0].getsockname()[1]
        self._admin, self._box, self._send = free_ports(3)
        configuration = self._folder / "kannel.conf"
        settings = "\n".join(f"{key} = {value}" for key, value in self._settings.items())
        ports = ["port"] if self._settings["transceiver-mode"] == "true" else ["port", "receive-port"]
        text = _CORE.format(
            admin=self._admin,
            box=self._box,
            send=self._send,
            sink=self._sink_port,
            password=_PASSWORD,
            folder=self._folder,
            binds="".join(_BIND.format(port=port, smsc=self._smsc_port, settings=settings) for port in ports),
        )
        configuration.write_text(text)
        try:
            await self._start("bearerbox", configuration)
            await self.until_status("")
            await self._start("smsbox", configuration)
            await self._until(self._sends)
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        for process in self._processes:
            if process.returncode is None:
                process.kill()
            await process.wait()
        self._sink.close()
        await self._sink.wait_closed()

    async def stop(self) -> None:
        """Ends the bearerbox in good order: it unbinds."""
        self._processes[0].terminate()
        async with asyncio.timeout(WAIT_S):
            await self._processes[0].wait()

    async def send(self, text: bytes | str, **fields: str) -> None:
        """sendsms with a dlr-url to our sink that names all it can. Raises AssertionError unless it is accepted."""
        report = (
            f"http://127.0.0.1:{self._sink_port}/report?status=%d&to=%p&id=%F&key={quote_plus(fields.pop('key', ''))}"
        )
        query = {
            "username": "tester",
            "password": "secret",
            "from": "CHAPPE",
            "to": "33639980001",
            "text": text,
            "charset": "UTF-8",
            "dlr-mask": "31",
            "dlr-url": report,
            **fields,
        }
        status, body = await _get(self._send, "/cgi-bin/sendsms?" + urlencode(query))
        assert status == 202, body

    async def status(self) -> str:
        """The status page of the bearerbox; empty while nobody answers."""
        try:
            return (await _get(self._admin, f"/status.txt?password={_PASSWORD}"))[1]
        except OSError:
            return ""

    async def until_status(self, word: str, count: int = 1) -> None:
        """Waits until the status page has this word so often. Raises TimeoutError."""

        async def says() -> bool:
            page = await self.status()
            return bool(page) and page.count(word) >= count

        await self._until(says)

    async def bound(self, count: int = 1) -> None:
        await self.until_status("(online", count)

    async def logged(self, words: str, count: int = 1) -> None:
        """Waits until the log has these words so often. Raises TimeoutError."""

        async def says() -> bool:
            return self.log().count(words) >= count

        await self._until(says)

    async def told(self, condition: Callable[[], Any]) -> Any:
        """Waits until reports or replies make the condition true, and gives its value. Raises TimeoutError."""
        async with asyncio.timeout(WAIT_S), self._news:
            await self._news.wait_for(condition)
        return condition()

    def finals(self) -> list[Fields]:
        """The reports of phones (1 delivered, 2 undelivered), without those of the SMSC (4, 8, 16)."""
        return [report for report in self.reports if int(report["status"]) & 3]

    def log(self) -> str:
        return (self._folder / "bearerbox.log").read_text(errors="replace")

    # -- inside

    async def _start(self, name: str, configuration: Path) -> None:
        program = shutil.which(name, path=_PATH)
        assert program is not None
        process = await asyncio.create_subprocess_exec(
            program,
            "-v",
            "4",
            str(configuration),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            cwd=self._folder,
        )
        self._processes.append(process)

    async def _sends(self) -> bool:
        """Whether the smsbox serves and the bearerbox knows it."""
        try:
            await _get(self._send, "/")
        except OSError:
            return False
        return "smsbox" in await self.status()

    async def _until(self, true: Callable[[], Any]) -> None:
        async with asyncio.timeout(WAIT_S):
            while not await true():
                assert all(process.returncode is None for process in self._processes), self.log()[-2000:]
                await asyncio.sleep(_POLL_S)  # another process's state has no event to wait for

    async def _told(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request of Kannel's, answered with an empty 200 so that it sends no SMS in turn."""
        head = await reader.readuntil(b"\r\n\r\n")
        url = urlsplit(head.split(b" ")[1].decode())
        fields = {
            key: values[0] for key, values in parse_qs(url.query, keep_blank_values=True, encoding="latin-1").items()
        }
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()
        async with self._news:
            (self.reports if url.path == "/report" else self.replies).append(fields)
            self._news.notify_all()


async def _get(port: int, target: str) -> tuple[int, str]:
    """Status and body of a GET to the loopback. Raises OSError."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(f"GET {target} HTTP/1.0\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
        answer = await asyncio.wait_for(reader.read(), WAIT_S)
    finally:
        writer.close()
    if not answer:
        raise ConnectionResetError
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split(b" ")[1]), body.decode(errors="replace")


def free_ports(count: int) -> list[int]:
    """Ports of the loopback that nobody listens on now."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [listener.getsockname()[1] for listener in sockets]
    for listener in sockets:
        listener.close()
    return ports
