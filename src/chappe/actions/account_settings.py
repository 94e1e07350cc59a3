"""The table of what an account has of its own: the names, kinds and limits of `chappe account set`.

One line a setting. Prices are written in euros (`price_premium=0.038`), lists with commas, an empty value is the
default. Two names stand beside the settings: `state` and `api`; and `price.PREFIX` is a price of one destination.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from ipaddress import ip_network
from typing import Any, Final

import msgspec

from chappe.core.callback_url import is_callback_url
from chappe.core.countries import country
from chappe.core.model import RECIPIENTS_MAX, Account, AccountSettings, AccountState
from chappe.core.pricing import PREFIX_DIGITS_MAX, json_number, micros
from chappe.core.stop_replies import WORDS_MAX, WordError, Words, check_words
from chappe.core.window_profiles import PROFILES
from chappe.settings.words import did_you_mean, read_truth

TEXT_CHARACTERS_MAX: Final = 200
LIST_ITEMS_MAX: Final = 1_000
PRICE_MICROS_MAX: Final = 1_000_000_000
PRICES_MAX: Final = 2_000
SPEND_MICROS_MAX: Final = 10**15

_SENDER: Final = re.compile(r"[A-Za-z0-9 ]{3,11}", re.ASCII).fullmatch
_ANY_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9 .'-]{0,39}", re.ASCII).fullmatch
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}", re.ASCII).fullmatch
_LOGIN: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}", re.ASCII).fullmatch


class SettingError(ValueError):
    """What the operator wrote for a setting cannot be used; the message is one sentence."""


class Kind(msgspec.Struct, frozen=True):
    """How values of one kind are read from text and written as text. `parse` raises ValueError."""

    expects: str
    parse: Callable[[str], Any]
    show: Callable[[Any], str] = str


class Row(msgspec.Struct, frozen=True):
    """One setting: its name on the command line, its field of AccountSettings, its kind, and what it does."""

    name: str
    field: str
    kind: Kind
    help: str

    @property
    def default(self) -> Any:
        return getattr(AccountSettings(), self.field)


def _text(value: str) -> str:
    if len(value) > TEXT_CHARACTERS_MAX or not value.isprintable():
        raise ValueError
    return value


def _url(value: str) -> str:
    if not is_callback_url(value):
        raise ValueError
    return value


def _price(value: str) -> int:
    amount = micros(value)
    if not 0 <= amount <= PRICE_MICROS_MAX:
        raise ValueError
    return amount


def _spend(value: str) -> int | None:
    word = value.lower()
    if word in ("auto", "none"):
        return None if word == "auto" else 0
    amount = micros(value)
    if not 0 < amount <= SPEND_MICROS_MAX:
        raise ValueError
    return amount


def _show_spend(value: int | None) -> str:
    return "auto" if value is None else json_number(value) if value else "none"


def _matching(match: Callable[[str], object]) -> Callable[[str], str]:
    def parse(value: str) -> str:
        if not match(value):
            raise ValueError
        return value

    return parse


def _country(value: str) -> str:
    if country(value.upper()) is None:
        raise ValueError
    return value.upper()


def _network(value: str) -> str:
    return str(ip_network(value, strict=False))


def _list(one: Callable[[str], str]) -> Callable[[str], tuple[str, ...]]:
    def parse(value: str) -> tuple[str, ...]:
        items = [item.strip() for item in value.split(",")]
        if len(items) > LIST_ITEMS_MAX:
            raise ValueError
        return tuple(one(item) for item in items if item)

    return parse


def _whole(least: int, most: int) -> Kind:
    def parse(value: str) -> int:
        if not (value.isascii() and value.isdecimal() and len(value) <= 9 and least <= int(value) <= most):
            raise ValueError
        return int(value)

    return Kind(f"a whole number from {least} to {most}", parse)


def _choice(*words: str) -> Kind:
    by_fold = {word.casefold(): word for word in words}
    return Kind(" or ".join(words), lambda value: by_fold[value.casefold()])


TEXT = Kind(f"text of at most {TEXT_CHARACTERS_MAX} characters", _text)
SWITCH = Kind("on or off", read_truth, lambda value: "on" if value else "off")
URL = Kind("a URL that begins with http:// or https:// and a host, without user or password", _url)
PRICE = Kind("a price in EUR such as 0.038", _price, json_number)
SPEND = Kind("an amount in EUR, none for no limit, or auto", _spend, _show_spend)
LIMIT = _whole(0, 100_000_000)
SENDER = Kind("3 to 11 letters, digits and spaces", _matching(_SENDER))
SENDERS = Kind("senders of 3 to 11 letters, digits and spaces, separated by commas", _list(SENDER.parse), ",".join)
NAMES = Kind("names of at most 40 characters, separated by commas", _list(_matching(_ANY_NAME)), ",".join)
WORDS = Kind(f"at most {WORDS_MAX} words or short phrases, separated by commas", _list(str), ",".join)
COUNTRIES = Kind("countries of two letters (ISO 3166), separated by commas", _list(_country), ",".join)
NETWORKS = Kind("addresses or networks such as 192.0.2.0/24, separated by commas", _list(_network), ",".join)
WINDOW = Kind(f"the name of a window profile: {', '.join(PROFILES)}, or one of your own", _matching(_NAME))
LOGIN = Kind("a login", _matching(_LOGIN))

# fmt: off
TABLE: Final = (
    Row("email", "email", TEXT, "address of the person behind the account"),
    Row("firstname", "firstname", TEXT, "first name of that person"),
    Row("lastname", "lastname", TEXT, "last name of that person"),
    Row("company", "company", TEXT, "its company, as AllMySMS answers it"),
    Row("transactional", "transactional", SWITCH, "its messages are no advertising: no sending window, served first"),
    Row("window", "window", WINDOW, "when its commercial messages may leave"),
    Row("reports_url", "reports_url", URL, "where delivery reports go when a request names no URL"),
    Row("replies_url", "replies_url", URL, "where replies go when a request names no URL"),
    Row("reports_method", "reports_method", _choice("GET", "POST"), "how reports are sent (AllMySMS)"),
    Row("reports_waiting", "reports_waiting", SWITCH, "also report that the carrier has it (SMS Partner)"),
    Row("sender", "sender", SENDER, "who sends when a request names no sender; empty: the installation's short code"),
    Row("senders_denied", "senders_denied", NAMES, "names it may not use, nor what looks like them or has them in it"),
    Row("senders_protected", "senders_protected", SWITCH, "may not use names that impostors use (see limits.md)"),
    Row("senders_granted", "senders_granted", NAMES, "names that impostors use and this account may use"),
    Row("senders_allowed", "senders_allowed", SENDERS, "the only senders it may name; empty: any"),
    Row("numbers_own_only", "numbers_own_only", SWITCH, "may not send from long numbers that nobody has been given"),
    Row("sender_strict", "sender_strict", SWITCH, "refuse senders that are not allowed instead of replacing them"),
    Row("sender_needs_stop", "sender_needs_stop", SWITCH, "a sender by name is only allowed with a STOP mention"),
    Row("stop_mention", "stop_mention", TEXT, "its own STOP mention; empty: the installation's"),
    Row("stop_mention_automatic", "stop_mention_automatic", SWITCH, "append the STOP mention to every message"),
    Row("stop_words", "stop_words", WORDS, "words that mean STOP in replies to it, beside the usual ones"),
    Row("start_words", "start_words", WORDS, "words that take a STOP back, beside the usual ones"),
    Row("stop_sentences", "stop_sentences", SWITCH, "sentences and misspelt words mean STOP, not only the first word"),
    Row("stop_confirmation", "stop_confirmation", TEXT, "SMS that confirms a STOP by reply, priced; empty: none"),
    Row("stop_foreign", "stop_foreign", _choice("warn", "keep", "rewrite"), "STOP mentions with another's short code"),
    Row("stops_removable", "stops_removable", SWITCH, "its programs may undo opt-outs of subscribers and the operator"),
    Row("stop_blocks_transactional", "stop_blocks_transactional", SWITCH, "opt-outs block transactional messages too"),
    Row("lowcost_enabled", "lowcost_enabled", SWITCH, "the low cost range may be asked for"),
    Row("unicode_enabled", "unicode_enabled", SWITCH, "Unicode messages may be asked for"),
    Row("sandbox_reports", "sandbox_reports", SWITCH, "sandbox messages get reports like real ones"),
    Row("errors_as_http_200", "errors_as_http_200", SWITCH, "errors are answered with the HTTP status 200"),
    Row("invalid_numbers_as_sent", "invalid_numbers_as_sent", SWITCH, "a list with invalid numbers is answered 100"),
    Row("schedule_zero_may_be_absent", "schedule_zero_may_be_absent", SWITCH, "an hour or minute left out is 0"),
    Row("tag_cut", "tag_cut", SWITCH, "tags over 20 characters are cut, not refused (SMS Partner)"),
    Row("provider", "provider", _choice("2019", "2024"), "edition of the provider's rules (SMS Partner; see its page)"),
    Row("status_words", "status_words", _choice("capital", "lower", "upper"), "letters of states in status calls"),
    Row("status_date_as_text", "status_date_as_text", SWITCH, "status calls tell dates as local time (SMS Partner)"),
    Row("home", "home", _choice("FR", "none"), "whose national numbers nine digits are that lack a zero"),
    Row(
        "numbers_per_request_max",
        "numbers_per_request_max",
        _whole(1, RECIPIENTS_MAX),
        "most recipients a request (SMS Partner)",
    ),
    Row(
        "numbers_per_request_allmysms_max",
        "numbers_per_request_allmysms_max",
        _whole(1, RECIPIENTS_MAX),
        "most recipients a request (AllMySMS)",
    ),
    Row("message_characters_max", "message_characters_max", _whole(1, 16_000), "longest text of a message (AllMySMS)"),
    Row("message_language", "message_language", _choice("fr", "en"), "language of the messages in answers"),
    Row("addresses_allowed", "addresses_allowed", NETWORKS, "from where it may call; empty: from anywhere"),
    Row("sub_accounts_max", "sub_accounts_max", _whole(0, 100_000), "most sub-accounts it may make; 0: none"),
    Row("sub_account_type", "sub_account_type", _choice("simple", "advanced"), "kind of a sub-account (SMS Partner)"),
    Row("is_buyer", "is_buyer", SWITCH, "what its master said of an advanced sub-account; changes nothing"),
    Row("removed", "removed", SWITCH, "its master has closed it"),
    Row("master", "master", LOGIN, "login of the account that it is a sub-account of"),
    Row("price_premium", "price_premium_micros", PRICE, "price of a premium part to the French zone"),
    Row("price_lowcost", "price_lowcost_micros", PRICE, "price of a low cost part to the French zone"),
    Row("price_hlr", "price_hlr_micros", PRICE, "price of a number look-up"),
    Row("price_allmysms", "price_allmysms_micros", PRICE, "price of a part to the French zone (AllMySMS)"),
    Row("countries_allowed", "countries_allowed", COUNTRIES, "the only countries it may send to; empty: all"),
    Row("countries_denied", "countries_denied", COUNTRIES, "countries that it may not send to"),
    Row("messages_per_number_per_hour", "messages_per_number_per_hour", LIMIT, "to one number; 0: no limit"),
    Row("messages_per_country_per_day", "messages_per_country_per_day", LIMIT, "outside the French zone; 0: no limit"),
    Row("spend_per_hour", "spend_per_hour_micros", SPEND, "what an hour may cost; auto: see limits.md"),
    Row("spend_per_day", "spend_per_day_micros", SPEND, "what a day may cost; auto: see limits.md"),
    Row("sandbox_per_day", "sandbox_per_day", LIMIT, "most sandbox messages a day; 0: no limit"),
    Row("skipped_per_day", "skipped_per_day", LIMIT, "most skipped recipients a day that are kept; 0: all"),
    Row("opt_outs_per_day", "opt_outs_per_day", LIMIT, "most opt-outs a day by its programs; 0: no limit"),
    Row("contact_groups_max", "contact_groups_max", _whole(0, 100_000), "most groups and lists of contacts"),
    Row("contacts_max", "contacts_max", _whole(0, 10_000_000), "most contacts in all groups and lists"),
    Row("contact_page_size", "contact_page_size", _whole(1, 5_000), "contacts a page (SMS Partner)"),
    Row(
        "requests_per_minute",
        "requests_per_minute",
        _whole(0, 1_000_000),
        "most requests a minute in one API process; 0: no limit",
    ),
    Row(
        "questions_per_minute",
        "questions_per_minute",
        _whole(0, 1_000_000),
        "most requests a minute that send nothing, in one API process; 0: no limit",
    ),
    Row(
        "opt_outs_by_api_max",
        "opt_outs_by_api_max",
        _whole(0, 10_000_000),
        "entries of the STOP list beyond which none is added by API; replies always are",
    ),
)
# fmt: on

BY_NAME: Final[Mapping[str, Row]] = {row.name: row for row in TABLE}
BESIDE: Final = {
    "state": ("active, disabled or blocked", "whether the account is served"),
    "api": ("on or off", "whether its key is let in"),
    "price.PREFIX": (
        "a price in EUR, or none",
        "price of a part there, `*`: everywhere else; none: refused",
    ),
}
NO_DEFAULT: Final = frozenset(
    ("email", "firstname", "lastname", "company", "window", "master", "removed", "is_buyer", "sub_account_type")
)
"""Settings that only make sense for one account, or that more hangs on than the next request."""
_STATES: Final = {state.name.lower(): state for state in AccountState}
_PRICE_PREFIX: Final = "price."
EVERYWHERE: Final = "*"


class Changed(msgspec.Struct, frozen=True):
    """An account after a change, and what it then has of its own, by field, as JSON has it."""

    account: Account
    own: dict[str, Any]


def changed(account: Account, assignments: Iterable[str], own: Mapping[str, Any] | None = None) -> Changed:
    """The account after `key=value` words; raises SettingError at the first that cannot be used. Pure.

    own: what it has of its own so far. A value that is set is its own from then on, also where it is the default; an
    empty one is not.
    """
    values: dict[str, Any] = {}
    kept = dict(own or {})
    prices = dict(account.settings.prices)
    seen: set[str] = set()
    for assignment in assignments:
        name, value = _split(assignment)
        if name in seen:
            raise SettingError(f"{name} is set twice")
        seen.add(name)
        if name == "state":
            account = msgspec.structs.replace(account, state=_read(name, value, _STATES.__getitem__))
        elif name == "api":
            account = msgspec.structs.replace(account, api_enabled=_read(name, value, read_truth))
        elif name.startswith(_PRICE_PREFIX):
            _set_price(prices, name, value)
        else:
            row = BY_NAME.get(name)
            if row is None:
                known = did_you_mean(name, (*BY_NAME, "state", "api"), "; `chappe account settings` lists them")
                raise SettingError(f"unknown setting {name}{known}")
            values[row.field] = row.default if value == "" else _read(name, value, row.kind.parse)
            kept.pop(row.field, None)
            if value != "":
                kept[row.field] = msgspec.to_builtins(values[row.field])
    if len(prices) > PRICES_MAX:
        raise SettingError(f"an account has at most {PRICES_MAX} prices of its own")
    settings = msgspec.structs.replace(account.settings, prices=prices, **values)
    _check_words(settings)
    kept.pop("prices", None)
    if prices:
        kept["prices"] = prices
    return Changed(msgspec.structs.replace(account, settings=settings), kept)


def read_defaults(written: Mapping[str, Any], prices: Mapping[str, int]) -> dict[str, Any]:
    """What accounts have that have nothing of their own, by field: the table `account_defaults` of the configuration,
    and its prices where the table has none. Raises SettingError."""
    words = []
    for name, value in written.items():
        plain = name.strip().lower().replace("-", "_")
        if plain in NO_DEFAULT or plain in BESIDE:
            raise SettingError(f"account_defaults: {name} is each account's own")
        if isinstance(value, bool):
            value = "on" if value else "off"
        elif isinstance(value, list):
            value = ",".join(map(str, value))
        words.append(f"{name}={value}")
    try:
        return {**prices, **changed(Account(0, ""), words).own}
    except SettingError as error:
        raise SettingError(f"account_defaults: {error}") from error


def shown(account: Account) -> dict[str, str]:
    """Every setting of an account as `account set` would take it."""
    rows = {row.name: row.kind.show(getattr(account.settings, row.field)) for row in TABLE}
    for prefix, price_micros in sorted(account.settings.prices.items()):
        rows[_PRICE_PREFIX + (prefix or EVERYWHERE)] = "none" if price_micros is None else json_number(price_micros)
    return rows


def defaults() -> dict[str, str]:
    return {row.name: row.kind.show(row.default) for row in TABLE}


def describe() -> str:
    """The reference of all settings as a Markdown table."""
    lines = ["| key | expects | default | what it does |", "|---|---|---|---|"]
    for row in TABLE:
        default = row.kind.show(row.default)
        lines.append(f"| `{row.name}` | {row.kind.expects} | {f'`{default}`' if default else 'none'} | {row.help} |")
    lines += [f"| `{name}` | {expects} | | {help_} |" for name, (expects, help_) in BESIDE.items()]
    return "\n".join(lines) + "\n"


def _split(assignment: str) -> tuple[str, str]:
    name, equals, value = assignment.partition("=")
    name = name.strip().lower().replace("-", "_")
    if not equals or not name:
        raise SettingError(f"{assignment[:60]!r} is not written KEY=VALUE")
    return name, value.strip()


def _set_price(prices: dict[str, int | None], name: str, value: str) -> None:
    """`price.49=0.07`, `price.49=none` for "refused there", `price.49=` to forget it; `price.*` is everywhere else."""
    prefix = name.removeprefix(_PRICE_PREFIX).removeprefix("+")
    if prefix == EVERYWHERE:
        prefix = ""
    elif not (prefix.isascii() and prefix.isdecimal() and len(prefix) <= PREFIX_DIGITS_MAX):
        raise SettingError(f"{name}: a price is of an international prefix, as in price.49=0.07, or of price.*")
    if value == "":
        prices.pop(prefix, None)
    else:
        prices[prefix] = None if value.lower() == "none" else _read(name, value, PRICE.parse)


def _read(name: str, value: str, parse: Callable[[str], Any]) -> Any:
    try:
        return parse(value.lower() if name == "state" else value)
    except (ValueError, KeyError):
        expects = (
            BESIDE[name][0] if name in BESIDE else BY_NAME[name].kind.expects if name in BY_NAME else PRICE.expects
        )
        raise SettingError(f"{name}: {value[:60]!r} is not usable; expected {expects}") from None


def _check_words(settings: AccountSettings) -> None:
    """Words that contradict each other cannot be told apart by their values alone."""
    try:
        check_words(Words(settings.stop_words, settings.start_words))
    except WordError as error:
        raise SettingError(f"stop_words and start_words: {error}") from error
