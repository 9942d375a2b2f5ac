"""Render: services, deploys, jobs and the rest of everyday work on https://render.com.

Importing a module registers its functions with the integration. The order of the imports is the order of the functions
on the reference page. These modules do not import ``annotations`` from ``__future__``, since it turns annotations into
strings, and KosmoLua would have to compile each string. Annotations that are values load in a fifth less time.
"""

from . import services, configuration, lifecycle, scaling, deploys, jobs, variables, secret_files  # noqa: F401, I001
from . import env_groups, logs, metrics, domains, site_rules, disks, stores, postgres, key_value, projects, owners  # noqa: F401
from .account import Account, integration

__all__ = ["Account", "integration"]
