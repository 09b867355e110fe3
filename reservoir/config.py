"""The process's config: every key, its default and what is expected of it.

Read once: defaults, then a TOML file, then the environment. Whatever is wrong with it stops the start in one plain sentence.
"""

import os
import re
from collections.abc import Mapping
from functools import cache
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    SecretStr,
    StringConstraints,
    Tag,
    ValidationInfo,
    create_model,
    field_validator,
)

from reservoir import config_layers
from reservoir.config_layers import ConfigError, MayComeFromFile
from reservoir.domain.ids import ORG_ID

__all__ = [
    "Config", "ConfigError", "History", "HubspotConfig", "OrgConfig", "OrgId", "Redis", "SalesforceClientCredentials", "SalesforceConfig",
    "SalesforceJwt", "SalesforcePassword", "SalesforceSession", "Server", "load",
]  # fmt: skip


@cache
def _zones() -> frozenset[str]:
    # Not what ZoneInfo would open: on some machines "localtime" is a zone to it, and "right/UTC", which counts leap seconds.
    return frozenset(resources.files("tzdata").joinpath("zones").read_text(encoding="utf-8").split())


def _zone(name: str) -> str:
    if name not in _zones():
        raise ValueError
    return name


def _region(code: str) -> str:
    from phonenumbers import SUPPORTED_REGIONS  # 50 ms, which a process whose config has no orgs need not wait for

    if code not in SUPPORTED_REGIONS:
        raise ValueError
    return code


def _store_url(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme == "unix":
        complete = bool(parts.path.strip("/"))
    elif parts.scheme == "redis+sentinel":
        complete = bool(parts.netloc and parts.path.strip("/"))
    else:
        complete = parts.scheme in {"redis", "rediss", "redis+cluster"} and bool(parts.netloc)
    if url != "embedded" and (not complete or re.search(r"\s", url)):
        raise ValueError
    return url


def _root_url(url: str) -> str:
    parts = urlsplit(url)
    if url and (parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment or "@" in parts.netloc):
        raise ValueError
    return url.rstrip("/")


def _login_domain(domain: str) -> str:
    if not re.fullmatch(r"([A-Za-z0-9][A-Za-z0-9.-]*)?", domain) or domain.lower().endswith(".salesforce.com"):
        raise ValueError
    return domain


def _pem(key: SecretStr) -> SecretStr:
    if "PRIVATE KEY-----" not in key.get_secret_value():
        raise ValueError
    return key


def _directory(value: object) -> object:
    if isinstance(value, str) and (not value or "\0" in value):
        raise ValueError
    return value


def _required_without_endpoint(value: str, rest: ValidationInfo) -> str:
    if not value and not rest.data.get("endpoint"):
        raise ValueError
    return value


def _required_with_key(value: SecretStr, rest: ValidationInfo) -> SecretStr:
    if bool(value.get_secret_value()) != bool(rest.data.get("consumer_key", value).get_secret_value()):
        raise ValueError
    return value


OrgId = Annotated[str, StringConstraints(pattern=f"^{ORG_ID.pattern}$")]
Secret = Annotated[SecretStr, Field(min_length=1), MayComeFromFile()]
MaybeSecret = Annotated[SecretStr, MayComeFromFile()]
Root = Annotated[str, AfterValidator(_root_url)]
LoginDomain = Annotated[str, AfterValidator(_login_domain)]
FieldName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,79}$")]


