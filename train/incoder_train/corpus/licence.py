"""Which licences a model may learn from. A licence comes in as an archive states it: an SPDX expression, an older spelling,
the text of a LICENSE file, a Debian copyright file. Out comes an SPDX expression, and whether it is on the allow-list."""

import re
from collections.abc import Iterable, Iterator

from incoder_train.corpus.document import Document, Verdict
from incoder_train.errors import UserError

ALLOWED_LICENCES = frozenset(
    {"MIT", "BSD-2-Clause", "BSD-3-Clause", "Apache-2.0", "PSF-2.0", "Python-2.0", "ISC", "BSL-1.0", "Unlicense"}
)
# What the network of StackOverflow has been published under over the years. It asks for attribution and for the same
# licence in return, so it is allowed for threads only, where a manifest names it on purpose.
THREAD_LICENCES = frozenset({"CC-BY-SA-2.5", "CC-BY-SA-3.0", "CC-BY-SA-4.0"})

# What was written before SPDX expressions, in a `License` line, a classifier, a package.json or a Debian copyright file,
# lower case, and what it means. The classifier for BSD does not tell two clauses from three; both are allowed.
LICENCE_SPELLINGS = {name.lower(): name for name in ALLOWED_LICENCES | THREAD_LICENCES} | {
    "mit license": "MIT",
    "the mit license": "MIT",
    "the mit license (mit)": "MIT",
    "osi approved :: mit license": "MIT",
    "expat": "MIT",
    "bsd": "BSD-3-Clause",
    "bsd license": "BSD-3-Clause",
    "new bsd": "BSD-3-Clause",
    "3-clause bsd license": "BSD-3-Clause",
    "osi approved :: bsd license": "BSD-3-Clause",
    "bsd 3-clause license": "BSD-3-Clause",
    "bsd 2-clause license": "BSD-2-Clause",
    "apache2": "Apache-2.0",
    "apache-2": "Apache-2.0",
    "apache 2.0": "Apache-2.0",
    "apache 2.0 license": "Apache-2.0",
    "apache license 2.0": "Apache-2.0",
    "apache license, version 2.0": "Apache-2.0",
    "osi approved :: apache software license": "Apache-2.0",
    "psf": "PSF-2.0",
    "psf-2": "PSF-2.0",
    "osi approved :: python software foundation license": "PSF-2.0",
    "isc license": "ISC",
    "osi approved :: isc license (iscl)": "ISC",
    "boost-1.0": "BSL-1.0",
    "osi approved :: boost software license 1.0 (bsl-1.0)": "BSL-1.0",
    "osi approved :: the unlicense (unlicense)": "Unlicense",
    "cc by-sa 2.5": "CC-BY-SA-2.5",
    "cc by-sa 3.0": "CC-BY-SA-3.0",
    "cc by-sa 4.0": "CC-BY-SA-4.0",
}
OPERATOR = re.compile(r"\b(?:AND|OR|WITH)\b|^\(", re.IGNORECASE)
WORDS = re.compile(r"[()]|[^\s()]+")
LONGEST = 100  # words in an expression; nobody's is longer, and the parser below recurses


def normalised(stated: str) -> str:
    """An SPDX expression in the usual spelling, if it can be told which is meant; else what was stated, in one line."""
    line = " ".join(stated.split())
    if whole := LICENCE_SPELLINGS.get(line.lower()):
        return whole
    if not OPERATOR.search(line):
        return line
    words = [w.upper() if w.upper() in {"AND", "OR", "WITH"} else _spelled(w) for w in WORDS.findall(line)]
    return " ".join(words).replace("( ", "(").replace(" )", ")")


def all_of(expressions: Iterable[str]) -> str:
    """One expression for licences that hold together."""
    parts = {part for e in expressions for part in (e.split(" AND ") if not re.search(r"\bOR\b|[()]", e) else [e])}
    if len(parts) == 1:
        return parts.pop()
    return " AND ".join(f"({part})" if re.search(r"\bOR\b", part) else part for part in sorted(parts))


def permissive(expression: str, allowed: frozenset[str] = ALLOWED_LICENCES) -> bool:
    """May we take what is under this expression? `AND` needs both sides and `OR` one, the one that we then choose; `WITH`
    and `+` only add to what a licence permits. What cannot be parsed is not permissive."""
    words = WORDS.findall(expression)
    if len(words) > LONGEST:
        return False
    words.append("")  # the end

    def either() -> bool:
        holds = both()
        while words[0].upper() == "OR":
            words.pop(0)
            holds = both() or holds
        return holds

    def both() -> bool:
        holds = one()
        while words[0].upper() == "AND":
            words.pop(0)
            holds = one() and holds
        return holds

    def one() -> bool:
        word = words.pop(0)
        if word == "(":
            holds = either()
            if words.pop(0) != ")":
                raise IndexError
            return holds
        if words[0].upper() == "WITH":
            del words[:2]
        return _spelled(word.removesuffix("+")) in allowed

    try:
        holds = either()
    except IndexError:
        return False
    return holds and words == [""]


