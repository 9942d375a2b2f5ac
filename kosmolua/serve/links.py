"""Links to single questions: signed, for one tenant and perhaps one person, until the question is answered."""

from __future__ import annotations

from typing import NamedTuple

from kosmolua.serve.signed_texts import SignedTexts
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


def question_links(key: bytes) -> SignedTexts[QuestionLink]:
    """Return what makes and reads the signed part of links; ``key`` is that of the stores."""
    return SignedTexts(key, "question", QuestionLink, (APPROVAL_DAYS + 1) * DAY)
