"""Types that are missing as inlay hints, with how sure the model is of each; a double click writes one into the file.

Off by default. A function is asked about once for as long as neither it nor the imports of its file change, and only when the
user has stopped typing.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from lsprotocol import types

from incoder_lsp.actions.action import Stop, View
from incoder_lsp.actions.annotate import Hint, hints_of, imports, is_sure, moved
from incoder_lsp.actions.annotation import names_for
from incoder_lsp.actions.edits import position_at, text_edit
from incoder_lsp.actions.kept import Kept, Key
from incoder_lsp.actions.running import Session, Stale, encoding_of, found_once, view_of
from incoder_lsp.actions.source import Function
from incoder_lsp.logs import describe, log

if TYPE_CHECKING:
    from incoder_model.infill import Model

IDLE = 0.7  # seconds without a change before the model is asked


def kept() -> Kept[Hint]:
    return Kept(_key, moved)


async def inlay_hint(ls: Session, params: types.InlayHintParams) -> list[types.InlayHint] | None:
    """Those of the functions in sight; none where the file changes meanwhile, as then the editor asks again."""
    view = view_of(ls, params.text_document.uri, [params.range])
    if not (view and view.settings.enabled and view.settings.type_hints and ls.worker.ready):
        return None
    (start, end), found = view.ranges[0], []
    functions = [
        function for function in view.source.functions if function.range[0] <= end and start <= function.range[1]
    ]
    if any(ls.kept_hints.of(view, function) is None for function in functions):
        await asyncio.sleep(IDLE)
    try:
        for function in functions:
            found += [_shown(ls, view, hint) for hint in await _hints(ls, view, function)]
    except Stale:
        return None
    except Exception as error:
        log.error("no inlay hints because of %s", describe(error))
        return None
    return found


async def _hints(ls: Session, view: View, function: Function) -> list[Hint]:
    def find(model: Model, stop: Stop) -> list[Hint]:
        return [*filter(is_sure, hints_of(model, view, function, stop))]

    return await found_once(ls, view, function, ls.kept_hints, find)


def _shown(ls: Session, view: View, hint: Hint) -> types.InlayHint:
    edit, encoding = hint.edit, encoding_of(ls)
    return types.InlayHint(
        position_at(view.source, hint.place.offset, encoding),
        f"{hint.place.before}{hint.text}",
        kind=types.InlayHintKind.Type,
        text_edits=[text_edit(view.source, edit, "\n", encoding)],  # of one line
        tooltip=f"InCoder: {edit.label}",
    )


def _key(view: View, function: Function) -> Key:
    """All that its hints depend on."""
    names = names_for(view.source, function)
    known = ",".join(sorted([*names.types, *names.late]))
    return view.source.path, imports(view.source), known, view.text[slice(*function.range)]


HANDLERS: list[tuple[str, Any, Any]] = [(types.TEXT_DOCUMENT_INLAY_HINT, inlay_hint, types.InlayHintOptions())]
