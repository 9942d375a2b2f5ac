"""Landlock: no file can be opened, no TCP port used, and no process outside be signalled.

A ruleset that handles a kind of access and has no rule denies all of it. What is open already stays open. See
https://docs.kernel.org/userspace-api/landlock.html.
"""

from __future__ import annotations

import os
import struct

from kosmolua.sandbox import kernel

_FILES = {1: 1 << 13, 2: 1 << 14, 3: 1 << 15, 5: 1 << 16}
_NETWORK = {4: 1 << 2}
_SCOPES = {6: 1 << 2}
"""By the version that brought them: the first bit beyond the kinds of access that the kernel knows from then on.

Files: 13 kinds, then moving between folders, truncating, and device control. Network: binding and connecting TCP
sockets. Scopes: sockets with abstract names, and signals.
"""


def restrict() -> bool:
    """Deny everything that the kernel's version of Landlock knows, also to later forks; say whether that is so."""
    version = kernel.landlock_version()
    if version < 1:
        return False
    kinds = [_known(table, version) for table in (_FILES, _NETWORK, _SCOPES)]
    ruleset = kernel.landlock_ruleset(struct.pack("=QQQ", *kinds))
    if ruleset < 0:
        return False
    try:
        return kernel.landlock_restrict(ruleset)
    finally:
        os.close(ruleset)


def _known(table: dict[int, int], version: int) -> int:
    return max((bound - 1 for since, bound in table.items() if since <= version), default=0)
