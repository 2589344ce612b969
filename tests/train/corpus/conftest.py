"""Small wheels in a cache folder, and manifests that list them."""

import hashlib
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from incoder_train.corpus.manifest import Archive

SOURCE = """def area_{i:04}(width, height):
    \"\"\"The area of rectangle number {i:04}; questions to author{i:04}@site{i:04}.org.\"\"\"
    if width < 0 or height < 0:
        raise ValueError("sides of rectangle {i:04} must not be negative")
    return width * height
"""


@pytest.fixture
def source() -> Callable[[int], str]:
    return lambda i: SOURCE.format(i=i)


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def make_wheel(cache: Path) -> Callable[..., Archive]:
    def make(name: str, files: dict[str, str], metadata: str = "License-Expression: MIT") -> Archive:
        cache.mkdir(exist_ok=True)
        path = cache / f"{name}-1.0-py3-none-any.whl"
        with zipfile.ZipFile(path, "w") as wheel:
            for inner, text in files.items():
                wheel.writestr(zipfile.ZipInfo(inner), text)
            wheel.writestr(
                zipfile.ZipInfo(f"{name}-1.0.dist-info/METADATA"), f"Name: {name}\n{metadata}\n\nAbout it.\n"
            )
        return Archive(name, "1.0", "MIT", path.name, hashlib.sha256(path.read_bytes()).hexdigest())

    return make


@pytest.fixture
def write_manifest(tmp_path: Path) -> Callable[..., Path]:
    def write(name: str, archives: list[Archive], **options: object) -> Path:
        lines = ['name = "tiny"', 'extensions = [".py"]', "tests_share = 0.25"]
        lines += ["[options]", *(f"{key} = {json.dumps(value)}" for key, value in options.items())]
        for archive in archives:
            lines += ["[[archive]]", *(f"{key} = {json.dumps(value)}" for key, value in vars(archive).items())]
        path = tmp_path / f"{name}.toml"
        path.write_text("\n".join(lines))
        return path

    return write


@pytest.fixture
def archives(make_wheel: Callable[..., Archive]) -> list[Archive]:
    """Two, with copies within one and across both."""
    one = {f"one/area_{i}.py": SOURCE.format(i=i) for i in range(150)}
    one |= {"one/copy.py": SOURCE.format(i=0).replace("\n", "\n\n"), "one/empty.py": "", "one/data.json": "{}"}
    one |= {f"one/tests/test_{i}.py": SOURCE.format(i=1000 + i) for i in range(150)}
    two = {f"two/area_{i}.py": SOURCE.format(i=2000 + i) for i in range(50)}
    two |= {"two/copy.py": SOURCE.format(i=0).replace(" ", "  ")}
    return [make_wheel("one", one), make_wheel("two", two)]


@pytest.fixture
def manifest(archives: list[Archive], write_manifest: Callable[..., Path]) -> Path:
    return write_manifest("tiny", archives, partitions=2)
