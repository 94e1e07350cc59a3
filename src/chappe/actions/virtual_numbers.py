"""Long (virtual) numbers: an account that has one gets the replies to it, and alone may send from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from chappe.actions import accounts
from chappe.actions.accounts import AccountError
from chappe.core import numbers
from chappe.core.model import Account
from chappe.core.numbers import Number
from chappe.store import virtual_numbers as store
from chappe.store.database import Database
from chappe.store.messages import Placed
from chappe.store.virtual_numbers import VirtualNumber

DIGITS_MIN, DIGITS_MAX = 7, 15


class NumberError(AccountError):
    """What the operator asked for cannot be done with this number; the message is one sentence."""


def e164(written: str, home: str = "") -> str:
    """An address in E.164 where it is a telephone number, with or without plus, national French too; else as written.

    Long numbers are often of ranges that no numbering plan lists, so the form is enough. Short codes stay as they are.
    home: as in `numbers.read`, for what people write.
    """
    found = numbers.read(written, home)
    if isinstance(found, Number):
        return found.e164
    digits = "".join(character for character in written if character not in " .-()/\xa0")
    digits = digits.removeprefix("+").removeprefix("00")
    if not (digits.isascii() and digits.isdecimal()):
        return written
    if digits.startswith("0") and len(digits) == 10:
        digits = "33" + digits[1:]
    elif home == numbers.HOME and len(digits) == 9:
        digits = "33" + digits
    if digits.startswith("0") or not DIGITS_MIN <= len(digits) <= DIGITS_MAX:
        return written
    found = numbers.read("+" + digits)
    return found.e164 if isinstance(found, Number) else "+" + digits


def _number(written: str) -> str:
    number = e164(written.strip(), numbers.HOME)
    if not number.startswith("+") or not number[1:].isdecimal():
        raise NumberError(f"{written[:40]!r} is no long number: write it as 33700000001")
    return number


async def add(database: Database, written: str, login: str) -> str:
    """Gives a long number to an account, and gives its form in E.164. Raises AccountError: no such account, no number,
    or another account's."""
    number = _number(written)
    account = await accounts.get(database, login)
    async with database.transaction() as tx:
        if await store.add(tx, number, account.id) != account.id:
            raise NumberError("another account has this number; `chappe number list` shows whose it is")
    return number


async def remove(database: Database, written: str) -> str:
    """Forgets a long number. Raises NumberError."""
    number = _number(written)
    if not await store.remove(database, number):
        raise NumberError("there is no such long number; `chappe number list` shows them")
    return number


async def every(database: Database) -> list[VirtualNumber]:
    return await store.every(database)


async def strangers(database: Database, batch: Sequence[Placed]) -> set[int]:
    """The places in the batch of those Sends that would leave from a long number which is not theirs: somebody else's,
    or nobody's although they have some or may use their own only. Asks only where there is a Send from a long number.
    """
    sends = {place: placed.send for place, placed in enumerate(batch) if placed.send.virtual_number}
    if not sends:
        return set()
    senders = {place: e164(send.sender) for place, send in sends.items()}
    owners: Mapping[str, int] = await store.of_accounts(
        database, sorted({send.account.id for send in sends.values()}), sorted(set(senders.values()))
    )
    holders = set(owners.values())

    def is_allowed(sender: str, account: Account) -> bool:
        owner = owners.get(sender)
        if owner is None:
            return not account.settings.numbers_own_only and account.id not in holders
        return owner == account.id

    return {place for place, send in sends.items() if not is_allowed(senders[place], send.account)}
