"""How many deliveries with a wrong signature one source may send: a few by mistake, not a flood."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

BURST = 20
"""Wrong signatures of one source that are answered 401; every further one within its time is answered 429."""
PER_SECOND = 1.0
"""Wrong signatures a second that are forgiven."""
SOURCES = 1024
"""Sources that are remembered; the one that was quiet for longest is forgotten first."""
SMALL = 64 * 1024
"""Bytes of a body whose signature is checked whoever sends it: a genuine delivery may come through the flooder's proxy."""


class Flood:
    """A bucket of mistakes for each source, refilled with time.

    Args:
        clock: seconds that only go forward.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._guard = threading.Lock()
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()
        """Mistakes a source may still make, as of when."""

    def wait(self, source: str) -> float:
        """Seconds until a source may make another mistake; 0 if it may now."""
        with self._guard:
            return _wait(self._refilled(source))

    def mistake(self, source: str) -> tuple[float, bool]:
        """Count a mistake of a source; the seconds it should wait before another request, and whether it begins to flood."""
        with self._guard:
            left = self._refilled(source)
            wait = _wait(left)
            self._left[source] = (max(0.0, left - 1), self._clock())
            self._left.move_to_end(source)
            while len(self._left) > SOURCES:
                self._left.popitem(last=False)
        return wait, 1 <= left < 2

    def _refilled(self, source: str) -> float:
        if source not in self._left:
            return float(BURST)
        left, at = self._left[source]
        return min(float(BURST), left + (self._clock() - at) * PER_SECOND)


def _wait(left: float) -> float:
    return max(0.0, (1 - left) / PER_SECOND)


def source_of(peer: str, forwarded: str) -> str:
    """Where a request comes from.

    Args:
        peer: the address that the connection comes from.
        forwarded: the header X-Forwarded-For. Believed where the peer is a proxy beside this server, on loopback or a
            private network, and then its last address, which that proxy has written itself.
    """
    found = _address(peer)
    if found is None:
        return peer[:64]
    if found.is_loopback or found.is_private:
        found = _address(forwarded.rsplit(",", 1)[-1].strip()) or found
    # Whoever has one address of IPv6 has the other 2**64 of that network too.
    return str(ip_network((found, 64), strict=False)) if isinstance(found, IPv6Address) else str(found)


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        found = ip_address(text.partition("%")[0])  # behind it is a link of the sender's own, in any words
    except ValueError:
        return None
    # On a socket for both, every address of IPv4 lies in one network of IPv6.
    return (found.ipv4_mapped or found) if isinstance(found, IPv6Address) else found
