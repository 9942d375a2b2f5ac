"""A small Render for hostile scripts: four calls to a real server, and one that returns as much as it is asked for."""

from dataclasses import dataclass
from typing import Annotated, Any

from kosmolua.plugin import Api, CallError, Integration, Secret, Send, matching

ServiceId = Annotated[str, "The service."]


@dataclass(frozen=True)
class Account:
    """One key."""

    api_key: Annotated[Secret, "A key."]
    base_url: str = "http://127.0.0.1:1/v1"

    def open(self, send: Send) -> Api:
        return Api(send, self.base_url, bearer=self.api_key)


integration = Integration("render", Account, about="A small Render.")


def checked(service_id: str) -> str:
    if not service_id.removeprefix("srv-").isascii() or not service_id.removeprefix("srv-").isalnum():
        raise CallError("bad_argument", "service_id must be like srv-1", param="service_id")
    if not service_id.startswith("srv-") or service_id != service_id.lower() or len(service_id) > 40:
        raise CallError("bad_argument", "service_id must be like srv-1", param="service_id")
    return service_id


@integration.reads
def list_services(
    api: Api,
    /,
    *,
    limit: Annotated[
        int | None,
        "How many.",
    ] = None,
    name: Annotated[str | None, "Only this name."] = None,
) -> list[Any]:
    """List services."""
    if limit is not None and limit < 1:
        raise CallError("bad_argument", "limit must be positive", param="limit")
    return api.get("/services", query={"limit": limit, "name": name})


@integration.reads
def get_service(api: Api, /, *, service_id: ServiceId) -> dict[str, Any]:
    """Get a service."""
    return api.get("/services/{service_id}", service_id=checked(service_id))


@integration.writes
def restart_service(api: Api, /, *, service_id: ServiceId) -> dict[str, Any]:
    """Restart a service."""
    return api.post("/services/{service_id}", service_id=checked(service_id))


@integration.writes
def set_env(
    api: Api,
    /,
    *,
    service_id: ServiceId,
    key: Annotated[str, "The variable.", matching(r"[A-Za-z_][A-Za-z0-9_]*", "NODE_ENV")],
    value: Annotated[str, "Its value."],
) -> dict[str, Any]:
    """Set a variable."""
    return api.put("/services/{service_id}", service_id=checked(service_id), json={"key": key, "value": value})


@integration.reads
def big(api: Api, /, *, size: Annotated[int, "Bytes."]) -> dict[str, Any]:
    """Return as much as asked for."""
    return {"data": "x" * size}
