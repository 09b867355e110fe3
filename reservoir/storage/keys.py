"""Every key of the store: its name, its type, and when it goes, or why it never does.

The scripts build an org's keys from its prefix; this is the list that they are held against, and the one that operators read.
"""

import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote, unquote

ORGS = "reservoir:orgs"
ACTIVE = "reservoir:active"
SYNCING = "reservoir:syncing"
CLOCK = "reservoir:clock"
DOCTOR = "reservoir:doctor"

_PLAIN = "-._~@+"


def prefix(org: str) -> str:
    """What every key of an org begins with. The braces put all of them into one slot of a cluster."""
    return f"reservoir:{{{org}}}:"


def encoded(part: str) -> str:
    """An id as a part of a key: every byte but ``A-Z a-z 0-9 - . _ ~ @ +`` percent-encoded, so that decoding gives the id back."""
    return quote(part, safe=_PLAIN)


def decoded(part: str) -> str:
    """The id that `encoded` made a part of a key."""
    return unquote(part)


@dataclass(frozen=True, slots=True)
class Key:
    """A kind of key. ``goes`` says in words when; ``ttl``: whether the store itself ends it."""

    pattern: str
    type: Literal["string", "hash", "set", "zset", "stream"]
    ttl: bool
    what: str
    goes: str

    def matches(self, name: str) -> bool:
        """Whether a key of the store is of this kind."""
        return re.fullmatch(re.sub(r"<\w+>", "[^:]+", re.escape(self.pattern).replace("\\<", "<").replace("\\>", ">")), name) is not None


_ORG = "reservoir:{<org>}:"
_LIST = _ORG + "list:<list>"

