"""Settings of a service: the parameters that create_service and update_service share, and their types."""

from typing import Annotated, Literal, TypedDict

from kosmolua.plugin import AbsolutePath, between, matching, non_empty
from kosmolua.plugin import Schedule as Cron

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


Branch = Annotated[str | None, "The Git branch to deploy."]
BuildCommand = Annotated[
    str | None, "The shell command that builds the service; not for the runtimes docker and image."
]
StartCommand = Annotated[
    str | None, "The shell command that starts the service; for docker and images it replaces the image's command."
]
RootDir = Annotated[str | None, "The folder of the repository in which commands run."]
AutoDeploy = Annotated[bool | None, "Whether each push to the branch is deployed."]
AutoDeployTrigger = Annotated[
    Literal["commit", "checksPass", "off"] | None,
    'When a push is deployed: "commit" at once, "checksPass" once its checks pass, "off" never.',
]
BuildFilters = Annotated[
    BuildFilter | None, 'Which changed files start a build: { paths = { "api/**" }, ignored_paths = { "docs/**" } }.'
]
DockerfilePath = Annotated[str | None, "The path of a docker service's Dockerfile; ./Dockerfile if none is given."]
DockerContext = Annotated[str | None, "The folder that a docker service is built from."]
Image = Annotated[
    str | None, 'The image to run, instead of repo (e.g., "docker.io/library/nginx:latest").', non_empty()
]
Credential = Annotated[
    str | None,
    "The id of the registry credential for private images; for the runtimes docker and image.",
    matching(r"[A-Za-z0-9-]+", "rgc-abc123"),
]
Schedule = Annotated[str | None, 'When a cron job runs, as a cron expression in UTC (e.g., "0 3 * * *").', Cron()]
HealthCheckPath = Annotated[str | None, "The path that answers with 2xx or 3xx while a web service is healthy."]
PreDeployCommand = Annotated[str | None, "The shell command to run before each deploy, such as a migration."]
PublishPath = Annotated[str | None, "The folder of a static site to publish; Render's default is public."]
PreviewsOf = Annotated[
    Previews | None,
    'When pull requests get previews: { generation = "automatic" }, "manual" or "off"; not for cron jobs.',
]
PullRequestPreviews = Annotated[
    bool | None, "Whether pull requests get previews: an older setting of Render. Prefer the parameter previews."
]
MaintenanceModeOf = Annotated[
    MaintenanceMode | None, "The maintenance page of a web service on a paid plan: { enabled = true, uri = ... }."
]
MaxShutdownDelay = Annotated[
    int | None, "The seconds that an instance has after SIGTERM to exit; Render's default is 30.", between(1, 300)
]
IpAllowList = Annotated[
    list[AllowedRange] | None,
    'Addresses that can connect to a web service or static site: { { cidr_block = "10.0.0.0/8", description = ... } }.',
]
RenderSubdomainPolicy = Annotated[
    Literal["enabled", "disabled"] | None, "Whether a web service or static site also answers at onrender.com."
]
VariableValue = str | int | float | bool | Generated
Variables = Annotated[
    dict[str, VariableValue] | None,
    "The environment variables by name; { generate = true } as a value lets Render generate one.",
]
