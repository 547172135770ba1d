"""Where the server listens: an address of this machine and a port on it, taken before anything is promised."""

from __future__ import annotations

import errno
import socket
from dataclasses import dataclass

from tui_tuner.browser.guard import is_loopback
from tui_tuner.errors import TunerError


@dataclass(frozen=True)
class Place:
    """A socket that is bound, and how a browser finds it.

    Attributes:
        host: what a person wrote.
        address: the numbers it stands for.
        port: the port, chosen by the system where 0 was asked for.
    """

    listener: socket.socket
    host: str
    address: str
    port: int

    @property
    def loopback(self) -> bool:
        """Whether nobody but this machine can reach it."""
        return is_loopback(self.address)

    @property
    def names(self) -> frozenset[str] | None:
        """What `Host` may say: on loopback only names that mean this very machine, elsewhere any."""
        if not self.loopback:
            return None
        return frozenset({"localhost", "127.0.0.1", "::1", self.address, self.host.lower()})

    @property
    def url(self) -> str:
        """The address to type, without a path."""
        everywhere = self.address in ("0.0.0.0", "::")
        host = socket.gethostname() if everywhere else self.host
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"


def resolved(host: str, port: int) -> tuple[int, str]:
    """The family and the address that a name stands for.

    Raises:
        TunerError: nobody knows the name.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError):
        found = []
    found.sort(key=lambda entry: entry[0] != socket.AF_INET)
    if not found:
        raise _cannot(host)
    return found[0][0], str(found[0][4][0])


def taken(host: str, port: int) -> Place:
    """Binds a port of an address of this machine; 0 takes any that is free.

    Raises:
        TunerError: the port is in use or not allowed, or the address is not one of this machine.
    """
    family, address = resolved(host, port)
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((address, port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise TunerError(
                f"port {port} is in use",
                code="port-in-use",
                where=host,
                fix="choose another with --port; 0 takes any that is free",
            ) from error
        if error.errno in (errno.EACCES, errno.EPERM):
            raise TunerError(
                f"this user may not listen on port {port}",
                code="port-forbidden",
                where=host,
                fix="choose one from 1024 on with --port",
            ) from error
        raise _cannot(host) from error
    listener.setblocking(False)
    return Place(listener, host, address, listener.getsockname()[1])


def _cannot(host: str) -> TunerError:
    return TunerError(
        "this is no address or name of this machine",
        code="host-not-here",
        where=f"--host {host}",
        fix="leave --host out, or give 0.0.0.0 for all addresses of this machine",
        usage=True,
    )
