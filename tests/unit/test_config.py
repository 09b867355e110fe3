"""The config: where each value comes from, what is refused and in which words, and that no secret is ever shown."""

import os
import re
import runpy
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel, SecretStr
from pydantic_core import PydanticUndefined

from reservoir.config import (
    Config,
    ConfigError,
    HubspotConfig,
    OrgConfig,
    SalesforceClientCredentials,
    SalesforceConfig,
    SalesforceJwt,
    SalesforcePassword,
    SalesforceSession,
    load,
)
from reservoir.config_layers import SECRET_BYTES_MAX, without_password
from tests.support.plugin import readme_example

EXAMPLE = Path(__file__).parents[2] / "config.example.toml"
PEM = "-----BEGIN PRIVATE KEY-----\nhush-pem\n-----END PRIVATE KEY-----"
SALESFORCE = "[orgs.acme.salesforce]\n"


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def loaded(toml: str = "", **environ: str) -> Config:
    path = Path("c.toml")
    path.write_text(toml, encoding="utf-8")
    return load(path, environ)


def refusal(toml: str = "", **environ: str) -> str:
    """The sentence of the refusal, which is one line, ends in a full stop and holds no secret."""
    with pytest.raises(ConfigError) as refused:
        loaded(toml, **environ)
    said = str(refused.value)
    assert "\n" not in said
    assert said.endswith(".")
    assert "hush" not in said
    # The error behind it holds what was found, secrets too, and a traceback would show it.
    assert refused.value.__suppress_context__ or refused.value.__context__ is None
    return said


# ---- where values come from ----


def test_without_anything_the_defaults_hold() -> None:
    """No file and no variable: the engine is embedded, the address is loopback, there are no orgs."""
    config = load(None, {})
    assert config == Config()
    assert config.model_dump() == {
        "data_dir": Path(".reservoir"),
        "server": {"host": "127.0.0.1", "port": 8080, "processes": 1},
        "redis": {"url": "embedded", "wait_replicas": 0, "wait_timeout_ms": 500, "durability_confirmed": False, "allow_unsafe": False},
        "history": {"retention_days": 30},
        "orgs": {},
    }


def test_the_file_is_the_named_one_else_the_variables_else_the_one_that_stands_there(tmp_path: Path) -> None:
    """An argument outranks RESERVOIR_CONFIG, which outranks ./reservoir.toml."""
    for name, port in (("reservoir.toml", 1), ("variable.toml", 2), ("argument.toml", 3)):
        (tmp_path / name).write_text(f"server.port = {port}")
    variable = {"RESERVOIR_CONFIG": str(tmp_path / "variable.toml")}
    assert load(None, {}).server.port == 1
    assert load(None, {"RESERVOIR_CONFIG": ""}).server.port == 1
    assert load(None, variable).server.port == 2
    assert load(tmp_path / "argument.toml", variable).server.port == 3


