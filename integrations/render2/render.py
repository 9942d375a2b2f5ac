"""One run's view of one Render account: its client, its workspace, and which service a deploy belongs to."""

from __future__ import annotations

from kosmolua.plugin import Api, CallError

from .wire import Thing, page_of, thing_of


class Render:
    """What every function of the integration gets.

    Args:
        api: The client of the account; it joins lists in a query by commas, as most of Render's paths have it.
        repeating: The same for those paths that want the name repeated; their documentation has no ``explode: false``.
        owner_id: The workspace that the accounts file names, if it names one.
    """

    def __init__(self, api: Api, repeating: Api, owner_id: str | None = None) -> None:
        self.api = api
        self.repeating = repeating
        self._owner_id = owner_id
        self._services: dict[str, str] = {}
        self._workspaces: dict[str, str] = {}

    def remember(self, deploy_id: str, service_id: str) -> None:
        """Note which service a deploy belongs to: Render finds no deploy by its own id alone."""
        self._services[deploy_id] = service_id

    def service_of(self, deploy_id: str) -> str | None:
        """Return the service that a deploy seen earlier in this run belongs to, or None."""
        return self._services.get(deploy_id)

    def owners(self) -> list[Thing]:
        """Return the first hundred workspaces that the key reaches."""
        return page_of(self.api.get("/owners", query={"limit": 100}), "owner")[0]

    def workspace(self, owner_id: str | None = None) -> str:
        """Return the id of the workspace to work in: the one given, the account's own, or the only one there is.

        Raises:
            CallError: The key reaches several workspaces, or none, and nothing says which one is meant.
        """
        if owner_id:
            return owner_id
        if self._owner_id is None:
            self._owner_id = self._only_workspace()
        return self._owner_id

    def workspace_of(self, service_id: str) -> str:
        """Return the id of the workspace that a service is in, as the service tells it."""
        if service_id not in self._workspaces:
            service = thing_of(self.api.get("/services/{service_id}", service_id=service_id))
            self._workspaces[service_id] = str(service.get("ownerId"))
        return self._workspaces[service_id]

    def _only_workspace(self) -> str:
        owners = self.owners()
        if len(owners) == 1:
            return str(owners[0].get("id"))
        if not owners:
            raise CallError("not_configured", "This Render key reaches no workspace")
        listed = ", ".join(f"{owner.get('id')} ({owner.get('name')})" for owner in owners)
        raise CallError(
            "bad_arguments",
            f"This Render key reaches {len(owners)} workspaces, so it is not clear which one is meant: {listed}",
            param="owner_id",
            hint="say which one with owner_id, here or in the accounts file",
        )
