"""Chappe as a user runs it: `chappe serve` on an empty folder, then accounts, carriers and routes by its commands."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote

from gateway import WINDOW, WORDS, Gateway, fetch
from instruments import Ask
from processes import HOST, BenchError, Program, free_ports, until

CHAPPE = Path(sys.executable).parent / "chappe"
LOGIN, KEY = "bench", "bench-key-of-one-account"
LOGIN_OF_BOTH, KEY_OF_BOTH = "bench-both", "bench-key-with-both-reports"
KEY_OF_MANY = "bench-key-of-account-"
BALANCE = "1000000"
MUCH_MICROS = 10**12
BULK_RECIPIENTS = 500
PERSONAL_RECIPIENTS = 50
READY_TIMEOUT_S = 60.0
COMMAND_TIMEOUT_S = 60.0
POSTGRES_SETTINGS = ("server_version", "fsync", "synchronous_commit", "full_page_writes", "data_checksums",
                     "wal_sync_method", "shared_buffers")  # fmt: skip
PERSONAL_TEXT = "#param_1# Bonjour #param_2#, votre commande #param_3# vous attend au point relais jusqu'au #param_4#."


class Chappe(Gateway):
    """The checkout that this benchmark belongs to."""

    name = "chappe"
    interim = '"waiting"'
    accounts = 1

    @staticmethod
    def missing() -> str:
        return "" if CHAPPE.exists() else f"{CHAPPE.name} is not installed beside {sys.executable}"

    def start(self) -> dict[str, float]:
        self.port, smpp_port = free_ports(2)
        self.data = self.folder / "data"
        there = self.data.exists()
        self.data.mkdir(exist_ok=True)
        began = time.monotonic()
        words: list[str | Path] = [
            CHAPPE,
            "serve",
            *([] if there else ["--demo"]),
            "--port",
            str(self.port),
            "--handset-port",
            str(smpp_port),
            "--data",
            self.data,
        ]
        self.programs = [Program("chappe", words, self.folder / "chappe.out")]
        if there:  # a run that goes on where another ended
            until(lambda: fetch(self.port, "/readyz")[0] == 200, READY_TIMEOUT_S, "`chappe serve`")
            self.command("carrier", "set", "bench", f"port={self.smsc.port}")
            self.smsc.wait_bound()
            return {}
        key = self._demo_key()
        body = json.dumps({"apiKey": key, "phoneNumbers": "+33600000001", "message": "the first"}).encode()
        status, answer = fetch(self.port, "/v1/send", body)
        accepted_s = time.monotonic() - began
        if status != 200:
            raise BenchError(f"the demo account's first message was refused: {answer[:200]!r}")
        until(lambda: b"the first" in fetch(self.port, "/handset/messages")[1], READY_TIMEOUT_S, "the first message")
        delivered_s = time.monotonic() - began
        self._configure()
        self.smsc.wait_bound()
        return {"first_accepted_s": accepted_s, "first_delivered_s": delivered_s}

    def _demo_key(self) -> str:
        """The key that the greeting shows, as soon as it is there."""
        found: list[str] = []

        def shown() -> bool:
            self.check_alive()
            found[:] = re.findall(r"with the key (\w+)", self.programs[0].output.read_text())
            return bool(found)

        until(shown, READY_TIMEOUT_S, "the greeting of `chappe serve`")
        return found[0]

    def _configure(self) -> None:
        self.command("account", "create", LOGIN, "--api-key", KEY, "--balance", BALANCE, "--transactional")
        # Peers report once, how it ended; as shipped, Chappe also reports that the carrier has it.
        self.command("account", "set", LOGIN, "reports_waiting=off")
        both = (LOGIN_OF_BOTH, "--api-key", KEY_OF_BOTH, "--balance", BALANCE, "--transactional")
        self.command("account", "create", *both)
        self.command("carrier", "remove", "handset")
        self.command("carrier", "add", "bench", "--host", HOST, "--port", str(self.smsc.port), "--system-id", "bench",
                     "--password", "bench", "--window", str(WINDOW))  # fmt: skip
        self.command("route", "add", "--carrier", "bench")

    def command(self, *words: str) -> str:
        """What a `chappe` command prints. Raises BenchError when it fails."""
        ran = subprocess.run(
            [CHAPPE, *words, "--data", self.data],
            capture_output=True, text=True, timeout=COMMAND_TIMEOUT_S, check=False,
        )  # fmt: skip
        if ran.returncode:
            raise BenchError(f"chappe {' '.join(words[:2])}: {ran.stderr.strip()[:300]}")
        return ran.stdout

    def ask(self, kind: str) -> Ask | None:
        if kind == "personal":
            return self._personal()
        fields = {"apiKey": KEY, "phoneNumbers": "+@to@", "message": f"@id@ {WORDS}"}
        recipients = 1
        if kind in ("receipts", "reports"):
            fields["apiKey"] = KEY if kind == "receipts" else KEY_OF_BOTH
            fields["urlDlr"] = f"http://{HOST}:{self.sink.port}/r/@id@"
        elif kind == "accounts":
            fields["apiKey"] = f"{KEY_OF_MANY}@turn@"
        elif kind in ("bulk", "scheduled"):
            fields["phoneNumbers"] = "@each@+@to@@end@"
            recipients = BULK_RECIPIENTS
        if kind == "scheduled":
            day = datetime.now(UTC) + timedelta(days=60)
            fields |= {"scheduledDeliveryDate": f"{day:%d/%m/%Y}", "time": "12", "minute": "0"}
        head = f"POST /v1/send HTTP/1.1\nHost: {HOST}\nContent-Type: application/json\n\n"
        return Ask(
            self.port, head + json.dumps(fields), expect='"success":true', recipients=recipients, cycle=self.accounts
        )

    def _personal(self) -> Ask:
        block = {
            "MOBILEPHONE": "@to@",
            "PARAM_1": "@id@",
            "PARAM_2": "Camille",
            "PARAM_3": "C-@id@",
            "PARAM_4": "12/08",
        }
        flow = json.dumps({"DATA": {"MESSAGE": PERSONAL_TEXT, "DYNAMIC": "4", "SMS": ["BLOCKS"]}})
        flow = flow.replace('"BLOCKS"', f"@each@{json.dumps(block)}@end@")
        head = f"POST /http/9.0/sendSms HTTP/1.1\nHost: {HOST}\nContent-Type: application/x-www-form-urlencoded\n\n"
        body = f"login={LOGIN}&apiKey={KEY}&returnformat=json&smsData={quote(flow, safe='@,')}"
        return Ask(self.port, head + body, expect='"status":100', recipients=PERSONAL_RECIPIENTS)

    def settings(self) -> dict[str, str]:
        shown = asyncio.run(self._postgres_settings())
        return {"version": self._version(), "window": str(WINDOW), "database": "embedded, as shipped", **shown}

    @staticmethod
    def _version() -> str:
        from importlib.metadata import version

        return version("chappe")

    async def _postgres_settings(self) -> dict[str, str]:
        from chappe.cli.installation import configuration, opened

        found = {}
        async with opened(configuration(self.data, None)) as database:
            for name in POSTGRES_SETTINGS:
                found[f"postgresql {name}"] = str(await database.value("select current_setting($1)", name))
        return found

    def make_accounts(self, count: int) -> None:
        """Accounts that send in turn: see `ask`."""
        self.create_accounts({f"bench-{number:06d}": f"{KEY_OF_MANY}{number:06d}" for number in range(count)})
        self.accounts = count

    def create_accounts(self, keys: Mapping[str, str]) -> None:
        """Accounts by login, with their keys, by the code of `chappe account create`, in one process: so many starts of
        Python would take long. Those that are there already stay as they are."""
        asyncio.run(self._create_accounts(keys))

    async def _create_accounts(self, keys: Mapping[str, str]) -> None:
        from chappe.actions import accounts
        from chappe.cli.installation import configuration, opened
        from chappe.core.model import AccountSettings

        async with opened(configuration(self.data, None)) as database:
            there = {row["login"] for row in await database.fetch("select login from account")}
            for login, key in keys.items():
                if login not in there:
                    await accounts.create(database, login, key, AccountSettings(transactional=True), MUCH_MICROS)

    def listing_s(self) -> float:
        """Seconds that `chappe account list --json` takes."""
        began = time.monotonic()
        self.command("account", "list", "--json")
        return time.monotonic() - began
