"""GitHub: repositories, issues, pull requests, workflow runs, files and releases, also on an Enterprise Server.

Importing a module registers its functions with the integration. The order of the imports is the order of the functions
on the reference page.
"""

from . import repos, issues, discussion, pulls, actions, contents, history  # noqa: F401, I001
from .account import Account, integration

__all__ = ["Account", "integration"]
