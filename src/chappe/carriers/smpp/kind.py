"""SMPP carriers: what they are set up with, what they can do, and who does it here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from functools import cached_property
from ipaddress import ip_address
from types import MappingProxyType
from typing import Final

from chappe.carriers import Link
from chappe.carriers.kind import LEARN, Capabilities, Examination, Given, Ids, Kind, Option, Policy, ReplyReader
from chappe.carriers.smpp import reach
from chappe.carriers.smpp.profiles import learns_ids, profile_of
from chappe.core.carrier_config import Carrier, CarrierSettings
from chappe.observability.logs import get_logger
from chappe.smpp.profile import KNOBS, PRESETS, FlashMethod, Mode, MultipartPolicy, ValidityFormat, profile
from chappe.smpp.status_words import suggestion

log = get_logger("chappe.carrier")

_RECEIPTS: Final = {
    MultipartPolicy.ALL: 0,
    MultipartPolicy.ANY: 1,
    MultipartPolicy.FIRST: 2,
    MultipartPolicy.LAST: 3,
}


class SmppKind(Kind):
    """See carriers.kind.Kind. What is only needed to run links or to read PDUs is imported when it is: commands and
    APIs want options."""

    name = "smpp"
    title = "SMPP"
    fields = ("host", "port", "system_id", "password", "window", "rate", "binds", "profile")
    elsewhere = MappingProxyType({"rate_per_s": "rate", "window": "window", "binds": "binds"})

    @cached_property
    def options(self) -> Mapping[str, Option]:
        return {
            knob.name: Option(knob.name, _plain(knob.default), knob.unit, knob.allowed, knob.help)
            for knob in KNOBS.values()
        }

    @property
    def presets(self) -> Mapping[str, Mapping[str, str]]:
        return PRESETS

    def complete(self, given: Given, before: CarrierSettings | None = None) -> CarrierSettings:
        return reach.complete(given, before)

    def check(self, carrier: Carrier) -> None:
        profile_of(carrier)

    def link(self, carrier: Carrier, wake: Callable[[], None]) -> Link:
        from chappe.carriers.smpp.link import SmppLink

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

    def policy(self, carrier: Carrier) -> Policy:
        made = profile_of(carrier)
        return Policy(
            receipts=_RECEIPTS[made.multipart_policy],
            silence_s=made.validity_s + made.receipt_margin_s,
            uncertain=made.uncertain_policy.value,
            uncertain_grace_s=made.uncertain_grace_s,
            rest_s=made.rebind_delay_s,
        )

    def capabilities(self, carrier: Carrier) -> Capabilities:
        made = profile_of(carrier)
        return Capabilities(
            long_texts=made.parts_max > 1,
            # The two lowest bits ask for receipts (SMPP 3.4, 5.2.17); a TX session alone may be sent none.
            receipts=made.registered_delivery_single & 0x03 != 0 and (made.mode is not Mode.TX or made.receipts_on_tx),
            replies=made.mode is not Mode.TX,
            validity=made.validity_format is not ValidityFormat.NONE,
            flash=made.flash is not FlashMethod.NONE,
        )

    def reader(self, carrier: Carrier | None) -> ReplyReader:
        from chappe.carriers.smpp.replies import PduReader

        if carrier is not None:
            try:
                return PduReader(profile_of(carrier))
            except ValueError:
                log.warning("carrier_settings_unreadable", carrier=carrier.name)
        return PduReader(profile("generic", {}))

    def address(self, settings: CarrierSettings) -> str:
        return f"{settings.host}:{settings.port} as {settings.system_id}"

    async def examine(self, carrier: Carrier, to: str, sender: str, wait_s: float) -> Examination:
        from chappe.carriers.smpp import doctor

        found = await doctor.examine(carrier, profile_of(carrier), to, sender, wait_s)
        return Examination(found.healthy, found, doctor.lines(found), doctor.references(found))

    def ids(self, carrier: Carrier) -> Ids:
        from chappe.carriers.smpp.ids import SmppIds

        return SmppIds(profile_of(carrier), carrier.learnt, learns=learns_ids(carrier))

    def learnt(self, carrier: Carrier) -> dict[str, str]:
        if LEARN in carrier.learnt:
            return {}
        return dict(zip(("response_id_format", "receipt_id_format"), carrier.learnt, strict=True))

    def resembling(self, word: str) -> str:
        return suggestion(word)

    def identity(self, settings: CarrierSettings) -> object:
        """Another SMSC, or another word about its ids."""
        words = [settings.settings.get(f"{side}_id_format") for side in ("response", "receipt")]
        return settings.host, settings.port, settings.system_id, settings.profile, *words

    def warning(self, carrier: Carrier) -> str:
        """Whether password and messages leave this machine without TLS."""
        host = carrier.settings.host
        try:
            if profile_of(carrier).tls or _is_here(host):
                return ""
        except ValueError:  # its settings mean nothing any more, and another alarm says so
            return ""
        return (
            f"the password and every message go to {host} unencrypted: `chappe carrier set {carrier.name} tls=on`, "
            "where the carrier offers TLS; else reach it over a VPN or a private line"
        )


def _is_here(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return str(value.value) if isinstance(value, Enum) else str(value)


SMPP: Final = SmppKind()
