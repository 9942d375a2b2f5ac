"""Secrets from AWS Secrets Manager, as ``{ aws = "prod/render#api_key" }``, with boto3."""

from __future__ import annotations

import json

from kosmolua.errors import NotConfigured
from kosmolua.secret import Leased

ROTATION = 3600.0
"""Seconds after which a secret is read again, since AWS may have rotated it."""
TIMEOUT = 10


def secret(reference: str) -> str:
    """Return a secret, or a field of one that is JSON. It is read again after an hour.

    Region, credentials and endpoint are those of AWS's own programs: ``AWS_REGION``, ``AWS_PROFILE``,
    ``AWS_ENDPOINT_URL`` and so on.

    Args:
        reference: The name or the ARN of the secret, and a field after ``#``.

    Raises:
        NotConfigured: AWS cannot be reached, refuses, or has no such secret or field.
    """
    try:
        import boto3
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError, ClientError
    except ImportError:
        hint = "pip install 'kosmolua[aws]'"
        raise NotConfigured("Secrets in AWS Secrets Manager need the package boto3", hint=hint) from None
    name, _, field = reference.partition("#")
    config = Config(connect_timeout=TIMEOUT, read_timeout=TIMEOUT, retries={"total_max_attempts": 2})
    try:
        text = boto3.client("secretsmanager", config=config).get_secret_value(SecretId=name).get("SecretString")
    except ClientError as error:
        reason = error.response["Error"]["Code"]
        raise NotConfigured(
            f"AWS Secrets Manager refuses {name}: {reason}", hint="look at its name and region"
        ) from None
    except BotoCoreError as error:
        hint = "look at AWS_REGION and the credentials, as with aws sts get-caller-identity"
        raise NotConfigured(f"AWS Secrets Manager cannot be asked: {type(error).__name__}", hint=hint) from None
    if text is None:
        raise NotConfigured(f"The secret {name} of AWS Secrets Manager is not a text")
    return Leased(_field(name, text, field) if field else text, ROTATION)


def _field(name: str, text: str, field: str) -> str:
    try:
        found = json.loads(text)[field]
    except (ValueError, KeyError, TypeError):
        found = None
    if not isinstance(found, str):
        raise NotConfigured(f"The secret {name} of AWS Secrets Manager has no text {field!r}")
    return found
