"""Whether a URL may be called back: the addresses that customers and operators name for reports and replies. Pure.

What stands between `://` and the path is a host and perhaps a port, and nothing else. Programs read `#` and `\\` there
differently, so the host that is checked may not be the host that is called. A user and password before `@` would be
shown wherever the URL is.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final
from urllib.parse import urlsplit

CHARACTERS_MAX: Final = 2_000
_ORIGINS_MAX: Final = 4_096  # checks that are remembered
_START: Final = re.compile(r"https?://([^/?]+)", re.IGNORECASE)
_NEVER: Final = re.compile(r"[#@\\%<>\"'`{}|^ ]")


def is_callback_url(written: str) -> bool:
    """Whether it is an http or https URL of at most CHARACTERS_MAX printable characters with a host and no more."""
    if not written.isprintable() or " " in written or len(written) > CHARACTERS_MAX:
        return False
    start = _START.match(written)
    return start is not None and _is_origin(start[0])


@lru_cache(maxsize=_ORIGINS_MAX)
def _is_origin(start: str) -> bool:
    """start: the URL up to its path, which is the same from call to call."""
    if _NEVER.search(start.partition("://")[2]):
        return False
    try:
        parts = urlsplit(start)
        return bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is none, half an IPv6 address
        return False
