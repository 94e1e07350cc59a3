"""Long numbers: one owner each, and nobody else sends from them."""

from __future__ import annotations

import pytest
from shop import NOW, Shop, opened

from chappe.actions import accept as action
from chappe.actions import virtual_numbers
from chappe.actions.accounts import AccountError
from chappe.actions.virtual_numbers import NumberError, e164
from chappe.core.errors import Refusal
from chappe.core.model import Accepted, Account, Moment
from chappe.embedded.server import ConnectionParameters


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("33700000001", "+33700000001"),
        ("+33 7 00 00 00 01", "+33700000001"),
        ("0033700000001", "+33700000001"),
        ("0700000001", "+33700000001"),
        ("0612345678", "+33612345678"),
        ("33612345678", "+33612345678"),
        ("36111", "36111"),
        ("SHOP", "SHOP"),
        ("", ""),
        ("1" * 16, "1" * 16),
    ],
)
def test_an_address_is_read_by_its_form(written: str, read: str) -> None:
    assert e164(written) == read


async def vn_send(shop: Shop, account: Account, sender: str) -> str:
    send = shop.send(account, sender=sender, virtual_number=True)
    (outcome,) = await action.accept(shop.database, [await shop.placed(send)], Moment(NOW))
    return outcome.code if isinstance(outcome, Refusal) else "accepted"


@pytest.mark.asyncio
async def test_only_the_owner_sends_from_a_long_number(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        owner, other = await shop.account("owner"), await shop.account("other")
        await shop.carrier()
        assert await vn_send(shop, owner, "33700000009") == "accepted", "who owns none may use any"
        assert await virtual_numbers.add(shop.database, "33700000001", "owner") == "+33700000001"
        assert await virtual_numbers.add(shop.database, "+33700000001", "owner") == "+33700000001"
        with pytest.raises(NumberError, match="another account"):
            await virtual_numbers.add(shop.database, "33700000001", "other")
        assert await vn_send(shop, owner, "33700000001") == "accepted"
        assert await vn_send(shop, owner, "33700000009") == "sender_refused"
        assert await vn_send(shop, other, "33700000001") == "sender_refused"
        assert await vn_send(shop, other, "33700000009") == "accepted"
        strict = await shop.account("strict", numbers_own_only=True)
        assert await vn_send(shop, strict, "33700000009") == "sender_refused", "not even while it has none"
        assert await virtual_numbers.add(shop.database, "33700000002", "strict") == "+33700000002"
        assert await vn_send(shop, strict, "33700000002") == "accepted"
        assert await virtual_numbers.remove(shop.database, "33700000002") == "+33700000002"
        one, two = shop.send(other, sender="33700000001", virtual_number=True), shop.send(other)
        outcomes = await action.accept(shop.database, [await shop.placed(s) for s in (one, two)], Moment(NOW))
        assert isinstance(outcomes[0], Refusal)
        assert isinstance(outcomes[1], Accepted), "a refusal fails nobody else"
        assert [(v.number, v.login) for v in await virtual_numbers.every(shop.database)] == [("+33700000001", "owner")]
        assert await virtual_numbers.remove(shop.database, "0700000001") == "+33700000001"
        with pytest.raises(NumberError, match="no such"):
            await virtual_numbers.remove(shop.database, "33700000001")
        with pytest.raises(NumberError, match="no long number"):
            await virtual_numbers.add(shop.database, "36111", "owner")
        with pytest.raises(AccountError, match="no account"):
            await virtual_numbers.add(shop.database, "33700000001", "nobody")
