"""A customer, and what it has of its own. Adding a setting is adding one line to AccountSettings.

`chappe account set`, its error messages and the reference page (docs/operators/account-settings.md, written by
scripts/write-reference) follow from that line. Prices are written in euros (`price_premium=0.038`), lists with commas.
"""

import enum
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from chappe.core.account_values import (
    COUNTRIES,
    LIMIT,
    LOGIN,
    NAMES,
    NETWORKS,
    PRICE,
    SENDER,
    SENDERS,
    SPEND,
    TEXT,
    URL,
    WINDOW,
    WORDS,
)
from chappe.settings.declared import about
from chappe.settings.kinds import SWITCH, Kind, choice, whole

RECIPIENTS_MAX: Final = 65_536
"""The most recipients of one submission: a message id has 16 bits for the place."""


class AccountState(enum.IntEnum):
    ACTIVE = 0
    DISABLED = 1
    BLOCKED = 2


def _set(kind: Kind, help: str, *, name: str = "") -> Meta:
    """The facts that `chappe account set` needs about a setting. name: its name, if that differs from the field's."""
    return about(help, kind=kind, name=name)


# One line per setting, however long: this is the table of them.
# fmt: off
class AccountSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one account has of its own, as `chappe account set` takes it; every field has a default.

    Prices are micro-euros a part. `prices` overrides by number prefix without plus, of the premium range: an integer,
    or null for "no price, refuse"; the longest prefix rules.
    """

    email: Annotated[str, _set(TEXT, "address of the person behind the account")] = ""
    firstname: Annotated[str, _set(TEXT, "first name of that person")] = ""
    lastname: Annotated[str, _set(TEXT, "last name of that person")] = ""
    company: Annotated[str, _set(TEXT, "its company, as AllMySMS answers it")] = ""
    details: dict[str, str] = msgspec.field(default_factory=dict)  # of a sub-account, as its master gave them
    transactional: Annotated[bool, _set(SWITCH, "its messages are no advertising: no sending window, served first")] = False
    window: Annotated[str, _set(WINDOW, "when its commercial messages may leave")] = "fr-seed"
    reports_url: Annotated[str, _set(URL, "where delivery reports go when a request names no URL")] = ""
    replies_url: Annotated[str, _set(URL, "where replies go when a request names no URL")] = ""
    reports_method: Annotated[str, _set(choice("GET", "POST"), "how reports are sent (AllMySMS)")] = "GET"
    reports_waiting: Annotated[bool, _set(SWITCH, "also report that the carrier has it (SMS Partner)")] = True
    sender: Annotated[str, _set(SENDER, "the sender of a request that names none; empty: the installation's short code")] = ""
    senders_denied: Annotated[tuple[str, ...], _set(NAMES, "names it may not use, nor what looks like them or has them in it")] = ()
    senders_protected: Annotated[bool, _set(SWITCH, "may not use names that impostors use (see limits.md)")] = True
    senders_granted: Annotated[tuple[str, ...], _set(NAMES, "names that impostors use and this account may use")] = ()
    senders_allowed: Annotated[tuple[str, ...], _set(SENDERS, "the only senders it may name; empty: any")] = ()
    numbers_own_only: Annotated[bool, _set(SWITCH, "may not send from long numbers that nobody has been given")] = False
    sender_strict: Annotated[bool, _set(SWITCH, "refuse senders that are not allowed instead of replacing them")] = False
    sender_needs_stop: Annotated[bool, _set(SWITCH, "a sender by name is only allowed with a STOP mention")] = False
    stop_mention: Annotated[str, _set(TEXT, "its own STOP mention; empty: the installation's")] = ""
    stop_mention_automatic: Annotated[bool, _set(SWITCH, "append the STOP mention to every message")] = False
    stop_words: Annotated[tuple[str, ...], _set(WORDS, "words that mean STOP in replies to it, beside the usual ones")] = ()
    start_words: Annotated[tuple[str, ...], _set(WORDS, "words that take a STOP back, beside the usual ones")] = ()
    stop_sentences: Annotated[bool, _set(SWITCH, "sentences and misspelt words mean STOP, not only the first word")] = True
    stop_confirmation: Annotated[str, _set(TEXT, "SMS that confirms a STOP by reply, priced; empty: none")] = ""
    stop_foreign: Annotated[str, _set(choice("warn", "keep", "rewrite"), "STOP mentions with another's short code")] = "warn"
    stops_removable: Annotated[bool, _set(SWITCH, "its programs may undo opt-outs of subscribers and the operator")] = False
    stop_blocks_transactional: Annotated[bool, _set(SWITCH, "opt-outs block transactional messages too")] = True
    lowcost_enabled: Annotated[bool, _set(SWITCH, "the low cost range may be asked for")] = True
    unicode_enabled: Annotated[bool, _set(SWITCH, "Unicode messages may be asked for")] = True
    sandbox_reports: Annotated[bool, _set(SWITCH, "sandbox messages get reports like real ones")] = False
    errors_as_http_200: Annotated[bool, _set(SWITCH, "errors are answered with the HTTP status 200")] = False
    invalid_numbers_as_sent: Annotated[bool, _set(SWITCH, "a list with invalid numbers is answered 100")] = False
    schedule_zero_may_be_absent: Annotated[bool, _set(SWITCH, "an hour or minute left out is 0")] = False
    tag_cut: Annotated[bool, _set(SWITCH, "tags over 20 characters are cut, not refused (SMS Partner)")] = False
    provider: Annotated[str, _set(choice("2019", "2024"), "edition of the provider's rules (SMS Partner; see its page)")] = "2019"
    status_words: Annotated[str, _set(choice("capital", "lower", "upper"), "letters of states in status calls")] = "capital"
    status_date_as_text: Annotated[bool, _set(SWITCH, "status calls tell dates as local time (SMS Partner)")] = False
    home: Annotated[str, _set(choice("FR", "none"), "whose national numbers nine digits are that lack a zero")] = "FR"
    numbers_per_request_max: Annotated[int, _set(whole(1, RECIPIENTS_MAX), "most recipients a request (SMS Partner)")] = 500
    numbers_per_request_allmysms_max: Annotated[int, _set(whole(1, RECIPIENTS_MAX), "most recipients a request (AllMySMS)")] = 5_000
    message_characters_max: Annotated[int, _set(whole(1, 16_000), "longest text of a message (AllMySMS)")] = 640
    message_language: Annotated[str, _set(choice("fr", "en"), "language of the messages in answers")] = "fr"
    addresses_allowed: Annotated[tuple[str, ...], _set(NETWORKS, "from where it may call; empty: from anywhere")] = ()
    sub_accounts_max: Annotated[int, _set(whole(0, 100_000), "most sub-accounts it may make; 0: none")] = 10
    sub_account_type: Annotated[str, _set(choice("simple", "advanced"), "kind of a sub-account (SMS Partner)")] = "simple"
    is_buyer: Annotated[bool, _set(SWITCH, "what its master said of an advanced sub-account; changes nothing")] = False
    removed: Annotated[bool, _set(SWITCH, "its master has closed it")] = False
    master: Annotated[str, _set(LOGIN, "login of the account that it is a sub-account of")] = ""
    price_premium_micros: Annotated[int, _set(PRICE, "price of a premium part to the French zone", name="price_premium")] = 38_000
    price_lowcost_micros: Annotated[int, _set(PRICE, "price of a low cost part to the French zone", name="price_lowcost")] = 23_000
    price_hlr_micros: Annotated[int, _set(PRICE, "price of a number look-up", name="price_hlr")] = 5_000
    price_allmysms_micros: Annotated[int, _set(PRICE, "price of a part to the French zone (AllMySMS)", name="price_allmysms")] = 45_000
    prices: dict[str, int | None] = msgspec.field(default_factory=dict)  # see above; price.PREFIX on the command line
    countries_allowed: Annotated[tuple[str, ...], _set(COUNTRIES, "the only countries it may send to; empty: all")] = ()
    countries_denied: Annotated[tuple[str, ...], _set(COUNTRIES, "countries that it may not send to")] = ()
    messages_per_number_per_hour: Annotated[int, _set(LIMIT, "to one number; 0: no limit")] = 100
    messages_per_country_per_day: Annotated[int, _set(LIMIT, "outside the French zone; 0: no limit")] = 5_000
    spend_per_hour_micros: Annotated[int | None, _set(SPEND, "what an hour may cost; auto: see limits.md", name="spend_per_hour")] = None
    spend_per_day_micros: Annotated[int | None, _set(SPEND, "what a day may cost; auto: see limits.md", name="spend_per_day")] = None
    sandbox_per_day: Annotated[int, _set(LIMIT, "most sandbox messages a day; 0: no limit")] = 20_000
    skipped_per_day: Annotated[int, _set(LIMIT, "most skipped recipients a day that are kept; 0: all")] = 20_000
    opt_outs_per_day: Annotated[int, _set(LIMIT, "most opt-outs a day by its programs; 0: no limit")] = 50_000
    contact_groups_max: Annotated[int, _set(whole(0, 100_000), "most groups and lists of contacts")] = 1_000
    contacts_max: Annotated[int, _set(whole(0, 10_000_000), "most contacts in all groups and lists")] = 500_000
    contact_page_size: Annotated[int, _set(whole(1, 5_000), "contacts a page (SMS Partner)")] = 500
    requests_per_minute: Annotated[int, _set(whole(0, 1_000_000), "most requests a minute in one API process; 0: no limit")] = 120_000
    questions_per_minute: Annotated[int, _set(whole(0, 1_000_000), "most requests a minute that send nothing, in one API process; 0: no limit")] = 6_000
    opt_outs_by_api_max: Annotated[int, _set(whole(0, 10_000_000), "entries of the STOP list beyond which none is added by API; replies always are")] = 500_000
# fmt: on


class Account(msgspec.Struct, frozen=True):
    """A customer. balance_micros is as old as the value; the ledger decides."""

    id: int
    login: str
    state: AccountState = AccountState.ACTIVE
    api_enabled: bool = True
    balance_micros: int = 0
    settings: AccountSettings = AccountSettings()
