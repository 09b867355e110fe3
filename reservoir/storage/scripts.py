"""The atomic verbs: one Lua file each, with what it shares put before it, known to the store by its SHA-1."""

import hashlib
import re
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Literal

Verb = Literal[
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
    "dispose",
    "extend",
    "fail_sync",
    "finish_sync",
    "import_page",
    "read_claim",
    "read_lists",
    "read_members",
    "read_org",
    "read_reservations",
    "read_taken",
    "release",
    "settle",
    "sweep_list",
]

_NEEDS = re.compile(r"^-- needs: (\w+)$", re.MULTILINE)


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
    text = _text(verb)
    shebang, body = text.split("\n", 1)
    needed = _NEEDS.findall(body)
    shared = "\n".join(_text(name) for name in ("prelude", *needed))
    source = (
        f"{shebang}\n{shared}\nlocal function verb()\n{body}\nend\n"
        "local reply = verb()\nreply[#reply + 1] = nonce\nreturn reply\n"
    )
    return Script(verb, source, hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest(), "granting" in needed)


def _text(name: str) -> str:
    return resources.files(__package__).joinpath("lua", f"{name}.lua").read_text("utf-8")
