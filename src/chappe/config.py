"""The configuration: one frozen Config, read once from flags, CHAPPE_* variables and chappe.toml.

Precedence: flags, then the environment, then the file, then the defaults below. This is the only reader of the
environment. Adding a setting is adding one line to Config; flag, variable, TOML key, error messages and the reference
page (docs/operators/configuration.md, written by scripts/write-reference) follow from it.
"""

import os
import types
import typing
from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import msgspec
from msgspec import Meta

from chappe.settings.declared import about, declared
from chappe.settings.words import TRUTH, did_you_mean

VARIABLE_PREFIX = "CHAPPE_"
CONFIG_VARIABLE = "CHAPPE_CONFIG"
FILE_NAME = "chappe.toml"

_NOTHING = ("", "auto", "none")

OWN_ADDRESSES = (ip_network("127.0.0.0/8"), ip_network("::1/128"))
"""The addresses at which only this machine reaches itself."""


class ConfigError(Exception):
    """The configuration cannot be used; the message is one line that names where the trouble came from."""


def _expects(words: str) -> Meta:
    """What a setting expects, in words, where its type alone does not say it."""
    return Meta(extra={"expects": words})


def _help(text: str, *, secret: bool = False) -> Meta:
    """What a setting does; the value of a secret one is never shown."""
    return about(text, secret=secret)


Role = Literal["api", "work"]
Port = Annotated[int, Meta(ge=0, le=65_535)]
RemotePort = Annotated[int, Meta(ge=1, le=65_535)]
Micros = Annotated[int, Meta(ge=0), _expects("a whole number of millionths of a euro, 0 or more")]
Days = Annotated[int, Meta(ge=1, le=36_500)]
Folder = Annotated[Path | None, _expects("a folder")]
PostgresUrl = Annotated[
    Annotated[str, Meta(pattern="^postgres(ql)?://")] | None, _expects("postgresql://user@host/name")
]
ShortCode = Annotated[str, Meta(pattern="^[0-9]{3,8}$"), _expects("3 to 8 digits")]
Private = Annotated[
    bool | tuple[str, ...] | None, _expects("true, false, auto, or networks such as 10.0.0.0/8,fd00::/8")
]
Networks = Annotated[tuple[str, ...], _expects("addresses or networks such as 10.0.0.5,fd00::/8")]
Level = Literal["debug", "info", "warning", "error"]


