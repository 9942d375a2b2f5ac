"""One run's view of GitHub: its client, who owns what, and its refusals that say too little."""

from __future__ import annotations

from dataclasses import replace

from kosmolua.plugin import Api, Request, Response, Send

from .wire import text, thing_of

SECONDS_TO_WAIT = "60"


class Hub:
    """What every function of the integration gets.

    Args:
        api: The client of the account.
        has_token: Whether the account is somebody's.
    """

    def __init__(self, api: Api, *, has_token: bool) -> None:
        self.api = api
        self.has_token = has_token
        self._organisations: dict[str, bool] = {}

    def login(self) -> str:
        """Return the name of the token's user, as https://docs.github.com/en/rest/users/users has it."""
        return text(thing_of(self.api.get("/user")), "login")

    def is_organisation(self, owner: str) -> bool:
        """Say what an owner of repositories is: users and organisations list theirs at different paths.

        See https://docs.github.com/en/rest/users/users#get-a-user.
        """
        if owner not in self._organisations:
            user = thing_of(self.api.get("/users/{username}", username=owner))
            self._organisations[owner] = text(user, "type") == "Organization"
        return self._organisations[owner]


def told_to_wait(send: Send) -> Send:
    """Return a ``send`` whose refusals for coming too often all say how long to wait.

    A secondary rate limit may be a 403 or 429 with nothing but a sentence to tell it from others, and means at least a
    minute then (https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api).
    """

    def patient(request: Request) -> Response:
        response = send(request)
        secondary = response.status in (403, 429) and b"secondary rate limit" in response.body
        if not secondary or _says_how_long(response):
            return response
        return replace(response, headers={**response.headers, "Retry-After": SECONDS_TO_WAIT})

    return patient


def _says_how_long(response: Response) -> bool:
    return response.header("Retry-After") is not None or response.header("X-RateLimit-Remaining") == "0"
