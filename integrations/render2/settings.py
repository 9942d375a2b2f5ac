"""Types of the settings of services and data stores."""

from typing import Annotated, Literal, TypedDict

from kosmolua.plugin import AbsolutePath

ServiceType = Literal["web_service", "background_worker", "cron_job", "private_service", "static_site"]
Plan = Literal[
    "free", "starter", "starter_plus", "standard", "standard_plus", "pro", "pro_plus", "pro_max", "pro_ultra", "custom"
]


class Generated(TypedDict):
    """Asks Render to generate a value: 256 random bits in base64."""

    generate: bool


class BuildFilter(TypedDict):
    """Globs for the files whose changes start a build. Changes to files that also match ignored_paths start none."""

    paths: list[str] | None
    ignored_paths: list[str] | None


class Disk(TypedDict):
    """A persistent disk; its size is 1 GB if none is given."""

    name: str
    mount_path: Annotated[str, AbsolutePath()]
    size_gb: int | None


class Criterion(TypedDict):
    """The average use of a resource in percent that autoscaling aims at. The criterion is enabled by default."""

    enabled: bool | None
    percentage: int


class Criteria(TypedDict):
    """The resources whose use controls autoscaling; a resource that is left out is ignored."""

    cpu: Criterion | None
    memory: Criterion | None


class Autoscaling(TypedDict):
    """Autoscaling of a service between min and max instances. It is enabled by default."""

    enabled: bool | None
    min: int
    max: int
    criteria: Criteria


class Previews(TypedDict):
    """When Render creates a preview of a pull request."""

    generation: Literal["off", "manual", "automatic"]


class MaintenanceMode(TypedDict):
    """Whether visitors see a maintenance page, and the URL of that page; without a URL, they see Render's own page."""

    enabled: bool
    uri: str | None


class AllowedRange(TypedDict):
    """A range of IP addresses that are allowed to connect."""

    cidr_block: str
    description: str | None


class Cache(TypedDict):
    """What Render's edge servers cache."""

    profile: Literal["no-cache", "origin-controlled", "origin-controlled-all"]


class Header(TypedDict):
    """A response header that a static site sends for matching paths."""

    path: str
    name: str
    value: str


class Route(TypedDict):
    """A redirect or rewrite of a static site. Without a priority, it comes last."""

    type: Literal["redirect", "rewrite"]
    source: str
    destination: str
    priority: int | None


VariableValue = str | int | float | bool | Generated
Variables = Annotated[
    dict[str, VariableValue] | None,
    "The environment variables by name; { generate = true } as a value lets Render generate one.",
]
SecretFiles = Annotated[dict[str, str] | None, "The secret files: a table with the content of each file by name."]
AllowList = Annotated[
    list[AllowedRange] | None,
    'Addresses that can connect from outside: { { cidr_block = "203.0.113.0/24", description = ... } }; {} for none.',
]
StoreRegion = Annotated[
    str | None, 'The region: "oregon" (the default), "ohio", "virginia", "frankfurt" or "singapore".'
]
