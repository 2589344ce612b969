import gzip
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from incoder_model.tokenizer import BOS, Tokenizer, assemble
from incoder_train.errors import UserError
from incoder_train.evaluate import scoring
from incoder_train.evaluate.case import CAUSAL_MASK, LEFT_TO_RIGHT, METHODS, RERANK, Answer, Settings
from incoder_train.evaluate.tasks.cloze import FORMATS, TASK, WORDS, joined

LEFT = "The distance between two cities , in kilometres . def distance(a, b):x = math."
RIGHT = "(a.latitude, b.latitude)return 2 * RADIUS * math.asin(math.sqrt(x))"
ITEM = {
    "idx": "maxmin-1",
    "nl_tokens": ["The", "larger", "one", "."],
    "pl_tokens": ["def", "_larger", "(", "a", ",", "b", ")", ":", "return", "<mask>", "(", "a", ",", "b", ")"],
}


def words_of(sequences: scoring.Sequences, name: str) -> list[list[int]]:
    return list(sequences[name].values())


def build(tokenizer: Tokenizer, left: str = LEFT, right: str = RIGHT, context: int = 512) -> scoring.Sequences:
    return scoring.sequences(left, WORDS, right, tuple(scoring.FORMATS), tokenizer, front=[BOS], context=context)


# --- the formats -------------------------------------------------------------------------------------------------


def test_every_format_is_what_the_table_says(tokenizer: Tokenizer):
    encode, s = tokenizer.encode, tokenizer.sentinels
    built = {name: by_word["max"] for name, by_word in build(tokenizer).items()}
    left, word, right, whole = encode(LEFT), encode("max"), encode(RIGHT), encode(LEFT + "max" + RIGHT)
    assert built["left-break"] == [BOS, *left, *word]
    assert built["left-token"] == [BOS, *encode(LEFT + "max")]
    assert built["left-right-break"] == [BOS, *left, *word, *right]
    assert built["left-right"] == [BOS, *whole]
    assert built["infill-break"] == [BOS, *left, s[0], *right, s[1], s[0], *word, s.end]
    # The hole is widened to whole tokens, and what is left and right of it are the tokens of the whole text.
    before, after, token = parts(built["infill-token"][1:], tokenizer)
    assert [*before, *token, *after] == whole
    assert "max" in tokenizer.decode(token)
    assert len(token) <= 3
    # The region is the whole left side, the word and ten tokens; when its end was no border for `min` it is longer.
    before, after, region = parts(built["infill-region"][1:], tokenizer)
    assert (before, [*region, *after]) == ([], whole)
    assert 10 <= len(whole) - len(after) - len(encode(LEFT + "max")) <= 14
    assert built["left-region"] == [BOS, *region]


def parts(sequence: list[int], tokenizer: Tokenizer) -> tuple[list[int], list[int], list[int]]:
    """What is before the hole, behind it and in it."""
    s = tokenizer.sentinels
    first, second = sequence.index(s[0]), sequence.index(s[1]) if s[1] in sequence else None
    last = len(sequence) - 1 - sequence[::-1].index(s[0])
    assert sequence[-1] == s.end
    assert second in (None, last - 1)
    return sequence[:first], sequence[first + 1 : last - (second is not None)], sequence[last + 1 : -1]


@pytest.mark.parametrize("long", WORDS)
def test_a_hole_is_as_wide_for_a_word_that_is_a_token_as_for_one_that_hides_in_one(long: str):
    merges = [("m", long[1]), (long[:2], long[2]), (".", long), (f".{long}", "("), (f".{long}(", "a")]
    lopsided = assemble([left + right for left, right in merges], merges)
    assert len(lopsided.encode(f".{long}(a")) == 1
    built = build(lopsided, "math.", "(a, b) + sum(a, b)")
    for name, hole in (("infill-token", ".max(a"), ("infill-region", "math.max(a, b) + sum")):
        (before, after, larger), smaller = (
            [lopsided.decode(part) for part in parts(one[1:], lopsided)] for one in words_of(built, name)
        )
        assert larger == hole
        assert smaller == [before, after, hole.replace("max", "min")]
    larger, smaller = (lopsided.decode(tokens) for tokens in words_of(built, "left-region"))
    assert larger == smaller.replace("min", "max") == "math.max(a, b) + sum"


text = st.text(" \nabcx(),.=_distanceé😀", max_size=60)


