"""Numbers of hosts: an account's own, the same for every spelling of an origin, and not to be guessed."""

from __future__ import annotations

from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shop import SECRET

from chappe.store.webhook_hosts import account_of, host_of, hosts_of

INTEGER_MAX = (1 << 31) - 1


@pytest.mark.parametrize(
    ("url", "same_as"),
    [
        ("https://user:pw@Example.org:443/path?q", "https://example.org/other"),
        ("http://example.org?x=1@y", "http://example.org:80/"),
        ("http://example.org#1", "http://example.org#2"),
        ("http://example.org:80#a", "HTTP://EXAMPLE.org/"),
        ("http://[::1]:80/x", "http://[0:0:0:0:0:0:0:1]"),
        ("http://caf\u00e9.example/", "http://xn--caf-dma.example/"),
        (" http://example.org/", "http://example.org/"),
    ],
)
def test_a_host_is_the_same_however_its_url_is_written(url: str, same_as: str) -> None:
    assert host_of(1, url, SECRET) == host_of(1, same_as, SECRET)


@pytest.mark.parametrize(
    "other",
    ["http://elsewhere/", "https://example.org/", "http://example.org:81/", "http://www.example.org/", "http://a b/"],
)
def test_another_origin_is_another_host(other: str) -> None:
    assert host_of(1, "http://example.org/", SECRET) != host_of(1, other, SECRET)


def test_nobody_gets_into_the_queue_of_another_account_or_of_another_name_by_its_checksum() -> None:
    known, forged = "http://127.0.0.1:19101/", "http://127.0.0.1:19102#aaacki-q0"
    assert crc32(b"127.0.0.1:19101") == crc32(b"127.0.0.1:19102#aaacki-q0"), "the number of a host was this once"
    assert len({host_of(1, known, SECRET), host_of(1, forged, SECRET), host_of(2, known, SECRET)}) == 3
    assert host_of(1, known, SECRET) != host_of(1, known, b"another installation"), "nobody can compute it"


def test_without_a_secret_there_is_no_number() -> None:
    with pytest.raises(AssertionError, match="guessed"):
        host_of(1, "http://example.org/", b"")


@given(st.integers(1, INTEGER_MAX), st.text(max_size=40))
def test_any_text_has_a_number_within_its_account(account_id: int, text: str) -> None:
    for url in (text, f"http://{text}/"):
        number = host_of(account_id, url, SECRET)
        first, end = hosts_of(account_id)
        assert first <= number < end <= 1 << 63
        assert account_of(number) == account_id
