"""The HTTP side of the SMSC: a small JSON API and the page with the phones, both below /handset."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.resources import files
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import msgspec

from chappe.core import numbers
from chappe.core.http import Request, Response
from chappe.handset.chaos import CALM, SWITCHES, ChaosError, change
from chappe.handset.magic_numbers import MAGIC, MAGIC_PREFIXES
from chappe.handset.phones import Message, Part
from chappe.handset.replies import REPLY_PARTS_MAX, Reply, parts_of
from chappe.settings.words import did_you_mean

if TYPE_CHECKING:
    from chappe.handset.smsc import Smsc

LIMIT_DEFAULT, LIMIT_MAX = 50, 1000
_BODY_OCTETS_MAX = 65_536
_TEXT_MAX = 5_000
_ADDRESS_MAX = 20
_FEED_CHARACTERS_MAX = 1_000_000
_JSON = "application/json"
_ENCODER = msgspec.json.Encoder()
_HEADERS = (
    ("Cache-Control", "no-store"),
    ("X-Content-Type-Options", "nosniff"),
)
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_FILES = {
    "/handset": ("index.html", "text/html; charset=utf-8"),
    "/handset/": ("index.html", "text/html; charset=utf-8"),
    "/handset/app.js": ("app.js", "text/javascript; charset=utf-8"),
    "/handset/app.css": ("app.css", "text/css; charset=utf-8"),
}

# RFC 6761, 6762, 8375, 9476 and ICANN's choice of 2024.
_LOCAL_NAMES = (".localhost", ".local", ".internal", ".test", ".home.arpa", ".alt")

Answer = Callable[[Request], Response]


class _Bad(Exception):
    """The caller's mistake: a status and the sentence that says it."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence


