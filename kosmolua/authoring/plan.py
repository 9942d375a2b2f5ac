"""The plan of a new plugin: its name, its service's base URL, and how requests authenticate."""

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
    from kosmolua.openapi.security import Access, Credential, Setting

AUTH = ("bearer", "header", "query", "basic", "none")
"""The ways in which a request can authenticate."""
EXAMPLE_URL = "https://api.example.com"

_URL = re.compile(r"https?://[^\s/?#@\"'\\]+(/[^\s?#@\"'\\]*)?")
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&*+.^_|~-]+")


@dataclass(frozen=True)
class Draft:
    """The description from which a plugin's files are generated.

    Args:
        name: The name of the integration and of the folder.
        base_url: The base URL of the service.
        auth: One of :data:`AUTH`.
        header: The header of the API key, if ``auth`` is ``header``.
        parameter: The query parameter of the API key, if ``auth`` is ``query``.
        prefix: The word before the key in that header, such as ``Token``; or empty.
        settings: Further headers of every request, each with its account field.

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
        """The name as a heading: ``My notes``."""
        return self.name.replace("_", " ").capitalize()


def check_name(name: str, taken: Container[str] = ()) -> str:
    """Check and return the name of a new plugin, which is not ``taken``.

    Raises:
        UsageError: A plugin cannot have this name; the message says why.
    """
    if objection := objection_to_integration(name):
        raise UsageError(f"An integration cannot be called {name!r}", hint=objection)
    better = f"choose another name, such as {name}_api"
    if keyword.iskeyword(name):
        raise UsageError(f"{name} is a keyword of Python, so a plugin cannot have this name", hint=better)
    if name in taken:
        raise UsageError(f"There is already an integration called {name}", hint=better)
    if _is_importable(name):
        what = f"There is already a Python module {name}, which the plugin's test would import instead of the plugin"
        raise UsageError(what, hint=better)
    return name


def check_url(url: str) -> str:
    """Return a base URL without slashes at its end.

    Raises:
        UsageError: The text is not an HTTP URL, or contains a user name, a query or a fragment.
    """
    if not _URL.fullmatch(url):
        hint = "write it like https://api.example.com/v1, without a user name, a query or a fragment"
        raise UsageError(f"{url!r} is not a base URL", hint=hint)
    return url.rstrip("/")


def check_auth(auth: str) -> str:
    """Return one of :data:`AUTH`; raise UsageError if it is none of them."""
    if auth not in AUTH:
        raise UsageError(f"{auth!r} is not a way to authenticate", hint=f"choose one of {', '.join(AUTH)}")
    return auth


def check_token(name: str) -> str:
    """Return the name of a header or query parameter.

    Raises:
        UsageError: The name is empty or contains a character that is not allowed.
    """
    if not _TOKEN.fullmatch(name):
        hint = "write a name like X-Api-Key, without spaces"
        raise UsageError(f"{name!r} cannot be the name of a header or a query parameter", hint=hint)
    return name


def with_access(plan: Draft, access: Access) -> Draft:
    """Complete a plan with what a document says; the plan's own base URL and authentication win.

    Raises:
        UsageError: The plan sets no base URL, and the document's is missing or incomplete; or the plan sets no way to
            authenticate, and none of the document's needs just one key or password.
    """
    url = access.base_url
    for each in access.variables:
        url = url.replace(f"{{{each.wire}}}", each.default or f"{{{each.wire}}}")
    if plan.base_url == EXAMPLE_URL:
        if not url or "{" in url:
            hint = "give the base URL with --base-url, such as --base-url https://api.example.com/v1"
            raise UsageError(f"The OpenAPI document of {plan.name} has no complete base URL", hint=hint)
        plan = replace(plan, base_url=check_url(url))
    plan = replace(plan, settings=[each for each in access.settings if each.required or each.default is not None])
    if plan.auth != "none" or not access.alternatives:
        return plan
    single = [each[0] for each in access.alternatives if len(each) == 1 and each[0].kind in AUTH]
    if not single:
        hint = f"choose one of --auth {'|'.join(AUTH)}, then change Account.open in the new plugin to suit the service"
        what = f"The OpenAPI document of {plan.name} describes no single credential that a new plugin supports"
        raise UsageError(what, hint=hint)
    return _with_credential(plan, min(single, key=lambda each: each.kind == "basic" and len(each.fields) == 1))


def _with_credential(plan: Draft, credential: Credential) -> Draft:
    if credential.kind == "header":
        return replace(plan, auth="header", header=credential.name, prefix=credential.prefix)
    if credential.kind == "query":
        return replace(plan, auth="query", parameter=credential.name)
    if credential.kind == "bearer" and credential.prefix not in ("", "Bearer"):
        return replace(plan, auth="header", header="Authorization", prefix=credential.prefix)
    return replace(plan, auth=credential.kind)


def _is_importable(name: str) -> bool:
    elsewhere = [path for path in sys.path if path not in ("", str(Path.cwd()))]
    return name in sys.stdlib_module_names or PathFinder.find_spec(name, elsewhere) is not None
