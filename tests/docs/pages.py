"""The documentation as tests see it: a Markdown file goes in; its links, the anchors of its headings and its code come out.

A page that includes another one (`--8<-- "PATH"`, as the site does it) counts as both.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("vscode-client/*.md"), *ROOT.glob("model/**/*.md")]
)
RUN = "<!-- run -->"  # on a line before a block of commands: the tests run it

_MARKDOWN = MarkdownIt().enable("table")
_INCLUDE = re.compile(r'^--8<-- "(.+)"$', re.MULTILINE)


@dataclass(frozen=True)
class Code:
    """A block, or what stands in back quotes."""

    text: str
    language: str = ""
    run: bool = False


def title(page: Path) -> str:
    return str(page.relative_to(ROOT))


def links(page: Path) -> list[str]:
    """Of links and pictures, as they are written."""
    return [
        str(target)
        for token in _all(page)
        if (target := token.attrGet({"link_open": "href", "image": "src"}.get(token.type, "")))
    ]


def anchors(page: Path) -> set[str]:
    tokens = _parse(page)
    return {_slug(after) for token, after in pairwise(tokens) if token.type == "heading_open"}


def codes(page: Path) -> list[Code]:
    found, before = [], ""
    for token in _all(page):
        if token.type in ("fence", "code_block", "code_inline"):
            found.append(Code(token.content, token.info.strip(), before == RUN))
        before = token.content.strip() if token.type == "html_block" else ""
    return found


def _parse(page: Path) -> list[Token]:
    text = page.read_text("utf-8")
    return _MARKDOWN.parse(_INCLUDE.sub(lambda found: (ROOT / found[1]).read_text("utf-8"), text))


def _all(page: Path) -> Iterator[Token]:
    for token in _parse(page):
        yield token
        yield from token.children or ()


def _slug(heading: Token) -> str:
    """As GitHub and the site make it."""
    text = "".join(child.content for child in heading.children or ())
    return re.sub(r"[\s-]+", "-", re.sub(r"[^\w\s-]", "", text.lower()).strip())
