"""The card of a bundled model: what is known of it goes in, MODEL_CARD.md comes out. Every number in it is one of those that
came in; what is not known is said to be unknown.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import Any

from incoder_model.config import ModelConfig
from incoder_train.corpus.manifest import HELD_OUT
from incoder_train.corpus.options import DEFAULTS
from incoder_train.scores import Score, lost, table, tables
from incoder_train.training.recipe import shipped

Origin = Mapping[str, Any]  # what provenance.json holds
UNKNOWN = "not recorded"


def write_card(origin: Origin, config: ModelConfig, scores: Sequence[Score]) -> str:
    """The whole card, in Markdown."""
    sections = (
        (f"# {name_of(origin)}", about(origin, config)),
        ("## Intended use", [USE]),
        ("## Limits", [limits(origin, config)]),
        ("## Data", data(origin)),
        ("## Training", training(origin)),
        ("## Scores", tables(scores) if scores else [NO_SCORES]),
        ("## Quantisation", quantisation(origin["weights"], scores)),
        ("## Licence", [LICENCE]),
        ("## How to reproduce it", reproduce(origin, config)),
        ("## How to check it", [CHECK]),
    )
    return "\n\n".join(part.strip() for title, parts in sections for part in (title, *parts)) + "\n"


def name_of(origin: Origin) -> str:
    """That of the run; of a model without one, that of its folder."""
    return str(origin.get("recipe", {}).get("name", origin["checkpoint"]))


# --- what it is, and for what -------------------------------------------------------------------------------------

ABOUT = """\
A language model that fills holes in source code: it reads what stands to the left and to the right of one, and writes what belongs
between. It has the architecture and the training objective of InCoder (Fried et al. 2022, arXiv:2204.05999), was trained from the
beginning by this project, and shares no weights with the released InCoder models."""

USE = """\
Completing code in an editor, on the machine in front of you, while you read what is suggested: `incoder-lsp serve`. Filling holes
of a file: `incoder infill`. A starting point for adaptation to a repository: `incoder train finetune-repo`. Research on small
models that fill holes.

It is not made for code that nobody reads before it runs, for conversation, for instructions in natural language, or for decisions
about people or security."""

LIMITS = """\
- With {parameters:,} parameters it is small, and often wrong: it invents names, calls functions that do not exist, and loses the
  thread of longer holes. The scores below say how often.
