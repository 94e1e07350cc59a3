"""Runs the simulation from the command line, on a database of its own: `make simulate ARGS="--seed 7 --steps 200"`.

Without --seed it takes the seeds from a random one on, `--runs` of them, and prints each that breaks a law. Ends with 1
when one does.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import json
import random
import shutil
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import Any

import asyncpg
from durable import Server
from faults import everything
from world import Report, run

from chappe.embedded.server import EmbeddedServer
from chappe.store import migrate
from chappe.store.database import Address

STEPS = 120


@contextmanager
def served() -> Iterator[Server]:
    """A fresh PostgreSQL with our schema, gone at the end. It need not survive anything."""
    folder = Path(tempfile.mkdtemp(prefix="chappe-simulation-"))
    embedded = EmbeddedServer(folder / "var")
    try:
        asyncio.run(embedded.start())
        arguments = embedded.connection.arguments()
        asyncio.run(_migrated(arguments))
        server = Server(Address(**arguments))
        try:
            yield server
        finally:
            server.close()
    finally:
        asyncio.run(embedded.stop())
        shutil.rmtree(folder, ignore_errors=True)


async def _migrated(arguments: dict[str, Any]) -> None:
    connection = await asyncpg.connect(**arguments)
    try:
        await migrate.migrate(connection)
    finally:
        await connection.close()


def words(report: Report) -> str:
    return json.dumps(dataclasses.asdict(report), default=str)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, help="the first seed; default: a random one")
    parser.add_argument("--steps", type=int, default=STEPS, help="how long things break, in steps of half a second")
    parser.add_argument("--runs", type=int, default=1, help="how many seeds, one after the other")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="begin no further run after so long")
    asked = parser.parse_args()
    first = asked.seed if asked.seed is not None else random.SystemRandom().randrange(10**9)
    broken: list[int] = []
    sums: Counter[str] = Counter()
    began = monotonic()
    with served() as server:
        for seed in range(first, first + asked.runs):
            if monotonic() - began > asked.seconds:
                break
            try:
                report = run(server, seed, asked.steps, everything)
            except Exception as error:  # noqa: BLE001 - the seed is said, and the next one has its turn
                print(f"seed {seed} steps {asked.steps}: the simulation itself failed")
                traceback.print_exception(error)
                broken.append(seed)
                continue
            sums["runs"] += 1
            for name, value in dataclasses.asdict(report.counts).items():
                sums.update({name: value} if isinstance(value, int) else value)
            if report.broken:
                broken.append(seed)
            if report.broken or asked.runs == 1:
                print(words(report), flush=True)
    took_s = round(monotonic() - began, 1)
    print(json.dumps({"first_seed": first, "steps": asked.steps, "took_s": took_s, **sums, "broken_seeds": broken}))
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
