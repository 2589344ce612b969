"""The first task of an archive: its files go in; documents that passed every rule that looks at one document alone come
out, with the keys by which copies are found."""

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

from incoder_train.corpus import copies
from incoder_train.corpus.collect import collect
from incoder_train.corpus.document import Document, Stage
from incoder_train.corpus.licence import licence_gate
from incoder_train.corpus.lines import PART, write_part
from incoder_train.corpus.manifest import Manifest
from incoder_train.corpus.neardup import rows_for
from incoder_train.corpus.notebooks import convert_notebooks
from incoder_train.corpus.options import Options
from incoder_train.corpus.rules import filter_by_options, redact_by_options
from incoder_train.corpus.runner import Counts, place, writing
from incoder_train.corpus.stackoverflow import ThreadRules
from incoder_train.corpus.tally import counted, language, noting, tallied

SORTING = "sorting"  # the folder in which the threads of a dump are sorted


def read_archive(
    rank: int, world: int, work: Path, *, manifest: Manifest, places: Sequence[Path], options: Options
) -> Counts:
    stages: dict[str, Stage] = {
        "licence": licence_gate,
        "notebooks": convert_notebooks,
        "filter": partial(filter_by_options, options=options),
        "redact": partial(redact_by_options, options=options),
    }
    collected: Counts = {}
    counts: Counts = {"collect": {}}
    unread: Counter[str] = Counter()
    (work / SORTING).mkdir(parents=True, exist_ok=True)
    documents: Iterable[Document] = collect(
        manifest.archives[rank],
        places[rank],
        manifest.extensions,
        unread,
        threads=_thread_rules(options),
        work=work / SORTING,
    )
    documents = tallied(counted(((document, None) for document in documents), counts["collect"]), collected, language)
    for name, stage in stages.items():
        documents = counted(stage(documents), counts.setdefault(name, {}))
    keys = copies.Keys(rows_for(options.near_similarity) if options.near_dedup else 0)
    with writing(place(work, "read", rank, PART)) as temporary:
        written = write_part(temporary, noting(documents, keys.add), level=1)
    keys.write(work, rank)
    counts["collect"]["documents_in"] += unread.total()
    counts["collect"]["dropped"] = dict(sorted(unread.items()))
    return {"documents": written, "collected": collected, "stages": counts}


def _thread_rules(options: Options) -> ThreadRules:
    return ThreadRules(
        answered_only=options.answered_only,
        answers=options.answers,
        comments=options.comments,
        negative_answers=options.negative_answers,
        front_probability=options.front_probability,
    )