- It sees at most {context:,} tokens. What stands further from the hole does not exist for it.
- It learned from files that end in: {languages}. In other languages it guesses.
- It knows libraries as they were in the versions of its corpus.
- It may repeat passages of its training data word for word. Nothing checks that; licences of what you keep are yours to check.
- {traces} stand in what it learned from as they were published.
- Nobody tested it for insecure code. It learned from code as people publish it, mistakes included."""


def about(origin: Origin, config: ModelConfig) -> Iterator[str]:
    yield ABOUT
    yield table(
        ("", ""),
        [
            ("parameters", f"{config.parameters:,}"),
            ("layers, width, heads", f"{config.layers}, {config.d_model}, {config.heads}"),
            ("context", f"{config.context:,} tokens"),
            ("vocabulary", f"{config.vocab_size:,} ids"),
            ("weights", f"{origin['weights']['dtype']}, {origin['weights']['bytes']:,} bytes"),
            ("licence", "Apache-2.0"),
        ],
    )


def limits(origin: Origin, config: ModelConfig) -> str:
    redacted = origin.get("corpus", {}).get("options", {}).get("redact", False)
    return LIMITS.format(
        parameters=config.parameters,
        context=config.context,
        languages=", ".join(name for name, *_ in languages_of(origin)) or UNKNOWN,
        traces="Names and other traces of people (not e-mail addresses, which a pattern replaced)"
        if redacted
        else "Names, addresses and other traces of people",
    )


# --- where it comes from ------------------------------------------------------------------------------------------

CORPUS = """\
{documents:,} files of source code, {bytes:,} bytes, from {archives:,} pinned archives whose own licence files allow it. Name,
version, licence and SHA-256 of each archive stand in `provenance.json`; the content of the corpus has the SHA-256
`{sha256}`. The benchmarks were {kept} out of it."""

HOLD_OUT = """\
Held out of it for the loss below: {documents:,} files, {bytes:,} bytes. Held out as whole packages, for the scores: {packages}."""


def data(origin: Origin) -> Iterator[str]:
    corpus = origin.get("corpus")
    if corpus is None:
        yield f"The corpus is {UNKNOWN}."
        return
    archives = corpus["archives"]
    yield CORPUS.format(
        documents=corpus["documents"],
        bytes=corpus["bytes"],
        archives=len(archives),
        sha256=corpus["content_sha256"],
        kept="kept" if decontaminated(corpus) else "NOT kept",
    )
    yield table(
        ("licence", "archives", "files", "bytes"),
        (
            (licence, f"{len(group):,}", *(f"{sum(one[key] for one in group):,}" for key in ("documents", "bytes")))
            for licence, group in by_licence(archives)
        ),
    )
    yield table(
        ("files that end in", "files", "bytes", "share"),
        (
            (name, f"{files:,}", f"{size:,}", f"{100 * size / corpus['bytes']:.1f} %")
            for name, files, size in languages_of(origin)
        ),
    )
    yield table(
        ("stage", "files in", "files out", "bytes out"),
        (
            (stage["name"], *(f"{stage[key]:,}" for key in ("documents_in", "documents_out", "bytes_out")))
            for stage in corpus["stages"]
        ),
    )
    packages = ", ".join(sorted(HELD_OUT - {one["name"] for one in archives}))
    yield HOLD_OUT.format(**corpus["splits"]["validation"], packages=packages)


def training(origin: Origin) -> Iterator[str]:
    recipe = origin.get("recipe")
    if recipe is None:
        yield f"How the checkpoint `{origin['checkpoint']}` was trained is {UNKNOWN}."
        return
    yield (
        f"The recipe `{recipe['name']}`, checkpoint `{origin['checkpoint']}`; every value of it stands in `provenance.json`."
    )
    last: dict[str, float] = {key: value for line in origin["last_metrics"] for key, value in line.items()}
    optimiser, warmup = recipe["optimiser"], f"{recipe['optimiser']['warmup_steps']:,} updates of warm-up"
    yield table(
        ("", ""),
        [
            (
                "begun from",
                f"`{recipe['init']}`: what follows is what was added" if recipe["init"] else "random weights",
            ),
            ("updates", shown(last, "step", ",.0f")),
            ("tokens", shown(last, "tokens", ",.0f")),
            ("hours", shown(last, "seconds", ",.2f", factor=1 / 3600)),
            ("hardware", origin.get("hardware", UNKNOWN)),
            ("optimiser", f"{optimiser['kind']}, learning rate {optimiser['lr']:g}, {warmup}"),
            ("batch", f"{recipe['run']['batch_size']:,} rows of at most {recipe['data']['context']:,} tokens"),
            ("training loss at the end", shown(last, "loss", ".3f", unit=" nats per token")),
            ("held-out loss", shown(last, "validation_loss", ".3f", unit=" nats per token")),
            ("held-out bits per byte", shown(last, "bits_per_byte", ".3f")),
        ],
    )


# --- how good it is -----------------------------------------------------------------------------------------------

NO_SCORES = """\
None were given when this bundle was made. `incoder eval heldout --model DIR --json FILE` measures one; `incoder bundle` with
`--scores FILE` puts it here."""

STORED = {
    "int8": """\
