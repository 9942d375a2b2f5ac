"""Functions that show the user of the API key, and the workspaces that the key can access."""

from typing import Annotated, Any, TypedDict, cast

from kosmolua.plugin import CallError

from .account import integration
from .paging import All, Cursor, Limit, listed
from .parameters import Names, Words
from .render import Render
from .wire import Thing, filled, thing_of


class User(TypedDict):
    """The user of the API key. id_source says whether id is the id of the user or of a workspace."""

    id: str
    email: str
    name: str
    id_source: str


class Owner(TypedDict):
    """A workspace; its type is user or team."""

    id: str
    name: str
    email: str
    type: str
    twoFactorAuthEnabled: bool | None
    ipAllowList: list[dict[str, Any]] | None


class OwnerPage(TypedDict):
    owners: list[Owner]
    cursor: str | None


@integration.reads
def get_current_user(render: Render, /) -> User:
    """Get the current authenticated account information: email, name and id.

    Use it to see whose API key the account uses.

    ``id_source`` is ``user`` if ``id`` is the user's own id. Before autumn 2026 Render did not return that id. Then
    ``id`` is the id of the workspace with the user's email address, or of the only workspace, and ``id_source`` is
    ``workspace``. Both are empty if no single workspace can be chosen.
    """
    user = filled(thing_of(render.api.get("/users")), email="", name="")
    if user.get("id"):
        return cast(User, user | {"id_source": "user"})
    workspace = _workspace_of(user, _owners(render))
    return cast(User, user | {"id": workspace, "id_source": "workspace" if workspace else ""})


@integration.reads
def list_owners(
    render: Render,
    /,
    *,
    limit: Limit = 20,
    cursor: Cursor = None,
    name: Names = None,
    email: Annotated[Words, "Return only workspaces with these email addresses: one address or a list."] = None,
    all: All = False,
) -> OwnerPage:
    """List the workspaces that the API key can access. Other functions take the id of a workspace as ``owner_id``."""
    owners, after = listed("/owners", "owner", repeats=True, **locals())
    return {
        "owners": [cast(Owner, filled(owner, id="", name="", email="", type="")) for owner in owners],
        "cursor": after,
    }


@integration.identifies
def identify(render: Render, /) -> str:
    """Return a text that names the user of the API key, such as ``ann@example.com (usr-...)``."""
    user = thing_of(render.api.get("/users"))
    return f"{user.get('email')} ({user.get('id') or user.get('name')})"


def _owners(render: Render) -> list[Thing]:
    try:
        return render.owners()
    except CallError:
        return []


def _workspace_of(user: Thing, owners: list[Thing]) -> str:
    own = [owner for owner in owners if owner.get("email") == user["email"]] or owners
    return str(own[0].get("id")) if len(own) == 1 else ""
