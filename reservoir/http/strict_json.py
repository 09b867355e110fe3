"""JSON as the contract reads it: one value, and nothing that two parsers could read differently.

**Source**: RFC 8259 sections 4, 6, 7, 8 and 9 leave duplicate keys, huge numbers, lone surrogates and depth to the parser; here each of them is refused.
"""

import json
import math
import re
from collections import Counter

DEPTH_MOST = 64
DIGITS_MOST = 300
"""An integer of more digits than this is read as one of 300: it is out of every bound that the service has, and reading it whole would cost quadratic time."""

_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
"""A string, or the rest of a text in which one is never closed: what fails to match at one quote would be tried again at every other."""
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


class MalformedJsonError(ValueError):
    """The text is not one JSON value; the message says why."""


def parse(text: bytes) -> object:
    """The value of a JSON text.

    **Raises**: MalformedJsonError.
    """
    if text.count(b"[") + text.count(b"{") > DEPTH_MOST and _depth(text) > DEPTH_MOST:
        raise MalformedJsonError(f"the value is nested deeper than {DEPTH_MOST}")
    try:
        value = _DECODER.decode(text.decode())
    except UnicodeDecodeError:
        raise MalformedJsonError("the text is not UTF-8") from None
    except json.JSONDecodeError as error:
        raise MalformedJsonError(f"{error.msg} at line {error.lineno}, column {error.colno}") from None
    if _SURROGATE.search(text):
        _refuse_lone_surrogates(value)
    return value


def _depth(text: bytes) -> int:
    deepest = depth = 0
    for byte in _STRING.sub(b"", text):
        if byte in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        elif byte in b"]}":
            depth -= 1
    return deepest


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        twice = Counter(name for name, _ in pairs).most_common(1)[0][0]
        raise MalformedJsonError(f"the key {twice[:80]!r} appears twice in one object")
    return found


def _integer(digits: str) -> int:
    return int(digits if len(digits) <= DIGITS_MOST else digits[: DIGITS_MOST + 1])


def _float(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise MalformedJsonError(f"the number {digits[:40]} is too large")
    return number


def _constant(name: str) -> object:
    raise MalformedJsonError(f"{name} is no JSON value")


def _refuse_lone_surrogates(value: object) -> None:
    waiting = [value]
    while waiting:
        match waiting.pop():
            case str(found):
                try:
                    found.encode()
                except UnicodeEncodeError:
                    raise MalformedJsonError("a string has a lone surrogate") from None
            case list(found):
                waiting.extend(found)
            case dict(found):
                waiting.extend(found)
                waiting.extend(found.values())
            case _:
                pass


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_int=_integer, parse_float=_float, parse_constant=_constant)
