"""Checks of queries: the parameters that each path accepts (https://api-docs.render.com/reference)."""

from __future__ import annotations

from collections.abc import Mapping

from .demands import A_TIME, AT_MOST_100, SECONDS, TEXT, Demand, a

_PAGED: dict[str, Demand] = {"limit": AT_MOST_100, "cursor": TEXT}
_FLAG = a(str, "true", "false")


def _texts(*names: str) -> dict[str, Demand]:
    return dict.fromkeys(names, TEXT)


def _spans(*events: str) -> dict[str, Demand]:
    return {f"{event}{side}": A_TIME for event in events for side in ("Before", "After")}


_FROM_TO: dict[str, Demand] = {"startTime": A_TIME, "endTime": A_TIME}
_RESOURCES = _PAGED | _texts("name", "region", "ownerId", "environmentId") | _spans("created", "updated")
QUERIES: dict[str, Mapping[str, Demand]] = {
    "/services": _RESOURCES | _texts("type", "suspended", "env") | {"includePreviews": _FLAG},
    "/services/{service_id}/deploys": _PAGED | _texts("status") | _spans("created", "updated", "finished"),
    "/services/{service_id}/jobs": _PAGED | _texts("status") | _spans("created", "started", "finished"),
    "/services/{service_id}/events": _PAGED | _FROM_TO | _texts("type"),
    "/services/{service_id}/env-vars": _PAGED,
    "/services/{service_id}/secret-files": _PAGED,
    "/services/{service_id}/headers": _PAGED | _texts("path", "name", "value"),
    "/services/{service_id}/routes": _PAGED | _texts("type", "source", "destination"),
    "/disks": _PAGED | _texts("ownerId", "diskId", "name", "serviceId") | _spans("created", "updated"),
    "/env-groups": _PAGED | _texts("name", "ownerId", "environmentId") | _spans("created", "updated"),
    "/projects": _PAGED | _texts("name", "ownerId") | _spans("created", "updated"),
    "/environments": _PAGED | _texts("name", "projectId", "environmentId", "ownerId") | _spans("created", "updated"),
    "/metrics/{metric}": _FROM_TO
    | _texts("resource", "instance", "host", "path", "quantile")
    | {
        "resolutionSeconds": SECONDS,
        "aggregationMethod": a(str, "AVG", "MAX", "MIN"),
        "aggregateBy": a(str, "statusCode", "host"),
    },
    "/services/{service_id}/custom-domains": _PAGED
    | _texts("name")
    | _spans("created")
    | {"domainType": a(str, "apex", "subdomain"), "verificationStatus": a(str, "verified", "unverified")},
    "/owners": _PAGED | _texts("name", "email"),
    "/postgres": _RESOURCES | _texts("suspended") | {"includeReplicas": _FLAG},
    "/key-value": _RESOURCES,
    "/logs": _FROM_TO
    | _texts("ownerId", "resource", "level", "type", "text", "instance", "host", "method", "path", "statusCode")
    | _texts("task", "taskRun")
    | {"limit": AT_MOST_100, "direction": a(str, "backward", "forward")},
}
"""The query parameters that each path accepts. Paths that accept none are left out."""


def complaint_about_query(path: str, query: Mapping[str, list[str]]) -> str | None:
    """Return what is wrong with the query of a request to a path, given as a template, or None."""
    demands = QUERIES.get(path, {})
    for name, values in query.items():
        if name not in demands:
            return f"unknown parameter {name}"
        for value in values:
            wrong = demands[name](value, name)
            if wrong:
                return wrong
    return None
