"""The command lines of `incoder` and `incoder-lsp` in a text, held against the commands as they are."""

import re
import shlex
from collections.abc import Iterator
from itertools import dropwhile

import typer

import incoder_lsp.cli
import incoder_train.cli

PROGRAMS = {
    "incoder": typer.main.get_command(incoder_train.cli.app),
    "incoder-lsp": typer.main.get_command(incoder_lsp.cli.app),
}
BY_DEFAULT = "run"  # `incoder train RECIPE` is `incoder train run RECIPE`
BETWEEN = re.compile(r"\|\||&&|[|;&]")


def command_lines(text: str) -> Iterator[list[str]]:
    """Program and arguments of each, without the program's path and the variables in front of it."""
    for line in text.replace("\\\n", " ").splitlines():
        for part in BETWEEN.split(line):
            try:
                words = shlex.split(part, comments=True)
            except ValueError:  # a quotation mark without another: prose, or a piece of something longer
                continue
            words = list(dropwhile(lambda word: re.fullmatch(r"[A-Z_]+=.*", word), words))
            if words and (program := words[0].rsplit("/", 1)[-1]) in PROGRAMS:
                yield [program, *words[1:]]


def wrong_word(line: list[str]) -> str | None:
    """The first subcommand or option that there is not."""
    command, words = PROGRAMS[line[0]], line[1:]
    known = _options(command)
    while words and (inner := getattr(command, "commands", None)):
        word = words[0]
        if word.startswith("-") and word in known:
            return None  # such as --version
        name = word if word in inner else BY_DEFAULT
        if name not in inner:
            return word
        words = words[1:] if name == word else words
        command = inner[name]
        known = _options(command)
    given = [word.partition("=")[0] for word in words if re.match(r"--[a-z]", word)]
    return next((word for word in given if word not in known), None)


def _options(command: object) -> set[str]:
    return {"--help", *(name for one in getattr(command, "params", ()) for name in one.opts)}
