"""All settings as people and editors read them: a table for the terminal, JSON for an editor's client, a page of the manual."""

from __future__ import annotations

import json
from dataclasses import Field
from typing import Any

from incoder_lsp.settings import FIELDS
from incoder_lsp.settings_files import NOT_FOR_WORKSPACES, QUIETER, WORKSPACE_FILE, user_file

INTRODUCTION = f"""\
# Settings

Every setting, by its name in editors and files. This page is what `incoder-lsp settings --markdown` prints.

Where they can be set, each place over those before it:

1. your own file: `$XDG_CONFIG_HOME/incoder/config.toml`, by default `~/.config/incoder/config.toml`
   (`~/Library/Application Support/incoder/config.toml` on a Mac, `%APPDATA%\\incoder\\config.toml` on Windows);
2. your editor, under the name `incoder`: as options when it starts the server, when the server asks (for each workspace folder), or
   when it tells the server;
3. `{WORKSPACE_FILE}` in a workspace folder, for the files below it.

A file holds lines such as `maxTokens = 32`, alone or under `[incoder]`. It is read again when it has changed. A value that cannot
be taken changes nothing, and the editor's log has a sentence about it.

`{WORKSPACE_FILE}` may have come with somebody else's code. So it may not set {{refused}}, and it can only make less of what you
allow by {{quieter}}.
"""


def by_group() -> list[dict[str, Any]]:
    """`[{group, settings: [{name, type, enum, minimum, maximum, items, default, description}]}]`, as far as a setting has them;
    type to items are JSON schema, the description is Markdown."""
    return [
        {"group": group, "settings": [_described(name, item) for name, item in found]}
        for group, found in _groups().items()
    ]


def as_json() -> str:
    return json.dumps(by_group(), indent=2, ensure_ascii=False)


def as_markdown() -> str:
    names = {item.name: name for name, item in FIELDS.items()}
    refused = _listed([f"`{name}`" for name in NOT_FOR_WORKSPACES], "or")
    lines = [INTRODUCTION.format(refused=refused, quieter=_listed([f"`{names[name]}`" for name in QUIETER], "and"))]
    for group, found in _groups().items():
        lines += [f"## {group}", "", "| setting | takes | default | |", "|---|---|---|---|"]
        for name, item in found:
            cells = (f"`{name}`", item.metadata["kind"].accepts, f"`{_default(item)}`", item.metadata["help"])
            lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
        lines.append("")
    return "\n".join(lines)


def show() -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table("Setting", "Takes", "Default", "What it does", box=None, pad_edge=False)
    for group, found in _groups().items():
        table.add_row(f"[bold]{group}[/]")
        for name, item in found:
            texts = (name, item.metadata["kind"].accepts, _default(item), item.metadata["help"])
            table.add_row(*map(escape, texts))
    console = Console()
    console.print(table)
    console.print(f"\nYour own are in {escape(str(user_file()))}, a workspace's in {WORKSPACE_FILE} in its folder.")


def _groups() -> dict[str, list[tuple[str, Field[Any]]]]:
    groups: dict[str, list[tuple[str, Field[Any]]]] = {}
    for name, item in FIELDS.items():
        groups.setdefault(item.metadata["group"], []).append((name, item))
    return groups


def _described(name: str, item: Field[Any]) -> dict[str, Any]:
    default = list(item.default) if isinstance(item.default, tuple) else item.default
    return {"name": name, **item.metadata["kind"].schema, "default": default, "description": item.metadata["help"]}


def _default(item: Field[Any]) -> str:
    return json.dumps(item.default, ensure_ascii=False)


def _listed(words: list[str], link: str) -> str:
    return f"{', '.join(words[:-1])} {link} {words[-1]}"
