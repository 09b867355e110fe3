"""One org's connection to Salesforce: how it logs in, and the one way in which everything is asked."""

import re
import time
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from xml.parsers.expat import ExpatError

import requests
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from pydantic import SecretStr
from requests.adapters import HTTPAdapter
from simple_salesforce.api import Salesforce
from simple_salesforce.exceptions import SalesforceAuthenticationFailed, SalesforceError, SalesforceExpiredSession
from simple_salesforce.login import SalesforceLogin

from reservoir.config import SalesforceClientCredentials, SalesforceConfig, SalesforceJwt, SalesforceSession
from reservoir.integrations.salesforce import answers
from reservoir.integrations.salesforce.answers import Asked, Problem, Refusal
from reservoir.integrations.source import CrmError, Pace, PassingError, WaitError

CONNECT_S = 3.05
"""A little more than a multiple of the 3 s after which TCP sends a lost packet again."""
READ_S = 30.0
REPORT_S = 150.0
"""Salesforce ends a synchronous run after 2 minutes by itself."""
LIMITS_FRESH_S = 300.0
RUNS, RUNS_WINDOW_S = "report_runs", 3_600

_BAD_ANSWERS = (ValueError, KeyError, AttributeError, TypeError, IndexError, ExpatError)
"""What simple-salesforce raises where an answer is not of its form."""
_USAGE = re.compile(r"(?<![-\w])api-usage=(\d+)/(\d+)")
_USER_ID = re.compile(r"005[A-Za-z0-9]{12}(?:[A-Za-z0-9]{3})?")


@dataclass(frozen=True, slots=True)
class _SessionEnded:
    """A 401: another login may cure it."""

    refusal: Refusal


class _KeyError(Exception):
    """The private key is none."""


class _Adapter(HTTPAdapter):
    """Gives every request a time-out, and with an endpoint sends it there, with the host that would have been asked as ``X-Original-Host``."""

    def __init__(self, endpoint: str) -> None:
        self._endpoint = urlsplit(endpoint) if endpoint else None
        super().__init__()

    def send(self, request: requests.PreparedRequest, *args: Any, timeout: Any = None, **kwargs: Any) -> requests.Response:
        if self._endpoint is not None:
            url = urlsplit(str(request.url))
            request.headers["X-Original-Host"] = url.netloc
            request.url = urlunsplit((self._endpoint.scheme, self._endpoint.netloc, self._endpoint.path + url.path, url.query, ""))
        kwargs["timeout"] = timeout or (CONNECT_S, READ_S)
        return super().send(request, *args, **kwargs)


