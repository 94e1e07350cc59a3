"""Carriers over HTTP: what they are set up with, what they can do, and who does it here."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping
from enum import Enum
from functools import cached_property
from typing import Any, Final

import msgspec

from chappe.carriers import Link
from chappe.carriers.calls import Calls
from chappe.carriers.http.options import OPTIONS, HttpProfile, Rule
from chappe.carriers.http.presets import PRESETS
from chappe.carriers.http.profiles import address, callback_path, callback_url, profile
from chappe.carriers.http.replies import StoredReader
from chappe.carriers.kind import Capabilities, Examination, Given, Kind, Option, Policy, ReplyReader
from chappe.core.carrier_config import Carrier, CarrierSettings

WINDOW: Final = 10
SECRET_BYTES: Final = 24
CREDENTIAL_CHARACTERS_MAX: Final = 500


def profile_of(carrier: Carrier) -> HttpProfile:
    """The profile of a stored carrier; raises ValueError for settings that no longer mean anything."""
    return profile(carrier.settings.profile, carrier.settings.settings)


class HttpKind(Kind):
    """See carriers.kind.Kind. system_id and password are the variables {user} and {password} of the templates."""

    name = "http"
    title = "HTTP"
    fields = ("system_id", "password", "window", "rate", "binds", "profile")

    @cached_property
    def options(self) -> Mapping[str, Option]:
        return {
            option.name: Option(
                option.name, _shown(option.default), option.unit, option.allowed, option.help, option.secret
            )
            for option in OPTIONS.values()
        }

    @property
    def presets(self) -> Mapping[str, Mapping[str, str]]:
        return PRESETS

    def complete(self, given: Given, before: CarrierSettings | None = None) -> CarrierSettings:
        for name, value in (("system_id", given.system_id), ("password", given.password)):
            if len(value) > CREDENTIAL_CHARACTERS_MAX or not value.isprintable():
                raise ValueError(f"{name}: expected at most {CREDENTIAL_CHARACTERS_MAX} printable characters")
        settings = dict(given.settings)
        if not settings.get("callback_secret"):
            old = before.settings.get("callback_secret") if before is not None else None
            settings["callback_secret"] = old or secrets.token_urlsafe(SECRET_BYTES)
        preset = settings.pop("preset", "") or given.profile or "custom"
        host, port, _ = address(profile(preset, settings).url)
        return CarrierSettings(
            host=host,
            port=port,
            system_id=given.system_id,
            password=given.password,
            window=WINDOW if given.window is None else given.window,
            rate=0.0 if given.rate is None else given.rate,
            binds=1 if given.binds is None else given.binds,
            profile=preset,
            settings=settings,
        )

    def check(self, carrier: Carrier) -> None:
        profile_of(carrier)

    def link(self, carrier: Carrier, wake: Callable[[], None]) -> Link:
        from chappe.carriers.http.link import HttpLink
        from chappe.carriers.http.requests import Account

        settings = carrier.settings
        account = Account(carrier.name, settings.system_id, settings.password)
        return HttpLink(account, profile_of(carrier), settings.window, settings.rate / settings.binds, wake)

    def policy(self, carrier: Carrier) -> Policy:
        made = profile_of(carrier)
        return Policy(
            receipts=0,
            silence_s=made.validity_s + made.receipt_margin_s,
            uncertain=made.uncertain_policy.value,
            uncertain_grace_s=made.uncertain_grace_s,
        )

    def capabilities(self, carrier: Carrier) -> Capabilities:
        made = profile_of(carrier)
        written = json.dumps(made.body, default=dict)
        return Capabilities(
            receipts=bool(made.receipt_id and made.receipt_states),
            replies=bool(made.reply_from and made.reply_text),
            validity="{validity" in written,
            flash="{flash" in written or "{class}" in written,
        )

    def reader(self, carrier: Carrier | None) -> ReplyReader:
        return StoredReader()

    def address(self, settings: CarrierSettings) -> str:
        who = f" as {settings.system_id}" if settings.system_id else ""
        return f"{settings.host}:{settings.port} over HTTP{who}"

    async def examine(self, carrier: Carrier, to: str, sender: str, wait_s: float) -> Examination:
        from chappe.carriers.http import doctor

        return await doctor.examine(carrier, profile_of(carrier), to, sender)

    def identity(self, settings: CarrierSettings) -> object:
        return settings.host, settings.port, settings.system_id, settings.profile

    def warning(self, carrier: Carrier) -> str:
        """Whether key and messages leave in clear text, or no receipt can come."""
        try:
            made = profile_of(carrier)
        except ValueError:  # its settings mean nothing any more, and another alarm says so
            return ""
        host, _, tls = address(made.url)
        if not tls and host not in ("127.0.0.1", "::1", "localhost"):
            return f"the key and every message go to {host} unencrypted"
        if not made.public_url and made.receipt_id:
            return (
                f"no receipts and no replies come from {carrier.name} until `chappe carrier set {carrier.name} "
                "public_url=https://...` says how the service reaches this server"
            )
        return ""

    def calls(self, carrier: Carrier) -> Calls | None:
        from chappe.carriers.http.calls import HttpCalls

        return HttpCalls(carrier.name, carrier.settings.password, profile_of(carrier))

    def addresses(self, carrier: Carrier) -> dict[str, str]:
        made = profile_of(carrier)
        return {
            what: callback_url(made, carrier.name, what) or callback_path(carrier.name, made.callback_secret, what)
            for what in ("receipt", "reply")
        }

    def replaced(self, before: CarrierSettings, after: CarrierSettings) -> CarrierSettings:
        """The addresses that the service was given stay good."""
        secret = before.settings.get("callback_secret")
        kept = {**after.settings, "callback_secret": secret} if secret else after.settings
        return msgspec.structs.replace(after, settings=kept)


def _shown(value: Any) -> str:
    if isinstance(value, Mapping):
        return ",".join(f"{key}={_shown(part)}" for key, part in value.items())
    if isinstance(value, Rule):
        return f"{value.meaning}:{value.reason}" if value.reason else value.meaning.value
    if isinstance(value, Enum):
        return str(value.value)
    return f"{value:g}" if isinstance(value, float) else str(value)


HTTP: Final = HttpKind()

__all__ = ["HTTP", "profile_of"]
