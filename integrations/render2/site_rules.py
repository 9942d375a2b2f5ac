"""Functions for the rules of static sites: response headers, redirects and rewrites."""

from typing import Annotated, Literal, TypedDict, cast

from kosmolua.plugin import between, non_empty

from . import inverses
from .account import integration
from .paging import All, Cursor, Limit, listed
from .parameters import ServiceId, Words, id_like
from .render import Render
from .settings import Header
from .wire import Thing, filled, thing_of, things_of

_HEADERS = "/services/{service_id}/headers"
_ROUTES = "/services/{service_id}/routes"
RouteType = Literal["redirect", "rewrite"]


class HeaderRule(TypedDict):
    """A response header that a static site sends for matching paths."""

    id: str
    path: str
    name: str
    value: str


class HeaderPage(TypedDict):
    headers: list[HeaderRule]
    cursor: str | None


class OneHeader(TypedDict):
    header: HeaderRule


class DeletedHeader(TypedDict):
    header_id: str
    deleted: bool


class NewRoute(TypedDict):
    """A redirect or rewrite. Its position in the list ``routes`` of replace_all_routes becomes its priority."""

    type: RouteType
    source: str
    destination: str


class RouteRule(TypedDict):
    """A redirect or rewrite; of the rules that match, the one with the smallest priority applies."""

    id: str
    type: str
    source: str
    destination: str
    priority: int


class RoutePage(TypedDict):
    routes: list[RouteRule]
    cursor: str | None


class OneRoute(TypedDict):
    route: RouteRule


class DeletedRoute(TypedDict):
    route_id: str
    deleted: bool


HeaderPath = Annotated[str, 'The paths that get the header, such as "/*".', non_empty()]


@integration.reads
def list_headers(
    render: Render,
    /,
    *,
    service_id: ServiceId,
    limit: Limit = 20,
    cursor: Cursor = None,
    path: Annotated[Words, "Return only headers for these paths: one path or a list."] = None,
    name: Annotated[Words, "Return only headers with these names: one name or a list."] = None,
    value: Annotated[Words, "Return only headers with these values: one value or a list."] = None,
    all: All = False,
) -> HeaderPage:
    """List the response headers of a static site."""
    found, after = listed(_HEADERS, "header", **locals())
    return {"headers": [_header(each) for each in found], "cursor": after}


def _header_there(render: Render, /, *, service_id: ServiceId, path: str, name: str, value: str) -> OneHeader | None:
    """Return the result of the addition if the site has this header."""
    same = list_headers(render, service_id=service_id, path=path, name=name, value=value)["headers"]
    return {"header": same[0]} if same else None


@integration.writes(
    was_done=_header_there,
    undo=inverses.dropped("delete_header", "header_id", "header", "id", service_id="service_id"),
)
def add_header(
    render: Render,
    /,
    *,
    service_id: ServiceId,
    path: HeaderPath,
    name: Annotated[str, 'The header\'s name, such as "X-Frame-Options".', non_empty()],
    value: Annotated[str, "The header's value."],
) -> OneHeader:
    """Add a response header to a static site; other headers stay as they are."""
    reply = thing_of(
        render.api.post(_HEADERS, json={"path": path, "name": name, "value": value}, service_id=service_id)
    )
    return {"header": _header(reply.get("headers") or reply)}


@integration.destroys(before=inverses.HEADERS, undo=inverses.HEADERS_BACK)
def replace_all_headers(
    render: Render,
    /,
    *,
    service_id: ServiceId,
    headers: Annotated[
        list[Header], 'All headers that the site will have: { { path = "/*", name = ..., value = ... } }.'
    ],
) -> HeaderPage:
    """Replace all response headers of a static site: every header that is not given is deleted."""
    reply = render.api.put(_HEADERS, json=headers, service_id=service_id)
    return {"headers": [_header(each) for each in things_of(reply)], "cursor": None}


