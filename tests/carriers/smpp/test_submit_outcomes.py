"""The table from SMPP's classes of errors to the faults of the world: every class has its line."""

from __future__ import annotations

from chappe.carriers.smpp.submit_outcomes import FAULTS
from chappe.core.errors import FaultKind
from chappe.smpp.error_codes import ErrorClass


def test_every_class_of_errors_is_one_of_the_worlds_faults() -> None:
    assert set(FAULTS) == set(ErrorClass)
    assert set(FAULTS.values()) == set(FaultKind) - {FaultKind.IN_DOUBT}, "an answer leaves no doubt"