KEYS: tuple[Key, ...] = (
    Key(ORGS, "set", False, "the ids of all orgs", "an org leaves it when it is deleted"),
    Key(ACTIVE, "zset", False, "orgs in which something was taken lately, and when", "an org leaves it when nothing of it is taken"),
    Key(SYNCING, "zset", False, "orgs in which something changed lately about when lists are synced, and when", "an org leaves it a day later"),
    Key(CLOCK, "string", False, "an operator's last word that the store's clock is right (JSON)", "never: it is one, and a newer word takes its place"),
    Key(DOCTOR, "string", True, "what `reservoir doctor` and `bench` write to see how long it takes", "after a minute"),
    Key(_ORG + "generation", "string", False, "moves on whenever a profile, a setting or an API key changes", "with the org"),
    Key(_ORG + "deleting", "string", False, "the org is being deleted, since when", "with the last of the org's keys"),
    Key(_ORG + "configured", "string", False, "the call that moved it last, to be known again if it is sent again", "with the org"),
    Key(_ORG + "org", "string", False, "the org's profile (JSON)", "with the org"),
    Key(_ORG + "keys", "hash", False, "API keys by id (JSON, with the key's SHA-256, never the key)", "with the org"),
    Key(_ORG + "keys-used", "hash", False, "when each API key was last used, to the minute", "with the org"),
    Key(_ORG + "settings:<integration>", "string", False, "multi-rep dialing of an integration (JSON)", "with the org"),
    Key(_ORG + "write-back:<integration>", "string", False, "what goes back into the CRM (JSON)", "with the org"),
    Key(_ORG + "write-back:<integration>:jobs", "hash", False, "what is to be written into the CRM, or was refused by it (JSON)", "an entry when it is done"),
    Key(_ORG + "write-back:<integration>:due", "zset", False, "when each of them is to be written", "an entry when it is done, or refused"),
    Key(_ORG + "write-back:<integration>:pending", "zset", False, "those that are not done, by when they happened", "an entry when it is done, or refused"),
    Key(_ORG + "write-back:<integration>:failed", "zset", False, "those that the CRM refused, by when it did", "an entry when it is retried"),
    Key(_ORG + "write-back:<integration>:pending-of:<list>", "zset", False, "those of one list", "as above"),
    Key(_ORG + "write-back:<integration>:failed-of:<list>", "zset", False, "those of one list", "as above"),
    Key(_ORG + "write-back:<integration>:state", "hash", False, "the setting where the reader is, and until when nothing is written", "with the org"),
    Key(_ORG + "reservation:<integration>:<prospect>", "string", True, "who has the prospect (JSON)", "when the hold or reservation ends"),
    Key(_ORG + "ends", "zset", False, "every live hold and reservation by its end: the witness beside the keys", "an entry when it is settled"),
    Key(_ORG + "unreserved-ends", "zset", False, "holds taken while multi-rep dialing was off, by end", "an entry when its call begins, or it lapsed"),
    Key(_ORG + "claim-of", "hash", False, "which claim has each taken prospect", "an entry when it is settled"),
    Key(_ORG + "claim:<id>", "hash", True, "a claim: who, what, how it ended", "7 days after its end; a hold never attempted: 24 h"),
    Key(_ORG + "notes:<integration>:<prospect>", "set", True, "the claims that have a note about the prospect", "2 days after the last of them"),
    Key(_ORG + "erased:<call>", "string", True, "what an erasing call did, to be known again if it is sent again", "after 15 min"),
    Key(_ORG + "session:<session>", "zset", True, "the claims that a session holds", "a day after its last hold was taken"),
    Key(_ORG + "session-end:<session>", "string", True, "the call that ended a session last, and how many it released", "a minute later"),
    Key(_ORG + "idempotency:<key>", "string", True, "what a request took: its digest and claims", "after 24 h, or 15 min where the service made the key"),
    Key(_ORG + "history", "stream", False, "what happened, in order", "an entry after the days that the config says"),
    Key(_ORG + "history-readers", "hash", False, "how far each reader has come who must miss nothing of it", "an entry with its reader"),
    Key(_ORG + "lists", "zset", False, "the ids of the org's lists", "an entry with its list"),
    Key(_ORG + "due", "zset", False, "lists that a worker must look at, and when", "an entry with its list, or when nothing more is due"),
    Key(_ORG + "refilling", "zset", False, "lists to be refilled when they run low, and when they may be", "an entry with its list, or while it is synced"),
    Key(_ORG + "taken-sync:<token>", "string", True, "the list that a worker was given by this token, to be given it again", "after 8 s"),
    Key(_ORG + "spent:<integration>:<what>", "zset", True, "the calls of a budget of the CRM that were spent, and when", "when its window is over"),
    Key(_ORG + "budget-held:<integration>:<what>", "string", True, "that the CRM wants no such calls", "when it said"),
    Key(_ORG + "budget-left:<integration>:<what>", "string", True, "how many such calls the CRM said it has left", "when it said"),
    Key(_ORG + "lists-of:<integration>", "hash", False, "the lists of each prospect; ! marks one that has it as undialable", "an entry when no list has it"),
    Key(_ORG + "search:<integration>", "zset", False, "words of names and numbers, each with who has it, by letter", "an entry when no list has it so"),
    Key(_ORG + "search-due", "set", False, "data that a list has no longer, by which a search may still look", "an entry when what it was found by is gone"),
    Key(_LIST, "hash", False, "the list's definition, and what its last run fetched", "with the list"),
    Key(_LIST + ":sync", "hash", False, "its newest sync", "with the list"),
    Key(_LIST + ":members", "hash", False, "its members' data (JSON)", "an entry when the member leaves"),
    Key(_LIST + ":order", "zset", False, "its members by place", "an entry when the member leaves"),
    Key(_LIST + ":available", "zset", False, "who can be claimed, by place", "an entry when the prospect is taken or leaves"),
    Key(_LIST + ":held", "zset", False, "who is held, by end", "an entry when the hold ends"),
    Key(_LIST + ":reserved", "zset", False, "who is reserved, by end", "an entry when the reservation ends"),
    Key(_LIST + ":undialable", "zset", False, "who can not be dialed, by place", "an entry when the source says otherwise"),
    Key(_LIST + ":do-not-call", "set", False, "whom the source flags as not to be called", "an entry when the source says otherwise"),
    Key(
        _LIST + ":places",
        "hash",
        False,
        "each rep's own place while multi-rep dialing is off",
        "unheeded 30 days after the rep's last claim, and gone with the next sync",
    ),
    Key(_LIST + ":removers", "set", False, "the reps who removed somebody", "with the list"),
    Key(_LIST + ":removed:<rep>", "hash", False, "whom a rep removed: when, and by which claim", "an entry when it is undone, or with the list"),
    Key(_LIST + ":removals", "zset", False, "all its removals, by rep and prospect", "an entry when it is undone, or with the list"),
    Key(_LIST + ":waiting", "zset", True, "the claims that wait for somebody, by when their waiting began (µs)", "a minute after the last began"),
    Key(_LIST + ":waiters", "hash", True, "how many each of them wants, for which rep, and with which key", "a minute after the last began"),
    Key(_ORG + "waiting-processes", "zset", True, "the processes whose claims wait, and when each was last heard of", "a minute after the last was"),
    Key(_LIST + ":skips", "hash", True, "how far all is removed by a rep, who need not look there again", "a day after the last change"),
    Key(_LIST + ":came", "zset", True, "who became available since somebody skips, in the order of coming", "with the skips"),
    Key(_ORG + "broken", "set", False, "lists with an index of the wrong type, stepped over and to be mended", "an entry when the list is mended"),
    Key(_ORG + "swept", "string", False, "how many lists were deleted, to tell them apart", "with the org"),
    Key(_ORG + "sweep", "hash", False, "deleted lists whose members are still to be untied", "an entry when that is done"),
    Key(_ORG + "sweep:<list>:<at>:<number>", "zset", False, "the members of a deleted list", "when they are untied"),
    Key(_ORG + "sweep:<list>:<at>:<number>:removers", "set", False, "the reps who removed somebody from it", "when their removals are gone"),
    Key(_ORG + "sweep-members:<list>:<at>:<number>", "hash", False, "their data", "when they are untied"),
)


def kind_of(name: str) -> Key | None:
    """Which kind of key this is, or None if the service has no such key."""
    return next((key for key in KEYS if key.matches(name)), None)
