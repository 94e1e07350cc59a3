"""The small program between us and PostgreSQL: gives up root, asks to die with its parent, then becomes the server.

Run as `python -I -S launch.py SPEC`, where SPEC is the JSON of `LaunchSpec` in child.py. It is a program of its own,
and not code between fork and exec (`preexec_fn`), because that is not safe in a process with threads and not offered
by uvloop.

postgres refuses to run as root, so with a `uid` we change user. That user may be unable to enter the directories above
the data or the programs (a clone below /root is ordinary). Then, and only then, one capability is kept: first
CAP_DAC_READ_SEARCH (enter and read anything), else CAP_DAC_OVERRIDE (a container usually has only this one). It is
made *ambient*, so that it survives exec and goes on to initdb's own children, and ld.so does not switch to its secure
mode, in which $ORIGIN would be ignored (capabilities(7), ld.so(8)).

The order matters: groups, group, user, capabilities, and last the parent-death signal, which the kernel clears at each
change of credentials (prctl(2), PR_SET_PDEATHSIG).
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import sys
from typing import Any

REFUSED_STATUS = 126
UNREACHABLE_STATUS = 125

# linux/prctl.h and linux/capability.h
_PR_SET_PDEATHSIG = 1
_PR_SET_KEEPCAPS = 8
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_RAISE = 2
_PR_GET_SECUREBITS = 27
_PR_SET_SECUREBITS = 28
_SECBIT_NO_SETUID_FIXUP = 1 << 2
_CAP_SETPCAP = 8
_CAPABILITY_VERSION_3 = 0x20080522
_CAPABILITIES = ((2, "CAP_DAC_READ_SEARCH"), (1, "CAP_DAC_OVERRIDE"))


def main(text: str) -> int:
    """Becomes the program; returns (an exit status) only when it cannot, with one line on stderr."""
    spec = json.loads(text)
    os.umask(0o077)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Python ignores it, and exec would hand that on
    if spec["uid"] is None:
        return _become(spec)
    if sys.platform.startswith("linux"):
        _prctl(_PR_SET_KEEPCAPS, 1)
    try:
        os.setgroups(spec["groups"])
        os.setgid(spec["gid"])
        os.setuid(spec["uid"])
    except OSError as trouble:
        _say(f"root may not become {spec['user']} here ({trouble.strerror})")
        return REFUSED_STATUS
    # access(2) judges by the real user and, for one that is not root, without capabilities: the very question.
    blocked = [path for path, mode in spec["must_reach"] if not os.access(path, mode)]
    if not sys.platform.startswith("linux"):
        return _unreachable(blocked[0]) if blocked else _become(spec)
    if not blocked:
        _keep_only(None)
        return _become(spec)
    for number, name in _CAPABILITIES:
        if not _keep_only(number) or not all(_exists(path) for path, _ in spec["must_reach"]):
            continue
        if spec["announce"]:
            _say(f"note: {spec['user']} may not reach {blocked[0]}; PostgreSQL keeps {name} for that")
        if _become(spec) == REFUSED_STATUS:
            return REFUSED_STATUS
    return _unreachable(blocked[0])


def _become(spec: dict[str, Any]) -> int:
    """Execs; returns UNREACHABLE_STATUS if this user may not, REFUSED_STATUS for any other reason."""
    if sys.platform.startswith("linux"):
        _prctl(_PR_SET_PDEATHSIG, signal.SIGINT)
        if os.getppid() != spec["parent_pid"]:
            return REFUSED_STATUS  # the parent died before it could be watched
        _interrupt_nobody()
    os.chdir("/")
    try:
        os.execve(spec["argv"][0], spec["argv"], spec["environment"])
    except PermissionError:
        return _unreachable(spec["argv"][0])  # said again by the caller if it has no other means left
    except OSError as trouble:
        _say(f"{spec['argv'][0]}: {trouble.strerror}")
    return REFUSED_STATUS


def _interrupt_nobody() -> None:
    """Asks for SCHED_BATCH (sched(7)), which children inherit: a woken backend waits for a free core or for its turn,
    and does not push aside the process that woke it, which has more requests to read and to answer."""
    with contextlib.suppress(OSError):  # it is for speed only, and a sandbox may forbid it
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


def _unreachable(path: str) -> int:
    _say(f"unreachable {path}")
    return UNREACHABLE_STATUS


def _exists(path: str) -> bool:
    try:
        os.stat(path)
    except OSError:
        return False
    return True


def _keep_only(number: int | None) -> bool:
    """Keeps this capability alone, permitted, effective and ambient (None: keeps none); False if we do not have it."""
    bit = 0 if number is None else 1 << number
    permitted = _capabilities()
    if bit & ~permitted:
        return False
    # PostgreSQL looks for its programs with access(2), which sets the capabilities of a user who is not root aside,
    # unless this bit is set (fs/open.c, access_override_creds). Setting it takes CAP_SETPCAP; without that the data may
    # still lie anywhere, only the programs may not.
    setter = permitted & 1 << _CAP_SETPCAP
    if bit and setter:
        _set_capabilities(effective=bit | setter, permitted=permitted, inheritable=bit)
        now = int(ctypes.CDLL(None).prctl(_PR_GET_SECUREBITS, 0, 0, 0, 0))
        _prctl(_PR_SET_SECUREBITS, now | _SECBIT_NO_SETUID_FIXUP)
    # The others stay permitted until exec drops them, so that a second choice is still there to be tried.
    _set_capabilities(effective=bit, permitted=permitted if bit else 0, inheritable=bit)
    return number is None or _prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, number)


def _capabilities() -> int:
    header, data = _header(), (ctypes.c_uint32 * 6)()
    if ctypes.CDLL(None, use_errno=True).capget(header, data) != 0:
        return 0
    return data[1] | data[4] << 32


def _set_capabilities(*, effective: int, permitted: int, inheritable: int) -> None:
    low = [word & 0xFFFFFFFF for word in (effective, permitted, inheritable)]
    high = [word >> 32 for word in (effective, permitted, inheritable)]
    data = (ctypes.c_uint32 * 6)(*low, *high)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.capset(_header(), data) != 0:
        raise OSError(ctypes.get_errno(), "capset")


def _header() -> ctypes.Array[ctypes.c_uint32]:
    return (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)


def _prctl(option: int, *arguments: int) -> bool:
    words = [ctypes.c_ulong(word) for word in (*arguments, 0, 0, 0, 0)[:4]]
    return int(ctypes.CDLL(None, use_errno=True).prctl(option, *words)) == 0


def _say(sentence: str) -> None:
    print(f"chappe-launch: {sentence}", file=sys.stderr, flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
