"""A customer, and what it has of its own: every setting with its default."""

from __future__ import annotations

import enum

import msgspec


class AccountState(enum.IntEnum):
    ACTIVE = 0
    DISABLED = 1
    BLOCKED = 2


class AccountSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one account has of its own, as `chappe account set` takes it; every field has a default.

    Prices are micro-euros a part. `prices` overrides by number prefix without plus, of the premium range: an integer,
    or null for "no price, refuse"; the longest prefix rules.
    """

    email: str = ""
    firstname: str = ""
    lastname: str = ""
    company: str = ""
    details: dict[str, str] = msgspec.field(default_factory=dict)  # of a sub-account, as its master gave them
    transactional: bool = False
    window: str = "fr-seed"
    reports_url: str = ""
    replies_url: str = ""
    reports_method: str = "GET"  # AllMySMS only: GET with a query, or POST with a form
    reports_waiting: bool = True  # SMS Partner only: also tell when the operator has taken the message
    sender: str = ""  # used when a request names none; empty: the installation's short code
    senders_denied: tuple[str, ...] = ()  # beside the installation's; look-alikes too
    senders_protected: bool = True  # no name that impostors use: core/impersonated.py
    senders_granted: tuple[str, ...] = ()  # but these of them
    senders_allowed: tuple[str, ...] = ()  # empty: any well-formed sender
    numbers_own_only: bool = False  # no long number that nobody owns, even while the account has none
    sender_strict: bool = False
    sender_needs_stop: bool = False
    stop_mention: str = ""  # empty: the installation's
    stop_mention_automatic: bool = False
    stop_words: tuple[str, ...] = ()  # beside those of core/stop_words.py and the installation's
    start_words: tuple[str, ...] = ()
    stop_sentences: bool = True  # off: only a reply that begins with a word of STOP is one
    stop_confirmation: str = ""  # text that confirms a STOP by reply; empty: none is sent
    stop_foreign: str = "warn"  # of STOP mentions with another's short code; or keep, rewrite
    stops_removable: bool = False  # by the API, also what subscribers and the operator put on the list
    stop_blocks_transactional: bool = True  # who has opted out gets nothing more; off: nothing commercial
    lowcost_enabled: bool = True
    unicode_enabled: bool = True
    sandbox_reports: bool = False
    errors_as_http_200: bool = False
    invalid_numbers_as_sent: bool = False  # AllMySMS only: 100 instead of 113 when some numbers are invalid
    schedule_zero_may_be_absent: bool = False
    tag_cut: bool = False  # SMS Partner only: a tag that is too long is cut instead of refused
    provider: str = "2019"  # SMS Partner only: the edition of its pages whose rules hold; or 2024
    status_words: str = "capital"  # SMS Partner only: `Delivered`; or lower, upper
    status_date_as_text: bool = False  # SMS Partner only: `2015-02-07 22:39:46` instead of seconds since 1970
    home: str = "FR"  # nine digits are a national number without its zero; "none": they are international
    numbers_per_request_max: int = 500  # SMS Partner, whose limit it is
    numbers_per_request_allmysms_max: int = 5_000  # AllMySMS, which documents none
    message_characters_max: int = 640  # AllMySMS only
    message_language: str = "fr"
    addresses_allowed: tuple[str, ...] = ()  # networks; empty: any
    master: str = ""  # login of the master account of this sub-account
    removed: bool = False  # closed by its master
    sub_account_type: str = "simple"  # SMS Partner only: or advanced
    is_buyer: bool = False  # SMS Partner only: of an advanced one, as its master said
    sub_accounts_max: int = 10  # 0: it may have none
    price_premium_micros: int = 38_000
    price_lowcost_micros: int = 23_000
    price_hlr_micros: int = 5_000
    price_allmysms_micros: int = 45_000
    countries_allowed: tuple[str, ...] = ()  # two letters each; empty: all
    countries_denied: tuple[str, ...] = ()
    prices: dict[str, int | None] = msgspec.field(default_factory=dict)
    messages_per_number_per_hour: int = 100  # to one number; 0: no limit, as below
    messages_per_country_per_day: int = 5_000  # outside the French tariff zone
    spend_per_hour_micros: int | None = None  # None: see core/velocity.py
    spend_per_day_micros: int | None = None
    sandbox_per_day: int = 20_000  # messages
    skipped_per_day: int = 20_000  # recipients that get nothing, kept with their reason
    opt_outs_per_day: int = 50_000  # by the API
    # Of one API process; 0: no limit.
    requests_per_minute: int = 120_000
    questions_per_minute: int = 6_000  # of these the ones that send nothing
    contact_groups_max: int = 1_000
    contacts_max: int = 500_000  # of all groups
    contact_page_size: int = 500  # SMS Partner only: of /contact/list
    opt_outs_by_api_max: int = 500_000  # entries of the STOP list, beyond which none is added by API


class Account(msgspec.Struct, frozen=True):
    """A customer. balance_micros is as old as the value; the ledger decides."""

    id: int
    login: str
    state: AccountState = AccountState.ACTIVE
    api_enabled: bool = True
    balance_micros: int = 0
    settings: AccountSettings = AccountSettings()