def test_the_environment_is_the_process_s_own_unless_given(monkeypatch: pytest.MonkeyPatch) -> None:
    """Called plainly, the config reads this process's variables."""
    for name in [name for name in os.environ if name.startswith("RESERVOIR_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("RESERVOIR_SERVER__PORT", "9000")
    assert load().server.port == 9000


def test_the_environment_outranks_the_file() -> None:
    """Each key can be set by a variable, which is read as what its key is: a number, true or false, text."""
    config = loaded(
        'data_dir = "a"\nserver.port = 1\nserver.host = "a"\n[orgs.acme]\nname = "Acme"\n[orgs.acme.hubspot]\naccess_token = "a"\n',
        RESERVOIR_DATA_DIR="/b",
        RESERVOIR_SERVER__PORT="9000",
        RESERVOIR_REDIS__ALLOW_UNSAFE="true",
        RESERVOIR_REDIS__DURABILITY_CONFIRMED="False",
        RESERVOIR_ORGS__ACME__HUBSPOT__ACCESS_TOKEN="123",
        RESERVOIR_ORGS__GLOBEX__SALESFORCE__AUTH="session",
        RESERVOIR_ORGS__GLOBEX__SALESFORCE__SESSION_ID="s",
        RESERVOIR_ORGS__GLOBEX__SALESFORCE__INSTANCE_URL="https://globex.my.salesforce.com/",
        RESERVOIR_ORGS__GLOBEX__SALESFORCE__REPORT_RUNS_PER_HOUR="5",
    )
    assert config.data_dir == Path("/b")
    assert (config.server.host, config.server.port) == ("a", 9000)
    assert (config.redis.allow_unsafe, config.redis.durability_confirmed) == (True, False)
    assert config.orgs["acme"] == OrgConfig(name="Acme", hubspot=HubspotConfig(access_token=SecretStr("123")))
    assert config.orgs["globex"].salesforce == SalesforceSession(
        auth="session", session_id=SecretStr("s"), instance_url="https://globex.my.salesforce.com", report_runs_per_hour=5
    )


def test_names_that_are_not_the_configs_are_left_alone() -> None:
    """The service's other variables, other programs', and those that Kubernetes sets for a service called reservoir are no keys."""
    config = loaded(
        RESERVOIR_CONFIG="nowhere.toml",
        RESERVOIR_VALKEY_BIN="/bin/valkey-server",
        RESERVOIR_PORT="tcp://10.0.0.1:80",
        RESERVOIR_SERVICE_HOST="10.0.0.1",
        RESERVOIR_SERVER_PORT="tcp://10.0.0.1:80",
        RESERVOIR_SERVER="x",
        RESERVOIRS__PORT="1",
        PATH="/bin",
    )
    assert config == Config()


def test_a_byte_order_mark_does_no_harm() -> None:
    """A file that an editor began with a byte order mark loads."""
    Path("c.toml").write_bytes(b"\xef\xbb\xbfserver.port = 1\n")
    assert load(Path("c.toml"), {}).server.port == 1


def test_an_org_is_called_by_its_id_unless_it_has_a_name() -> None:
    """An org without a name has one all the same, also if its table is empty."""
    config = loaded('[orgs.acme]\n[orgs.globex]\nname = "Globex Inc."\n')
    assert {org_id: org.name for org_id, org in config.orgs.items()} == {"acme": "acme", "globex": "Globex Inc."}


@pytest.mark.parametrize(
    ("toml", "expected"),
    [
        (
            'consumer_key = "k"\nconsumer_secret = "s"\ndomain = "acme.my"',
            SalesforceClientCredentials(consumer_key=SecretStr("k"), consumer_secret=SecretStr("s"), domain="acme.my"),
        ),
        (
            'auth = "jwt"\nconsumer_key = "k"\nusername = "u"\nprivate_key = """' + PEM + '"""',
            SalesforceJwt(auth="jwt", consumer_key=SecretStr("k"), username="u", private_key=SecretStr(PEM), domain="login"),
        ),
        (
            'auth = "password"\nusername = "u"\npassword = "p"\nsecurity_token = "t"\ndomain = "test"',
            SalesforcePassword(auth="password", username="u", password=SecretStr("p"), security_token=SecretStr("t"), domain="test"),
        ),
        (
            'auth = "session"\nsession_id = "s"\ninstance_url = "https://acme.my.salesforce.com"',
            SalesforceSession(auth="session", session_id=SecretStr("s"), instance_url="https://acme.my.salesforce.com"),
        ),
        (
            'consumer_key = "k"\nconsumer_secret = "s"\nendpoint = "http://127.0.0.1:9001/"',
            SalesforceClientCredentials(consumer_key=SecretStr("k"), consumer_secret=SecretStr("s"), endpoint="http://127.0.0.1:9001"),
        ),
        (
            'auth = "session"\nsession_id = "s"\nendpoint = "http://127.0.0.1:9001"',
            SalesforceSession(auth="session", session_id=SecretStr("s"), endpoint="http://127.0.0.1:9001"),
        ),
    ],
)
def test_salesforce_can_be_logged_in_to_in_four_ways(toml: str, expected: SalesforceConfig) -> None:
    """``auth`` chooses the keys; client credentials are the default; an endpoint makes up for a domain or an instance."""
    assert loaded(SALESFORCE + toml).orgs["acme"].salesforce == expected


@pytest.mark.parametrize(
    "url",
    [
        "embedded",
        "redis://:hush@127.0.0.1:6379/0",
        "rediss://store.example:6380",
        "unix:///run/redis.sock",
        "redis+sentinel://a:26379,b:26379/main",
        "redis+cluster://a:6379,b:6379",
    ],
)
def test_every_kind_of_store_has_its_url(url: str) -> None:
    """A store's URL is kept as it is."""
    assert loaded(f'redis.url = "{url}"').redis.url == url


# ---- secrets in files ----


@pytest.mark.parametrize("ending", ["", "\n", "\r\n"])
def test_a_secret_may_come_from_a_file(ending: str) -> None:
    """KEY_file names a file, in the config file and in the environment; the newline at its end is not part of the secret, others are."""
    Path("pem").write_text(PEM + ending, newline="")
    Path("token").write_text("t" + ending, newline="")
    Path("url").write_text("redis://store.example" + ending, newline="")
    config = loaded(
        SALESFORCE + 'auth = "jwt"\nconsumer_key = "k"\nusername = "u"\nprivate_key_file = "pem"\n[redis]\nurl_file = "url"\n',
        RESERVOIR_ORGS__ACME__HUBSPOT__ACCESS_TOKEN_FILE="token",
    )
    acme = config.orgs["acme"]
    assert isinstance(acme.salesforce, SalesforceJwt)
    assert acme.salesforce.private_key.get_secret_value() == PEM
    assert acme.hubspot is not None
    assert acme.hubspot.access_token.get_secret_value() == "t"
    assert config.redis.url == "redis://store.example"


def models() -> Iterator[tuple[str, type[BaseModel]]]:
    """Each model of the config, by its place, an org written as ``*``; the ways to log in to Salesforce beside each other."""
    yield "", Config
    for table in ("server", "redis", "history"):
        model = Config.model_fields[table].annotation
        assert isinstance(model, type)
        yield table, model
    yield "orgs.*", OrgConfig
    yield "orgs.*.hubspot", HubspotConfig
    for way in get_args(get_args(SalesforceConfig)[0]):
        yield "orgs.*.salesforce", get_args(way)[0]


@pytest.mark.parametrize(
    ("table", "model", "key"),
    [(table, model, key) for table, model in models() for key, field in model.model_fields.items() if field.annotation is SecretStr],
)
def test_every_secret_can_come_from_a_file(table: str, model: type[BaseModel], key: str) -> None:
    """There is no secret whose ``_file`` is an unknown key: a file that is not there is what is wrong with it."""
    ways = get_args(model.model_fields["auth"].annotation) if "auth" in model.model_fields else ()
    way = "".join(f'auth = "{each}"\n' for each in ways)
    said = refusal(f'[{table.replace("*", "acme")}]\n{way}{key}_file = "nowhere"\n')
    assert said == (f"{table.replace('*', 'acme')}.{key}_file (c.toml): expected the path of a readable file, found nowhere: No such file or directory.")


def test_a_key_and_its_file_are_one_too_many() -> None:
    """A secret that is given twice is refused, wherever the two come from, naming both."""
    Path("token").write_text("hush")
    both = refusal('[orgs.acme.hubspot]\naccess_token = "hush"\naccess_token_file = "token"')
    assert both == ("orgs.acme.hubspot.access_token (c.toml): expected the key or its _file, found orgs.acme.hubspot.access_token_file (c.toml) as well.")
    mixed = refusal('[orgs.acme.hubspot]\naccess_token = "hush"', RESERVOIR_ORGS__ACME__HUBSPOT__ACCESS_TOKEN_FILE="token")
    assert "environment variable RESERVOIR_ORGS__ACME__HUBSPOT__ACCESS_TOKEN_FILE" in mixed


@pytest.mark.parametrize(
    ("content", "found"),
    [(b"hush\xff", "bytes that are not UTF-8 in secret"), (b"hush" * SECRET_BYTES_MAX, "more in secret"), (None, "secret: Is a directory")],
)
def test_a_file_that_holds_no_secret_is_refused(content: bytes | None, found: str) -> None:
    """Of a secret's file that is no text, far too long or a directory, the key and the path are told, and nothing that is in it."""
    if content is None:
        Path("secret").mkdir()
    else:
        Path("secret").write_bytes(content)
    said = refusal('[orgs.acme.hubspot]\naccess_token_file = "secret"')
    assert said.startswith("orgs.acme.hubspot.access_token_file (c.toml): expected the path of a readable file")
    assert found in said


def test_an_empty_secret_file_is_named() -> None:
    """A secret's file with nothing in it is refused as what it is, by its name."""
    Path("secret").write_text("\n")
    assert refusal('[orgs.acme.hubspot]\naccess_token_file = "secret"') == (
        "orgs.acme.hubspot.access_token (file secret): expected the access token of a private app, found empty text."
    )


# ---- what is refused, and in which words ----

PORT = "a whole number from 0 (any free port) to 65535"
ROOTS = "data_dir, history, orgs, redis, server"
STORES = '"embedded", redis://HOST, rediss://HOST, unix:///PATH, redis+sentinel://HOST:PORT,…/SERVICE or redis+cluster://HOST:PORT,…'
MY_DOMAIN = 'a My Domain without .salesforce.com, as "acme.my"'


@pytest.mark.parametrize(
    ("toml", "said"),
    [
        ('server.port = "8080"', f'server.port (c.toml): expected {PORT}, found text "8080".'),
        ("server.port = 65536", f"server.port (c.toml): expected {PORT}, found the number 65536."),
        ("server.port = -1", f"server.port (c.toml): expected {PORT}, found the number -1."),
        ("server.port = 80.0", f"server.port (c.toml): expected {PORT}, found the number 80.0."),
        ("server.port = true", f"server.port (c.toml): expected {PORT}, found the boolean true."),
        ("server.port = 2026-01-01", f"server.port (c.toml): expected {PORT}, found a date or time."),
        ("server.port = [80]", f"server.port (c.toml): expected {PORT}, found a list."),
        ("server.port.x = 1", f"server.port (c.toml): expected {PORT}, found a table."),
        ("server.processes = 0", "server.processes (c.toml): expected a whole number of 1 or more, found the number 0."),
        ('server.host = ""', "server.host (c.toml): expected a host name or an IP address, found empty text."),
        ("server.prot = 1", "server.prot (c.toml): expected one of host, port, processes, found an unknown key."),
        ("server = 5", "server (c.toml): expected a table, found a number."),
        ("sever.port = 1", f"sever (c.toml): expected one of {ROOTS}, found an unknown key."),
        ('"a\\nb" = 1', f'"a\\nb" (c.toml): expected one of {ROOTS}, found an unknown key.'),
        ('data_dir = ""', "data_dir (c.toml): expected the path of a directory, found empty text."),
        ('data_dir = "a\\u0000"', 'data_dir (c.toml): expected the path of a directory, found text "a\\u0000".'),
        ("data_dir = 5", "data_dir (c.toml): expected the path of a directory, found the number 5."),
        ("redis.wait_replicas = -1", "redis.wait_replicas (c.toml): expected a whole number of 0 or more, found the number -1."),
        (
            "redis.wait_timeout_ms = 0",
            "redis.wait_timeout_ms (c.toml): expected a whole number of milliseconds from 1 to 60000, found the number 0.",
        ),
        ('redis.allow_unsafe = "true"', 'redis.allow_unsafe (c.toml): expected true or false, found text "true".'),
        ("redis.allow_unsafe = 1", "redis.allow_unsafe (c.toml): expected true or false, found the number 1."),
        ('redis.url = "http://a:hush@b"', f"redis.url (c.toml): expected {STORES}, found text that begins with http://."),
        ('redis.url = "hush:6379"', f"redis.url (c.toml): expected {STORES}, found text."),
        ('redis.url = "redis://"', f"redis.url (c.toml): expected {STORES}, found text that begins with redis://."),
        ('redis.url = "redis+sentinel://a:26379"', f"redis.url (c.toml): expected {STORES}, found text that begins with redis+sentinel://."),
        ('redis.url = "redis+sentinel:///main"', f"redis.url (c.toml): expected {STORES}, found text that begins with redis+sentinel://."),
        ('redis.url = "unix://"', f"redis.url (c.toml): expected {STORES}, found text that begins with unix://."),
        ('redis.url = "redis://a b"', f"redis.url (c.toml): expected {STORES}, found text that begins with redis://."),
        ('redis.url = "redis://[hush"', f"redis.url (c.toml): expected {STORES}, found text that begins with redis://."),
        ("history.retention_days = 6", "history.retention_days (c.toml): expected a whole number of days from 7 to 36500, found the number 6."),
        ("orgs = []", "orgs (c.toml): expected tables named by org ids: a lower-case letter, then up to 31 lower-case letters and digits, found a list."),
        (
            "orgs.Acme = {}",
            'orgs.Acme (c.toml): expected tables named by org ids: a lower-case letter, then up to 31 lower-case letters and digits, found text "Acme".',
        ),
        ('orgs.acme = "hush"', "orgs.acme (c.toml): expected a table, found text."),
        (
            'orgs.acme.time_zone = "Mars/Olympus"',
            'orgs.acme.time_zone (c.toml): expected a time zone of the IANA database, as "America/New_York", found text "Mars/Olympus".',
        ),
        (
            'orgs.acme.time_zone = "../UTC"',
            'orgs.acme.time_zone (c.toml): expected a time zone of the IANA database, as "America/New_York", found text "../UTC".',
        ),
        ('orgs.acme.phone_region = "us"', 'orgs.acme.phone_region (c.toml): expected a region of two capital letters, as "US", found text "us".'),
        ('orgs.acme.hubspot = "hush"', "orgs.acme.hubspot (c.toml): expected a table, found text."),
        ("orgs.acme.hubspot = {}", "orgs.acme.hubspot.access_token (c.toml): expected the access token of a private app, found nothing."),
        (
            'orgs.acme.hubspot.acess_token = "hush"',
            "orgs.acme.hubspot.acess_token (c.toml): expected one of access_token, call_id_property, endpoint, found an unknown key.",
        ),
        (
            'orgs.acme.hubspot.access_token = ["hush"]',
            "orgs.acme.hubspot.access_token (c.toml): expected the access token of a private app, found a list.",
        ),
        ("orgs.acme.salesforce = 5", "orgs.acme.salesforce (c.toml): expected a table, found a number."),
        (
            'orgs.acme.salesforce.auth = "oauth"',
            'orgs.acme.salesforce.auth (c.toml): expected one of "client_credentials", "jwt", "password", "session", found text "oauth".',
        ),
        (
            SALESFORCE + 'consumer_key = "hush"\nconsumer_secret = "hush"',
            f"orgs.acme.salesforce.domain (c.toml): expected {MY_DOMAIN}, found nothing.",
        ),
        (
            SALESFORCE + 'consumer_key = "hush"\nconsumer_secret = "hush"\ndomain = "acme.my.salesforce.com"',
            f'orgs.acme.salesforce.domain (c.toml): expected {MY_DOMAIN}, found text "acme.my.salesforce.com".',
        ),
        (
            SALESFORCE + 'username = "u"',
            (
                "orgs.acme.salesforce.username (c.toml): expected one of auth, call_id_field, consumer_key, consumer_secret, domain, endpoint, "
                "report_runs_per_hour for client_credentials, found an unknown key."
            ),
        ),
        (
            SALESFORCE + 'auth = "password"\nusername = 5\npassword = "hush"',
            "orgs.acme.salesforce.username (c.toml): expected the name of the user to log in as, found the number 5.",
        ),
        (
            SALESFORCE + 'auth = "password"\nusername = "u"\ndomain = ""\npassword = "hush"',
            'orgs.acme.salesforce.domain (c.toml): expected "login", "test" or a My Domain without .salesforce.com, as "acme.my", found empty text.',
        ),
        (
            SALESFORCE + 'auth = "jwt"\nusername = "u"\nconsumer_key = "hush"\nprivate_key = "/run/hush.pem"',
            "orgs.acme.salesforce.private_key (c.toml): expected the text of a private key in PEM (the path of one goes to private_key_file), found text.",
        ),
        (
            SALESFORCE + 'auth = "session"\nsession_id = "hush"',
            'orgs.acme.salesforce.instance_url (c.toml): expected the root of the instance, as "https://acme.my.salesforce.com", found nothing.',
        ),
        (
            'orgs.acme.hubspot = {access_token = "hush", endpoint = "ftp://b"}',
            'orgs.acme.hubspot.endpoint (c.toml): expected the root of an http:// or https:// address, or nothing, found text "ftp://b".',
        ),
        (
            'orgs.acme.hubspot.access_token_file = ""',
            "orgs.acme.hubspot.access_token_file (c.toml): expected the path of a readable file, found empty text.",
        ),
        (
            "orgs.acme.hubspot.access_token_file = 5",
            "orgs.acme.hubspot.access_token_file (c.toml): expected the path of a readable file, found the number 5.",
        ),
    ],
)
def test_what_is_wrong_in_the_file_is_said(toml: str, said: str) -> None:
    """A key that is unknown, missing or wrong is named, with where it stands, what was expected and what was found."""
    assert refusal(toml) == said


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"RESERVOIR_SERVER__PORT": "80a"}, f'server.port (environment variable RESERVOIR_SERVER__PORT): expected {PORT}, found text "80a".'),
        ({"RESERVOIR_SERVER__PORT": ""}, f"server.port (environment variable RESERVOIR_SERVER__PORT): expected {PORT}, found empty text."),
        ({"RESERVOIR_SERVER__PORT": "70000"}, f"server.port (environment variable RESERVOIR_SERVER__PORT): expected {PORT}, found the number 70000."),
        (
            {"RESERVOIR_REDIS__ALLOW_UNSAFE": "yes"},
            'redis.allow_unsafe (environment variable RESERVOIR_REDIS__ALLOW_UNSAFE): expected true or false, found text "yes".',
        ),
        (
            {"RESERVOIR_SERVER__PROT": "1"},
            "server.prot (environment variable RESERVOIR_SERVER__PROT): expected one of host, port, processes, found an unknown key.",
        ),
        ({"RESERVOIR_FOO__BAR": "hush"}, f"foo (environment variable RESERVOIR_FOO__BAR): expected one of {ROOTS}, found an unknown key."),
        ({"RESERVOIR_ORGS__ACME": "hush"}, "orgs.acme (environment variable RESERVOIR_ORGS__ACME): expected a table, found text."),
        (
            {"RESERVOIR_SERVER_PORT": "9000"},
            "server.port (environment variable RESERVOIR_SERVER_PORT): expected the name RESERVOIR_SERVER__PORT, found one underscore.",
        ),
        (
            {"RESERVOIR_REDIS_URL": "redis://:hush@store"},
            "redis.url (environment variable RESERVOIR_REDIS_URL): expected the name RESERVOIR_REDIS__URL, found one underscore.",
        ),
        (
            {"RESERVOIR_ORGS__ACME__HUBSPOT__ACCESS_TOKEN_FILE": "nowhere"},
            (
                "orgs.acme.hubspot.access_token_file (environment variable RESERVOIR_ORGS__ACME__HUBSPOT__ACCESS_TOKEN_FILE): "
                "expected the path of a readable file, found nowhere: No such file or directory."
            ),
        ),
        (
            {"RESERVOIR_ORGS__ACME__HUBSPOT__ENDPOINT": ""},
            (
                "orgs.acme.hubspot.access_token (environment variable RESERVOIR_ORGS__ACME__HUBSPOT__ENDPOINT): "
                "expected the access token of a private app, found nothing."
            ),
        ),
    ],
)
def test_what_is_wrong_in_the_environment_is_said(environ: dict[str, str], said: str) -> None:
    """A variable that is no key, or holds what its key cannot be, is named."""
    assert refusal(**environ) == said


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "is expected to be readable; reading it failed: No such file or directory."),
        (b"server.port = \n", "is expected to be TOML; reading it failed: Invalid value (at line 1, column 15)."),
        (b"a = 1\na = 2\n", "is expected to be TOML; reading it failed: Cannot overwrite a value (at line 2, column 6)."),
        (b"# \xff\n", "is expected to be UTF-8; its byte 3 is not."),
        (b"a = " + b"[" * 5_000, "is expected to be TOML; reading it failed: "),
        (b"a = " + b"9" * 5_000, "is expected to be TOML; reading it failed: "),
    ],
)
def test_a_file_that_is_no_config_is_said(content: bytes | None, said: str) -> None:
    """A file that is not there, not UTF-8 or not TOML is named, with the place."""
    if content is not None:
        Path("bad.toml").write_bytes(content)
    for path, environ, named in (
        (Path("bad.toml"), {}, ""),
        (None, {"RESERVOIR_CONFIG": "bad.toml"}, ", which RESERVOIR_CONFIG names,"),
    ):
        with pytest.raises(ConfigError) as refused:
            load(path, environ)
        assert str(refused.value).startswith(f"The config file bad.toml{named} {said}")
        assert "\n" not in str(refused.value)


