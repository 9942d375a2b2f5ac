"""The hub, through which functions use a GitHub account, and the waiting time for rate limit errors that state none."""

from __future__ import annotations

from dataclasses import replace

from kosmolua.plugin import Api, Request, Response, Send

from .wire import text, thing_of

SECONDS_TO_WAIT = "60"


class Hub:
    """The first argument of every function of the integration: one account during one run of a script."""

    def __init__(self, api: Api, *, has_token: bool) -> None:
        self.api = api
        self.has_token = has_token
        self._organisations: dict[str, bool] = {}

    def login(self) -> str:
        """Return the login of the token's user (https://docs.github.com/en/rest/users/users)."""
        return text(thing_of(self.api.get("/user")), "login")

    def is_organisation(self, owner: str) -> bool:
        """Return True if an owner is an organisation, whose repositories are listed at another path than a user's."""
        if owner not in self._organisations:
            user = thing_of(self.api.get("/users/{username}", username=owner))
            self._organisations[owner] = text(user, "type") == "Organization"
        return self._organisations[owner]


def with_waiting_times(send: Send) -> Send:
    """Wrap ``send`` so that a response about a secondary rate limit says how long to wait: at least a minute.

    See https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api. Requests of GraphQL go to the
    address that GitHub Enterprise Server has for them, beside that of REST.
    """

    def patient(request: Request) -> Response:
        if request.url.endswith("/api/v3/graphql"):
            request = replace(request, url=f"{request.url.removesuffix('/v3/graphql')}/graphql")
        response = send(request)
        secondary = response.status in (403, 429) and b"secondary rate limit" in response.body
        if not secondary or _says_how_long(response):
            return response
        return replace(response, headers={**response.headers, "Retry-After": SECONDS_TO_WAIT})

    return patient


def _says_how_long(response: Response) -> bool:
    return response.header("Retry-After") is not None or response.header("X-RateLimit-Remaining") == "0"
