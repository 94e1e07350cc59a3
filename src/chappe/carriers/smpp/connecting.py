"""How one bind of an SMPP carrier is reached: its connections, its sessions, and the delays between attempts."""

from __future__ import annotations

import asyncio
import enum
import os
import socket
import ssl
from collections.abc import Callable

from chappe.carriers.smpp.transport import Wire
from chappe.smpp.commands import Status
from chappe.smpp.events import Event
from chappe.smpp.profile import Mode, Profile
from chappe.smpp.session import Session
from chappe.smpp.settings import Settings, Timers
from chappe.smpp.states import Mode as BindMode
from chappe.smpp.states import Role

UNANSWERED_MAX = 4000
"""Requests of the carrier that a session holds unanswered; reading stops well before."""

TLS_SHUTDOWN_S = 5.0
"""How long a carrier may take to end its side of TLS: until then its bind cannot be made anew."""

_MODES = {
    Mode.TRX: (BindMode.TRX,),
    Mode.TX: (BindMode.TX,),
    Mode.TX_RX: (BindMode.TX, BindMode.RX),
}
UNHEARD_S_MAX = 8
"""What a dead network keeps of our octets is thrown away after so long: sooner than what was in doubt with the owner
before us is sent again (flight.Rules.grace_s), so that it never arrives after all."""

_CREDENTIALS = (Status.RINVPASWD, Status.RINVSYSID, Status.RINVSYSTYP)


def modes(profile: Profile) -> tuple[BindMode, ...]:
    """The sessions that make one bind, in the order in which they are opened."""
    return _MODES[profile.mode]


def is_about_credentials(status: int | None) -> bool:
    """Whether a refused bind will be refused again until somebody changes something."""
    return status in _CREDENTIALS


class Delays:
    """How long to wait before the next attempt: longer each time, and much longer where trying at once does harm."""

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self.bound()

    def bound(self) -> None:
        """It worked: delays begin anew."""
        self._ordinary_s = self._profile.reconnect_delay_s_min
        self._credentials_s = self._profile.auth_retry_delay_s_min

    def after(self, refused: int | None) -> float:
        """Seconds to wait, jitter not included. refused: the status with which the bind was refused, if it was."""
        if is_about_credentials(refused):
            delay_s = self._credentials_s
            self._credentials_s = min(delay_s * 2, self._profile.auth_retry_delay_s_max)
        elif refused == Status.RALYBND:
            delay_s = self._profile.already_bound_delay_s
        else:
            delay_s = self._ordinary_s
            self._ordinary_s = min(delay_s * 2, self._profile.reconnect_delay_s_max)
        return delay_s


async def connect(
    host: str, port: int, profile: Profile, window: int, happened: Callable[[Wire, list[Event]], None]
) -> Wire:
    """Opens one connection with an ESME's session on it. Raises OSError; UnicodeError for a host that is no name."""
    context = tls_context(profile) if profile.tls else None
    transport, wire = await asyncio.get_running_loop().create_connection(
        lambda: Wire(lambda now: _session(profile, window, now), happened, write_timeout_s=profile.write_timeout_s),
        host,
        port,
        ssl=context,
        server_hostname=(profile.tls_server_name or host) if context else None,
        ssl_shutdown_timeout=TLS_SHUTDOWN_S if context else None,
    )
    raw = transport.get_extra_info("socket")
    if raw is not None and hasattr(socket, "TCP_USER_TIMEOUT"):
        unheard_s = min(UNHEARD_S_MAX, max(profile.uncertain_grace_s * 0.8, 1.0))
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(unheard_s * 1000))
    return wire


def bind(wire: Wire, mode: BindMode, system_id: str, password: str, profile: Profile) -> None:
    """Asks to bind, unless the session has ended already: some servers speak first, and what they say is no SMPP.
    Raises EncodeError for credentials that cannot be written."""
    if wire.session.closing:
        return
    wire.session.bind(
        mode,
        system_id.encode(),
        password.encode(),
        wire.now(),
        system_type=profile.system_type.encode(),
        address_range=profile.address_range.encode(),
        addr_ton=profile.bind_ton,
        addr_npi=profile.bind_npi,
    )
    wire.flush()


