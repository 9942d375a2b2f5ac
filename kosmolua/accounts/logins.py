"""Logins: tokens of accounts, kept in the keyring or in a file that all processes share."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from hashlib import sha256
from pathlib import Path
from threading import Lock
from typing import Any, TextIO

from kosmolua.errors import ConfigError, NotConfigured
from kosmolua.folders import replace_file, state_folder
from kosmolua.http.messages import Request
from kosmolua.http.oauth import Tokens, log_in_as_client, renew
from kosmolua.http.oauth_services import Service
from kosmolua.locks import lock_file
from kosmolua.secret import Secret

KEYRING_SERVICE = "kosmolua-logins"
LOCK_TIMEOUT = 60.0
"""Seconds to wait for another process that is renewing the same login."""


class Logins:
    """The logins of one accounts file.

    ``folder`` is for lock files, and for tokens without a keyring; None: ``logins`` in the user's state folder.
    """

    def __init__(self, accounts: Path, folder: str | os.PathLike[str] | None = None) -> None:
        self._owner = sha256(os.fsencode(os.path.abspath(accounts))).hexdigest()[:8]
        self._folder = Path(state_folder()) / "logins" if folder is None else Path(folder)

    def of(self, account: str, service: Callable[[], Service] | None = None) -> Login:
        """Return the login of an account, named by its section; ``service`` as in :class:`Login`."""
        name = f"{re.sub(r'[^A-Za-z0-9_.-]', '_', account)}-{self._owner}"
        return Login(account, name, self._folder, service)


class Login:
    """The login of one account. Any number of threads and processes may use it.

    ``name`` is the one in the keyring, and of the files in ``folder``. ``service`` returns the service as the account's
    section has it now, for logins without a person; None: as it was.
    """

    def __init__(self, account: str, name: str, folder: Path, service: Callable[[], Service] | None = None) -> None:
        self._account = account
        self._service = service
        self._name = name
        self._file = folder / f"{name}.json"
        self._lock_file = folder / f"{name}.lock"
        self._lock = Lock()
        self._known: tuple[Service, Tokens] | None = None
        self._stamp: tuple[int, int] | None = None
        """Identifies the version of the file that was read last."""

    @property
    def exists(self) -> bool:
        """Whether the account is logged in."""
        return self._read() is not None

    @property
    def service(self) -> Service | None:
        """The service that issued the tokens, or None if there is no login."""
        found = self._read()
        return found[0] if found else None

    @property
    def key(self) -> str:
        """The key that the last token is bound to (DPoP); empty if it is to none."""
        known = self._known
        return known[1].key if known else ""

    @property
    def tokens(self) -> Tokens | None:
        """The current tokens, or None if there is no login."""
        found = self._read()
        return found[1] if found else None

    def token(self, *, but_not: str = "") -> str:
        """Return a valid token. An expired one is renewed first, once for all processes.

        ``but_not`` is one that the service refused, which is never returned.

        Raises:
            NetworkError: The service that renews the token cannot be reached.
            NotConfigured: The account is not logged in, or its login has expired.
        """
        with self._lock:
            if self._known and not self._known[1].is_over and self._known[1].access != but_not:
                return self._known[1].access
            self._stamp, self._known = self._stamp_now(), self._read()
            if self._known is None:
                raise self._missing("is not logged in")
            if self._known[1].is_over or self._known[1].access == but_not:
                with self._alone():
                    self._known = self._renewed(but_not)
                    self._stamp = self._stamp_now()
            return self._known[1].access

    def look_again(self) -> None:
        """Forget the cached token if another process has changed the login."""
        with self._lock:
            if self._known and self._stamp != self._stamp_now():
                self._known = None

    def secret(self, learn: Callable[[Secret], None]) -> LoginSecret:
        """Return a secret that always reveals the current token, after ``learn`` got it for masking."""
        return LoginSecret(self, learn)

    def keep(self, service: Service, tokens: Tokens) -> str:
        """Store the tokens, and return where: the path of a file, or ``the keyring``.

        Raises:
            ConfigError: The tokens cannot be written.
        """
        with self._alone():
            return self._write(service, tokens)

    def forget(self) -> tuple[Service, Tokens] | None:
        """Remove the tokens and return them, to be revoked, or None."""
        with self._alone():
            found = self._read()
            self._known = None
            with suppress(FileNotFoundError):
                self._file.unlink()
            if found and (keyring := keyring_or_none()):
                with asking_the_keyring():
                    if keyring.get_password(KEYRING_SERVICE, self._name) is not None:
                        keyring.delete_password(KEYRING_SERVICE, self._name)
            return found

    def _renewed(self, but_not: str) -> tuple[Service, Tokens]:
        """Return valid tokens, renewed unless another process has done so; within :meth:`_alone`."""
        found = self._read()
        if found is None:
            raise self._missing("is not logged in")
        service, tokens = found
        if tokens.is_over or tokens.access == but_not:
            try:
                if tokens.refresh or service.login.needs_person or self._service is None:
                    tokens = renew(service, tokens)
                else:
                    service, tokens = log_in_as_client(self._service())
            except NotConfigured as error:
                raise self._missing(f"has to log in again: {error.what}") from None
            self._write(service, tokens)
        return service, tokens

    def _missing(self, what: str) -> NotConfigured:
        return NotConfigured(f"{self._account} {what}", hint=f"run 'kosmolua accounts login {self._account}'")

    def _stamp_now(self) -> tuple[int, int] | None:
        try:
            found = self._file.stat()
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns

    def _read(self) -> tuple[Service, Tokens] | None:
        try:
            kept = json.loads(self._file.read_text(encoding="utf-8"))
            if kept.get("in") == "keyring":
                kept = json.loads(self._in_keyring())
            return Service.of_json(kept["service"]), Tokens(**kept["tokens"])
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise ConfigError(f"The login file {self._file} cannot be read: {error.strerror}") from None
        except (ValueError, KeyError, TypeError):
            raise ConfigError(f"The login file {self._file} is damaged", hint="log in again") from None

    def _in_keyring(self) -> str:
        if not (keyring := keyring_or_none()):
            what = f"The login of {self._account} is in a keyring, but no keyring is available here"
            raise ConfigError(what, hint="pip install 'kosmolua[keyring]', or log in again")
        with asking_the_keyring():
            kept: str | None = keyring.get_password(KEYRING_SERVICE, self._name)
        if kept is None:
            raise ConfigError(f"The login of {self._account} is no longer in the keyring", hint="log in again")
        return kept

    def _write(self, service: Service, tokens: Tokens) -> str:
        text, where = json.dumps({"service": service.as_json(), "tokens": asdict(tokens)}), str(self._file)
        if keyring := keyring_or_none():
            with asking_the_keyring():
                keyring.set_password(KEYRING_SERVICE, self._name, text)
            text, where = json.dumps({"in": "keyring"}), "the keyring"
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            replace_file(self._file, text.encode())
        except OSError as error:
            raise ConfigError(f"The login file {self._file} cannot be written: {error.strerror}") from None
        return where

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep other processes from changing the login during the block."""
        with self._opened_lock() as stream:
            if not lock_file(stream.fileno(), LOCK_TIMEOUT):
                what = "Another process has kept the login locked for a minute"
                hint = "wait until the process that keeps the login locked has ended, or end that process"
                raise NotConfigured(what, hint=hint)
            yield

    def _opened_lock(self) -> TextIO:
        try:
            self._lock_file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            return open(self._lock_file, "a", encoding="utf-8")
        except OSError as error:
            raise ConfigError(f"The lock file {self._lock_file} cannot be written: {error.strerror}") from None


