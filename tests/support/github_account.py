"""One github account in front of any ``send``, called as Lua calls it: by name, with named arguments."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from kosmolua.catalog.plugins import PluginFolder, Plugins, bundled_folder
from kosmolua.plugin import Secret, Send

KEY = "ghp_SECRET_TOKEN"
ROCKET = "acme/rocket"
extended = Plugins(places=[PluginFolder("bundled", bundled_folder())], entry_points=dict).load("github").integration
integration = sys.modules[extended.account.__module__].integration
Simulator = type(integration.simulate("default"))


def account(send: Send, token: str | None = KEY) -> Callable[..., Any]:
    """Return a function that calls those of a fresh account, about the repository acme/rocket if none is given."""
    hub = integration.account(token and Secret(token)).open(send)

    def call(name: str, /, **arguments: Any) -> Any:
        function = integration.functions[name]
        if any(each.name == "repo" for each in function.parameters):
            arguments = {"repo": ROCKET} | arguments
        return function.handler(hub, **function.bind(name, [arguments]))

    return call
