"""A strict OAuth 2 server on loopback: it checks everything that the specifications let it check."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import time
from threading import Lock
from typing import Any
from urllib.parse import parse_qs, urlencode

from kosmolua.plugin import Request, Response
from support.loopback import Loopback

USER, SECRET = "app", "client-secret-1234567890"


class OAuthServer(Loopback):
    """Serves while a ``with`` block lasts: logins, tokens, and ``/api`` and ``/introspect`` for those who have one.

    Args:
        lifetime: Seconds that an access token lives.
        answers: What ``/authorize`` puts into its answer in place of what belongs there.
        refuses: Whether the person says no.
        metadata: What its metadata says in addition, also of times in other answers; None: it has none.
        challenge: What ``/mcp`` asks for, as the header ``WWW-Authenticate``.

    ``forms`` has the token requests, and ``registered`` what clients registered with.
    """

    def __init__(
        self,
        *,
        lifetime: float = 3600,
        answers: dict[str, Any] | None = None,
        refuses: bool = False,
        metadata: dict[str, Any] | None = {},  # noqa: B006 - never changed
        challenge: str = "Bearer",
    ) -> None:
        super().__init__(self._serve)
        self.lifetime = lifetime
        self.delay = 0.0
        self.granted: list[str] = []
        self.revoked: list[str] = []
        self.tokens: dict[str, float] = {}
        self.polls = 0
        self.forms: list[dict[str, str]] = []
        self.registered: list[dict[str, Any]] = []
        self._more = metadata
        self._challenge = challenge
        self._answers = answers or {}
        self._refuses = refuses
        self._clients: dict[str, dict[str, Any]] = {USER: {"secret": SECRET, "redirect_uris": None}}
        self._codes: dict[str, dict[str, str]] = {}
        self._refresh: dict[str, str] = {}
        self._lock = Lock()

    def _serve(self, request: Request) -> Response:
        path = request.url.partition("/")[2].partition("/")[2].partition("/")[2]
        form = {name: values[0] for name, values in parse_qs((request.body or b"").decode("utf-8", "replace")).items()}
        handlers = {
            ".well-known/oauth-authorization-server": self._metadata,
            "register": self._register,
            "authorize": self._authorize,
            "token": self._token,
            "device": self._device,
            "revoke": self._revoke,
            "api": self._api,
            "mcp": lambda *_: Response(401, {"WWW-Authenticate": self._challenge}),
            "introspect": self._introspect,
        }
        handler = handlers.get(path)
        return handler(request, form) if handler else Response(404)

    def _metadata(self, _: Request, __: dict[str, str]) -> Response:
        if self._more is None:
            return Response(404)
        return _json(
            {
                "issuer": self.url,
                "authorization_endpoint": f"{self.url}/authorize",
                "token_endpoint": f"{self.url}/token",
                "registration_endpoint": f"{self.url}/register",
                "revocation_endpoint": f"{self.url}/revoke",
                "code_challenge_methods_supported": ["S256"],
                "response_types_supported": ["code"],
                **self._more,
            }
        )

    def _register(self, request: Request, _: dict[str, str]) -> Response:
        asked = json.loads(request.body or b"{}")
        self.registered.append(asked)
        name = f"client-{len(self._clients)}"
        self._clients[name] = {"secret": None, "redirect_uris": asked["redirect_uris"]}
        return _json({**asked, "client_id": name}, 201)

    def _authorize(self, request: Request, _: dict[str, str]) -> Response:
        asked = dict(request.query)
        client = self._clients.get(asked.get("client_id", ""))
        known = client and (client["redirect_uris"] is None or asked.get("redirect_uri") in client["redirect_uris"])
        if not known or not str(asked.get("redirect_uri")).startswith("http://127.0.0.1:"):
            return _json({"error": "invalid_redirect_uri"}, 400)
        missing = {"state", "code_challenge"} - asked.keys()
        if missing or asked.get("code_challenge_method") != "S256" or asked.get("response_type") != "code":
            return _json({"error": "invalid_request"}, 400)
        code = secrets.token_urlsafe(16)
        self._codes[code] = asked
        answer = {"code": code, "state": asked["state"], "iss": self.url}
        if self._refuses:
            answer = {"error": "access_denied", "state": asked["state"]}
        answer = {name: value for name, value in (answer | self._answers).items() if value is not None}
        return Response(302, {"Location": f"{asked['redirect_uri']}?{urlencode(answer)}"})

    def _device(self, _: Request, form: dict[str, str]) -> Response:
        if form.get("client_id") not in self._clients:
            return _json({"error": "invalid_client"}, 401)
        return _json(
            {
                "device_code": "device-code-1",
                "user_code": "WDJB-MJHT",
                "verification_uri": f"{self.url}/activate",
                "expires_in": 60,
                "interval": 0.05,
                **(self._more or {}),
            }
        )

    def _token(self, request: Request, form: dict[str, str]) -> Response:
        self.forms.append(form)
        if form.get("grant_type", "").startswith("urn:ietf:params:oauth:grant-type:token-exchange"):
            return _json({"access_token": f"vouched for {form['audience']}", "token_type": "N_A"})
        if "assertion" in form or "client_assertion" in form:
            return self._grant(refresh=False)
        client = self._client_of(request, form)
        if client is None:
            return _json({"error": "invalid_client"}, 401)
        kind = form.get("grant_type", "")
        with self._lock:
            self.granted.append(kind)
        time.sleep(self.delay)
        if kind == "authorization_code":
            return self._by_code(client, form)
        if kind == "refresh_token":
            return self._by_refresh(form)
        if kind == "urn:ietf:params:oauth:grant-type:device_code":
            self.polls += 1
            waits = self.polls < 3 or form.get("device_code") != "device-code-1"
            return _json({"error": "authorization_pending"}, 400) if waits else self._grant()
        if kind == "client_credentials" and self._clients[client]["secret"]:
            return self._grant(refresh=False)
        return _json({"error": "unsupported_grant_type"}, 400)

    def _client_of(self, request: Request, form: dict[str, str]) -> str | None:
        header = str({name.lower(): value for name, value in request.headers.items()}.get("authorization", ""))
        if header.startswith("Basic "):
            name, _, given = base64.b64decode(header.removeprefix("Basic ")).decode().partition(":")
        else:
            name, given = form.get("client_id", ""), form.get("client_secret", "")
        client = self._clients.get(name)
        return name if client and given == (client["secret"] or "") else None

    def _by_code(self, client: str, form: dict[str, str]) -> Response:
        asked = self._codes.pop(form.get("code", ""), {})
        verifier = form.get("code_verifier", "")
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        same = asked.get("redirect_uri") == form.get("redirect_uri") and asked.get("client_id") == client
        if not same or challenge != asked["code_challenge"] or len(verifier) < 43:
            return _json({"error": "invalid_grant", "error_description": "the code does not fit"}, 400)
        return self._grant()

    def _by_refresh(self, form: dict[str, str]) -> Response:
        with self._lock:
            given = form.get("refresh_token", "")
            if self._refresh.get(given) != "fresh":
                for token in self._refresh:  # a token that is used twice was stolen: all are over
                    self._refresh[token] = "over"
                return _json({"error": "invalid_grant", "error_description": "the refresh token was used before"}, 400)
            self._refresh[given] = "used"
        return self._grant()

    def _grant(self, *, refresh: bool = True) -> Response:
        access, again = f"access_{secrets.token_hex(12)}", f"refresh_{secrets.token_hex(12)}"
        self.tokens[access] = time.time() + self.lifetime
        given: dict[str, Any] = {"access_token": access, "token_type": "Bearer", "expires_in": self.lifetime}
        given |= {name: value for name, value in (self._more or {}).items() if name == "expires_in"}
        if refresh:
            self._refresh[again] = "fresh"
            given["refresh_token"] = again
        return _json(given)

    def _revoke(self, request: Request, form: dict[str, str]) -> Response:
        if self._client_of(request, form) is None:
            return _json({"error": "invalid_client"}, 401)
        self.revoked.append(form.get("token_type_hint", ""))
        self.tokens.pop(form["token"], None)
        self._refresh.pop(form["token"], None)
        return Response(200)

    def _api(self, request: Request, _: dict[str, str]) -> Response:
        header = {name.lower(): str(value) for name, value in request.headers.items()}.get("authorization", "")
        is_good = self.tokens.get(header.removeprefix("Bearer "), 0) > time.time()
        return _json({"who": "ann"}) if is_good else _json({"message": "Unauthorized"}, 401)

    def _introspect(self, request: Request, _: dict[str, str]) -> Response:
        token = dict(request.query).get("token", "")
        return _json({"active": self.tokens.get(token, 0) > time.time()})


def _json(value: object, status: int = 200) -> Response:
    return Response(status, {"Content-Type": "application/json"}, json.dumps(value).encode())
