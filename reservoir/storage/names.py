"""Random names: ids, API keys, and the nonces that tell one call from every other."""

import base64
import os


def random_name(length: int) -> str:
    """Random letters a-z and digits 2-7, which need no escaping anywhere; 5 bits each."""
    size = -(-length * 5 // 8)
    if len(_random) < size:
        _random.extend(os.urandom(RANDOM_BYTES))
    drawn = bytes(_random[-size:])
    del _random[-size:]
    return base64.b32encode(drawn)[:length].decode().lower()


RANDOM_BYTES = 4_096
_random = bytearray()
"""Random bytes drawn ahead, for a claim needs several names and each system call costs it. Each is used once."""
os.register_at_fork(after_in_child=_random.clear)
