"""How `chappe account set` reads, checks and shows what an account has of its own. The table is core/account.py.

Two names stand beside the settings: `state` and `api`; and `price.PREFIX` is a price of one destination. An empty value
is the default.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from chappe.core.account_values import PRICE
from chappe.core.model import Account, AccountSettings, AccountState
from chappe.core.pricing import PREFIX_DIGITS_MAX, json_number
from chappe.core.stop_replies import WordError, Words, check_words
from chappe.settings.declared import declared
from chappe.settings.kinds import SWITCH, Kind
from chappe.settings.words import did_you_mean

PRICES_MAX: Final = 2_000


class SettingError(ValueError):
    """What the operator wrote for a setting cannot be used; the message is one sentence."""


class Row(msgspec.Struct, frozen=True):
    """One setting: its name on the command line, its field of AccountSettings, its kind, default, and what it does."""

    name: str
    field: str
    kind: Kind
    default: Any
    help: str


TABLE: Final = tuple(
    Row(row.about["name"] or row.field, row.field, row.about["kind"], row.default, row.about["help"])
    for row in declared(AccountSettings)
)
BY_NAME: Final[Mapping[str, Row]] = {row.name: row for row in TABLE}
_STATE: Final = Kind("active, disabled or blocked", lambda value: AccountState[value.upper()])
BESIDE: Final = {
    "state": (_STATE.expects, "whether the account is served"),
    "api": (SWITCH.expects, "whether its key is let in"),
    "price.PREFIX": (
        "a price in EUR, or none",
        "price of a part there, `*`: everywhere else; none: refused",
    ),
}
NO_DEFAULT: Final = frozenset(
    ("email", "firstname", "lastname", "company", "window", "master", "removed", "is_buyer", "sub_account_type")
)
"""Settings that only make sense for one account, or that more hangs on than the next request."""
_PRICE_PREFIX: Final = "price."
EVERYWHERE: Final = "*"


class Changed(msgspec.Struct, frozen=True):
    """An account after a change, and what it then has of its own, by field, as JSON has it."""

    account: Account
    own: dict[str, Any]


def apply(account: Account, assignments: Iterable[str], own: Mapping[str, Any] | None = None) -> Changed:
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
            account = msgspec.structs.replace(account, state=_read(name, value, _STATE))
        elif name == "api":
            account = msgspec.structs.replace(account, api_enabled=_read(name, value, SWITCH))
        elif name.startswith(_PRICE_PREFIX):
            _set_price(prices, name, value)
        else:
            row = BY_NAME.get(name)
            if row is None:
                known = did_you_mean(name, (*BY_NAME, "state", "api"), "; `chappe account settings` lists them")
                raise SettingError(f"unknown setting {name}{known}")
            values[row.field] = row.default if value == "" else _read(name, value, row.kind)
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
        return {**prices, **apply(Account(0, ""), words).own}
    except SettingError as error:
        raise SettingError(f"account_defaults: {error}") from error


def show(account: Account) -> dict[str, str]:
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
        prices[prefix] = None if value.lower() == "none" else _read(name, value, PRICE)


def _read(name: str, value: str, kind: Kind) -> Any:
    try:
        return kind.read(value)
    except ValueError as error:
        raise SettingError(f"{name}: {error}") from None


def _check_words(settings: AccountSettings) -> None:
    """Words that contradict each other cannot be told apart by their values alone."""
    try:
        check_words(Words(settings.stop_words, settings.start_words))
    except WordError as error:
        raise SettingError(f"stop_words and start_words: {error}") from error
