"""Text out of markup: HTML as StackOverflow's posts are written, Markdown as notebooks' text cells are. Tags go and what they
enclose stays; character references become characters."""

import re
from html.parser import HTMLParser

UNSEEN = frozenset({"script", "style"})
MENTION = re.compile(r"(`[^`]*`)|(?<![\w@./])@\w[\w-]*")


def without_mentions(text: str) -> str:
    """`@name` goes, with whom a post talks; in `code` it is a decorator and stays, and so do addresses."""
    return MENTION.sub(lambda match: match[1] or "", text)


def html_to_text(markup: str, *, keep_code: bool = False, mentions: bool = True) -> str:
    """The text of an HTML fragment. With `keep_code`, code of several lines stays in `<code>` and `</code>`."""
    reader = _Reader(keep_code, mentions)
    reader.feed(markup)
    reader.close()
    reader.end_code()
    return "".join(reader.pieces)


def markdown_to_text(markdown: str) -> str:
    """The text of Markdown without its formatting."""
    from markdown_it import MarkdownIt

    return html_to_text(MarkdownIt("commonmark").enable("table").render(markdown)).strip()


class _Reader(HTMLParser):
    def __init__(self, keep_code: bool, mentions: bool):
        super().__init__(convert_charrefs=True)
        self.keep_code, self.mentions = keep_code, mentions
        self.pieces: list[str] = []
        self.code: list[str] | None = None  # what has been read of a <code>
        self.unseen = 0

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag in UNSEEN:
            self.unseen += 1
        elif tag == "code" and self.code is None:
            self.code = []

    def handle_endtag(self, tag: str) -> None:
        if tag in UNSEEN:
            self.unseen = max(self.unseen - 1, 0)
        elif tag == "code":
            self.end_code()

    def handle_data(self, data: str) -> None:
        if self.unseen:
            return
        if self.code is not None:
            self.code.append(data)
        else:
            self.pieces.append(data if self.mentions else without_mentions(data))

    def end_code(self) -> None:
        if self.code is None:
            return
        code = "".join(self.code)
        several = self.keep_code and "\n" in code.strip("\n")
        self.pieces.append(f"<code>{code}</code>" if several else code)
        self.code = None
