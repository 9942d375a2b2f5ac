"""GitHub: repositories, issues, pull requests, workflow runs, files and releases, also of a GitHub Enterprise Server.

The modules are imported in the order of the reference page. Each one registers functions.
"""

from . import repos, issues, discussion, pulls, actions, contents, history  # noqa: F401, I001
from .account import Account, integration

__all__ = ["Account", "integration"]
