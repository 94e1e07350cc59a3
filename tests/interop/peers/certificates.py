"""A private authority and the certificate of a server named localhost, made with openssl."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

_TIMEOUT_S = 30


@dataclass(frozen=True)
class Certificates:
    """Files in PEM: the authority to trust, and the server's certificate with its key."""

    authority: Path
    certificate: Path
    key: Path


def make(folder: Path) -> Certificates:
    """Makes them in `folder`, valid for a day."""
    authority, authority_key = folder / "authority.pem", folder / "authority.key"
    certificate, key, request = folder / "server.pem", folder / "server.key", folder / "server.csr"
    names = folder / "names"
    names.write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\nbasicConstraints=CA:FALSE\n")
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    _openssl("req", "-x509", *curve, "-keyout", authority_key, "-out", authority, "-days", "1", "-subj", "/CN=Test CA")
    _openssl("req", *curve, "-keyout", key, "-out", request, "-subj", "/CN=localhost")
    _openssl(
        "x509", "-req", "-in", request, "-CA", authority, "-CAkey", authority_key, "-CAcreateserial",
        "-out", certificate, "-days", "1", "-extfile", names,
    )  # fmt: skip
    return Certificates(authority, certificate, key)


def _openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True, timeout=_TIMEOUT_S)