Matrices, the embedding included, are whole numbers from -127 to 127 and a float32 scale for each row (output channel): symmetric
around 0, the scale being the largest weight of the row divided by 127. Biases and norms are float32.""",
    "bf16": "All weights are stored in bf16.",
}

FIDELITY = """\
Beside the checkpoint, on {tokens:,} tokens of Python's standard library: logits differ by {logit_difference:.4g} on average, the KL
divergence is {divergence:.3g} nats per token, the likeliest next token is the same for {same_choice:.2%} of them, and the
loss goes from {loss:.4f} to {loss_of_copy:.4f} nats per token."""


def quantisation(weights: Mapping[str, Any], scores: Sequence[Score]) -> Iterator[str]:
    yield STORED[weights["dtype"]]
    yield FIDELITY.format(**weights["fidelity"])
    points = [(task, method, name, f"{loss:+.2f}") for task, method, name, loss in lost(scores)]
    if points:
        yield table(("task", "method", "measure", "points lost"), points)


# --- how to use, repeat and check it ------------------------------------------------------------------------------

LICENCE = """\
The weights are licensed under Apache-2.0, like the project. They were learned from files under the licences listed above; a file
that states another licence than an allowed one was left out."""

REPRODUCE = """\
```sh
incoder data build train/incoder_train/recipes/{corpus}.manifest.toml --out {folder} {build}
incoder tokenizer train {folder} --out {tokenizer} --vocab-size {vocab_size}
incoder data shard {folder} --tokenizer {tokenizer}
incoder train {recipe} --out {run}
incoder bundle {run}/{checkpoint} --corpus {folder} --dtype {dtype}
```

BENCHMARKS is the folder of the files that must stay out of a corpus. The corpus is this one if it has the content hash above, the
vocabulary if `tokenizer.json` has the hash in `SHA256SUMS`."""

MINUTES = """\
The budget is {minutes:g} minutes of training, in which another machine makes more or fewer updates: expect a model like this one,
not the same bytes."""

CHECK = """\
```sh
sha256sum -c SHA256SUMS
```

Weights are read from safetensors only, so that opening this folder runs no code of it."""


def reproduce(origin: Origin, config: ModelConfig) -> Iterator[str]:
    recipe, corpus = origin.get("recipe"), origin.get("corpus")
    if recipe is None or corpus is None:
        yield f"The commands would need the recipe of the run and the corpus, which are {UNKNOWN}."
        return
    changed = {key: value for key, value in corpus["options"].items() if value != DEFAULTS[key]}
    options = [f"--option {key}={str(value).lower()}" for key, value in changed.items()]
    name, minutes = recipe["name"], recipe["run"]["minutes"]
    yield REPRODUCE.format(
        corpus=corpus["name"],
        folder=PurePath(recipe["data"]["tokenizer"]).parent,
        build=" ".join(
            ["--benchmarks BENCHMARKS" if decontaminated(corpus) else "--without-decontamination", *options]
        ),
        tokenizer=recipe["data"]["tokenizer"],
        vocab_size=config.vocab_size,
        recipe=name if name in shipped() else f"{name}.toml",
        run=f"runs/{name}",
        checkpoint=origin["checkpoint"],
        dtype=origin["weights"]["dtype"],
    )
    if recipe["init"]:
        yield f"The run begins from `{recipe['init']}`, weights of an earlier run, which is to be made first."
    if minutes is not None:
        yield MINUTES.format(minutes=minutes)


# --- parts --------------------------------------------------------------------------------------------------------


def decontaminated(corpus: Mapping[str, Any]) -> bool:
    return any(stage["name"] == "decontaminate" for stage in corpus["stages"])


def by_licence(archives: Iterable[Mapping[str, Any]]) -> list[tuple[str, list[Mapping[str, Any]]]]:
    """The archives of each licence, the licence with most bytes first."""
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for archive in archives:
        groups.setdefault(archive["licence"], []).append(archive)
    return sorted(groups.items(), key=lambda item: -sum(one["bytes"] for one in item[1]))


def languages_of(origin: Origin) -> list[tuple[str, int, int]]:
    """(ending, files, bytes) of what the corpus kept, the largest first."""
    languages = origin.get("corpus", {}).get("languages", {})
    found = [(name, of["kept"]["documents"], of["kept"]["bytes"]) for name, of in languages.items()]
    return sorted((one for one in found if one[1]), key=lambda one: -one[2])


def shown(values: Mapping[str, float], key: str, form: str, *, factor: float = 1, unit: str = "") -> str:
    return f"{values[key] * factor:{form}}{unit}" if key in values else UNKNOWN
