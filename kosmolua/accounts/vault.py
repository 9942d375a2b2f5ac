"""Secrets from HashiCorp Vault, as ``{ vault = "secret/data/render#api_key" }``, with hvac."""

from __future__ import annotations

import os
from typing import Any

from kosmolua.errors import NotConfigured
from kosmolua.secret import Leased

TIMEOUT = 10
"""Seconds that Vault has for an answer."""


def secret(reference: str) -> str:
    """Return a field of what Vault has at a path; with a lease, for as long as that lasts.

    The variables of Vault's own program name the server and the token: ``VAULT_ADDR``, ``VAULT_TOKEN``,
    ``VAULT_NAMESPACE``, ``VAULT_CACERT``.

    Args:
        reference: The path, and after ``#`` the field, which only a secret with one field does without.

    Raises:
        NotConfigured: Vault cannot be reached, refuses, or has no such field.
    """
    try:
        import hvac
        from hvac.exceptions import VaultError
        from requests.exceptions import RequestException
    except ImportError:
        raise NotConfigured("Secrets in Vault need the package hvac", hint="pip install 'kosmolua[vault]'") from None
    path, _, field = reference.partition("#")
    client = hvac.Client(timeout=TIMEOUT, namespace=os.environ.get("VAULT_NAMESPACE"))
    try:
        answer: dict[str, Any] | None = client.read(path.strip("/"))
    except VaultError as error:
        reason = "; ".join(error.errors) if isinstance(error.errors, list) and error.errors else type(error).__name__
        hint = "look at VAULT_ADDR and VAULT_TOKEN, and at the token's policies"
        raise NotConfigured(f"Vault refuses {path}: {reason}", hint=hint) from None
    except RequestException as error:
        hint = "set VAULT_ADDR to its URL"
        raise NotConfigured(f"Vault cannot be reached: {type(error).__name__}", hint=hint) from None
    if answer is None:
        hint = "a path of version 2 has data in it: secret/data/NAME"
        raise NotConfigured(f"Vault has nothing at {path}", hint=hint)
    data: dict[str, Any] = answer.get("data") or {}
    if isinstance(data.get("metadata"), dict) and isinstance(
        data.get("data"), dict
    ):  # version 2 of the key-value store
        data = data["data"]
    name = field or (next(iter(data)) if len(data) == 1 else "")
    if not isinstance(data.get(name), str):
        hint = f"name one of its fields, as in {path}#{next(iter(data), 'FIELD')}"
        raise NotConfigured(f"Vault has no text {name!r} at {path}", hint=hint)
    return Leased(data[name], float(answer.get("lease_duration") or 0))
