"""Threads out of a StackExchange dump: Posts.xml and Comments.xml go in, one document a question comes out. A dump is larger
than memory and a question's answers and comments lie anywhere in it, so the rows are first dealt out to partitions on disk
by the number of their question; then one partition at a time is read and put together.

Dumps have one <row .../> a line, and are read by lines: a row that is broken costs only itself, no entity of a document
type is ever expanded, and memory stays constant."""

import json
import re
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from incoder_train.corpus.document import Document
from incoder_train.corpus.licence import THREAD_LICENCES, all_of, normalised, require_permissive
from incoder_train.corpus.manifest import Dump
from incoder_train.corpus.sources.lines import read_lines
from incoder_train.corpus.stackoverflow import Post, ThreadRules, thread_text
from incoder_train.errors import UserError

POSTS, COMMENTS = "Posts.xml", "Comments.xml"
PARTITION = 128 << 20  # bytes of XML that are held at a time, about
MAX_PARTITIONS = 400  # two files are open for each; a process may usually have 1,024
QUESTION, ANSWER = "1", "2"

Row = dict[str, str]


def check_dump(entry: Dump, path: Path) -> None:
    """Raises UserError unless both files are there and the manifest names, on purpose, the licence of such sites."""
    for name in (POSTS, COMMENTS):
        if not (path / name).is_file():
            raise UserError(f"{path} has no {name}; unpack the site's dump there, or correct the path in the manifest.")
    require_permissive(f"{entry.name} in the manifest", normalised(entry.licence), entry.licence, THREAD_LICENCES)


def collect_dump(
    entry: Dump, path: Path, dropped: Counter[str], rules: ThreadRules, work: Path | None = None
) -> Iterator[Document]:
    """One document a thread. The partitions, as large as the dump without its markup, lie in `work` meanwhile (by default
    where the system keeps temporary files). The order depends on nothing but the dump."""
    size = sum((path / name).stat().st_size for name in (POSTS, COMMENTS))
    partitions = min(size // PARTITION + 1, MAX_PARTITIONS)
    with tempfile.TemporaryDirectory(prefix="threads-", dir=work) as folder:
        place = Path(folder)
        _deal_posts(path / POSTS, place, partitions, dropped)
        _deal_comments(path / COMMENTS, place, partitions, dropped)
        for number in range(partitions):
            yield from _threads(entry, place, number, dropped, rules)


def _rows(path: Path, needed: Iterable[str], dropped: Counter[str]) -> Iterator[Row]:
    """The attributes of each row; rows that are broken, or lack something needed, are counted."""
    for line in read_lines(path, dropped):
        text = line.removeprefix(b"\xef\xbb\xbf").strip()
        if re.match(rb"<\?xml|</?(?:posts|comments)>", text):
            continue
        row = _row(text)
        if all(key in row for key in needed):
            yield row
        else:
            dropped["malformed row"] += 1


def _row(line: bytes) -> Row:
    """Empty if the line is no row. It must begin as one: a document type in front could define entities without end."""
    if not line.startswith(b"<row"):
        return {}
    try:
        element = ElementTree.fromstring(line)
    except ElementTree.ParseError:
        return {}
    return element.attrib if element.tag == "row" else {}


class _Dealer:
    """Partition files of one name, opened for writing together."""

    def __init__(self, stack: ExitStack, place: Path, name: str, partitions: int):
        paths = (place / f"{name}-{number}" for number in range(partitions))
        self.files = [stack.enter_context(path.open("a", encoding="utf-8", newline="\n")) for path in paths]

    def deal(self, key: int, row: object) -> None:
        self.files[key % len(self.files)].write(json.dumps(row) + "\n")


def _dealt(place: Path, name: str, number: int) -> Iterator[list[Any]]:
    with (place / f"{name}-{number}").open(encoding="utf-8", newline="\n") as file:
        yield from map(json.loads, file)


def _deal_posts(path: Path, place: Path, partitions: int, dropped: Counter[str]) -> None:
    """Questions and answers go to the question's partition; which question an answer is to goes to the answer's."""
    with ExitStack() as stack:
        posts, parents = (_Dealer(stack, place, name, partitions) for name in ("posts", "parents"))
        for row in _rows(path, ("Id", "PostTypeId"), dropped):
            try:
                number, score, kind = int(row["Id"]), int(row.get("Score", 0)), row["PostTypeId"]
                accepted, parent = (
                    int(row.get("AcceptedAnswerId", 0)),
                    int(row["ParentId"] if kind == ANSWER else number),
                )
            except (ValueError, KeyError):
                dropped["malformed row"] += 1
                continue
            if kind not in (QUESTION, ANSWER):
                dropped["neither question nor answer"] += 1
                continue
            tags = re.findall(r"[^<>|\s]+", row.get("Tags", ""))  # <a><b>, in newer dumps |a|b|
            licence = row.get("ContentLicense", "")
            posts.deal(
                parent, [parent, number, score, row.get("Body", ""), row.get("Title", ""), tags, accepted, licence]
            )
            if kind == ANSWER:
                parents.deal(number, [number, parent])


def _deal_comments(path: Path, place: Path, partitions: int, dropped: Counter[str]) -> None:
    """Comments go to the partition of their post, and from there, where it is known what the post answers, to the
    question's."""
    with ExitStack() as stack:
        comments = _Dealer(stack, place, "comments", partitions)
        for row in _rows(path, ("Id", "PostId", "Text"), dropped):
            try:
                number, post = int(row["Id"]), int(row["PostId"])
            except ValueError:
                dropped["malformed row"] += 1
                continue
            comments.deal(post, [post, number, row["Text"], row.get("ContentLicense", "")])
    with ExitStack() as stack:
        remarks = _Dealer(stack, place, "remarks", partitions)
        for number in range(partitions):
            question_of = {row[0]: row[1] for row in _dealt(place, "parents", number)}
            for comment in _dealt(place, "comments", number):
                post = comment[0]
                remarks.deal(question_of.get(post, post), comment)


def _threads(entry: Dump, place: Path, number: int, dropped: Counter[str], rules: ThreadRules) -> Iterator[Document]:
    """The threads of one partition, by the number of the question."""
    posts: dict[int, Post] = {}
    answers: dict[int, list[Post]] = defaultdict(list)
    licences: dict[int, set[str]] = defaultdict(set)
    question_of: dict[int, int] = {}
    for question, post, score, body, title, tags, accepted, licence in _dealt(place, "posts", number):
        if post in posts:
            dropped["number given twice"] += 1
            continue
        posts[post] = Post(post, score, body, title, tags, accepted)
        question_of[post] = question
        licences[question].add(licence)
        if post != question:
            answers[question].append(posts[post])
    for post, _, text, licence in sorted(_dealt(place, "remarks", number)):
        if post in posts:
            posts[post].comments.append(text)
            licences[question_of[post]].add(licence)
        else:
            dropped["comment without its post"] += 1
    for question in sorted(set(question_of.values())):
        if question not in posts:
            dropped["answer without its question"] += len(answers[question])
        elif (text := thread_text(posts[question], answers[question], rules)) is None:
            dropped["question without an answer"] += 1
        else:
            stated = all_of(normalised(licence or entry.licence) for licence in licences[question])
            yield Document(text, f"questions/{question}", "", "", entry.name, stated, own_metadata=True)
