"""Which SOQL queries make a list: those of one object, leads or contacts, that say who."""

import re

OBJECTS = {"lead": "Lead", "contact": "Contact"}

_TOKENS = re.compile(r"'(?:[^'\\]|\\.)*'|[A-Za-z_][\w.]*|[(),]|[^\sA-Za-z_(),']+|'")
_AFTER_FROM = frozenset(("using", "where", "with", "group", "having", "order", "limit", "offset", "for", "update", "all"))
_EVERY_FIELD = frozenset(("all", "standard"))


def refuses_query(query: str) -> str | None:
    """Why the query makes no list, in a sentence, or None as far as can be told without asking Salesforce."""
    tokens = _TOKENS.findall(query)
    if not tokens or tokens[0].lower() != "select":
        return "expected a query that begins with SELECT"
    if "'" in tokens:
        return "a quote is never closed"
    selected, rest = _split(tokens[1:])
    if rest is None:
        return "expected SELECT … FROM Lead or FROM Contact"
    if "select" in (token.lower() for token in selected):
        return "a list is made of one object: expected no query inside SELECT"
    return _refuses_from(rest) or _refuses_fields(selected, _alias(rest))


def object_of(query: str) -> str:
    """The object of a query that is not refused."""
    _, rest = _split(_TOKENS.findall(query)[1:])
    return OBJECTS[rest[0].lower()] if rest else ""


def _step(token: str) -> int:
    """How much deeper the brackets are behind it."""
    return {"(": 1, ")": -1}.get(token, 0)


def _split(tokens: list[str]) -> tuple[list[str], list[str] | None]:
    """What stands before and behind the query's own FROM; None if it has none."""
    depth = 0
    for index, token in enumerate(tokens):
        depth += _step(token)
        if depth == 0 and token.lower() == "from":
            return tokens[:index], tokens[index + 1 :]
    return tokens, None


def _alias(rest: list[str]) -> str | None:
    words = [token.lower() for token in rest[1:3]]
    if words[:1] == ["as"]:
        words = words[1:]
    return words[0] if words and words[0] not in _AFTER_FROM and words[0].isidentifier() else None


def _refuses_from(rest: list[str]) -> str | None:
    if not rest or rest[0].lower() not in OBJECTS:
        return f"a list is made of leads or contacts: expected FROM Lead or FROM Contact, found FROM {rest[0][:40] if rest else 'nothing'}"
    depth = 0
    for index, word in enumerate(rest):
        depth += _step(word)
        if depth == 0 and word == "," and not any(before.lower() in _AFTER_FROM for before in rest[:index]):
            return "a list is made of one object: expected one after FROM"
        if depth == 0 and word.lower() == "group":
            return "a list is made of records: expected no GROUP BY"
    return None


def _refuses_fields(selected: list[str], alias: str | None) -> str | None:
    """Why the fields make no list. An Id that goes by the object's name or alias is one."""
    prefixes = {"", "lead.", "contact.", *(() if alias is None else (f"{alias}.",))}
    ids = {f"{prefix}id" for prefix in prefixes}
    words = [token.lower() for token in selected]
    depth, found = 0, False
    for word, following in zip(words, [*words[1:], ""], strict=True):
        if following == "(" and word in {"count", "count_distinct", "sum", "avg", "min", "max"}:
            return f"a list is made of records: expected no {word.upper()}()"
        found |= (depth == 0 and word in ids) or (depth == 1 and word in _EVERY_FIELD and "fields" in words)
        depth += _step(word)
    return None if found else "expected Id among the fields after SELECT: it says who is meant"
