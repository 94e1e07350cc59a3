"""The built-in SMSC with phones behind it: for demonstrations, tests and chaos."""

from __future__ import annotations

from chappe.handset.settings import Settings
from chappe.handset.smsc import Smsc, tls_context

__all__ = ["Settings", "Smsc", "tls_context"]
