"""Render: services, deploys, jobs and the rest of everyday work on https://render.com.

The modules are imported in the order of the reference page; each registers the functions of its noun.
"""

from . import services, creation, changes, lifecycle, deploys, jobs, variables, logs, domains, stores, owners  # noqa: F401, I001
from .account import Account, integration

__all__ = ["Account", "integration"]
