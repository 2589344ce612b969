import random
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import incoder_train
from incoder_model.tokenizer import BOS, Tokenizer
from incoder_train.evaluate.case import CAUSAL_MASK, LEFT_TO_RIGHT, RERANK, Answer, Case, Settings
from incoder_train.evaluate.cutting import functions
from incoder_train.evaluate.sources import Source
from incoder_train.evaluate.tasks.variable_name import TASK, cut, first_name, most_said, name_ended

TEXT = """\
def read_cities(path):
    cities = []
    for line in path:
        cities.append(line)
    return cities
"""
PARTS = [
    "def read_cities(path):\n    ",
    " = []\n    for line in path:\n        ",
    ".append(line)\n    return ",
    "",
]
HEADER = "<| file ext=.py |>\n"


def cut_all(text: str, seed: int = 0) -> list[Case]:
    rng = random.Random(seed)
    found = functions(Source("package", "1.0", "MIT", "module.py", text))
    return [case for function in found if (case := cut(function, rng)) is not None]


def case_of(name: str) -> Case:
    return next(case for seed in range(50) for case in cut_all(TEXT, seed) if case.answer == name)


def test_every_occurrence_is_a_hole():
    case = case_of("cities")
    assert case.extra["parts"] == PARTS
    assert case.left == PARTS[0]
    assert case.left + case.answer + case.right == TEXT.rstrip("\n")
    assert case.id == "package/module.py:1:cities"
    assert {case.answer for seed in range(20) for case in cut_all(TEXT, seed)} == {"path", "line", "cities"}


def test_put_back_it_is_the_function():
    found = 0
    for path in sorted(Path(incoder_train.__file__).parent.rglob("*.py"))[::5]:
        text = path.read_text(encoding="utf-8")
        by_id = {
            function.id: function.text for function in functions(Source("package", "1.0", "MIT", "module.py", text))
        }
        for case in cut_all(text):
            assert case.answer.join(case.extra["parts"]) == by_id[case.id.rpartition(":")[0]]
            assert len(case.answer) >= 4
            assert len(case.extra["parts"]) >= 3
            found += 1
    assert found > 60


@pytest.mark.parametrize(
    "text",
    [
        "def f(x, y): return x + y",  # too short
        "def f(self): return self",  # nobody's choice
        "def f(name): return 1",  # nothing is done with it
        "def f():\n    return names",  # not its own
        "def f(name):\n" + "    g(name)\n" * 255,  # more than there are sentinels
    ],
)
def test_what_is_no_case(text: str):
    assert cut_all(text) == []


@pytest.mark.parametrize(
    ("text", "name", "ended"),
    [
        ("cities", "cities", False),
        ("cities = []", "cities", True),
        (" not self.names", "self", True),
        ("12abc, größe)", "größe", True),
        ("", "", False),
        ("[] = ", "", False),
        ("for", "", False),
    ],
)
def test_the_first_name_counts(text: str, name: str, ended: bool):
    assert first_name(text) == name
    assert name_ended(text) == ended


def test_the_majority_decides():
    assert most_said(["a", "b", "b"]) == "b"
    assert most_said(["a", "b"]) == "a"
    assert most_said(["", "", "b"]) == "b"
    assert most_said(["", ""]) == ""


def test_who_says_the_name_is_right_and_nobody_else():
    case = case_of("cities")
    assert TASK.score(case, Answer(["cities"])) == {"exact": 1}  # the function's name tells
    seen = cut_all("def f(name):\n    self.name = name\n    return 1")[0]
    assert TASK.score(seen, Answer(["name"])) == {"exact": 1}
    unseen = cut_all("def f(name):\n    self.other = name\n    return 1")[0]
    assert TASK.score(unseen, Answer(["name"])) == {"exact": 1, "exact_unseen": 1}
    for one in (case, seen, unseen):
        assert set(TASK.score(one, Answer(["city"])).values()) == {0}
        assert set(TASK.score(one, Answer([""])).values()) == {0}


# --- what a model is asked ---------------------------------------------------------------------------------------


class Scripted:
    """A model that says what it is told to, one text after the other, and that likes texts with `liked` in them."""

    def __init__(self, tokenizer: Tokenizer, texts: Sequence[str], liked: str = "", context: int = 512):
        self.tokenizer, self.context = tokenizer, context
        self._texts, self._liked = iter(texts), liked
        self.asked: list[list[int]] = []
        self.scored: list[str] = []

    def generate(self, prompts: Sequence[SimpleNamespace], **_: object) -> list[SimpleNamespace]:
        self.asked += [list(prompt.tokens) for prompt in prompts]
        assert all(len(prompt.tokens) + prompt.max_tokens <= self.context for prompt in prompts)
        said = [next(self._texts) for _ in prompts]
        return [SimpleNamespace(text=text, generated=1, log_probability=-1.0, stopped="budget") for text in said]

    def score(self, sequences: Sequence[Sequence[int]]) -> list[np.ndarray]:
        assert all(len(sequence) <= self.context + 1 for sequence in sequences)
        texts = [self.tokenizer.decode(sequence) for sequence in sequences]
        self.scored += texts
        return [np.array([-1.0 if f"{self._liked}.append" in text else -2.0]) for text in texts]


