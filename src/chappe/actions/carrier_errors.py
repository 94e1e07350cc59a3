"""What goes wrong with carriers and routes. Every command catches these; few import carriers.py for it."""

from __future__ import annotations


class CarrierMisuse(ValueError):
    """What the operator wrote for a carrier or a route cannot be used; the message is one sentence."""


class CarrierError(Exception):
    """What the operator asked for cannot be done; the message is one sentence."""


class CarrierUnknown(CarrierError):
    """There is no carrier of this name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"there is no carrier {name}; `chappe carrier list` shows them")
