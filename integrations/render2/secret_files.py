"""Functions for the secret files of a service. A change takes effect with the next deploy."""

from typing import Annotated, TypedDict, cast

from kosmolua.plugin import Secret

from . import inverses
from .account import integration
from .paging import All, Cursor, Limit, listed
from .parameters import FileName, ServiceId
from .render import Render, deletion
from .variables import AsSecret
from .wire import filled, page_of, thing_of

_FILES = "/services/{service_id}/secret-files"
_FILE = "/services/{service_id}/secret-files/{name}"


class SecretFile(TypedDict):
    """The name and the content of a secret file."""

    name: str
    content: str | Secret


class SecretFilePage(TypedDict):
    secret_files: list[SecretFile]
    cursor: str | None


class OneSecretFile(TypedDict):
    secret_file: SecretFile


class DeletedSecretFile(TypedDict):
    name: str
    deleted: bool


@integration.reads
def list_secret_files(
    render: Render,
    /,
    *,
    service_id: ServiceId,
    limit: Limit = 20,
    cursor: Cursor = None,
    all: All = False,
    secret: AsSecret = False,
) -> SecretFilePage:
    """List the secret files of a service with their contents, which are secret: do not print them."""
    found, after = listed(
        _FILES, "secretFile", render=render, limit=limit, cursor=cursor, all=all, service_id=service_id
    )
    return {"secret_files": [shaped_file(each, secret=secret) for each in found], "cursor": after}


@integration.reads
def get_secret_file(
    render: Render, /, *, service_id: ServiceId, name: FileName, secret: AsSecret = False
) -> OneSecretFile:
    """Get one secret file of a service, with its content."""
    return {"secret_file": shaped_file(render.api.get(_FILE, service_id=service_id, name=name), secret=secret)}


@integration.writes(before=inverses.FILE, undo=inverses.FILE_BACK)
def set_secret_file(
    render: Render,
    /,
    *,
    service_id: ServiceId,
    name: FileName,
    content: Annotated[str, "The content of the file."],
) -> OneSecretFile:
    """Set one secret file of a service, new or existing; the others stay as they are."""
    reply = render.api.put(_FILE, json={"content": content}, service_id=service_id, name=name)
    return {"secret_file": shaped_file(reply)}


@integration.destroys(was_done=deletion(_FILE, "name"), before=inverses.FILE, undo=inverses.FILE_BACK)
def delete_secret_file(render: Render, /, *, service_id: ServiceId, name: FileName) -> DeletedSecretFile:
    """Delete one secret file of a service."""
    render.api.delete(_FILE, service_id=service_id, name=name)
    return {"name": name, "deleted": True}


@integration.destroys(before=inverses.FILES, undo=inverses.FILES_BACK)
def replace_all_secret_files(
    render: Render,
    /,
    *,
    service_id: ServiceId,
    secret_files: Annotated[
        dict[str, str], "All files that the service will have: a table with the content of each file by name."
    ],
) -> SecretFilePage:
    """Replace all secret files of a service: every file that is not given is deleted."""
    body = [{"name": name, "content": content} for name, content in sorted(secret_files.items())]
    files, _ = page_of(render.api.put(_FILES, json=body, service_id=service_id), "secretFile")
    return {"secret_files": [shaped_file(each) for each in files], "cursor": None}


def shaped_file(reply: object, *, secret: bool = False) -> SecretFile:
    """Return a secret file, with its content as a secret if that is wanted."""
    file = filled(thing_of(reply), name="", content="")
    return cast(SecretFile, file | {"content": Secret(str(file["content"]))} if secret else file)
