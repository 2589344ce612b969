"""What a suggestion is made of: its range, how many there are, line ends and indentation, the command behind it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

from incoder_lsp.conformance.bench import PLACES, Bench
from incoder_lsp.conformance.outcome import NotApplicable, check, require
from incoder_lsp.conformance.session import AUTOMATIC, INVOKED, Document, Item

HALF_TYPED = (
    (
        "import json\n\n\ndef load_items(path):\n    with open(path) as file:\n        items = json.lo",
        "\n    return items\n",
    ),
    ("numbers = [3, 1, 2]\nfor number in num", "\n    print(number)\n"),
    ("def add(first, second):\n    ret", "\n"),
    ("class Box:\n    def __init__(self, width, height):\n        self.wid", "\n        self.height = height\n"),
    ("import os\n\nprint(os.path.joi", ")\n"),
)
BLOCKS = (
    ("class Box:\n    def __init__(self, width, height):\n        ", "\n"),
    ("import json\n\n\ndef load(path):\n    ", "\n"),
    ("def largest(numbers):\n    best = None\n    for number in numbers:\n        ", "\n"),
    ("def count(words):\n    counts = {}\n    for word in words:\n        if word in counts:\n            ", "\n"),
    ("import os\nimport sys\n\n\ndef main():\n    if len(sys.argv) < 2:\n        ", "\n"),
    ("class Stack:\n    def __init__(self):\n        self.items = []\n\n    def push(self, item):\n        ", "\n"),
)


@check(14, "Range")
async def ranges(bench: Bench) -> str:
    """A suggestion's range lies on the cursor's line and covers the word that is being typed, with which its text begins,
    so that it survives a backspace."""
    session, seen = await bench.shared(), 0
    async for document, offset, item in _items(bench, HALF_TYPED):
        seen += 1
        cursor, word = document.at(offset), re.search(r"\w*\Z", document.text[:offset])
        assert word
        where = f"at {document.text[:offset].splitlines()[-1].strip()!r}"
        require(item.range, f"A suggestion has no range {where}")
        assert item.range
        start, end = item.range
        require(start[0] == end[0] == cursor["line"], f"The range {item.range} is not on the cursor's line {where}")
        require(start[1] <= cursor["character"] <= end[1], f"The range {item.range} does not hold the cursor {where}")
        document.applied(item, offset)
        replaced = document.text[offset - (cursor["character"] - start[1]) : offset]
        require(replaced.endswith(word.group()), f"The range begins behind the start of the word {word.group()!r}")
        filtered = item.raw.get("filterText") or item.insert
        require(
            filtered.startswith(replaced),
            f"Its text {filtered[:40]!r} does not begin with {replaced!r}, which it replaces",
        )
    await session.alive()
    return f"{seen} suggestions read"


@check(15, "Selected item of the popup")
async def selected(bench: Bench) -> str:
    """While an item of the popup is selected (selectedCompletionInfo), a suggestion has that item's range and begins with
    its text."""
    bench.require_suggestions()
    session, seen = await bench.shared(), 0
    for (left, right), text in zip(HALF_TYPED, ("loads", "numbers", "return", "width", "join"), strict=True):
        document, offset = session.open(left + right), len(left)
        word = re.search(r"\w*\Z", left)
        assert word
        span = {"start": document.at(word.start()), "end": document.at(offset)}
        for kind in (AUTOMATIC, INVOKED):
            for item in await document.suggest(offset, kind, selectedCompletionInfo={"range": span, "text": text}):
                seen += 1
                where = f"while {text!r} is selected in the popup"
                require(item.insert.startswith(text), f"It suggests {item.insert[:40]!r} {where}")
                wanted = tuple((span[end]["line"], span[end]["character"]) for end in ("start", "end"))
                require(item.range == wanted, f"Its range is {item.range}, not {wanted}, {where}")
    if not seen:
        raise NotApplicable(f"It suggested nothing at {len(HALF_TYPED)} places while an item was selected")
    return f"{seen} suggestions read"


@check(16, "Candidates")
async def candidates(bench: Bench) -> str:
    """When asked (Invoked) it offers at least two different suggestions somewhere; on a key (Automatic) never more than
    one."""
    bench.require_suggestions()
    session, most = await bench.shared(), 0
    for left, right in (*PLACES, *BLOCKS):
        document = session.open(left + right)
        automatic = await document.suggest(len(left), AUTOMATIC)
        require(len(automatic) <= 1, f"On a key it offers {len(automatic)} suggestions")
        invoked = await document.suggest(len(left), INVOKED)
        most = max(most, len({document.applied(item, len(left)) for item in invoked}))
    require(most >= 2, f"Asked at {len(PLACES) + len(BLOCKS)} places, it never offers more than {most}")
    return f"{most} different ones"


@check(20, "Line ends")
async def line_ends(bench: Bench) -> str:
    """In a file with CRLF line ends a suggestion of several lines has them, too, and in a file with LF it has those."""
    seen = {"\r\n": 0, "\n": 0}
    for end in seen:
        async for document, offset, item in _items(bench, BLOCKS, end):
            ends = set(re.findall(r"\r\n|\r|\n", document.inserted(item, offset)))
            seen[end] += bool(ends)
            require(ends <= {end}, f"In a file with {end!r} it suggests a text with {sorted(ends)}")
    if not seen["\r\n"]:
        raise NotApplicable("No suggestion in a file with CRLF line ends had several lines")
    return "of several lines: {} suggestions with CRLF, {} with LF".format(*seen.values())


@check(21, "Tabs and spaces")
async def tabs(bench: Bench) -> str:
    """The lines of a suggestion are indented as the file is: with tabs, or with spaces."""
    seen = {"\t": 0, " ": 0}
    for unit, other in (("\t", " "), (" ", "\t")):
        async for document, offset, item in _items(bench, BLOCKS, tabs=unit == "\t"):
            inserted = document.inserted(item, offset).splitlines()
            for margin in (re.match(r"[ \t]*", line) for line in inserted[1:] if line.strip()):
                assert margin
                seen[unit] += bool(margin.group())
                where = "with tabs" if unit == "\t" else "with spaces"
                require(
                    other not in margin.group(),
                    f"In a file indented {where} it suggests a line with {margin.group()!r}",
                )
    if not seen["\t"]:
        raise NotApplicable("No suggestion in a file indented with tabs had a second line with an indentation")
    return "{} lines with tabs, {} with spaces".format(*seen.values())


@check(25, "Accepting")
async def accepting(bench: Bench) -> str:
    """The command of a suggestion is one that the server declares, and after the suggestion was inserted, executing it is
    answered with a result."""
    session = await bench.shared()
    document, offset, items = await bench.suggestion(session)
    command = items[0].command
    if command is None:
        raise NotApplicable("Its suggestions have no command, so that it learns of an acceptance only from the text")
    declared = (session.capabilities.get("executeCommandProvider") or {}).get("commands", [])
    require(
        command["command"] in declared, f"The command {command['command']} is not among those it declares: {declared}"
    )
    document.edit(offset, offset, document.inserted(items[0], offset))
    params = {"command": command["command"], "arguments": command.get("arguments", [])}
    reply = await session.client.ask("workspace/executeCommand", params)
    require("error" not in reply, f"{command['command']} is answered with {reply.get('error')}")
    return command["command"]


async def _items(
    bench: Bench, places: tuple[tuple[str, str], ...], end: str = "\n", tabs: bool = False
) -> AsyncIterator[tuple[Document, int, Item]]:
    """Every suggestion at some places, with its document and cursor. Raises NotApplicable for a silent server."""
    bench.require_suggestions()
    session, seen = await bench.shared(), 0
    for place in places:
        left, right = (part.replace("    ", "\t" if tabs else "    ").replace("\n", end) for part in place)
        document = session.open(left + right)
        for kind in (AUTOMATIC, INVOKED):
            for item in await document.suggest(len(left), kind):
                seen += 1
                yield document, len(left), item
    if not seen:
        raise NotApplicable(f"It suggested nothing at {len(places)} places")
