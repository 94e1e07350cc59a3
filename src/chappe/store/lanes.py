"""Lanes: what one carrier must send, by priority. A lane is a range of the queue's keys."""

from __future__ import annotations

import enum

CLASSES = 8
"""Lanes of one carrier: lane = carrier id * CLASSES + class."""


class LaneClass(enum.IntEnum):
    """What one carrier must send, by priority."""

    TRANSACTIONAL = 0
    COMMERCIAL = 1
    BULK = 2
    WAITING = 7  # due later: scheduled, held, to be tried again; or no carrier takes it (carrier 0)


BULK_RECIPIENTS = 50
"""From so many recipients on, a submission stands behind those of few: a campaign never delays a single message."""


def lane(carrier_id: int, lane_class: int) -> int:
    return carrier_id * CLASSES + lane_class