@given(left=text, right=text)
def test_the_words_are_asked_about_in_the_same_text(tokenizer: Tokenizer, left: str, right: str):
    built = build(tokenizer, left, right)
    for name, (larger, smaller) in ((name, words_of(built, name)) for name in built):
        full = left + "max" + right
        said, other = tokenizer.decode_bytes(larger), tokenizer.decode_bytes(smaller)
        if name.startswith("infill"):
            before, after, hole = parts(larger[1:], tokenizer)
            assert tokenizer.decode_bytes([*before, *hole, *after]).decode() == full
            assert len(tokenizer.decode_bytes(hole)) == len(tokenizer.decode_bytes(parts(smaller[1:], tokenizer)[2]))
        elif name.startswith("left-right"):
            assert said.decode() == full
        else:
            assert full.encode().startswith(said)
            assert len(said) >= len((left + "max").encode())
        assert len(said) == len(other)


def test_a_long_text_loses_what_is_far_from_the_word(tokenizer: Tokenizer):
    left, right = "".join(f"left_{i} = {i}\n" for i in range(300)), "".join(f"\nright_{i} = {i}" for i in range(300))
    for name, by_word in build(tokenizer, left, right, context=128).items():
        for word, tokens in by_word.items():
            assert len(tokens) <= 128
            text = tokenizer.decode(tokens)
            assert left[-20:] in text
            assert word in text
            if name.startswith(("left-right", "infill")):
                assert right[:10] in text
    both = tokenizer.decode(build(tokenizer, left, right, context=128)["left-right"]["max"])
    at = both.index("max")
    assert at / len(both) == pytest.approx(0.5, abs=0.1)
    short = tokenizer.decode(build(tokenizer, left, "\nright = 1", context=128)["left-right"]["max"])
    assert short.endswith("\nright = 1")  # what one side does not need the other one gets
    alone = scoring.sequences(left, WORDS, right, FORMATS[LEFT_TO_RIGHT], tokenizer, front=[BOS], context=128)
    assert len(alone["left-region"]["max"]) >= 126  # the right side takes no room from the left one
    with pytest.raises(ValueError, match="no room"):
        build(tokenizer, left, right, context=4)


# --- scores ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", FORMATS)
def test_scores_are_sums_of_log_probabilities(
    method: str, model_directory: Path, tokenizer: Tokenizer, benchmarks: Path
):
    import torch

    from incoder_model.batch import load_generator
    from incoder_model.checkpoint import load_transformer

    settings = Settings("cloze", "python", method, benchmarks=benchmarks)
    cases = TASK.cases(settings)
    network, _ = load_transformer(model_directory)
    answers = TASK.answer(cases, settings, load_generator(model_directory))
    assert len(answers) == len(cases) == 2
    for case, answer in zip(cases, answers, strict=True):
        front = [BOS, *tokenizer.encode("<| file ext=.py |>\n")]
        built = scoring.sequences(
            case.left, WORDS, case.right, FORMATS[method], tokenizer, front=front, context=network.config.context
        )
        assert list(answer.detail["log_probability"]) == list(FORMATS[method])
        for name, by_word in built.items():
            for word, tokens in by_word.items():
                with torch.inference_mode():
                    logits = network.logits(network(torch.tensor([tokens[:-1]])))[0]
                one_by_one = [logits[i].log_softmax(-1)[token].item() for i, token in enumerate(tokens[1:])]
                assert answer.detail["log_probability"][name][word] == pytest.approx(sum(one_by_one), rel=1e-4)


def test_the_likelier_word_is_the_choice(benchmarks: Path, tokenizer: Tokenizer):
    """A model that knows the answers is right everywhere, one that knows them and lies nowhere."""

    def knowing(sign: int) -> SimpleNamespace:
        def score(sequences: list[list[int]]) -> list[np.ndarray]:
            return [np.full(len(one) - 1, sign * ("max" in tokenizer.decode(one)) - 2.0) for one in sequences]

        return SimpleNamespace(tokenizer=tokenizer, context=512, score=score)

    for method in FORMATS:
        settings = Settings("cloze", "python", method, benchmarks=benchmarks)
        (larger, smaller) = TASK.cases(settings)
        assert (larger.answer, smaller.answer) == ("max", "min")
        for sign in (1, -1):
            first, second = TASK.answer([larger, smaller], settings, knowing(sign))  # type: ignore[arg-type]
            assert TASK.score(larger, first) == dict.fromkeys(FORMATS[method], float(sign == 1))
            assert TASK.score(smaller, second) == dict.fromkeys(FORMATS[method], float(sign == -1))
            assert first.samples == (["max"] if sign == 1 else ["min"])


