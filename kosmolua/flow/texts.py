"""Texts in the form in which values are compared, their other spellings, and the literals of a Lua script."""

from __future__ import annotations

import binascii
import html
import json
import re
import socket
import unicodedata
from base64 import b32decode, b64decode, b64encode
from codecs import encode
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from functools import lru_cache
from typing import Any
from urllib.parse import quote, unquote

from kosmolua.expressions import regex

MIN_TEXT = 4
"""Shorter texts are in nearly every answer, so that nothing follows from finding them there."""
COMMON = frozenset(("main", "master"))
"""Names of branches, which are so, too."""
MIN_NUMBER = 1000
MIN_SPELLED = 6
"""The shortest text of which encoded and reversed spellings are looked for."""
MIN_SQUEEZED = 8
"""The shortest text that is looked for without regard to the blanks and the punctuation in it."""
_CAPITALS = str.maketrans("ΗΜΝΥΖϹϜЬЗҮѴԌՏՍՕ", "hmnyzcfb3yvgsuo")
"""Look-alikes whose small letters look like others."""
_ALIKE = (
    "aаαᎪꓮɑ bвβᏴꓐ cсⲥᏟꓚ dԁᎠꓓ eеҽεեᎬꓰ fքꓝ gցᏀꓖ hнһհᎻꓧ iіιⲓꓲɩı jјᎫꓙ kкκⲕᏦꓗ lӏᏞꓡ mмᎷꓟ nոռꓠ oоοσօⲟꓳ pрρⲣᏢꓑ qԛզ rгᎡꓣ "
    "sѕᏚꓢ tтτᎢꓔ uυսꓴ vѵνᏙꓦ wԝѡωաᎳꓪ xхχⲭꓫ yуүγⲩᎩꓬ zᏃꓜ -‐‑‒–—−⁃˗ /⁄∕ :∶꞉ '‘’‚‹› \"“”„«»"
)
"""After each small letter or mark, those of other scripts that look like it."""
_NAMED = regex(
    r"(?:LATIN|REGIONAL INDICATOR SYMBOL|NEGATIVE (?:CIRCLED|SQUARED) LATIN)(?: SMALL| CAPITAL)? LETTER "
    r"(?:SMALL CAPITAL |SCRIPT |BLACKLETTER |DOTLESS |LENIS )?([A-Z])(?: WITH .*)?"
)
"""The names of Latin letters in other shapes, of which the decomposition does not say what they are."""
_BLOCKS = ((0x80, 0x2B0), (0x1D00, 0x1DC0), (0x2C60, 0x2C80), (0xA720, 0xA800), (0xAB30, 0xAB70), (0x1F150, 0x1F200))
_TAGS = {0xE0000 + code: chr(code) for code in range(0x20, 0x7F)} | {0x3002: "."}
"""The invisible characters of Unicode that spell ASCII, and the full stop of domains in Chinese."""
_INVISIBLE = regex(
    "[\u00ad\u0300-\u036f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff\U000e0001\U000e007f-\U000e01ef]"
)
_SCHEME = regex(r"(?:mailto:|tel:|https?://)(?:www\.)?")
_EDGES = " \t\r\n.,;:!?'\"`()[]{}<>|*#"
_ADDRESS = regex(r"[\w.+%-]{1,64}@((?:[\w-]{1,63}\.)+[\w-]{2,63})")
_HOST = regex(
    r"(?<![\w@.-])(?:[\w-]{1,63}\.){1,8}(?:[a-z]{2,24}|xn--[\w-]{2,59})(?![\w-])|(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?![\w.])"
)
_NUMERIC = r"(?:0x[0-9a-f]{1,16}|\d{1,12})"
_NUMBERS = regex(rf"://(?:[^/@\s]*@)?({_NUMERIC}(?:\.{_NUMERIC}){{0,3}})(?=[:/?#\s]|$)")
"""The host of a URL that is the number of an IP address, whole or in parts, in decimal, hex or octal."""
_SIX = regex(r"(?<![\w:.])(?:[0-9a-f]{0,4}:){2,7}(?:[0-9a-f]{0,4}|\d{1,3}(?:\.\d{1,3}){3})(?![\w:])")
_URL = regex(r"[a-z][a-z0-9+.-]{1,15}://[^\s<>\"'`]{1,2000}")
_AROUND = b" \t\n\r\f\v()[]{}<>_-"
"""What people write around the words ``at`` and ``dot`` of an address."""
_NOT_SQUEEZED = bytes(each for each in range(128) if not chr(each).isalnum() and each not in _AROUND)
_BLANKS = bytes.maketrans(_AROUND, b" " * len(_AROUND))
_ENCODED = regex(r"[\w+/-]{8,}={0,2}", re.ASCII)
_BASE32 = regex(r"(?![2-7]*=*$)(?:[A-Z2-7]+|(?![a-z]+$)[a-z2-7]+)=*")
"""Matches what may be base32: not a number, nor a word in lower case."""
_CODES = regex(r"\b(?:(?:0x|[Uu]\+)?[0-9a-fA-F]{2,8}[\s,;:]+){5,}(?:0x|[Uu]\+)?[0-9a-fA-F]{2,8}\b")
_CODE = regex(r"(?:0x|[Uu]\+)?([0-9a-fA-F]+)")
"""Characters that are written as their codes, in hex, decimal, octal or binary."""
_ESCAPED = regex(r"\\x([0-9a-fA-F]{2})|=(40|2[EeFf]|3[Aa])|\\u(?:([0-9a-fA-F]{4})|\{([0-9a-fA-F]{1,4})\})")
_NUMBERED = regex(r"\\(\d{2,3})")
_SELECTORS = regex("[\ufe00-\ufe0f\U000e0100-\U000e01ef]{4,}")
"""Invisible characters, each of which can stand for a byte."""
_TAG = regex(r"(?<=[\w@.])(?:<[^<>]{1,200}>)+(?=[\w@.])")
_ARGUMENT = regex(
    r'''\#[^\r\n]*|"""(?P<long>(?:\\"""|(?!""").)*)(?:""")?|"(?P<short>(?:\\.|[^"\\\r\n])*)"?'''
    r"|\b(?P<name>[_A-Za-z]\w*)\s*:|\$(?P<variable>\w+)\b(?!\s*:)|(?P<number>-?\d[\w.+-]*)",
    re.DOTALL,
)
_PATH = regex(r"[^\W\d]+(?:[-_/ ][^\W\d]+)*")
_SETTING = regex(r"[=:]\s*[\"']?([^\s\"',;}]+)")
MAX_DEPTH = 3
"""How often a text can be encoded again, and still be read."""
MAX_PIECES = 3
"""Of how many pieces an address may be put together, and still be told to come from them."""
_TOKEN = regex(
    r"""--\[(?P<dashes>=*)\[.*?\](?P=dashes)\]|--[^\n]*                     # a comment
    |\[(?P<level>=*)\[(?P<long>.*?)\](?P=level)\]
    |"(?P<double>(?:[^"\\\n]|\\z\s*|\\\r?\n|\\.)*)"|'(?P<single>(?:[^'\\\n]|\\z\s*|\\\r?\n|\\.)*)'
    |(?P<number>\d[\w.]*)|(?P<name>[A-Za-z_]\w*)""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = regex(r"\\(?:z\s*|x([0-9a-fA-F]{2})|u\{([0-9a-fA-F]{1,6})\}|(\d{1,3})|(\r?\n|.))", re.DOTALL)
_PLAIN = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}
_BETWEEN = regex(r"[\s,;|\"'=(){}<>\[\]]+")
MAX_SPLIT = 1024 * 1024
"""The length of the longest text that is also taken apart into the words of a list."""


def plain(text: str) -> str:
    """Return a text as it is compared: NFKD, without accents and invisible characters, look-alikes as Latin."""
    if text.isascii():
        return text.lower()
    found = _INVISIBLE.sub("", unicodedata.normalize("NFKD", text.translate(_TAGS)))
    return found.translate(_CAPITALS).casefold().translate(_lookalikes())


def exact(text: str) -> str:
    """Return a text as it is trusted: without regard to case, but apart from those that only look like it."""
    return text.lower() if text.isascii() else unicodedata.normalize("NFC", text).casefold()


@lru_cache(maxsize=1)
def _lookalikes() -> dict[int, str]:
    found = {ord(each): word[0] for word in _ALIKE.split() for each in word[1:]}
    for code in (code for block in _BLOCKS for code in range(*block)):
        if named := _NAMED.fullmatch(unicodedata.name(chr(code), "")):
            found[code] = named[1].lower()
    return found


def core(text: str) -> str:
    """Return what a value is about: :func:`exact`, without ``mailto:``, ``https://`` and punctuation around it."""
    found = exact(text).strip(_EDGES)
    if "://" in found or "mailto:" in found or "tel:" in found:
        return _SCHEME.sub("", found, count=1).rstrip("/").strip(_EDGES)
    return found.rstrip("/").strip(_EDGES) if ":" in found else found.rstrip("/")


def parts(text: str, form: Callable[[str], str] = exact) -> set[str]:
    """Return the addresses, URLs and hosts in a text, which is compared as :func:`exact` or as :func:`plain`."""
    found = form(text)
    numbers = {_dotted(each) for each in _NUMBERS.findall(found)} - {""} if "://" in found else set()
    numbers |= {*_sixes(found)}
    if "." not in found and "@" not in found:
        return numbers
    urls = {core(url) for url in _URL.findall(found)} if "://" in found else set()
    addresses = {each[0].strip("."): each[1] for each in _ADDRESS.finditer(found)} if "@" in found else {}
    hosts = {each[0].removeprefix("www.") for each in _HOST.finditer(found)}
    hosts |= {*addresses.values()}
    return urls | {*addresses} | hosts | numbers | {form(_unicode(host)) for host in hosts if "xn--" in host}


def longest(texts: Iterable[str]) -> list[str]:
    """Return texts in an order that is the same in each process, the longest first."""
    return sorted(texts, key=lambda each: (-len(each), each))


def _sixes(text: str) -> Iterator[str]:
    """Yield the IPv6 addresses in a text, each in its shortest spelling; a mapped one is of IPv4."""
    for each in _SIX.findall(text) if text.count(":") > 1 else ():
        with suppress(OSError):
            data = socket.inet_pton(socket.AF_INET6, each)
            is_mapped = data[:12] == b"\0" * 10 + b"\xff\xff"
            if any(data[:12]):
                yield (
                    socket.inet_ntop(socket.AF_INET, data[12:])
                    if is_mapped
                    else socket.inet_ntop(socket.AF_INET6, data)
                )


def _dotted(number: str) -> str:
    """Return an IP address as programs read it, in four decimal parts; empty if this is none."""
    value = _address(number)
    return "" if value is None else ".".join(str(byte) for byte in value.to_bytes(4, "big"))


def _address(number: str) -> int | None:
    """Return the number of an IP address, whose parts can be decimal, hex or octal; None if this is none."""
    try:
        *head, last = [int(each, _base(each)) for each in number.split(".")]
    except ValueError:
        return None
    if any(each > 255 for each in head) or last >= 256 ** (4 - len(head)):
        return None
    return last + sum(each << 24 - 8 * place for place, each in enumerate(head))


def _base(digits: str) -> int:
    return 16 if digits.startswith("0x") else 8 if digits.startswith("0") else 10


def parents(host: str) -> Iterator[str]:
    """Yield the domains of a host that somebody can own, such as ``evil.example`` of ``in.evil.example``."""
    parent = host.partition(".")[2]
    while _HOST.fullmatch(host) and len(parent.partition(".")[0]) >= MIN_TEXT and "." in parent:
        yield parent
        parent = parent.partition(".")[2]


def _unicode(host: str) -> str:
    try:
        return host.encode().decode("idna")
    except UnicodeError:
        return host


def settings(text: str) -> set[str]:
    """Return the values that a text assigns, such as ``ann`` in ``TO=ann``, as they are compared."""
    return {core(each) for each in _SETTING.findall(text)}


def is_address(text: str) -> bool:
    """Return True for a URL, whatever its query contains, and for an e-mail address."""
    if text.isascii() and "@" not in text and "://" not in text and "www." not in text.lower():
        return False
    found = plain(text).strip()
    if found.startswith("www.") or _URL.match(found):
        return True
    return found.count("@") == 1 and _ADDRESS.fullmatch(found.removeprefix("mailto:")) is not None


def names_host(text: str, *, alone: bool) -> bool:
    """Return True for a URL without its scheme, and if it can be ``alone``, for a host."""
    if text.isascii() and "." not in text and "//" not in text:
        return False
    found = plain(text).strip()
    if found.startswith("//"):
        return True
    host = _HOST.match(found)
    return host is not None and (alone if host.end() == len(found) else found[host.end()] in "/?:")


def assigned(text: str) -> Iterator[tuple[str, str, bool]]:
    """Yield the values in a GraphQL document, each with the name of its argument, and whether it is a variable's."""
    name = ""
    for each in _ARGUMENT.finditer(text):
        said = each[each.lastgroup] if each.lastgroup else ""
        if each.lastgroup == "name":
            name = said
        elif name and said:
            if each.lastgroup == "short":
                with suppress(ValueError):
                    said = str(json.loads(f'"{said}"', strict=False))
            yield name, said, each.lastgroup == "variable"


def is_path(text: str) -> bool:
    """Return True for a word, and for words that are joined like the name of a repository, which others write apart."""
    return _PATH.fullmatch(text) is not None


def squeezed(data: bytes) -> bytes:
    """Return a text without its blanks and punctuation, and without the words for those of an address."""
    found = data.translate(_BLANKS, _NOT_SQUEEZED)  # 2 MiB are squeezed for each lookup, so without an expression
    return found.replace(b" at ", b"").replace(b" dot ", b"").replace(b" ", b"")


def revealed(text: str, depth: int = MAX_DEPTH) -> Iterator[str]:
    """Yield what the encoded words of a text say: in base64, hex, percent-encoding or escapes, also in each other."""
    if len(text) < MIN_SPELLED:
        return
    found: set[str] = set()
    if sixes := {*_sixes(text.lower())}:
        found.add(" ".join(longest(sixes)))
    if "%" in text:
        found.add(unquote(text))
    if "&" in text:
        found.add(html.unescape(text))
    if "\\" in text or "=" in text:
        found.add(_ESCAPED.sub(lambda each: chr(int(each[each.lastindex or 0], 16)), text))
    for base in (10, 8) if _NUMBERED.search(text) else ():
        with suppress(ValueError):
            found.add("".join(_characters(_NUMBERED.split(text), base)))
    for run in () if text.isascii() else _SELECTORS.findall(text):
        with suppress(ValueError):
            found.add(bytes(each - 0xFE00 if each < 0xFF00 else each - 0xE00F0 for each in map(ord, run)).decode())
    if "<" in text and (bare := _TAG.sub("", text)) != text:
        found.add(" ".join(longest(parts(bare) - parts(text))))
    for run in _CODES.findall(text):
        codes = _CODE.findall(run)
        for base in (16, 10, 8, 2):
            with suppress(ValueError):
                found.add(bytes(int(code, base) for code in codes).decode())
    joined = "".join(text.split()) if "\n" in text else ""
    for word in {*_ENCODED.findall(text), *_ENCODED.findall(joined)}:
        if not (word.isalpha() and word[1:].islower()):
            found.update(_decoded(word), _decoded(word[::-1]))
    for each in found - {text, ""}:
        yield each
        if depth > 1:
            yield from revealed(each, depth - 1)


def _characters(pieces: Iterable[str], base: int) -> Iterator[str]:
    """Yield the pieces of a text, of which every second one is the code of a character."""
    for at, piece in enumerate(pieces):
        yield chr(int(piece, base)) if at % 2 else piece


def _decoded(word: str) -> Iterator[str]:
    padded = word.rstrip("=").replace("-", "+").replace("_", "/")
    ways: list[tuple[Callable[[str], bytes], str]] = [(b64decode, padded + "=" * (-len(padded) % 4))]
    ways.append((binascii.unhexlify, word))
    if _BASE32.fullmatch(word):
        ways.append((b32decode, word.upper().rstrip("=") + "=" * (-len(word.rstrip("=")) % 8)))
    for decode, encoded in ways:
        try:
            found = decode(encoded).replace(b"\0", b"").decode()
        except ValueError:
            continue
        if found.isprintable() and len(found) >= MIN_TEXT:
            yield found


def is_joined(text: str, data: Collection[bytes]) -> bool:
    """Return True if a text is two or three pieces, of four characters or more but the last, of other texts."""
    rest = text.encode("utf-8", "replace")
    for _ in range(MAX_PIECES):
        least, most = 0, len(rest)
        while least < most:
            middle = (least + most + 1) // 2
            least, most = (middle, most) if any(rest[:middle] in each for each in data) else (least, middle - 1)
        if least == len(rest):
            return True
        if least < MIN_TEXT:
            return False
        rest = rest[least:]
    return False


def spellings(text: str) -> set[str]:
    """Return what hides a text: base64, hex, percent-encoding, reversal, ROT13, and the number of an IP address."""
    found: set[str] = set()
    for host in parts(text):
        if host.count(".") == 3 and (number := _address(host)) is not None:
            found |= {str(number), f"{number:x}"}
    for each in {text.strip(), core(text), core(plain(text))}:
        data = each.encode("utf-8", "surrogatepass")
        if len(each) < MIN_SPELLED:
            continue
        found |= {data.hex(), "".join(f"%{byte:02x}" for byte in data), quote(each, safe="").lower(), plain(each[::-1])}
        found.add(plain(encode(each, "rot13")))
        for shift, cut in ((0, 0), (1, 2), (2, 3)):  # bytes before it move the text within base64
            inside = b64encode(b"\0" * shift + data).decode().rstrip("=")[cut:]
            whole = inside if (shift + len(data)) % 3 == 0 else inside[:-1]
            found |= {whole.lower(), whole.lower().replace("+", "-").replace("/", "_")}
    return found - {core(text)}


def readings(text: str) -> Iterator[str]:
    """Yield what a text says if it is base64, hex, percent-encoded, reversed or in ROT13."""
    bare = text.strip()
    if len(bare) < MIN_SPELLED:
        return
    yield bare[::-1]
    yield encode(bare, "rot13")
    if "%" in bare:
        yield unquote(bare)
    for word in longest({bare, *re.split(r"[^\w+/=-]+", bare), *re.split(r"[^\w+-]+", bare)}):
        if len(word) >= MIN_SPELLED:
            yield from _decoded(word)


def whole(value: Any) -> Any:
    """Return a number that is whole as an integer, and any other value as it is."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def is_telling(value: object, compared: str | None = None) -> bool:
    """Return True for a value, with its core, that is rare enough for its origin to be told by comparing it."""
    if isinstance(value, bool) or value is None:
        return False
    if isinstance(value, (int, float)):
        return abs(value) >= MIN_NUMBER
    if not isinstance(value, str):
        return False
    found = core(value) if compared is None else compared
    return len(found) >= MIN_TEXT and found not in COMMON


def literals(source: str) -> Iterator[str]:
    """Yield the strings, numbers and names that a script contains outside of its comments."""
    for token in _TOKEN.finditer(source):
        kind = token.lastgroup
        if kind in ("double", "single"):
            yield _ESCAPE.sub(_unescaped, token[kind])
        elif kind in ("long", "number", "name"):
            yield token[kind]
            if kind == "number":
                with suppress(ValueError, OverflowError):
                    yield str(whole(float(token[kind])))


def leaves(value: object) -> Iterator[object]:
    """Yield every text and number of a JSON value, and the keys of its tables."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield key
            yield from leaves(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from leaves(item)
    else:
        yield value


def words(text: str) -> set[str]:
    """Return a literal as it is compared: whole, and the entries of the list that it may be."""
    found = {core(text)}
    if len(text) <= MAX_SPLIT and _BETWEEN.search(text):
        found |= {core(each) for each in _BETWEEN.split(text)} | {core(line) for line in text.splitlines()}
    return found


def _unescaped(found: re.Match[str]) -> str:
    hexadecimal, code, decimal, character = found.groups()
    if hexadecimal or code or decimal:
        number = int(hexadecimal or code or decimal, 10 if decimal else 16)
        return chr(number) if number < 0x110000 else ""
    return _PLAIN.get(character, character) if character else ""
