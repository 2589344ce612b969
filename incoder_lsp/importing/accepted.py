"""After a suggestion was accepted: what it uses and nobody has imported is imported.

incoder.accepted   {uri, names}: the suggestion's item carries it, and the editor runs it when the text is in the document

The document is looked at as it is then. A name that has come from somewhere meanwhile is left alone, and so is a file that no
longer parses with the new line where it did before.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from lsprotocol import types
from pygls.uris import to_fs_path

from incoder_lsp.actions.action import Edit, applied
from incoder_lsp.actions.edits import workspace_edit
from incoder_lsp.actions.running import Session as Actions
from incoder_lsp.actions.running import encoding_of, view_of
from incoder_lsp.actions.source import parse
from incoder_lsp.configuration import Configuration
from incoder_lsp.documents import Document
from incoder_lsp.importing.placing import edit_for
from incoder_lsp.importing.statements import Import
from incoder_lsp.importing.unresolved import unresolved
from incoder_lsp.importing.workspace import Importable, Workspace

ACCEPTED = "incoder.accepted"
TRIES = 3  # the user may type on while we think


class Session(Actions):
    """What it needs of the server; only its types."""

    importing: Workspace


class Files(Protocol):
    """The part of it that knows what a file may import."""

    documents: dict[str, Document]
    configuration: Configuration
    importing: Workspace

    @property
    def client_capabilities(self) -> types.ClientCapabilities: ...


def importable(ls: Files, uri: str) -> Importable | None:
    """What a document may import; None where it is nothing or the editor makes no edits for us."""
    path, workspace = _path(uri), ls.client_capabilities.workspace
    settings = ls.configuration.settings_of(uri)
    if path is None or not (settings.completion_imports and workspace and workspace.apply_edit):
        return None

    def opened() -> dict[Path, str]:
        return {place: document.text for one, document in ls.documents.items() if (place := _path(one))}

    return ls.importing.importable(path, ls.configuration.paths.values(), opened)


def command_for(uri: str, names: Sequence[str]) -> types.Command | None:
    """What the editor runs after it has inserted a suggestion that needs `names`."""
    title = f"Import {', '.join(names)}"
    return types.Command(title, ACCEPTED, arguments=[{"uri": uri, "names": [*names]}]) if names else None


async def accepted(ls: Session, *arguments: Any) -> None:
    for data in arguments[:1]:
        uri, names = str(data["uri"]), [str(name) for name in data["names"]]
        for _ in range(TRIES):
            edit = _edit(ls, uri, names)
            if edit is None:
                return
            answer = await ls.workspace_apply_edit_async(types.ApplyWorkspaceEditParams(edit, label="InCoder: import"))
            if answer.applied:
                return


def _edit(ls: Session, uri: str, names: Sequence[str]) -> types.WorkspaceEdit | None:
    view, known, path = view_of(ls, uri, []), importable(ls, uri), _path(uri)
    if view is None or known is None or path is None:
        return None
    missing = unresolved(view.text)
    wanted = [one for name in names if name in missing and (one := known.import_of(name))]
    edits = edits_for(view.text, wanted, ls.importing.own(path))
    if not edits:
        return None
    eol, encoding, capabilities = ls.documents[uri].eol, encoding_of(ls), ls.client_capabilities
    return workspace_edit(view, edits, eol=eol, encoding=encoding, confirm=False, capabilities=capabilities)


def edits_for(text: str, wanted: Sequence[Import], own: frozenset[str]) -> tuple[Edit, ...]:
    """All of them, or none where the names would still come from nowhere or the text would no longer parse."""
    found = (edit for one in wanted if parse(one.line) and (edit := edit_for(text, one, own)))
    edits = tuple(sorted(found, key=lambda edit: edit.start))
    after = applied(text, edits)
    if not edits or unresolved(after) & {one.binds for one in wanted}:
        return ()
    return edits if parse(text) is None or parse(after) is not None else ()


def _path(uri: str) -> Path | None:
    path = to_fs_path(uri) if uri.startswith("file:") else None
    return Path(path) if path else None


COMMANDS = {ACCEPTED: accepted}
