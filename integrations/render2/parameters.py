"""Parameters that several functions share: ids, times and filters.

Ids are restricted to letters, digits and dashes, so that no id can change the path of a request.
"""

from collections.abc import Mapping
from typing import Annotated

from kosmolua.plugin import matching, non_empty

_ID = r"[A-Za-z0-9-]+"
VARIABLE_KEY = r"[A-Za-z0-9._-]+"
_DAY = r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])"
_HOUR_AND_MINUTE = r"([01]\d|2[0-3]):[0-5]\d"
_TIME_OF_DAY = rf"{_HOUR_AND_MINUTE}(:[0-5]\d(\.\d+)?)?"

ServiceId = Annotated[
    str, "The service's id; the id of a cron job starts with crn-.", matching(_ID, "srv-cabc12345678")
]
OptionalServiceId = Annotated[
    str | None,
    "The id of the deploy's service, if known; without it, a search is needed.",
    matching(_ID, "srv-cabc12345678"),
]
DeployId = Annotated[str, "The deploy's id.", matching(_ID, "dep-cabc12345678")]
JobId = Annotated[str, "The job's id.", matching(_ID, "job-cabc12345678")]
OwnerId = Annotated[
    str | None,
    "The workspace's id; needed if the API key can access several workspaces and the account has no owner_id.",
    matching(_ID, "tea-cabc12345678"),
]
ResourceId = Annotated[str, matching(_ID, "srv-cabc12345678")]
EnvironmentIdOfNew = Annotated[
    str | None, "The id of the project environment for the new item.", matching(_ID, "evm-cabc12345678")
]
PostgresId = Annotated[str, "The database's id.", matching(_ID, "dpg-cabc12345678")]
KeyValueId = Annotated[str, "The Key Value instance's id.", matching(_ID, "red-cabc12345678")]
ProjectId = Annotated[str, "The project's id.", matching(_ID, "prj-cabc12345678")]
EnvironmentId = Annotated[str, "The project environment's id.", matching(_ID, "evm-cabc12345678")]
EnvGroupId = Annotated[str, "The environment group's id.", matching(_ID, "evg-cabc12345678")]
DiskId = Annotated[str, "The disk's id.", matching(_ID, "dsk-cabc12345678")]
FileName = Annotated[str, "The secret file's name.", matching(VARIABLE_KEY, "config.json")]
Domain = Annotated[str, "The domain's name or id.", matching(r"[A-Za-z0-9.*_-]+", "www.example.com")]
VariableKey = Annotated[str, "The variable's name.", matching(VARIABLE_KEY, "DATABASE_URL")]
Time = Annotated[str, matching(f"{_DAY}T{_TIME_OF_DAY}(Z|[+-]{_HOUR_AND_MINUTE})", "2026-01-31T12:00:00Z")]
Names = Annotated[str | list[str] | None, "Return only items with these names: one name or a list.", non_empty()]
Regions = Annotated[str | list[str] | None, "Return only items in these regions: one region or a list.", non_empty()]
Workspaces = Annotated[
    str | list[str] | None, "Return only items of the workspaces with these ids: one id or a list.", non_empty()
]
Environments = Annotated[
    str | list[str] | None,
    "Return only items of the project environments with these ids: one id or a list.",
    non_empty(),
]
Suspended = Annotated[bool | None, "True returns only suspended items, false only items that are not suspended."]
CreatedBefore = Annotated[Time | None, "Return only items created before this time."]
CreatedAfter = Annotated[Time | None, "Return only items created after this time."]
UpdatedBefore = Annotated[Time | None, "Return only items updated before this time."]
UpdatedAfter = Annotated[Time | None, "Return only items updated after this time."]
StartedBefore = Annotated[Time | None, "Return only items started before this time."]
StartedAfter = Annotated[Time | None, "Return only items started after this time."]
FinishedBefore = Annotated[Time | None, "Return only items finished before this time."]
FinishedAfter = Annotated[Time | None, "Return only items finished after this time."]


SUSPENSION: Mapping[bool | None, str | None] = {None: None, True: "suspended", False: "not_suspended"}
"""The value of Render's query parameter ``suspended`` for each value of a parameter of the type ``Suspended``."""
