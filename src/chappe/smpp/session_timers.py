"""The timers of a session: when the next is due, and what follows from those that are."""

from __future__ import annotations

from chappe.smpp.events import BindRefused, Event, Reason, TimedOut
from chappe.smpp.outstanding_requests import NEVER
from chappe.smpp.pdu import EnquireLink
from chappe.smpp.session_core import Core, Ending

_ENQUIRIES_MAX = 2  # unanswered enquire_links after which the link is dead


def deadline(core: Core) -> float | None:
    """When expire() must be called at the latest; None when no timer runs."""
    if core.closing:
        return None
    timers = core.settings.timers
    soonest = core.window.deadline
    if core.framer.partial and timers.partial_pdu_s:
        soonest = min(soonest, core.partial_at + timers.partial_pdu_s)
    if core.ending is not Ending.NO:
        soonest = min(soonest, core.ending_at)
    elif core.bind_sent is not None:
        soonest = min(soonest, core.bind_sent[2])
    elif core.mode is None:
        if timers.session_init_s and core.bind_asked is None:
            soonest = min(soonest, core.started_at + timers.session_init_s)
    else:
        if timers.enquire_link_s:
            soonest = min(soonest, max(core.heard_at, core.asked_at) + timers.enquire_link_s)
        if timers.inactivity_s:
            soonest = min(soonest, core.heard_at + timers.inactivity_s)
    return None if soonest == NEVER else soonest


def expire(core: Core, now: float, events: list[Event]) -> None:
    """Acts on the timers that are due, and appends what follows to the events."""
    _expire_requests(core, now, events)
    timers = core.settings.timers
    if core.framer.partial and _is_due(now, core.partial_at, timers.partial_pdu_s):
        core.close(Reason.PARTIAL_PDU_TIMEOUT)
    elif core.ending is not Ending.NO:
        _expire_ending(core, now)
    elif core.bind_sent is not None:
        if now >= core.bind_sent[2]:
            core.bind_sent = None  # an answer that comes after all changes nothing
            events.append(BindRefused(None))
            core.close(Reason.BIND_TIMEOUT)
    elif core.mode is None:
        if core.bind_asked is None and _is_due(now, core.started_at, timers.session_init_s):
            core.close(Reason.SESSION_INIT_TIMEOUT)
    else:
        _expire_silence(core, now)


def _expire_requests(core: Core, now: float, events: list[Event]) -> None:
    if core.window.deadline > now:
        return
    for sequence, (context, _, _, _) in core.window.expire(now):
        events.append(TimedOut(context, sequence))
        core.timeouts += 1
    if core.timeouts >= core.settings.timeouts_max:
        core.close(Reason.RESPONSE_TIMEOUTS)


def _expire_ending(core: Core, now: float) -> None:
    if now < core.ending_at:
        core.settle()
    elif core.ending is Ending.UNBINDING:
        core.close(Reason.UNBIND_TIMEOUT)
    else:
        core.advance_ending()


def _expire_silence(core: Core, now: float) -> None:
    timers = core.settings.timers
    if _is_due(now, core.heard_at, timers.inactivity_s):
        core.close(Reason.INACTIVE)
    elif _is_due(now, max(core.heard_at, core.asked_at), timers.enquire_link_s):
        if core.enquiries >= _ENQUIRIES_MAX:
            core.close(Reason.LINK_DEAD)
        else:
            core.enquiry = core.send_outside(EnquireLink(), now)
            core.asked_at = now
            core.enquiries += 1


def _is_due(now: float, since: float, timer_s: float) -> bool:
    return timer_s > 0 and now >= since + timer_s
