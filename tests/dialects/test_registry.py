"""Which dialect a request speaks: below its mount always, then by host, then by the exact table of paths."""

from __future__ import annotations

import pytest
from dialect_asks import ASKS, SENDS

from chappe.core.http import Request
from chappe.dialects.registry import BY_NAME, DIALECTS, Directory, HostError, host_of, read_hosts

PLAIN = Directory()
HOSTS = Directory(read_hosts(("sms.example=smspartner", "am.example=allmysms")))


def _found(directory: Directory, path: str, host: str = "any.example:8080") -> tuple[str, str] | None:
    found = directory.find(Request("GET", path, headers={"host": host}))
    return None if found is None else (found[0].NAME, found[1].path)


@pytest.mark.parametrize(
    ("name", "path"),
    [(name, path) for name, asks in ASKS.items() for path, _, _ in asks]
    + [(name, request.path) for name, forms in SENDS.items() for request in forms.values()],
)
def test_every_page_is_found_by_path_and_below_its_mount(name: str, path: str) -> None:
    for directory in (PLAIN, HOSTS):
        assert _found(directory, path) == (name, path)
        assert _found(directory, f"/{name}{path}") == (name, path)


@pytest.mark.parametrize(
    "path",
    [
        "/v1/public/message",
        "/sms/json",
        "/http/1.6/sendSMS.do",
        "/account/get-balance",
        "/v1",
        "/",
        "",
        "/smspartnerx/v1",
    ],
)
def test_pages_of_other_providers_are_nobody_s(path: str) -> None:
    assert _found(PLAIN, path) is None
    for dialect in DIALECTS:
        inner = path if path.startswith("/") else "/"
        assert _found(PLAIN, f"/{dialect.NAME}{inner}") == (dialect.NAME, inner), "below a mount all is answered"


@pytest.mark.parametrize(
    ("host", "path", "found"),
    [
        ("sms.example", "/v1/send", ("smspartner", "/v1/send")),
        ("SMS.Example.:80", "/v1/nothing", ("smspartner", "/v1/nothing")),
        ("sms.example", "/sms/send", ("smspartner", "/sms/send")),
        ("am.example:8443", "/v1/send", ("allmysms", "/v1/send")),
        ("am.example", "/smspartner/v1/send", ("smspartner", "/v1/send")),
        ("other.example", "/v1/send", ("smspartner", "/v1/send")),
        ("other.example", "/v1/nothing", None),
        ("", "/sms/send", ("allmysms", "/sms/send")),
    ],
)
def test_a_host_has_one_dialect_whatever_the_path_but_for_mounts(
    host: str, path: str, found: tuple[str, str] | None
) -> None:
    assert _found(HOSTS, path, host) == found


def test_nothing_but_the_path_changes_below_a_mount() -> None:
    request = Request("POST", "/smspartner/v1/send", b"a=1", {"host": "x"}, b"{}", "192.0.2.1", False, True)
    found = PLAIN.find(request)
    assert found is not None
    assert found[1] == Request("POST", "/v1/send", b"a=1", {"host": "x"}, b"{}", "192.0.2.1", False, True)
    same = Request("POST", "/v1/send")
    found = PLAIN.find(same)
    assert found is not None
    assert found[1] is same


@pytest.mark.parametrize(
    ("written", "host"),
    [
        ("a.example", "a.example"), ("A.Example:80", "a.example"), ("a.example.", "a.example"), ("[::1]:80", "[::1]"),
        ("[2001:DB8::1]", "[2001:db8::1]"), ("", ""), (":80", ":80"), ("a.example:", "a.example:"),
    ],
)  # fmt: skip
def test_a_host_header_is_compared_without_case_port_and_final_dot(written: str, host: str) -> None:
    assert host_of(written) == host


@pytest.mark.parametrize(
    "written",
    [("a.example",), ("=smspartner",), ("a.example=other",), ("a.example=smspartner", "A.example:80=allmysms")],
)
def test_a_mistake_in_hosts_is_told(written: tuple[str, ...]) -> None:
    with pytest.raises(HostError, match="dialect_hosts"):
        read_hosts(written)


def test_spaces_around_a_host_and_a_name_are_none() -> None:
    assert read_hosts((" a.example = smspartner ",)) == {"a.example": BY_NAME["smspartner"]}
