"""Parameters that several functions share: ids, times and filters.

An id has the prefix of its kind, and then letters, digits and dashes. So a name, or an id of another kind, is refused
before anything is sent, and no id can change the path of a request.
"""

from collections.abc import Mapping
from typing import Annotated, Literal

from kosmolua.plugin import matching, non_empty


def id_like(example: str, *others: str) -> object:
    """Require, inside ``Annotated``, an id with the prefix of an example, or with one of the other prefixes."""
    prefixes = "|".join([example.partition("-")[0], *others])
    return matching(rf"(?:{prefixes})-[A-Za-z0-9-]+", example)


VARIABLE_KEY = r"[A-Za-z0-9._-]+"
_DAY = r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])"
_HOUR_AND_MINUTE = r"([01]\d|2[0-3]):[0-5]\d"
_TIME_OF_DAY = rf"{_HOUR_AND_MINUTE}(:[0-5]\d(\.\d+)?)?"

_OF_SERVICE = id_like("srv-cabc12345678", "crn")
ServiceId = Annotated[str, "The service's id; the id of a cron job starts with crn-.", _OF_SERVICE]
OptionalServiceId = Annotated[
    str | None,
    "The id of the deploy's service, if known; without it, a search is needed.",
    _OF_SERVICE,
]
DeployId = Annotated[str, "The deploy's id.", id_like("dep-cabc12345678")]
JobId = Annotated[str, "The job's id.", id_like("job-cabc12345678")]
OwnerId = Annotated[
    str | None,
    "The workspace's id; needed if the API key can access several workspaces and the account has no owner_id.",
    id_like("tea-cabc12345678", "own", "usr"),
]
ResourceId = Annotated[str, id_like("srv-cabc12345678", "[a-z]{3}")]
EnvironmentIdOfNew = Annotated[
    str | None, "The id of the project environment for the new item.", id_like("evm-cabc12345678")
]
PostgresId = Annotated[str, "The database's id.", id_like("dpg-cabc12345678")]
KeyValueId = Annotated[str, "The Key Value instance's id.", id_like("red-cabc12345678")]
ProjectId = Annotated[str, "The project's id.", id_like("prj-cabc12345678")]
EnvironmentId = Annotated[str, "The project environment's id.", id_like("evm-cabc12345678")]
EnvGroupId = Annotated[str, "The environment group's id.", id_like("evg-cabc12345678")]
DiskId = Annotated[str, "The disk's id.", id_like("dsk-cabc12345678")]
FileName = Annotated[str, "The secret file's name.", matching(VARIABLE_KEY, "config.json")]
Domain = Annotated[str, "The domain's name or id.", matching(r"[A-Za-z0-9.*_-]+", "www.example.com")]
VariableKey = Annotated[str, "The variable's name.", matching(VARIABLE_KEY, "DATABASE_URL")]
Time = Annotated[str, matching(f"{_DAY}T{_TIME_OF_DAY}(Z|[+-]{_HOUR_AND_MINUTE})", "2026-01-31T12:00:00Z")]
Words = Annotated[str | list[str] | None, non_empty()]
"""A filter that is one text or several."""
Names = Annotated[Words, "Return only items with these names: one name or a list."]
Region = Literal["oregon", "ohio", "virginia", "frankfurt", "singapore"]
Regions = Annotated[
    Region | list[Region] | None, "Return only items in these regions: one region or a list.", non_empty()
]
Workspaces = Annotated[Words, "Return only items of the workspaces with these ids: one id or a list."]
Environments = Annotated[Words, "Return only items of the project environments with these ids: one id or a list."]
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
