"""Operations of the simulator on response headers, redirects and rewrites of static sites."""

from __future__ import annotations

from ...wire import Thing
from ..bodies import HEADER, ROUTE
from ..call import Call, Refusal, Reply, among, demanded, paged, service_of
from ..demands import TEXT, a, listing, record
from ..world import World

_HEADERS = record({"rules": listing(HEADER)})
_ROUTES = record(
    {"rules": listing(record({"type": a(str, "redirect", "rewrite"), "source": TEXT, "destination": TEXT}))}
)


def list_headers(world: World, call: Call) -> Reply:
    """Simulate Render's endpoint ``GET /services/{service_id}/headers``."""
    return paged(
        [each for each in _rules(world, call, "headers") if call.fits(each, ("path", "name", "value"))], "header", call
    )


def add_header(world: World, call: Call) -> Reply:
    """Simulate Render's endpoint ``POST /services/{service_id}/headers``, which returns the new header in an object."""
    rules = _rules(world, call, "headers")
    rules.append({"id": world.new_id("hdr")} | demanded(HEADER, call.body))
    return Reply(201, {"headers": rules[-1]})


def replace_all_headers(world: World, call: Call) -> Reply:
    """Simulate Render's endpoint ``PUT /services/{service_id}/headers``."""
    rules, wanted = _rules(world, call, "headers"), demanded(_HEADERS, {"rules": call.body})["rules"]
    rules[:] = [{"id": world.new_id("hdr", place)} | each for place, each in enumerate(wanted)]
    return Reply(200, rules)


def delete_header(world: World, call: Call) -> Reply:
    """Simulate Render's endpoint ``DELETE /services/{service_id}/headers/{header_id}``."""
    rules = _rules(world, call, "headers")
    rules.remove(among({each["id"]: each for each in rules}, call.segments["header_id"]))
    return Reply(204)


def list_routes(world: World, call: Call) -> Reply:
    """Simulate Render's endpoint ``GET /services/{service_id}/routes``."""
    found = [
        each for each in _numbered(_rules(world, call, "routes")) if call.fits(each, ("type", "source", "destination"))
    ]
    return paged(found, "route", call)


def add_route(world: World, call: Call) -> Reply:
    """Simulate Render's endpoint ``POST /services/{service_id}/routes``."""
    rules, wanted = _rules(world, call, "routes"), demanded(ROUTE, call.body)
    place = wanted.pop("priority", None)
    place = len(rules) if place is None else min(place, len(rules))
    rules.insert(place, {"id": world.new_id("rdr")} | wanted)
    return Reply(201, _numbered(rules)[place])


def replace_all_routes(world: World, call: Call) -> Reply:
    """Simulate Render's endpoint ``PUT /services/{service_id}/routes``, where the first route gets priority 0."""
    rules, wanted = _rules(world, call, "routes"), demanded(_ROUTES, {"rules": call.body})["rules"]
    rules[:] = [{"id": world.new_id("rdr", place)} | each for place, each in enumerate(wanted)]
    return Reply(200, _numbered(rules))


def delete_route(world: World, call: Call) -> Reply:
    """Simulate Render's endpoint ``DELETE /services/{service_id}/routes/{route_id}``."""
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
