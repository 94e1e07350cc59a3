"""Runs the customers' programs in samples/ against the program under test: as they are, but for host, login and key.

Where no interpreter can run a sample (.NET, WinDev, Visual Basic), the octets that it would send are sent instead.
"""

from __future__ import annotations

import http.client
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from program import ASK_S, Answer

SAMPLES = Path(__file__).parent / "samples"

# What must be there for a sample of each language, as a command that succeeds.
NEEDS: Mapping[str, Sequence[str]] = {
    ".php": ("php", "-r", "exit(extension_loaded('curl') ? 0 : 1);"),
    ".pl": ("perl", "-MLWP::UserAgent", "-e", "1"),
    ".rb": ("ruby", "-e", "1"),
    ".java": ("javac", "-version"),
    ".sh": ("curl", "--version"),
    ".py": (sys.executable, "-c", "import requests"),
}


def _environment() -> dict[str, str]:
    """Ours, without the proxies that a client library would follow."""
    return {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}


def _command(sample: Path) -> list[str]:
    if sample.suffix == ".java":
        subprocess.run(["javac", "-nowarn", "-d", sample.parent, sample], check=True, capture_output=True, timeout=60)
        return ["java", "-Xshare:auto", "-cp", str(sample.parent), sample.stem]
    by_suffix = {".php": "php", ".pl": "perl", ".rb": "ruby", ".sh": "bash", ".py": sys.executable}
    return [by_suffix[sample.suffix], str(sample)]


def run_sample(name: str, folder: Path, replacements: Mapping[str, str], *arguments: str) -> str:
    """What a sample prints; skips the test where its language is not installed."""
    suffix = Path(name).suffix
    needs = NEEDS[suffix]
    if shutil.which(needs[0]) is None or subprocess.run(needs, capture_output=True, timeout=60).returncode:
        pytest.skip(f"cannot run {suffix} samples here: {' '.join(needs[:2])} fails")
    source = (SAMPLES / name).read_text()
    for old, new in replacements.items():
        assert old in source, f"{name} has no {old}"
        source = source.replace(old, new)
    assert "allmysms.com/http" not in source
    assert "smspartner.fr" not in source
    (folder / name).write_text(source)
    done = subprocess.run(
        [*_command(folder / name), *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=folder,
        env=_environment(),
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, (done.stdout, done.stderr)
    return done.stdout


def ask_raw(url: str, head: str, body: bytes = b"") -> Answer:
    """Sends octets as they are, to a server that would refuse to be asked so by a stricter client.

    head: request line and headers, without the end of the head. A body announced by `Expect: 100-continue` waits for
    the interim answer, as .NET's does.
    """
    parts = urlsplit(url)
    with socket.create_connection((str(parts.hostname), parts.port), timeout=ASK_S) as connection:
        connection.sendall("".join(line.strip() + "\r\n" for line in head.strip().splitlines()).encode() + b"\r\n")
        if "100-continue" in head:
            interim = b""
            while not interim.endswith(b"\r\n\r\n"):
                received = connection.recv(1)
                assert received, f"the connection ended before 100 Continue, after {interim!r}"
                interim += received
            assert interim.startswith(b"HTTP/1.1 100 "), interim
        connection.sendall(body)
        response = http.client.HTTPResponse(connection)
        response.begin()
        return Answer(response.status, response.headers.get("Content-Type", ""), response.read())
