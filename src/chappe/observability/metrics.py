"""Counts and durations of a process, and the text in which Prometheus reads them."""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple


class Metric(NamedTuple):
    """One row of the table below: what is counted or measured, and its labels, all of few values (never a customer)."""

    kind: Literal["counter", "gauge", "histogram"]
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()


_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_ROWS = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1_000.0, 2_000.0, 5_000.0)

METRICS: dict[str, Metric] = {
    "chappe_http_requests_total": Metric("counter", "HTTP requests answered.", ("status",)),
    "chappe_http_request_seconds": Metric("histogram", "Time from request to answer.", (), _SECONDS),
    "chappe_undeclared_proxy_requests_total": Metric(
        "counter", "Requests through a proxy that trusted_proxies does not name.", ("peer",)
    ),
    "chappe_accepted_total": Metric("counter", "Messages accepted.", ("dialect",)),
    "chappe_limit_reached_total": Metric("counter", "Refusals by a limit of an account, by hour or day.", ("limit",)),
    "chappe_refused_total": Metric("counter", "Commands refused.", ("dialect", "code")),
    "chappe_commit_rows": Metric("histogram", "Commands that shared one transaction.", ("action",), _ROWS),
    "chappe_commit_seconds": Metric("histogram", "Time of one transaction.", ("action",), _SECONDS),
    "chappe_submitted_total": Metric("counter", "Parts answered by a carrier.", ("carrier", "outcome")),
    "chappe_receipts_total": Metric("counter", "Receipts stored.", ("carrier", "state")),
    "chappe_receipt_oddities_total": Metric(
        "counter", "Receipts with something unusual, by what it was.", ("carrier", "oddity")
    ),
    "chappe_quarantined_total": Metric(
        "counter", "Results, receipts and messages of carriers that the database refused.", ("carrier", "kind")
    ),
    "chappe_inbound_total": Metric("counter", "Messages of subscribers stored.", ("carrier",)),
    "chappe_webhooks_total": Metric("counter", "Webhook attempts.", ("outcome",)),
    "chappe_failures_total": Metric("counter", "Work that failed unexpectedly and is tried again.", ("task",)),
}
"""What each process counts; store/gauges.py has what the database knows."""


class Snapshot(NamedTuple):
    """The counts of one process at one moment: name -> values of the labels -> value; of a histogram a list of the
    counts of its buckets, the last without a bound, and the sum."""

    process: str
    counts: dict[str, list[tuple[list[str], float | list[float]]]]


class Metrics:
    """The metrics of one process. A name or a label that is not in the table is our bug: KeyError.

    No library: the hot path counts, and an addition in a dictionary is what a count costs there.
    """

    def __init__(self, table: Mapping[str, Metric]) -> None:
        self._table = table
        self._plain: dict[str, dict[tuple[str, ...], list[float]]] = {name: {} for name in table}
        self._spread: dict[str, dict[tuple[str, ...], list[float]]] = {
            name: {} for name, row in table.items() if row.kind == "histogram"
        }

    def count(self, name: str, amount: float = 1, /, **labels: str) -> None:
        """Adds to a counter."""
        self.cell(name, **labels)[0] += amount

    def measure(self, name: str, value: float, /, **labels: str) -> None:
        """Records one value (seconds, rows) in a histogram."""
        spread(self.cell(name, **labels), self._table[name].buckets, value)

    def cell(self, name: str, /, **labels: str) -> list[float]:
        """Where one series is counted, for those who count so often that they keep it: a counter's only item, or what
        spread() takes."""
        row = self._table[name]
        key = tuple([labels[label] for label in row.labels])
        series = self._spread[name] if row.kind == "histogram" else self._plain[name]
        found = series.get(key)
        if found is None:
            found = series[key] = [0.0] * (len(row.buckets) + 2 if row.kind == "histogram" else 1)
        return found

    def snapshot(self, process: str) -> Snapshot:
        """What has been counted so far."""
        counts: dict[str, list[tuple[list[str], float | list[float]]]] = {}
        for name, row in self._table.items():
            if row.kind == "histogram":
                counts[name] = [(list(key), list(value)) for key, value in self._spread[name].items()]
            else:
                counts[name] = [(list(key), value[0]) for key, value in self._plain[name].items()]
        return Snapshot(process, counts)


def spread(cell: list[float], buckets: tuple[float, ...], value: float) -> None:
    """Records one value in a histogram's cell."""
    cell[bisect_left(buckets, value)] += 1
    cell[-1] += value


def exposition(table: Mapping[str, Metric], snapshots: Sequence[Snapshot]) -> bytes:
    """The counts of processes in the text format of Prometheus, version 0.0.4; the label `process` tells them apart
    where they are of processes."""
    lines = []
    for name, row in table.items():
        lines += [f"# HELP {name} {row.help}", f"# TYPE {name} {row.kind}"]
        for snapshot in snapshots:
            whose = [("process", snapshot.process)] if snapshot.process else []
            for values, value in snapshot.counts.get(name, ()):
                labels = [*whose, *zip(row.labels, values, strict=True)]
                lines += _series(name, row, labels, value)
    return ("\n".join(lines) + "\n").encode()


def _series(name: str, row: Metric, labels: list[tuple[str, str]], value: float | list[float]) -> list[str]:
    if not isinstance(value, list):
        return [f"{name}{_labelled(labels)} {value:g}" if value < 1e6 else f"{name}{_labelled(labels)} {value:.0f}"]
    lines = []
    total = 0.0
    for bound, count in zip([*map(str, row.buckets), "+Inf"], value, strict=False):
        total += count
        lines.append(f"{name}_bucket{_labelled([*labels, ('le', bound)])} {total:.0f}")
    return [*lines, f"{name}_sum{_labelled(labels)} {value[-1]:.6f}", f"{name}_count{_labelled(labels)} {total:.0f}"]


def _labelled(labels: list[tuple[str, str]]) -> str:
    escaped = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})
    return "{" + ",".join(f'{name}="{value.translate(escaped)}"' for name, value in labels) + "}" if labels else ""


_process: Metrics | None = None


def metrics() -> Metrics:
    """The metrics of this process."""
    global _process  # counts belong to the process, as its log sink does
    if _process is None:
        _process = Metrics(METRICS)
    return _process