# One line per setting, however long: this is the table of them.
# fmt: off
class Config(msgspec.Struct, frozen=True, kw_only=True):
    """Every setting of one installation; raises ValueError when a value or two together make no sense."""

    host: Annotated[str, Meta(min_length=1), _help("Address on which the HTTP listener listens.")] = "127.0.0.1"
    port: Annotated[Port, _help("Port of the HTTP listener.")] = 8080
    data: Annotated[Path, _help("Folder of the embedded database and of chappe.toml.")] = Path("var")
    database_url: Annotated[PostgresUrl, _help("PostgreSQL 15 or newer to use instead of the embedded one.", secret=True)] = None
    api_processes: Annotated[int, Meta(ge=1, le=256), _help("Processes that answer HTTP, all on the same port.")] = 1
    roles: Annotated[frozenset[Role], Meta(min_length=1), _help("Roles of this node: api answers customers, work delivers messages and calls webhooks.")] = frozenset(("api", "work"))

    drain_s: Annotated[float, Meta(ge=0, le=600), _help("How long a node that is asked to end still serves while /readyz answers 503, so that the load balancer chooses other nodes.")] = 0.0

    demo: Annotated[bool, _help("Demo mode: a demo account, and phones in the browser that receive the messages; only for a node that nobody else can reach.")] = False
    handset_port: Annotated[Port, _help("SMPP port of the demo's built-in SMSC, on loopback; 0: the system chooses.")] = 2775

    postgres_bin_dir: Annotated[Folder, _help("Where the programs of the embedded PostgreSQL are; auto: look for them.")] = None
    postgres_user: Annotated[str | None, _help("System user that runs the embedded PostgreSQL when root starts Chappe; auto: look for one.")] = None
    process_user: Annotated[str | None, _help("System user that the processes become that answer customers and deliver, when root starts Chappe; auto: where others than this machine reach the listener, the user of the embedded PostgreSQL; root: they stay root.")] = None

    dialect_hosts: Annotated[tuple[Annotated[str, Meta(pattern="^[^=]+=[^=]+$")], ...], _expects("HOST=DIALECT, separated by commas, such as sms.example.com=smspartner"), _help("Hosts at which one API is spoken whatever the path; docs/operators/network.md tells when that is needed.")] = ()
    body_bytes_max: Annotated[int, Meta(ge=1), _help("Largest HTTP body accepted; a larger one is answered with 413.")] = 2_000_000
    processor_share: Annotated[float, Meta(gt=0, le=0.5), _help("Share of an API process's time that one account may use to have large requests read.")] = 0.25
    questions_at_once: Annotated[int, Meta(ge=1, le=64), _help("Calls that one row answers (a status, a balance) and that an API process has under way at once; one account has at most one less.")] = 3
    long_questions_at_once: Annotated[int, Meta(ge=1, le=64), _help("The same for calls that read many rows: statistics, lists, exports.")] = 2
    first_request_timeout_s: Annotated[float, Meta(gt=0, le=300), _help("How long a new connection may stay silent before Chappe closes it.")] = 10.0
    connections_per_address_max: Annotated[int, Meta(ge=1, le=100_000), _help("Connections of one IPv4 address or IPv6 /64 in one API process; one more is answered with 503. Trusted proxies are not counted.")] = 128

    trusted_proxies: Annotated[Networks, _help("Proxies in front of the HTTP listener whose X-Forwarded-For Chappe believes, as addresses or networks; if there are any, the node counts as public.")] = ()

    webhook_timeout_s: Annotated[float, Meta(gt=0, le=300), _help("Timeout of one webhook call, from connecting to the end of the response.")] = 10.0
    webhooks_waiting_max: Annotated[int, Meta(ge=1_000), _help("Webhooks that may wait for one account; beyond that Chappe gives up the oldest ones, and the timeline says so.")] = 1_000_000
    webhook_allow_private: Annotated[Private, _help("Whether webhooks may reach private addresses, or which of them; auto: in demo mode any, and this machine's own while nothing leaves it (docs/operators/network.md); else none.")] = None
    webhook_ports: Annotated[tuple[RemotePort, ...], _help("The only ports that webhooks may reach; none given: any but those of services that are no web servers (docs/operators/network.md).")] = ()
    webhook_denied: Annotated[tuple[str, ...], _expects("networks such as 203.0.113.0/24,2001:db8::/32"), _help("Networks that webhooks never reach although their addresses are public, such as your own.")] = ()

    sender_default: Annotated[ShortCode, _help("Short code that is the sender when the customer names none.")] = "36111"
    senders_denied: Annotated[tuple[str, ...], _help("Sender names that no account may use, including names that look like them or contain them; in addition to the names that impostors use, see docs/operators/limits.md.")] = ()
    numbers_own_only: Annotated[bool | None, _help("Whether an account without a long number of its own may not send from one either; auto: unless in demo mode.")] = None
    stop_mention: Annotated[str, Meta(min_length=1, max_length=60), _help("Opt-out mention appended on request; {sender} stands for sender_default.")] = " STOP {sender}"
    stop_words: Annotated[tuple[str, ...], _help("Words that mean STOP at the beginning of a reply, in addition to the usual ones.")] = ()
    start_words: Annotated[tuple[str, ...], _help("Words that undo a STOP, in addition to START, REPRISE and UNSTOP.")] = ()
    windows: Annotated[dict[str, Any], _expects("tables, as [windows.NAME] in chappe.toml"), _help("Sending windows of your own, in addition to the built-in ones; docs/operators/own-windows.md has the keys.")] = {}
    price_premium_micros: Annotated[Micros, _help("Price of a premium part for accounts without their own price.")] = 38_000
    price_lowcost_micros: Annotated[Micros, _help("Price of a low cost part for accounts without their own price.")] = 23_000
    price_hlr_micros: Annotated[Micros, _help("Price of an HLR lookup for accounts without their own price.")] = 5_000

    account_defaults: Annotated[dict[str, Any], _expects("a table, as [account_defaults] in chappe.toml"), _help("Settings of all accounts that have no value of their own, with the keys of docs/operators/account-settings.md; a change holds at once.")] = {}

    retention_days: Annotated[Days, _help("After how many days texts and numbers are blanked; amounts and states stay.")] = 400

    log_format: Annotated[Literal["console", "json"], _help("How log lines are written.")] = "console"
    log_level: Annotated[Level, _help("Least serious log line written.")] = "info"
    metrics: Annotated[bool, _help("Serve /metrics on the HTTP listener.")] = True
