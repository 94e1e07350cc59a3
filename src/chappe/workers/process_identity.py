"""Who holds a lease: a name that says host, boot and process, so that the death of a neighbour is seen at once."""

from __future__ import annotations

import os
import socket
from pathlib import Path

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def _started(pid: int) -> str:
    """When a process of this host began, in clock ticks since boot; empty when none of that number lives."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return "" if fields[0] == "Z" else fields[19]
    except (OSError, IndexError):
        return ""


def _host() -> str:
    boot = _BOOT_ID.read_text().strip()[:8] if _BOOT_ID.exists() else "-"
    namespace = os.readlink("/proc/self/ns/pid") if Path("/proc/self/ns/pid").exists() else "-"
    return f"{socket.gethostname()}/{boot}/{namespace}"


def own_name() -> str:
    """The name of this process as an owner."""
    return f"{_host()}:{os.getpid()}:{_started(os.getpid())}"


def is_dead(owner: str) -> bool:
    """Whether an owner was a process of this host that lives no more; False for those of other hosts: nobody knows."""
    parts = owner.rsplit(":", 2)  # from the right: the host's part may have colons of its own
    if len(parts) != 3 or parts[0] != _host() or not parts[1].isdigit():
        return False
    return _started(int(parts[1])) != parts[2]