def licence_names(expression: str) -> list[str]:
    """The licences in an SPDX expression, one with an exception (`WITH`) as a whole."""
    return [name for part in re.split(r"\s+(?:AND|OR)\s+", expression) if (name := part.strip(" ()"))]


def require_permissive(what: str, stated: str, expected: str, allowed: frozenset[str] = ALLOWED_LICENCES) -> None:
    """Raises UserError unless the licence that `what` states is allowed and is the one that the manifest expects."""
    if not permissive(stated, allowed):
        raise UserError(
            f"{what} states the licence {stated or 'none'!r}, which is not among the permissive ones "
            f"({', '.join(sorted(allowed))}); take it off the manifest."
        )
    if stated != normalised(expected):
        raise UserError(f"{what} states {stated}, the manifest {expected}; correct the manifest.")


def licence_gate(documents: Iterable[Document]) -> Iterator[Verdict]:
    """Drops what is under another licence. Archives were checked as a whole; rows of a table come with one each."""
    for document in documents:
        allowed = THREAD_LICENCES if document.own_metadata else ALLOWED_LICENCES
        yield document, None if permissive(document.licence, allowed) else "licence not allowed"


# Sentences by which a licence is known, in lower case and with single spaces. All of a row's patterns must be there.
SENTENCES = (
    (
        "Apache-2.0",
        (r"apache license,? version 2\.0, january 2004", r"conditions for use, reproduction,? and distribution"),
    ),
    ("BSL-1.0", (r"boost software license - version 1\.0",)),
    ("Unlicense", (r"free and unencumbered software released into the public domain",)),
    ("Python-2.0", (r"python software foundation license version 2", r"beopen\.com license agreement")),
    ("PSF-2.0", (r"python software foundation license version 2",)),
    (
        "MIT",
        (
            r"hereby granted, free of charge, to any person obtaining a copy",
            r"permission notice.{0,40} shall be included",
        ),
    ),
    (
        "ISC",
        (
            r"to use, copy, modify,? and(?:/or)? distribute this software for any purpose",
            r"notice appear in all copies",
        ),
    ),
    (
        "BSD-3-Clause",
        (r"redistribution and use in source and binary forms", r"neither the names? .{0,200}endorse or promote"),
    ),
    ("BSD-2-Clause", (r"redistribution and use in source and binary forms",)),
)
CONTAINED_IN = {"BSD-2-Clause": "BSD-3-Clause", "PSF-2.0": "Python-2.0"}
# Sentences that make a licence another one, or that belong to one which is not allowed.
RIDERS = re.compile(
    r"general public licen[sc]e|mozilla public|commons clause|non-?commercial|used for good, not evil"
    r"|all advertising materials|express or implied licenses to any party's patent|any nuclear facility"
    r"|except as contained in this notice, the name"
)
PYTHONS_OWN_MENTION = "previously distributed under the gnu general public license"  # in Python-2.0, of something else


def recognised(text: str) -> str:
    """The licence whose text this is, several joined by AND; empty if it is none that is allowed."""
    plain = re.sub(r"(?:[\s#*;|>]|//)+", " ", text).lower()
    if RIDERS.search(plain.replace(PYTHONS_OWN_MENTION, "")):
        return ""
    found = [name for name, patterns in SENTENCES if all(re.search(pattern, plain) for pattern in patterns)]
    return all_of(name for name in found if CONTAINED_IN.get(name) not in found) if found else ""


def debian_licence(copyright_file: str) -> str:
    """What a Debian copyright file says of the software; `debian/*` is the packaging, which is not in the package. The
    machine-readable format (DEP-5) names a licence for each group of files; other files must contain a known text."""
    stanzas = [dict(FIELD.findall(stanza)) for stanza in re.split(r"\n[ \t]*\n", copyright_file)]
    if "copyright-format" not in stanzas[0].get("Format", ""):
        return recognised(copyright_file)
    files = [s for s in stanzas if "Files" in s and not all(f.startswith("debian/") for f in s["Files"].split())]
    return all_of(_dep5_licence(stanza.get("License", "")) for stanza in files or stanzas[:1])


FIELD = re.compile(r"^([\w-]+):[ \t]*(.*(?:\n[ \t].*)*)", re.MULTILINE)


def _dep5_licence(value: str) -> str:
    """The first line is the name. A comma makes the `and` or `or` after it bind less than those before."""
    line = value.split("\n", 1)[0].strip()
    parts = re.split(r",\s+(and|or)\s+", line)
    return normalised(line if len(parts) == 1 else " ".join(p if p in {"and", "or"} else f"({p})" for p in parts))


def _spelled(name: str) -> str:
    return LICENCE_SPELLINGS.get(name.lower(), name)
