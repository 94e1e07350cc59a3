"""How much of its work a task of upkeep may do before the others have their turn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(slots=True)
class Budget:
    """Asked before each batch. may_go_on: whether there is time, and the lease is still ours; None: without end.

    A batch is one transaction over a bounded number of rows; one is always allowed, so that every turn comes forward.
    spent: the task ended although there may be more to do, and is due again at once.
    """

    may_go_on: Callable[[], bool] | None = None
    spent: bool = False
    began: bool = False

    def more(self) -> bool:
        """Whether another batch may begin; False is remembered as spent."""
        self.spent = self.began and self.may_go_on is not None and not self.may_go_on()
        self.began = True
        return not self.spent


UNLIMITED = Budget()
"""The budget of a task that runs alone: the task ends when nothing is left to do."""
