"""Kannel, where Debian's package kannel is installed: bearerbox and smsbox, with each of its stores."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path
from urllib.parse import quote

from gateway import WINDOW, WORDS, Gateway, fetch
from instruments import RECIPIENT_PREFIX, Ask
from processes import HOST, Program, accepts_connections, free_ports, until

PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
BULK_RECIPIENTS = 500
STARTED_TIMEOUT_S = 30.0
# Delivered and undeliverable: one report for each message; with the SMSC's yes: two.
REPORT_MASKS = {"receipts": 1 | 2, "reports": 1 | 2 | 8}

CONFIGURATION = """\
group = core
admin-port = {admin_port}
admin-interface = {host}
admin-password = bench
smsbox-port = {box_port}
smsbox-interface = {host}
box-allow-ip = {host}
dlr-storage = internal
log-level = 3
{store}
group = smsc
smsc = smpp
smsc-id = bench
host = {host}
port = {smsc_port}
transceiver-mode = true
smsc-username = bench
smsc-password = bench
system-type = VMA
max-pending-submits = {window}
reconnect-delay = 1

group = smsbox
smsbox-id = bench
bearerbox-host = {host}
sendsms-port = {api_port}
sendsms-interface = {host}
log-level = 3

group = sendsms-user
username = bench
password = bench
default-sender = 36111
"""


class Kannel(Gateway):
    """The common part; a subclass says which store."""

    interim = "/8 HTTP"
    store = ""
    kept = "none, as Debian ships it: what is queued is lost with the process"

    @staticmethod
    def missing() -> str:
        lacking = [name for name in ("bearerbox", "smsbox") if not shutil.which(name, path=PATH)]
        return f"{' and '.join(lacking)} not installed" if lacking else ""

    def start(self) -> dict[str, float]:
        admin_port, box_port, self.port = free_ports(3)
        (self.folder / "spool").mkdir()
        configuration = self.folder / "kannel.conf"
        store = self.store.format(folder=self.folder)
        configuration.write_text(
            CONFIGURATION.format(
                host=HOST, admin_port=admin_port, box_port=box_port, api_port=self.port,
                smsc_port=self.smsc.port, window=WINDOW, store=store,
            )
        )  # fmt: skip
        began = time.monotonic()
        self._run("bearerbox", configuration, box_port)
        self._run("smsbox", configuration, self.port)
        path = self._path(RECIPIENT_PREFIX + "0000000", "first")
        until(lambda: fetch(self.port, path)[0] == 202, STARTED_TIMEOUT_S, "the first message accepted")
        accepted_s = time.monotonic() - began
        until(lambda: self.smsc.submitted, STARTED_TIMEOUT_S, "the first message delivered")
        return {"first_accepted_s": accepted_s, "first_delivered_s": time.monotonic() - began}

    def _run(self, name: str, configuration: Path, port: int) -> None:
        program = shutil.which(name, path=PATH)
        assert program is not None
        self.programs.append(Program(name, [program, "-v", "3", configuration], self.folder / f"{name}.out"))

        def up() -> bool:
            self.check_alive()
            return accepts_connections(port)

        until(up, STARTED_TIMEOUT_S, f"{name}'s port")

    @staticmethod
    def _path(to: str, text: str) -> str:
        return f"/cgi-bin/sendsms?username=bench&password=bench&to={to}&text={text}"

    def ask(self, kind: str) -> Ask | None:
        if kind not in ("plain", "bulk", *REPORT_MASKS):
            return None
        bulk = kind == "bulk"
        path = self._path("@each@@to@@end@" if bulk else "@to@", f"@id@+{WORDS.replace(' ', '+')}")
        if kind in REPORT_MASKS:
            report = quote(f"http://{HOST}:{self.sink.port}/r/@id@/%d", safe="@")
            path += f"&dlr-mask={REPORT_MASKS[kind]}&dlr-url={report}"
        return Ask(
            self.port, f"GET {path} HTTP/1.1\nHost: {HOST}\n\n", status=202,
            recipients=BULK_RECIPIENTS if bulk else 1, between="+",
        )  # fmt: skip

    def settings(self) -> dict[str, str]:
        ran = subprocess.run(
            ["dpkg-query", "-W", "-f", "${Version}", "kannel"], capture_output=True, text=True, check=False
        ) if shutil.which("dpkg-query") else None  # fmt: skip
        return {
            "version": ran.stdout if ran is not None and ran.returncode == 0 else "unknown",
            "window": str(WINDOW),
            "store": self.kept,
            "fsync": "never called by any of its stores",
        }


class KannelFile(Kannel):
    """Everything queued in one file."""

    name = "kannel:file"
    kept = "file"
    store = 'store-type = file\nstore-location = "{folder}/store"\n'


class KannelSpool(Kannel):
    """One file for each message."""

    name = "kannel:spool"
    kept = "spool"
    store = 'store-type = spool\nstore-location = "{folder}/spool"\n'


class KannelNone(Kannel):
    """In memory only."""

    name = "kannel:none"
