"""Render: services, deploys, jobs and the rest of everyday work on https://render.com.

The modules are imported in the order of the reference page. Each one registers functions. They do not import
``annotations`` from ``__future__``: annotations that are strings have to be compiled, which takes a fifth more time.
"""

from . import services, creation, changes, lifecycle, scaling, deploys, jobs, variables, secret_files  # noqa: F401, I001
from . import env_groups, logs, metrics, domains, site_rules, disks, stores, postgres, key_value, projects, owners  # noqa: F401
from .account import Account, integration

__all__ = ["Account", "integration"]
