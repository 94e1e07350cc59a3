"""What every dialect promises: answers for everything, in every form, and nothing but Refusals for bad requests."""

import ast
import json
import xml.etree.ElementTree as ET
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import msgspec
import pytest
from dialect_asks import ACCOUNTS, ASKS, AT, NOW, SENDS, SMS_ID, opened, outcomes
from hypothesis import given
from hypothesis import strategies as st

import chappe.dialects
from chappe.core.errors import REFUSALS, Refusal
from chappe.core.http import Request, Response
from chappe.core.lifecycle import State
from chappe.core.model import (
    RECIPIENTS_MAX,
    Accepted,
    Account,
    AccountSettings,
    Command,
    Reply,
    Report,
    Send,
    Simulate,
    Skipped,
)
from chappe.dialects import Call, Credentials, Dialect
from chappe.dialects.registry import BY_NAME, DIALECTS

SOURCES = Path(chappe.dialects.__file__).parent.parent

EVERY = pytest.mark.parametrize("dialect", DIALECTS, ids=[dialect.NAME for dialect in DIALECTS])
EVERY_FORM = pytest.mark.parametrize(
    ("dialect", "form"),
    [(dialect, form) for dialect in DIALECTS for form in SENDS[dialect.NAME]],
    ids=lambda value: value if isinstance(value, str) else value.NAME,
)


def _check(response: Response, form: str | None = None) -> None:
    """A response that any client can read, whatever charset it believes in."""
    assert 200 <= response.status <= 599
    kind = response.content_type.partition(";")[0]
    if kind in ("application/json", "text/html"):
        assert b"<" not in response.body or kind != "text/html"  # a browser must find no markup in it
        assert isinstance(json.loads(response.body.decode("ascii")), dict)
    else:
        assert kind in ("text/xml", "application/xml")
        ET.fromstring(response.body)
    if form is not None:
        assert kind.endswith(form) or (kind, form) == ("text/html", "json")


def _sent(dialect: Dialect, form: str = "json", account: Account = ACCOUNTS[0]) -> tuple[Call, Send]:
    call = opened(dialect, SENDS[dialect.NAME][form])
    command = dialect.read(call, account, NOW)
    assert isinstance(command, Send)
    return call, command


def test_the_table_has_each_name_once() -> None:
    assert len(BY_NAME) == len(DIALECTS)
    assert BY_NAME.keys() == SENDS.keys() == ASKS.keys()


@pytest.mark.parametrize(
    "path",
    [
        *(
            "/v1/send",
            "/v1/",
            "/v1/none",
            "/http/9.0/sendSms",
            "/http/9.0/",
            "/http/",
            "/sms/send",
            "/account",
            "/ping/",
        ),
        *("/report/campaign/1", "/", "/v2/send", "/metrics", "/handset", "/healthz", ""),
    ],
)
def test_a_path_belongs_to_one_dialect_at_most(path: str) -> None:
    assert sum(dialect.matches(path) for dialect in DIALECTS) <= 1


@pytest.mark.parametrize(
    ("dialect", "form", "code"),
    [(dialect, form, code) for dialect in DIALECTS for form in SENDS[dialect.NAME] for code in dialect.REFUSAL.CODES],
    ids=lambda value: value if isinstance(value, str) else value.NAME,
)
def test_every_refusal_is_answered_in_every_form(dialect: Dialect, form: str, code: str) -> None:
    call = Call(Credentials("KEY", "demo"), "send", form, {})
    request = SENDS[dialect.NAME][form]
    bare = Request("GET", request.path)
    for refusal in (
        dialect.REFUSAL(code),
        dialect.REFUSAL(
            code, skipped=(Skipped("12", "number_invalid"),), needed_micros=90_000, balance_micros=60_000, limit=640
        ),
    ):
        for account in (None, *ACCOUNTS):
            for asked, with_call, wanted in ((request, call, form), (request, None, form), (bare, None, None)):
                response = dialect.refuse(refusal, asked, with_call, account)
                _check(response, wanted)
                assert b"KEY" not in response.body