class Table(BaseModel):
    """One table of the config: nothing in it is unknown, converted or changed. A key's description says what is expected of it."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Server(Table):
    """Where the API and the console answer, and from how many processes."""

    host: str = Field(default="127.0.0.1", pattern=r"^[^\s/]+$", description="a host name or an IP address")
    port: int = Field(default=8080, ge=0, le=65_535, description="a whole number from 0 (any free port) to 65535")
    processes: int = Field(default=1, ge=1, description="a whole number of 1 or more")


class Redis(Table):
    """The store, and what must be true of it before a claim is acknowledged."""

    url: Annotated[str, AfterValidator(_store_url), MayComeFromFile()] = Field(
        default="embedded",
        repr=False,  # it may hold a password
        description='"embedded", redis://HOST, rediss://HOST, unix:///PATH, redis+sentinel://HOST:PORT,…/SERVICE or redis+cluster://HOST:PORT,…',
    )
    wait_replicas: int = Field(default=0, ge=0, description="a whole number of 0 or more")
    # To WAIT, 0 ms means for ever.
    wait_timeout_ms: int = Field(default=500, ge=1, le=60_000, description="a whole number of milliseconds from 1 to 60000")
    durability_confirmed: bool = Field(default=False, description="true or false")
    allow_unsafe: bool = Field(default=False, description="true or false")


class History(Table):
    """How long what happened is kept."""

    retention_days: int = Field(default=30, ge=7, le=36_500, description="a whole number of days from 7 to 36500")


class Salesforce(Table):
    """What every way to log in to Salesforce shares. ``endpoint`` comes first: where it is set, a domain or an instance need not be."""

    endpoint: Root = Field(default="", description="the root of an http:// or https:// address, or nothing")
    report_runs_per_hour: int = Field(default=400, ge=1, description="a whole number of 1 or more")
    call_id_field: FieldName = Field(default="Reservoir_Call_Id__c", description="the API name of a Salesforce field")


_AUTH = 'one of "client_credentials", "jwt", "password", "session"'
_LOGIN_DOMAIN = '"login", "test" or a My Domain without .salesforce.com, as "acme.my"'
_CONSUMER_KEY = "the consumer key of a connected app"
_USERNAME = "the name of the user to log in as"


class SalesforceClientCredentials(Salesforce):
    """A connected app that logs in with its own key and secret, at the org's own domain."""

    auth: Literal["client_credentials"] = Field(default="client_credentials", description=_AUTH)
    domain: Annotated[LoginDomain, AfterValidator(_required_without_endpoint)] = Field(
        default="", validate_default=True, description='a My Domain without .salesforce.com, as "acme.my"'
    )
    consumer_key: Secret = Field(description=_CONSUMER_KEY)
    consumer_secret: Secret = Field(description="the consumer secret of a connected app")


class SalesforceJwt(Salesforce):
    """A connected app that logs in as a user, by a token signed with its private key."""

    auth: Literal["jwt"] = Field(description=_AUTH)
    domain: LoginDomain = Field(default="login", min_length=1, description=_LOGIN_DOMAIN)
    username: str = Field(min_length=1, description=_USERNAME)
    consumer_key: Secret = Field(description=_CONSUMER_KEY)
    private_key: Annotated[Secret, AfterValidator(_pem)] = Field(description="the text of a private key in PEM (the path of one goes to private_key_file)")


class SalesforcePassword(Salesforce):
    """A user who logs in by name, password and, unless the network is trusted, security token: through a connected app if one is named, else by SOAP."""

    auth: Literal["password"] = Field(description=_AUTH)
    domain: LoginDomain = Field(default="login", min_length=1, description=_LOGIN_DOMAIN)
    username: str = Field(min_length=1, description=_USERNAME)
    password: Secret = Field(description="a password")
    security_token: MaybeSecret = Field(default=SecretStr(""), description="a security token, or nothing")
    consumer_key: MaybeSecret = Field(default=SecretStr(""), description=_CONSUMER_KEY + ", or nothing")
    consumer_secret: Annotated[MaybeSecret, AfterValidator(_required_with_key)] = Field(
        default=SecretStr(""), validate_default=True, description="the consumer secret of the connected app whose consumer key is set, and only with it"
    )


class SalesforceSession(Salesforce):
    """A session that somebody else opened."""

    auth: Literal["session"] = Field(description=_AUTH)
    session_id: Secret = Field(description="the id of an open session")
    instance_url: Annotated[Root, AfterValidator(_required_without_endpoint)] = Field(
        default="", validate_default=True, description='the root of the instance, as "https://acme.my.salesforce.com"'
    )


