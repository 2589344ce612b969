"""A StackExchange dump becomes threads: the text to the letter, the rules one by one, and dumps that are broken."""

import re
from collections import Counter
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

import pytest
from hypothesis import given
from hypothesis import strategies as st

from incoder_train.corpus.collect import collect, fetch
from incoder_train.corpus.document import Document
from incoder_train.corpus.manifest import Dump
from incoder_train.corpus.markup import html_to_text
from incoder_train.corpus.sources import dumps
from incoder_train.corpus.stackoverflow import PAPER_RULES, Post, ThreadRules, comment_text, post_text, thread_text
from incoder_train.errors import UserError


def rows(root: str, entries: list[dict[str, Any] | str]) -> str:
    lines = [
        entry if isinstance(entry, str) else f"  <row {' '.join(f'{k}={xml(v)}' for k, v in entry.items())} />"
        for entry in entries
    ]
    return "\n".join(['\ufeff<?xml version="1.0" encoding="utf-8"?>', f"<{root}>", *lines, f"</{root}>", ""])


def xml(value: object) -> str:
    return quoteattr(str(value), {"\n": "&#xA;"})


POSTS: list[dict[str, Any] | str] = [
    {
        "Id": 1,
        "PostTypeId": 1,
        "AcceptedAnswerId": 4,
        "Score": 3,
        "Title": "How do I halve a number?",
        "Tags": "<python><math><division>",
        "Body": "<p>Hi @ada,</p>\n\n\n\n<p>I have <code>x = 3</code> &amp; want 1.5:</p>\n\n"
        "<pre><code>x = 3\nprint(x &lt; 4)\n</code></pre>\n",
        "ContentLicense": "CC BY-SA 4.0",
    },
    {
        "Id": 2,
        "PostTypeId": 2,
        "ParentId": 1,
        "Score": 8,
        "Body": "<p>Use <b>/</b>.</p>",
        "ContentLicense": "CC BY-SA 3.0",
    },
    {"Id": 3, "PostTypeId": 2, "ParentId": 1, "Score": -1, "Body": "<p>Buy a calculator.</p>"},
    {"Id": 4, "PostTypeId": 2, "ParentId": 1, "Score": -2, "Body": "<p>Use <code>@half</code>.</p>"},
    {"Id": 5, "PostTypeId": 1, "Score": 0, "Title": "Unanswered?", "Tags": "|python|", "Body": "<p>Yes.</p>"},
    {"Id": 6, "PostTypeId": 2, "ParentId": 99, "Score": 0, "Body": "<p>To nothing.</p>"},
    {"Id": 7, "PostTypeId": 5, "Score": 0, "Body": "<p>A wiki.</p>"},
    {"Id": "eight", "PostTypeId": 1, "Body": "x"},
    '  <row Id="9" PostTypeId="1" Body="cut',
    '<!DOCTYPE a [<!ENTITY b "c">]><row Id="10" PostTypeId="1" Body="&b;" />',
]
COMMENTS: list[dict[str, Any] | str] = [
    {"Id": 12, "PostId": 2, "Text": "@bob vector<int> is not `@half`"},
    {"Id": 11, "PostId": 1, "Text": "first of the question"},
    *({"Id": 20 + i, "PostId": 1, "Text": f"number {i}"} for i in range(6)),
    {"Id": 30, "PostId": 77, "Text": "on nothing"},
    {"Id": 31, "PostId": 2},
]
THREAD = """<| q dscore=3 tags=TAGS |>
How do I halve a number?

Hi ,

I have x = 3 & want 1.5:

<code>x = 3
print(x < 4)
</code>
<|/ q |>
<| c |>
first of the question
<|/ c |>
<| c |>
number 0
<|/ c |>
<| c |>
number 1
<|/ c |>
<| c |>
number 2
<|/ c |>
<| c |>
number 3
<|/ c |>
<| a tags=TAGS dscore=4 |>
Use /.
<|/ a |>
<| c |>
vector<int> is not `@half`
<|/ c |>
<| a dscore=0 tags=TAGS |>
Use @half.
<|/ a |>"""
ENTRY = Dump("site", "CC-BY-SA-4.0", "")
ALL_IN_FRONT = ThreadRules(front_probability=1.0)


