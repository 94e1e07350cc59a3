"""What SMPP's classes of errors are in the words of the world's faults: the one table."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from chappe.core.errors import FaultKind
from chappe.smpp.error_codes import ErrorClass

# The link keeps a throttled part and slows down by itself.
FAULTS: Mapping[ErrorClass, FaultKind] = MappingProxyType(
    {
        ErrorClass.OK: FaultKind.PERMANENT,  # an error status that a carrier's own table calls no error
        ErrorClass.THROTTLE: FaultKind.THROTTLED,
        ErrorClass.TEMPORARY: FaultKind.TEMPORARY,
        ErrorClass.REQUEST: FaultKind.TEMPORARY,
        ErrorClass.LINK: FaultKind.UNSENT,
        ErrorClass.AUTH: FaultKind.UNSENT,
        ErrorClass.NUMBER: FaultKind.PERMANENT,
        ErrorClass.SENDER: FaultKind.PERMANENT,
        ErrorClass.UNSERVED: FaultKind.PERMANENT,
        ErrorClass.MESSAGE: FaultKind.PERMANENT,
        ErrorClass.CONFIG: FaultKind.BLOCKED,
        ErrorClass.BUG: FaultKind.UNSENDABLE,
    }
)

# Refusals for good that are this carrier's only: another one may take the message.
OTHER_ROUTES = frozenset({ErrorClass.SENDER, ErrorClass.UNSERVED})