# fmt: on

    def __post_init__(self) -> None:
        mention = self.stop_mention.replace("{sender}", self.sender_default)
        msgspec.structs.force_setattr(self, "stop_mention", mention)
        if self.host.startswith("[") and self.host.endswith("]"):  # an IPv6 address as URLs write it
            msgspec.structs.force_setattr(self, "host", self.host[1:-1])
        if isinstance(self.webhook_allow_private, tuple):
            self._networks()
        for network in (*self.trusted_proxies, *self.webhook_denied):
            ip_network(network)
        if self.demo:
            self._check_demo()

    def __repr__(self) -> str:
        """All settings on one line, secrets masked: a Config may end in a log or a traceback."""
        values = [(row, getattr(self, row.name)) for row in SETTINGS]
        shown = (f"{row.name}={'***' if row.secret and value else repr(value)}" for row, value in values)
        return f"Config({', '.join(shown)})"

    @property
    def listens_on_loopback(self) -> bool:
        """Whether only this machine can reach the HTTP listener: behind a proxy anybody may, whatever the address."""
        if self.trusted_proxies:
            return False
        if self.host == "localhost":
            return True
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def is_alone(self) -> bool:
        """Whether this node is a whole installation on this machine, which nobody else is asked to reach."""
        return self.listens_on_loopback and self.database_url is None and {"api", "work"} <= self.roles

    @property
    def webhook_private_allowed(self) -> bool | tuple[IPv4Network | IPv6Network, ...]:
        """What webhook_allow_private means here: any private address, none, or those inside the networks given.

        Where nothing is set, what is allowed here ends when a request comes through a proxy that is not declared; and
        outside demo mode, when there is a carrier outside this machine.
        """
        if self.webhook_allow_private is None:
            return self.demo or (OWN_ADDRESSES if self.is_alone else False)
        return self.webhook_allow_private if isinstance(self.webhook_allow_private, bool) else self._networks()

    @property
    def strange_numbers_refused(self) -> bool:
        """What numbers_own_only means here."""
        return not self.demo if self.numbers_own_only is None else self.numbers_own_only

    def _check_demo(self) -> None:
        """Raises ValueError for a demo that others than the people at this machine could reach."""
        if self.trusted_proxies:
            raise ValueError("the demo cannot be public: it takes no trusted_proxies; --no-demo serves without it")
        if not self.listens_on_loopback:
            raise ValueError(f"the demo cannot be public: it wants a loopback host such as 127.0.0.1, not {self.host}; --no-demo serves without it")
        if not {"api", "work"} <= self.roles:
            raise ValueError("the demo is a whole node: it wants the roles api,work; --no-demo serves without it")

    def _networks(self) -> tuple[IPv4Network | IPv6Network, ...]:
        assert isinstance(self.webhook_allow_private, tuple)
        return tuple(ip_network(network) for network in self.webhook_allow_private)


class Setting(msgspec.Struct, frozen=True):
    """One setting as users meet it: its names, its type and default, and what it does."""

    name: str
    type: Any
    default: Any
    help: str
    expects: str
    secret: bool

    @property
    def flag(self) -> str:
        return "--" + self.name.replace("_", "-")

    @property
    def variable(self) -> str:
        return VARIABLE_PREFIX + self.name.upper()

    @property
    def default_text(self) -> str:
        """The default as one would write it in a variable; `auto` for None."""
        return _as_text(self.default)


