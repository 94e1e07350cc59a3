"""What can be set of a carrier over HTTP: each setting once, with its type, its limits and its help. Pure."""
# ruff: noqa: RUF009 - what is called declares a field

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final, TypeVar

from chappe.carriers.http import template
from chappe.core.lifecycle import State
from chappe.settings import kinds

E = TypeVar("E", bound=StrEnum)
T = TypeVar("T")

TEXT_CHARACTERS_MAX: Final = 2_000
TEMPLATE_CHARACTERS_MAX: Final = 8_000
TABLE_ENTRIES_MAX: Final = 300
DEPTH_MAX: Final = 8


class Method(StrEnum):
    """The method of a request."""

    POST = "POST"
    GET = "GET"
    PUT = "PUT"


class Form(StrEnum):
    """How a request carries its fields."""

    JSON = "json"
    FORM = "form"  # application/x-www-form-urlencoded
    QUERY = "query"  # behind the URL


class Auth(StrEnum):
    """How a request says who we are, beside what its templates say."""

    NONE = "none"
    BASIC = "basic"  # user and password (RFC 7617)
    BEARER = "bearer"  # the password as a token (RFC 6750)


class Sign(StrEnum):
    """How a request is signed."""

    NONE = "none"
    OVH = "ovh"


class CallbackSign(StrEnum):
    """How the service signs what it tells us."""

    NONE = "none"
    TWILIO = "twilio"
    SMSGATE = "smsgate"


class Uncertain(StrEnum):
    """What becomes of a message in doubt."""

    AUTO = "auto"  # transactional ones are sent again, others are held
    RESEND = "resend"
    HOLD = "hold"


class Meaning(StrEnum):
    """What an answer of the service means for a message."""

    TAKEN = "taken"
    REFUSED = "refused"  # for good, this message
    RETRY = "retry"  # it may work later: costs an attempt
    THROTTLE = "throttle"  # too fast: the carrier slows down, the message costs no attempt
    CONFIG = "config"  # every message would fail: key, credit, address
    DOUBT = "doubt"  # the service may have the message, or not


@dataclass(frozen=True, slots=True)
class Rule:
    """What one code or status means; reason: our word for the timeline."""

    meaning: Meaning
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Option:
    """One setting. read: from text; raises ValueError with what is allowed. secret: never shown. table: adds entries to
    those of the preset."""

    help: str
    allowed: str
    read: Callable[[str], Any]
    secret: bool = False
    table: bool = False
    unit: str = ""
    name: str = ""
    default: Any = None


def _declare(default: T, option: Option) -> T:
    option = replace(option, default=default)
    if isinstance(default, Mapping):
        return field(default_factory=lambda: default, metadata={"option": option})
    return field(default=default, metadata={"option": option})


def _text(default: str, help: str, *, secret: bool = False) -> str:
    def read(value: str) -> str:
        if len(value) > TEXT_CHARACTERS_MAX or not value.isprintable():
            raise ValueError(f"expected at most {TEXT_CHARACTERS_MAX} printable characters")
        return value

    return _declare(default, Option(help, "text", read, secret=secret))


def _choice(default: E, help: str) -> E:
    words = {member.value.lower(): member for member in type(default)}
    allowed = ", ".join(member.value for member in type(default))

    def read(value: str) -> E:
        try:
            return words[value.strip().lower()]
        except KeyError:
            raise ValueError(f"{value[:40]!r} is not one of {allowed}") from None

    return _declare(default, Option(help, allowed, read))


def _number(default: float, low: float, high: float, help: str) -> float:
    kind = kinds.number(low, high)
    return _declare(default, Option(help, kind.expects, kind.read))


def _whole(default: int, low: int, high: int, help: str) -> int:
    kind = kinds.whole(low, high)
    return _declare(default, Option(help, kind.expects, kind.read))


def _template(default: str, help: str) -> str:
    def read(value: str) -> str:
        if len(value) > TEMPLATE_CHARACTERS_MAX:
            raise ValueError(f"expected at most {TEMPLATE_CHARACTERS_MAX} characters")
        template.check(value)
        return value

    return _declare(default, Option(help, "text with {variables}", read))


def _tree(default: Mapping[str, Any], help: str) -> Mapping[str, Any]:
    def read(value: str) -> Mapping[str, Any]:
        if len(value) > TEMPLATE_CHARACTERS_MAX:
            raise ValueError(f"expected at most {TEMPLATE_CHARACTERS_MAX} characters")
        try:
            found = json.loads(value or "{}")
        except ValueError:
            raise ValueError("expected a JSON object") from None
        if not isinstance(found, dict):
            raise ValueError("expected a JSON object")
        _check_tree(found, DEPTH_MAX)
        return MappingProxyType(found)

    return _declare(default, Option(help, "a JSON object whose texts hold {variables}", read))


