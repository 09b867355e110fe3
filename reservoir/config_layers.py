"""How a config comes together: a TOML file, the environment over it, secrets from files of their own, and where each value came from."""

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, get_args, get_origin

from pydantic import BaseModel, SecretStr, Tag, ValidationError
from pydantic.fields import FieldInfo

PREFIX = "RESERVOIR_"
CONFIG_VARIABLE = "RESERVOIR_CONFIG"
DEFAULT_FILE = Path("reservoir.toml")
SECRET_BYTES_MAX = 65_536

Key = tuple[str, ...]
T = TypeVar("T", bound=BaseModel)


class ConfigError(Exception):
    """The process must not start: one sentence with the key, what was expected, what was found and where; never a secret's value."""


class MayComeFromFile:
    """Marks a key whose value is a secret, or may hold one: the same key with ``_file`` names a file to read it from."""


class Value(NamedTuple):
    """What a key was set to, and in the words of an error where: a file's name, or an environment variable's."""

    value: Any
    origin: str


Layer = dict[Key, Value]


def read(model: type[T], path: Path | None, environ: Mapping[str, str]) -> T:
    """The model filled from file and environment.

    **Raises**: ConfigError.
    """
    layers = _from_file(path, environ) | _from_environment(model, environ)
    values = _with_secrets(model, layers)
    tree = _tree(values)
    try:
        return model.model_validate(tree)
    except ValidationError as error:
        # An unknown key explains a missing one, which was misspelt.
        first = min(error.errors(include_url=False), key=lambda each: each["type"] != "extra_forbidden")
        raise ConfigError(_sentence(model, tree, values, first["type"], tuple(map(str, first["loc"])))) from None


def dotted(key: Key) -> str:
    """A key as an operator would write it, on one line whatever it holds."""
    return ".".join(part if re.fullmatch(r"[A-Za-z0-9_-]+", part) else json.dumps(part) for part in key)


# ---- layers ----------------------------------------------------------------------------------------------------------------------------


def _from_file(path: Path | None, environ: Mapping[str, str]) -> Layer:
    named = ""
    if path is None and environ.get(CONFIG_VARIABLE):
        path, named = Path(environ[CONFIG_VARIABLE]), f", which {CONFIG_VARIABLE} names,"
    if path is None and DEFAULT_FILE.exists():
        path = DEFAULT_FILE
    if path is None:
        return {}
    try:
        tree = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except UnicodeDecodeError as error:
        raise ConfigError(f"The config file {path}{named} is expected to be UTF-8; its byte {error.start + 1} is not.") from None
    except OSError as error:
        raise ConfigError(f"The config file {path}{named} is expected to be readable; reading it failed: {error.strerror}.") from None
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"The config file {path}{named} is expected to be TOML; reading it failed: {error}.") from None
    return {key: Value(value, str(path)) for key, value in _leaves(tree)}


def _leaves(tree: Mapping[str, Any], above: Key = ()) -> Iterator[tuple[Key, Any]]:
    for part, value in tree.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, (*above, part))
        else:
            yield (*above, part), value


def _from_environment(model: type[BaseModel], environ: Mapping[str, str]) -> Layer:
    layer: Layer = {}
    # One underscore is no mistake of an orchestrator's: for a service called reservoir-server, Kubernetes sets RESERVOIR_SERVER_PORT=tcp://….
    half_right = {f"{PREFIX}{table}_{key}".upper(): (table, key) for table, key in _keys(model)}
    for name, text in environ.items():
        if not name.startswith(PREFIX) or name == CONFIG_VARIABLE:
            continue
        key = tuple(name.removeprefix(PREFIX).lower().split("__"))
        if len(key) > 1 or (key[0] in model.model_fields and not _tables(model.model_fields[key[0]].annotation)):
            layer[key] = Value(_converted(_field(model, key), text), f"environment variable {name}")
        elif name in half_right and not text.startswith("tcp://"):
            meant = PREFIX + "__".join(half_right[name]).upper()
            raise ConfigError(f"{dotted(half_right[name])} (environment variable {name}): expected the name {meant}, found one underscore.")
    return layer


