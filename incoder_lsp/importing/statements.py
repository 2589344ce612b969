"""What a Python file imports and defines at its top level: a text in, Imports and names out.

Nothing is parsed, as thousands of files are read; what is written into a file is parsed when it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_STATEMENT = re.compile(
    r"^(?:from[ \t]+([.\w]+)[ \t]+import[ \t]+(\([^)]*\)|[^\n(;\\]+)|import[ \t]+([^\n(;\\]+))", re.M
)
_DEFINITION = re.compile(
    r"^(?:(?:class|def|async[ \t]+def)[ \t]+([^\W\d_]\w*)|([A-Z][A-Z\d_]*)[ \t]*(?::[^\n=]+)?=(?!=))", re.M
)
_COMMENT = re.compile(r"#.*")
_ALIAS = re.compile(r"\s*([\w.]+)(?:\s+as\s+(\w+))?\s*\Z")


@dataclass(frozen=True)
class Import:
    """One name's part of an import statement. `name`: of the module; "" for the module itself."""

    module: str  # with its dots in front where it is relative
    name: str = ""
    alias: str = ""

    @property
    def binds(self) -> str:
        return self.alias or self.name or self.module

    @property
    def line(self) -> str:
        renamed = f" as {self.alias}" if self.alias else ""
        return f"from {self.module} import {self.name}{renamed}" if self.name else f"import {self.module}{renamed}"


def imports(text: str) -> Iterator[Import]:
    """Those of column 0. `import a.b` is left out: it binds `a`, and not for the sake of it."""
    for module, names, modules in _STATEMENT.findall(text):
        for part in _COMMENT.sub("", names or modules).strip("()").split(","):
            found = _ALIAS.fullmatch(part)
            if found and names:
                yield Import(module, found[1], found[2] or "")
            elif found and ("." not in found[1] or found[2]):
                yield Import(found[1], "", found[2] or "")


def definitions(text: str) -> set[str]:
    """Public classes, functions and constants."""
    return {name or constant for name, constant in _DEFINITION.findall(text)}
