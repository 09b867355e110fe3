"""Every way to log in, through the real client, to an org that checks what it is given."""

import logging
from collections.abc import Callable, Iterator

import pytest
from pydantic import SecretStr

from reservoir.config import SalesforceClientCredentials, SalesforceConfig, SalesforceJwt, SalesforcePassword, SalesforceSession
from reservoir.integrations.salesforce import connect
from reservoir.integrations.source import CrmError, PassingError, Source, WaitError
from tests.support.pace import RecordedPace
from tests.support.salesforce.logins import INSTANCE, credentials
from tests.support.salesforce.reading import read, wanted
from tests.support.salesforce.records import lead, record_id
from tests.support.salesforce.report_types import LEADS
from tests.support.salesforce.reports import report
from tests.support.salesforce.server import HTML, Fault, SalesforceOrg, Says, refuses

Configured = Callable[[SalesforceOrg], SalesforceConfig]


def client_credentials(org: SalesforceOrg) -> SalesforceConfig:
    known = org.credentials
    return SalesforceClientCredentials(
        endpoint=org.url, domain="acme.my", consumer_key=SecretStr(known.consumer_key), consumer_secret=SecretStr(known.consumer_secret)
    )


def jwt_bearer(org: SalesforceOrg) -> SalesforceConfig:
    known = org.credentials
    return SalesforceJwt(
        auth="jwt", endpoint=org.url, domain="test", username=known.username, consumer_key=SecretStr(known.consumer_key),
        private_key=SecretStr(known.private_key),
    )  # fmt: skip


def soap(org: SalesforceOrg) -> SalesforceConfig:
    known = org.credentials
    return SalesforcePassword(
        auth="password", endpoint=org.url, domain="login", username=known.username, password=SecretStr(known.password),
        security_token=SecretStr(known.security_token),
    )  # fmt: skip


def oauth_password(org: SalesforceOrg) -> SalesforceConfig:
    known = org.credentials
    return SalesforcePassword(
        auth="password", endpoint=org.url, domain="acme.my", username=known.username, password=SecretStr(known.password),
        security_token=SecretStr(known.security_token), consumer_key=SecretStr(known.consumer_key), consumer_secret=SecretStr(known.consumer_secret),
    )  # fmt: skip


def session(org: SalesforceOrg) -> SalesforceConfig:
    org.sessions.add("00D!open")
    return SalesforceSession(auth="session", endpoint=org.url, session_id=SecretStr("00D!open"), instance_url=f"https://{INSTANCE}")


FLOWS = [client_credentials, jwt_bearer, soap, oauth_password]
HOSTS = {"client_credentials": "acme.my.salesforce.com", "jwt_bearer": "test.salesforce.com", "soap": "login.salesforce.com", "oauth_password": INSTANCE}


@pytest.fixture
def connected() -> Iterator[Callable[[SalesforceConfig], Source]]:
    """Connects, and closes at the end."""
    made: list[Source] = []

    def connected(config: SalesforceConfig) -> Source:
        made.append(connect(config, RecordedPace()))
        return made[-1]

    yield connected
    for source in made:
        source.close()


Connected = Callable[[SalesforceConfig], Source]


def one_lead(org: SalesforceOrg) -> str:
    org.add("Lead", lead(1))
    return org.save(report(LEADS, ("PHONE",)))


@pytest.mark.parametrize("flow", FLOWS)
def test_each_flow_logs_in(org: SalesforceOrg, connected: Connected, flow: Configured) -> None:
    """The org checks the secret, the signature or the password with its token; the endpoint gets everything, with the host that was meant."""
    what = wanted("report", one_lead(org))
    assert read(connected(flow(org)), what).ids == [record_id("00Q", 1)]
    assert org.logins == 1
    assert org.seen[0].host == HOSTS[flow.__name__]
    assert {seen.host for seen in org.seen[1:]} == {INSTANCE}


def test_an_open_session_is_used_as_it_is(org: SalesforceOrg, connected: Connected) -> None:
    """Nobody logs in."""
    assert read(connected(session(org)), wanted("report", one_lead(org))).ids == [record_id("00Q", 1)]
    assert org.logins == 0


@pytest.mark.parametrize("flow", FLOWS)
def test_a_session_that_ends_is_opened_anew_once(org: SalesforceOrg, connected: Connected, flow: Configured) -> None:
    """A revoked token costs one login, in the middle of a run."""
    source, what = connected(flow(org)), wanted("report", one_lead(org))
    read(source, what)
    org.revoke()
    assert read(source, what).ids == [record_id("00Q", 1)]
    assert org.logins == 2


@pytest.mark.parametrize("flow", FLOWS)
@pytest.mark.parametrize("answer", [refuses(401, "INVALID_SESSION_ID", "not valid for use with the REST API"), Says(401, HTML), Says(401, {"error": "no"})])
def test_a_session_that_is_never_taken_is_not_opened_for_ever(org: SalesforceOrg, connected: Connected, flow: Configured, answer: Says) -> None:
    """Twice, and then an admin must look; whatever form the refusal has."""
    what = wanted("report", one_lead(org))
    org.fail("/services/data/", answer)
    with pytest.raises(CrmError) as caught:
        read(connected(flow(org)), what)
    assert (caught.value.slug, caught.value.status, org.logins) == ("crm-credentials", 401, 2)