def _converted(field: FieldInfo | None, text: str) -> Any:
    """The text as the field's type, or as it is: then validation refuses it in the same words as in a file."""
    if field is not None and field.annotation is int and re.fullmatch(r"[+-]?[0-9]{1,18}", text):
        return int(text)
    if field is not None and field.annotation is bool:
        return {"true": True, "false": False}.get(text.lower(), text)
    return text


def _with_secrets(model: type[BaseModel], layers: Layer) -> Layer:
    values = dict(layers)
    for key, (path, origin) in layers.items():
        meant = (*key[:-1], key[-1].removesuffix("_file"))
        if meant == key or not _may_come_from_file(_field(model, meant)):
            continue
        if meant in values:
            raise ConfigError(f"{dotted(meant)} ({values[meant].origin}): expected the key or its _file, found {dotted(key)} ({origin}) as well.")
        del values[key]
        values[meant] = Value(_secret(dotted(key), path, origin), f"file {path}")
    return values


def _secret(key: str, path: object, origin: str) -> str:
    expected = f"{key} ({origin}): expected the path of a readable file"
    if not isinstance(path, str) or not path or "\0" in path:
        raise ConfigError(f"{expected}, found {_found(path)}.")
    try:
        with Path(path).open("rb") as file:
            content = file.read(SECRET_BYTES_MAX + 1)
        if len(content) > SECRET_BYTES_MAX:
            raise ConfigError(f"{expected} of at most {SECRET_BYTES_MAX} bytes, found more in {path}.")
        return content.decode().rstrip("\r\n")
    except OSError as error:
        raise ConfigError(f"{expected}, found {path}: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{expected}, found bytes that are not UTF-8 in {path}.") from None


def _tree(values: Layer) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for (*tables, last), (value, _) in values.items():
        table: Any = tree
        for part in tables:
            table = table.setdefault(part, {}) if isinstance(table, dict) else None
        if isinstance(table, dict):  # else a value stands where a table is expected, which validation will say
            table[last] = dict(value) if isinstance(value, dict) else value
    return tree


# ---- what the model expects at a key -----------------------------------------------------------------------------------------------------


def _tables(annotation: Any) -> dict[str, type[BaseModel]]:
    """The models that may stand at a field, by the tag that chooses among them."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return {"": annotation}
    arguments = get_args(annotation)
    tag = next((each.tag for each in arguments if isinstance(each, Tag)), "")
    return {tag or inner: model for each in arguments for inner, model in _tables(each).items()}


def _candidates(model: type[BaseModel], key: Key, tag: str = "") -> list[type[BaseModel]]:
    """The models that may stand at a key; of a tagged choice at its end, the one of the tag."""
    models = [model]
    parts = iter(key)
    for part in parts:
        field = next((each.model_fields[part] for each in models if part in each.model_fields), None)
        if field is None or (get_origin(field.annotation) is dict and next(parts, None) is None):
            return []
        tables = _tables(field.annotation)
        models = list(tables.values())
        if tag in tables:
            models = [tables[tag]]
    return models


def _field(model: type[BaseModel], key: Key, tag: str = "") -> FieldInfo | None:
    models = _candidates(model, key[:-1], tag)
    return next((each.model_fields[key[-1]] for each in models if key[-1] in each.model_fields), None)


def _may_come_from_file(field: FieldInfo | None) -> bool:
    return field is not None and any(isinstance(each, MayComeFromFile) for each in field.metadata)


def _keys(model: type[BaseModel]) -> Iterator[tuple[str, str]]:
    for table, field in model.model_fields.items():
        if get_origin(field.annotation) is not dict:
            for inner in _tables(field.annotation).values():
                yield from ((table, key) for key in inner.model_fields)


# ---- words -------------------------------------------------------------------------------------------------------------------------------

_NOTHING = object()
_KINDS = {bool: "the boolean", int: "the number", float: "the number", str: "text", dict: "a table", list: "a list"}


def _sentence(model: type[BaseModel], tree: dict[str, Any], values: Layer, kind: str, location: Key) -> str:
    """Pydantic's error as one sentence: which key, from where, what is expected there, what was found."""
    key, tag, value = _located(model, tree, location)
    where = f"{dotted(key)} ({_origin(values, key)})"
    if kind == "extra_forbidden":
        known = ", ".join(sorted({name for each in _candidates(model, key[:-1], tag) for name in each.model_fields}))
        return f"{where}: expected one of {known}{tag and f' for {tag}'}, found an unknown key."
    field = _field(model, key, tag)
    if location[-1] == "[key]":
        field, value = _field(model, key[:-1]), key[-1]
    if field is None:
        return f"{where}: expected a table, found {_found(value, hidden=True)}."
    # Text where a table is expected may be a secret in the wrong place.
    hidden = _may_come_from_file(field) or (bool(_tables(field.annotation)) and location[-1] != "[key]")
    return f"{where}: expected {field.description}, found {_found(value, hidden=hidden)}."


