"""A strict provider of OpenID Connect on loopback: it checks everything that the specifications let it check."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import time
from typing import Any
from urllib.parse import parse_qs, urlencode

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from kosmolua.plugin import Request, Response
from support.loopback import Loopback

CLIENT, SECRET = "kosmolua-page", "client-secret-1234567890"
KEY, OTHER_KEY = (rsa.generate_private_key(public_exponent=65537, key_size=2048) for _ in range(2))


class OidcServer(Loopback):
    """Serves while a ``with`` block lasts. Whoever is sent there is let in at once.

    ``back`` is the only address to send people back to, once it is set. ``claims`` replaces claims of the tokens,
    ``key`` signs them, ``answers`` replaces what people bring back, and ``description`` what the provider says of
    itself.
    """

    def __init__(self) -> None:
        super().__init__(self._serve)
        self.back = ""
        self.claims: dict[str, Any] = {}
        self.answers: dict[str, str] = {}
        self.description: dict[str, str] = {}
        self.key = KEY
        self.asked: list[dict[str, str]] = []
        self._codes: dict[str, dict[str, str]] = {}

    def _serve(self, request: Request) -> Response:
        path = request.url.partition("/")[2].partition("/")[2].partition("/")[2]
        handlers = {
            ".well-known/openid-configuration": self._describe,
            "keys": self._keys,
            "authorize": self._authorize,
            "token": self._token,
            "register": self._register,
        }
        handler = handlers.get(path)
        return handler(request) if handler else Response(404)

    def _describe(self, _: Request) -> Response:
        own = {"issuer": self.url, "authorization_endpoint": f"{self.url}/authorize"}
        own |= {"token_endpoint": f"{self.url}/token", "jwks_uri": f"{self.url}/keys"}
        own |= {"registration_endpoint": f"{self.url}/register", "response_types_supported": ["code"]}
        return _json({**own, "code_challenge_methods_supported": ["S256"], **self.description})

    def _register(self, request: Request) -> Response:
        """Register any client as the one that is known, for its own address."""
        self.back = json.loads(request.body or b"")["redirect_uris"][0]
        own = {"client_id": CLIENT, "client_secret": SECRET, "token_endpoint_auth_method": "client_secret_basic"}
        return _json({**own, "redirect_uris": [self.back]}, 201)

    def _keys(self, _: Request) -> Response:
        return _json({"keys": [{**json.loads(RSAAlgorithm.to_jwk(KEY.public_key())), "kid": "one"}]})

    def _authorize(self, request: Request) -> Response:
        asked = {name: str(value) for name, value in dict(request.query).items()}
        self.asked.append(asked)
        wanted = {"client_id": CLIENT, "redirect_uri": self.back, "response_type": "code", "scope": "openid"}
        wanted["code_challenge_method"] = "S256"
        is_good = all(asked.get(name) == value for name, value in wanted.items())
        needed = {"state", "code_challenge", "resource" if "resource" in asked else "nonce"}
        if not is_good or not needed <= asked.keys():
            return _json({"error": "invalid_request"}, 400)
        code = secrets.token_urlsafe(16)
        self._codes[code] = asked
        answer = {"code": code, "state": asked["state"], "iss": self.url, **self.answers}
        return Response(302, {"Location": f"{self.back}?{urlencode(answer)}"})

    def _token(self, request: Request) -> Response:
        form = {name: values[0] for name, values in parse_qs((request.body or b"").decode()).items()}
        header = str({name.lower(): value for name, value in request.headers.items()}.get("authorization", ""))
        if header != "Basic " + base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode():
            return _json({"error": "invalid_client"}, 401)
        asked = self._codes.pop(form.get("code", ""), None)
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        is_good = asked and challenge == asked["code_challenge"] and form.get("redirect_uri") == self.back
        if not asked or not is_good or form.get("grant_type") != "authorization_code":
            return _json({"error": "invalid_grant"}, 400)
        claims = {"iss": self.url, "aud": CLIENT, "sub": "ada", "nonce": asked.get("nonce"), "org": "acme"}
        claims |= {"iat": time.time(), "exp": time.time() + 60, **self.claims}
        token = jwt.encode(claims, self.key, "RS256", headers={"kid": "one"})
        access = "access"
        if "resource" in asked:
            access = jwt.encode({"aud": asked["resource"], **self.claims, **claims}, self.key, "RS256", {"kid": "one"})
        return _json({"access_token": access, "token_type": "Bearer", "expires_in": 60, "id_token": token})


def _json(value: object, status: int = 200) -> Response:
    return Response(status, {"Content-Type": "application/json"}, json.dumps(value).encode())
