"""Compiled twins: an npm archive often carries one source in several forms, `src/pool.ts` and what was built of it. The
built ones read like code that nobody writes, so of a file that is there as source only the source stays."""

import itertools
from collections.abc import Iterable, Iterator

from incoder_train.corpus.document import Document, Verdict
from incoder_train.corpus.filters import within

SOURCE = frozenset({"src"})
BUILT = frozenset({"dist", "lib", "lib-esm", "esm", "es", "cjs", "umd", "build", "built", "commonjs", "module"})
SCRIPTS = frozenset({".js", ".mjs", ".jsx", ".ts", ".mts", ".tsx"})


def drop_twins(documents: Iterable[Document]) -> Iterator[Verdict]:
    """Files are twins by their names: `dist/esm/pool.js` and `dist/pool.d.ts` are built of any `src/.../pool.ts`. The
    documents of an archive must come together; one archive at a time is held in memory."""
    for _, group in itertools.groupby(documents, key=lambda d: d.archive):
        members = list(group)
        sources = {_stem(d) for d in members if d.ext in SCRIPTS and within(d, SOURCE)}
        for document in members:
            built = document.ext in SCRIPTS and within(document, BUILT) and not within(document, SOURCE)
            yield document, "compiled twin of a source" if built and _stem(document) in sources else None


def _stem(document: Document) -> str:
    return document.filename.split(".", 1)[0]
