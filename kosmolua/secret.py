"""Secrets: credentials that are never shown, and the redactor, which masks them in all text that leaves the host.

A secret is revealed only where it is used, such as where a request is encoded or signed.
"""

from __future__ import annotations

from base64 import b32encode, b64encode
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator
from json import JSONEncoder, dumps
from threading import Lock
from typing import Any
from urllib.parse import quote, quote_plus

from kosmolua.expressions import regex

MASK = "***"
_NAMED = f"{MASK} ("
MIN_SECRET = 8
"""The smallest length of a secret that the user names. Masking a shorter one would help a script to guess it."""
MIN_REDACTED = 6
"""The smallest length of a secret that is masked. Masking ``1234`` would hide parts of every reply."""
MIN_LINE = 16
"""The smallest length of a line that is masked by itself in a secret of several lines, such as a private key."""
MAX_PER_OWNER = 16
"""How many secrets are remembered of those that an account obtains at run time, such as fresh tokens: the newest."""
MAX_SEARCHED = 256
"""Up to this many spellings are searched for one by one. If there are more, they are found by their ends. The time for
this does not grow with their number."""
_WINDOW = 3 << 15
_GRAM = 6
"""How many bytes at the end of a spelling are compared with a text to find the spelling."""
_STRIDE = 3
"""The search looks only at every third position of a text. For each spelling it therefore knows three ends."""
_HTML = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#x27;"})
_HTML_DECIMAL = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&#34;", "'": "&#39;"})
_HTML_IN_TEXT = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
_in_json = JSONEncoder(ensure_ascii=False).encode
_NUMBER = regex(r"[-+.\deE]+")
_KEY_PREFIX = regex(r"(rnd|gh[opsur]|github_pat|glpat|npm|pypi|sk|pk|rk|xox[a-z])[_-]|AKIA|eyJ|Bearer ")
_LONG_RUN = regex(r"[A-Za-z0-9]{16,}")


class Leased(str):
    """The text of a secret that its source gives for some ``seconds``, after which it is fetched again; 0 for ever."""

    seconds: float

    def __new__(cls, text: str, seconds: float) -> Leased:
        leased = super().__new__(cls, text)
        leased.seconds = seconds
        return leased


class Secret:
    """A credential: an API key, a token, a password.

    Printing, formatting or logging a Secret gives ``***``.

    Args:
        value: The credential itself.
        holding: The secrets from which the value was built. They are masked in texts instead of the whole value. None
            if the value itself must be masked.
    """

    __slots__ = ("_holding", "_value")

    def __init__(self, value: str, *, holding: Iterable[Secret] | None = None) -> None:
        self._value = value
        self._holding = None if holding is None else tuple(holding)

    def __repr__(self) -> str:
        return f"Secret({MASK})"

    def __str__(self) -> str:
        return MASK

    def __format__(self, spec: str) -> str:
        return MASK

    def __bool__(self) -> bool:
        return bool(self._value)

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("a Secret cannot be pickled")

    def prefixed(self, scheme: str) -> Secret:
        """Return a secret with the value ``SCHEME VALUE``, for a header; no space follows a ``=``."""
        return Secret(f"{scheme}{'' if scheme.endswith('=') else ' '}{self.reveal()}", holding=[self])

    def as_password_of(self, user: str) -> Secret:
        """Return the ``Authorization`` header for basic authentication (RFC 7617) as this user."""
        encoded = Secret(b64encode(f"{user}:{self.reveal()}".encode()).decode())
        return Secret(f"Basic {encoded.reveal()}", holding=[self, encoded])

    @property
    def roots(self) -> tuple[Secret, ...]:
        """The secrets from which this one was built, else itself."""
        return (self,) if self._holding is None else tuple(root for held in self._holding for root in held.roots)

    def reveal(self) -> str:
        """Return the credential itself. Only code that encodes or signs a request should need this."""
        return self._value


class Unshown(str):
    """A text that a function gets from a script without the script seeing it; elsewhere ``shown`` is shown."""

    __slots__ = ()

    @property
    def shown(self) -> str:
        """What is shown in its place."""
        return MASK

    def shown_to(self, redactor: Redactor) -> str:
        """Return what is shown, without the secrets that a redactor knows."""
        return self.shown

    def __repr__(self) -> str:
        return self.shown


class SecretText(Unshown):
    """The text of a secret that a script passes as an argument.

    Args:
        text: The text.
        origin: The name of the secret, or the call that returned it; empty if a Python program passes it.
        account: The integration and account whose result had it, as in ``shop.work``; else empty.
        user: The user whose login returned it, if that is known.
    """

    __slots__ = ("account", "origin", "user")
    origin: str
    account: str
    user: str

    def __new__(cls, text: str, origin: str = "", account: str = "", user: str = "") -> SecretText:
        new = super().__new__(cls, text)
        new.origin, new.account, new.user = origin, account, user
        return new

    @property
    def shown(self) -> str:
        """Say which secret it is, so that a person who approves one approves no other, and no literal ``***``."""
        return f"{_NAMED}{self.origin})" if self.origin else MASK

    def __getnewargs__(self) -> tuple[str, ...]:  # type: ignore[override]
        return str(self), self.origin, self.account, self.user