def test_a_config_does_not_change() -> None:
    """What a process has read stays as it is."""
    with pytest.raises(ValueError, match="frozen"):
        load(None, {}).server.port = 1


# ---- secrets are not shown ----


def test_no_secret_is_shown() -> None:
    """Neither the config's text nor what is printed of it holds a secret or a URL's password."""
    config = loaded(
        f'redis.url = "redis://me:hush@store.example:6379/0"\norgs.a.hubspot.access_token = "hush"\norgs.a.salesforce = {{consumer_key = "hush", '
        f'consumer_secret = "hush", domain = "a.my"}}\n[orgs.b.salesforce]\nauth = "jwt"\nusername = "u"\nconsumer_key = "hush"\nprivate_key = """{PEM}"""\n'
        '[orgs.c.salesforce]\nauth = "password"\nusername = "u"\npassword = "hush"\nsecurity_token = "hush"\n'
        '[orgs.d.salesforce]\nauth = "session"\nsession_id = "hush"\nendpoint = "http://127.0.0.1:9001"\n[orgs.e.salesforce]\nauth = "password"\n'
        'username = "u"\npassword = "hush"\n'
    )
    redacted = config.redacted()
    assert "hush" not in f"{config!r} {config!s} {redacted!r}"
    assert redacted["data_dir"] == ".reservoir"
    assert redacted["redis"]["url"] == "redis://***@store.example:6379/0"
    assert redacted["orgs"]["a"]["hubspot"] == {"access_token": "***", "call_id_property": "reservoir_call_id", "endpoint": ""}
    assert redacted["orgs"]["c"]["salesforce"]["security_token"] == "***"
    assert redacted["orgs"]["e"]["salesforce"]["security_token"] == ""


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("embedded", "embedded"),
        ("redis://store:6379/0", "redis://store:6379/0"),
        ("redis://:hush@store", "redis://***@store"),
        ("redis://:hu@sh/hush@store/0", "redis://***@store/0"),
        ("redis+sentinel://me:hush@a:1,b:2/main?sentinel_password=hush&db=1", "redis+sentinel://***@a:1,b:2/main?sentinel_password=***&db=1"),
        ("unix://me:hush@/run/x.sock?password=hush", "unix://***@/run/x.sock?password=***"),
    ],
)
def test_a_url_is_shown_without_its_password(url: str, shown: str) -> None:
    """A password is cut out of a URL, in whichever place it stands and whatever characters it has."""
    assert without_password(url) == shown


