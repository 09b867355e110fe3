"""The atomic verbs: one Lua file each, with what it shares put before it, known to the store by its SHA-1."""

import hashlib
import re
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Literal

Verb = Literal[
    "ask_sync",
    "attempt",
    "begin_sync",
    "change_list",
    "claim",
    "claim_one",
    "click_to_call",
    "configure",
    "create_list",
    "create_org",
    "delete_list",
    "delete_org",
    "dispose",
    "erase_prospect",
    "end_session",
    "extend",
    "fail_sync",
    "finish_sync",
    "follow_write_back",
    "hold_sync",
    "import_page",
    "leave_waiting",
    "mend_list",
    "note_used",
    "pace",
    "read_claim",
    "read_history",
    "read_lists",
    "read_members",
    "read_org",
    "read_prospects",
    "read_removals",
    "read_reservations",
    "read_rights",
    "read_standing",
    "read_taken",
    "read_why_list",
    "read_why_one",
    "read_write_back",
    "release",
    "reset",
    "restore",
    "retry_write_back",
    "settle",
    "settle_write_back",
    "spend",
    "sweep_list",
    "take_sync",
    "take_write_back",
    "tend_waiting",
    "tidy_search",
]

SHARED = ("prelude", "removing", "skipping", "granting", "waiting", "finding", "writing", "syncing")

_NAMES = re.compile(r"^local (?:function )?(\w+)", re.MULTILINE)
_WORD = re.compile(r"\w+")
_NOT_CODE = re.compile(r"--\[\[.*?\]\]|--[^\n]*|'[^'\n]*'", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Script:
    """A verb as the store runs it. ``terms``: whether it is given what the settings mean for an attempt now."""

    verb: Verb
    source: str
    sha: str
    terms: bool


@cache
def script(verb: Verb) -> Script:
    """The script of a verb. A change to its text is another hash, so that processes of two versions live side by side on one store."""
    shebang, body = _text(verb).split("\n", 1)
    ending = "local reply = verb()\nreply[#reply + 1] = nonce\nreturn reply\n"
    shared = _used(body + ending)
    source = f"{shebang}\n{''.join(shared.values())}\nlocal function verb()\n{body}\nend\n{ending}"
    return Script(verb, source, hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest(), "terms_text" in shared)


def _used(text: str) -> dict[str, str]:
    """What a script uses of the shared files, by name, in their order. Every call makes its functions anew, so one that is not used would cost."""
    chunks = _chunks()
    wanted, waiting = set(), [text]
    while waiting:
        for word in _WORD.findall(_NOT_CODE.sub("", waiting.pop())):
            if word in chunks and word not in wanted:
                wanted.add(word)
                waiting.append(chunks[word])
    return {name: chunk for name, chunk in chunks.items() if name in wanted}


@cache
def _chunks() -> dict[str, str]:
    """The shared files' top-level definitions, by the name that each defines.

    **Raises**: ValueError where two files define one name: each would have the other's.
    """
    found: dict[str, str] = {}
    for name in SHARED:
        for chunk in _split(_text(name)):
            if named := _NAMES.search(chunk):
                if named[1] in found:
                    raise ValueError(f"{name}.lua defines {named[1]} once more")
                found[named[1]] = chunk
    return found


def _split(text: str) -> list[str]:
    starts = [match.start() for match in re.finditer(r"^local ", text, re.MULTILINE)]
    return [text[start:end] for start, end in zip(starts, [*starts[1:], len(text)], strict=True)]


def _text(name: str) -> str:
    return resources.files(__package__).joinpath("lua", f"{name}.lua").read_text("utf-8")
