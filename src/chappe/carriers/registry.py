"""The kinds of carriers: the visible table, one line each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from chappe.carriers import Link
from chappe.core.carrier_config import Carrier
from chappe.smpp.profile import IdFormat, MultipartPolicy, Profile, profile

_POLICIES = {
    MultipartPolicy.ALL: 0,
    MultipartPolicy.ANY: 1,
    MultipartPolicy.FIRST: 2,
    MultipartPolicy.LAST: 3,
}


def profile_of(carrier: Carrier) -> Profile:
    """The profile of a stored carrier, with what was learnt where it says so; raises ValueError for settings that no
    longer mean anything."""
    made = _as_set(carrier)
    response, receipt = (IdFormat(word) for word in carrier.learnt)
    if IdFormat.LEARN not in (response, receipt) and learns_ids(carrier):
        made = replace(
            made,
            response_id_format=response if made.response_id_format is IdFormat.LEARN else made.response_id_format,
            receipt_id_format=receipt if made.receipt_id_format is IdFormat.LEARN else made.receipt_id_format,
        )
    return made


def learns_ids(carrier: Carrier) -> bool:
    """Whether its settings leave it to us to find out how it writes ids."""
    made = _as_set(carrier)
    return IdFormat.LEARN in (made.response_id_format, made.receipt_id_format)


def _as_set(carrier: Carrier) -> Profile:
    return profile(carrier.settings.profile or "generic", carrier.settings.settings)


def policy_of(carrier: Carrier) -> int:
    """Which parts' receipts make the message's, as apply_receipts numbers it."""
    return _POLICIES[profile_of(carrier).multipart_policy]


def silence_of(carrier: Carrier) -> timedelta:
    """After how long without a receipt a message is given up: its validity and the margin."""
    made = profile_of(carrier)
    return timedelta(seconds=made.validity_s + made.receipt_margin_s)


def rules_of(carrier: Carrier) -> tuple[str, float]:
    """What becomes of messages in doubt: policy, and seconds of grace."""
    made = profile_of(carrier)
    return made.uncertain_policy.value, made.uncertain_grace_s


def rest_of(carrier: Carrier) -> float:
    """Seconds that the carrier wants between the end of a session and the next bind, whoever makes it."""
    return profile_of(carrier).rebind_delay_s


def _smpp(carrier: Carrier, wake: Callable[[], None]) -> Link:
    from chappe.carriers.smpp.link import SmppLink  # only a worker makes links; commands and APIs want profiles

    settings = carrier.settings
    made = profile_of(carrier)
    rate = settings.rate or made.rate_per_s
    return SmppLink(
        carrier.name,
        settings.host,
        settings.port,
        settings.system_id,
        settings.password,
        settings.window,
        rate / settings.binds,
        made,
        wake,
    )


KINDS: dict[str, Callable[[Carrier, Callable[[], None]], Link]] = {
    "smpp": _smpp,
}

__all__ = ["KINDS", "learns_ids", "policy_of", "profile_of", "rest_of", "rules_of", "silence_of"]