class Api:
    """Answers HTTP requests; nothing in it waits."""

    def __init__(self, smsc: Smsc) -> None:
        self._smsc = smsc
        self._exchange = smsc.exchange
        self._static = {path: (_static(name), kind) for path, (name, kind) in _FILES.items()}
        self._routes: dict[str, dict[str, Answer]] = {
            "/handset/messages": {"GET": self._messages, "DELETE": self._clear},
            "/handset/replies": {"POST": self._reply},
            "/handset/chaos": {"GET": self._chaos, "POST": self._set_chaos, "DELETE": self._calm},
            "/handset/sessions": {"GET": self._sessions},
            "/handset/feed": {"GET": self._feed},
            "/handset/switches": {"GET": self._switches},
        }

    def answer(self, request: Request) -> Response:
        """The answer to any request; a mistake of the caller is 4xx with {"error": sentence}."""
        path = request.path.rstrip("/") if request.path != "/handset/" else request.path
        try:
            if request.undeclared:
                raise _Bad(403, "this is for people at this machine, and the request came through a proxy")
            _refuse_foreign_names(request)
            if path in self._static:
                _only(request, ("GET",))
                body, kind = self._static[path]
                return Response(200, kind, body, (*_HEADERS, ("Content-Security-Policy", _POLICY)))
            methods = self._routes.get(path)
            if methods is None and path.startswith("/handset/messages/"):
                methods = {"GET": self._message}
            if methods is None:
                raise _Bad(404, f"there is nothing at this address{did_you_mean(path, self._routes)}")
            _only(request, tuple(methods))
            method = "GET" if request.method == "HEAD" else request.method
            if method != "GET":
                _refuse_other_sites(request)
            return methods[method](request)
        except _Bad as bad:
            allowed = (("Allow", ", ".join(self._routes.get(path, {"GET": None}))),) if bad.status == 405 else ()
            return Response(bad.status, _JSON, _ENCODER.encode({"error": bad.sentence}), (*_HEADERS, *allowed))

    # -- messages

    def _messages(self, request: Request) -> Response:
        query = _query(request, ("to", "from", "limit", "after"))
        limit = _whole(query, "limit", LIMIT_DEFAULT, 1, LIMIT_MAX)
        after = _whole(query, "after", -1, 0, 2**63)
        to, sender = query.get("to", ""), query.get("from", "")
        found: list[dict[str, Any]] = []
        for message in self._exchange.phones.newest():
            if message.number <= after or len(found) == limit:
                break
            if (not to or _same(to, message.recipient)) and (not sender or _same(sender, message.sender)):
                found.append(_shown(message))
        return _json(found)

    def _message(self, request: Request) -> Response:
        id = request.path.rstrip("/").rpartition("/")[2]
        known = id.isascii() and id.isdigit() and len(id) <= 20
        message = self._exchange.phones.messages.get(int(id)) if known else None
        if message is None:
            raise _Bad(404, "there is no such message, or not any more")
        return _json(_detailed(message, self._exchange.wall()))

    def _clear(self, request: Request) -> Response:
        _query(request, ())
        deleted = len(self._exchange.phones.messages)
        self._exchange.clear()
        return _json({"deleted": deleted})

    def _feed(self, request: Request) -> Response:
        """What changed since a revision, for the page: the whole of each message, and nothing when nothing changed.

        The changes come in their order, at most `limit` of them; `more` says that the page should ask again at once.
        `chaos` names the switches that are on, `refused` has the last submits that were refused, which no phone shows.
        """
        query = _query(request, ("after", "limit"))
        after = _whole(query, "after", 0, 0, 2**63)
        limit = _whole(query, "limit", LIMIT_MAX, 1, LIMIT_MAX)
        exchange, phones = self._exchange, self._exchange.phones
        at = exchange.wall()
        # A revision from before a restart is from another life: begin again.
        whole = after > phones.revision or after < phones.cleared
        since = 0 if whole else after
        every = phones.changed_since(since)
        changes = _portion(reversed(every), limit)  # the first of them; they come the last first
        more = len(changes) < len(every)
        until = changes[-1].revision if more else phones.revision
        written = [each for each in exchange.written if since < each.revision <= until]
        chaos = exchange.judge.chaos
        return _json(
            {
                "revision": until,
                "whole": whole or after == 0,
                "more": more,
                "messages": [_summary(message, at) for message in changes],
                "replies": [
                    {
                        "id": str(each.number),
                        "from": each.reply.source,
                        "to": each.reply.destination,
                        "text": each.reply.text,
                        "at": _iso(each.at),
                    }
                    for each in written
                ],
                "chaos": [key for key in SWITCHES if key != "seed" and getattr(chaos, key) != getattr(CALM, key)],
                "refused": {
                    "count": exchange.counters.refused,
                    "last": [
                        {"to": each.recipient, "status": f"0x{each.status:02X}", "at": _iso(each.at)}
                        for each in reversed(exchange.refusals)
                    ],
                },
            }
        )

    def _reply(self, request: Request) -> Response:
        body = _body(request)
        unknown = body.keys() - {"from", "to", "text"}
        if unknown:
            key = min(unknown)
            raise _Bad(400, f"there is no field {key[:64]!r}{did_you_mean(key, ('from', 'to', 'text'))}")
        for key in ("from", "to", "text"):
            if not isinstance(body.get(key), str) or not body[key].strip():
                raise _Bad(400, f"{key!r} is missing: a text that is not empty is wanted")
        source = _number(body["from"])
        text = body["text"]
        if len(text) > _TEXT_MAX or parts_of(text) > REPLY_PARTS_MAX:
            raise _Bad(400, f"the text is longer than {REPLY_PARTS_MAX} SMS")
        reply = Reply(source, _destination(body["to"]), text)
        if self._exchange.pending + REPLY_PARTS_MAX > self._exchange.settings.pending_max:
            raise _Bad(503, "too many receipts and replies wait for a session already")
        number = self._exchange.reply(reply)
        self._exchange.commit()
        return _json({"id": str(number), "parts": parts_of(text)}, 201)

    # -- switches

    def _chaos(self, request: Request) -> Response:
        return _json(asdict(self._exchange.judge.chaos))

    def _set_chaos(self, request: Request) -> Response:
        wishes = _body(request)
        try:
            chaos = change(self._exchange.judge.chaos, wishes)
        except ChaosError as error:
            raise _Bad(400, str(error)) from error
        self._smsc.set_chaos(chaos, set(wishes))
        return _json(asdict(chaos))

    def _calm(self, request: Request) -> Response:
        self._smsc.set_chaos(CALM, set(SWITCHES) - {"seed"})
        return _json(asdict(CALM))

    def _switches(self, request: Request) -> Response:
        """The tables behind the page: switches with their meaning, and magic numbers."""
        return _json(
            {
                "switches": dict(SWITCHES),
                "calm": asdict(CALM),
                "magic": [{"number": _magic(key), "does": magic.does} for key, magic in MAGIC.items()],
                "prefixes": [f"+{prefix}" for prefix in MAGIC_PREFIXES],
            }
        )

    def _sessions(self, request: Request) -> Response:
        return _json([*self._session_lines()])

    def _session_lines(self) -> Iterator[dict[str, Any]]:
        for link in self._smsc.links.values():
            session = link.session
            yield {
                "id": link.number,
                "system_id": link.system_id,
                "mode": session.mode.value if session.mode else None,
                "state": session.state.value,
                "address": link.wire.peer,
                "interface_version": session.peer_version,
                "connected_at": _iso(link.connected_at),
                "submitted": link.submitted,
                "delivered": link.delivered,
                "outstanding": session.outstanding,
                "unanswered": session.unanswered,
            }


