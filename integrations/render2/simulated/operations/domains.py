"""Operations of the simulator on custom domains."""

from __future__ import annotations

from ...wire import Thing
from ..call import Call, Refusal, Reply, among, demanded, paged, service_of
from ..demands import TEXT, record
from ..seeds import services
from ..world import World

_DOMAIN = record({"name": TEXT})


def list_custom_domains(world: World, call: Call) -> Reply:
    """Simulate Render's endpoint ``GET /services/{service_id}/custom-domains``."""
    names = ("name", "domainType", "verificationStatus")
    domains = world.domains_of(service_of(world, call))
    return paged(
        [each for each in domains if call.fits(each, names) and call.within(each, "created")], "customDomain", call
    )


def create_custom_domain(world: World, call: Call) -> Reply:
    """Simulate Render's endpoint ``POST /services/{service_id}/custom-domains``.

    For an apex domain the endpoint also adds the domain with www.
    """
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


def get_custom_domain(world: World, call: Call) -> Reply:
    """Simulate Render's endpoint ``GET /services/{service_id}/custom-domains/{domain}``."""
    return Reply(200, _domain(world, call)[1])


def verify_custom_domain(world: World, call: Call) -> Reply:
    """Simulate Render's endpoint ``POST /services/{service_id}/custom-domains/{domain}/verify``."""
    _domain(world, call)[1]["verificationStatus"] = "verified"
    return Reply(202)


def delete_custom_domain(world: World, call: Call) -> Reply:
    """Simulate Render's endpoint ``DELETE /services/{service_id}/custom-domains/{domain}``."""
    domains, domain = _domain(world, call)
    domains.remove(domain)
    return Reply(204)


def _domain(world: World, call: Call) -> tuple[list[Thing], Thing]:
    domains = world.domains_of(service_of(world, call))
    known = {name: each for each in domains for name in (each["id"], each["name"])}
    return domains, among(known, call.segments["domain"])
