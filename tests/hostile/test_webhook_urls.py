"""Whatever customers and subscribers write, a webhook is one request to the host that the customer named."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import urlsplit

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chappe.core.errors import Fault
from chappe.core.lifecycle import State
from chappe.core.model import Reply, Report
from chappe.dialects import Dialect, WebhookCall
from chappe.dialects.registry import DIALECTS
from chappe.net.url import read

AT = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
WRITTEN = st.text(st.characters(exclude_categories=["Cs"]), max_size=30) | st.sampled_from(
    ["a\r\nX: b", "\x00", "&a=b", "#", "%0d%0a", "?", " \t", "\u2028", "@evil.example/", "\\evil.example", "+", "é€😀"]
)
TARGETS = st.sampled_from(
    ["http://h.example/", "http://h.example/?a=b", "https://h.example:8/x?", "http://h.example/#f"]
)


def one_request(call: WebhookCall, target: str) -> None:
    """That the call can be sent as one request to the target's host."""
    origin, path = read(call.url)
    assert all("!" <= character <= "~" for character in origin.authority + path)
    assert (origin.tls, origin.authority) == (target.startswith("https:"), urlsplit(target).netloc)
    assert all(" " <= character <= "~" for character in call.content_type + call.method)


@settings(max_examples=400, deadline=None)
@given(
    st.sampled_from(DIALECTS), TARGETS, WRITTEN, WRITTEN, WRITTEN, st.sampled_from(list(State)),
    st.sampled_from(["GET", "POST"]),
)  # fmt: skip
def test_a_report(
    dialect: Dialect, target: str, tag: str, reference: str, reason: str, state: State, method: str
) -> None:
    report = Report(
        dialect=dialect.NAME,
        submission_id=1,
        message_id=65_536,
        public_id="x",
        recipient="+33612345678",
        state=state.word,
        at=AT,
        cost_micros=1,
        target=target,
        tag=tag,
        client_reference=reference,
        reason=reason,
        method=method,
    )
    one_request(dialect.tell(report), target)


@settings(max_examples=400, deadline=None)
@given(
    st.sampled_from(DIALECTS), TARGETS, WRITTEN, WRITTEN, WRITTEN, st.sampled_from(["response", "stop", "start"]),
    st.booleans(), st.sampled_from(["GET", "POST"]),
)  # fmt: skip
def test_a_reply(
    dialect: Dialect, target: str, text: str, number: str, reference: str, kind: str, long_number: bool, method: str
) -> None:
    reply = Reply(
        id=1,
        number=number,
        to="36111",
        text=text,
        at=AT,
        kind=kind,
        parts=(text, text),
        reference=7,
        long_number=long_number,
        dialect=dialect.NAME,
        target=target,
        method=method,
        client_reference=reference,
    )
    for call in dialect.tell_reply(reply):
        one_request(call, target)


@pytest.mark.parametrize("target", ["http://h.example/\ud800", "http://h.example/\r\nX: y", "http://h.example/\x00"])
@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.NAME)
def test_a_target_that_is_no_url_is_a_fault_and_no_other_trouble(dialect: Dialect, target: str) -> None:
    report = Report(dialect.NAME, 1, 65_536, "x", "+33612345678", "delivered", AT, 1, target)
    with pytest.raises(Fault, match="bad_url"):
        read(dialect.tell(msgspec.structs.replace(report, method="GET")).url)
