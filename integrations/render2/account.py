"""An account: the class of its settings in accounts.toml, with a Render API key, and the integration that uses it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from kosmolua.plugin import Api, Integration, Secret, Send

from .render import Render


@dataclass(frozen=True)
class Account:
    """One Render API key."""

    api_key: Annotated[Secret, "An API key from Account Settings, API Keys."]
    owner_id: Annotated[str | None, "The workspace for new services, if the key can access several."] = None
    base_url: Annotated[str, "The URL of the API."] = "https://api.render.com/v1"

    def open(self, send: Send) -> Render:
        """Return the object through which functions use the account during one run."""
        api = Api(send, self.base_url, bearer=self.api_key)
        repeating = Api(send, self.base_url, bearer=self.api_key, lists="repeated")
        return Render(api, repeating, self.owner_id)


integration = Integration(
    "render2",
    Account,
    about="Services, deploys, jobs, logs, databases and domains on Render.",
    prefix="render",
)


integration.extend(__file__, api=lambda render: render.api, supplies={"owner_id": lambda render: render.workspace()})


@integration.simulator
def simulate(account: str, **options: Any) -> Send:
    """Return a simulator for an account. The options are those of :class:`~.simulator.Simulator`."""
    from .simulator import Simulator

    return Simulator(account, **options)
