"""HMAC-SHA256 for keys that sign hundreds of thousands of short texts."""

import hmac
from collections.abc import Callable

from service.platform.caches import cached


@cached("keyed hashes", maxsize=256)
def keyed_hash(key: bytes) -> Callable[[bytes], bytes]:
    """A function from a text to its HMAC with `key` (RFC 2104): 32 octets.

    What `hmac.digest` gives, in three quarters of its time: that one sets up its key anew for each
    text, here it is set up once and copied.
    """
    begin = hmac.new(key, digestmod="sha256").copy

    def sign(text: bytes) -> bytes:
        begun = begin()
        begun.update(text)
        return begun.digest()

    return sign
