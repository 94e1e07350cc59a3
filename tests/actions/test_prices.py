"""Price lists: imported whole or not at all, from a day on, below those of accounts; and read as written."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from shop import NOW, Shop, eventually, opened

from chappe.actions import price_file, prices
from chappe.actions.accounts import AccountError
from chappe.actions.budget import Budget
from chappe.actions.price_file import PriceError
from chappe.core.pricelist import WORLD_MICROS, price_list
from chappe.embedded.server import ConnectionParameters
from chappe.store import accounts
from chappe.store.prices import PriceChange

GERMANY, BELGIUM, SPAIN = "+4915123456789", "+32470123456", "+34612345678"


async def price(shop: Shop, login: str, number: str) -> int | None:
    found = await accounts.by_login(shop.database, login)
    assert found is not None
    return price_list(found.settings.price_premium_micros, found.settings.prices).price(number)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("49,0.07,", [PriceChange("49", 70_000, NOW)]),
        ("prefix;price;from\n+49;0,07;\n\n*;none;", [PriceChange("49", 70_000, NOW), PriceChange("", None, NOW)]),
        ("Price\tPrefix\n0.07\t00 49", [PriceChange("49", 70_000, NOW)]),
        ("34,-,2027-01-31", [PriceChange("34", None, datetime(2027, 1, 31, tzinfo=UTC), forgotten=True)]),
        ("34,1,31/01/2027", [PriceChange("34", 1_000_000, datetime(2027, 1, 30, 23, tzinfo=UTC))]),
        ("34,0,2027-01-31T10:00:00+01:00", [PriceChange("34", 0, datetime(2027, 1, 31, 9, tzinfo=UTC))]),
    ],
)
def test_a_file_is_read_as_people_write_it(text: str, expected: list[PriceChange]) -> None:
    assert price_file.read(text.encode(), NOW) == expected


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "no prices"),
        ("prefix,price,from\n", "no prices"),
        ("49,0.07\n0,1", "line 2"),
        ("x,1", "line 1"),
        ("4,1\n49,x", "line 2"),
        ("49,-1", "line 1"),
        ("49,0.0000001", "line 1"),
        ("49,1001", "line 1"),
        ("49,1,soon", "line 1"),
        ("49,1\n+49,2", "line 2 has the prefix and the day of line 1"),
        ("1234567890123456,1", "line 1"),
        ("\n".join(f"{n},1" for n in range(1, 5_002)), "more than 5000"),
    ],
)
def test_one_wrong_line_refuses_the_file_and_names_itself(text: str, line: str) -> None:
    with pytest.raises(PriceError, match=line):
        price_file.read(text.encode(), NOW)


@pytest.mark.asyncio
async def test_the_installation_s_list_holds_for_all_under_their_own_prices(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        await shop.account("plain")
        await shop.account("own", prices={"49": 60_000})
        assert await price(shop, "plain", GERMANY) == WORLD_MICROS
        done = await prices.import_csv(shop.database, None, b"49,0.07\n32,none\n*,0.2", NOW)
        assert (done.applied, done.coming) == (3, 0)
        assert [await price(shop, "plain", to) for to in (GERMANY, BELGIUM, SPAIN)] == [70_000, None, 200_000]
        assert [await price(shop, "own", to) for to in (GERMANY, BELGIUM, SPAIN)] == [60_000, None, 200_000]
        await prices.import_csv(shop.database, "own", b"49,-\n32,0.5", NOW)
        assert [await price(shop, "own", to) for to in (GERMANY, BELGIUM)] == [70_000, 500_000]
        await prices.import_csv(shop.database, None, b"34,0.3", NOW, replace=True)
        assert [await price(shop, "plain", to) for to in (GERMANY, BELGIUM, SPAIN)] == [WORLD_MICROS] * 2 + [300_000]


@pytest.mark.asyncio
async def test_a_price_of_a_later_day_holds_from_then_on(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        await shop.account("plain")
        file = b"prefix,price,from\n49,0.07,\n49,0.08,2027-01-31\n34,-,2027-01-31\n34,0.1,2027-01-01"
        done = await prices.import_csv(shop.database, None, file, NOW)
        assert (done.applied, done.coming) == (1, 3)
        seen = []
        for day in (NOW, datetime(2027, 1, 1, tzinfo=UTC), datetime(2027, 1, 31, tzinfo=UTC)):
            await prices.apply_due(shop.database, day - timedelta(microseconds=1), None, Budget())
            before = [await price(shop, "plain", to) for to in (GERMANY, SPAIN)]
            await prices.apply_due(shop.database, day, None, Budget())
            seen += [before, [await price(shop, "plain", to) for to in (GERMANY, SPAIN)]]
        first, second = [70_000, WORLD_MICROS], [70_000, 100_000]
        assert seen == [first, first, first, second, second, [80_000, WORLD_MICROS]]
        await prices.apply_due(shop.database, NOW, None, Budget())
        assert (await prices.show(shop.database, None)).coming == ()


@pytest.mark.asyncio
async def test_what_was_exported_is_imported_as_it_was(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        await shop.account("one", prices={"49": None, "": 90_000, "34": 1})
        await shop.account("two")
        await prices.import_csv(shop.database, "one", b"33,0.05,2099-01-01\n33,-,2099-02-01", NOW)
        shown = await prices.show(shop.database, "one")
        text = "\n".join(price_file.written(shown.prices, shown.coming))
        await prices.import_csv(shop.database, "two", text.encode(), NOW, replace=True)
        assert await prices.show(shop.database, "two") == shown
        with pytest.raises(AccountError):
            await prices.show(shop.database, "nobody")


@pytest.mark.asyncio
async def test_a_list_that_becomes_too_long_is_refused_whole(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        await prices.import_csv(shop.database, None, "\n".join(f"{n},1" for n in range(1, 5_001)).encode(), NOW)
        with pytest.raises(PriceError, match="at most 5000"):
            await prices.import_csv(shop.database, None, b"9999,2\n1,3", NOW)
        shown = await prices.show(shop.database, None)
        assert (len(shown.prices), shown.prices["1"], shown.coming) == (5_000, 1_000_000, ())


@pytest.mark.asyncio
@pytest.mark.parametrize("login", [None, "plain"])
async def test_every_process_hears_of_a_change(database: ConnectionParameters, login: str | None) -> None:
    async with opened(database) as shop:
        await shop.account("plain")
        heard: list[object] = []
        async with shop.database.connection() as listening:
            await listening.add_listener("chappe_configuration", lambda *told: heard.append(told[-1]))
            await prices.import_csv(shop.database, login, b"49,0.07", NOW)

            async def was_heard() -> bool:
                await listening.fetchval("select 1")
                return bool(heard)

            await eventually(was_heard)
