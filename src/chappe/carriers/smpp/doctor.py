"""`chappe carrier doctor`: looks at a carrier and says what it saw, what it advises, and with which evidence."""

from __future__ import annotations

import asyncio
import math
import secrets
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from ipaddress import ip_address
from statistics import median
from typing import TYPE_CHECKING

import msgspec

from chappe.carriers.smpp.connecting import Trouble
from chappe.carriers.smpp.port_check import Speaks
from chappe.carriers.smpp.probe import Findings, Probe, Probed
from chappe.smpp.commands import Status
from chappe.smpp.message_ids import RULES, agrees
from chappe.smpp.profile import MultipartPolicy, Profile

if TYPE_CHECKING:
    from chappe.core.carrier_config import Carrier, CarrierSettings

CERTIFICATE_DAYS_MIN = 30
WINDOW_MARGIN = 1.5


class Proposal(msgspec.Struct, frozen=True):
    """A change that may help: key=value for `chappe carrier set`, and the evidence. setting is empty for advice that
    is no setting."""

    setting: str
    evidence: str


class Diagnosis(msgspec.Struct, frozen=True):
    """healthy: connected, bound, answering, and with probes: at least one was taken."""

    carrier: str
    healthy: bool
    findings: Findings
    proposals: list[Proposal]


async def examine(carrier: Carrier, profile: Profile, to: str, sender: str, wait_s: float) -> Diagnosis:
    """Looks at a carrier by a session of its own. to: E.164 of a phone for the probes, empty for none."""
    findings = Findings(carrier.settings.host, carrier.settings.port)
    probe = Probe(carrier.settings, profile, findings)
    try:
        if await probe.look(receive=bool(to)) and to:
            await probe.send(to, sender, secrets.randbelow(1 << 40), wait_s)
    finally:
        await asyncio.shield(probe.close())
    bound = findings.bind_status == 0 and not findings.enquire_link_error
    healthy = bound and (not to or any(probed.taken for probed in findings.probes))
    return Diagnosis(carrier.name, healthy, findings, proposals(findings, carrier.settings, profile, datetime.now(UTC)))


def references(diagnosis: Diagnosis) -> list[str]:
    """The carrier's ids of the probes that were taken."""
    return [part.carrier_ref for probe in diagnosis.findings.probes for part in probe.parts if part.carrier_ref]


def proposals(findings: Findings, settings: CarrierSettings, profile: Profile, now: datetime) -> list[Proposal]:
    """What the findings suggest; pure."""
    return [
        *_about_link(findings, settings, profile, now),
        *_about_pace(findings, settings),
        *_about_methods(findings, profile),
        *_about_receipts(findings, profile),
    ]


def _about_link(findings: Findings, settings: CarrierSettings, profile: Profile, now: datetime) -> list[Proposal]:
    found = []
    if findings.connect_error or findings.speaks:
        return [_about_unreachable(findings, settings, profile)]
    if findings.tls is None and not _near(settings.host):
        found.append(Proposal("", "the password travels in clear over a public network: ask for TLS"))
    if findings.tls is not None and findings.tls["certificate_ends"]:
        days = (parsedate_to_datetime(findings.tls["certificate_ends"]).astimezone(UTC) - now).days
        if days < CERTIFICATE_DAYS_MIN:
            found.append(Proposal("", f"the carrier's certificate ends in {days} days"))
    if findings.tls is not None and findings.tls["verified"] == "no":
        found.append(Proposal("tls_verify=yes", "the certificate is not checked: anybody can be this carrier"))
    if findings.bind_status in (Status.RINVPASWD, Status.RINVSYSID, Status.RBINDFAIL):
        found.append(Proposal("", "the carrier refuses system_id or password, or this address: ask which are allowed"))
    if findings.bind_status == Status.RALYBND:
        evidence = "the carrier allows no further session: `chappe serve` has them all, or an old one lives"
        found.append(Proposal("", evidence))
    if findings.peer_version and findings.peer_version < "3.4" and profile.tlvs_sent:
        found.append(Proposal("profile=smpp33", f"the carrier says that it speaks SMPP {findings.peer_version}"))
    return found


