"""Functions for the custom domains of a service."""

from typing import Annotated, Any, Literal, TypedDict, cast

from kosmolua.plugin import matching

from . import inverses
from .account import integration
from .paging import All, Cursor, Limit, listed
from .parameters import CreatedAfter, CreatedBefore, Domain, Names, ServiceId
from .render import Render
from .wire import Thing, filled, thing_of, things_of

_DOMAINS = "/services/{service_id}/custom-domains"
_DOMAIN = "/services/{service_id}/custom-domains/{domain}"


class CustomDomain(TypedDict):
    """A custom domain. Its verificationStatus is verified or unverified; its domainType is apex or subdomain."""

    id: str
    name: str
    domainType: str
    publicSuffix: str
    redirectForName: str
    verificationStatus: str
    server: dict[str, Any] | None
    createdAt: str


class DomainPage(TypedDict):
    custom_domains: list[CustomDomain]
    cursor: str | None


class OneDomain(TypedDict):
    custom_domain: CustomDomain


class NewDomains(TypedDict):
    """The domains that were added. Render adds an apex domain and its www domain together."""

    custom_domains: list[CustomDomain]


class DeletedDomain(TypedDict):
    domain: str
    deleted: bool


class VerifyingDomain(TypedDict):
    """A check of the domain's DNS that Render will make; get_custom_domain shows the outcome."""

    domain: str
    accepted: bool


@integration.reads
def list_custom_domains(
    render: Render,
    /,
    *,
    service_id: ServiceId,
    limit: Limit = 20,
    cursor: Cursor = None,
    name: Names = None,
    domain_type: Annotated[Literal["apex", "subdomain"] | None, "Return only domains of this type."] = None,
    verification_status: Annotated[
        Literal["verified", "unverified"] | None, "Return only domains with this status."
    ] = None,
    created_before: CreatedBefore = None,
    created_after: CreatedAfter = None,
    all: All = False,
) -> DomainPage:
    """List the custom domains of a service."""
    found, after = listed(_DOMAINS, "customDomain", **locals())
    return {"custom_domains": [_shaped(domain) for domain in found], "cursor": after}


@integration.reads
def get_custom_domain(render: Render, /, *, service_id: ServiceId, domain: Domain) -> OneDomain:
    """Get one custom domain of a service, and whether it is verified."""
    return {"custom_domain": _shaped(thing_of(render.api.get(_DOMAIN, service_id=service_id, domain=domain)))}


@integration.writes(undo=inverses.domains_dropped)
def create_custom_domain(
    render: Render,
    /,
    *,
    service_id: ServiceId,
    name: Annotated[str, "The domain's name.", matching(r"[A-Za-z0-9.*-]+", "www.example.com")],
) -> NewDomains:
    """Add a custom domain to a service. Render verifies the domain once its DNS points to Render."""
    reply = render.api.post(_DOMAINS, json={"name": name}, service_id=service_id)
    return {"custom_domains": [_shaped(domain) for domain in things_of(reply)]}


@integration.writes(undo=inverses.NO_CHANGE)
def verify_custom_domain(render: Render, /, *, service_id: ServiceId, domain: Domain) -> VerifyingDomain:
    """Make Render check the DNS of a custom domain again."""
    render.api.post(_DOMAIN + "/verify", service_id=service_id, domain=domain)
    return {"domain": domain, "accepted": True}


@integration.destroys(before=inverses.DOMAIN, undo=inverses.domain_back)
def delete_custom_domain(render: Render, /, *, service_id: ServiceId, domain: Domain) -> DeletedDomain:
    """Remove a custom domain from a service."""
    render.api.delete(_DOMAIN, service_id=service_id, domain=domain)
    return {"domain": domain, "deleted": True}


def _shaped(domain: Thing) -> CustomDomain:
    return cast(CustomDomain, filled(domain, id="", name="", verificationStatus="unverified", redirectForName=""))
