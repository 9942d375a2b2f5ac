"""GitHub: repositories, issues, commits and releases on https://github.com or a GitHub Enterprise Server.

The modules are imported in the order of the reference page; each registers the functions of its noun.
"""

from . import repos, issues, history  # noqa: F401, I001
from .account import Account, integration

__all__ = ["Account", "integration"]
