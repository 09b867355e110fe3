"""Random names: ids, API keys, and the nonces that tell one call from every other."""

import os


def random_name(length: int) -> str:
    """Random letters a-z and digits 2-7, which need no escaping anywhere; 5 bits each."""
    if len(_random) < length:
        _random.extend(os.urandom(max(length, RANDOM_BYTES)))
    drawn = _random[-length:]
    del _random[-length:]
    return drawn.translate(_LETTER_OF_BYTE).decode()


RANDOM_BYTES = 4_096
_LETTER_OF_BYTE = b"abcdefghijklmnopqrstuvwxyz234567" * 8
"""Each letter stands for eight of a byte's values, so all are drawn equally often."""

_random = bytearray()
"""Random bytes drawn ahead, for a claim needs several names and each system call costs it. Each is used once."""
os.register_at_fork(after_in_child=_random.clear)
