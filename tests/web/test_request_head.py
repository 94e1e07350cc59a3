"""Request heads: strict ones, those that real clients write, and those that nobody may trust."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chappe.web.request_head import BadHead, Head, read_head


def head_of(first_line: bytes, *fields: bytes, end: bytes = b"\r\n") -> Head:
    return read_head(end.join([first_line, *fields, b"", b""]))


def test_an_ordinary_head_is_read() -> None:
    head = head_of(
        b"POST /v1/send?_format=xml HTTP/1.1", b"Host: a", b"Content-Type:application/json", b"Content-Length: 12"
    )
    assert head == Head(
        method="POST",
        path="/v1/send",
        query=b"_format=xml",
        headers={"host": "a", "content-type": "application/json", "content-length": "12"},
        keep_alive=True,
        length=12,
        old=False,
    )


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        (b"/", "/", b""),
        (b"/v1/me??apiKey=K", "/v1/me", b"?apiKey=K"),
        (b"/a%2Fb%20c?x=%2F", "/a/b c", b"x=%2F"),
        (b"/caf%C3%A9", "/café", b""),
        (b"/caf%E9", "/café", b""),
        (b"/caf\xc3\xa9", "/café", b""),
        (b"/caf\xe9?n=\xe9", "/café", b"n=\xe9"),
        (b"/%zz%4", "/%zz%4", b""),
        (b"/http/[version]/sendSms", "/http/[version]/sendSms", b""),
        (b"/http/%5Bversion%5D/sendSms", "/http/[version]/sendSms", b""),
        (
            b"/http/9.0/sendSms/?login=l&smsData=<DATA><MESSAGE><![CDATA[[Envoi+de+SMS]]></MESSAGE></DATA>",
            "/http/9.0/sendSms/",
            b"login=l&smsData=<DATA><MESSAGE><![CDATA[[Envoi+de+SMS]]></MESSAGE></DATA>",
        ),
        (b'/x?smsData={"DATA":{"MESSAGE":"a|b^c`d\\"}}', "/x", b'smsData={"DATA":{"MESSAGE":"a|b^c`d\\"}}'),
        (b"/x?date=2030-01-31 08:30:00", "/x", b"date=2030-01-31 08:30:00"),
        (b"/x?a=1#top", "/x", b"a=1"),
        (b"/x#top", "/x", b""),
        (b"http://api.smspartner.fr/v1/me?apiKey=K", "/v1/me", b"apiKey=K"),
        (b"https://api.smspartner.fr:8443", "/", b""),
        (b"http://api.smspartner.fr?a=1", "/", b"a=1"),
        (b"//v1//me", "//v1//me", b""),
        (b"*", "*", b""),
    ],
)
def test_a_target_is_read_as_its_client_means_it(target: bytes, path: str, query: bytes) -> None:
    head = head_of(b"GET " + target + b" HTTP/1.1", b"Host: a")
    assert (head.path, head.query) == (path, query)


@pytest.mark.parametrize(
    "method", ["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "BREW", "post", "M-SEARCH"]
)
def test_any_method_is_read(method: str) -> None:
    assert head_of(method.encode() + b" /x HTTP/1.1", b"Host: a").method == method


def test_connect_and_an_offer_to_upgrade_are_ordinary_requests() -> None:
    assert head_of(b"CONNECT a:443 HTTP/1.1", b"Host: a").path == ""
    head = head_of(b"POST /x HTTP/1.1", b"Host: a", b"Connection: Upgrade", b"Upgrade: h2c", b"Content-Length: 3")
    assert (head.path, head.length, head.keep_alive) == ("/x", 3, True)


@pytest.mark.parametrize(
    "octets",
    [
        b"POST /x HTTP/1.1\nHost: a\nContent-Length: 3\nA:b\n\n",
        b"POST /x HTTP/1.1\r\nHost: a\nContent-Length: 3\r\nA:b\n\r\n",
        b"POST /x HTTP/1.1\nHost: a\r\nContent-Length: 3\r\nA: b \r\n\n",
    ],
)
def test_bare_line_feeds_end_lines(octets: bytes) -> None:
    head = read_head(octets)
    assert (head.path, head.length) == ("/x", 3)
    assert head.headers == {"host": "a", "content-length": "3", "a": "b"}


@pytest.mark.parametrize(
    ("version", "connection", "keep_alive"),
    [
        (b"1.1", b"", True),
        (b"1.1", b"close", False),
        (b"1.1", b"Keep-Alive, Close", False),
        (b"1.1", b"TE", True),
        (b"1.0", b"", False),
        (b"1.0", b"Keep-Alive", True),
        (b"1.0", b"keep-alive, close", False),
    ],
)
def test_who_keeps_the_connection(version: bytes, connection: bytes, keep_alive: bool) -> None:
    fields = [b"Connection: " + connection] if connection else []
    assert head_of(b"GET / HTTP/" + version, b"Host: a", *fields).keep_alive is keep_alive


def test_repeated_fields_are_joined() -> None:
    head = head_of(b"GET / HTTP/1.1", b"Host: a", b"X: 1", b"x: 2", b"Cookie: a=1", b"Cookie: b=2")
    assert head.headers == {"host": "a", "x": "1, 2", "cookie": "a=1; b=2"}


def test_a_chunked_body_has_no_length_beforehand() -> None:
    assert head_of(b"POST / HTTP/1.1", b"Host: a", b"Transfer-Encoding: Chunked").length == -1


@pytest.mark.parametrize("end", [b"\r\n", b"\n"])
@pytest.mark.parametrize(
    ("first_line", "fields", "status"),
    [
        (b"POST / HTTP/1.1", [b"Content-Length: 5", b"Transfer-Encoding: chunked"], 400),
        (b"POST / HTTP/1.1", [b"Transfer-Encoding: chunked", b"Content-Length: 5"], 400),
        (b"POST / HTTP/1.1", [b"Content-Length: 5", b"Content-Length: 6"], 400),
        (b"POST / HTTP/1.1", [b"Content-Length: 5, 6"], 400),
        (b"POST / HTTP/1.1", [b"Content-Length: 5, 5", b"Content-Length: 6"], 400),
        (b"POST / HTTP/1.1", [b"Content-Length: 5", b"content-length: 05"], 400),
        (b"POST / HTTP/1.1", [b"Content-Length: 5,"], 400),
        (b"POST / HTTP/1.1", [b"Content-Length: ,5"], 400),
        (b"POST / HTTP/1.1", [b"Content-Length: 5", b"Content-Length:"], 400),
        (b"POST / HTTP/1.1", [b"Content-Length: 5", b"Content-Length : 5"], 400),
        (b"POST / HTTP/1.1", [b"Content-Length: 5, 5", b" , 5"], 400),
        (b"POST / HTTP/1.1", [b"Content-Length: 5, 5", b"Transfer-Encoding: chunked"], 400),
        (b"POST / HTTP/1.1", [b"Content-Length: +5"], 400),
        (b"POST / HTTP/1.1", [b"Content-Length: -5"], 400),
        (b"POST / HTTP/1.1", [b"Content-Length: 0x5"], 400),
        (b"POST / HTTP/1.1", [b"Content-Length: 5 5"], 400),
        (b"POST / HTTP/1.1", [b"Content-Length: 99999999999999999999999"], 400),
        (b"POST / HTTP/1.1", [b"Content-Length : 5"], 400),
        (b"POST / HTTP/1.1", [b"Content-Length: 5", b" 6"], 400),
        (b"POST / HTTP/1.1", [b"Transfer-Encoding: gzip, chunked"], 501),
        (b"POST / HTTP/1.1", [b"Transfer-Encoding: chunked, chunked"], 400),
        (b"POST / HTTP/1.1", [b"Transfer-Encoding: xchunked"], 400),
        (b"POST / HTTP/1.1", [b"Transfer-Encoding: chunked, gzip"], 400),
        (b"POST / HTTP/1.0", [b"Transfer-Encoding: chunked"], 400),
        (b"GET / HTTP/1.1", [b"Host: b"], 400),
        (b"GET / HTTP/1.1", [b"Host: a"], 400),
        (b"GET / HTTP/1.1", [b"no colon here"], 400),
        (b"GET / HTTP/1.1", [b": no name"], 400),
        (b"GET / HTTP/1.1", [b"A: b\rContent-Length: 5"], 400),
        (b"GET / HTTP/1.1", [b"A: b\x00"], 400),
        (b"GET / HTTP/1.1", [b"A\xe9: b"], 400),
        (b"GET / HTTP/1.1", [b"A: b"] * 101, 431),
        (b"GET / HTTP/2.0", [], 505),
        (b"GET / HTTP/0.9", [], 505),
        (b"GET / HTTP/1.2", [], 505),
        (b"GET / HTTP/11", [], 400),
        (b"GET /", [], 400),
        (b"GET", [], 400),
        (b"GET  HTTP/1.1", [], 400),
        (b"GET v1/me HTTP/1.1", [], 400),
        (b"GET /\x00 HTTP/1.1", [], 400),
        (b"GET /\ta HTTP/1.1", [], 400),
        (b"GET /\ra HTTP/1.1", [], 400),
        (b"GET /\x7f HTTP/1.1", [], 400),
        (b"G(T / HTTP/1.1", [], 400),
        (b"A" * 40 + b" / HTTP/1.1", [], 400),
        (b" GET / HTTP/1.1", [], 400),
    ],
)
def test_what_may_not_be_trusted_is_refused(first_line: bytes, fields: list[bytes], status: int, end: bytes) -> None:
    with pytest.raises(BadHead) as caught:
        head_of(first_line, b"Host: a", *fields, end=end)
    assert caught.value.status == status


@pytest.mark.parametrize("end", [b"\r\n", b"\n"])
@pytest.mark.parametrize(
    "fields",
    [
        [b"Content-Length: 137", b"Content-Length: 137"],
        [b"Content-Length: 137", b"content-length:137 ", b"CONTENT-LENGTH: 137"],
        [b"Content-Length: 137, 137"],
        [b"Content-Length: 137,137 , 137"],
        [b"Content-Length: 137, 137", b"Content-Length: 137"],
    ],
)
def test_the_same_length_given_several_times_is_one_length(fields: list[bytes], end: bytes) -> None:
    head = head_of(b"POST /x HTTP/1.1", fields[0], b"Host: a", *fields[1:], end=end)
    assert (head.length, head.headers) == (137, {"host": "a", "content-length": "137"})


@pytest.mark.parametrize(
    "value", [b"", b"a", b"a.example:8080", b"192.0.2.1:80", b"[2001:db8::1]:80", b"caf\xe9.example"]
)
def test_a_host_is_a_host(value: bytes) -> None:
    assert head_of(b"GET / HTTP/1.1", b"Host: " + value).path == "/"


@pytest.mark.parametrize("version", [b"1.1", b"1.0"])
@pytest.mark.parametrize("value", [b"a b", b"a/b", b"user@a", b"a, b", b"a?b", b"a#b", b"a\\b"])
def test_what_is_no_host_is_refused(value: bytes, version: bytes) -> None:
    with pytest.raises(BadHead) as caught:
        head_of(b"GET / HTTP/" + version, b"Host: " + value)
    assert caught.value.status == 400


def test_only_http_1_0_may_be_without_a_host() -> None:
    assert head_of(b"GET / HTTP/1.0").path == "/"
    for fields in ([], [b"X: y"], [b"Content-Length: 5, 5"]):
        with pytest.raises(BadHead) as caught:
            head_of(b"GET / HTTP/1.1", *fields)
        assert caught.value.status == 400


@pytest.mark.parametrize(
    ("target", "literal"),
    [
        (b"/metrics", True),
        (b"/metrics?a=%20", True),
        (b"/%6detrics", False),
        (b"/metrics#x", False),
        (b"/metrics?a#x", False),
        (b"http://a/metrics", False),
        (b"*", False),
        (b"/a b%20", False),
    ],
)
def test_whether_a_path_was_written_as_it_is_read(target: bytes, literal: bool) -> None:
    assert head_of(b"GET " + target + b" HTTP/1.1", b"Host: a").literal is literal


@given(st.binary(max_size=200))
def test_any_octets_are_a_head_or_a_bad_head(octets: bytes) -> None:
    for candidate in (
        octets,
        octets + b"\r\n\r\n",
        b"GET /" + octets + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n" + octets + b"\r\n\r\n",
    ):
        try:
            head = read_head(candidate)
        except BadHead:
            continue
        assert head.length >= -1


@given(st.binary(min_size=1, max_size=60))
@example(b" #")
@example(b"a #b ")
def test_a_query_of_any_octets_arrives_as_it_was_sent_or_not_at_all(octets: bytes) -> None:
    try:
        head = head_of(b"GET /x?" + octets + b" HTTP/1.1", b"Host: a")
    except BadHead:
        return
    # Blanks at the end of the line end the target. Blanks before a fragment are octets of the query.
    assert head.query == octets.rstrip(b" ").partition(b"#")[0]
