"""The ways to log in: OAuth's token endpoint with three grants, and SOAP."""

import base64
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from html import unescape
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

INSTANCE = "acme.my.salesforce.com"
USER_ID = "005000000000009AAA"
JWT_LIFE_MOST_S = 300


@dataclass(frozen=True)
class Credentials:
    """What the org knows of its one user and its one connected app."""

    username: str = "reservoir@acme.example"
    password: str = "hunter2 & <co>"
    security_token: str = "TOKENtokenTOKEN1"
    consumer_key: str = "3MVG9.key"
    consumer_secret: str = "S3CR3T-of-the-app"
    private_key: str = ""
    public_key: str = ""


def credentials() -> Credentials:
    """With a new pair of keys."""
    key = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return Credentials(private_key=private, public_key=key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode())


def token(known: Credentials, form: Mapping[str, str], headers: Mapping[str, str], host: str) -> tuple[int, dict[str, Any]]:
    """POST /services/oauth2/token: status and body, without the token, which the server gives."""
    grants = {
        "client_credentials": _client_credentials,
        "password": _password,
        "urn:ietf:params:oauth:grant-type:jwt-bearer": _jwt_bearer,
    }
    grant = grants.get(form.get("grant_type", ""))
    if grant is None:
        return 400, {"error": "unsupported_grant_type", "error_description": "grant type not supported"}
    error = grant(known, form, headers, host)
    if error is not None:
        return (401 if error == "invalid_client" else 400), {"error": error, "error_description": "authentication failure"}
    return 200, {"instance_url": f"https://{INSTANCE}", "id": f"https://login.salesforce.com/id/00D000000000001EAA/{USER_ID}", "token_type": "Bearer"}


def _client_credentials(known: Credentials, form: Mapping[str, str], headers: Mapping[str, str], host: str) -> str | None:
    del form
    if host != INSTANCE:  # login.salesforce.com has no such flow
        return "invalid_grant"
    wanted = base64.b64encode(f"{known.consumer_key}:{known.consumer_secret}".encode()).decode()
    return None if headers.get("Authorization") == f"Basic {wanted}" else "invalid_client"


def _password(known: Credentials, form: Mapping[str, str], headers: Mapping[str, str], host: str) -> str | None:
    del headers, host
    if (form.get("client_id"), form.get("client_secret")) != (known.consumer_key, known.consumer_secret):
        return "invalid_client_id"
    return None if (form.get("username"), form.get("password")) == (known.username, known.password + known.security_token) else "invalid_grant"


def _jwt_bearer(known: Credentials, form: Mapping[str, str], headers: Mapping[str, str], host: str) -> str | None:
    del headers
    try:
        claims = jwt.decode(form.get("assertion", ""), known.public_key, algorithms=["RS256"], audience=f"https://{host}", issuer=known.consumer_key)
    except jwt.PyJWTError:
        return "invalid_grant"
    return None if claims.get("sub") == known.username and int(claims["exp"]) <= time.time() + JWT_LIFE_MOST_S else "invalid_grant"


def soap(known: Credentials, body: str, version: str) -> tuple[int, str, bool]:
    """POST /services/Soap/u/{version}: status, body with %TOKEN% for the session's id, and whether it let the user in."""
    if float(version) > 64.0:
        return 500, _fault("UNSUPPORTED_API_VERSION", "SOAP login() is not available in this version"), False
    name, password = (
        unescape(found[1]) if (found := re.search(rf"<n1:{field}>(.*?)</n1:{field}>", body, re.DOTALL)) else "" for field in ("username", "password")
    )
    if (name, password) != (known.username, known.password + known.security_token):
        return 500, _fault("INVALID_LOGIN", "INVALID_LOGIN: Invalid username, password, security token; or user locked out."), False
    told = (
        f"<serverUrl>https://{INSTANCE.replace('.my.', '-api.my.', 1)}/services/Soap/u/{version}/00D000000000001</serverUrl>"
        f"<sessionId>%TOKEN%</sessionId><userId>{USER_ID}</userId>"
    )
    return 200, _envelope(f'<loginResponse xmlns="urn:partner.soap.sforce.com"><result>{told}</result></loginResponse>'), True


def _fault(code: str, message: str) -> str:
    detail = f'<sf:LoginFault xmlns:sf="urn:fault.partner.soap.sforce.com"><sf:exceptionCode>{code}</sf:exceptionCode>'
    return _envelope(
        f"<soapenv:Fault><faultcode>{code}</faultcode><faultstring>{message}</faultstring>"
        f"<detail>{detail}<sf:exceptionMessage>{message}</sf:exceptionMessage></sf:LoginFault></detail></soapenv:Fault>"
    )


def _envelope(inside: str) -> str:
    return (
        '<?xml version="1.0" encoding="UTF-8"?>'
        f'<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"><soapenv:Body>{inside}</soapenv:Body></soapenv:Envelope>'
    )
