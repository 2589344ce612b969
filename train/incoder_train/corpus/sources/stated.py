"""What a project says of its own licence, in the files that each language's packages carry: the text of a file comes in, an
SPDX expression comes out, empty where nothing can be told."""

import json
import re
import sys
from collections.abc import Mapping
from email.message import Message
from email.parser import HeaderParser
from typing import Any

from incoder_train.corpus.licence import all_of, normalised, recognised

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # pyright: ignore[reportMissingImports]

LICENCE_FILE = re.compile(r"(?:licen[cs]e|copying|unlicense)(?:[.-].*)?", re.IGNORECASE)


def core_metadata_licence(text: str) -> str:
    """METADATA of a wheel, PKG-INFO of an sdist: the `License-Expression`, else the `License` line, else the classifiers."""
    metadata: Message = HeaderParser().parsestr(text)
    if expression := metadata.get("License-Expression"):
        return normalised(expression)
    line = (metadata.get("License") or "").strip()
    classifiers = [value for value in metadata.get_all("Classifier", []) if value.startswith("License :: ")]
    # A licence pasted in full cannot be compared with anything; the classifiers then speak.
    stated = [line] if line and "\n" not in line else [value.removeprefix("License :: ") for value in classifiers]
    return all_of(map(normalised, stated)) if stated else ""


def package_json_licence(text: str) -> str:
    """The `license` of an npm package, or the older `{"type": ...}` and `licenses`, all of which then count."""
    try:
        package = json.loads(text)
    except ValueError:
        return ""
    if not isinstance(package, dict):
        return ""
    stated = package.get("license") or package.get("licenses") or []
    entries = stated if isinstance(stated, list) else [stated]
    names = [entry.get("type") if isinstance(entry, dict) else entry for entry in entries]
    return all_of(normalised(str(name)) for name in names) if names else ""


def pyproject_licence(text: str) -> str:
    """The `license` of [project]: an expression, or the older `{text = ...}`, a name or the whole licence."""
    try:
        project: dict[str, Any] = tomllib.loads(text).get("project", {})
    except ValueError:
        return ""
    stated = project.get("license", "") if isinstance(project, dict) else ""
    stated = stated.get("text", "") if isinstance(stated, dict) else stated
    if not isinstance(stated, str):
        return ""
    return recognised(stated) if "\n" in stated.strip() else normalised(stated)


def project_licence(files: Mapping[str, str]) -> str:
    """The licence of a folder with these files at its top (name -> text). Where there are LICENSE files they decide, and
    every one of them must be recognised; else pyproject.toml or package.json speaks."""
    texts = [text for name, text in sorted(files.items()) if LICENCE_FILE.fullmatch(name)]
    if texts:
        found = [recognised(text) for text in texts]
        return all_of(found) if all(found) else ""
    if "pyproject.toml" in files:
        return pyproject_licence(files["pyproject.toml"])
    return package_json_licence(files["package.json"]) if "package.json" in files else ""


def is_licence_source(name: str) -> bool:
    """Is a file at the top of a project one that `project_licence` wants to see?"""
    return bool(LICENCE_FILE.fullmatch(name)) or name in ("pyproject.toml", "package.json")
