"""Networks that we send through, as the operator configured them."""

from __future__ import annotations

import msgspec


class CarrierSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How to reach one carrier, as `chappe carrier add` takes it.

    host, port, system_id, password: empty for kinds that keep these among their options. window: unanswered parts of
    one bind; rate: parts a second of all binds together, 0 for no limit; profile: names of the kind's presets;
    settings: single options on top of them.
    """

    host: str = ""
    port: int = 0
    system_id: str = ""
    password: str = ""
    window: int = 10
    rate: float = 0
    binds: int = 1
    profile: str = ""
    settings: dict[str, str] = msgspec.field(default_factory=dict)

    def __repr__(self) -> str:
        return f"CarrierSettings({self.host}:{self.port})"  # options may hold secrets


class Carrier(msgspec.Struct, frozen=True):
    """A network that we send through, as the operator configured it.

    learnt: how it writes message ids in answers and in receipts, as Chappe has found out; `learn` while it has not.
    """

    id: int
    name: str
    kind: str
    settings: CarrierSettings
    enabled: bool
    learnt: tuple[str, str] = ("learn", "learn")


class CarrierRoute(msgspec.Struct, frozen=True):
    """range: 1 premium, 2 low cost, None both; the longest prefix rules, then the lowest priority number."""

    id: int
    carrier: str
    carrier_id: int
    prefix: str
    range: int | None
    priority: int
