"""How much one visitor, one address and everybody together may use at a time."""

from __future__ import annotations

import ipaddress
import time
from collections import Counter, OrderedDict
from collections.abc import Hashable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from starlette.types import Scope

from attn_core.settings import settings

KNOWN = 10_000  # addresses whose recent use is remembered; the one seen longest ago is forgotten first


@dataclass(frozen=True)
class Limits:
    """What the guard allows; the defaults suit a class of forty behind one address.

    Reruns come from clicks, keys and sliders: a held key sends about 30 a second, and waits then.
    """

    sockets: int = field(default_factory=lambda: settings().sessions)
    sockets_per_address: int = field(default_factory=lambda: settings().sessions_per_address)
    message_bytes: int = 1_000_000
    messages_per_second: float = 15.0
    messages_at_once: float = 45.0
    runs_at_once: int = 8  # pages that are drawn at the same time, see hosting/turns.py
    runs_at_once_per_address: int = 1
    run_lent: float = 3.0  # seconds, after which a run keeps nobody waiting, …
    runs_late_per_address: int = 8  # … as long as no more than these of its address do so
    messages_waiting: int = 200  # of one socket; who sends more than it may wait for is cut
    bytes_waiting: int = 8_000_000
    bytes_typed: int = 32_000_000  # of all sockets, each counted by its largest message: a session keeps what is typed
    bytes_typed_per_address: int = 8_000_000
    bytes_unread: int = 48_000_000  # sent to sockets whose visitors have not taken it yet
    file_bytes_unread: int = 96_000_000  # of files on their way, each once however many read it
    file_bytes_unread_per_address: int = 48_000_000
    file_within: float = 300.0  # seconds
    messages_per_second_per_address: float = 60.0
    messages_at_once_per_address: float = 300.0
    first_message_within: float = 20.0  # seconds; a browser sends one at once
    uploads: int = 16
    uploads_per_address: int = 8
    upload_within: float = 60.0  # seconds


@dataclass
class TokenBucket:
    """`rate` tokens flow in a second, at most `burst` of them lie ready; time is in seconds."""

    rate: float
    burst: float
    tokens: float = field(init=False)
    filled: float = field(init=False)

    def __post_init__(self) -> None:
        self.tokens, self.filled = self.burst, time.monotonic()

    def take(self, cost: float = 1.0) -> float:
        """Take so many tokens, and give the seconds to wait until they are there: 0.0 where they lay ready.

        >>> bucket = TokenBucket(rate=2.0, burst=1.0)
        >>> [round(bucket.take(), 1) for _ in range(3)]
        [0.0, 0.5, 1.0]
        """
        self._fill()
        self.tokens -= cost
        return max(0.0, -self.tokens / self.rate)

    def take_ready(self) -> bool:
        """Take one token if it lies ready, and say whether it did."""
        self._fill()
        ready = self.tokens >= 1
        self.tokens -= ready
        return ready

    def _fill(self) -> None:
        now = time.monotonic()
        self.tokens, self.filled = min(self.burst, self.tokens + (now - self.filled) * self.rate), now


class Places:
    """So many places in all, and so many of them for one address."""

    def __init__(self, in_all: int, per_address: int) -> None:
        self.in_all, self.per_address = in_all, per_address
        self._taken: Counter[str] = Counter()

    def __len__(self) -> int:
        """How many places are taken."""
        return self._taken.total()

    def refusal(self, address: str) -> str | None:
        """Why this address gets no place now ("full" or "address"), or None where it gets one."""
        if len(self) >= self.in_all:
            return "full"
        return "address" if self._taken[address] >= self.per_address else None

    @contextmanager
    def taken_by(self, address: str) -> Iterator[None]:
        """Hold one place."""
        self._taken[address] += 1
        try:
            yield
        finally:
            self._taken[address] -= 1
            if not self._taken[address]:
                del self._taken[address]


class Held:
    """Bytes that are kept for somebody, at most so many in all and so many for one address.

    What several hold under one key is there once; of one holder the most that it ever held counts.
    """

    def __init__(self, in_all: int, per_address: int) -> None:
        self.in_all, self.per_address = in_all, per_address
        self._sizes: dict[Hashable, tuple[str, Hashable, int]] = {}  # holder → (address, key, bytes)

    def hold(self, holder: Hashable, address: str, n_bytes: int, key: Hashable = None) -> bool:
        """Count so many bytes for a holder if they fit, and say whether they do."""
        if holder in self._sizes and n_bytes <= self._sizes[holder][2]:
            return True
        others = [held for who, held in self._sizes.items() if who != holder]
        own = (address, holder if key is None else key, n_bytes)
        fits = _bytes([*others, own]) <= self.in_all
        if fits and _bytes([held for held in [*others, own] if held[0] == address]) <= self.per_address:
            self._sizes[holder] = own
            return True
        return False

    def release(self, holder: Hashable) -> None:
        self._sizes.pop(holder, None)

    def __len__(self) -> int:
        """How many bytes are held."""
        return _bytes(self._sizes.values())


def _bytes(held: Iterable[tuple[str, Hashable, int]]) -> int:
    """The bytes of all, those under one key once."""
    return sum({key: n_bytes for _, key, n_bytes in held}.values())


class AddressBuckets:
    """One token bucket an address; the number of remembered addresses is bounded."""

    def __init__(self, rate: float, burst: float) -> None:
        self.rate, self.burst = rate, burst
        self._buckets: OrderedDict[str, TokenBucket] = OrderedDict()

    def take(self, address: str, cost: float = 1.0) -> float:
        """As `TokenBucket.take`, from the bucket of this address."""
        bucket = self._buckets.setdefault(address, TokenBucket(self.rate, self.burst))
        self._buckets.move_to_end(address)
        while len(self._buckets) > KNOWN:
            self._buckets.popitem(last=False)
        return bucket.take(cost)


def address_of(scope: Scope) -> str:
    """The visitor's address; of an IPv6 address the network, because one visitor has 2⁶⁴ of them.

    uvicorn has put in what `X-Forwarded-For` says where, and only where, the request came from one of the proxies in
    `FORWARDED_ALLOW_IPS`.

    >>> address_of({"client": ("2001:db8::7:1", 5000)}), address_of({"client": ("192.0.2.7", 5000)})
    ('2001:db8::/64', '192.0.2.7')
    """
    host = (scope.get("client") or ("unknown", 0))[0]
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return "unknown"
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is None:
            return str(ipaddress.ip_network((address, 64), strict=False))
        address = address.ipv4_mapped
    return str(address)
