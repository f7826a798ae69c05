"""OpenID Connect: which provider people may sign in with, where to send a browser, and whose address comes back.

The authorization code flow with PKCE, state and nonce (OpenID Connect Core 1.0, section 3.1; Discovery 1.0; RFC 7636;
RFC 9207). Only a signature of the provider's own keys counts, of an algorithm that has a public key (RFC 8725).

TIEOUT_OIDC_ISSUER          the provider's address, as its discovery document says it; without it there is none
TIEOUT_OIDC_CLIENT_ID, TIEOUT_OIDC_CLIENT_SECRET
                            what the provider gave to Tieout
TIEOUT_OIDC_NAME            what the button says; "Company account" unless you say otherwise
TIEOUT_LOCAL_SIGN_IN        "admins": links and passwords of Tieout's own let in admins only, in case the provider fails
"""

import base64
import hashlib
import os
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from hmac import compare_digest
from itertools import islice
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import jwt
import msgspec
import requests

from storage.engine import DatabaseError
from storage.users import normal
from sync.ports import Rng

DISCOVERY = "/.well-known/openid-configuration"
ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
SCOPES = "openid email"
LEEWAY = timedelta(seconds=60)  # clocks differ
LIFE = timedelta(minutes=10)  # to sign in at the provider
KEPT = timedelta(minutes=10)  # the provider's addresses; never its keys
TIMEOUT_S = (5, 15)
PART, PARTS_MAX = 65_536, 16  # bytes of an answer, at a time and times
LOOPBACK = ("127.0.0.1", "localhost", "::1")
LOCAL, ADMINS, EVERYBODY = "TIEOUT_LOCAL_SIGN_IN", "admins", "everybody"


