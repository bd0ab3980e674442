"""How often one source may ask for something that needs no key. Counted in this process, within a bounded memory."""

import ipaddress
import threading
import time
from collections import OrderedDict

from starlette.types import Scope


class Limit:
    """At most `most` times within `window_s` seconds a source; of more than `sources` the longest unseen is forgotten."""

    def __init__(self, most: int, window_s: float, sources: int = 10_000) -> None:
        self.most, self.window_s, self.sources = most, window_s, sources
        self._seen: OrderedDict[str, tuple[float, int]] = OrderedDict()
        self._lock = threading.Lock()

    def wait_s(self, source: str) -> float:
        """Counts one; 0 when it may, else after how many seconds it may again."""
        now = time.monotonic()
        with self._lock:
            began, count = self._seen.pop(source, (now, 0))
            if now - began >= self.window_s:
                began, count = now, 0
            self._seen[source] = (began, count + 1)
            if len(self._seen) > self.sources:
                self._seen.popitem(last=False)
        return self.window_s - (now - began) if count >= self.most else 0.0


def source_of(scope: Scope) -> str:
    """Who asks: an address, of IPv6 the network, since a host there has as many addresses as it likes."""
    client = scope.get("client")
    host = str(client[0]) if client else "unknown"
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if address.version == 6:
        return str(ipaddress.ip_network((int(address) >> 64 << 64, 64)))
    return host
