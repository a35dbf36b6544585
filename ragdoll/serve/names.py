"""The names of hosts and of pages: which of them the service answers to."""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from ragdoll.errors import UsageError

LOOPBACK = ("localhost", "127.0.0.1", "[::1]")

_NAME = re.compile(r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\]")
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Hosts:
    """The names that a service may be asked under; ``any_address`` adds every IP address.

    The owner of a DNS name can let it lead here, for a page of his in somebody's browser. That of
    an address cannot.
    """

    names: frozenset[str]
    any_address: bool = False

    def has(self, host: str) -> bool:
        """Tell whether a Host header, which may have a port, has one of the names."""
        name = _without_port(host)
        return name in self.names or (self.any_address and _address(name) is not None)

    def told(self) -> str:
        """List the names for a person."""
        return ", ".join([*sorted(self.names), *["every IP address"] * self.any_address])


def hosts_of(listening: str, others: Iterable[str]) -> Hosts:
    """Return the names of a service that listens at a host; ``others`` are allowed besides.

    Raises:
        UsageError: one of the others is no name of a host.
    """
    names = {*LOOPBACK, _in_brackets(listening).lower(), *map(_allowed, others)}
    if is_loopback(listening):
        return Hosts(frozenset(names))
    return Hosts(frozenset({*names, socket.gethostname().lower()}), any_address=True)


def is_loopback(host: str) -> bool:
    """Tell whether this machine alone can reach a host."""
    address = _address(_in_brackets(host))
    return host.lower() == "localhost" if address is None else address.is_loopback


def origin_of(url: str) -> str:
    """Return the address of a site as browsers send it.

    Raises:
        UsageError: it is none, or has a path.
    """
    try:
        parts = urlsplit(url.strip().lower())
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    host = _in_brackets(parts.hostname or "")
    rest = (parts.path.rstrip("/"), parts.query, parts.fragment, parts.username)
    if parts.scheme not in _PORTS or not _NAME.fullmatch(host) or any(rest):
        raise UsageError(
            f"'{url}' is no address of a site.", hint="Write it as https://example.org."
        )
    is_usual = port in (None, _PORTS[parts.scheme])
    return f"{parts.scheme}://{host}{'' if is_usual else f':{port}'}"


def is_same(origin: str, host: str) -> bool:
    """Tell whether a page is of the service itself."""
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    return parts.scheme in _PORTS and parts.netloc.lower() == host.lower()


def _allowed(name: str) -> str:
    bare = _without_port(name.strip())
    if not _NAME.fullmatch(bare):
        raise UsageError(
            f"'{name}' is no name of a host.",
            hint="Write it as docs.example.org, and other letters as browsers send them: xn--….",
        )
    return bare


def _without_port(host: str) -> str:
    """Return the name in a Host header, in small letters, without the port and a last dot."""
    name = host.lower()
    if not name.endswith("]"):
        before, colon, port = name.rpartition(":")
        name = before if colon and port.isdigit() else name
    return name.removesuffix(".")


def _in_brackets(host: str) -> str:
    return f"[{host}]" if ":" in host and not host.startswith("[") else host


def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return the IP address that a name is, as headers have it; None if it is another name."""
    is_six = name.startswith("[") and name.endswith("]")
    try:
        return ipaddress.IPv6Address(name[1:-1]) if is_six else ipaddress.IPv4Address(name)
    except ValueError:
        return None