@integration.destroys(before=inverses.HEADERS, undo=inverses.HEADER_BACK)
def delete_header(
    render: Render,
    /,
    *,
    service_id: ServiceId,
    header_id: Annotated[str, "The header rule's id.", id_like("hdr-cabc12345678")],
) -> DeletedHeader:
    """Delete a response header of a static site."""
    render.api.delete(_HEADERS + "/{header_id}", service_id=service_id, header_id=header_id)
    return {"header_id": header_id, "deleted": True}


@integration.reads
def list_routes(
    render: Render,
    /,
    *,
    service_id: ServiceId,
    limit: Limit = 20,
    cursor: Cursor = None,
    type: Annotated[RouteType | None, "Return only redirects, or only rewrites."] = None,
    source: Annotated[Words, "Return only routes from these paths: one path or a list."] = None,
    destination: Annotated[Words, "Return only routes to these targets: one target or a list."] = None,
    all: All = False,
) -> RoutePage:
    """List the redirects and rewrites of a static site, by priority."""
    found, after = listed(_ROUTES, "route", **locals())
    return {"routes": [_route(each) for each in found], "cursor": after}


def _route_there(
    render: Render,
    /,
    *,
    service_id: ServiceId,
    type: RouteType,
    source: str,
    destination: str,
    priority: int | None = None,
) -> OneRoute | None:
    """Return the result of the addition if the site has this rule, at this position if one is given."""
    alike = list_routes(render, service_id=service_id, type=type, source=source, destination=destination)["routes"]
    same = [each for each in alike if priority in (None, each["priority"])]
    return {"route": same[0]} if same else None


@integration.writes(
    was_done=_route_there,
    undo=inverses.dropped("delete_route", "route_id", "route", "id", service_id="service_id"),
)
def add_route(
    render: Render,
    /,
    *,
    service_id: ServiceId,
    type: Annotated[RouteType, 'With "redirect" visitors see the new address, with "rewrite" they do not.'],
    source: Annotated[str, 'The path that is requested, such as "/blog/*".', non_empty()],
    destination: Annotated[str, "The target: a path or a full URL.", non_empty()],
    priority: Annotated[
        int | None, "The rule's position, starting at 0; without one, the rule comes last.", between(0, 10_000)
    ] = None,
) -> OneRoute:
    """Add a redirect or rewrite to a static site; other rules move down if necessary."""
    body: Thing = {"type": type, "source": source, "destination": destination}
    body |= {} if priority is None else {"priority": priority}
    return {"route": _route(thing_of(render.api.post(_ROUTES, json=body, service_id=service_id)))}


@integration.destroys(before=inverses.ROUTES, undo=inverses.ROUTES_BACK)
def replace_all_routes(
    render: Render,
    /,
    *,
    service_id: ServiceId,
    routes: Annotated[
        list[NewRoute],
        'All rules, in order of priority: { { type = "redirect", source = "/a", destination = "/b" } }.',
    ],
) -> RoutePage:
    """Replace all redirects and rewrites of a static site: every rule that is not given is deleted."""
    reply = render.api.put(_ROUTES, json=routes, service_id=service_id)
    return {"routes": [_route(each) for each in things_of(reply)], "cursor": None}


@integration.destroys(before=inverses.ROUTES, undo=inverses.ROUTE_BACK)
def delete_route(
    render: Render,
    /,
    *,
    service_id: ServiceId,
    route_id: Annotated[str, "The rule's id.", id_like("rdr-cabc12345678")],
) -> DeletedRoute:
    """Delete a redirect or rewrite of a static site."""
    render.api.delete(_ROUTES + "/{route_id}", service_id=service_id, route_id=route_id)
    return {"route_id": route_id, "deleted": True}


def _header(header: Thing) -> HeaderRule:
    return cast(HeaderRule, filled(header, id="", path="", name="", value=""))


def _route(route: Thing) -> RouteRule:
    return cast(RouteRule, filled(route, id="", type="", source="", destination="", priority=0))
