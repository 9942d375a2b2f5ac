"""Signed requests of AWS (Signature Version 4), with the signer of its own programs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib.util import find_spec
from urllib.parse import urlsplit

from kosmolua.errors import NotConfigured
from kosmolua.http.headers import SIGNED, merged, plain
from kosmolua.http.messages import Request
from kosmolua.secret import Secret

_OF_S3 = ("s3", "s3-object-lambda", "s3-outposts")
_FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True)
class AwsSignature:
    """Signs each request with an access key of AWS, for one service in one region.

    Args:
        service: The name that signatures have for the service, such as ``dynamodb``.
        region: The region, such as ``eu-central-1``.
        key_id: The id of the access key.
        secret: The secret access key.
        token: The session token of temporary credentials.

    Raises:
        NotConfigured: botocore is not installed.
    """

    service: str
    region: str
    key_id: str
    secret: Secret
    token: Secret | None = None

    def __post_init__(self) -> None:
        if find_spec("botocore") is None:
            hint = "pip install 'kosmolua[aws]'"
            raise NotConfigured("the service requires signed requests, which need the package boto3", hint=hint)

    def sign(self, request: Request) -> Request:
        from botocore.auth import S3SigV4Auth, SigV4Auth
        from botocore.awsrequest import AWSRequest
        from botocore.credentials import Credentials

        own = {name: value for name, value in request.headers.items() if plain(name) not in {"authorization", *SIGNED}}
        usual = replace(request, headers=merged({"Content-Type": _FORM}, own) if request.form else own)
        parts = urlsplit(request.url)
        url = f"{parts.scheme}://{parts.netloc}{request.target}"
        signed = AWSRequest(request.method, url, usual.fields, request.content)
        keys = Credentials(self.key_id, self.secret.reveal(), self.token.reveal() if self.token else None)
        signer = S3SigV4Auth if self.service in _OF_S3 else SigV4Auth
        signer(keys, self.service, self.region).add_auth(signed)
        added: dict[str, str | Secret] = {name: text for name, text in signed.headers.items() if plain(name) in SIGNED}
        if self.token:
            added["X-Amz-Security-Token"] = self.token
        proof = Secret(signed.headers["Authorization"], holding=[self.secret])
        return replace(request, headers={**usual.headers, **added, "Authorization": proof})
