"""The profile of a stored carrier: presets, options, and what was learnt of its ids. Pure."""

from __future__ import annotations

from dataclasses import replace

from chappe.core.carrier_config import Carrier
from chappe.smpp.profile import IdFormat, Profile, profile


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