def _located(model: type[BaseModel], tree: dict[str, Any], location: Key) -> tuple[Key, str, Any]:
    """Where an error is, without the tag that pydantic puts into its place after a choice of tables; the tag; what stands there."""
    key: Key = ()
    tag = ""
    value: Any = tree
    parts = (part for part in location if part != "[key]")
    for part in parts:
        key = (*key, part)
        value = value.get(part, _NOTHING) if isinstance(value, dict) else _NOTHING
        if len(_candidates(model, key)) > 1:
            tag = next(parts, "")
    return key, tag, value


def _origin(values: Layer, key: Key) -> str:
    """Where a key was set; of one that was not, where its nearest neighbour was."""
    for depth in range(len(key), -1, -1):
        for other, value in values.items():
            if other[:depth] == key[:depth]:
                return value.origin
    return "the defaults"


def _found(value: Any, *, hidden: bool = False) -> str:
    if value is _NOTHING:
        return "nothing"
    if value == "":
        return "empty text"
    kind = next((name for each, name in _KINDS.items() if isinstance(value, each)), "a date or time")
    if hidden and isinstance(value, str) and (scheme := re.match(r"[a-z+]{1,20}://", value)):
        return f"text that begins with {scheme[0]}"
    if hidden or kind.startswith("a "):
        return kind.replace("the ", "a ")
    shown = json.dumps(value, ensure_ascii=False) if isinstance(value, str) else str(value).lower()
    return f"{kind} {shown if len(shown) <= 80 else shown[:80] + '…'}"


def redacted(table: BaseModel) -> dict[str, Any]:
    """A model as plain values that may be printed: ``***`` for every secret that is set."""
    return {name: _redacted(getattr(table, name)) for name in type(table).model_fields}


def _redacted(value: Any) -> Any:
    match value:
        case BaseModel():
            return redacted(value)
        case dict():
            return {name: _redacted(each) for name, each in value.items()}
        case SecretStr():
            return "***" if value.get_secret_value() else ""
        case Path():
            return str(value)
        case str():
            return without_password(value)
        case _:
            return value


def without_password(url: str) -> str:
    """A URL as it may be printed: ``***`` for users and passwords, and for what its query says of them; any other text as it is."""
    scheme, separator, rest = url.partition("://")
    if not separator:
        return url
    # To the last @: a password that should have been percent-encoded may hold one, and a slash.
    rest = re.sub(r"^.*@", "***@", rest)
    return f"{scheme}://" + re.sub(r"(?i)([?&][^=&]*(?:pass|user|secret|token)[^=&]*)=[^&]*", r"\1=***", rest)