def test_all_formats_of_the_paper_are_measures_of_methods():
    assert sorted(name for names in FORMATS.values() for name in names) == sorted(scoring.FORMATS)
    assert set(TASK.methods) == {CAUSAL_MASK, LEFT_TO_RIGHT, RERANK} <= set(METHODS)
    assert TASK.splits == ("python", "javascript", "ruby", "go", "java", "php")
    found = {"infill-token": {"max": -2.0, "min": -1.0}, "infill-region": {"max": -1.0, "min": -2.0}}
    case = SimpleNamespace(answer="min")
    assert TASK.score(case, Answer(["max"], {"log_probability": found})) == {  # type: ignore[arg-type]
        "infill-token": 1.0,
        "infill-region": 0.0,
    }


# --- the data ----------------------------------------------------------------------------------------------------


@pytest.fixture
def benchmarks(tmp_path: Path) -> Path:
    folder = tmp_path / "cloze-maxmin" / "python"
    folder.mkdir(parents=True)
    items = [ITEM, {**ITEM, "idx": "maxmin-2"}]
    (folder / "clozeTest.json.gz").write_bytes(gzip.compress(json.dumps(items).encode()))
    (folder / "answers.txt").write_text("maxmin-1<CODESPLIT>max\nmaxmin-2<CODESPLIT>min\n")
    return tmp_path


def test_an_item_becomes_text(benchmarks: Path):
    case, _ = TASK.cases(Settings("cloze", benchmarks=benchmarks))
    assert case.left == "The larger one . def _larger(a,b):return "
    assert case.right == "(a,b)"
    assert (case.id, case.answer, case.header) == ("maxmin-1", "max", "<| file ext=.py |>\n")


def test_only_words_are_kept_apart():
    assert joined(["x", "=", "a", "if", "_b", "else", "3", "", "#", "c"]) == "x=a if _b else 3 #c"


def test_what_is_missing_is_said_in_a_sentence(benchmarks: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("INCODER_BENCHMARKS", raising=False)
    folder = benchmarks / "cloze-maxmin" / "python"
    with pytest.raises(UserError, match=r"clozeTest\.json\.gz does not come along.*INCODER_BENCHMARKS.*CodeXGLUE"):
        TASK.cases(Settings("cloze"))
    with pytest.raises(UserError, match=r"has no cloze-maxmin/ruby/clozeTest\.json\.gz"):
        TASK.cases(Settings("cloze", "ruby", benchmarks=benchmarks))
    (folder / "answers.txt").write_text("maxmin-1<CODESPLIT>max\n")
    with pytest.raises(UserError, match="whether maxmin-2 is max or min"):
        TASK.cases(Settings("cloze", benchmarks=benchmarks))
    (folder / "answers.txt").unlink()
    with pytest.raises(UserError, match=r"answers\.txt; it is from evaluator/answers/python in ClozeTesting-maxmin"):
        TASK.cases(Settings("cloze", benchmarks=benchmarks))
    for content in (
        b"no gzip",
        gzip.compress(b"no json"),
        gzip.compress(b'{"a": 1}'),
        gzip.compress(b'[{"idx": "a"}]'),
    ):
        (folder / "clozeTest.json.gz").write_bytes(content)
        with pytest.raises(UserError, match="no gzipped list of items"):
            TASK.cases(Settings("cloze", benchmarks=benchmarks))


SHIPPED = Path(__file__).parents[4] / "shared" / "data" / "benchmarks"


@pytest.mark.skipif(not SHIPPED.is_dir(), reason="the benchmarks are not beside the checkout")
@pytest.mark.parametrize("language", TASK.splits)
def test_the_paper_counted_the_same_items(language: str, tmp_path: Path):
    counts = {"ruby": 38, "javascript": 272, "go": 152, "python": 1264, "java": 482, "php": 407}
    folder = tmp_path / "cloze-maxmin" / language
    folder.mkdir(parents=True)
    (folder / "clozeTest.json.gz").symlink_to(SHIPPED / "cloze-maxmin" / language / "clozeTest.json.gz")
    (folder / "answers.txt").write_text("".join(f"maxmin-{i}<CODESPLIT>max\n" for i in range(1, 5000)))
    cases = TASK.cases(Settings("cloze", language, benchmarks=tmp_path))
    assert len(cases) == counts[language]
    assert all(case.left and case.right for case in cases)
