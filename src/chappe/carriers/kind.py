"""What a kind of carrier is: how it is set up, what it can do, how its links are made, how what it brings is read.

One package per kind, one instance of Kind in it, one line in registry.py. The rest of the program knows carriers by
this class and by the Link of the package's __init__ alone. A method without a default is what every kind must say.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, Protocol

import msgspec

from chappe.carriers import Link
from chappe.carriers.calls import Calls
from chappe.core.carrier_config import Carrier, CarrierSettings

LEARN: Final = "learn"
"""A rule about ids that is not known yet; see Carrier.learnt."""


class Option(msgspec.Struct, frozen=True):
    """One setting of a kind, as `--set` takes it.

    default, allowed: as they are shown; unit: empty for none; secret: its value is never shown.
    """

    name: str
    default: str
    unit: str
    allowed: str
    help: str
    secret: bool = False


class Given(msgspec.Struct, frozen=True):
    """What an operator writes of a carrier; None: left to the kind."""

    host: str = ""
    port: int | None = None
    system_id: str = ""
    password: str = ""
    window: int | None = None
    rate: float | None = None
    binds: int | None = None
    profile: str = ""
    settings: Mapping[str, str] = {}


class Capabilities(msgspec.Struct, frozen=True):
    """What a carrier can do, as it is set up."""

    long_texts: bool = True  # texts of several parts
    receipts: bool = True  # says what became of a message
    replies: bool = True  # brings what subscribers write
    validity: bool = True  # can be told until when a message may be tried
    flash: bool = True
    cancel: bool = False  # takes back what it has not delivered


class Policy(msgspec.Struct, frozen=True):
    """What the workers ask of a carrier beside its links.

    receipts: which parts' receipts make the message's, as apply_receipts numbers it (0 all, 1 any, 2 first, 3 last);
    silence_s: after how long without a receipt a message is given up; uncertain: what becomes of a message in doubt
    (auto, resend, hold), uncertain_grace_s after it; rest_s: between the end of a session and the next, whoever makes
    it.
    """

    receipts: int
    silence_s: float
    uncertain: str = "auto"
    uncertain_grace_s: float = 10.0
    rest_s: float = 0.0


class Fragment(msgspec.Struct, frozen=True):
    """One message of a subscriber as it was received, or one part of a longer one.

    message: what the parts of one message have in common, beside their addresses; empty for one that stands alone.
    reference: the number in it that customers are told. part: from 1, of parts. body: equal in two copies of a part.
    content: the kind's own, for compose().
    """

    message: str
    reference: int
    part: int
    parts: int
    body: bytes
    content: Any = None


class Text(msgspec.Struct, frozen=True):
    """What a subscriber wrote. parts: of each part that is there; a gap is marked in text. oddities: words for what was
    unusual, such as `windows-1252_as_gsm7` for octets that are not what was announced."""

    text: str
    parts: tuple[str, ...]
    oddities: tuple[str, ...] = ()


class ReplyReader(Protocol):
    """Reads stored messages of subscribers (MessageIn.raw) of one carrier. Pure."""

    def read(self, raw: bytes) -> Fragment | None:
        """What was received; None when it is no message that can be read."""
        ...

    def stored(self, raw: bytes) -> tuple[bytes, str]:
        """MessageIn's key and message for octets that were stored without them."""
        ...

    def compose(self, fragments: Sequence[Fragment]) -> Text | None:
        """The text of these parts of one message, in order of arrival; parts may be missing or there twice. None when
        it is no text."""
        ...


class Stray(msgspec.Struct, frozen=True):
    """What a receipt without a message says: its ids as written, and its addresses."""

    ids: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()


class Learnt(msgspec.Struct, frozen=True):
    """What is known of how a carrier writes ids. rule: to be stored as Carrier.learnt; broken: receipts contradict what
    was learnt; state: the kind's own."""

    rule: tuple[str, str] = (LEARN, LEARN)
    broken: bool = False
    state: Any = None