def _check_tree(value: Any, depth: int) -> None:
    if depth < 0:
        raise ValueError(f"expected at most {DEPTH_MAX} levels")
    if isinstance(value, str):
        template.check(value)
    elif isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            _check_tree(part, depth - 1)


_PATHS: Final = re.compile(r"[^.|\s=]+(?:\.[^.|\s=]+)*(?:\|[^.|\s=]+(?:\.[^.|\s=]+)*)*")


def _path(help: str) -> str:
    def read(value: str) -> str:
        value = value.strip()
        if value and not _PATHS.fullmatch(value):
            raise ValueError("expected a path such as data.id or ids.0, or several with | between them")
        return value

    return _declare("", Option(help, "a path such as data.id or ids.0; a|b: the first that is there", read))


def _entries(value: str) -> list[tuple[str, str]]:
    """The `key=word` entries of a table, with commas between them."""
    found = []
    for entry in value.split(","):
        key, equals, word = entry.strip().rpartition("=")
        if not entry.strip():
            continue
        if not equals or not key:
            raise ValueError(f"{entry.strip()[:40]!r}: expected KEY=WORD,KEY=WORD")
        found.append((key.strip(), word.strip()))
    if len(found) > TABLE_ENTRIES_MAX:
        raise ValueError(f"expected at most {TABLE_ENTRIES_MAX} entries")
    return found


def _rules(help: str, default: Mapping[str, Rule] | None = None) -> Mapping[str, Rule]:
    def read(value: str) -> Mapping[str, Rule]:
        table = {}
        for key, word in _entries(value):
            meaning, _, reason = word.partition(":")
            try:
                table[key] = Rule(Meaning(meaning), reason)
            except ValueError:
                raise ValueError(f"{meaning[:40]!r} is not one of {', '.join(Meaning)}") from None
        return MappingProxyType(table)

    allowed = "CODE=MEANING[:REASON],...; meanings: " + ", ".join(Meaning)
    return _declare(MappingProxyType(dict(default or {})), Option(help, allowed, read, table=True))


IN_TRANSIT: Final = "in_transit"
_STATES: Final[Mapping[str, State | None]] = MappingProxyType(
    {
        "delivered": State.DELIVERED,
        "undelivered": State.UNDELIVERED,
        "expired": State.EXPIRED,
        "rejected": State.REJECTED,
        IN_TRANSIT: None,  # news that ends nothing
    }
)


def _states(help: str) -> Mapping[str, State | None]:
    def read(value: str) -> Mapping[str, State | None]:
        table = {}
        for key, word in _entries(value):
            if word not in _STATES:
                raise ValueError(f"{word[:40]!r} is not one of {', '.join(_STATES)}")
            table[key.lower()] = _STATES[word]
        return MappingProxyType(table)

    allowed = "WORD=STATE,...; states: " + ", ".join(_STATES)
    return _declare(MappingProxyType({}), Option(help, allowed, read, table=True))


def _words(help: str) -> Mapping[str, str]:
    def read(value: str) -> Mapping[str, str]:
        return MappingProxyType(dict(_entries(value)))

    return _declare(MappingProxyType({}), Option(help, "ERROR=WORD,...", read, table=True))


def _conditions(help: str) -> Mapping[str, tuple[str, ...]]:
    def read(value: str) -> Mapping[str, tuple[str, ...]]:
        return MappingProxyType({path: tuple(wanted.split("|")) for path, wanted in _entries(value)})

    return _declare(MappingProxyType({}), Option(help, "PATH=VALUE|VALUE,...; *: anything that is not empty", read))


# What a status means where the answer's own code says nothing. 500, 502 and 504 come from services that may have taken
# the message before they failed; 503 and 429 say that they have not begun.
STATUSES: Final[Mapping[str, Rule]] = MappingProxyType(
    {
        "3": Rule(Meaning.CONFIG, "redirected"),
        "4": Rule(Meaning.REFUSED, "request_refused"),
        "5": Rule(Meaning.DOUBT, "service_failed"),
        "401": Rule(Meaning.CONFIG, "credentials_refused"),
        "402": Rule(Meaning.CONFIG, "credit"),
        "403": Rule(Meaning.CONFIG, "access_refused"),
        "404": Rule(Meaning.CONFIG, "address_unknown"),
        "405": Rule(Meaning.CONFIG, "method_refused"),
        "407": Rule(Meaning.CONFIG, "proxy"),
        "408": Rule(Meaning.RETRY, "request_timeout"),
        "425": Rule(Meaning.RETRY, "too_early"),
        "429": Rule(Meaning.THROTTLE, "too_many_requests"),
        "501": Rule(Meaning.CONFIG, "method_refused"),
        "503": Rule(Meaning.RETRY, "service_unavailable"),
    }
)