def _about_unreachable(findings: Findings, settings: CarrierSettings, profile: Profile) -> Proposal:
    """No session came about: the one thing to do."""
    where = f"{settings.host}:{settings.port}"
    if findings.trouble == Trouble.CERTIFICATE:
        advice = (
            "a private authority's certificate goes into a file that tls_ca_file names; if the certificate is for "
            "another name than the host, tls_server_name is that name"
        )
        return Proposal("", advice)
    if findings.trouble == Trouble.CA_FILE:
        return Proposal("", "the process must be able to read the file of tls_ca_file, which holds PEM certificates")
    if findings.trouble == Trouble.UNRESOLVED:
        return Proposal("", f"check the spelling of {settings.host}, and the name servers of this machine")
    if findings.speaks == Speaks.SMPP and profile.tls:
        return Proposal("tls=no", f"{where} answers in SMPP without TLS; or the carrier has another port for TLS")
    if findings.speaks == Speaks.TLS and not profile.tls:
        return Proposal("tls=yes", f"{where} speaks TLS")
    if findings.speaks == Speaks.HTTP:
        return Proposal("", f'{where} is a web server, not SMPP: it answered "{findings.said}": check host and port')
    if findings.speaks == Speaks.OTHER:
        return Proposal("", f'{where} is not SMPP: it answered "{findings.said}": check host and port')
    if findings.speaks == Speaks.SMPP:
        return Proposal("", f"{where} answers in SMPP, but not to the bind: ask the carrier whether it is configured")
    if findings.speaks == Speaks.TLS:
        return Proposal("", f"{where} speaks TLS, but no SMPP behind it: check the port")
    if findings.trouble == Trouble.NO_TLS:
        return Proposal("tls=no", f"{where} answers, but not in TLS; or the carrier has another port for it")
    if findings.speaks in (Speaks.CLOSES, Speaks.SILENT):
        does = "ends connections" if findings.speaks == Speaks.CLOSES else "takes connections and says nothing"
        return Proposal("", f"{where} {does}: ask the carrier if this machine's address is allowed; check the port")
    return Proposal("", f"nothing answers on {where}: check host, port and firewall")


def _about_pace(findings: Findings, settings: CarrierSettings) -> list[Proposal]:
    """A window that is too small for rate and distance is the commonest reason for slow sending."""
    answers = [part.took_ms for probe in findings.probes for part in probe.parts if part.status == 0]
    times = answers or findings.enquire_link_ms
    if not times or not settings.rate:
        return []
    took_s = median(times) / 1000
    reach = settings.window * settings.binds / max(took_s, 0.0001)
    if reach >= settings.rate:
        return []
    window = math.ceil(settings.rate * took_s / settings.binds * WINDOW_MARGIN)
    evidence = (
        f"answers take {took_s * 1000:.3g} ms, so that {settings.binds} binds with a window of {settings.window} give "
        f"at most {reach:.0f} parts/s, and the rate is {settings.rate:g}"
    )
    return [Proposal(f"window={window}", evidence)]


def _about_methods(findings: Findings, profile: Profile) -> list[Proposal]:
    """Of several ways to send long texts, the one in use must work."""
    long_ones = [probe for probe in findings.probes if probe.name.startswith("two parts")]
    current = next((probe for probe in long_ones if probe.method == profile.long_method), None)
    if current is None or current.taken:
        return []
    other = next((probe for probe in long_ones if probe.taken), None)
    why = current.refusal or next((part.meaning for part in current.parts if part.status != 0), "not sent")
    if other is None:
        return [Proposal("", f"no way to send a long text was taken; {profile.long_method}: {why}")]
    return [Proposal(f"long_method={other.method}", f"{profile.long_method}: {why}; {other.method} was taken")]


def _about_receipts(findings: Findings, profile: Profile) -> list[Proposal]:
    found = []
    seen = [(probe, receipt) for probe in findings.probes for receipt in probe.receipts]
    taken = [probe for probe in findings.probes if probe.taken]
    if taken and not seen:
        found.append(Proposal("", "no receipt came: was the phone on? else ask the carrier where it sends them"))
    marks = {
        "tlv": ("receipts_by_tlv", profile.receipts_by_tlv),
        "text": ("receipts_by_text", profile.receipts_by_text),
    }
    missed = [receipt for _, receipt in seen if not _known(receipt.known_by, profile)]
    for mark, (knob, on) in marks.items():
        if not on and missed and all(mark in receipt.known_by for receipt in missed):
            found.append(Proposal(f"{knob}=yes", f"{len(missed)} receipts came without the receipt bit of esm_class"))
            break
    found += _about_ids(findings, profile)
    found += _about_parts(findings, profile)
    return found


def _known(known_by: list[str], profile: Profile) -> bool:
    return any(getattr(profile, f"receipts_by_{mark}") for mark in known_by)