def load(
    flags: Mapping[str, object] | None = None,
    environment: Mapping[str, str] | None = None,
    config_file: Path | None = None,
) -> Config:
    """Reads the configuration.

    flags: setting name -> text or value; None means not given. environment: os.environ unless given; an empty variable
    counts as not given. config_file: a TOML file instead of CHAPPE_CONFIG or <data>/chappe.toml, and must exist.
    Raises ConfigError: unknown name (with a suggestion), bad value, unreadable file.
    """
    environment = os.environ if environment is None else environment
    given = {name: value for name, value in (flags or {}).items() if value is not None}
    values = _from_environment(environment)
    values.update(_from_flags(given))
    if config_file is None and environment.get(CONFIG_VARIABLE):
        config_file = Path(environment[CONFIG_VARIABLE]).expanduser()
    if config_file is not None:
        from_file = _from_file(config_file, must_exist=True)
    else:
        data = values.get("data", _BY_NAME["data"].default)
        from_file = _from_file(data / FILE_NAME, must_exist=False)
        if "data" in from_file:
            raise ConfigError(f"{data / FILE_NAME}: data cannot be set by the file inside it; use --data or CHAPPE_DATA")
    try:
        return Config(**(from_file | values))
    except ValueError as error:  # each value is good alone, and not beside the others
        raise ConfigError(str(error)) from error


def setting(name: str) -> Setting:
    """The setting of that name; raises ConfigError, with the nearest name, when there is none."""
    try:
        return _BY_NAME[name]
    except KeyError:
        raise ConfigError(f"unknown setting {name}{did_you_mean(name, _NAMES)}") from None


def describe() -> str:
    """The reference of all settings as a Markdown table."""
    lines = ["| setting (TOML) | flag | variable | expects | default | what it does |", "|---|---|---|---|---|---|"]
    for row in SETTINGS:
        default = f"`{row.default_text}`" if row.default_text else "none"
        lines.append(f"| `{row.name}` | `{row.flag}` | `{row.variable}` | {row.expects} | {default} | {row.help} |")
    return "\n".join(lines) + "\n"


def _from_flags(flags: Mapping[str, object]) -> dict[str, Any]:
    values = {}
    for name, value in flags.items():
        found = _BY_NAME.get(name)
        if found is None:
            known = [row.flag for row in SETTINGS]
            flag = "--" + name.replace("_", "-")
            raise ConfigError(f"unknown flag {flag}{did_you_mean(flag, known)}")
        values[name] = _convert(found, value, found.flag)
    return values


def _from_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    values = {}
    for variable in sorted(environment):
        if not variable.startswith(VARIABLE_PREFIX) or variable == CONFIG_VARIABLE:
            continue
        found = _BY_NAME.get(variable.removeprefix(VARIABLE_PREFIX).lower())
        if found is None or found.variable != variable:
            known = [s.variable for s in SETTINGS] + [CONFIG_VARIABLE]
            raise ConfigError(f"unknown environment variable {_printable(variable)}{did_you_mean(variable, known)}")
        if environment[variable]:
            values[found.name] = _convert(found, environment[variable], variable)
    return values


def _from_file(path: Path, *, must_exist: bool) -> dict[str, Any]:
    import tomllib

    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        if must_exist:
            raise ConfigError(f"{path}: there is no such configuration file") from None
        return {}
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:  # TOMLDecodeError and UnicodeDecodeError
        raise ConfigError(f"{path}: is not TOML: {error}") from error
    values = {}
    for name, value in table.items():
        found = _BY_NAME.get(name)
        if found is None:
            raise ConfigError(f"{path}: unknown setting {_printable(name)}{did_you_mean(name, _NAMES)}")
        converted = _convert(found, value, f"{path}: {name}")
        # A path in a file is relative to that file: the same file must mean the same wherever the command is run.
        values[name] = path.parent / converted if isinstance(converted, Path) else converted
    return values


