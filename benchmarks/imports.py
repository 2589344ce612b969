"""How often is the import right that is written for a name? Names are taken out of import statements of installed packages, and the
other files of the package are asked for them.

    python benchmarks/imports.py [PACKAGE...]

Printed is, for shares of the files that must agree on what a name is, how many of the names that were taken out get an import, and
how many of those are the one that was there: for every other package of the list, on which the share in `importing/index.py` is
chosen, and for the others, which judge it.
"""

from __future__ import annotations

import argparse
import sysconfig
from collections import Counter
from pathlib import Path

from incoder_lsp.importing import index
from incoder_lsp.importing.index import File, index_of
from incoder_lsp.importing.unresolved import unresolved

PACKAGES = (
    "attr", "fsspec", "hypothesis", "importlinter", "jinja2", "markdown_it", "networkx", "pre_commit", "pygls", "pygments",
    "_pytest", "rich", "setuptools", "starlette", "typer", "urllib3", "uvicorn", "virtualenv", "werkzeug", "xdist",
)  # fmt: skip
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


def without_imports(file: File, text: str) -> list[index.Import]:
    """The imports whose names the file uses, in code that parses."""
    lines = [line for line in text.split("\n") if not line.startswith(("import ", "from "))]
    names = unresolved("\n".join(lines))
    return sorted((one for one in file.imports if one.binds in names), key=lambda one: one.line)


if __name__ == "__main__":
    main()
