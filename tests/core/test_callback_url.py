"""Which URLs customers and operators may name for reports and replies."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chappe.core.callback_url import CHARACTERS_MAX, is_callback_url
from chappe.net.url import read


@pytest.mark.parametrize(
    "url",
    [
        "http://a", "https://a.example/", "HTTPS://A.example:8443/dlr?x=1&y=%40#z", "http://192.0.2.1:81/a",
        "http://[2001:db8::1]:81/", "http://caf\u00e9.example/", "http://a_b.example/", "http://a/x@y", "http://a?x@y",
        "http://a/\\", "http://a/#", "http://a:/", "https://a./",
    ],
)  # fmt: skip
def test_what_may_be_called(url: str) -> None:
    assert is_callback_url(url)
    assert read(url)


@pytest.mark.parametrize(
    "url",
    [
        "", "a.example", "ftp://a/", "http:/a", "http://", "http:///x", "http://?x", "//a/", "javascript:alert(1)",
        "http://a#", "http://192.0.2.1:80#1", "http://127.0.0.1:19102#aaacki-q0", "http://a#@b/", "http://#/",
        "http://user@a/", "http://user:secret@a/", "http://@a/", "http://a@b@c/", "http://a:80@b/",
        "http://a\\b/", "http://a\\@b/", "http:\\\\a/", "http://a\\.b.example/", "http://a%40b/", "http://%61/",
        "http://a b/", "http://a\tb/", "http://a/\n", "http://a/ b", "http://a/\u2028", "http://a<b>/", "http://a|b/",
        "http://a:0/", "http://a:65536/", "http://a:x/", "http://:80/", "http://[::1/", "http://[x]/",
        "http://a/" + "x" * CHARACTERS_MAX,
    ],
)  # fmt: skip
def test_what_may_not(url: str) -> None:
    assert not is_callback_url(url)


@given(st.text("a.:/?#@\\[]%1\u00e9", max_size=20))
def test_what_may_be_called_has_one_reading(tail: str) -> None:
    url = f"http://{tail}"
    if is_callback_url(url):
        authority = url[7:].partition("/")[0].partition("?")[0]
        assert not set(authority) & set("#@\\%")
