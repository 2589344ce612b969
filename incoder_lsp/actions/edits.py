"""Between a Source and the protocol: positions to offsets, and an Outcome to one WorkspaceEdit, as far as the editor knows it."""

from __future__ import annotations

from lsprotocol import types

from incoder_lsp.actions.action import Edit, View
from incoder_lsp.actions.source import Range, Source
from incoder_lsp.documents import Encoding, code_points, code_units


def offset_at(source: Source, position: types.Position, encoding: Encoding) -> int:
    """What lies outside the text is moved to its nearest end."""
    if position.line >= len(source.starts):
        return len(source.text)
    return source.starts[position.line] + code_points(source.line(position.line), position.character, encoding)


def position_at(source: Source, offset: int, encoding: Encoding) -> types.Position:
    line = source.line_of(offset)
    return types.Position(line, code_units(source.text[source.starts[line] : offset], encoding))


def range_at(source: Source, range_: types.Range, encoding: Encoding) -> Range:
    start, end = (offset_at(source, position, encoding) for position in (range_.start, range_.end))
    return min(start, end), max(start, end)


def text_edit(source: Source, edit: Edit, eol: str, encoding: Encoding) -> types.TextEdit:
    places = (position_at(source, place, encoding) for place in (edit.start, edit.end))
    return types.TextEdit(types.Range(*places), edit.text.replace("\n", eol))


def workspace_edit(
    view: View,
    edits: tuple[Edit, ...],
    *,
    eol: str,
    encoding: Encoding,
    confirm: bool,
    capabilities: types.ClientCapabilities,
) -> types.WorkspaceEdit:
    """One edit of one version of one document, line ends as in the file; each part annotated where the editor shows that."""
    plain = [text_edit(view.source, edit, eol, encoding) for edit in edits]
    known = capabilities.workspace and capabilities.workspace.workspace_edit
    if not known or not known.document_changes:
        return types.WorkspaceEdit(changes={view.uri: plain})
    document = types.OptionalVersionedTextDocumentIdentifier(uri=view.uri, version=view.version)
    if not known.change_annotation_support:
        return types.WorkspaceEdit(document_changes=[types.TextDocumentEdit(document, plain)])
    labels = list(dict.fromkeys(edit.label for edit in edits))
    annotations = {
        f"incoder-{n}": types.ChangeAnnotation(
            label, needs_confirmation=confirm and len(edits) > 1, description="InCoder"
        )
        for n, label in enumerate(labels)
    }
    annotated = [
        types.AnnotatedTextEdit(f"incoder-{labels.index(edit.label)}", one.range, one.new_text)
        for edit, one in zip(edits, plain, strict=True)
    ]
    return types.WorkspaceEdit(
        document_changes=[types.TextDocumentEdit(document, annotated)], change_annotations=annotations
    )
