"""The settings of a GitHub account in accounts.toml, and the integration that the other modules add functions to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from kosmolua.plugin import Api, CallError, Integration, OAuth2, Secret, Send

from . import inverses
from .hub import Hub, with_waiting_times
from .labels import LABELS
from .wire import inner, thing_of

_HEADERS = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}
"""The headers of each request (https://docs.github.com/en/rest/about-the-rest-api/api-versions)."""


@dataclass(frozen=True)
class Account:
    """The settings of one GitHub account. An account without a token reads public data, with 60 requests an hour."""

    token: Annotated[
        Secret | None,
        "A token, created under Settings > Developer settings > Personal access tokens.",
        OAuth2(
            token="https://github.com/login/oauth/access_token",
            device="https://github.com/login/device/code",
            scopes=("repo",),
        ),
    ] = None
    client_id: Annotated[
        str | None, "The client id of an OAuth app that allows device flow, for kosmolua accounts login."
    ] = None
    base_url: Annotated[str, "The URL of the API; for GitHub Enterprise Server, https://HOST/api/v3."] = (
        "https://api.github.com"
    )

    def open(self, send: Send) -> Hub:
        """Return the hub that functions get as their first argument. It sends its requests with ``send``."""
        api = Api(with_waiting_times(send), self.base_url, bearer=self.token, headers=_HEADERS)
        return Hub(api, has_token=bool(self.token))


integration = Integration(
    "github",
    Account,
    about="Repositories, issues, pull requests, workflow runs, files and releases on GitHub.",
    labels=LABELS,
)


integration.extend(__file__, api=lambda hub: hub.api, declared=inverses.OF_DOCUMENT)


@integration.identifies
def identify(hub: Hub, /) -> str:
    """Return a text that names the token's user, or nobody, and says how many requests are left this hour."""
    left = _requests_left(hub)
    return f"{hub.login() if hub.has_token else 'nobody (no token)'}, {left}"


def _requests_left(hub: Hub) -> str:
    """Say how many requests are left this hour, if the server has a limit; asking does not count as a request."""
    try:
        limits = thing_of(hub.api.get("/rate_limit"))
    except CallError as error:
        if error.status == 404:
            return "without a rate limit"
        raise
    left, most = (inner(limits, "resources", "core", key) for key in ("remaining", "limit"))
    return f"{left} of {most} requests left this hour"


@integration.simulator
def simulate(account: str, *, state: Mapping[str, Any] | None = None) -> Send:
    """Return a simulator of an account. ``state`` is an earlier result of ``Simulator.dump``; None starts anew."""
    from .simulator import Simulator

    return Simulator(account, state=state)
