"""How often is the import right that is written for a name? Names are taken out of import statements of installed packages, and the
other files of the package are asked for them.

    python benchmarks/imports.py [--holes N] [PACKAGE...]

Printed is, for shares of the files that must agree on what a name is, how many of the names that were taken out get an import, and
how many of those are the one that was there: for every other package of the list, on which the share in `importing/index.py` is
chosen, and for the others, which judge it. With `--holes N` also how often the bundled model, asked where such a name stood in a
held-out file that no longer imports it, says something that needs an import, and whether that is the one that was there.
"""

from __future__ import annotations

import argparse
import random
import re
import sysconfig
from collections import Counter
from pathlib import Path

from incoder_lsp.filling import fill
from incoder_lsp.importing import index
from incoder_lsp.importing.index import File, index_of
from incoder_lsp.importing.unresolved import unresolved
from incoder_lsp.importing.workspace import Importable
from incoder_lsp.infiller import LocalModel
from incoder_lsp.question import Question
from incoder_lsp.settings import Settings
from incoder_model.loading import load_model
from incoder_train.evaluate.sources import load_sources

PACKAGES = (
    "attr", "fsspec", "hypothesis", "importlinter", "jinja2", "markdown_it", "networkx", "pre_commit", "pygls", "pygments",
    "_pytest", "rich", "setuptools", "starlette", "typer", "urllib3", "uvicorn", "virtualenv", "werkzeug", "xdist",
)  # fmt: skip
CHOSEN = index.AGREED
SHARES = (0.0, 0.5, 0.6, 0.75, 0.9, 1.0)
SMALL = 40  # files: of a larger package as many, so that none outweighs the others


def files_of(package: str) -> list[tuple[str, str]]:
    root = Path(sysconfig.get_path("purelib"))
    paths = sorted(path for path in (root / package).rglob("*.py") if "_vendor" not in path.parts)
    found = ((path.relative_to(root).as_posix(), path) for path in paths)
    return [(name, path.read_text(encoding="utf-8", errors="replace")) for name, path in found]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("packages", nargs="*", default=PACKAGES)
    parser.add_argument("--holes", type=int, default=0)
    options = parser.parse_args()
    for half, name in enumerate(("the share is chosen on", "the share is judged by")):
        packages = options.packages[half::2]
        print(f"\n## {name}: {', '.join(packages)}\n")
        asked, made, right = 0, Counter[float](), Counter[float]()
        for package in packages:
            read = [(file, text) for path, text in files_of(package) if (file := index.read(path, text)).place]
            known = index_of(file for file, _ in read)
            for file, text in read[:: max(1, len(read) // SMALL)]:
                missing = without_imports(file, text)
                asked += len(missing)
                for one in missing:
                    for share in SHARES:
                        index.AGREED = share
                        said = known.import_of(one.binds, file.place)
                        made[share] += said is not None
                        right[share] += said == one
        print(f"{asked} names were taken out\n")
        print("| files that agree | imports written | of those asked | right |\n| --- | --- | --- | --- |")
        for share in SHARES:
            print(
                f"| {share:.0%} | {made[share]} | {made[share] / max(1, asked):.1%} "
                f"| {right[share] / max(1, made[share]):.1%} |"
            )
    index.AGREED = CHOSEN
    if options.holes:
        with_model(options.holes)


def with_model(most: int) -> None:
    """The workspace of a held-out file is what there is of its package."""
    model, rng = LocalModel(load_model(None), "bundled"), random.Random(2022)
    packages: dict[str, list[tuple[File, str]]] = {}
    for source in load_sources():
        if source.lang == "python":
            packages.setdefault(source.package, []).append((index.read(source.path, source.text), source.text))
    holes = []
    for files in packages.values():
        known = index_of(file for file, _ in files)
        for file, text in files:
            for one in without_imports(file, text):
                rest = re.sub(rf"(?m)^(?:from|import)\b.*\b{one.binds}\b.*\n", "", text)
                found = re.search(rf"(?m)^[ \t]+[^#\"'\n]*?(?<![\w.])({one.binds})\b[^\n]*", rest)
                if found and one.binds not in rest[: found.start(1)]:
                    holes.append((rest[: found.start(1)], rest[found.end() :], file, one, known))
    said = made_up = needs = right = 0
    for left, below, file, one, known in rng.sample(holes, min(most, len(holes))):
        importable = Importable(known, file.place)
        path = f"{'/'.join(file.place)}.py"
        asked = Question("", path, left + below, len(left), "\n", False, Settings(), importable=importable)
        answer = fill(model, asked, lambda: False)
        said += answer.best is not None
        made_up += "no name in sight" in answer.why
        for name in answer.best.imports if answer.best else ():
            needs += 1
            right += name == one.binds and importable.import_of(name) == one
    print(
        f"\n{min(most, len(holes))} holes in held-out files: {said} suggestions, {made_up} dropped for names of nowhere;"
    )
    print(f"{needs} imports, {right} of them of the name that was there, as it was imported")


def without_imports(file: File, text: str) -> list[index.Import]:
    """The imports whose names the file uses, in code that parses."""
    lines = [line for line in text.split("\n") if not line.startswith(("import ", "from "))]
    names = unresolved("\n".join(lines))
    return sorted((one for one in file.imports if one.binds in names), key=lambda one: one.line)


if __name__ == "__main__":
    main()
