"""Sub-accounts as their master makes, changes, funds and removes them; each is one transaction."""

from __future__ import annotations

import hashlib
from typing import Final

import msgspec

from chappe.core.errors import Refusal
from chappe.core.model import AccountSettings, AccountState, Moment
from chappe.core.subaccounts import (
    INHERITED,
    ChangeSubAccount,
    CreateSubAccount,
    CreditMoved,
    MoveCredit,
    ReadSubAccounts,
    RemoveSubAccount,
    SubAccount,
    SubAccountChanged,
    SubAccountKey,
    SubAccountMade,
    SubAccountRemoved,
    SubAccounts,
    id_of,
    key_of,
)
from chappe.store import accounts, operator, subaccounts
from chappe.store.accounts import LoginTaken
from chappe.store.database import Connection, Database

LOGIN_CHARACTERS_MAX: Final = 64
GENERATED_HOST: Final = "subaccounts.invalid"  # RFC 2606: nobody's


async def create(database: Database, command: CreateSubAccount, moment: Moment) -> SubAccountMade:
    """Makes a sub-account, and moves money to it. Raises Refusal sub_accounts_denied, sub_account_limit, known (the
    login is taken), credit_none, credit_short; then there is none."""
    master = command.account
    _check_allowed(command.account.settings)
    async with database.transaction() as tx:
        most = master.settings.sub_accounts_max
        if await subaccounts.hold(tx, master, moment.now) >= most:
            raise Refusal("sub_account_limit", limit=most)
        found = await operator.account_for_update(tx, master.login)
        assert found is not None
        own = {name: value for name, value in found[1].items() if name in INHERITED}
        own |= {"master": master.login, "sub_accounts_max": 0, **command.own}
        login = command.login or _generated(moment, master.id)
        provisional = _draw(moment, f"key of {login}")  # until the id is known, from which the key comes
        try:
            account_id = await accounts.create(tx, login, provisional, own)
        except LoginTaken:
            raise Refusal("known") from None
        await operator.save_key(tx, account_id, key_of(moment.secret, account_id))
        if not command.active:
            await tx.execute("update account set state = $2 where id = $1", account_id, int(AccountState.DISABLED))
        if command.credit_micros:
            await _move(tx, master.id, account_id, command.credit_micros, moment)
        made = await subaccounts.for_update(tx, master, account_id, "", moment.secret)
    assert made is not None
    return SubAccountMade(made)


async def change(database: Database, command: ChangeSubAccount, moment: Moment) -> SubAccountChanged:
    """Changes settings and state of a sub-account. Raises Refusal not_found."""
    async with database.transaction() as tx:
        found = await _found(tx, command, moment)
        held = await operator.account_for_update(tx, found.account.login)
        assert held is not None
        account, own = held
        if command.active is not None and account.state is not AccountState.BLOCKED:
            state = AccountState.ACTIVE if command.active else AccountState.DISABLED
            account = msgspec.structs.replace(account, state=state)
        after = {**own, **command.own}
        if "details" in command.own:  # what is not named stays
            after["details"] = {**own.get("details", {}), **command.own["details"]}
        await operator.save_account(tx, account, after)
        changed = await _found(tx, command, moment)
    return SubAccountChanged(changed)


async def remove(database: Database, command: RemoveSubAccount, moment: Moment) -> SubAccountRemoved:
    """Closes a sub-account, whose money comes back. Raises Refusal not_found."""
    async with database.transaction() as tx:
        found = await _found(tx, command, moment)
        account = found.account
        left, _ = await subaccounts.hold_balances(tx, account.id, command.account.id)
        if left:
            await subaccounts.transfer(tx, account.id, command.account.id, left, moment.now)
        void = hashlib.sha256(_draw(moment, account.login).encode()).digest()
        closed = f"removed-{account.id}-{account.login}"[:LOGIN_CHARACTERS_MAX]
        await subaccounts.close(tx, account.id, closed, void)
    return SubAccountRemoved(account.login, left)


async def read(database: Database, command: ReadSubAccounts, moment: Moment) -> SubAccounts:
    """One page of the account's sub-accounts, or all."""
    size = command.page_size
    listed = await subaccounts.listed(database, command.account, (command.page - 1) * size, size or None, moment.secret)
    total = await subaccounts.count(database, command.account) if size else len(listed)
    return SubAccounts(tuple(listed), total)


async def move_credit(database: Database, command: MoveCredit, moment: Moment) -> CreditMoved:
    """Moves money to a sub-account or back. Raises Refusal sub_accounts_denied, not_found, credit_none (the giver has
    nothing), credit_short; then nothing moved."""
    _check_allowed(command.account.settings)
    async with database.transaction() as tx:
        found = await _found(tx, command, moment)
        mine, other = command.account.id, found.account.id
        if command.amount_micros > 0:
            balance_micros, left = await _move(tx, mine, other, command.amount_micros, moment)
        else:
            left, balance_micros = await _move(tx, other, mine, -command.amount_micros, moment)
    account = msgspec.structs.replace(found.account, balance_micros=left)
    return CreditMoved(balance_micros, msgspec.structs.replace(found, account=account))


def _check_allowed(settings: AccountSettings) -> None:
    if not settings.sub_accounts_max:  # so it is with sub-accounts, unless the operator wants otherwise
        raise Refusal("sub_accounts_denied")


async def _found(
    tx: Connection, command: ChangeSubAccount | RemoveSubAccount | MoveCredit, moment: Moment
) -> SubAccount:
    """The sub-account that a command names, held. Raises Refusal not_found."""
    key: SubAccountKey = command.key
    account_id = id_of(moment.secret, key.token) if key.token else None
    if key.token and account_id is None:
        raise Refusal("not_found", text="account_unknown")
    found = await subaccounts.for_update(tx, command.account, account_id, key.login, moment.secret)
    if found is None:
        raise Refusal("not_found", text="account_unknown")
    return found


async def _move(tx: Connection, giver: int, receiver: int, amount_micros: int, moment: Moment) -> tuple[int, int]:
    """Moves money; the balances afterwards, the giver's first. Raises Refusal credit_none, credit_short."""
    left, other = await subaccounts.hold_balances(tx, giver, receiver)
    if left < amount_micros:
        raise Refusal("credit_short" if left else "credit_none", needed_micros=amount_micros, balance_micros=left)
    await subaccounts.transfer(tx, giver, receiver, amount_micros, moment.now)
    return left - amount_micros, other + amount_micros


def _generated(moment: Moment, account_id: int) -> str:
    """A login that nobody has chosen, in the form of an address that reaches nobody."""
    return f"{int(_draw(moment, f'login below {account_id}')[:12], 16) % 10**10:010d}@{GENERATED_HOST}"


def _draw(moment: Moment, purpose: str) -> str:
    """Text that nobody can guess, from the moment's chance, which is fresh for each."""
    drawn = f"{purpose} {moment.now.isoformat()} {moment.chance!r}".encode()
    return hashlib.blake2b(drawn, key=moment.secret[:64], digest_size=32).hexdigest()
