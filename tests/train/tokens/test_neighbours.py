"""Rows with a piece of a file nearby: whole lines of another file of the package and no other, then the header, then the block."""

from collections import Counter
from dataclasses import replace
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from incoder_model.causal_mask import SpanDistribution, unmask
from incoder_model.tokenizer import Tokenizer
from incoder_train.errors import UserError
from incoder_train.tokens.batches import Samples
from incoder_train.tokens.blocks import SHORTEST
from incoder_train.tokens.neighbours import NEARER, QUARTER, SLACK, TOP, Neighbours, open_neighbours
from incoder_train.tokens.order import rng_for
from incoder_train.tokens.rows import SPAN_COST
from incoder_train.tokens.shards import Attributed, Shard, open_shard, write_shard
from incoder_train.tokens.spans import DELIMITER, TEXT, EditorSpans, Lexicon

LINE_END, OPENING = 0, 1
BOTH = st.booleans()

# A document is the lengths of its lines, the first one of which may be metadata; a package is documents.
documents = st.tuples(BOTH, st.lists(st.integers(0, 40), max_size=25))
packages = st.lists(st.lists(documents, min_size=1, max_size=5), min_size=1, max_size=4)


def build(parts: list[list[tuple[bool, list[int]]]], context: int) -> Neighbours:
    """Every token that is no line end and opens no metadata has a number of its own, so it tells where it is from."""
    tokens, offsets, firsts, unique = [], [0], [0], 2
    for package in parts:
        for has_header, lengths in package:
            for line, length in enumerate(lengths):
                tokens += [OPENING] * (line == 0 and has_header) + [*range(unique, unique + length), LINE_END]
                unique += length
            tokens += [unique]  # the last line has no end
            unique += 1
            offsets.append(len(tokens))
        firsts.append(len(offsets) - 1)
    kinds = [TEXT] * unique
    kinds[OPENING] = DELIMITER
    lexicon = Lexicon(np.arange(unique) == LINE_END, kinds, [0] * unique)
    shard = Shard(np.array(tokens, np.uint32), np.array(offsets), "", "", packages=np.array(firsts))
    return open_neighbours(shard, lexicon, context)


def runs_of(where: Neighbours, document: int) -> list[list[int]]:
    """The lines of a document, their ends included."""
    tokens = where.shard.tokens[where.shard.offsets[document] : where.shard.offsets[document + 1]]
    return [part.tolist() for part in np.split(tokens, np.flatnonzero(tokens == LINE_END) + 1)]


@given(packages, st.integers(SHORTEST, 160), st.integers(0, 3))
def test_a_row_is_a_piece_of_a_neighbour_a_header_and_the_block(
    parts: list[list[tuple[bool, list[int]]]], context: int, seed: int
) -> None:
    where = build(parts, context)
    blocks = where.blocks()
    for start, length in zip(blocks.starts.tolist(), blocks.lengths.tolist(), strict=True):
        row = where.text(start, length, rng_for(seed, start)).tolist()
        assert len(row) <= context - SPAN_COST or len(row) == length
        document = int(np.searchsorted(where.shard.offsets, start, side="right")) - 1
        package = next(p for p in range(len(parts)) if document < where.packages[p + 1])
        first = int(where.shard.offsets[document])
        block = where.shard.tokens[start : start + length].tolist()
        before = row[: len(row) - length]
        assert row[len(before) :] == block
        # What stands before the block in its line.
        line = where.shard.tokens[first:start].tolist()
        line = line[len(line) - line[::-1].index(LINE_END) if LINE_END in line else 0 :]
        if start > first and len(line) < context // SLACK and LINE_END in where.shard.tokens[first:start]:
            assert before[len(before) - len(line) :] == line
            before = before[: len(before) - len(line)]
        header = runs_of(where, document)[0]
        if start > first and header[0] == OPENING and len(header) <= context // SLACK:
            assert before[len(before) - len(header) :] == header
            before = before[: len(before) - len(header)]
        if before:
            assert context // QUARTER >= SHORTEST
            assert len(before) <= context // QUARTER
            assert_is_a_piece(
                where, before, [d for d in range(*where.packages[package : package + 2]) if d != document]
            )


