"""Sessions of people who are signed in, as signed cookies, and the tokens that protect forms against other sites."""

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
        id: A random id.
        tenant: The name of the tenant whose pages are shown; empty before the sign-in.
        mark: The mark of the token that the person signed in with. The session ends when the token is removed.
        until: The time when the session ends, in seconds since 1970; 0 if only its age counts.
    """

    id: str
    tenant: str = ""
    mark: str = ""
    until: float = 0.0


class Sessions:
    """Signs sessions as cookies, and reads them back. Any thread may use it.

    A session that was ended here is refused from then on. Other processes with the same key refuse it only once it is
    older than :data:`MAX_AGE`.

    Args:
        key: The key of the signatures. Processes that serve the same people need the same key.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._signer = URLSafeTimedSerializer(
            key, salt="kosmolua session", signer_kwargs={"key_derivation": "hmac", "digest_method": sha256}
        )
        self._ended: dict[str, float] = {}
        self._lock = Lock()

    def begin(self, tenant: str = "", mark: str = "", until: float = 0.0) -> tuple[Session, str]:
        """Return a new session and its cookie. The parameters are those of :class:`Session`."""
        session = Session(secrets.token_urlsafe(16), tenant, mark, until)
        return session, str(self._signer.dumps(session))

    def read(self, cookie: str) -> Session | None:
        """Return the session of a cookie, or None if the cookie is forged, too old or of a session that ended."""
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
        """Return the token that the forms of a session contain."""
        return hmac.new(self._key, f"form {session.id}".encode(), sha256).hexdigest()

    def is_own_form(self, session: Session, form: Mapping[str, str]) -> bool:
        """Return True if a form has the token of this session."""
        return hmac.compare_digest(form.get("token_of_form", "").encode(), self.form_token(session).encode())
