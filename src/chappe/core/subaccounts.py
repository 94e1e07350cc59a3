"""Sub-accounts: what their master may ask for, what is answered, and the tokens and keys that need not be stored.

A token names a sub-account to its master, and a key is what the sub-account's own programs bring. Both come from the
account's id and the installation's secret, so that they can be told again at any time.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import msgspec

from chappe.core.account import Account, AccountSettings

_TOKEN: Final = re.compile(r"([0-9a-f]{8})[0-9a-f]{24}", re.ASCII).fullmatch
# The secret has other uses; what is made for one must not be valid in another.
_TOKEN_PURPOSE: Final = b"chappe token of a sub-account "
_KEY_PURPOSE: Final = b"chappe key of a sub-account "


def token_of(secret: bytes, account_id: int) -> str:
    """The token of a sub-account: 32 hexadecimal digits."""
    return f"{account_id:08x}{hmac.digest(secret, _TOKEN_PURPOSE + account_id.to_bytes(4), 'sha256').hex()[:24]}"


def id_of(secret: bytes, token: str) -> int | None:
    """The id of the account in a token; None unless we made it."""
    found = _TOKEN(token.strip().lower())
    if found is None or (account_id := int(found[1], 16)) > 0x7FFFFFFF:
        return None
    return account_id if hmac.compare_digest(token_of(secret, account_id), found[0]) else None


def key_of(secret: bytes, account_id: int) -> str:
    """The API key that a sub-account is made with: 64 hexadecimal digits."""
    return hmac.digest(secret, _KEY_PURPOSE + account_id.to_bytes(4), "sha256").hex()


class SubAccountKey(msgspec.Struct, frozen=True):
    """Which sub-account of a master: by its token, or by its login in any case of letters."""

    token: str = ""
    login: str = ""


class SubAccount(msgspec.Struct, frozen=True):
    """A sub-account as its master sees it. key: empty once it is another than the one it was made with."""

    account: Account
    token: str
    key: str
    created_at: datetime


class CreateSubAccount(msgspec.Struct, frozen=True):
    """Make a sub-account. login: empty for a generated one. own: settings that it has otherwise than its master, by
    field. credit_micros: moved to it at once."""

    account: Account
    login: str
    own: Mapping[str, Any]
    credit_micros: int = 0
    active: bool = True


class ChangeSubAccount(msgspec.Struct, frozen=True):
    """Change settings of a sub-account by field, and whether it is served where active is given."""

    account: Account
    key: SubAccountKey
    own: Mapping[str, Any]
    active: bool | None = None


class RemoveSubAccount(msgspec.Struct, frozen=True):
    """Close a sub-account: its money comes back, its key is void, its login is free; its messages stay."""

    account: Account
    key: SubAccountKey


class ReadSubAccounts(msgspec.Struct, frozen=True):
    """List the sub-accounts of the account, oldest first: page from 1, page_size a page; 0: all."""

    account: Account
    page: int = 1
    page_size: int = 0


class MoveCredit(msgspec.Struct, frozen=True):
    """Move money from the account to its sub-account, or back where the amount is negative; not zero."""

    account: Account
    key: SubAccountKey
    amount_micros: int


class SubAccountMade(msgspec.Struct, frozen=True):
    sub_account: SubAccount


class SubAccountChanged(msgspec.Struct, frozen=True):
    sub_account: SubAccount


class SubAccountRemoved(msgspec.Struct, frozen=True):
    """login: what it was; returned_micros: what came back to the master."""

    login: str
    returned_micros: int


class SubAccounts(msgspec.Struct, frozen=True):
    """total: over all pages."""

    entries: tuple[SubAccount, ...]
    total: int


class CreditMoved(msgspec.Struct, frozen=True):
    """The balances afterwards: of the master, and of the sub-account, which is told with it."""

    balance_micros: int
    sub_account: SubAccount


SubAccountCommand = CreateSubAccount | ChangeSubAccount | RemoveSubAccount | ReadSubAccounts | MoveCredit
SubAccountOutcome = SubAccountMade | SubAccountChanged | SubAccountRemoved | SubAccounts | CreditMoved

INHERITED: Final = frozenset(AccountSettings.__struct_fields__) - {
    *("email", "firstname", "lastname", "company", "details", "master", "removed", "sub_account_type", "is_buyer"),
    *("reports_url", "replies_url", "sub_accounts_max"),
}
"""The settings that a new sub-account takes over from its master: prices, limits, rules of sending. Its identity and
its report addresses are its own, and it has no sub-accounts."""
