"""A stand-in of an OpenID Connect provider: discovery, a page to sign in on, codes with PKCE, tokens signed with RS256.

It holds to OpenID Connect Core 1.0 and RFC 7636 as a strict provider does: an address it does not know, a code used
twice, a wrong verifier or a missing nonce is refused. `fault` makes its next tokens wrong in one way.
"""

import base64
import hashlib
import html
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import unquote, urlencode

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from emulators.clock import Clock, Rng

Fault = Literal["", "nonce", "forged", "unsigned", "issuer", "audience", "expired", "key"]
LIFE_S = 300
KEY_ID = "2026-11"
PAGE = """<!doctype html><meta charset="utf-8"><title>Sign in</title><link rel="icon" href="data:,">
<body style="font-family:sans-serif;max-width:30em;margin:4em auto"><h1>Who are you?</h1>{people}"""


@dataclass(frozen=True)
class Person:
    """Somebody the provider knows."""

    email: str
    verified: bool = True

    @property
    def subject(self) -> str:
        return hashlib.sha256(self.email.encode()).hexdigest()[:20]


@dataclass(frozen=True)
class Grant:
    """What a code stands for."""

    person: Person
    query: Mapping[str, str]


@dataclass
class OidcProvider:
    """One client, some people. `thin`: the address is told by the userinfo endpoint only."""

    clock: Clock
    rng: Rng
    people: list[Person]
    client_id: str = "tieout"
    client_secret: str = "a/secret+with=signs"  # noqa: S105 - of a stand-in
    redirect_uris: list[str] = field(default_factory=list)
    fault: Fault = ""
    thin: bool = False
    codes: dict[str, Grant] = field(default_factory=dict)
    tokens: dict[str, Person] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._key, self._other = (rsa.generate_private_key(65537, 2048) for _ in range(2))
        self.app = Starlette(
            routes=[
                Route("/.well-known/openid-configuration", self._discovery),
                Route("/authorize", self._authorize),
                Route("/token", self._token, methods=["POST"]),
                Route("/jwks", self._jwks),
                Route("/userinfo", self._userinfo),
            ]
        )

    # ---- what it says of itself

    async def _discovery(self, request: Request) -> Response:
        base = _base(request)
        names = ("authorization_endpoint", "token_endpoint", "jwks_uri", "userinfo_endpoint")
        addresses = dict(
            zip(names, (f"{base}/{path}" for path in ("authorize", "token", "jwks", "userinfo")), strict=True)
        )
        supported = {
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "code_challenge_methods_supported": ["S256"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic"],
            "scopes_supported": ["openid", "email"],
        }
        return JSONResponse({"issuer": base, **addresses, **supported})

    async def _jwks(self, _request: Request) -> Response:
        numbers = self._key.public_key().public_numbers()
        key = {
            "kty": "RSA",
            "use": "sig",
            "alg": "RS256",
            "kid": KEY_ID,
            "n": _number(numbers.n),
            "e": _number(numbers.e),
        }
        return JSONResponse({"keys": [key]})

    # ---- signing in

    async def _authorize(self, request: Request) -> Response:
        """A page with everybody on it; whoever is chosen has signed in."""
        query = dict(request.query_params)
        chosen, wanted = query.pop("as", ""), query.get("redirect_uri", "")
        if query.get("client_id") != self.client_id or wanted not in self.redirect_uris:
            return HTMLResponse("This client or address is not registered.", 400)
        problem = _problem(query)
        if problem or chosen == "nobody":
            said = {"error": problem or "access_denied", "state": query.get("state", ""), "iss": _base(request)}
            return RedirectResponse(f"{wanted}?{urlencode(said)}", 303)
        person = next((each for each in self.people if each.email == chosen), None)
        if person is None:
            return HTMLResponse(PAGE.format(people=self._choices(query)))
        code = self.rng.token(40)
        self.codes[code] = Grant(person, query)
        return RedirectResponse(
            f"{wanted}?{urlencode({'code': code, 'state': query['state'], 'iss': _base(request)})}", 303
        )

    def _choices(self, query: Mapping[str, str]) -> str:
        names = [*(each.email for each in self.people), "nobody"]
        links = (f"?{urlencode({**query, 'as': name})}" for name in names)
        return "".join(
            f'<p><a href="{html.escape(link)}">{html.escape(name)}</a></p>'
            for link, name in zip(links, names, strict=True)
        )

    async def _token(self, request: Request) -> Response:
        form = {name: str(value) for name, value in (await request.form()).items()}
        if not self._is_client(request.headers.get("authorization", "")):
            return JSONResponse({"error": "invalid_client"}, 401)
        grant = self.codes.pop(form.get("code", ""), None)
        verifier = _encode(hashlib.sha256(form.get("code_verifier", "").encode()).digest())
        expected = {"redirect_uri": form.get("redirect_uri"), "code_challenge": verifier}
        if grant is None or any(grant.query.get(name) != value for name, value in expected.items()):
            return JSONResponse({"error": "invalid_grant"}, 400)
        access = self.rng.token(40)
        self.tokens[access] = grant.person
        body = {"access_token": access, "token_type": "Bearer", "expires_in": LIFE_S}
        return JSONResponse({**body, "id_token": self._id_token(grant, _base(request))})

    async def _userinfo(self, request: Request) -> Response:
        person = self.tokens.get(request.headers.get("authorization", "").removeprefix("Bearer "))
        if person is None:
            return JSONResponse({"error": "invalid_token"}, 401)
        return JSONResponse({"sub": person.subject, **_address(person)})

    def _is_client(self, header: str) -> bool:
        """RFC 6749, section 2.3.1: id and secret form-encoded, then basic."""
        try:
            found = base64.b64decode(header.removeprefix("Basic "), validate=True).decode()
        except ValueError:
            return False
        return [unquote(part) for part in found.split(":", 1)] == [self.client_id, self.client_secret]

    # ---- the token

    def _id_token(self, grant: Grant, issuer: str) -> str:
        now, fault = self.clock.timestamp(), self.fault
        if fault == "expired":
            now -= 2 * LIFE_S
        claims: dict[str, Any] = {
            "iss": "https://elsewhere.example" if fault == "issuer" else issuer,
            "aud": "somebody-else" if fault == "audience" else self.client_id,
            "sub": grant.person.subject,
            "iat": now,
            "exp": now + LIFE_S,
            "nonce": "of another sign-in" if fault == "nonce" else grant.query["nonce"],
            **({} if self.thin else _address(grant.person)),
        }
        algorithm = "none" if fault == "unsigned" else "RS256"
        header = {"alg": algorithm, "typ": "JWT", "kid": "nobody's" if fault == "key" else KEY_ID}
        signed = f"{_encode(json.dumps(header).encode())}.{_encode(json.dumps(claims).encode())}"
        if fault == "unsigned":
            return f"{signed}."
        key = self._other if fault == "forged" else self._key
        return f"{signed}.{_encode(key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256()))}"


def _problem(query: Mapping[str, str]) -> str:
    """What a strict provider refuses (RFC 6749, section 4.1.2.1)."""
    if query.get("response_type") != "code":
        return "unsupported_response_type"
    if "openid" not in query.get("scope", "").split():
        return "invalid_scope"
    complete = all(query.get(name) for name in ("state", "nonce", "code_challenge"))
    return "" if complete and query.get("code_challenge_method") == "S256" else "invalid_request"


def _address(person: Person) -> dict[str, Any]:
    return {"email": person.email, "email_verified": person.verified}


def _base(request: Request) -> str:
    return str(request.base_url).rstrip("/")


def _number(value: int) -> str:
    return _encode(value.to_bytes((value.bit_length() + 7) // 8))


def _encode(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