class Redactor:
    """Masks known secrets in any text or JSON value. Many threads may share one.

    A secret is found in each of its *spellings*: in upper and lower case, escaped for JSON, HTML, a URL, Python, SQL or
    a shell, also with each character escaped, in hex, reversed, inside base64 and base32, and escaped or encoded twice.
    Of several lines, each is also found by itself. The time for a search grows with the length of the text, and with
    the number of spellings only up to :data:`MAX_SEARCHED`: more are looked up in an index.
    """

    def __init__(self) -> None:
        self._known: dict[Hashable, dict[str, set[str]]] = {}
        self._users: Counter[str] = Counter()
        self._by_end: dict[str, tuple[str, ...]] = {}
        self._short: tuple[str, ...] = ()
        self._few: tuple[str, ...] | None = ()
        self._has_numbers = False
        self._lock = Lock()
        self.learned = 0
        """How many secrets have been learned so far. What was masked since is free of those that are known."""

    def learn(self, secret: Secret, owner: Hashable = None) -> None:
        """Mask a secret, or those from which it was built, from now on.

        Only the newest of an ``owner``, an account, are remembered, since it can obtain many, such as fresh tokens.
        """
        for root in secret.roots:
            value = root.reveal()
            if len(value) < MIN_REDACTED:
                continue
            with self._lock:
                kept = self._known.setdefault(owner, {})
                spellings = kept.pop(value, None)
                if spellings is not None:
                    kept[value] = spellings  # moved to the end, as the newest one
                    continue
                kept[value] = spellings = _spellings_of(value)
                self._has_numbers = self._has_numbers or bool(_NUMBER.fullmatch(value))
                self._add(spellings)
                if owner is not None and len(kept) > MAX_PER_OWNER:
                    self._remove(kept.pop(next(iter(kept))))
                self._few = tuple(self._users) if len(self._users) <= MAX_SEARCHED else None
                self.learned += 1

    def _add(self, spellings: set[str]) -> None:
        for spelling in [each for each in spellings if each not in self._users]:
            if len(spelling) < _GRAM + _STRIDE - 1:
                self._short += (spelling,)
            for gram in _ends_of(spelling):
                self._by_end[gram] = (*self._by_end.get(gram, ()), spelling)
        self._users.update(spellings)

    def _remove(self, spellings: set[str]) -> None:
        for spelling in spellings:
            self._users[spelling] -= 1
            if self._users[spelling]:
                continue
            del self._users[spelling]
            self._short = tuple(each for each in self._short if each != spelling)
            for gram in _ends_of(spelling):
                if not (left := tuple(each for each in self._by_end[gram] if each != spelling)):
                    del self._by_end[gram]
                else:
                    self._by_end[gram] = left

    def text(self, text: str) -> str:
        """Return the text with ``***`` in place of each known secret."""
        if not self.knows(text):
            return text
        data = text.encode("utf-8", "surrogatepass")
        pieces, end = [], 0
        for start, stop in self._spans(_folded(data)):
            pieces += [data[end:start], MASK.encode()]
            end = stop
        return b"".join([*pieces, data[end:]]).decode("utf-8", "surrogatepass")

    def value(self, value: object, *, is_given: bool = False) -> object:
        """Return a copy of a JSON value with ``***`` for each known secret in strings and keys.

        ``is_given`` says that a script passes it, so that a text which only looks like the name of a secret is marked.
        """
        whole = [value]
        unseen: list[Any] = [whole]
        while unseen:
            copy = unseen.pop()
            for place, item in enumerate(copy) if isinstance(copy, list) else copy.items():
                if isinstance(item, Unshown):
                    copy[place] = item.shown_to(self)
                elif isinstance(item, str):
                    mark = "\\" if is_given and item.startswith(_NAMED) else ""  # is no secret, and looks like none
                    copy[place] = mark + self.text(item)
                elif isinstance(item, (dict, list, tuple)):
                    part: Any
                    if isinstance(item, dict):
                        part = {self.text(str(key)): each for key, each in item.items()}
                    else:
                        part = list(item)
                    copy[place] = part
                    unseen.append(part)
                elif isinstance(item, Secret) or (
                    self._has_numbers and isinstance(item, (int, float)) and self.knows(str(item))
                ):
                    copy[place] = MASK
        return whole[0]

    def knows(self, encoded: str) -> bool:
        """Return True if a text contains a known secret: much faster than masking it."""
        if len(encoded) < MIN_REDACTED:
            return False
        folded, few = _folded(encoded.encode("utf-8", "surrogatepass")), self._few
        if few is None:
            return next(self._found(folded), None) is not None
        return any(spelling in folded for spelling in few)

    def _found(self, folded: str) -> Iterator[str]:
        """Yield, perhaps twice, each spelling in a folded text."""
        few = self._few
        yield from (spelling for spelling in (self._short if few is None else few) if spelling in folded)
        if few is not None:
            return
        known = self._by_end
        for start in range(0, len(folded), _WINDOW):
            places = range(start, min(start + _WINDOW, len(folded)), _STRIDE)
            grams = {folded[at : at + _GRAM] for at in places}
            candidates = {spelling for gram in grams if gram in known for spelling in known.get(gram, ())}
            yield from (spelling for spelling in candidates if spelling in folded)

    def _spans(self, folded: str) -> list[tuple[int, int]]:
        """Return start and end of each secret in a folded text, in order, with overlapping ones joined."""
        spans = []
        for spelling in {*self._found(folded)}:
            at = folded.find(spelling)
            while at >= 0:
                spans.append((at, at + len(spelling)))
                at = folded.find(spelling, at + 1)
        merged: list[tuple[int, int]] = []
        for start, stop in sorted(spans):
            if merged and start < merged[-1][1]:
                merged[-1] = merged[-1][0], max(stop, merged[-1][1])
            else:
                merged.append((start, stop))
        return merged


