"""Secrets for commands: not among the words of the command line, where `ps` and the shell's history show them."""

from __future__ import annotations

import sys
from pathlib import Path

from chappe.cli.output import Failure, Misuse

SECRET_CHARACTERS_MAX = 1_000


def secret(given: str | None, file: Path | None, option: str) -> str | None:
    """A secret from where the options say; None where they say nothing.

    given: the word behind `option`; `-` reads a line of standard input, or asks without echo where somebody sits there.
    file: of `option`-file, whose first line it is. Raises Misuse for both, Failure for a file that cannot be read.
    """
    if given is not None and file is not None:
        raise Misuse(f"{option} and {option}-file exclude each other")
    if file is not None:
        try:
            with file.open(encoding="utf-8") as lines:
                return lines.readline(SECRET_CHARACTERS_MAX).rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            raise Failure(f"{file}: cannot be read: {getattr(error, 'strerror', None) or 'no UTF-8'}") from error
    return asked(option) if given == "-" else given


def asked(option: str) -> str:
    """A secret from standard input: a line of it, or asked for without echo where somebody sits there."""
    if sys.stdin.isatty():
        from getpass import getpass

        return getpass(f"{option.removeprefix('--').replace('-', ' ').capitalize()}: ", sys.stderr)
    return sys.stdin.readline(SECRET_CHARACTERS_MAX).rstrip("\r\n")