class Trouble(enum.StrEnum):
    """Why a carrier cannot be reached."""

    UNRESOLVED = "unresolved"  # the host's name
    REFUSED = "refused"  # nothing listens
    TIMEOUT = "timeout"
    CERTIFICATE = "certificate"  # TLS is spoken, and the peer is not who it should be
    CA_FILE = "ca_file"  # the authorities that we are to trust cannot be read
    NO_TLS = "no_tls"  # something answers, and not in TLS
    OTHER = "other"


class CaFileUnreadable(OSError):
    """The file of the setting tls_ca_file cannot be read, or holds no certificate."""


# How OpenSSL says that the peer's octets are no TLS.
_NOT_TLS = frozenset({"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG"})


def explain(error: BaseException) -> tuple[Trouble, str]:
    """What an error of connect() means, and a sentence for the operator: no name of an exception, no address."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return Trouble.CERTIFICATE, f"the TLS certificate is not accepted: {error.verify_message}"
    if isinstance(error, CaFileUnreadable):
        return Trouble.CA_FILE, "tls_ca_file cannot be read, or holds no certificate"
    if isinstance(error, ssl.SSLError):
        if error.reason in _NOT_TLS:
            return Trouble.NO_TLS, "what answers there does not speak TLS"
        if error.reason is None or "EOF" in error.reason:
            return Trouble.OTHER, "the connection ended during the TLS handshake"
        return Trouble.OTHER, f"TLS fails: {error.reason.lower().replace('_', ' ')}"
    if isinstance(error, socket.gaierror):
        if error.errno == socket.EAI_AGAIN:
            return Trouble.UNRESOLVED, "the host's name cannot be resolved now: no name server answers"
        return Trouble.UNRESOLVED, "the host's name cannot be resolved"
    if isinstance(error, UnicodeError):
        return Trouble.UNRESOLVED, "the host is no name that could be resolved"
    if isinstance(error, TimeoutError):
        return Trouble.TIMEOUT, "no answer in time: a firewall, or a wrong address"
    if isinstance(error, ConnectionRefusedError):
        return Trouble.REFUSED, "Connection refused"
    if isinstance(error, ConnectionError):  # of TCP alone, a refusal is the only one
        return Trouble.OTHER, "the connection ended during the TLS handshake"
    if isinstance(error, OSError) and error.errno is not None and error.errno > 0:
        return Trouble.OTHER, os.strerror(error.errno)  # asyncio's own words repeat the address
    return Trouble.OTHER, "the connection could not be made"


def tls_context(profile: Profile) -> ssl.SSLContext:
    """What a profile wants of TLS: 1.2 at least, verified unless it says no. Raises CaFileUnreadable."""
    try:
        context = ssl.create_default_context(cafile=profile.tls_ca_file or None)
    except OSError as error:  # ssl.SSLError is one
        raise CaFileUnreadable from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if not profile.tls_verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _session(profile: Profile, window: int, now: float) -> Session:
    timers = Timers(
        bind_s=profile.bind_timeout_s,
        response_s=profile.response_timeout_s,
        enquire_link_s=profile.enquire_link_interval_s,
        inactivity_s=profile.inactivity_timeout_s,
        partial_pdu_s=profile.partial_pdu_timeout_s,
        unbind_s=profile.unbind_timeout_s,
    )
    settings = Settings(
        role=Role.ESME,
        window=window,
        timers=timers,
        interface_version=profile.interface_version,
        pdu_length_max=profile.command_length_max,
        accept_deliver_on_tx=profile.receipts_on_tx,
        unanswered_max=UNANSWERED_MAX,
    )
    return Session(settings, now)
