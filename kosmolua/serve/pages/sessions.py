"""The sessions of people on the website, in signed cookies, and the tokens that protect forms against CSRF."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Mapping
from hashlib import sha256
from threading import Lock
from time import monotonic, time
from typing import NamedTuple

from kosmolua.serve.grants import FRESHNESS
from kosmolua.serve.signed_texts import SignedTexts
from kosmolua.stores.store import Stores

NONCE = 16
"""The length of the part of a form's token that is random."""
MAX_AGE = 12 * 3600
"""Seconds after which a person has to sign in again."""


class WebSession(NamedTuple):
    """A session of a person who is signed in, or of a browser that shows the sign-in page.

    Args:
        id: The random id of the session.
        tenant: The tenant whose pages the person sees; empty before the sign-in.
        mark: A keyed hash of the token with which the person signed in, or a word for a different way of signing in.
            The session ends when the tenant no longer accepts this token or this way.
        until: When the session ends, in seconds since 1970; 0 if it ends only because of its age.
        person: The name of the person; empty if it is not known.
        sub: The ``sub`` of the person's token; empty if there is none.
    """

    id: str
    tenant: str = ""
    mark: str = ""
    until: float = 0.0
    person: str = ""
    sub: str = ""


class Sessions:
    """Turns sessions into signed cookies, and reads sessions from cookies. Any thread may use this object.

    When a person signs out, this process refuses the session from then on, and other processes with the same key and
    stores refuse it within :data:`~kosmolua.serve.grants.FRESHNESS` seconds.
    """

    def __init__(self, key: bytes, stores: Stores) -> None:
        self._key = key
        self._stores = stores
        self._cookies = SignedTexts(key, "session", WebSession, MAX_AGE)
        self._ended: frozenset[str] = frozenset()
        self._ended_until = 0.0
        self._lock = Lock()

    def begin(
        self, tenant: str = "", mark: str = "", until: float = 0.0, person: str = "", sub: str = ""
    ) -> tuple[WebSession, str]:
        """Return a new session and its cookie."""
        session = WebSession(secrets.token_urlsafe(16), tenant, mark, until, person, sub)
        return session, self._cookies.sign(session)

    def read(self, cookie: str) -> WebSession | None:
        """Return the session in a cookie, or None if the cookie is forged or the session has ended or is too old.

        Raises:
            ConfigError: The stores cannot be reached, so it is not known whether the session has ended.
        """
        session = self._cookies.read(cookie)
        if session is None or 0 < session.until < time() or (session.tenant and session.id in self._recently_ended()):
            return None
        return session

    def end(self, session: WebSession) -> None:
        """End a session: refuse its cookie from now on.

        Raises:
            ConfigError: The stores cannot be reached, so other processes do not refuse it.
        """
        try:
            self._stores.end_session(session.id)
        finally:
            with self._lock:
                self._ended |= {session.id}

    def _recently_ended(self) -> frozenset[str]:
        """Return the ids of the sessions that have ended, as they were read at most ``FRESHNESS`` seconds ago."""
        with self._lock:
            began = monotonic()
            if began >= self._ended_until:
                self._ended = self._stores.ended_sessions()
                self._ended_until = began + FRESHNESS
            return self._ended

    def form_token(self, session: WebSession) -> str:
        """Return a token for the forms of a session. No other website can know one.

        Each is another, so that the sizes of compressed pages tell nothing about it.
        """
        return self._form_token(session, secrets.token_hex(NONCE // 2))

    def is_own_form(self, session: WebSession, form: Mapping[str, str]) -> bool:
        """Return True if a form contains a token that :meth:`form_token` returned for the session."""
        given = form.get("token_of_form", "")
        return hmac.compare_digest(given.encode(), self._form_token(session, given[:NONCE]).encode())

    def _form_token(self, session: WebSession, nonce: str) -> str:
        return nonce + hmac.new(self._key, f"form {session.id} {nonce}".encode(), sha256).hexdigest()