def assert_is_a_piece(where: Neighbours, piece: list[int], candidates: list[int]) -> None:
    """One of the candidates has its lines, one after the other, behind its header if that is short enough."""
    for document in candidates:
        header, *lines = runs_of(where, document)[:-1] or [[]]
        if not (header[:1] == [OPENING] and len(header) <= where.context // SLACK):
            header = []
        for first in range(len(lines)):
            for end in range(first + 1, len(lines) + 1):
                if piece == [*header, *chain.from_iterable(lines[first:end])]:
                    return
    pytest.fail(f"{piece} is no piece of {candidates}")


def test_near_files_come_more_often_and_all_come() -> None:
    where, times = build([[(True, [3] * 9)], [(True, [3] * 9)] * 6, [(True, [3] * 9)]], 128), 4000
    rng = np.random.default_rng(0)
    met = Counter(where._neighbour(2, rng) for _ in range(times))
    assert set(met) == {1, 3, 4, 5, 6}
    assert (met[1] + met[3]) / times == pytest.approx(NEARER, abs=0.05)
    assert met[1] > met[4]
    assert where._neighbour(0, rng) is None


def test_a_piece_begins_at_the_top_or_anywhere_and_rows_are_full() -> None:
    context = 256
    where = build([[(True, [7] * 200)] * 3], context)
    block = where.blocks()
    rows = [where.text(int(block.starts[1]), int(block.lengths[1]), rng_for(1, i)).tolist() for i in range(400)]
    begins = Counter(row[9] for row in rows)
    tops = [runs_of(where, document)[1][0] for document in (1, 2)]
    assert sum(begins[top] for top in tops) / len(rows) == pytest.approx(TOP, abs=0.08)
    assert len(begins) > 100
    assert min(map(len, rows)) > 0.93 * context


# --- samples -----------------------------------------------------------------------------------------------------

CONTEXT = 256


@pytest.fixture(scope="module")
def shard(tokenizer: Tokenizer, tmp_path_factory: pytest.TempPathFactory) -> Shard:
    """Three packages of seven files; each word says which package it is from."""
    folder = tmp_path_factory.mktemp("packages") / "train"
    texts = [
        (package, "".join(f"    {package}{n} = {i}\n" for i in range(5 * n + 5))) for package in "abc" for n in range(7)
    ]
    write_shard(folder, [Attributed(text, {"ext": ".py"}, package) for package, text in texts], tokenizer)
    return open_shard(folder)


def make(shard: Shard, tokenizer: Tokenizer, **options: object) -> Samples:
    settings = {"context": CONTEXT, "batch_size": 4, "seed": 1, "spans": SpanDistribution(), "editor_share": 0.5}
    return Samples(shard, tokenizer, **(settings | {"rows": "neighbours"} | options))  # pyright: ignore[reportArgumentType]


def test_no_row_crosses_a_package(shard: Shard, tokenizer: Tokenizer) -> None:
    samples = make(shard, tokenizer, editor=EditorSpans(truncate_right=0))
    several = 0
    for i in range(2 * samples.epoch_samples):
        (row,) = samples.row(i)
        assert len(row) <= CONTEXT
        text = tokenizer.decode(unmask(row.tolist(), samples.sentinels)[0])
        names = {line.split()[0] for line in text.splitlines() if "=" in line and not line.startswith("<|")}
        assert len({name[0] for name in names}) == 1
        several += len({name[:2] for name in names if len(name) > 1}) > 1
    assert several > samples.epoch_samples


def test_a_sample_is_the_same_whoever_asks_and_another_in_the_next_epoch(shard: Shard, tokenizer: Tokenizer) -> None:
    one, other = make(shard, tokenizer), make(shard, tokenizer)
    count = 2 * one.epoch_samples
    forwards = [one.row(i)[0].tolist() for i in range(count)]
    assert [other.row(i)[0].tolist() for i in reversed(range(count))] == forwards[::-1]
    documents = [tuple(unmask(row, one.sentinels)[0]) for row in forwards]
    assert len(set(documents)) > 1.5 * one.epoch_samples  # blocks that come again stand behind other pieces


def test_a_run_goes_on_with_the_same_packages_only(shard: Shard, tokenizer: Tokenizer) -> None:
    state = make(shard, tokenizer).state(8)
    make(shard, tokenizer).check(state)
    with pytest.raises(UserError, match="changed since the run was started"):
        make(replace(shard, packages=np.array([0, 21])), tokenizer).check(state)
    with pytest.raises(UserError, match="what decides the order of samples changed"):
        make(shard, tokenizer, rows="blocks").check(make(shard, tokenizer, rows="neighbours").state(8))


def test_a_shard_that_knows_no_packages(shard: Shard, tokenizer: Tokenizer) -> None:
    old = replace(shard, packages=None, name="old/train")
    make(old, tokenizer, rows="blocks")
    with pytest.raises(UserError, match=r"old/train does not say .* make the shard again with `incoder data shard`"):
        make(old, tokenizer)


def test_the_holes_of_an_editor_lie_in_one_file(shard: Shard, tokenizer: Tokenizer) -> None:
    samples = make(shard, tokenizer, editor_share=1.0)
    holes = 0
    for i in range(samples.epoch_samples):
        document, spans = unmask(samples.row(i)[0].tolist(), samples.sentinels)
        for start, end in spans:
            holes += 1
            assert "<|" not in tokenizer.decode(document[start:end])
    assert holes > 0.9 * samples.epoch_samples


def test_files_of_real_size(data_directory: Path, tokenizer: Tokenizer) -> None:
    """Documents that were written without a package stand alone, so a row is a header and a block."""
    samples = make(open_shard(data_directory / "train"), tokenizer, context=512, editor=EditorSpans(truncate_right=0))
    for i in range(40):
        text = tokenizer.decode(unmask(samples.row(i)[0].tolist(), samples.sentinels)[0])
        assert text.startswith("<| file")
        assert text.count("<| file") == 1
