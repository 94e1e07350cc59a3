"""Whose address a request has."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from chappe.web.client_address import is_trusted, original, peer_address, place_of

PROXIES = (ip_network("127.0.0.0/8"), ip_network("10.0.0.0/8"), ip_network("fd00::/8"))


@pytest.mark.parametrize(
    ("name", "address"),
    [
        (("192.0.2.1", 5), "192.0.2.1"),
        (("::1", 5, 0, 0), "::1"),
        (("::ffff:192.0.2.1", 5, 0, 0), "192.0.2.1"),
        ("", ""),
        (None, ""),
    ],
)
def test_the_peer_of_a_socket(name: object, address: str) -> None:
    assert peer_address(name) == address


@pytest.mark.parametrize(
    ("peer", "trusted"), [("10.1.1.1", True), ("192.0.2.1", False), ("fd00::1", True), ("", False)]
)
def test_who_is_a_proxy(peer: str, trusted: bool) -> None:
    assert is_trusted(peer, PROXIES) is trusted
    assert not is_trusted(peer, ())


@pytest.mark.parametrize(
    ("forwarded", "client"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("203.0.113.9, 192.0.2.1", "192.0.2.1"),  # the left one is what the client claims
        ("192.0.2.1, 10.0.0.7, 10.0.0.8", "192.0.2.1"),
        ("192.0.2.1:4711", "192.0.2.1"),
        ("[2001:db8::1]:443", "2001:db8::1"),
        ('"[2001:db8::1]"', "2001:db8::1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("10.0.0.7", "10.0.0.7"),
        ("unknown", "127.0.0.1"),
        ("192.0.2.1, unknown, 10.0.0.7", "10.0.0.7"),
        ("", "127.0.0.1"),
    ],
)
def test_the_client_is_the_last_that_a_trusted_proxy_vouches_for(forwarded: str, client: str) -> None:
    assert original("127.0.0.1", forwarded, PROXIES) == client


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("203.0.113.7", "203.0.113.8", False),
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("fe80::1%eth0", "fe80::1%eth1", True),
        ("::ffff:203.0.113.7", "203.0.113.7", True),
        ("", "203.0.113.7", False),
        ("nonsense", "nonsense", True),
    ],
)
def test_of_ipv6_a_network_counts_as_one(one: str, other: str, same: bool) -> None:
    assert (place_of(one) == place_of(other)) is same
