"""Functions for the persistent disks of services, and for their snapshots."""

from typing import Annotated, TypedDict, cast

from kosmolua.plugin import AbsolutePath, between, matching, non_empty

from . import inverses
from .account import integration
from .bodies import fields, renamed
from .paging import All, Cursor, Limit, listed
from .parameters import (
    CreatedAfter,
    CreatedBefore,
    DiskId,
    Names,
    ServiceId,
    UpdatedAfter,
    UpdatedBefore,
    Workspaces,
)
from .render import Render, deletion
from .wire import Thing, filled, refuse_nothing, thing_of, things_of

_DISK = "/disks/{disk_id}"
_FIELDS = fields("name mount_path size_gb")


class ServiceDisk(TypedDict):
    """A persistent disk and the service that it is attached to."""

    id: str
    name: str
    sizeGB: int
    mountPath: str
    serviceId: str
    createdAt: str | None
    updatedAt: str | None


class DiskPage(TypedDict):
    disks: list[ServiceDisk]
    cursor: str | None


class OneDisk(TypedDict):
    disk: ServiceDisk


class DeletedDisk(TypedDict):
    disk_id: str
    deleted: bool


class Snapshot(TypedDict):
    """A copy of a disk at a point in time; its snapshotKey is valid for a day."""

    snapshotKey: str
    createdAt: str
    instanceId: str | None


class Snapshots(TypedDict):
    """The snapshots of a disk."""

    snapshots: list[Snapshot]


@integration.reads
def list_disks(
    render: Render,
    /,
    *,
    limit: Limit = 20,
    cursor: Cursor = None,
    service_id: Annotated[
        ServiceId | Annotated[list[ServiceId], non_empty()] | None,
        "Return only disks of the services with these ids: one id or a list.",
    ] = None,
    disk_id: Annotated[
        DiskId | Annotated[list[DiskId], non_empty()] | None, "Return only disks with these ids: one id or a list."
    ] = None,
    name: Names = None,
    owner_id: Workspaces = None,
    created_before: CreatedBefore = None,
    created_after: CreatedAfter = None,
    updated_before: UpdatedBefore = None,
    updated_after: UpdatedAfter = None,
    all: All = False,
) -> DiskPage:
    """List the persistent disks in the account."""
    found, after = listed(
        "/disks", "disk", repeats=True, **{**locals(), "name": _joined(name), "owner_id": _joined(owner_id)}
    )
    return {"disks": [_shaped(each) for each in found], "cursor": after}


@integration.reads
def get_disk(render: Render, /, *, disk_id: DiskId) -> OneDisk:
    """Get a persistent disk."""
    return {"disk": _shaped(render.api.get(_DISK, disk_id=disk_id))}


@integration.writes(undo=inverses.dropped("delete_disk", "disk_id", "disk", "id"))
def add_disk(
    render: Render,
    /,
    *,
    service_id: ServiceId,
    name: Annotated[str, "The disk's name.", non_empty()],
    mount_path: Annotated[str, 'The folder where the service finds the disk, such as "/var/data".', AbsolutePath()],
    size_gb: Annotated[int, "The size in GB.", between(1, 16384)],
) -> OneDisk:
    """Add a persistent disk to a service; the next deploy attaches it. Not for cron jobs and static sites."""
    body = {"serviceId": service_id, "name": name, "mountPath": mount_path, "sizeGB": size_gb}
    return {"disk": _shaped(render.api.post("/disks", json=body))}


@integration.writes(before=inverses.DISK, undo=inverses.restored("update_disk", "disk_id", inverses.disk_settings))
def update_disk(
    render: Render,
    /,
    *,
    disk_id: DiskId,
    name: Annotated[str | None, "The new name.", non_empty()] = None,
    mount_path: Annotated[str | None, "The new folder where the service finds the disk.", AbsolutePath()] = None,
    size_gb: Annotated[int | None, "The new size in GB; a disk can grow but not shrink.", between(1, 16384)] = None,
) -> OneDisk:
    """Change a persistent disk; settings that are not given stay as they are."""
    body = renamed(locals(), _FIELDS)
    refuse_nothing(body, "update_disk", "give a setting, such as size_gb = 20")
    return {"disk": _shaped(render.api.patch(_DISK, json=body, disk_id=disk_id))}


@integration.destroys(was_done=deletion(_DISK, "disk_id"), undo=inverses.DATA_LOST)
def delete_disk(render: Render, /, *, disk_id: DiskId) -> DeletedDisk:
    """Delete a persistent disk permanently, with its data; the service loses the disk at once."""
    render.api.delete(_DISK, disk_id=disk_id)
    return {"disk_id": disk_id, "deleted": True}


@integration.reads
def list_disk_snapshots(render: Render, /, *, disk_id: DiskId) -> Snapshots:
    """List the snapshots of a disk; Render takes one a day."""
    found = things_of(render.api.get(_DISK + "/snapshots", disk_id=disk_id))
    return {"snapshots": [cast(Snapshot, filled(each, snapshotKey="", createdAt="")) for each in found]}


@integration.destroys(undo="the data since the snapshot is gone")
def restore_disk_snapshot(
    render: Render,
    /,
    *,
    disk_id: DiskId,
    snapshot_key: Annotated[str, "The snapshot's key, from list_disk_snapshots.", non_empty()],
    instance_id: Annotated[
        str | None,
        "The instanceId of the snapshot, if it has one.",
        matching(r"[A-Za-z0-9-]+", "srv-cabc12345678-abcde"),
    ] = None,
) -> OneDisk:
    """Restore a disk from a snapshot. Data written since then is lost, and Render might deploy the service again."""
    body: Thing = {"snapshotKey": snapshot_key} | ({} if instance_id is None else {"instanceId": instance_id})
    return {"disk": _shaped(render.api.post(_DISK + "/snapshots/restore", json=body, disk_id=disk_id))}


def _joined(values: str | list[str] | None) -> str | None:
    """Join a list of values with commas, since some parameters of ``GET /disks`` cannot be repeated."""
    return ",".join(values) if isinstance(values, list) else values


def _shaped(reply: object) -> ServiceDisk:
    disk = filled(thing_of(reply), id="", name="", sizeGB=0, mountPath="", serviceId="")
    return cast(ServiceDisk, disk)
