"""URLs of strangers: what is sent of them, and what is refused."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chappe.core.errors import Fault
from chappe.net.url import POINTED_CHARACTERS_MAX, URL_BYTES_MAX, pointed_to, read, request_octets


@given(st.text(max_size=40))
def test_any_text_as_host_or_path_is_a_url_or_a_fault(text: str) -> None:
    for url in (
        text,
        f"http://{text}/",
        f"http://[{text}]/",
        f"http://a/{text}",
        f"http://a/?{text}",
        f"http://a{text}",
    ):
        try:
            origin, target = read(url)
        except Fault:
            continue
        assert target.startswith("/")
        assert all("!" <= character <= "~" for character in target + origin.authority)
        again = urlsplit(f"http://{origin.authority}{target}")
        assert (again.hostname, again.port or 80) == (origin.host, origin.port)
        octets = request_octets(origin, target, "GET", "", b"", None)
        assert octets.count(b"\r\n") == octets.count(b"\n") == octets.count(b"\r") == 7 - (not origin.authorization)
        assert octets.startswith(f"GET {target} HTTP/1.1\r\nHost: {origin.authority}\r\n".encode())


@given(st.text("abc/?#%=&;é \\@:[]!\"'()*+,-.~", max_size=30))
def test_the_short_way_for_ordinary_urls_reads_as_the_long_way(text: str) -> None:
    def read_as(url: str) -> tuple[object, ...]:
        try:
            origin, target = read(url)
        except Fault as fault:
            return (fault.reason,)
        return (*origin.key, origin.authority, origin.authorization, target)

    for url in (f"http://a.example{text}", f"http://a.example/{text}", f"https://a.example:81/{text}"):
        assert read_as(url) == read_as(" " + url)  # what begins with a blank goes the long way


@pytest.mark.parametrize(
    ("url", "key", "authority"),
    [
        ("http://a.example/", ("a.example", 80, False), "a.example"),
        ("http://a.example", ("a.example", 80, False), "a.example"),
        ("http://a.example:80/", ("a.example", 80, False), "a.example"),
        ("https://a.example/", ("a.example", 443, True), "a.example"),
        ("https://a.example:443", ("a.example", 443, True), "a.example"),
        ("https://a.example:80/", ("a.example", 80, True), "a.example:80"),
        ("HTTP://A.Example:8080?x", ("a.example", 8080, False), "a.example:8080"),
        ("http://[2001:DB8::1]/", ("2001:db8::1", 80, False), "[2001:db8::1]"),
        ("http://[2001:db8::1]:81/", ("2001:db8::1", 81, False), "[2001:db8::1]:81"),
        ("http://a_b.example./", ("a_b.example.", 80, False), "a_b.example."),
        ("http://Straße.example/", ("xn--strae-oqa.example", 80, False), "xn--strae-oqa.example"),
        ("http://BÜCHER.example/", ("xn--bcher-kva.example", 80, False), "xn--bcher-kva.example"),
        ("http://☃.example/", ("xn--n3h.example", 80, False), "xn--n3h.example"),
        ("http://us:er@a.example/", ("a.example", 80, False), "a.example"),
        ("http://a.example:/", ("a.example", 80, False), "a.example"),
    ],
)
def test_where_a_url_leads(url: str, key: tuple[str, int, bool], authority: str) -> None:
    origin, _ = read(url)
    assert (origin.key, origin.authority) == (key, authority)


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("http://a", "/"),
        ("http://a?b=c", "/?b=c"),
        ("http://a/?", "/?"),
        ("http://a/b?c?d/e", "/b?c?d/e"),
        ("http://a/b#c?d", "/b"),
        ("http://a?b@c/d", "/?b@c/d"),
        (" http://a/b c\r\n", "/b%20c"),
        ("http://a/\u2028é", "/%E2%80%A8%C3%A9"),
    ],
)
def test_what_is_asked_for_there(url: str, target: str) -> None:
    assert read(url)[1] == target


def test_a_url_is_as_long_as_a_request_line_may_be() -> None:
    start = "http://a.example/"
    for filler in ("x", "é"):
        read(start + filler * 1_000)
        with pytest.raises(Fault, match="bad_url"):
            read(start + filler * URL_BYTES_MAX)


def test_a_zone_is_nobodys_host() -> None:
    with pytest.raises(Fault):
        read("http://[fe80::1%eth0]/")


@pytest.mark.parametrize(
    ("method", "content_type", "headers"),
    [
        ("GET /", "", {}),
        ("", "", {}),
        ("GET", "text/xml\r\nX: y", {}),
        ("GET", "", {"X\r\nY": "z"}),
        ("GET", "", {"X": "y\nz"}),
        ("GET", "", {"X": "\u20ac"}),
        ("GET", "", {"": "y"}),
    ],
)
def test_nothing_can_be_added_to_a_request(method: str, content_type: str, headers: dict[str, str]) -> None:
    origin, target = read("http://a.example/")
    with pytest.raises(ValueError, match=r"method|header"):
        request_octets(origin, target, method, content_type, b"", headers)


def test_a_body_is_announced_and_an_empty_post_too() -> None:
    origin, target = read("http://a.example/")
    assert b"Content-Length: 3\r\n\r\nabc" in request_octets(origin, target, "POST", "", b"abc", None)
    assert b"Content-Length: 0\r\n\r\n" in request_octets(origin, target, "POST", "", b"", None)
    assert b"Content-Length" not in request_octets(origin, target, "GET", "", b"", None)
    assert b"Content-Length: 1" in request_octets(origin, target, "GET", "", b"a", None)


@pytest.mark.parametrize(
    ("location", "shown"),
    [
        ("https://b.example/x?to=33612345678#y", "https://b.example/x"),
        ("https://user:secret@b.example:81/", "https://b.example:81/"),
        ("/new", "http://a.example/new"),
        ("new?x", "http://a.example/new"),
        ("//b.example", "http://b.example"),
        ("HTTPS://B.example/caf\u00e9\n", "https://b.example/caf%C3%A9"),
        ("javascript:alert(1)", ""),
        ("http://[::1", ""),
        ("http://b.example:port/", ""),
        ("", ""),
        ("https://b.example/" + "x" * 5_000, "https://b.example/" + "x" * (POINTED_CHARACTERS_MAX - 18)),
    ],
)
def test_where_a_redirect_points_is_shown_without_what_may_be_secret(location: str, shown: str) -> None:
    assert pointed_to("http://a.example/dlr?key=secret", location) == shown
