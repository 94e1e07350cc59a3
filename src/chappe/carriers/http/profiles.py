"""A carrier's settings as text, made into a profile: the preset, then what the operator set. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import urlsplit

from chappe.carriers.http.options import OPTIONS, HttpProfile, Sign
from chappe.carriers.http.presets import PRESETS
from chappe.settings.words import did_you_mean

SECRET_CHARACTERS_MIN: Final = 16


def profile(preset: str, settings: Mapping[str, str]) -> HttpProfile:
    """The profile of a preset with settings on top. Raises ValueError: an unknown name, a value that is not allowed, no
    URL."""
    return _made(preset, tuple(sorted(settings.items())))


@lru_cache(maxsize=256)
def _made(preset: str, settings: tuple[tuple[str, str], ...]) -> HttpProfile:
    base = PRESETS.get(preset or "custom")
    if base is None:
        raise ValueError(f"unknown preset {preset[:40]!r}{did_you_mean(preset, PRESETS)}")
    values: dict[str, Any] = {}
    for name, text in (*base.items(), *settings):
        option = OPTIONS.get(name)
        if option is None:
            raise ValueError(f"unknown setting {name[:40]!r}{did_you_mean(name, OPTIONS)}")
        try:
            value = option.read(text)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None
        if option.table:
            value = MappingProxyType({**values.get(name, option.default), **value})
        values[name] = value
    made = replace(HttpProfile(), **values)
    _check(made)
    return made


def _check(made: HttpProfile) -> None:
    """Refuses settings that contradict each other; each is fine alone."""
    address(made.url)
    if made.public_url:
        address(made.public_url, "public_url")
    if made.callback_secret and (
        len(made.callback_secret) < SECRET_CHARACTERS_MIN
        or not made.callback_secret.isascii()
        or not made.callback_secret.replace("-", "").replace("_", "").isalnum()
    ):
        raise ValueError(f"callback_secret: expected at least {SECRET_CHARACTERS_MIN} letters, digits, - and _")
    if made.sign is Sign.OVH and not made.consumer_key:
        raise ValueError(
            "consumer_key is missing: OVHcloud's tokens are application key, application secret, consumer key"
        )


def address(url: str, name: str = "url") -> tuple[str, int, bool]:
    """Host, port and whether it is TLS, of a URL whose host is no template. Raises ValueError."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port, parts = None, None, urlsplit("")
    if parts.scheme not in ("http", "https") or not host or "{" in parts.netloc:
        raise ValueError(f"{name}: expected a URL that begins with http:// or https:// and names a host")
    if "@" in parts.netloc:
        raise ValueError(f"{name}: user and password do not belong here: use --system-id and --password")
    tls = parts.scheme == "https"
    return host, port or (443 if tls else 80), tls


def callback_path(name: str, secret: str, what: str) -> str:
    """The path at which a carrier's service tells us receipts (`receipt`) or replies (`reply`)."""
    return f"/carriers/{name}/{secret}/{what}"


def callback_url(made: HttpProfile, name: str, what: str) -> str:
    """The whole address; empty where the carrier has none."""
    if not made.public_url or not made.callback_secret:
        return ""
    return made.public_url.rstrip("/") + callback_path(name, made.callback_secret, what)
