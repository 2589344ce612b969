"""Compiled twins of a source go; what has no source in the archive stays."""

from incoder_train.corpus.document import source_file
from incoder_train.corpus.twins import drop_twins

PATHS = {
    "package/src/pool.ts": True,
    "package/src/deep/queue.ts": True,
    "package/src/lib/own.ts": True,  # a folder of sources may be called lib
    "package/dist/pool.js": False,
    "package/dist/dts/pool.d.ts": False,
    "package/lib/esm/queue.mjs": False,
    "package/lib/only-built.js": True,
    "package/lib/pool.py": True,
}


def test_what_was_built_of_a_source_goes() -> None:
    documents = [source_file(path, b"text", "one", "MIT") for path in PATHS]
    documents.append(source_file("package/dist/pool.js", b"text", "another archive", "MIT"))
    kept = {(d.archive, d.path): reason is None for d, reason in drop_twins(documents)}
    assert kept == {("one", path): stays for path, stays in PATHS.items()} | {
        ("another archive", "package/dist/pool.js"): True
    }