# ---- the example file ----

UNCOMMENTED = re.sub(r"(?m)^#(?=\[|[a-z_]+ = )", "", EXAMPLE.read_text(encoding="utf-8"))
NO_HARMLESS_DEFAULT = {("SalesforceClientCredentials", "domain"), ("SalesforceSession", "instance_url")}
"""Keys that may be left out only where there is an endpoint: the example shows what they look like."""


def test_the_example_is_the_default() -> None:
    """config.example.toml loads as it is, and changes nothing."""
    assert load(EXAMPLE, {}) == Config()


def test_the_example_without_its_comment_marks_loads_too() -> None:
    """What the example file shows in comments is config that loads, with every way to log in, where the package is installed that the README shows."""
    assert "orgs.acme.phonebook" in refusal(UNCOMMENTED)
    Path("phonebook.py").write_text(readme_example(), encoding="utf-8")
    settings = runpy.run_path("phonebook.py")["Settings"]
    config = load(Path("c.toml"), {}, {"phonebook": settings})
    assert isinstance(config.table_of("acme", "phonebook"), settings)
    orgs = config.orgs
    assert {type(org.salesforce) for org in orgs.values()} == {model for table, model in models() if table.endswith("salesforce")}


@pytest.mark.parametrize(
    ("table", "model", "key"),
    [(table, model, key) for table, model in models() for key, field in model.model_fields.items() if not (table == "" or key in {"salesforce", "hubspot"})],
)
def test_every_key_is_in_the_example(table: str, model: type[BaseModel], key: str) -> None:
    """The example file has every key, in a table where it means something, with its default if it has one."""
    field = model.model_fields[key]
    shown = [value for found, each, value in settings(tomllib.loads(UNCOMMENTED)) if found == table and each == key]
    assert shown
    if field.default is not PydanticUndefined and key != "auth" and (model.__name__, key) not in NO_HARMLESS_DEFAULT:
        default = field.default.get_secret_value() if isinstance(field.default, SecretStr) else field.default
        assert default in shown


@pytest.mark.parametrize("model", [model for _, model in models()])
def test_every_key_says_what_is_expected_of_it(model: type[BaseModel]) -> None:
    """An error about any key has words for what was expected."""
    assert all(field.description for field in model.model_fields.values())


def settings(tree: dict[str, Any]) -> Iterator[tuple[str, str, object]]:
    """Each table, key and value of a config, an org written as ``*``."""
    tables = {table: value for table, value in tree.items() if isinstance(value, dict) and table != "orgs"}
    for org in tree["orgs"].values():
        yield from (("orgs.*", key, value) for key, value in org.items())
        yield from ((f"orgs.*.{crm}", key, value) for crm in ("salesforce", "hubspot") for key, value in org.get(crm, {}).items())
    yield from ((table, key, value) for table, values in tables.items() for key, value in values.items())
