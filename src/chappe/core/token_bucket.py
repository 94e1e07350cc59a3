"""How fast one bind may send: a token bucket that slows down when the carrier complains and recovers step by step.

Times are seconds of a monotonic clock, given by the caller; values are immutable.
"""

import math
from typing import NamedTuple

PAUSE_S = 1.0
"""Silence after a throttling answer."""

STEP_S = 5.0
"""Every so long without complaint the rate grows by one step."""

STEPS = 20
"""Steps from nothing up to the rate of the contract: halved once, it is back after ten of them, 50 seconds."""

_ROUNDING = 1e-6  # after exactly the wait that we named, a token must be there, whatever binary fractions make of it

RATE_SHARE_MIN = 1 / 64
"""The rate never falls below this share of the contract: a carrier that always complains is the breaker's business."""


class Bucket(NamedTuple):
    """A pace: messages per second agreed and at present, the burst, the tokens left at `at_s`, and when it may go
    on."""

    contract_per_s: float
    burst: float
    rate_per_s: float
    tokens: float
    at_s: float
    paused_until_s: float = -math.inf
    grown_at_s: float = -math.inf


def full(rate_per_s: float, burst: float, now_s: float) -> Bucket:
    """Begin with a full bucket at the rate of the contract.

    Raises ValueError unless the rate is a positive number and the burst at least 1.
    """
    if not 0 < rate_per_s < math.inf or not 1 <= burst < math.inf:
        raise ValueError("a rate is over 0 messages a second, a burst at least 1 message")
    return Bucket(rate_per_s, burst, rate_per_s, burst, now_s)


def take(bucket: Bucket, wanted: int, now_s: float) -> tuple[Bucket, int, float]:
    """Take up to `wanted` tokens; returns the new bucket, how many may go now, and the seconds until one more could.

    The wait is 0 when all may go. A clock that steps back gives nothing and takes nothing.
    """
    bucket = _refill(bucket, now_s)
    if now_s < bucket.paused_until_s:
        return bucket, 0, (bucket.paused_until_s - now_s if wanted > 0 else 0.0)
    allowed = max(0, min(wanted, int(bucket.tokens + _ROUNDING)))
    bucket = bucket._replace(tokens=bucket.tokens - allowed)
    if allowed >= wanted:
        return bucket, allowed, 0.0
    return bucket, allowed, (1 - bucket.tokens) / bucket.rate_per_s


def give_back(bucket: Bucket, unused: int) -> Bucket:
    """Return tokens that were taken and not used."""
    return bucket._replace(tokens=min(bucket.burst, bucket.tokens + max(0, unused)))


def throttled(bucket: Bucket, now_s: float) -> Bucket:
    """Answer a complaint of the carrier: half the rate, an empty bucket, a pause of one second.

    Complaints during the pause are about what was already on its way: they count as the same one.
    """
    bucket = _refill(bucket, now_s)
    if now_s < bucket.paused_until_s:
        return bucket
    floor_per_s = bucket.contract_per_s * RATE_SHARE_MIN
    until_s = now_s + PAUSE_S
    return bucket._replace(
        rate_per_s=max(floor_per_s, bucket.rate_per_s / 2),
        tokens=0.0,
        at_s=until_s,
        paused_until_s=until_s,
        grown_at_s=until_s,
    )


def set_contract(bucket: Bucket, rate_per_s: float, burst: float) -> Bucket:
    """Change the agreed rate while running; a bucket slowed down by complaints keeps its share of it.

    Raises ValueError as `full` does.
    """
    share = bucket.rate_per_s / bucket.contract_per_s
    fresh = full(rate_per_s, burst, bucket.at_s)
    return bucket._replace(
        contract_per_s=rate_per_s,
        burst=burst,
        rate_per_s=fresh.rate_per_s * share,
        tokens=min(bucket.tokens, burst),
    )


def _refill(bucket: Bucket, now_s: float) -> Bucket:
    elapsed_s = now_s - bucket.at_s
    if elapsed_s <= 0:
        return bucket
    # The rate before growing fills: never a token too many.
    tokens = min(bucket.burst, bucket.tokens + elapsed_s * bucket.rate_per_s)
    bucket = bucket._replace(tokens=tokens, at_s=now_s)
    if bucket.rate_per_s >= bucket.contract_per_s:
        return bucket
    steps = int((now_s - bucket.grown_at_s) / STEP_S)
    if steps <= 0:
        return bucket
    grown_per_s = bucket.rate_per_s + steps * bucket.contract_per_s / STEPS
    return bucket._replace(
        rate_per_s=min(bucket.contract_per_s, grown_per_s), grown_at_s=bucket.grown_at_s + steps * STEP_S
    )