class LoginSecret(Secret):
    """The token of a login, looked up and, if necessary, renewed at each use; ``learn`` gets it first."""

    __slots__ = ("_learn", "_login")

    def __init__(self, login: Login, learn: Callable[[Secret], None]) -> None:
        super().__init__("")
        self._login = login
        self._learn = learn

    def __bool__(self) -> bool:
        return True

    def look_again(self) -> None:
        self._login.look_again()

    def reveal(self) -> str:
        return self._learned(self._login.token())

    def prefixed(self, scheme: str) -> Secret:
        """Return ``SCHEME TOKEN``, which knows its token."""
        return IssuedToken(self.reveal(), self).prefixed(scheme)

    def as_password_of(self, user: str) -> Secret:
        """Return the header for basic authentication, which knows its token."""
        return IssuedToken(self.reveal(), self).as_password_of(user)

    @property
    def key(self) -> str:
        """The key that the last token is bound to (DPoP), as PEM; empty if it is to none."""
        return self._login.key

    def renewed(self, refused: str) -> str:
        """Return a valid token other than the refused one."""
        return self._learned(self._login.token(but_not=refused))

    def _learned(self, token: str) -> str:
        self._learn(Secret(token))
        return token


class IssuedToken(Secret):
    """A token that a request was signed with; the login may have another by now."""

    __slots__ = ("login",)

    def __init__(self, token: str, login: LoginSecret) -> None:
        super().__init__(token)
        self.login = login


def renewed(request: Request) -> Request | None:
    """Return a refused request with a renewed token, or None if it has no login's token.

    Of several requests that were refused with one token, the first renews it.
    """
    for name, value in request.headers.items():
        roots = value.roots if isinstance(value, Secret) else ()
        for issued in (each for each in roots if isinstance(each, IssuedToken)):
            fresh = IssuedToken(issued.login.renewed(issued.reveal()), issued.login)
            text = request.fields[name].replace(issued.reveal(), fresh.reveal())
            return replace(request, headers={**request.headers, name: Secret(text, holding=[fresh])})
    return None


@contextmanager
def asking_the_keyring() -> Iterator[None]:
    """Turn an error of the keyring into a ConfigError."""
    from keyring.errors import KeyringError

    try:
        yield
    except KeyringError as error:
        raise ConfigError(f"The keyring cannot be used: {error or type(error).__name__}", hint="unlock it") from None


def keyring_or_none() -> Any:
    """Return the module ``keyring``, or None if it is missing or cannot store anything."""
    try:
        import keyring
    except ImportError:
        return None
    return keyring if keyring.get_keyring().priority > 0 else None
