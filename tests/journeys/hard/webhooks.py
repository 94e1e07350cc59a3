"""Scenarios in which a customer's web server is at fault: others must not notice, and each report is posted at least
once."""

from __future__ import annotations

import functools
import socket
import threading
from collections.abc import Callable

import hooks
from program import until
from stage import OTHER_LOGIN, Scenario, Stage

PATIENCE_S = 5.0  # a report of a healthy receiver comes that soon after its message was accepted
BAD = 10


def receiver(behave: Callable[[socket.socket, threading.Event], None], stage: Stage) -> None:
    """One customer's web server misbehaves; another's gets its reports as if nothing were."""
    stage.start()
    rude = hooks.Rude(behave)
    try:
        bad = stage.load(BAD, 50.0, login=OTHER_LOGIN, name="bad", report_url=rude.url).start()
        good = stage.load(150, 30.0).start()
        bad.join()
        good.join()
        stage.settle()
        delays = sorted(stage.reports.delivered_at["hard", n] - at for n, at in good.accepted_at.items())
        stage.notes["good_reports_s"] = {"p50": round(delays[len(delays) // 2], 2), "max": round(delays[-1], 2)}
        stage.check(delays[-1] < PATIENCE_S, f"a healthy receiver waited {delays[-1]:.1f} s for a report")
        due = len(bad.accepted)
        attempted = "select count(distinct message_id) from webhook_attempt where outcome <> 'told'"
        until(lambda: stage.value(attempted) >= due, "each report to be posted once", 60.0)
        waiting = stage.value("select count(distinct message_id) from webhook")
        stage.check(waiting == due, f"{waiting} of {due} wait for another attempt")
        stage.notes["calls_of_the_bad_one"] = rude.calls
        stage.check(rude.calls <= 6 * due, f"a storm: {rude.calls} calls for {due} messages")
    finally:
        rude.close()


SCENARIOS: dict[str, Scenario] = {
    f"webhook-{behave.__name__}": functools.partial(receiver, behave)
    for behave in (hooks.hang, hooks.dribble, hooks.reset, hooks.redirect)
}
