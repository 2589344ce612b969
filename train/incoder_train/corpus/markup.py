"""Text out of markup: HTML as StackOverflow's posts are written, Markdown as notebooks' text cells are. Tags go and what they
enclose stays; character references become characters. A small scanner of our own: what Python's parser makes of broken HTML
changes between its releases, and the same dump must give the same bytes."""

import html
import re
from collections.abc import Callable

# What is not text, in one pass; each alternative ends at the end of the text at the latest, so that scanning stays linear.
MARKUP = re.compile(
    r"<!--.*?(?:-->|\Z)"
    r"|<(script|style)\b.*?(?:</\1\s*>|\Z)"
    r"|<(?P<close>/?)(?P<tag>[a-z][a-z0-9]*)[^>]*(?:>|\Z)"
    r"|<[!?][^>]*(?:>|\Z)",
    re.DOTALL | re.IGNORECASE,
)
MENTION = re.compile(r"(`[^`]*`)|(?<![\w@./])@\w[\w-]*")


def without_mentions(text: str) -> str:
    """`@name` goes, with whom a post talks; in `code` it is a decorator and stays, and so do addresses."""
    return MENTION.sub(lambda match: match[1] or "", text) if "@" in text else text


def html_to_text(markup: str, *, keep_code: bool = False, prose: Callable[[str], str] = str) -> str:
    """The text of an HTML fragment. With `keep_code`, code of several lines stays in `<code>` and `</code>`. What is not
    code passes through `prose`."""
    pieces: list[str] = []
    code: list[str] | None = None  # what has been read of a <code>
    position = 0

    def end_code(code: list[str]) -> str:
        text = "".join(code)
        return f"<code>{text}</code>" if keep_code and "\n" in text.strip("\n") else text

    for match in MARKUP.finditer(markup):
        text, position = html.unescape(markup[position : match.start()]), match.end()
        (pieces if code is None else code).append(prose(text) if code is None else text)
        if (match["tag"] or "").lower() == "code":
            if match["close"] and code is not None:
                pieces.append(end_code(code))
                code = None
            elif not match["close"] and code is None:
                code = []
    rest = html.unescape(markup[position:])
    return "".join([*pieces, prose(rest) if code is None else end_code([*code, rest])])


def markdown_to_text(markdown: str) -> str:
    """The text of Markdown without its formatting."""
    from markdown_it import MarkdownIt

    return html_to_text(MarkdownIt("commonmark").enable("table").render(markdown)).strip()
