"""Operations of the simulator on custom domains."""

from __future__ import annotations

from ...wire import Thing
from ..call import Call, Refusal, Reply, among, demanded, paged, routes, service_of
from ..demands import TEXT, record
from ..seeds import services
from ..world import World

_DOMAIN = record({"name": TEXT})


@routes.on("GET", "/services/{service_id}/custom-domains")
def list_custom_domains(world: World, call: Call) -> Reply:
    return paged(world.domains_of(service_of(world, call)), "customDomain", call)


@routes.on("POST", "/services/{service_id}/custom-domains")
def create_custom_domain(world: World, call: Call) -> Reply:
    """Add a domain, and with an apex domain also the domain with www."""
    service = service_of(world, call)
    name = demanded(_DOMAIN, call.body)["name"]
    domains = world.domains_of(service)
    if any(domain["name"] == name for domain in domains):
        raise Refusal(409, f"{name} is already a custom domain")
    if service["type"] not in ("web_service", "static_site"):
        raise Refusal(400, f"a {service['type']} cannot have custom domains")
    names = [name, f"www.{name}"] if name.count(".") == 1 else [name]
    added = [services.domain(service, each, "unverified", world.now) for each in names]
    domains.extend(added)
    return Reply(201, added)


@routes.on("GET", "/services/{service_id}/custom-domains/{domain}")
def get_custom_domain(world: World, call: Call) -> Reply:
    return Reply(200, _domain(world, call)[1])


@routes.on("POST", "/services/{service_id}/custom-domains/{domain}/verify")
def verify_custom_domain(world: World, call: Call) -> Reply:
    _domain(world, call)[1]["verificationStatus"] = "verified"
    return Reply(202)


@routes.on("DELETE", "/services/{service_id}/custom-domains/{domain}")
def delete_custom_domain(world: World, call: Call) -> Reply:
    domains, domain = _domain(world, call)
    domains.remove(domain)
    return Reply(204)


def _domain(world: World, call: Call) -> tuple[list[Thing], Thing]:
    domains = world.domains_of(service_of(world, call))
    known = {name: each for each in domains for name in (each["id"], each["name"])}
    return domains, among(known, call.segments["domain"])
