"""The object through which functions use a Render account. It also remembers which service a deploy belongs to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kosmolua.plugin import Api, ApiError, CallError

from .wire import Thing, page_of, thing_of

NOT_FOUND = 404


class Render:
    """The first argument of every function of the integration: one account during one run of a script.

    ``api`` joins the values of a list in a query with commas, as most paths require; ``repeating`` repeats the name of
    the parameter, for paths whose parameters lack ``explode: false`` in Render's OpenAPI document.
    """

    def __init__(self, api: Api, repeating: Api, owner_id: str | None = None) -> None:
        self.api = api
        self.repeating = repeating
        self._owner_id = owner_id
        self.services: dict[str, str] = {}
        """The service of each deploy that a call of this run returned: Render cannot find a deploy by its id alone."""
        self._workspaces: dict[str, str] = {}

    def owners(self) -> list[Thing]:
        """Return the first hundred workspaces that the API key can access."""
        return page_of(self.api.get("/owners", query={"limit": 100}), "owner")[0]

    def workspace(self, owner_id: str | None = None) -> str:
        """Return the id of the workspace to use: the given one, else that of the accounts file, else the only one."""
        if owner_id:
            return owner_id
        if self._owner_id is None:
            self._owner_id = self._only_workspace()
        return self._owner_id

    def workspace_of(self, service_id: str) -> str:
        """Return the id of a service's workspace. Only the first call for a service sends a request."""
        if service_id not in self._workspaces:
            service = thing_of(self.api.get("/services/{service_id}", service_id=service_id))
            self._workspaces[service_id] = str(service.get("ownerId") or self.workspace())
        return self._workspaces[service_id]

    def name_at(self, path: str, **ids: Any) -> str:
        """Return the name of what is at a path."""
        return str(thing_of(self.api.get(path, **ids)).get("name", ""))

    def is_gone(self, path: str, **ids: Any) -> bool:
        """Return True if Render has nothing with an id or a name that it has had: it was deleted."""
        try:
            self.api.get(path, **ids)
        except ApiError as error:
            if error.status == NOT_FOUND:
                return True
            raise
        return False

    def accepted(self, path: str, json: Thing | None = None, **ids: Any) -> Any:
        """Send an order, which Render accepts without a result, and return the result for scripts: the ids."""
        self.api.post(path, json=json, **ids)
        return {**ids, "accepted": True}

    def _only_workspace(self) -> str:
        owners = self.owners()
        if len(owners) == 1:
            return str(owners[0].get("id"))
        if not owners:
            raise CallError("not_configured", "This Render key has access to no workspace")
        listed = ", ".join(f"{owner.get('id')} ({owner.get('name')})" for owner in owners)
        raise CallError(
            "bad_arguments",
            f"This Render key can access {len(owners)} workspaces, and no owner_id says which one to use: {listed}",
            param="owner_id",
            hint="give owner_id in the call or in the accounts file",
        )


def deletion(path: str, told: str) -> Callable[..., Any]:
    """Return a function that returns the result of a deletion at a path, with the id ``told``, if it was done."""

    def was_done(render: Render, /, **ids: Any) -> Any:
        return {told: ids[told], "deleted": True} if render.is_gone(path, **ids) else None

    return was_done