class RefusedSignInError(Exception):
    """Nobody is signed in: a sentence for the person, which holds no secret and nothing that others wrote."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """Who says who people are."""

    issuer: str
    client_id: str
    client_secret: str = field(repr=False)
    name: str


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """What a browser keeps, sealed, while its person is at the provider. `path` is where they wanted to go."""

    nonce: str
    verifier: str
    redirect_uri: str
    path: str
    begun_at: datetime


def configured() -> Provider | None:
    """The provider of the settings. Raises DatabaseError, with a sentence for who runs Tieout, for half of one."""
    values = [os.environ.get(f"TIEOUT_OIDC_{name}", "").strip() for name in ("ISSUER", "CLIENT_ID", "CLIENT_SECRET")]
    if not any(values):
        return None
    if not all(values):
        raise DatabaseError("Set TIEOUT_OIDC_ISSUER, TIEOUT_OIDC_CLIENT_ID and TIEOUT_OIDC_CLIENT_SECRET, or none.")
    if not _is_safe(values[0]):
        raise DatabaseError("TIEOUT_OIDC_ISSUER is not an https address.")
    name = os.environ.get("TIEOUT_OIDC_NAME", "").strip() or "Company account"
    return Provider(issuer=values[0], client_id=values[1], client_secret=values[2], name=name)


def check_settings() -> None:
    """Raises DatabaseError if the settings do not fit together: before anything is started on them."""
    configured()
    is_local_for_all()


def is_local_for_all() -> bool:
    """Whether links and passwords of our own let in more than admins. Without a provider they always do."""
    wanted = os.environ.get(LOCAL, "").strip() or EVERYBODY
    if wanted not in (EVERYBODY, ADMINS):
        raise DatabaseError(f"{LOCAL} is “{ADMINS}” or “{EVERYBODY}”.")
    return wanted == EVERYBODY or configured() is None


def begin(provider: Provider, rng: Rng, redirect_uri: str, path: str, now: datetime) -> tuple[str, str, Attempt]:
    """Where to send the browser, the state that has to come back, and what the browser keeps.

    Raises RefusedSignInError if the provider does not answer.
    """
    endpoint = _discover(provider.issuer, _period(now))["authorization_endpoint"]
    attempt = Attempt(nonce=rng.token(43), verifier=rng.token(64), redirect_uri=redirect_uri, path=path, begun_at=now)
    challenge = base64.urlsafe_b64encode(hashlib.sha256(attempt.verifier.encode()).digest()).rstrip(b"=").decode()
    state = rng.token(43)
    query = {
        "response_type": "code",
        "client_id": provider.client_id,
        "redirect_uri": redirect_uri,
        "scope": SCOPES,
        "state": state,
        "nonce": attempt.nonce,
        "code_challenge": challenge,
        "code_challenge_method": "S256",
    }
    return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(query)}", state, attempt


def identify(provider: Provider, attempt: Attempt, answer: dict[str, str], now: datetime) -> str:
    """The verified address of who has signed in there. Raises RefusedSignInError for everything else."""
    if now - attempt.begun_at > LIFE:
        raise RefusedSignInError("Signing in took longer than ten minutes. Begin again.")
    if answer.get("iss", provider.issuer) != provider.issuer:
        raise _untrusted("it is of another provider")
    if "code" not in answer:
        raise RefusedSignInError(f"{provider.name} signed nobody in: it was declined there, or is not allowed to you.")
    metadata = _discover(provider.issuer, _period(now))
    tokens = _redeem(provider, metadata, attempt, answer["code"])
    claims = _claims(provider, metadata, str(tokens.get("id_token", "")), attempt.nonce, now)
    if "email" not in claims and "userinfo_endpoint" in metadata:
        claims = _user_info(metadata, tokens, claims)
    return _address(provider, claims)


def _address(provider: Provider, claims: dict[str, Any]) -> str:
    email = claims.get("email")
    if not isinstance(email, str) or "@" not in email:
        raise RefusedSignInError(f"{provider.name} did not say your e-mail address. Ask an admin to allow that there.")
    if claims.get("email_verified") not in (True, "true"):
        raise RefusedSignInError(
            f"{provider.name} has not verified your e-mail address, so it proves nothing. Have it verified there, then "
            "sign in again."
        )
    return normal(email)


# ---- what the provider says


def _period(now: datetime) -> int:
    return int(now.timestamp() // KEPT.total_seconds())


@lru_cache(maxsize=4)
def _discover(issuer: str, _period: int) -> dict[str, Any]:
    """Its addresses, each of them safe, and said by the provider that is meant. Asked for once in a while, so that
    whoever only knocks costs nobody a request.
    """
    found = _get(f"{issuer.rstrip('/')}{DISCOVERY}")
    needed = [found.get(name) for name in ("authorization_endpoint", "token_endpoint", "jwks_uri")]
    optional = [found["userinfo_endpoint"]] if "userinfo_endpoint" in found else []
    if found.get("issuer") != issuer or not all(_is_safe(str(each)) for each in needed + optional):
        raise _untrusted("its addresses are not those of the provider that is set up")
    return found


def _redeem(provider: Provider, metadata: dict[str, Any], attempt: Attempt, code: str) -> dict[str, Any]:
    """The tokens for a code, once."""
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": attempt.redirect_uri,
        "code_verifier": attempt.verifier,
    }
    methods = metadata.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
    if "client_secret_basic" in methods:  # RFC 6749, section 2.3.1: both form-encoded first
        login = (quote(provider.client_id, safe=""), quote(provider.client_secret, safe=""))
        return _ask("POST", metadata["token_endpoint"], data=form, auth=login)
    secret = {"client_id": provider.client_id, "client_secret": provider.client_secret}
    return _ask("POST", metadata["token_endpoint"], data=form | secret)


def _claims(provider: Provider, metadata: dict[str, Any], token: str, nonce: str, now: datetime) -> dict[str, Any]:
    """What the id token says, if the provider signed it, for us, for this attempt, and just now."""
    try:
        kid = jwt.get_unverified_header(token).get("kid")
        keys = jwt.PyJWKSet.from_dict(_get(metadata["jwks_uri"])).keys
        fitting = [each for each in keys if kid is None or each.key_id == kid]
        if len(fitting) != 1:
            raise _untrusted("its signature is of a key the provider does not have")
        checks = {"verify_exp": False, "verify_iat": False, "verify_nbf": False, "require": ["exp", "iat", "sub"]}
        claims: dict[str, Any] = jwt.decode(
            token,
            fitting[0],
            algorithms=ALGORITHMS,
            audience=provider.client_id,
            issuer=provider.issuer,
            options=checks,  # type: ignore[arg-type]
        )
        issued, expires = float(claims["iat"]), float(claims["exp"])
    except (jwt.PyJWTError, ValueError, TypeError, AttributeError):
        raise _untrusted("it is not signed by the provider for Tieout") from None
    if not compare_digest(str(claims.get("nonce", "")).encode(), nonce.encode()):
        raise _untrusted("it answers another sign-in")
    if isinstance(claims["aud"], list) and len(claims["aud"]) > 1 and claims.get("azp") != provider.client_id:
        raise _untrusted("it was made for somebody else")
    if not issued - LEEWAY.total_seconds() <= now.timestamp() <= expires + LEEWAY.total_seconds():
        raise _untrusted("it is not of this moment; compare the clocks of both computers")
    return claims


def _user_info(metadata: dict[str, Any], tokens: dict[str, Any], claims: dict[str, Any]) -> dict[str, Any]:
    """For providers that keep the address out of the id token. It must be of the same person (Core, 5.3.2)."""
    headers = {"Authorization": f"Bearer {tokens.get('access_token', '')}"}
    found = _ask("GET", metadata["userinfo_endpoint"], headers=headers)
    if found.get("sub") != claims["sub"]:
        raise _untrusted("it is about two people")
    return found


def _untrusted(why: str) -> RefusedSignInError:
    return RefusedSignInError(
        f"What the provider sent cannot be trusted: {why}. Sign in again; if this comes back, tell an admin."
    )


def _get(address: str) -> dict[str, Any]:
    return _ask("GET", address)


def _ask(method: str, address: str, **options: Any) -> dict[str, Any]:
    """A JSON object, from that address itself. Nothing of a failure is passed on: it might hold the secret."""
    try:
        with requests.request(
            method, address, timeout=TIMEOUT_S, allow_redirects=False, stream=True, **options
        ) as response:
            body = b"".join(islice(response.iter_content(PART), PARTS_MAX))
            status = response.status_code
        found = msgspec.json.decode(body) if status == 200 else None
    except (requests.RequestException, OSError, msgspec.DecodeError):
        found = None
    if not isinstance(found, dict):
        raise RefusedSignInError("The provider does not answer as it should. Try again in a moment, or ask an admin.")
    return found


def _is_safe(address: str) -> bool:
    parts = urlsplit(address)
    return bool(parts.hostname) and (
        parts.scheme == "https" or (parts.scheme, parts.hostname in LOOPBACK) == ("http", True)
    )