@pytest.fixture
def dump(tmp_path: Path) -> Path:
    (tmp_path / "dump").mkdir()
    (tmp_path / "dump/Posts.xml").write_text(rows("posts", POSTS), encoding="utf-8")
    (tmp_path / "dump/Comments.xml").write_text(rows("comments", COMMENTS), encoding="utf-8")
    return tmp_path / "dump"


def threads(dump: Path, rules: ThreadRules | None = None, dropped: Counter[str] | None = None) -> list[Document]:
    entry = Dump("site", "CC-BY-SA-4.0", str(dump))
    return list(collect(entry, fetch(entry, dump), (".py",), dropped, threads=rules))


def normal_tags(text: str) -> str:
    """The order of the attributes and of the tags is by chance; both are checked elsewhere."""
    text = re.sub(r"tags=(?:(?:python|math|division),?){3}", "tags=TAGS", text)
    return re.sub(r"<\| ([qa]) (\S+) (\S+) \|>", lambda m: f"<| {m[1]} {' '.join(sorted(m.groups()[1:]))} |>", text)


def test_a_thread_to_the_letter(dump: Path) -> None:
    dropped: Counter[str] = Counter()
    [thread] = threads(dump, ALL_IN_FRONT, dropped)
    assert normal_tags(thread.text) == normal_tags(THREAD)
    assert (thread.path, thread.archive, thread.ext) == ("questions/1", "site", "")
    assert thread.licence == "CC-BY-SA-3.0 AND CC-BY-SA-4.0"
    assert thread.header_attributes() is None
    assert dropped == {
        "malformed row": 4,
        "neither question nor answer": 1,
        "question without an answer": 1,
        "answer without its question": 1,
        "comment without its post": 1,
    }


def test_the_papers_rules_take_everything(dump: Path) -> None:
    one, two = threads(dump, PAPER_RULES)
    assert one.text.count("<| a ") == 3
    assert one.text.count("<| c |>") == 8
    assert "Unanswered?\n\nYes.\n" in two.text