class Ids:
    """How receipts name messages: by the very id of the answer, unless a kind knows more."""

    learns = False
    """Whether other forms of an id are tried."""

    def read(self, raw: bytes) -> Stray:
        """What a stored receipt (ReceiptIn.raw) says; nothing when it cannot be read."""
        return Stray()

    def forms(self, ids: Iterable[str]) -> set[str]:
        """What the carrier may have answered where it writes these ids in receipts."""
        return set(ids)

    def learn(self, before: Learnt | None, pairs: Sequence[tuple[str, str]]) -> Learnt:
        """The knowledge after some pairs of an answered id and a receipt's that belong together; before: None at the
        start."""
        return before or Learnt()


class Examination(msgspec.Struct, frozen=True):
    """What `chappe carrier doctor` found. document: for programs; lines: for people; references: the carrier's ids of
    what was sent."""

    healthy: bool
    document: Any
    lines: Sequence[str]
    references: Sequence[str] = ()


class Kind(ABC):
    """One kind of carrier."""

    name: str
    title: str
    """As in "adds an SMPP carrier"."""
    fields: tuple[str, ...] = ("window", "rate", "binds", "profile")
    """Which fields of CarrierSettings it uses; all else is in its options."""
    elsewhere: Mapping[str, str] = {}
    """Options whose value is in a field: option -> field."""

    @property
    @abstractmethod
    def options(self) -> Mapping[str, Option]:
        """What `--set` takes, by name."""

    @property
    @abstractmethod
    def presets(self) -> Mapping[str, Mapping[str, str]]:
        """What `--profile` takes: options that a preset sets, by its name."""

    @abstractmethod
    def complete(self, given: Given, before: CarrierSettings | None = None) -> CarrierSettings:
        """The settings of what was written, with the kind's own defaults, checked. before: those of a carrier that is
        changed. Raises ValueError with one sentence, in which no secret is."""

    @abstractmethod
    def check(self, carrier: Carrier) -> None:
        """Raises ValueError for stored settings that mean nothing in this version."""

    @abstractmethod
    def link(self, carrier: Carrier, wake: Callable[[], None]) -> Link:
        """One bind, not started; wake: called whenever there is something to take, or room to send."""

    @abstractmethod
    def policy(self, carrier: Carrier) -> Policy:
        """Raises ValueError like check."""

    @abstractmethod
    def capabilities(self, carrier: Carrier) -> Capabilities:
        """Raises ValueError like check."""

    @abstractmethod
    def reader(self, carrier: Carrier | None) -> ReplyReader:
        """Reads with the usual settings when the carrier is gone or its settings mean nothing."""

    @abstractmethod
    def address(self, settings: CarrierSettings) -> str:
        """Where it is and who we are there, for people; no secret."""

    @abstractmethod
    async def examine(self, carrier: Carrier, to: str, sender: str, wait_s: float) -> Examination:
        """Looks at the carrier by a session of its own. to: E.164 of a phone that gets probes, empty for none."""

    def ids(self, carrier: Carrier) -> Ids:
        """How its receipts name messages. Raises ValueError like check."""
        return Ids()

    def learnt(self, carrier: Carrier) -> dict[str, str]:
        """What was learnt, as options and their values; empty while nothing was."""
        return {}

    def resembling(self, word: str) -> str:
        """The known word of receipts that an unknown one resembles; empty when it resembles none."""
        return ""

    def identity(self, settings: CarrierSettings) -> object:
        """What was learnt of a carrier is forgotten when this changes."""
        return settings

    def calls(self, carrier: Carrier) -> Calls | None:
        """How its service calls us; None for a kind that brings everything over its links. Raises ValueError like
        check."""
        return None

    def addresses(self, carrier: Carrier) -> dict[str, str]:
        """What its service has to call: `receipt` and `reply`, whole addresses or, where the server's public address is
        not known, paths; empty for a kind that is not called. They hold a secret. Raises ValueError like check."""
        return {}

    def replaced(self, before: CarrierSettings, after: CarrierSettings) -> CarrierSettings:
        """Other settings for a carrier that exists, with what must stay as it was."""
        return after

    def warning(self, carrier: Carrier) -> str:
        """A sentence without its end for what the operator should know of the settings; empty for nothing."""
        return ""