def _folded(data: bytes) -> str:
    """Return bytes in lower case, each as a character: Python finds short texts in a text faster than in bytes."""
    return data.lower().decode("latin-1")


def _ends_of(spelling: str) -> set[str]:
    """Return the three ends by which a spelling is found, none if it is too short.

    They are its last :data:`_GRAM` bytes, and those that end one and two bytes earlier. A search looks at every third
    position of a text, so it finds one of the three.
    """
    ends = range(len(spelling), len(spelling) - _STRIDE, -1)
    return {spelling[end - _GRAM : end] for end in ends} if len(spelling) >= _GRAM + _STRIDE - 1 else set()


def _spellings_of(value: str) -> set[str]:
    """Return the spellings of a value, and of it in JSON, folded; of several lines, each is one by itself."""
    lines = [line.strip() for line in value.splitlines()]
    if len(lines) > 1:
        long = {line for line in lines if len(line) >= MIN_LINE and not line.startswith("-----")}
        return _spellings_of_line(value).union(*map(_spellings_of_line, long))
    return _spellings_of_line(value)


def _spellings_of_line(value: str) -> set[str]:
    raw = value.encode("utf-8", "surrogatepass")
    escaped = {value, value.lower(), value.upper(), repr(value)[1:-1]}
    in_json = dumps(value)[1:-1]
    escaped |= {value.replace("'", quoted) for quoted in ("''", "'\"'\"'", "'\\''")} | {value.replace('"', '""')}
    escaped |= {each.translate(how) for each in {value, in_json} for how in (_HTML, _HTML_DECIMAL, _HTML_IN_TEXT)}
    in_hex, in_units = raw.hex("%"), value.encode("utf-16-be", "surrogatepass").hex("u", 2)
    escaped |= {f"%{in_hex}", "\\x" + in_hex.replace("%", "\\x"), "\\u" + in_units.replace("u", "\\u")}
    escaped |= {"".join(f"\\{byte:03o}" for byte in raw), value[::-1]}
    codes = [*map(ord, value)]
    escaped |= {"&#" + ";&#".join(map(str, codes)) + ";", "&#" + ";&#".join(map(hex, codes)).replace("0x", "x") + ";"}
    in_url = _quoted(value) | {quote(in_json, safe="", errors="surrogatepass")}
    escaped |= in_url | {twice for once in in_url for twice in _quoted(once)}
    escaped |= {dumps(text)[1:-1] for text in escaped} | {_in_json(text)[1:-1] for text in escaped}
    escaped |= {text.replace("/", "\\/") for text in escaped}
    encoded = {raw.hex(), raw.hex(":"), raw.hex(" "), *_within_base32(raw)}
    for once in {*_within_base64(raw)}:
        encoded |= {once, *_within_base64(once.encode())}
    texts = escaped | encoded | {_in_json(text)[1:-1] for text in escaped}
    return {_folded(text.encode("utf-8", "surrogatepass")) for text in texts}


def _quoted(text: str) -> set[str]:
    """Return the percent-encoded forms: programs differ in what they leave unescaped."""
    safe = ("", "/", "!*'()")
    ways = (quote, quote_plus) if " " in text else (quote,)
    return {how(text, safe=each, errors="surrogatepass") for how in ways for each in safe}


def _within_base64(value: bytes) -> Iterator[str]:
    """Yield the forms inside a longer base64 text, which depend on how many bytes precede."""
    for before in range(3):
        encoded = b64encode(bytes(before) + value).decode()
        within = encoded[-(-before * 4 // 3) : (before + len(value)) * 4 // 3]
        yield from (within, within.replace("+", "-").replace("/", "_"))


def _within_base32(value: bytes) -> Iterator[str]:
    """Yield the forms inside a longer base32 text."""
    for before in range(5):
        encoded = b32encode(bytes(before) + value).decode()
        yield encoded[-(-before * 8 // 5) : (before + len(value)) * 8 // 5]


def looks_like_key(text: str) -> bool:
    """Return True if a text that should be a name looks like a credential, which no message should show.

    It begins like the keys of well-known services, or has 16 letters and digits in a row, at least one of each.
    """
    runs = _LONG_RUN.findall(text)
    return bool(_KEY_PREFIX.match(text)) or any(not run.isalpha() and not run.isdigit() for run in runs)