def _portion(messages: Iterable[Message], limit: int) -> list[Message]:
    """As many as one answer may hold, and at least one."""
    found: list[Message] = []
    characters = 0
    for message in messages:
        characters += len(message.text)
        if len(found) == limit or (found and characters > _FEED_CHARACTERS_MAX):
            break
        found.append(message)
    return found


def _static(name: str) -> bytes:
    return files("chappe.handset").joinpath("static", name).read_bytes()


def _magic(key: str) -> str:
    return f"+{MAGIC_PREFIXES[0]}{key}"


# -- what messages look like


def _shown(message: Message) -> dict[str, Any]:
    return {
        "id": str(message.number),
        "to": message.recipient,
        "from": message.sender,
        "text": message.text,
        "parts": message.parts_total,
        "encoding": message.encoding,
        "received_at": _iso(message.at),
    }


def _summary(message: Message, at: float) -> dict[str, Any]:
    states = {part.state_at(at).value for part in message.parts}
    return {
        **_shown(message),
        "flash": message.flash,
        "missing": list(message.pieces().missing),
        "state": states.pop() if len(states) == 1 else "mixed",
        "receipt": _receipt(message.parts),
    }


def _receipt(parts: tuple[Part, ...]) -> str:
    """What became of the receipts: not_asked, pending, acknowledged."""
    if not any(part.asked for part in parts):
        return "not_asked"
    return "acknowledged" if all(part.acknowledged or not part.asked for part in parts) else "pending"


def _detailed(message: Message, at: float) -> dict[str, Any]:
    decoded = message.decoded()
    return {
        **_summary(message, at),
        "oddities": [*message.pieces().oddities, *decoded.oddities],
        "details": [
            {
                "message_id": part.id,
                "system_id": part.system_id,
                "received_at": _iso(part.at),
                "state": part.state_at(at).value,
                "error_code": part.error_code,
                "receipts_acknowledged": part.acknowledged,
                "source": [part.pdu.source_addr_ton, part.pdu.source_addr_npi, part.pdu.source_addr.decode("latin-1")],
                "destination": [
                    part.pdu.dest_addr_ton,
                    part.pdu.dest_addr_npi,
                    part.pdu.destination_addr.decode("latin-1"),
                ],
                "service_type": part.pdu.service_type.decode("latin-1"),
                "esm_class": part.pdu.esm_class,
                "protocol_id": part.pdu.protocol_id,
                "priority_flag": part.pdu.priority_flag,
                "registered_delivery": part.pdu.registered_delivery,
                "data_coding": part.pdu.data_coding,
                "validity_period": part.pdu.validity_period.decode("latin-1"),
                "short_message": part.pdu.short_message.hex(),
                "tlvs": [{"tag": f"0x{tag:04X}", "value": value.hex()} for tag, value in part.pdu.tlvs],
            }
            for part in message.parts
        ],
    }


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _json(value: object, status: int = 200) -> Response:
    return Response(status, _JSON, _ENCODER.encode(value), _HEADERS)


# -- what callers write


