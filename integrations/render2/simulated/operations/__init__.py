"""The operations of the simulator, one for each method and path of https://api-docs.render.com/reference."""

from . import (  # noqa: F401 - each registers its operations
    activity,
    contents,
    deploys,
    disks,
    domains,
    groups,
    jobs,
    metrics,
    owners,
    projects,
    scaling,
    services,
    site_rules,
    stores,
)
