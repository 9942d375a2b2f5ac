"""An account: a token or none, what accounts.toml may say about it, and the integration that uses it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from kosmolua.plugin import Api, Integration, Secret, Send

from .hub import Hub, told_to_wait
from .wire import inner, thing_of

_HEADERS = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}
"""What each request should carry (https://docs.github.com/en/rest/about-the-rest-api/api-versions)."""


@dataclass(frozen=True)
class Account:
    """A GitHub user or app, or, without a token, anybody: public data can be read by all, 60 times an hour."""

    token: Annotated[Secret | None, "From Settings, Developer settings, Personal access tokens."] = None
    base_url: Annotated[str, "Where the API is; GitHub Enterprise Server: https://HOST/api/v3."] = (
        "https://api.github.com"
    )

    def open(self, send: Send) -> Hub:
        """Return the account's client and what a run learns about GitHub."""
        api = Api(told_to_wait(send), self.base_url, bearer=self.token, headers=_HEADERS)
        return Hub(api, has_token=bool(self.token))


integration = Integration("github", Account, about="Repositories, issues, commits and releases on GitHub.")


@integration.identifies
def identify(hub: Hub) -> str:
    """Say whose token it is, or how often nobody in particular may still ask.

    The rate limit's own path costs nothing (https://docs.github.com/en/rest/rate-limit/rate-limit).
    """
    core = inner(thing_of(hub.api.get("/rate_limit")), "resources", "core")
    left = f"{core['remaining']} of {core['limit']} requests left this hour"
    return f"{hub.login() if hub.has_token else 'nobody (no token)'}, {left}"


@integration.simulator
def simulate(account: str) -> Send:
    """Return a GitHub of its own for an account."""
    from .simulator import Simulator

    return Simulator(account)
