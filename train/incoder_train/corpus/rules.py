"""Which of the rules about single documents apply under the options, and to which documents."""

import re
from collections.abc import Iterable, Iterator

from incoder_train.corpus.document import Document, Verdict
from incoder_train.corpus.filters import HOUSE_RULES, NOTICES, PAPER_RULES, Rules, filter_documents
from incoder_train.corpus.options import Options
from incoder_train.corpus.redact import redact_documents

ALWAYS = ("not UTF-8", "licence of its own")  # of the rules of our own: neither is a matter of taste
TOKENS = re.compile(r"\w+")  # the tokens of the paper's deduplication


def tokens_of_lines(text: str) -> list[int]:
    return [len(TOKENS.findall(line)) for line in text.split("\n")]


TOKEN_RULES: Rules = {
    "line over 3000 tokens": lambda d: max(tokens_of_lines(d.text)) > 3000,
    "mean line over 100 tokens": lambda d: sum(lengths := tokens_of_lines(d.text)) > 100 * len(lengths),
}
CHARACTER_RULES = ("line over 3000 characters", "mean line over 100 characters")


def rules_for(options: Options) -> Rules:
    rules = dict(PAPER_RULES)
    if options.line_unit == "tokens":
        rules = {name: rule for name, rule in rules.items() if name not in CHARACTER_RULES} | TOKEN_RULES
    if not options.copyleft_notice:
        del rules["copyleft or generator notice"]
        rules["generator notice"] = lambda d: any(notice in d.text for notice in NOTICES if "License" not in notice)
    return rules | {name: rule for name, rule in HOUSE_RULES.items() if options.own_rules or name in ALWAYS}


def filter_by_options(documents: Iterable[Document], options: Options) -> Iterator[Verdict]:
    """The rules are about code: threads pass, and unless the options say otherwise notebooks do."""
    rules = rules_for(options)
    for document in documents:
        if document.own_metadata or (document.ext == ".ipynb" and not options.filter_notebooks):
            yield document, None
        else:
            yield from filter_documents([document], rules)


def redact_by_options(documents: Iterable[Document], options: Options) -> Iterator[Verdict]:
    for document in documents:
        if options.redact_threads if document.own_metadata else options.redact:
            yield from redact_documents([document])
        else:
            yield document, None