def test_a_session_of_somebody_elses_that_ended_needs_its_owner(org: SalesforceOrg, connected: Connected) -> None:
    """There is nothing to log in with."""
    source, what = connected(session(org)), wanted("report", one_lead(org))
    org.revoke()
    with pytest.raises(CrmError) as caught:
        read(source, what)
    assert (caught.value.slug, caught.value.status) == ("crm-credentials", 401)


@pytest.mark.parametrize("flow", FLOWS)
def test_wrong_credentials_are_said_and_never_shown(org: SalesforceOrg, connected: Connected, flow: Configured, caplog: pytest.LogCaptureFixture) -> None:
    """An admin must mend the config; no secret is in what is raised or logged."""
    caplog.set_level(logging.DEBUG)
    config = flow(org)
    before, org.credentials = org.credentials, credentials()
    try:
        object.__setattr__(org.credentials, "consumer_secret", "another")
        object.__setattr__(org.credentials, "password", "another")
        with pytest.raises(CrmError) as caught:
            read(connected(config), wanted("report", one_lead(org)))
    finally:
        org.credentials = before
    assert caught.value.slug == "crm-credentials"
    assert caught.value.status >= 400
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    told = f"{caught.value} {caught.value!r} {caplog.text}"
    for secret in (before.password, before.security_token, before.consumer_secret, before.consumer_key, before.private_key):
        assert secret not in told


def test_a_secret_that_the_answer_repeats_is_not_told(org: SalesforceOrg, connected: Connected) -> None:
    """What Salesforce says is told without what we gave it."""
    known = org.credentials
    org.fail("/oauth2/token", Says(400, {"error": "invalid_grant", "error_description": f"bad: {known.consumer_secret} of {known.consumer_key}"}))
    with pytest.raises(CrmError, match=r"bad: \*\*\* of \*\*\*"):
        read(connected(client_credentials(org)), wanted("report", one_lead(org)))


def test_an_app_that_is_not_approved_is_said(org: SalesforceOrg, connected: Connected) -> None:
    """The client would print the consumer key in a warning."""
    org.fail("/oauth2/token", Says(400, {"error": "invalid_grant", "error_description": "user hasn't approved this consumer"}))
    with pytest.raises(CrmError, match="approved") as caught:
        read(connected(jwt_bearer(org)), wanted("report", one_lead(org)))
    assert caught.value.slug == "crm-credentials"


def test_a_key_that_is_none_is_said(org: SalesforceOrg, connected: Connected) -> None:
    """It looks like PEM and is not."""
    config = jwt_bearer(org).model_copy(update={"private_key": SecretStr("-----BEGIN PRIVATE KEY-----\nno\n-----END PRIVATE KEY-----")})
    with pytest.raises(CrmError, match="private key") as caught:
        read(connected(config), wanted("report", one_lead(org)))
    assert caught.value.slug == "crm-credentials"
    assert org.seen == []


@pytest.mark.parametrize("flow", FLOWS)
@pytest.mark.parametrize(
    ("answer", "slug"),
    [
        (Says(503), "crm-unavailable"),
        (Says(420), "crm-unavailable"),
        (Says(500, {"error": "server_error"}), "crm-unavailable"),
        (Says(200), "crm-bad-answer"),
        (Says(200, ["no object"]), "crm-bad-answer"),
        (Says(200, {"token_type": "Bearer"}), "crm-bad-answer"),
        (Fault.EMPTY, "crm-bad-answer"),
        (Fault.RESET, "crm-unavailable"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_login_that_fails_by_itself_is_tried_again(org: SalesforceOrg, connected: Connected, flow: Configured, answer: Says | Fault, slug: str) -> None:
    """Nothing is wrong with the credentials."""
    org.fail("/oauth2/token|/Soap/u/", answer)
    with pytest.raises(PassingError) as caught:
        read(connected(flow(org)), wanted("report", one_lead(org)))
    assert caught.value.slug == slug


def test_a_login_that_is_asked_to_wait_waits(org: SalesforceOrg, connected: Connected) -> None:
    """Too many logins in an hour, or maintenance that says when it ends."""
    for status, slug in ((429, "crm-budget"), (503, "crm-unavailable")):
        org.heal()
        org.fail("/oauth2/token", Says(status, HTML, {"Retry-After": "120"}))
        with pytest.raises(WaitError) as caught:
            read(connected(client_credentials(org)), wanted("report", one_lead(org)))
        assert (caught.value.slug, caught.value.after_s, caught.value.status) == (slug, 120, status)


def test_with_an_endpoint_there_need_be_no_domain(org: SalesforceOrg, connected: Connected) -> None:
    """The endpoint gets the login all the same."""
    config = client_credentials(org).model_copy(update={"domain": ""})
    with pytest.raises(CrmError):
        read(connected(config), wanted("report", one_lead(org)))
    assert [(seen.path, seen.host) for seen in org.seen] == [("/services/oauth2/token", "endpoint.salesforce.com")]