def _convert(found: Setting, value: object, origin: str) -> Any:
    """A text or TOML value as the setting's type; raises ConfigError naming the origin."""
    try:
        converted = msgspec.convert(_untangle(found, value), found.type, strict=False, dec_hook=_decode)
    except (msgspec.ValidationError, NotImplementedError) as error:
        shown = "this value" if found.secret else f'"{_printable(_as_text(value))}"'
        raise ConfigError(f"{origin}: {shown} is not usable; expected {found.expects}") from error
    try:
        Config(**{found.name: converted})  # what only __post_init__ can judge, while the origin is known
    except ValueError as error:
        raise ConfigError(f"{origin}: {_printable(str(error))}") from error
    return converted


def _untangle(found: Setting, value: object) -> object:
    """Text as the kind of value that the type accepts: nothing, a truth, a list; what is no text stays as it is."""
    if isinstance(value, Path):
        return str(value)
    if not isinstance(value, str):
        return value
    kinds = _kinds(found.type)
    if types.NoneType in kinds and value.strip().lower() in _NOTHING:
        return None
    if bool in kinds and value.strip().lower() in TRUTH:
        return TRUTH[value.strip().lower()]
    if dict in kinds:
        if value.strip().lower() in _NOTHING:
            return {}
        try:
            return msgspec.json.decode(value)
        except msgspec.DecodeError:
            return value
    if tuple in kinds or frozenset in kinds:
        return [item.strip() for item in value.split(",") if item.strip()]
    return value


def _decode(wanted: type, value: object) -> object:
    """Types that msgspec does not know by itself."""
    if wanted is not Path:
        raise NotImplementedError(wanted)
    if not isinstance(value, str) or not value:
        raise msgspec.ValidationError("Expected a path")
    return Path(value).expanduser()


def _as_text(value: object) -> str:
    """A value as one would write it in a variable."""
    if value is None:
        return "auto"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return ",".join(sorted(value)) or "none"
    if isinstance(value, list | tuple | frozenset):
        return ",".join(sorted(map(str, value)) if isinstance(value, frozenset) else map(str, value))
    return str(value)


def _printable(text: str) -> str:
    """The text on one line, whatever is in it."""
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in text)


def _bare(hint: Any) -> Any:
    return get_args(hint)[0] if get_origin(hint) is Annotated else hint


def _kinds(hint: Any) -> set[Any]:
    """The runtime classes that a type hint allows: {bool, tuple, NoneType} for `bool | tuple[str, ...] | None`."""
    hint = _bare(hint)
    options = get_args(hint) if get_origin(hint) in (types.UnionType, typing.Union) else (hint,)
    return {get_origin(_bare(option)) or _bare(option) for option in options}


def _words(hint: Any) -> str:
    """What a type hint expects, for people: "a whole number from 0 to 65535"."""
    limits = [meta for meta in getattr(hint, "__metadata__", ()) if isinstance(meta, Meta)]
    hint = _bare(hint)
    if get_origin(hint) is Literal:
        *others, last = get_args(hint)
        return f"{', '.join(others)} or {last}"
    if get_origin(hint) in (tuple, frozenset):
        return f"{_words(get_args(hint)[0])}, separated by commas"
    if get_origin(hint) is types.UnionType:
        return _words(get_args(hint)[0])
    words = {int: "a whole number", float: "a number", bool: "true or false", Path: "a path", str: "text"}[hint]
    for attribute, word in (("gt", "above"), ("ge", "from"), ("le", "to"), ("max_length", "of at most")):
        bounds = [getattr(meta, attribute) for meta in limits if getattr(meta, attribute) is not None]
        words += "".join(f" {word} {bound}" for bound in bounds)
    return words + (" characters" if any(meta.max_length for meta in limits) else "")


def _settings() -> tuple[Setting, ...]:
    return tuple(
        Setting(
            row.field,
            row.type,
            row.default,
            row.about["help"],
            row.about.get("expects") or _words(row.type),
            row.about["secret"],
        )
        for row in declared(Config)
    )


SETTINGS: tuple[Setting, ...] = _settings()
_BY_NAME = {row.name: row for row in SETTINGS}
_NAMES = list(_BY_NAME)
