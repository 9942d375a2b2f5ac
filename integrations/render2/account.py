"""The settings of a Render account in accounts.toml, and the integration that the other modules add functions to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from kosmolua.plugin import Api, Integration, Secret, Send

from .labels import LABELS
from .render import Render


@dataclass(frozen=True)
class Account:
    """The settings of one Render account: an API key, and the workspace and URL to use with the key."""

    api_key: Annotated[Secret, "An API key, created under Account Settings > API Keys."]
    owner_id: Annotated[str | None, "The id of the workspace for new services, if the key can access several."] = None
    base_url: Annotated[str, "The URL of the API."] = "https://api.render.com/v1"

    def open(self, send: Send) -> Render:
        """Return the object that functions get as their first argument. It sends its requests with ``send``."""
        api = Api(send, self.base_url, bearer=self.api_key)
        repeating = Api(send, self.base_url, bearer=self.api_key, lists="repeated")
        return Render(api, repeating, self.owner_id)


integration = Integration(
    "render2",
    Account,
    about="Services, deploys, jobs, logs, databases and domains on Render.",
    prefix="render",
    labels=LABELS,
)


integration.extend(__file__, api=lambda render: render.api, supplies={"owner_id": lambda render: render.workspace()})


_NAMED = {
    "service_id": "/services/{service_id}",
    "postgres_id": "/postgres/{postgres_id}",
    "key_value_id": "/key-value/{key_value_id}",
    "disk_id": "/disks/{disk_id}",
    "env_group_id": "/env-groups/{env_group_id}",
    "project_id": "/projects/{project_id}",
    "environment_id": "/environments/{environment_id}",
}
"""The parameters whose ids have names, and where Render tells the name of one."""


def _namer(parameter: str, path: str) -> Callable[[Render, str], str]:
    return lambda render, given: render.name_at(path, **{parameter: given})


for _parameter, _path in _NAMED.items():
    integration.names(_parameter)(_namer(_parameter, _path))


@integration.simulator
def simulate(account: str, **options: Any) -> Send:
    """Return a simulator of an account. The options are those of :class:`~.simulator.Simulator`."""
    from .simulator import Simulator

    return Simulator(account, **options)
