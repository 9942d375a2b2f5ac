"""Asks each address that the built site links whether it answers: ``python .ci/links.py [SITE]``, with a network."""

from __future__ import annotations

import re
import sys
from concurrent.futures import ThreadPoolExecutor
from html import unescape
from pathlib import Path
from urllib.parse import urlsplit

import requests

UNANSWERED = (403, 429)
"""What services answer to a program that is no browser: the page is there."""


def links(site: Path) -> dict[str, str]:
    """Return the addresses elsewhere that the pages of a site link, each with one of these pages."""
    return {
        unescape(address): page.relative_to(site).as_posix()
        for page in sorted(site.rglob("*.html"))
        for address in re.findall(r'<a [^>]*href="?(\w+:[^" >]+)', page.read_text(encoding="utf-8"))
    }


def is_well_formed(address: str) -> bool:
    """Return whether an address is that of a page on the public internet, without what stood beside it in a text."""
    parts = urlsplit(address)
    host = parts.hostname or ""
    return (
        parts.scheme == "https"
        and re.fullmatch(r"([a-z\d-]+\.)+[a-z]{2,}", host) is not None
        and not re.search(r"(^|\.)(example|invalid|test)(\.(com|net|org))?$", host)
        and not re.search(r"[\s<>`{}|\\^]|[.,:;'*]$", address)
    )


def fault(address: str) -> str:
    """Return why a reader who clicks an address would see nothing, or an empty text."""
    if not is_well_formed(address):
        return "is no address of a page"
    try:
        with requests.get(address, stream=True, timeout=30, headers={"User-Agent": "Mozilla/5.0"}) as answer:
            return "" if answer.ok or answer.status_code in UNANSWERED else f"answers {answer.status_code}"
    except requests.RequestException as error:
        return f"does not answer ({type(error).__name__})"


def main(site: str = "site") -> int:
    """Print each address that is at fault, with a page that links it, and return 1 if there is one."""
    found = links(Path(site))
    with ThreadPoolExecutor(8) as pool:
        faults = [(each, said) for each, said in zip(found, pool.map(fault, found), strict=True) if said]
    for address, said in faults:
        print(f"{found[address]}: {address} {said}")
    print(f"{len(found)} addresses, {len(faults)} at fault")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
