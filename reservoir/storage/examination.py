"""What an operator wants to know of a store beyond what a start asks of it: the user's rights, the clock, what a write takes, whether replicas confirm."""

import re
from collections.abc import Awaitable, Callable, Sequence
from typing import get_args

import hiredis

from reservoir.storage import keys
from reservoir.storage.clock import TOLERANCE_MS, ClockWord, HostTime
from reservoir.storage.lane import LaneBrokenError, NotReplicatedError
from reservoir.storage.redis import ANSWER_WITHIN_S, Store, StoreFaultError, StoreUnavailableError
from reservoir.storage.replies import items, text
from reservoir.storage.safety import Durability, Finding, inspect
from reservoir.storage.scripts import Verb, script

WRITES = 50
"""How many writes are timed."""

PROMPT_MS = 20
"""What a write should take at most, as a rule: a claim is one."""

DOCTORS_KEY_S = 60

PLAIN = (
    *("TIME", "ECHO x", "INFO", "SMEMBERS", "SADD", "SREM", "GET", "SET", "EXISTS", "ZADD", "ZREM", "ZRANGE", "ZREMRANGEBYSCORE", "ZCARD", "ZLEXCOUNT"),
    *("HGETALL", "HSET", "XTRIM", "SCAN 0", "WAIT 0 1"),
)
"""Commands that the service gives besides its scripts; those that are not whole are given a key."""

_WHOLE = frozenset({"TIME", "PING", "INFO", "ECHO", "SCAN", "WAIT"})
_CALLED = re.compile(r"redis\.p?call\('([A-Z]+)'(?:, '([A-Z]+)')?")
_OF_TWO_WORDS = frozenset({"XINFO"})


def commands() -> list[str]:
    """Every command that the service gives, by itself or in a script, each with a key of the service's where it has one."""
    called = {f"{name} {second}" if name in _OF_TWO_WORDS else name for verb in get_args(Verb) for name, second in _CALLED.findall(script(verb).source)}
    words = {told.split()[0]: told for told in (*called, *PLAIN)}
    return [told if name in _WHOLE else f"{told} {keys.prefix('doctor')}org" for name, told in sorted(words.items())]


async def examine(store: Store, durability: Durability) -> list[Finding]:
    """Everything that the promises rest on. What cannot be found out is a finding, too."""
    return [
        *await _found("the store", "to be known", lambda: inspect(store, durability)),
        *await _found("the rights of the store's user", "all commands that the service gives", lambda: _rights(store)),
        *await _found("the store's clock", "to be read", lambda: _clock(store)),
        *await _found("a write", "to be done", lambda: _writes(store, durability)),
    ]


async def _found(about: str, wanted: str, look: Callable[[], Awaitable[list[Finding]]]) -> list[Finding]:
    try:
        return await look()
    except (StoreUnavailableError, StoreFaultError) as error:
        return [Finding(about, f"not to be known ({error})", wanted, "unusable")]


async def _rights(store: Store) -> list[Finding]:
    reply = await store.run(script("read_rights"), keys.prefix("doctor"), *commands())
    refused = sorted({text(command).split()[0] for command in items(reply[2])})
    found = f"all but {', '.join(refused)}" if refused else "all that the service needs"
    wanted = "all that the service needs (of an ACL: on the keys ~reservoir:*)"
    return [Finding("what the store's user may do", found, wanted, "unusable" if refused else "safe")]


async def _clock(store: Store) -> list[Finding]:
    sent = HostTime.read()
    now_ms = await store.read_clock()
    ahead_ms = now_ms - (sent.wall_ms + HostTime.read().wall_ms) / 2
    word = ClockWord.of(await store.command("GET", keys.CLOCK))
    wanted = f"within {TOLERANCE_MS / 1_000:g} s of this machine's, or accepted with --accept-clock"
    found = f"{ahead_ms / 1_000:+.3f} s from this machine's"
    accepted = word is not None and abs(ahead_ms - word.ahead_ms) <= TOLERANCE_MS
    if accepted and abs(ahead_ms) > TOLERANCE_MS:
        found += ", as an operator accepted it"
    return [Finding("the store's clock", found, wanted, "safe" if accepted or abs(ahead_ms) <= TOLERANCE_MS else "unsafe")]


async def _writes(store: Store, durability: Durability) -> list[Finding]:
    replicas = durability.wait_replicas
    wanted = f"{replicas} to confirm each write (redis.wait_replicas)"
    took_ms = []
    for number in range(WRITES):
        sent = HostTime.read()
        try:
            reply = await store.scripts.call("SET", keys.DOCTOR, number, "EX", DOCTORS_KEY_S)
        except NotReplicatedError as error:
            return [Finding("the replicas that confirm a write", f"too few or too slow ({error})", wanted, "unusable")]
        except LaneBrokenError as error:
            raise StoreUnavailableError(str(error)) from error
        if isinstance(reply, hiredis.ReplyError):
            raise StoreUnavailableError(str(reply))
        took_ms.append(HostTime.read().monotonic_ms - sent.monotonic_ms)
    confirmed = [Finding("the replicas that confirm a write", f"{replicas} or more, in time", wanted, "safe")] if replicas else []
    return [*confirmed, _latency(sorted(took_ms))]


def _latency(took_ms: Sequence[float]) -> Finding:
    middle, longest = took_ms[len(took_ms) // 2], took_ms[-1]
    found = f"{middle:.1f} ms, the longest of {len(took_ms)} {longest:.1f} ms"
    wanted = f"{PROMPT_MS} ms at most as a rule, and never {ANSWER_WITHIN_S * 1_000:g} ms"
    return Finding("what a write takes", found, wanted, "notice" if middle > PROMPT_MS else "safe")
