"""A client of the HTTP API of ``kosmolua serve``."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlencode, urlsplit

from kosmolua.errors import KosmoError, Unavailable, UsageError
from kosmolua.http.redirects import NoRedirects
from kosmolua.secret import Secret

TIMEOUT = 30.0
MAX_ANSWER = 64 * 1024 * 1024


@dataclass(frozen=True)
class Remote:
    """A server that is asked with a token; a request is about ``tenant``, or the tenant of the token, or all.

    Raises:
        UsageError: The URL is not valid, or the token would travel unencrypted.
    """

    url: str
    token: Secret
    tenant: str | None = None

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UsageError(
                f"--url {self.url[:200]!r} is not the URL of a server", hint="such as https://agents.example"
            )
        if parts.scheme == "http" and not _is_loopback(parts.hostname):
            what = f"The token would travel unencrypted to {parts.hostname}, so nothing was sent"
            raise UsageError(what, hint="name the server with https")

    def ask(self, method: str, *path: str, body: object = None, **query: str) -> Any:
        """Send a request for a path below ``/api``, given in parts, and return the JSON of the answer.

        Raises:
            Unavailable: The server does not answer.
            KosmoError: The server refuses the request.
        """
        given = {**query, **({"tenant": self.tenant} if self.tenant else {})}
        url = "/".join((self.url.rstrip("/"), "api", *(quote(part, safe="") for part in path)))
        request = urllib.request.Request(
            f"{url}?{urlencode(given)}" if given else url,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self.token.reveal()}", "Content-Type": "application/json"},
        )
        try:
            with urllib.request.build_opener(NoRedirects).open(request, timeout=TIMEOUT) as answer:
                return json.loads(answer.read(MAX_ANSWER))
        except HTTPError as error:
            raise self._refusal(error) from None
        except (URLError, OSError) as error:
            what = f"The server at {self.url} cannot be reached: {getattr(error, 'reason', error)}"
            raise Unavailable(what, hint="try again when it serves") from None
        except ValueError:
            raise KosmoError(f"The answer of {self.url} is not JSON", hint="is it the URL of kosmolua serve?") from None

    def _refusal(self, error: HTTPError) -> KosmoError:
        if error.code == 401:
            return KosmoError(f"The server at {self.url} does not take the token", hint="name another with --token")
        try:
            said: Mapping[str, Any] = json.loads(error.read(MAX_ANSWER))["error"]
            return KosmoError(str(said["message"]), hint=said.get("hint"))
        except (ValueError, KeyError, TypeError):
            hint = "is it the URL of kosmolua serve?"
            return KosmoError(f"The server at {self.url} answers with the status {error.code}", hint=hint)


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