def _auth(value: Any) -> str:
    auth = value.get("auth") if isinstance(value, dict) else getattr(value, "auth", None)
    return auth if auth in ("jwt", "password", "session") else "client_credentials"


SalesforceConfig = Annotated[
    Annotated[SalesforceClientCredentials, Tag("client_credentials")]
    | Annotated[SalesforceJwt, Tag("jwt")]
    | Annotated[SalesforcePassword, Tag("password")]
    | Annotated[SalesforceSession, Tag("session")],
    Discriminator(_auth),
]


class HubspotConfig(Table):
    """A private app of HubSpot's."""

    access_token: Secret = Field(description="the access token of a private app")
    call_id_property: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,99}$")] = Field(
        default="reservoir_call_id", description="the internal name of a HubSpot property"
    )
    endpoint: Root = Field(default="", description="the root of an http:// or https:// address, or nothing")


class OrgConfig(Table):
    """An org to create at the start if there is none of this id. ``name`` is the id unless it is set."""

    name: str = Field(default="", max_length=255, pattern=r"^[^\x00-\x1f\x7f]*$", description="a name of at most 255 characters")
    time_zone: Annotated[str, AfterValidator(_zone)] = Field(default="UTC", description='a time zone of the IANA database, as "America/New_York"')
    phone_region: Annotated[str, AfterValidator(_region)] = Field(default="US", description='a region of two capital letters, as "US"')
    sandbox: bool = Field(default=False, description="true or false")
    salesforce: SalesforceConfig | None = Field(default=None, description="a table")
    hubspot: HubspotConfig | None = Field(default=None, description="a table")


class Config(Table):
    """All that a process is told from outside. It never changes while the process lives."""

    data_dir: Annotated[Path, Field(strict=False), BeforeValidator(_directory)] = Field(default=Path(".reservoir"), description="the path of a directory")
    server: Server = Field(default=Server(), description="a table")
    redis: Redis = Field(default=Redis(), description="a table")
    history: History = Field(default=History(), description="a table")
    orgs: dict[OrgId, OrgConfig] = Field(default={}, description="tables named by org ids: a lower-case letter, then up to 31 lower-case letters and digits")

    @field_validator("orgs")
    @classmethod
    def _named(cls, orgs: dict[str, OrgConfig]) -> dict[str, OrgConfig]:
        return {org_id: org if org.name else org.model_copy(update={"name": org_id}) for org_id, org in orgs.items()}

    def table_of(self, org_id: str, integration: str) -> object | None:
        """What connects an org to a CRM, or None where nothing does."""
        return getattr(self.orgs.get(org_id), integration, None)

    def redacted(self) -> dict[str, Any]:
        """The config as plain values, to print: ``***`` for every secret that is set, and for what a URL says of users and passwords."""
        return config_layers.redacted(self)


def load(path: Path | None = None, environ: Mapping[str, str] = os.environ, tables: Mapping[str, type[BaseModel]] = MappingProxyType({})) -> Config:
    """The config of this process, whole and right.

    The file is ``path``, else the one that RESERVOIR_CONFIG names, else ./reservoir.toml if it stands there, else none.
    RESERVOIR_TABLE__KEY in the environment outranks the file; KEY_file, in either, names a file that holds the secret KEY.
    ``tables`` are those that an org may have besides, by name: of the integrations that other packages offer.

    **Raises**: ConfigError, one sentence: the key, what was expected, what was found and where; never a secret's value.
    """
    return config_layers.read(_with_tables(tables) if tables else Config, path, environ)


def _with_tables(tables: Mapping[str, type[BaseModel]]) -> type[Config]:
    """The config's model, whose orgs may have these tables, too."""
    fields: dict[str, Any] = {name: (table | None, Field(default=None, description="a table")) for name, table in tables.items()}
    org = create_model("OrgConfig", __base__=OrgConfig, **fields)
    orgs: Any = dict[OrgId, org]  # type: ignore[valid-type]
    return create_model("Config", __base__=Config, orgs=(orgs, Config.model_fields["orgs"]))
