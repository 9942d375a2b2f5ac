"""Sessions: who is signed in, in a signed cookie, and the tokens that show a form to be the page's own."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Mapping
from hashlib import sha256
from threading import Lock
from time import time
from typing import NamedTuple

from itsdangerous import BadData, URLSafeTimedSerializer

MAX_AGE = 12 * 3600
"""Seconds after which a person has to sign in again."""


class Session(NamedTuple):
    """A person who is signed in, or a browser that is about to.

    Args:
        id: A random name.
        tenant: Whose pages are shown; empty before the sign-in.
        mark: Which of the tenant's tokens was shown; the session ends with the token.
        until: When the session ends at the latest, in seconds since 1970; 0 for no such time.
    """

    id: str
    tenant: str = ""
    mark: str = ""
    until: float = 0.0


class Sessions:
    """Signs sessions and reads them back. Any thread may use it.

    A session that was ended here is refused from then on; other processes that have the same key refuse it once it is
    older than :data:`MAX_AGE`.

    Args:
        key: Signs; processes that serve the same people have the same one.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._signer = URLSafeTimedSerializer(
            key, salt="kosmolua session", signer_kwargs={"key_derivation": "hmac", "digest_method": sha256}
        )
        self._ended: dict[str, float] = {}
        self._lock = Lock()

    def begin(self, tenant: str = "", mark: str = "", until: float = 0.0) -> tuple[Session, str]:
        """Return a new session and its cookie."""
        session = Session(secrets.token_urlsafe(16), tenant, mark, until)
        return session, str(self._signer.dumps(session))

    def read(self, cookie: str) -> Session | None:
        """Return the session of a cookie, or None if it is not one of ours, too old or ended."""
        try:
            session = Session(*self._signer.loads(cookie, max_age=MAX_AGE))
        except (BadData, TypeError):
            return None
        with self._lock:
            is_over = session.id in self._ended or 0 < session.until < time()
            return None if is_over else session

    def end(self, session: Session) -> None:
        """Refuse a session from now on."""
        with self._lock:
            now = time()
            self._ended = {name: until for name, until in self._ended.items() if until > now}
            self._ended[session.id] = now + MAX_AGE

    def form_token(self, session: Session) -> str:
        """Return what the forms of a session carry."""
        return hmac.new(self._key, f"form {session.id}".encode(), sha256).hexdigest()

    def is_own_form(self, session: Session, form: Mapping[str, str]) -> bool:
        """Return True if a form was made by a page of this session."""
        return hmac.compare_digest(form.get("token_of_form", "").encode(), self.form_token(session).encode())
