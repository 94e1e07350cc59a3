"""On a PostgreSQL of one's own: carriers and routes that are added while it runs, and several nodes on one database."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from program import Program, Smsc, until

if TYPE_CHECKING:
    from chappe.embedded.server import ConnectionParameters

PHONE = "+33612345678"


@pytest.mark.every_postgres
def test_a_carrier_and_a_route_take_effect_without_a_restart(
    empty_database: ConnectionParameters, tmp_path: Path
) -> None:
    node = Program(tmp_path / "node", database_url=empty_database.dsn())
    with node, Smsc(tmp_path) as smsc:
        key = node.account("shop")
        early = node.send(key, PHONE, "before there was any carrier").json()
        assert early["success"] is True
        assert node.json("message", str(early["message_id"]))["states"] == {"queued": 1}

        node.add_carrier(smsc)
        node.send(key, PHONE, "after")
        until(
            lambda: (
                {shown["text"] for shown in smsc.phones.messages(PHONE)} >= {"before there was any carrier", "after"}
            ),
            "both messages on the phone",
            30.0,
        )
        (carrier,) = node.json("carrier", "list")["carriers"]
        assert carrier["name"] == "operator"

        node.command("carrier", "remove", "operator")
        late = node.send(key, PHONE, "when it was gone").json()
        assert late["success"] is True
        until(lambda: node.json("message", str(late["message_id"]))["states"] == {"queued": 1}, "it to wait")
        assert len(smsc.phones.messages(PHONE)) == 2


def test_two_nodes_share_the_work_of_one_database(empty_database: ConnectionParameters, tmp_path: Path) -> None:
    """One node answers customers, the other delivers; either may be away for a while."""
    url = empty_database.dsn()
    api = Program(tmp_path / "api", arguments=["--roles", "api"], database_url=url)
    work = Program(tmp_path / "work", arguments=["--roles", "work"], database_url=url)
    with Smsc(tmp_path) as smsc, api:
        assert set(api.parts()) == {"api"}
        key = api.account("shop")
        api.add_carrier(smsc)
        assert api.send(key, PHONE, "nobody works yet").json()["success"] is True

        work.spawn()
        try:
            (shown,) = smsc.phones.wait_for(PHONE, timeout_s=30.0)
            assert shown["text"] == "nobody works yet"
            assert set(work.parts()) == {"work"}
            api.send(key, PHONE, "at once")
            smsc.phones.wait_for(PHONE, 2)

            killed = work.kill("work")
            assert api.send(key, PHONE, "while the worker was dead").json()["success"] is True
            smsc.phones.wait_for(PHONE, 3)
            assert work.parts()["work"] != killed
        finally:
            assert work.stop() == 0


def test_two_nodes_answer_the_same_customers(empty_database: ConnectionParameters, tmp_path: Path) -> None:
    """An account made on one node is known to the other, and both charge the same balance."""
    url = empty_database.dsn()
    first = Program(tmp_path / "first", database_url=url)
    second = Program(tmp_path / "second", arguments=["--roles", "api"], database_url=url)
    with Smsc(tmp_path) as smsc, first, second:
        first.add_carrier(smsc)
        key = first.account("shop", balance="0.076")
        assert second.send(key, PHONE, "through the second").json()["success"] is True
        assert first.send(key, PHONE, "through the first").json()["success"] is True
        refused = second.send(key, PHONE, "too much")
        assert refused.json()["code"] == 11
        smsc.phones.wait_for(PHONE, 2)
        first.command("account", "set", "shop", "state=disabled")
        until(lambda: second.send(key, PHONE, "no").json()["code"] == 20, "the other node to know")