def _about_ids(findings: Findings, profile: Profile) -> list[Proposal]:
    """The strictest rule that brings every response and its receipt together."""
    pairs = [
        (part.carrier_ref, receipt.carrier_ref)
        for probe in findings.probes
        for receipt in probe.receipts
        for part in probe.parts
        if part.part == receipt.part
    ]
    if not pairs:
        return []
    current = (profile.response_id_format, profile.receipt_id_format)
    fitting = [rule for rule in RULES if all(agrees(*pair, rule) for pair in pairs)]
    if not fitting or current == fitting[0] or all(agrees(*pair, current) for pair in pairs):
        return []
    rule = fitting[0]
    evidence = f"{len(pairs)} receipts, such as id {pairs[0][0]} in the response and {pairs[0][1]} in the receipt"
    return [
        Proposal(f"response_id_format={rule[0]}", evidence),
        Proposal(f"receipt_id_format={rule[1]}", evidence),
    ]


def _about_parts(findings: Findings, profile: Profile) -> list[Proposal]:
    """Some carriers send one receipt for a message of two parts."""
    patterns = {_finals(probe) for probe in findings.probes if len(probe.parts) == 2 and probe.taken and probe.receipts}
    wanted = {frozenset({1}): MultipartPolicy.FIRST, frozenset({2}): MultipartPolicy.LAST}
    if len(patterns) != 1:
        return []
    pattern = patterns.pop()
    policy = wanted.get(pattern)
    if policy is None or profile.multipart_policy is policy:
        return []
    return [
        Proposal(f"multipart_policy={policy}", f"of two parts only part {min(pattern)} got a receipt, in every probe")
    ]


def _finals(probe: Probed) -> frozenset[int]:
    return frozenset(receipt.part for receipt in probe.receipts if receipt.final)


def _near(host: str) -> bool:
    """Whether the way there is no public network, as far as the name tells."""
    try:
        return ip_address(host).is_private
    except ValueError:
        return host == "localhost"


def lines(diagnosis: Diagnosis) -> list[str]:
    """A diagnosis for people; what the carrier sent is in it as it came."""
    f = diagnosis.findings
    said = [f"{diagnosis.carrier}: {f.host}:{f.port}"]
    if f.connect_ms is None or f.connect_error:
        said.append(f"  connect   fails: {f.connect_error}")
    else:
        way = f"{f.tls['protocol']} {f.tls['cipher']}" if f.tls else "in clear"
        said.append(f"  connect   {f.connect_ms:g} ms, {way}")
    if f.bind_status == 0:
        version = f"SMPP {f.peer_version}" if f.peer_version else "a version that it does not tell"
        said.append(f"  bind      {f.bind_ms:g} ms as {f.bind_mode}, to {f.peer_system_id or '?'}, {version}")
    elif f.bind_error:
        said.append(f"  bind      fails: {f.bind_error}")
    if f.enquire_link_ms:
        times = f.enquire_link_ms
        said.append(f"  answers   {min(times):g} ms at best, {median(times):g} ms in the middle of {len(times)}")
    if f.enquire_link_error:
        said.append(f"  answers   enquire_link fails: {f.enquire_link_error}")
    for probe in f.probes:
        said.append(f"  probe     {probe.name}: {probe.refusal or ('taken' if probe.taken else 'not taken')}")
        for part in probe.parts:
            reference = f", id {part.carrier_ref}" if part.carrier_ref else ""
            said.append(f"              {_part(part.part)}{part.meaning} in {part.took_ms:g} ms{reference}")
        for seen in probe.receipts:
            known = f"id {seen.carrier_ref}, known by {' and '.join(seen.known_by)}"
            said.append(f"              {_part(seen.part)}receipt {seen.word} after {seen.after_s:g} s, {known}")
    if f.strangers:
        said.append(f"  {f.strangers} messages of others were given back to the carrier")
    said += [f"  advice    {f'{p.setting}: ' if p.setting else ''}{p.evidence}" for p in diagnosis.proposals]
    changes = [p.setting for p in diagnosis.proposals if p.setting]
    if changes:
        said.append(f"  to follow it: chappe carrier set {diagnosis.carrier} {' '.join(changes)}")
    if not diagnosis.proposals and diagnosis.healthy:
        said.append("  nothing to advise")
    return said


def _part(part: int) -> str:
    return f"part {part}: " if part else ""


__all__ = ["Diagnosis", "Proposal", "examine", "lines", "proposals", "references"]