def answer(case: Case, method: str, generator: object) -> Answer:
    (found,) = TASK.answer([case], Settings("variable-name", method=method), generator)  # type: ignore[arg-type]
    return found


def test_each_hole_is_filled_in_sight_of_those_before_it(tokenizer: Tokenizer):
    encode, s = tokenizer.encode, tokenizer.sentinels
    model = Scripted(tokenizer, ["town", "cities = []", " cities"])
    found = answer(case_of("cities"), CAUSAL_MASK, model)
    parts = [encode(part) for part in PARTS[:3]]
    first = [BOS, *encode(HEADER), *parts[0], s[0], *parts[1], s[1], *parts[2], s[2], s[0]]
    second = [*first, *encode("town"), s.end, s[1]]
    assert model.asked == [first, second, [*second, *encode("cities"), s.end, s[2]]]
    assert (found.samples, found.detail["said"]) == (["cities"], ["town", "cities", "cities"])


def test_text_behind_the_last_hole_is_announced(tokenizer: Tokenizer):
    model = Scripted(tokenizer, ["line", "line"])
    answer(case_of("line"), CAUSAL_MASK, model)
    s = tokenizer.sentinels
    assert [token for token in model.asked[0] if token in s] == [s[0], s[1], s[2], s[0]]


def test_cases_of_several_holes_do_not_mix(tokenizer: Tokenizer, model_directory: Path):
    from incoder_model.batch import load_generator

    generator = load_generator(model_directory)
    cases = [case_of(name) for name in ("cities", "line", "path")]
    for method in TASK.methods:
        settings = Settings("variable-name", method=method)
        together = TASK.answer(cases, settings, generator)
        alone = [answer(case, method, generator) for case in cases]
        assert [(one.samples, one.detail.get("said")) for one in together] == [
            (one.samples, one.detail.get("said")) for one in alone
        ]
        assert all(set(TASK.score(case, one).values()) <= {0, 1} for case, one in zip(cases, together, strict=True))


def test_from_left_to_right_only_the_left_side_is_seen(tokenizer: Tokenizer):
    model = Scripted(tokenizer, ["cities = path.read()"])
    assert answer(case_of("cities"), LEFT_TO_RIGHT, model).samples == ["cities"]
    assert [tokenizer.decode(tokens) for tokens in model.asked] == [HEADER + PARTS[0]]


def test_the_likeliest_function_decides(tokenizer: Tokenizer):
    texts = ["towns = []", "cities = 1", "[]"] + ["towns"] * 22
    model = Scripted(tokenizer, texts, liked="cities")
    found = answer(case_of("cities"), RERANK, model)
    assert found.samples == ["cities"]
    assert model.scored == [HEADER + name.join(PARTS) for name in ("towns", "cities")]
    assert found.detail["log_probability"] == {"towns": -2, "cities": -1}
    assert answer(case_of("cities"), RERANK, Scripted(tokenizer, ["[]"] * 25)).samples == [""]


def test_holes_that_do_not_fit_fall_away_from_the_end(tokenizer: Tokenizer):
    text = "def f(name):\n" + "".join(f"    g({i}, name)\n" for i in range(200)) + "    return 1"
    (case,) = cut_all(text)
    for context in (64, 128, 512):
        model = Scripted(tokenizer, ["name"] * 201, context=context)
        found = answer(case, CAUSAL_MASK, model)
        holes = len(found.detail["said"])
        assert found.samples == ["name"]
        assert 1 <= holes == len(model.asked) < 201
        assert holes > context / 40
        seen = tokenizer.decode(model.asked[0])
        assert f"g({holes - 2}, " in seen
        assert f"g({holes}, " not in seen
        assert answer(case, RERANK, Scripted(tokenizer, ["name"] * 25, "name", context)).samples == ["name"]


def test_a_vocabulary_with_few_sentinels_has_few_holes(tokenizer: Tokenizer):
    from incoder_model.tokenizer import assemble

    few = assemble([], [], sentinels=3)
    (case,) = cut_all("def f(name):\n    g(name)\n    g(name)\n    return 1")
    found = answer(case, CAUSAL_MASK, Scripted(few, ["name"] * 3))
    assert len(found.detail["said"]) == 2