def _only(request: Request, methods: tuple[str, ...]) -> None:
    if request.method not in methods and not (request.method == "HEAD" and "GET" in methods):
        raise _Bad(405, f"this address takes {' and '.join(methods)} only")


def _refuse_foreign_names(request: Request) -> None:
    """A name of somebody's domain may lead here for a moment, so that his page reads ours (DNS rebinding): only what
    no stranger can own names this place: addresses, names without a dot, and those that no registry gives away."""
    host = request.headers.get("host", "").strip().lower()
    name = host.partition("]")[0].removeprefix("[") if host.startswith("[") else host.partition(":")[0].rstrip(".")
    if "." in name and not name.endswith(_LOCAL_NAMES) and not _is_address(name):
        raise _Bad(403, "this page is reached by an address or as localhost, not under another name")


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _refuse_other_sites(request: Request) -> None:
    """Another site's page may not steer the phones of somebody who happens to look at it."""
    origin = request.headers.get("origin", "")
    other = bool(origin) and urlsplit(origin).netloc != request.headers.get("host", "")
    if other or request.headers.get("sec-fetch-site", "") in ("cross-site", "same-site"):
        raise _Bad(403, "this comes from a page of another site")


def _query(request: Request, known: tuple[str, ...]) -> dict[str, str]:
    """The query; a plus stays a plus, since numbers begin with one and nothing here needs a blank."""
    values: dict[str, str] = {}
    for field in request.query.decode("latin-1").split("&"):
        if not field:
            continue
        key, _, value = field.partition("=")
        key = unquote(key)
        if key not in known:
            raise _Bad(400, f"there is no parameter {key[:64]!r}{did_you_mean(key, known)}")
        if key in values:
            raise _Bad(400, f"the parameter {key!r} is there twice")
        values[key] = unquote(value)
    return values


def _whole(query: dict[str, str], key: str, default: int, low: int, high: int) -> int:
    value = query.get(key, "")
    if not value:
        return default
    if not (value.isascii() and value.isdigit() and len(value) <= 20 and low <= int(value) <= high):
        raise _Bad(400, f"{key} wants a whole number from {low} to {high}")
    return int(value)


def _body(request: Request) -> dict[str, Any]:
    if len(request.body) > _BODY_OCTETS_MAX:
        raise _Bad(413, f"the body is longer than {_BODY_OCTETS_MAX} octets")
    try:
        body = msgspec.json.decode(request.body)
    except (msgspec.DecodeError, RecursionError) as error:
        raise _Bad(400, "the body is no JSON") from error
    if not isinstance(body, dict):
        raise _Bad(400, "the body is no JSON object")
    return body


def _same(wanted: str, address: str) -> bool:
    """Whether an address is the one that is asked for: numbers by their digits, names by their letters."""
    digits = _digits(wanted)
    return digits == _digits(address) if digits else wanted.strip().casefold() == address.casefold()


def _digits(address: str) -> str:
    """The digits of a number, "" for what is none; blanks and a plus may be anywhere before it."""
    bare = address.strip().replace(" ", "").removeprefix("+")
    return bare.removeprefix("00") if bare.isascii() and bare.isdigit() else ""


def _number(written: str) -> str:
    """A phone's number in E.164; also one that the numbering plans do not know, such as a magic one."""
    read = numbers.read(written, numbers.HOME)
    if isinstance(read, numbers.Number):
        return read.e164
    digits = _digits(written)
    if not 3 <= len(digits) <= 15:
        raise _Bad(400, "'from' wants a phone number such as +33612345678")
    return f"+{digits}"


def _destination(written: str) -> str:
    """Who gets a reply: a number in E.164, a short code, or the name under which a message came."""
    read = numbers.read(written, numbers.HOME)
    if isinstance(read, numbers.Number):
        return read.e164
    text = written.strip()
    digits = _digits(text)
    if text.startswith("+") and digits:
        return f"+{digits[:_ADDRESS_MAX]}"
    if len(text) > _ADDRESS_MAX or not (text.isascii() and text.isprintable()):
        raise _Bad(400, f"'to' wants a number, a short code, or a name of at most {_ADDRESS_MAX} ASCII characters")
    return text
