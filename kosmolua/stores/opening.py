"""Opens the stores that keep the recordings of runs: one for each tenant of a server, or the store of a user."""

from __future__ import annotations

from kosmolua.entry_points import STORES, ask, installed, the_one
from kosmolua.errors import ConfigError
from kosmolua.folders import recordings_folder, tenants_folder
from kosmolua.stores.folder_store import Folder, Folders
from kosmolua.stores.store import Stores

DATABASES = ("postgresql", "postgres", "sqlite")
"""The schemes of the addresses of databases."""


def open_stores(where: str) -> Stores:
    """Return the stores that keep the recordings of a server's runs, one store for each tenant.

    Args:
        where: What contains the stores: a folder, the address of a database, such as
            ``postgresql://user:password@host/name`` or ``sqlite:///path``, or an address whose scheme is the name of an
            installed package's entry point.

    Raises:
        ConfigError: The address is not valid, or the extra ``kosmolua[postgres]`` is not installed.
        PluginError: The entry point cannot be used.
    """
    if "://" not in where:
        return Folders(where)
    scheme = where.partition("://")[0]
    if scheme.partition("+")[0] not in DATABASES and (points := installed(STORES).get(scheme)):
        stores: Stores = ask(point := the_one(points), where)
        if not callable(getattr(stores, "of", None)):
            raise point.failed("has to return stores, such as open_stores() does")
        return stores
    try:
        from kosmolua.stores.database_store import DatabaseStores
    except ImportError:
        hint = "pip install 'kosmolua[postgres]'"
        raise ConfigError("Recordings in a database need the package sqlalchemy", hint=hint) from None

    return DatabaseStores(where)


def default_stores() -> Stores:
    """Return the stores of a server's tenants in the user's state folder."""
    return Folders(tenants_folder(), "recordings")


def default_store() -> Folder:
    """Return the store that keeps recordings in the user's state folder."""
    return Folder(recordings_folder())
