"""Who may ask the server for something, told from what a browser sends along; no sockets, no aiohttp.

Three things are looked at. The name that the browser was told (`Host`): a page of a stranger whose name was pointed to
this machine sends its own name. The page that asks (`Origin`): a page of a stranger cannot open a websocket here. And
the token, which no page and no other user of the machine knows. It is shown once, in the address; the browser then
keeps a cookie, whose value says nothing of the token.
"""

from __future__ import annotations

import ipaddress
import re
import secrets
from urllib.parse import urlsplit

from tui_tuner.errors import TunerError

SHORTEST = 16
"""Characters that a token of one's own must have at least."""

_HOST = re.compile(r"[A-Za-z0-9._-]+(:\d{1,5})?|\[[0-9A-Fa-f:.]+\](:\d{1,5})?")
_TOKEN = re.compile(r"[A-Za-z0-9._~-]+")


def new_token() -> str:
    """A token that nobody can guess: 256 bits, in characters that an address may hold."""
    return secrets.token_urlsafe(32)


def checked_token(token: str) -> str:
    """A person's own token, if it is one.

    Raises:
        TunerError: it is short enough to be guessed, or an address could not hold it.
    """
    if len(token) < SHORTEST:
        raise TunerError(
            f"the token has {len(token)} characters, fewer than {SHORTEST}",
            code="weak-token",
            where="--token",
            fix="take a longer one, or leave it out to have one made",
            usage=True,
        )
    if not _TOKEN.fullmatch(token):
        raise TunerError(
            "the token holds a character that an address may not",
            code="weak-token",
            where="--token",
            fix="use letters, digits and - . _ ~ only",
            usage=True,
        )
    return token


def is_loopback(address: str) -> bool:
    """Whether an address can be reached from this machine only; False for what is no address."""
    try:
        return ipaddress.ip_address(address.partition("%")[0]).is_loopback
    except ValueError:
        return False


class Guard:
    """Decides about requests to one server.

    Args:
        token: what the first address must hold; None asks for none.
        port: the server's, so that two servers' cookies do not meet.
        names: the names that `Host` may have, in small letters and without port; None for any, where the token and the
            cookie, which a browser keeps for one name, do this work.
    """

    def __init__(self, token: str | None, port: int, names: frozenset[str] | None) -> None:
        self._token = token
        self._names = names
        self._tickets: set[str] = set()
        self.cookie = f"tui-tuner-{port}"
        self.session = secrets.token_urlsafe(32)

    def ticket(self) -> str:
        """A token that is good for one request: others can see the address that a browser is started with."""
        ticket = new_token()
        self._tickets.add(ticket)
        return ticket

    def host_fits(self, host: str | None) -> bool:
        """Whether a request's `Host` names this server."""
        if not host or not _HOST.fullmatch(host):
            return False
        return self._names is None or _name(host) in self._names

    def origin_fits(self, origin: str | None, host: str) -> bool:
        """Whether `Origin` is a page of this server, as the browser was told to reach it."""
        if not origin:
            return False
        try:
            parts = urlsplit(origin)
        except ValueError:  # such as "http://["
            return False
        return parts.scheme in ("http", "https") and parts.netloc.lower() == host.lower()

    def token_fits(self, given: str | None) -> bool:
        """Whether the address holds the token, or a ticket that was not used; compared in constant time."""
        if not given:
            return False
        for ticket in self._tickets:
            if _same(ticket, given):
                self._tickets.remove(ticket)
                return True
        return self._token is not None and _same(self._token, given)

    def knows(self, cookie: str | None) -> bool:
        """Whether a browser was let in before; all are where there is no token."""
        if self._token is None:
            return True
        return bool(cookie) and _same(self.session, str(cookie))


def _same(own: str, given: str) -> bool:
    """Compared in constant time; what came over the wire may hold bytes that are no text, as lone surrogates."""
    return secrets.compare_digest(own.encode(), given.encode(errors="surrogatepass"))


def _name(host: str) -> str:
    """The name in a `Host`, without port and brackets."""
    name = host[: host.index("]") + 1] if host.startswith("[") else host.partition(":")[0]
    return name.strip("[]").lower()