@dataclass(frozen=True, slots=True)
class HttpProfile:
    """How one service over HTTP is spoken to. Each field is a setting of OPTIONS; profiles.py makes one from text."""

    # the request
    url: str = _template("", "where a message is sent to")
    method: Method = _choice(Method.POST, "the method of the request")
    format: Form = _choice(Form.JSON, "how the fields travel")
    body: Mapping[str, Any] = _tree(MappingProxyType({}), "the fields of the request; empty ones are left out")
    headers: Mapping[str, Any] = _tree(MappingProxyType({}), "fields of the request's head")
    auth: Auth = _choice(Auth.NONE, "how the request says who we are")
    sign: Sign = _choice(Sign.NONE, "how the request is signed")
    service: str = _text("", "the variable {service}: an account, a product, a SIM card, as the preset says")
    consumer_key: str = _text("", "the variable {consumer_key}, of OVHcloud", secret=True)
    sender: str = _text("", "the sender of every message, instead of each message's own")
    timeout_s: float = _number(30.0, 1, 300, "seconds until a request without an answer is in doubt")

    # the answer
    taken_status: str = _declare(
        "200-299",
        Option("which statuses can mean a yes", "NUMBER or FROM-TO, several with commas", lambda v: _ranges(v)),
    )
    taken_when: Mapping[str, tuple[str, ...]] = _conditions("what else must be in the answer for a yes")
    id_path: str = _path("where the answer has the service's id of the message")
    code_path: str = _path("where the answer has the service's code of an error")
    message_path: str = _path("where the answer has the service's sentence about an error")
    codes: Mapping[str, Rule] = _rules("what the service's codes mean")
    statuses: Mapping[str, Rule] = _rules("what statuses mean; 4: all from 400 to 499", STATUSES)

    # receipts
    receipt_list: str = _path("where a call has a list of receipts; empty: it is one receipt")
    receipt_id: str = _path("where a receipt has the id of the message")
    receipt_state: str = _path("where a receipt has the state")
    receipt_error: str = _path("where a receipt has the error")
    receipt_number: str = _path("where a receipt has the recipient's number")
    receipt_states: Mapping[str, State | None] = _states("what the words of receipts mean")
    receipt_reasons: Mapping[str, str] = _words("our words for the errors of receipts, such as unknown_subscriber")

    # replies
    reply_list: str = _path("where a call has a list of replies; empty: it is one reply")
    reply_from: str = _path("where a reply has the number that wrote it")
    reply_to: str = _path("where a reply has the number that it was written to")
    reply_text: str = _path("where a reply has its text")
    reply_id: str = _path("where a reply has the service's id of it")
    reply_reference: str = _path("where a part of a long reply has its reference")
    reply_total: str = _path("where a part of a long reply has the number of parts")
    reply_part: str = _path("where a part of a long reply has its place, from 1")
    number: str = _text("", "the number that replies are written to, where the service does not say it")

    # what the service calls
    public_url: str = _text("", "how the service reaches this Chappe, such as https://sms.example.com")
    callback_secret: str = _text("", "the secret in the addresses that the service calls", secret=True)
    callback_sign: CallbackSign = _choice(CallbackSign.NONE, "how the service signs what it tells us")
    callback_key: str = _text("", "the key of these signatures; empty: the password", secret=True)
    callback_body: str = _text("", "what the service is answered")
    callback_type: str = _text("text/plain", "the media type of that answer")

    # how the carrier is driven
    burst: float = _number(10, 1, 10_000, "messages that may leave at once after a pause")
    validity_s: float = _number(172_800, 60, 2_592_000, "how long the service tries, in seconds")
    receipt_margin_s: float = _number(86_400, 0, 2_592_000, "how long after that a receipt is waited for")
    uncertain_policy: Uncertain = _choice(Uncertain.AUTO, "what becomes of messages in doubt")
    uncertain_grace_s: float = _number(
        60, 0, 86_400, "how long a receipt may still end a doubt before it is sent again"
    )
    breaker_failures: int = _whole(5, 1, 1_000, "answers in a row that say that every message fails, before a pause")
    throttle_pause_s: float = _number(1, 0.1, 600, "the pause after 'too many requests'")


def _ranges(value: str) -> str:
    for part in value.split(","):
        low, _, high = part.strip().partition("-")
        if not (
            low.isascii()
            and low.isdecimal()
            and (high or low).isdecimal()
            and 100 <= int(low) <= int(high or low) <= 599
        ):
            raise ValueError("expected statuses such as 200-299 or 200,202")
    return value


OPTIONS: Final[Mapping[str, Option]] = MappingProxyType(
    {spec.name: replace(spec.metadata["option"], name=spec.name) for spec in fields(HttpProfile)}
)
SECRETS: Final = frozenset(name for name, option in OPTIONS.items() if option.secret)
