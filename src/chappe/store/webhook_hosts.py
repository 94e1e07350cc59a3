"""The number by which a webhook waits: whose it is, and which server it goes to.

The account's id stands above 32 bits of a keyed hash of the URL's origin. So one account can never get into another's
queue, whatever names it invents, and the hosts of one account lie side by side in the primary key of `webhook`. The
key is the installation's secret: nobody can look for a name whose number is that of another of the same account.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b
from typing import Final

from chappe.core.errors import Fault
from chappe.net.url import read

ORIGIN_BITS: Final = 32
_NUMBERS_MAX: Final = 16_384


def host_of(account_id: int, url: str, secret: bytes) -> int:
    """The number of the host of a URL, for webhooks of this account: 0 <= number < 2^63.

    Two URLs have the same when they lead to the same scheme, host and port, however they are written. One that leads
    nowhere has one of its own, so that the attempt can say why.
    """
    assert secret, "the numbers of hosts must not be guessed"
    url = url.strip(" \t\r\n")
    end = url.find("/", len("https://"))
    return _number(account_id, url if end < 0 else url[:end], secret)


def account_of(host: int) -> int:
    """The account whose webhooks have this number."""
    return host >> ORIGIN_BITS


def hosts_of(account_id: int) -> tuple[int, int]:
    """From which number on, and below which, an account's hosts are."""
    return account_id << ORIGIN_BITS, (account_id + 1) << ORIGIN_BITS


@lru_cache(maxsize=_NUMBERS_MAX)
def _number(account_id: int, start: str, secret: bytes) -> int:
    """start: the URL without its path; what differs from call to call is mostly behind it."""
    try:
        host, port, tls = read(start)[0].key
        origin = f"{'https' if tls else 'http'}://{host}:{port}"
    except Fault:
        origin = start
    digest = blake2b(origin.encode("utf-8", "replace"), digest_size=4, key=secret[:64], person=b"webhook host").digest()
    return account_id << ORIGIN_BITS | int.from_bytes(digest, "big")