class Connection:
    """It logs in when it is first asked for something, and once more when the session has ended.

    simple-salesforce's own logging in again is not used: its object-wise calls do so without end (its issue 804), it stumbles over a 401 that is not of
    its form, and it stays with the instance of the first login though the org may have moved.
    """

    def __init__(self, config: SalesforceConfig, pace: Pace) -> None:
        self._config = config
        self._pace = pace
        self._secrets = tuple(_secrets(config))
        self._client: Salesforce | None = None
        self.forget_limits()
        self._last: tuple[int, Mapping[str, str]] = (0, {})
        self.user_id: str | None = None
        """The user's record id, where the login told it."""
        self.api_calls_left: int | None = None
        """As the last answer that had an opinion said."""
        self._session = requests.Session()
        # A .netrc would put its own password in place of the token.
        self._session.auth = lambda request: request
        self._session.trust_env = not config.endpoint
        self._session.mount("https://", _Adapter(config.endpoint))
        self._session.mount("http://", _Adapter(config.endpoint))
        self._session.hooks["response"].append(self._heard)

    @property
    def instance(self) -> str:
        """The root under which people open records."""
        client = self._logged_in()
        return f"https://{client.sf_instance}"

    def ask(self, path: str, asked: Asked, *, read_s: float | None = None, **request: Any) -> Any:
        """The answer as JSON values, of a path below ``/services/data/vXX.X/``. ``request`` is what requests takes: method, params, json.

        **Raises**: as `Source`.
        """
        found, trouble = self._attempt(path, asked, read_s, request)
        if isinstance(trouble, _SessionEnded):
            self._client = None
            found, trouble = self._attempt(path, asked, read_s, request)
        if isinstance(trouble, _SessionEnded):
            trouble = answers.problem(trouble.refusal, asked)
        if trouble is not None:  # outside of any except: what is chained to an exception would tell more than it says
            raise trouble
        return found

    def run(self, report: str, asked: Asked, definition: Mapping[str, object]) -> Any:
        """One run of a report with this definition, out of the org's budget."""
        if time.monotonic() > self._limits_until:
            self.read_limits()
        self._pace.spend(RUNS, self._config.report_runs_per_hour, RUNS_WINDOW_S)
        try:
            return self.ask(
                f"analytics/reports/{report}",
                asked,
                read_s=REPORT_S,
                method="POST",
                params={"includeDetails": "true"},
                json={"reportMetadata": dict(definition)},
            )
        except WaitError as error:
            if error.slug == "crm-budget":
                self._pace.hold(RUNS, error.after_s)
            raise

    def runs_left(self, limits: Mapping[str, Any]) -> int:
        """How many report runs may be spent now: what reservoir's own budget of an hour has left, and no more than the org has."""
        free = self._pace.free(RUNS, self._config.report_runs_per_hour, RUNS_WINDOW_S)
        left = left_of(limits, "HourlySyncReportRuns")
        return free if left is None else min(free, left)

    def forget_limits(self) -> None:
        """The next run asks for them anew."""
        self._limits_until = float("-inf")

    def read_limits(self) -> Mapping[str, Any]:
        """What is left of the org's limits; nothing where this user may not know."""
        try:
            limits = self.ask("limits/", Asked("the org's limits"))
        except CrmError as error:
            if error.slug == "crm-credentials":
                raise
            limits = None
        self._limits_until = time.monotonic() + LIMITS_FRESH_S
        if not isinstance(limits, Mapping):
            return {}
        runs = left_of(limits, "HourlySyncReportRuns")
        if runs is not None:
            self._pace.left(RUNS, runs, answers.HOUR_OF_RUNS_S)
        return limits

    def close(self) -> None:
        """Closes its connections."""
        self._session.close()

    def _attempt(self, path: str, asked: Asked, read_s: float | None, request: Mapping[str, Any]) -> tuple[Any, Problem | _SessionEnded | None]:
        client = self._logged_in()
        try:
            return client.restful(path, timeout=(CONNECT_S, read_s or READ_S), **request), None
        except SalesforceError as error:
            told = self._refusal(error)
            return None, _SessionEnded(told) if isinstance(error, SalesforceExpiredSession) else answers.problem(told, asked)
        except (requests.RequestException, *_BAD_ANSWERS) as error:
            return None, _network_problem(error, asked)

    def _logged_in(self) -> Salesforce:
        if self._client is None:
            client = self._log_in()
            if isinstance(client, Exception):
                raise client
            self._client = client
        return self._client

    def _log_in(self) -> Salesforce | Problem:
        asked = Asked("the login", "login")
        # It would print the consumer key.
        warnings.filterwarnings("ignore", message=r"\s*If your connected app policy", module="simple_salesforce")
        try:
            token, host = self._token()
            if not isinstance(token, str) or not isinstance(host, str) or not token or not host.strip("/"):
                return answers.bad_answer(asked)
            self._secrets += (token,)
            return Salesforce(session_id=token, instance=host.split("/")[0], session=self._session, object_pairs_hook=None)
        except SalesforceAuthenticationFailed as error:
            status, headers = self._last
            told = Refusal(status, retry_after_s=answers.retry_after(headers.get("Retry-After")))
            return answers.login_problem(error.code, self.without_secrets(str(error.auth_message)), told)
        except _KeyError:
            return CrmError("crm-credentials", "The private key in the config cannot be read; an admin must put one there in PEM, without a passphrase.")
        except (requests.RequestException, *_BAD_ANSWERS) as error:
            return _network_problem(error, asked)

    def _token(self) -> tuple[Any, Any]:
        """A session's id and its instance's host, by the way to log in that the config names."""
        config = self._config
        if isinstance(config, SalesforceSession):
            return config.session_id.get_secret_value(), urlsplit(config.instance_url or config.endpoint).netloc
        if isinstance(config, SalesforceClientCredentials):
            # With an endpoint there need be no domain, and the client wants one.
            given: dict[str, Any] = {"domain": config.domain or "endpoint", "consumer_secret": config.consumer_secret.get_secret_value()}
        elif isinstance(config, SalesforceJwt):
            key = config.private_key.get_secret_value()
            _check_key(key)
            given = {"domain": config.domain, "username": config.username, "privatekey": key}
        else:
            password, token = config.password.get_secret_value(), config.security_token.get_secret_value()
            given = {"domain": config.domain, "username": config.username}
            if not config.consumer_key.get_secret_value():
                return SalesforceLogin(session=self._session, password=password, security_token=token, **given)
            given |= {"password": password + token, "consumer_secret": config.consumer_secret.get_secret_value()}
        return SalesforceLogin(session=self._session, consumer_key=config.consumer_key.get_secret_value(), **given)

    def _heard(self, response: requests.Response, **_: object) -> None:
        """Of every answer, a refusal too: how it came, what is left, and at a login who we are."""
        self._last = (response.status_code, response.headers)
        usage = _USAGE.search(response.headers.get("Sforce-Limit-Info", ""))
        if usage:
            self.api_calls_left = max(0, int(usage[2]) - int(usage[1]))
        if response.status_code == 200 and "/services/oauth2/token" in str(response.url):
            found = _USER_ID.findall(response.text.partition('"id"')[2].partition(",")[0])
            self.user_id = found[-1] if found else None

    def _refusal(self, error: SalesforceError) -> Refusal:
        told = answers.refusal(error.status, error.content, self._last[1])
        return Refusal(told.status, told.code, self.without_secrets(told.message), told.retry_after_s)

    def without_secrets(self, text: str) -> str:
        """What Salesforce said, without what only it and we know."""
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text


def left_of(limits: Mapping[str, Any], name: str) -> int | None:
    """How much remains of a limit; None where the org does not tell."""
    limit = limits.get(name)
    left = limit.get("Remaining") if isinstance(limit, Mapping) else None
    return left if isinstance(left, int) else None


def _check_key(key: str) -> None:
    try:
        load_pem_private_key(key.encode(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise _KeyError from None


def _secrets(config: SalesforceConfig) -> Iterator[str]:
    for name in type(config).model_fields:
        value = getattr(config, name)
        if isinstance(value, SecretStr) and value.get_secret_value():
            yield value.get_secret_value()


def _network_problem(error: Exception, asked: Asked) -> PassingError:
    """What went wrong below or beside HTTP. Only the kind of the error is told: its text has addresses and whole bodies in it."""
    if isinstance(error, requests.Timeout):
        return PassingError("crm-unavailable", f"Salesforce did not answer in time for {asked.words}.")
    if isinstance(error, requests.ConnectionError):
        return PassingError("crm-unavailable", f"Salesforce cannot be reached for {asked.words}, or the connection broke off.")
    return answers.bad_answer(asked)
