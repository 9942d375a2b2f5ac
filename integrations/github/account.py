"""An account: a token or none, what accounts.toml may say about it, and the integration that uses it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Any

from kosmolua.plugin import Api, CallError, Integration, OAuth2, Secret, Send

from .hub import Hub, told_to_wait
from .wire import inner, thing_of

_HEADERS = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}
"""What each request should carry (https://docs.github.com/en/rest/about-the-rest-api/api-versions)."""


@dataclass(frozen=True)
class Account:
    """A GitHub user or app, or, without a token, anybody: public data can be read by all, 60 times an hour."""

    token: Annotated[
        Secret | None,
        "From Settings, Developer settings, Personal access tokens.",
        OAuth2(
            token="https://github.com/login/oauth/access_token",
            device="https://github.com/login/device/code",
            scopes=("repo",),
        ),
    ] = None
    client_id: Annotated[str | None, "Of an OAuth app with device flow, for kosmolua accounts login."] = None
    base_url: Annotated[str, "Where the API is; GitHub Enterprise Server: https://HOST/api/v3."] = (
        "https://api.github.com"
    )

    def open(self, send: Send) -> Hub:
        """Return the account's client and what a run learns about GitHub."""
        api = Api(told_to_wait(send), self.base_url, bearer=self.token, headers=_HEADERS)
        return Hub(api, has_token=bool(self.token))


integration = Integration(
    "github", Account, about="Repositories, issues, pull requests, workflow runs, files and releases on GitHub."
)


integration.extend(__file__, api=lambda hub: hub.api)


@integration.identifies
def identify(hub: Hub, /) -> str:
    """Say whose token it is, and how often it, or nobody in particular, may still ask."""
    left = _requests_left(hub)
    return f"{hub.login() if hub.has_token else 'nobody (no token)'}, {left}"


def _requests_left(hub: Hub) -> str:
    """Ask the rate limit's own path, which costs nothing and is 404 on an Enterprise Server without limits.

    See https://docs.github.com/en/rest/rate-limit/rate-limit.
    """
    try:
        limits = thing_of(hub.api.get("/rate_limit"))
    except CallError as error:
        if error.status == HTTPStatus.NOT_FOUND:
            return "without a rate limit"
        raise
    left, most = (inner(limits, "resources", "core", key) for key in ("remaining", "limit"))
    return f"{left} of {most} requests left this hour"


@integration.simulator
def simulate(account: str, *, state: Mapping[str, Any] | None = None) -> Send:
    """Return a GitHub of its own for an account, with the state that an earlier one had."""
    from .simulator import Simulator

    return Simulator(account, state=state)
