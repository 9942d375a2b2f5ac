"""Links to single questions: signed, for one tenant and perhaps one person, until the question is answered."""

from __future__ import annotations

from hashlib import sha256
from typing import NamedTuple

from itsdangerous import BadData, URLSafeTimedSerializer

from kosmolua.stores.store import APPROVAL_DAYS, DAY, WaitingCall


class QuestionLink(NamedTuple):
    """What a link is for.

    Args:
        tenant: The name of the tenant.
        question: The id of the run and the number of the call, as in ``RUN-NUMBER``.
        person: To whom alone it was sent, which makes it a proof of who opens it; empty for people who sign in.
    """

    tenant: str
    question: str
    person: str = ""

    def is_about(self, call: WaitingCall) -> bool:
        return call.name == self.question


class QuestionLinks:
    """Makes and reads the part of a link that is signed; ``key`` is that of the stores."""

    def __init__(self, key: bytes) -> None:
        self._signer = URLSafeTimedSerializer(
            key, salt="kosmolua question", signer_kwargs={"key_derivation": "hmac", "digest_method": sha256}
        )

    def sign(self, link: QuestionLink) -> str:
        return str(self._signer.dumps(link))

    def read(self, text: str) -> QuestionLink | None:
        """Return what a link is for; None if it is forged or too old."""
        try:
            return QuestionLink(*self._signer.loads(text, max_age=int((APPROVAL_DAYS + 1) * DAY)))
        except (BadData, TypeError):
            return None
