"""`chappe carrier doctor` for a carrier over HTTP: what can be found out from here, one check after the other."""

from __future__ import annotations

import time
from typing import Final

import msgspec

from chappe.carriers import Outgoing
from chappe.carriers.http.answers import judge
from chappe.carriers.http.options import HttpProfile, Meaning
from chappe.carriers.http.profiles import callback_url
from chappe.carriers.http.requests import Account, request
from chappe.carriers.kind import Examination
from chappe.core.carrier_config import Carrier
from chappe.core.errors import Fault
from chappe.net.client import Door

TIMEOUT_S: Final = 10.0
PROBE_TEXT: Final = "Chappe: test"
MARKS: Final = {"good": "+", "bad": "!", "note": "-"}


class Check(msgspec.Struct, frozen=True):
    """One thing looked at. level: good, bad, note; advice: what to do, empty for nothing."""

    about: str
    level: str
    found: str
    advice: str = ""


class Diagnosis(msgspec.Struct, frozen=True):
    """All checks; healthy: none of them is bad. reference: the service's id of the probe."""

    carrier: str
    healthy: bool
    checks: tuple[Check, ...]
    reference: str = ""


async def examine(carrier: Carrier, made: HttpProfile, to: str, sender: str) -> Examination:
    """Connects to the service, asks whether the public address leads here, and sends one probe where a number is given.
    Nothing else is sent to the service."""
    door = Door(allow_private=True)
    try:
        checks = [await _connection(door, made)]
        checks += await _public(door, carrier, made)
        reference = ""
        if to and checks[0].level == "good":
            probe, reference = await _probe(door, carrier, made, to, sender)
            checks.append(probe)
        elif not to:
            checks.append(Check("key", "note", "not tried: only a message shows whether it is right", "use --to"))
    finally:
        await door.close()
    healthy = all(check.level != "bad" for check in checks)
    document = Diagnosis(carrier.name, healthy, tuple(checks), reference)
    return Examination(healthy, document, [_line(check) for check in checks], [reference] if reference else [])


def _line(check: Check) -> str:
    advice = f" ({check.advice})" if check.advice else ""
    return f"{MARKS[check.level]} {check.about}: {check.found}{advice}"


async def _connection(door: Door, made: HttpProfile) -> Check:
    began = time.monotonic()
    try:
        await door.warm(made.url, TIMEOUT_S)
    except Fault as fault:
        return Check("connection", "bad", str(fault), "see the host of `url`, the network, the certificate")
    return Check("connection", "good", f"made in {(time.monotonic() - began) * 1000:.0f} ms")


async def _public(door: Door, carrier: Carrier, made: HttpProfile) -> list[Check]:
    """Whether the service could reach us, as far as that can be seen from here."""
    if not made.public_url:
        if not made.receipt_id:
            return []
        advice = f"chappe carrier set {carrier.name} public_url=https://..."
        return [Check("receipts", "note", "none come: the service does not know our address", advice)]
    url = callback_url(made, carrier.name, "receipt")
    try:
        answer = await door.request("GET", url, timeout_s=TIMEOUT_S)
    except Fault as fault:
        advice = "a service may reach it all the same, where this machine cannot reach its own public address"
        return [Check("public address", "note", f"not reached from here: {fault}", advice)]
    if answer.status == 200:
        return [Check("public address", "good", "leads to this carrier")]
    advice = "the proxy in front must pass /carriers/ on as it is, and `chappe serve` must run"
    return [Check("public address", "bad", f"answers {answer.status} instead of this carrier", advice)]


async def _probe(door: Door, carrier: Carrier, made: HttpProfile, to: str, sender: str) -> tuple[Check, str]:
    """One message to the operator's own phone; its receipt comes to the server, which knows no message of that id."""
    account = Account(carrier.name, carrier.settings.system_id, carrier.settings.password)
    try:
        out = request(Outgoing(0, to, sender, PROBE_TEXT), made, account, time.time())
        answer = await door.request(
            out.method, out.url, out.content_type, out.body, made.timeout_s, out.headers, once=True
        )
    except (Fault, ValueError) as error:
        return Check("probe", "bad", f"no answer: {error}"), ""
    verdict = judge(answer.status, answer.excerpt, made)
    if verdict.meaning is Meaning.TAKEN:
        words = f"taken as {verdict.reference}" if verdict.reference else "taken without an id: no receipt will match"
        return Check("probe", "good", words), verdict.reference
    return Check("probe", "bad", f"{verdict.meaning}: {verdict.detail}"), ""


__all__ = ["Check", "Diagnosis", "examine"]