def _codes(file: Path) -> set[str]:
    """The codes of the refusals that a file raises, where it names them: `Refusal("code")`, `refusal="code"`."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        named: list[ast.expr] = []
        if isinstance(node, ast.Call) and node.args and getattr(node.func, "id", "").endswith("Refusal"):
            named = [node.args[0]]
        elif isinstance(node, ast.keyword) and node.arg == "refusal":
            named = [node.value]
        found |= {n.value for one in named for n in ast.walk(one) if isinstance(n, ast.Constant) and n.value}
    return found


def _raised(folder: Path, besides: Path | None = None) -> set[str]:
    files = [file for file in folder.rglob("*.py") if besides is None or besides not in file.parents]
    return set().union(*(_codes(file) for file in files))


def test_what_any_command_can_be_refused_for_is_no_dialect_s_own() -> None:
    rooms = _raised(SOURCES, SOURCES / "dialects")
    rooms |= set().union(*(_codes(file) for file in (SOURCES / "dialects").glob("*.py")))
    assert rooms <= REFUSALS.keys()
    assert {"repeated", "queue_failed", "too_many_requests", "unreadable"} <= rooms, "the search finds them"


@EVERY
def test_a_dialect_has_the_common_refusals_and_those_that_it_raises(dialect: Dialect) -> None:
    raised = _raised(SOURCES / "dialects" / dialect.NAME)
    codes = dialect.REFUSAL.CODES
    assert codes.keys() >= REFUSALS.keys() | raised
    own = codes.keys() - REFUSALS.keys()
    written = " ".join(file.read_text() for file in (SOURCES / "dialects" / dialect.NAME).glob("*.py"))
    assert not {code for code in own if written.count(f'"{code}"') < 2}, "nothing can be refused for these"
    with pytest.raises(AssertionError):
        Refusal(next(iter(own)))


@EVERY_FORM
def test_a_send_is_read_and_its_outcome_answered(dialect: Dialect, form: str) -> None:
    for account in ACCOUNTS:
        call, command = _sent(dialect, form, account)
        assert command.dialect == dialect.NAME
        assert command.account is account
        assert [recipient.number for recipient in command.recipients] == ["+33612345678"]
        skipped = (Skipped('é"<&>\0', "opted_out", "+33612345678"), Skipped("12", "number_invalid"))
        for scheduled_at in (None, datetime(2030, 1, 31, 8, 0, tzinfo=UTC)):
            for left_out in ((), skipped):
                told = msgspec.structs.replace(command, skipped=left_out, scheduled_at=scheduled_at)
                ids = ("00000001-1eb0-8000-a25a-ef35c0f52d35",) if command.public_ids else ()
                _check(dialect.write(Accepted(4587, told, 0, ids), call), form)


@pytest.mark.parametrize(("name", "told"), [("smspartner", True), ("allmysms", False)])
@pytest.mark.parametrize("wanted", [True, False])
def test_which_reports_a_send_has_beside_ends_is_its_own(name: str, told: bool, wanted: bool) -> None:
    owner = Account(1, "demo", settings=AccountSettings(reports_waiting=wanted))
    _, command = _sent(BY_NAME[name], account=owner)
    assert (command.report_taken, command.report_skipped) == (told and wanted, told)
    assert command.public_ids is BY_NAME[name].PUBLIC_IDS


@EVERY
@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_every_state_can_be_told(dialect: Dialect, state: State, method: str) -> None:
    report = Report(
        dialect=dialect.NAME,
        submission_id=4587,
        message_id=4587 << 16,
        public_id="00000001-1eb0-8000-a25a-ef35c0f52d35",
        recipient="+33612345678",
        state=state.word,
        at=datetime(2026, 3, 2, 9, 0, tzinfo=UTC),
        cost_micros=45_000,
        target="https://client.example/hook?token=t",
        tag='é"&',
        client_reference='é"&',
        reason="anything",
        method=method,
    )
    told = dialect.tell(report)
    assert told.method in ("GET", "POST")
    url = urlsplit(told.url)
    assert (url.scheme, url.netloc, url.path) == ("https", "client.example", "/hook")
    assert url.query.startswith("token=t")
    assert told.url.isascii()
    assert told.body.isascii()
    assert bool(told.body) == bool(told.content_type) == (told.method == "POST")


@EVERY
@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("kind", ["response", "stop"])
@pytest.mark.parametrize("parts", [(), ("é" * 70, "suite")])
def test_every_reply_can_be_told(dialect: Dialect, method: str, kind: str, parts: tuple[str, ...]) -> None:
    known = Reply(
        id=7,
        number="+33612345678",
        to="36180",
        text="".join(parts) or 'Oui "é"&<>\0',
        at=AT,
        kind=kind,
        submission_id=4587,
        message_id=4587 << 16,
        public_id=SMS_ID,
        parts=parts or ('Oui "é"&<>\0',),
        reference=9,
        dialect=dialect.NAME,
        target="https://client.example/hook?token=t",
        method=method,
    )
    stray = msgspec.structs.replace(known, submission_id=None, message_id=None, public_id="", to="", parts=())
    for reply in (known, stray, msgspec.structs.replace(known, to="+33700000001", long_number=True)):
        calls = dialect.tell_reply(reply)
        assert 1 <= len(calls) <= max(1, len(reply.parts))
        for told in calls:
            assert told.method in ("GET", "POST")
            assert told.url.startswith("https://client.example/hook?token=t")
            assert told.url.isascii()
            assert told.body.isascii()
            assert bool(told.body) == bool(told.content_type) == (told.method == "POST")


@pytest.mark.parametrize(
    ("dialect", "path", "fields", "headers"),
    [(BY_NAME[name], *ask) for name, asks in ASKS.items() for ask in asks],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_whatever_the_actions_answer_can_be_written(
    dialect: Dialect, path: str, fields: dict[str, object], headers: dict[str, str]
) -> None:
    for form in SENDS[dialect.NAME]:
        wanted = {"apiKey": "KEY", "login": "demo", "_format": form, "returnformat": form}
        request = Request(
            "POST", path, urlencode({"_format": form}).encode(), {"content-type": "application/json"} | headers,
            json.dumps(wanted | fields).encode(),
        )  # fmt: skip
        for account in ACCOUNTS:
            call = opened(dialect, request)
            command = dialect.read(call, account, NOW)
            _sound(command)
            for outcome in outcomes(command):
                _check(dialect.write(outcome, call, account), None if headers else form)
            for code in dialect.REFUSAL.CODES:
                _check(dialect.refuse(dialect.REFUSAL(code), request, call, account), None if headers else form)


OCTETS = st.binary(max_size=120) | st.text(max_size=60).map(str.encode)
WORDS = st.sampled_from(
    [
        "demo",
        "KEY",
        "0612345678",
        "+336123",
        "Bonjour",
        "",
        " ",
        "0",
        "1",
        "99",
        "null",
        "-1",
        "é€😀",
        "\x00",
        "25/12/2026",
        "2030-01-31 08:30:00",
        "<DATA><MESSAGE>x</MESSAGE><SMS><MOBILEPHONE>0612345678</MOBILEPHONE></SMS></DATA>",
    ]
) | st.just("x" * 700)
NAMES = st.sampled_from(
    [
        "login",
        "apiKey",
        "message",
        "mobile",
        "smsData",
        "date",
        "tpoa",
        "returnformat",
        "phoneNumbers",
        "gamme",
        "sender",
        "scheduledDeliveryDate",
        "time",
        "minute",
        "to",
        "from",
        "tag",
        "isStopSms",
        "isUnicode",
        "sandbox",
        "_format",
        "campaign",
        "coding",
        "flash",
        "campId",
        "smsId",
        "limit",
        "subAccount",
        "countryIsoCode",
        "text",
        "simulate",
        "uniqueIdentifier",
        "messageId",
        "phoneNumber",
        "SMSList",
        "SMSStatut_List",
        "interval",
        "id",
    ]
)
FIELDS = st.dictionaries(NAMES, WORDS, max_size=8).map(lambda fields: {"apiKey": "KEY", "login": "demo"} | fields)
JSON = st.recursive(
    WORDS | st.none() | st.booleans() | st.integers() | st.floats(), lambda v: st.lists(v, max_size=3), max_leaves=5
)
BODIES = (
    OCTETS
    | FIELDS.map(urlencode).map(str.encode)
    | FIELDS.map(json.dumps).map(str.encode)
    | st.dictionaries(NAMES, JSON, max_size=6).map(lambda fields: json.dumps({"apiKey": "KEY"} | fields).encode())
)
TYPES = st.sampled_from(
    ["", "application/json", "application/x-www-form-urlencoded", "multipart/form-data; boundary=b"]
)
MORE_PATHS = {"smspartner": ("/v1/vn/send", "/v1/x"), "allmysms": ("/http/9.0/sendSms", "/http/sendSms_v8.php")}
PATHS = {
    name: sorted({one.path for one in SENDS[name].values()} | {path for path, _, _ in ASKS[name]} | {"/x"})
    + list(MORE_PATHS.get(name, ()))
    for name in BY_NAME
}


def _sound(command: Command) -> None:
    """What the accept action and the store take for granted."""
    if isinstance(command, Simulate):
        command = command.send
    if not isinstance(command, Send):
        return
    assert 1 <= len(command.recipients) <= RECIPIENTS_MAX
    for recipient in command.recipients:
        assert recipient.number.startswith("+")
        assert recipient.number[1:].isdecimal()
        assert recipient.parts >= 1
        assert recipient.price_micros >= 0
    texts = [command.text, command.sender, command.tag, command.campaign, command.client_reference, command.report_url]
    texts.append(command.unique_identifier)
    texts += [recipient.text or "" for recipient in command.recipients]
    for text in texts:
        assert "\0" not in text
        text.encode()
    assert command.scheduled_at is None or command.scheduled_at.tzinfo is UTC


@EVERY
@given(data=st.data(), query=OCTETS, body=BODIES, content_type=TYPES)
def test_bad_requests_are_refusals_and_what_is_read_is_sound(
    dialect: Dialect, data: st.DataObject, query: bytes, body: bytes, content_type: str
) -> None:
    path = data.draw(st.sampled_from(PATHS[dialect.NAME]))
    account = data.draw(st.sampled_from(ACCOUNTS))
    request = Request("POST", path, query, {"content-type": content_type}, body)
    call: Call | None = None
    try:
        call = opened(dialect, request)
        command = dialect.read(call, account, NOW)
        _sound(command)
        response = dialect.write(data.draw(st.sampled_from(outcomes(command))), call, account)
    except Refusal as refusal:
        response = dialect.refuse(refusal, request, call, account if call else None)
    _check(response)


# To carriers a provider is a network: its name is that of a preset there. Python writes `__pycache__` when it likes.
OTHER_ROOMS = sorted(set(SOURCES.iterdir()) - {SOURCES / name for name in ("dialects", "carriers", "__pycache__")})


@pytest.mark.parametrize("room", OTHER_ROOMS, ids=lambda path: path.name)
def test_no_other_room_decides_by_the_name_of_a_dialect(room: Path) -> None:
    """Everything that differs by provider is data or a function of its package."""
    for file in (room,) if room.is_file() else sorted(room.rglob("*")):
        if file.suffix == ".sql":
            text = file.read_text(encoding="utf-8")
            assert not any(f"'{name}'" in text for name in BY_NAME), file
        elif file.suffix == ".py":
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                assert not (isinstance(node, ast.Constant) and node.value in BY_NAME), f"{file}:{node.lineno}"


FORBIDDEN = {"asyncio", "socket", "os", "time", "random", "asyncpg", "httptools", "subprocess", "secrets", "threading"}


@pytest.mark.parametrize(
    "file", sorted(Path(chappe.dialects.__file__).parent.rglob("*.py")), ids=lambda path: path.name
)
def test_no_file_of_this_room_does_io_or_asks_a_clock(file: Path) -> None:
    imported = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            imported |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            imported.add(node.module.partition(".")[0])
            assert not node.module.startswith(("chappe.store", "chappe.web", "chappe.actions", "chappe.net"))
    assert not imported & FORBIDDEN