def test_the_same_dump_and_seed_give_the_same_text(dump: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = threads(dump, PAPER_RULES)
    assert threads(dump, PAPER_RULES) == first
    seeds = {threads(dump, ThreadRules(seed=seed))[0].text for seed in range(20)}
    assert len(seeds) > 10
    assert len({match for text in seeds for match in re.findall(r"tags=([\w,]+)", text)}) == 6
    monkeypatch.setattr(dumps, "PARTITION", 400)  # bytes: several partitions
    in_parts = threads(dump, PAPER_RULES)
    assert sorted(d.text for d in in_parts) == sorted(d.text for d in first)


def test_every_piece_of_a_thread_has_the_same_tags(dump: Path) -> None:
    [thread] = threads(dump, ALL_IN_FRONT)
    found = re.findall(r"tags=([\w,]+)", thread.text)
    assert len(found) == 3
    assert len(set(found)) == 1


def answers_of(text: str) -> list[str]:
    return re.findall(r"<\| a [^\n]*\n(.*)\n<\|/ a", text)


def make_answers(scores: list[int]) -> list[Post]:
    return [Post(10 + i, score, f"<p>{score}</p>") for i, score in enumerate(scores)]


@given(st.lists(st.integers(-5, 50), max_size=20), st.integers(0, 19), st.integers(0, 3))
def test_which_answers_are_kept(scores: list[int], accepted: int, most: int) -> None:
    answers = make_answers(scores)
    question = Post(1, 0, "", "T", accepted=10 + accepted)
    kept = answers_of(thread_text(question, answers, ThreadRules(answered_only=False, answers=most)) or "")
    good = [score for i, score in enumerate(scores) if score >= 0 or i == accepted]
    if accepted < len(scores):
        assert str(scores[accepted]) in kept
    assert list(map(int, kept)) == sorted(map(int, kept), reverse=True)
    assert len(kept) == (min(len(good), most) if most else len(good))


@pytest.mark.parametrize(
    ("tag", "scores"), [("q", {-9: 0, 0: 0, 1: 1, 2: 2, 3: 3, 5: 3, 6: 4, 10: 4, 11: 5, 999: 5}),
                        ("a", {0: 0, 1: 1, 2: 2, 3: 2, 4: 3, 6: 3, 7: 4, 13: 4, 14: 5, 999: 5})]
)  # fmt: skip
def test_score_buckets(tag: str, scores: dict[int, int]) -> None:
    for score, level in scores.items():
        text = thread_text(Post(1, score, "", "T"), [Post(2, score, "")], ThreadRules(negative_answers=True))
        assert text is not None
        assert re.findall(rf"<\|/? {tag} dscore=(\d)", text) == [str(level)]


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("<p>a</p>\n<p>b</p>", "a\nb"),
        ("a<br/>\nb <img src='x'> <a href=\"y\">c</a>", "a\nb  c"),
        ("<code>a</code>", "a"),
        ("<pre><code>a\n</code></pre>", "a"),
        ("<pre><code>@a\n&lt;b&gt;\n</code></pre>", "<code>@a\n<b>\n</code>"),
        ("mail a@b.org, ask @bob-1.", "mail a@b.org, ask ."),
        ("<script>alert()</script>x", "x"),
        ("a < b && c > d", "a < b && c > d"),
        ("<code>a\nb", "<code>a\nb</code>"),
        ("1\n\n\n\n2", "1\n\n2"),
        ("&amp;lt; &#65; &eacute;", "&lt; A é"),
    ],
)
def test_bodies(body: str, text: str) -> None:
    assert post_text(body) == text


TAGS = re.compile(r"</?[a-z][^<>]*>", re.IGNORECASE)
fragments = st.lists(
    st.sampled_from(["<p>", "</p>", "<b", ">", "<", "</", "/>", "<a href='x'>", "</a>", "<!--", "-->", "<code>", "</code>",
                     "<pre>", "</pre>", "\n", "x", " ", "@ada", "<![CDATA[", "]]>", "<?", "<script>", "</script>", '"', "=",
                     "<textarea>", "<title>", "<plaintext>", "<iframe>", "<b a='>'>"]),
    max_size=25,
).map("".join)  # fmt: skip


@given(fragments | st.text())
def test_any_body_gives_text_without_tags(body: str) -> None:
    # A tag is text when it is written with references, or when another tag stood in the middle of it.
    if "&" not in body and not re.search(r"</?<", body):
        assert not TAGS.search(re.sub(r"</?code>", "", post_text(body)))
    assert "\n\n\n" not in post_text(body)
    comment_text(body)


words = st.text("abc \n", min_size=1, max_size=8)
elements = st.recursive(
    words, lambda inner: st.tuples(st.sampled_from(["p", "b", "li", "blockquote", "h1"]), st.lists(inner, max_size=3))
)


def html_and_text(element: Any) -> tuple[str, str]:
    if isinstance(element, str):
        return element, element
    inner = [html_and_text(child) for child in element[1]]
    return f"<{element[0]}>{''.join(h for h, _ in inner)}</{element[0]}>", "".join(t for _, t in inner)


@given(elements)
def test_what_tags_enclose_stays(element: Any) -> None:
    markup, text = html_and_text(element)
    assert html_to_text(markup) == text


def test_dumps_that_cannot_be_taken(dump: Path) -> None:
    for licence, complaint in [("MIT", "not among the permissive ones"), ("GPL-3.0-only", "take it off")]:
        with pytest.raises(UserError, match=complaint):
            fetch(Dump("site", licence, str(dump)), dump)
    (dump / "Comments.xml").unlink()
    with pytest.raises(UserError, match=r"has no Comments\.xml; unpack the site's dump there"):
        fetch(Dump("site", "CC-BY-SA-4.0", str(dump)), dump)
