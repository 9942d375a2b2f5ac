"""Operations of the simulator on response headers, redirects and rewrites of static sites."""

from __future__ import annotations

from ...wire import Thing
from ..bodies import HEADER, ROUTE
from ..call import Call, Refusal, Reply, among, demanded, paged, routes, service_of
from ..demands import TEXT, a, listing, record
from ..world import World

_HEADERS = listing(HEADER)
_ROUTES = listing(record({"type": a(str, "redirect", "rewrite"), "source": TEXT, "destination": TEXT}))


@routes.on("GET", "/services/{service_id}/headers")
def list_headers(world: World, call: Call) -> Reply:
    return paged(_rules(world, call, "headers"), "header", call)


@routes.on("POST", "/services/{service_id}/headers")
def add_header(world: World, call: Call) -> Reply:
    """Add a header. The reply has it in an object, unlike that of :func:`add_route`."""
    rules = _rules(world, call, "headers")
    rules.append({"id": world.new_id("hdr")} | demanded(HEADER, call.body))
    return Reply(201, {"headers": rules[-1]})


@routes.on("PUT", "/services/{service_id}/headers")
def replace_all_headers(world: World, call: Call) -> Reply:
    rules, wanted = _rules(world, call, "headers"), demanded(_HEADERS, call.body)
    rules[:] = [{"id": world.new_id("hdr", place)} | each for place, each in enumerate(wanted)]
    return Reply(200, rules)


@routes.on("DELETE", "/services/{service_id}/headers/{header_id}")
def delete_header(world: World, call: Call) -> Reply:
    rules = _rules(world, call, "headers")
    rules.remove(among({each["id"]: each for each in rules}, call.segments["header_id"]))
    return Reply(204)


@routes.on("GET", "/services/{service_id}/routes")
def list_routes(world: World, call: Call) -> Reply:
    return paged(_numbered(_rules(world, call, "routes")), "route", call)


@routes.on("POST", "/services/{service_id}/routes")
def add_route(world: World, call: Call) -> Reply:
    rules, wanted = _rules(world, call, "routes"), demanded(ROUTE, call.body)
    place = wanted.pop("priority", None)
    place = len(rules) if place is None else min(place, len(rules))
    rules.insert(place, {"id": world.new_id("rdr")} | wanted)
    return Reply(201, _numbered(rules)[place])


@routes.on("PUT", "/services/{service_id}/routes")
def replace_all_routes(world: World, call: Call) -> Reply:
    rules, wanted = _rules(world, call, "routes"), demanded(_ROUTES, call.body)
    rules[:] = [{"id": world.new_id("rdr", place)} | each for place, each in enumerate(wanted)]
    return Reply(200, _numbered(rules))


@routes.on("DELETE", "/services/{service_id}/routes/{route_id}")
def delete_route(world: World, call: Call) -> Reply:
    rules = _rules(world, call, "routes")
    rules.remove(among({each["id"]: each for each in rules}, call.segments["route_id"]))
    return Reply(204)


def _rules(world: World, call: Call, kind: str) -> list[Thing]:
    service = service_of(world, call)
    if service["type"] != "static_site":
        raise Refusal(400, f"a {service['type']} has neither headers nor routes")
    return world.rules_of(service)[kind]


def _numbered(rules: list[Thing]) -> list[Thing]:
    return [rule | {"priority": place} for place, rule in enumerate(rules)]
