"""The folder in which the plans of a user, or of a tenant, are kept by their ids."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress

from kosmolua.errors import ConfigError
from kosmolua.recordings.events import PLAN_ID
from kosmolua.recordings.plans import Plan


class PlanFolder:
    """Keeps plans in files of a folder, which need not exist.

    Args:
        path: The folder.
    """

    def __init__(self, path: str) -> None:
        self.path = path

    def keep(self, plan: Plan) -> None:
        """Save a plan under its id.

        Raises:
            ConfigError: The folder or the file cannot be written.
        """
        try:
            os.makedirs(self.path, mode=0o700, exist_ok=True)
        except OSError as error:
            what = f"The folder for plans, {self.path}, cannot be created: {error.strerror}"
            raise ConfigError(what, hint="name another file with --plan=FILE") from None
        plan.save(self._file(plan.id))

    def load(self, id: str) -> Plan:
        """Return the plan with an id.

        Raises:
            ConfigError: There is no such plan, or it cannot be read.
        """
        if not PLAN_ID.fullmatch(id) or not os.path.exists(self._file(id)):
            raise missing(id)
        return Plan.load(self._file(id))

    def all(self) -> list[Plan]:
        """Return the plans that can be read, the latest first."""
        return sorted(self._readable(), key=lambda plan: plan.time, reverse=True)

    def remove(self, id: str) -> None:
        """Remove the plan with an id, if there is one."""
        if PLAN_ID.fullmatch(id):
            with suppress(FileNotFoundError):
                os.remove(self._file(id))

    def _readable(self) -> Iterator[Plan]:
        names = os.listdir(self.path) if os.path.isdir(self.path) else []
        for name in names:
            if PLAN_ID.fullmatch(os.path.splitext(name)[0]):
                with suppress(ConfigError):  # of another version
                    yield Plan.load(os.path.join(self.path, name))

    def _file(self, id: str) -> str:
        return os.path.join(self.path, f"{id}.json")


def missing(id: str) -> ConfigError:
    """Return the error for a plan that does not exist."""
    return ConfigError(
        f"There is no plan {id[:40]!r}", hint="kosmolua run --plan makes one, and kosmolua plans lists them"
    )
