"""The plan of a new plugin: its name, its address, and how requests carry a credential, all checked."""

from __future__ import annotations

import keyword
import re
import sys
from collections.abc import Container, Sequence
from dataclasses import dataclass, replace
from importlib.machinery import PathFinder
from pathlib import Path
from typing import TYPE_CHECKING

from kosmolua.errors import UsageError
from kosmolua.schema.names import objection_to_integration

if TYPE_CHECKING:
    from kosmolua.catalog.openapi.security import Access, Credential, Setting

AUTH = ("bearer", "header", "query", "basic", "none")
"""How a request can carry a credential."""
EXAMPLE_URL = "https://api.example.com"

_URL = re.compile(r"https?://[^\s/?#@\"'\\]+(/[^\s?#@\"'\\]*)?")
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&*+.^_|~-]+")


@dataclass(frozen=True)
class Plan:
    """The description of a new plugin.

    Args:
        name: The integration's name, which is also that of its folder.
        base_url: The base URL of the service.
        auth: One of :data:`AUTH`.
        header: The header that carries the key, if ``auth`` is ``header``.
        parameter: The query parameter that carries it, if ``auth`` is ``query``.
        prefix: The word before a bearer token or before the key in a header, if it is not the usual one.
        settings: Further headers that every request has.

    Raises:
        UsageError: A value is invalid.
    """

    name: str
    base_url: str = EXAMPLE_URL
    auth: str = "none"
    header: str = "X-Api-Key"
    parameter: str = "api_key"
    prefix: str = ""
    settings: Sequence[Setting] = ()

    def __post_init__(self) -> None:
        check_name(self.name)
        check_url(self.base_url)
        check_auth(self.auth)
        check_token(self.header)
        check_token(self.parameter)
        for each in self.settings:
            check_token(each.header)

    @property
    def title(self) -> str:
        """The name, written as a heading."""
        return self.name.replace("_", " ").capitalize()


def check_name(name: str, taken: Container[str] = ()) -> str:
    """Return the name of a new plugin, after a check.

    Args:
        name: The name.
        taken: The names of the installed integrations.

    Raises:
        UsageError: The name cannot be used; the message says why.
    """
    if objection := objection_to_integration(name):
        raise UsageError(f"An integration cannot be called {name!r}", hint=objection)
    better = f"choose another name, such as {name}_api"
    if keyword.iskeyword(name):
        raise UsageError(f"{name} is a keyword of Python", hint=better)
    if name in taken:
        raise UsageError(f"There is an integration called {name} already", hint=better)
    if _is_importable(name):
        raise UsageError(f"{name} is a Python module already, and its test would import that one", hint=better)
    return name


def check_url(url: str) -> str:
    """Return the base URL of a service, after a check.

    Raises:
        UsageError: It is not a base URL.
    """
    if not _URL.fullmatch(url):
        raise UsageError(f"{url!r} is not a base URL", hint="such as https://api.example.com/v1, without user or query")
    return url.rstrip("/")


def check_auth(auth: str) -> str:
    """Return a kind of authentication, after a check.

    Raises:
        UsageError: It is not one of :data:`AUTH`.
    """
    if auth not in AUTH:
        raise UsageError(f"{auth!r} is not a kind of authentication", hint=f"choose {', '.join(AUTH)}")
    return auth


def check_token(name: str) -> str:
    """Return the name of a header or a parameter, after a check.

    Raises:
        UsageError: The name is invalid.
    """
    if not _TOKEN.fullmatch(name):
        raise UsageError(f"{name!r} is not a name for a header or a parameter", hint="such as X-Api-Key")
    return name


def with_access(plan: Plan, access: Access) -> Plan:
    """Return a plan completed from a document: with the service's address, credential and headers.

    Args:
        plan: The plan. Its own address or credential takes precedence over the document's.
        access: The access that the document describes.

    Raises:
        UsageError: The document requires more than a simple account can do, and the plan does not replace it.
    """
    url = access.base_url
    for each in access.variables:
        url = url.replace(f"{{{each.wire}}}", each.default or f"{{{each.wire}}}")
    if plan.base_url == EXAMPLE_URL:
        if not url or "{" in url:
            hint = "say where the service is with --base-url, such as --base-url https://api.example.com/v1"
            raise UsageError(f"The document of {plan.name} names no complete address", hint=hint)
        plan = replace(plan, base_url=check_url(url))
    plan = replace(plan, settings=[each for each in access.settings if each.required or each.default is not None])
    if plan.auth != "none" or not access.alternatives:
        return plan
    single = [each[0] for each in access.alternatives if len(each) == 1 and each[0].kind in AUTH]
    if not single:
        hint = f"say how requests carry a credential with --auth {'|'.join(AUTH)}, and change Account.open"
        raise UsageError(f"The document of {plan.name} asks for credentials that are not one key", hint=hint)
    return _with_credential(plan, min(single, key=lambda each: each.kind == "basic" and len(each.fields) == 1))


def _with_credential(plan: Plan, credential: Credential) -> Plan:
    if credential.kind == "header":
        return replace(plan, auth="header", header=credential.name, prefix=credential.prefix)
    if credential.kind == "query":
        return replace(plan, auth="query", parameter=credential.name)
    if credential.kind == "bearer" and credential.prefix not in ("", "Bearer"):
        return replace(plan, auth="header", header="Authorization", prefix=credential.prefix)
    return replace(plan, auth=credential.kind)


def _is_importable(name: str) -> bool:
    """Return True if Python has a module of this name outside the current folder."""
    elsewhere = [path for path in sys.path if path not in ("", str(Path.cwd()))]
    return name in sys.stdlib_module_names or PathFinder.find_spec(name, elsewhere) is not None
