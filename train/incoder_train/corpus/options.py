"""The choices of the data pipeline on which the paper's text, the released code and taste differ, each with a name. The
defaults are what the released code does; `PAPER` is what the paper says. docs/training.md compares them.

A manifest sets them in a table, the command line with `--paper`, then `--option KEY=VALUE`; the last one said wins:

    [options]
    line_unit = "tokens"
"""

import difflib
import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from incoder_train.errors import UserError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # pyright: ignore[reportMissingImports]


@dataclass(frozen=True)
class Options:
    line_unit: str = "characters"  # what the two limits on lines count: characters, or tokens (runs of word characters)
    copyleft_notice: bool = True  # drop a file that quotes the GNU General Public License; the paper does not say so
    filter_notebooks: bool = False  # the released code lets every notebook pass its filters
    own_rules: bool = False  # drop also vendored, generated, tiny and huge files by rules that are neither's
    redact: bool = True  # e-mail addresses in files
    redact_threads: bool = False  # and in StackOverflow's threads, which the released code leaves as they are
    dedup: bool = True  # exact copies
    near_dedup: bool = False  # near copies (MinHash), which neither paper nor code drops
    near_similarity: float = (
        0.7  # of their runs of five words, from which on two files are likely taken for near copies
    )
    answered_only: bool = True  # StackOverflow: only questions with an answer
    answers: int = 10  # StackOverflow: at most so many answers to a question; 0 for all
    comments: int = 5  # StackOverflow: at most so many comments to a post; 0 for all
    negative_answers: bool = False  # StackOverflow: also answers with a score below 0 that were not accepted
    split_by: str = "file"  # what is set aside for validation: single files, or whole projects as in paper and code
    front_probability: float = 0.5  # of each metadata attribute to stand in front of the text and not behind it
    partitions: int = 16  # parts of the global deduplication; more need less memory; the result is the same


PAPER = replace(
    Options(),
    line_unit="tokens",
    copyleft_notice=False,
    filter_notebooks=True,
    answered_only=False,
    answers=0,
    comments=0,
    negative_answers=True,
    split_by="project",
)

CHOICES = {"line_unit": ("characters", "tokens"), "split_by": ("file", "project")}
LEAST = {"near_similarity": 0.1, "answers": 0, "comments": 0, "front_probability": 0.0, "partitions": 1}
MOST = {"near_similarity": 1.0, "front_probability": 1.0, "partitions": 65_536}
KINDS = {bool: "true or false", int: "a whole number", float: "a number", str: "a string"}
DEFAULTS = asdict(Options())


def set_options(options: Options, table: Mapping[str, Any], where: str) -> Options:
    """`options` with the values of `table`; raises UserError that begins with `where` for a wrong key or value."""
    changes = {}
    for key, value in table.items():
        if key not in DEFAULTS:
            near = difflib.get_close_matches(key, DEFAULTS, n=1, cutoff=0.0)[0]
            raise UserError(f"{where}: the option '{key}' is unknown; the nearest known one is '{near}'.")
        kind = type(DEFAULTS[key])
        if type(value) is not kind and not (kind is float and type(value) is int):
            raise UserError(f"{where}: the option '{key}' is {value!r}, but it must be {KINDS[kind]}.")
        if key in CHOICES and value not in CHOICES[key]:
            raise UserError(f"{where}: the option '{key}' is {value!r}; it must be {' or '.join(CHOICES[key])}.")
        if key in LEAST and not LEAST[key] <= value <= MOST.get(key, value):
            limit = f"between {LEAST[key]} and {MOST[key]}" if key in MOST else f"at least {LEAST[key]}"
            raise UserError(f"{where}: the option '{key}' is {value}; it must be {limit}.")
        changes[key] = kind(value)
    return replace(options, **changes)


def parse_options(settings: Iterable[str]) -> dict[str, Any]:
    """`KEY=VALUE` from a command line, the value as in TOML; a string needs no quotes."""
    table = {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals:
            raise UserError(f"--option: {setting!r} is not of the form KEY=VALUE.")
        quoted = isinstance(DEFAULTS.get(key.strip(), ""), str)
        try:
            table[key.strip()] = value.strip() if quoted else tomllib.loads(f"value = {value}")["value"]
        except ValueError:
            raise UserError(f"--option: {value!r} is no value for '{key}'; write it as in TOML.") from None
    return table
