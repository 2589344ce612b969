"""The protocol's side of the actions: each handler reads its params, calls one function and returns LSP types.

textDocument/codeAction   what could be done here; `data` says which action, where, on which version
codeAction/resolve        the model is asked, and its edits become one WorkspaceEdit
incoder.act               the same as a command, for editors that resolve nothing: the server applies the edit
incoder/fillHoles         {textDocument, ranges}: a hole for each cursor or selection -> {edit, message}
incoder.fillHoles         the same as a command, applied by the server
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from lsprotocol import types
from lsprotocol.converters import get_converter
from pygls.exceptions import JsonRpcInvalidParams

from incoder_lsp.actions import ACTIONS, fill, names
from incoder_lsp.actions.action import KIND, Edit, Outcome, View
from incoder_lsp.actions.edits import text_edit, workspace_edit
from incoder_lsp.actions.running import Job, Session, Stale, encoding_of, view_of
from incoder_lsp.actions.variables import variable_at
from incoder_lsp.infiller import own_model
from incoder_lsp.logs import describe, log
from incoder_lsp.silence import off_limits

ACT, FILL_HOLES = "incoder.act", "incoder.fillHoles"
CHANGED = Outcome((), "The file has changed; ask again.", complete=False)
FAILED = Outcome((), "This could not be done; the server's log says where it failed.", complete=False)
STOPPED = Outcome((), "Stopped.")  # by the user, who need not be told

_converter = get_converter()


def code_action(ls: Session, params: types.CodeActionParams) -> list[types.CodeAction] | None:
    """Without asking the model. Nothing for editors that know only commands, nor where a server completes in its place."""
    known = ls.client_capabilities.text_document and ls.client_capabilities.text_document.code_action
    view = view_of(ls, params.text_document.uri, [params.range])
    able = known and known.code_action_literal_support and own_model(ls.worker.model)
    if not (known and able and view and view.settings.enabled):
        return None
    place, language = ls.configuration.place_of(view.uri), ls.documents[view.uri].language
    if off_limits(view.source.path, place, language, view.settings):
        return None
    resolves = bool(known.resolve_support and "edit" in known.resolve_support.properties and known.data_support)
    tag = types.CodeActionTag.LlmGenerated
    tags = [tag] if known.tag_support and tag in known.tag_support.value_set else None
    found = []
    for action in ACTIONS:
        kind = f"{KIND}.{action.name}"
        if not _is_wanted(kind, params.context.only):
            continue
        for offer in action.offers(view):
            data = {
                "action": action.name,
                "scope": offer.scope,
                "uri": view.uri,
                "version": view.version,
                "range": _converter.unstructure(params.range),
            }
            command = None if resolves else types.Command(offer.title, ACT, arguments=[data])
            found.append(
                types.CodeAction(offer.title, kind, command=command, data=data if resolves else None, tags=tags)
            )
    return found


async def resolve(ls: Session, action: types.CodeAction) -> types.CodeAction:
    """Without an edit where there is none, of which the user is told."""
    action.edit = await _perform(ls, action.data, action.title)
    return action


async def act(ls: Session, *arguments: Any) -> None:
    for data in arguments[:1]:
        await _apply(ls, await _perform(ls, data, "InCoder"))


async def fill_holes(ls: Session, params: Any) -> dict[str, Any]:
    """The edit is null where no hole could be filled; the message says why."""
    view = _view_of_ranges(ls, _plain(params))
    edit, outcome = await _edit(ls, view, "Fill holes", _fill_cursors(view), confirm=False)
    return {"edit": edit, "message": outcome.sentence}


async def fill_holes_command(ls: Session, *arguments: Any) -> None:
    for params in arguments[:1]:
        view = _view_of_ranges(ls, params)
        edit, outcome = await _edit(ls, view, "Fill holes", _fill_cursors(view), confirm=False)
        _tell(ls, outcome)
        await _apply(ls, edit)


async def suggest_names(ls: Session, params: Any) -> dict[str, Any] | None:
    """The names with most votes first, its own among them; null where no variable can be renamed for sure."""
    asked = _plain(params)
    position = asked.get("position") if isinstance(asked, dict) else None
    view = _view_of_ranges(ls, {**asked, "ranges": [{"start": position, "end": position}]} if position else None)
    variable = variable_at(view.source, view.ranges[0][0])
    if variable is None:
        return None
    try:
        found = await ls.running.run(
            ls,
            view.uri,
            f"A name for {variable.name}",
            lambda model, stop: names.suggested(model, view, variable, stop),
            lambda found: f"{len(found)} names",
        )
    except Stale:
        return None
    places = (Edit(start, end, variable.name, "") for start, end in variable.places)
    return {
        "name": variable.name,
        "ranges": [text_edit(view.source, place, "\n", encoding_of(ls)).range for place in places],
        "suggestions": [{"name": one.name, "share": round(one.share, 3)} for one in found or []],
    }


def _fill_cursors(view: View) -> Job[Outcome]:
    return lambda model, stop: fill.perform(model, view, "cursors", stop)


async def _perform(ls: Session, data: Any, title: str) -> types.WorkspaceEdit | None:
    """What `data` of a code action asks for; the user hears of it where it was not wholly done."""
    try:
        action = next(one for one in ACTIONS if one.name == data["action"])
        scope, version = str(data["scope"]), data["version"]
        view = view_of(ls, data["uri"], [_converter.structure(data["range"], types.Range)])
    except Exception:
        log.warning("the data of a code action cannot be read")
        return None
    if view is None or view.version != version:
        _tell(ls, CHANGED)
        return None
    edit, outcome = await _edit(ls, view, title, partial(_job, action.perform, view, scope), confirm=action.confirm)
    _tell(ls, outcome)
    return edit


def _job(perform: Callable[..., Outcome], view: View, scope: str, model: Any, stop: Any) -> Outcome:
    return perform(model, view, scope, stop)


async def _edit(
    ls: Session, view: View, title: str, job: Job[Outcome], *, confirm: bool
) -> tuple[types.WorkspaceEdit | None, Outcome]:
    """The edit, and what became of the job."""
    try:
        outcome = await ls.running.run(ls, view.uri, title, job, lambda done: done.sentence)
    except Stale:
        return None, CHANGED
    except Exception as error:
        log.error("no action because of %s", describe(error))
        return None, FAILED
    if outcome is None:
        return None, STOPPED
    edit = None
    if outcome.edits:
        eol, encoding, capabilities = ls.documents[view.uri].eol, encoding_of(ls), ls.client_capabilities
        edit = workspace_edit(
            view, outcome.edits, eol=eol, encoding=encoding, confirm=confirm, capabilities=capabilities
        )
    return edit, outcome


async def _apply(ls: Session, edit: types.WorkspaceEdit | None) -> None:
    if edit is not None:
        await ls.workspace_apply_edit_async(types.ApplyWorkspaceEditParams(edit, label="InCoder"))


def _tell(ls: Session, outcome: Outcome) -> None:
    """Where all was done, the progress has said it already."""
    if not outcome.complete:
        message = f"InCoder: {outcome.sentence[0].lower()}{outcome.sentence[1:]}"
        ls.window_show_message(types.ShowMessageParams(types.MessageType.Info, message))


def _view_of_ranges(ls: Session, params: Any) -> View:
    """Raises JsonRpcInvalidParams."""
    try:
        uri = params["textDocument"]["uri"]
        ranges = [_converter.structure(one, types.Range) for one in params["ranges"]]
    except Exception:
        raise JsonRpcInvalidParams("write {textDocument: {uri}} and ranges, or a position") from None
    view = view_of(ls, uri, ranges) if ranges else None
    if view is None:
        raise JsonRpcInvalidParams("the document is not open, or there are no ranges")
    return view


def _plain(value: Any) -> Any:
    """pygls reads what it has no type for as nested named tuples; this is the JSON it came from."""
    if hasattr(value, "_asdict"):
        return {key: _plain(item) for key, item in value._asdict().items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value


def _is_wanted(kind: str, only: Sequence[str | types.CodeActionKind] | None) -> bool:
    """Kinds are trees: who asks for `refactor` wants all that begin with `refactor.`, too."""
    if only is None:
        return True
    wanted = [one.value if isinstance(one, types.CodeActionKind) else one for one in only]
    return any(one in ("", kind) or kind.startswith(f"{one}.") for one in wanted)


HANDLERS: list[tuple[str, Any, Any]] = [
    (
        types.TEXT_DOCUMENT_CODE_ACTION,
        code_action,
        types.CodeActionOptions([f"{KIND}.{action.name}" for action in ACTIONS], resolve_provider=True),
    ),
    (types.CODE_ACTION_RESOLVE, resolve, None),
    ("incoder/fillHoles", fill_holes, None),
    ("incoder/suggestNames", suggest_names, None),
]
COMMANDS = {ACT: act, FILL_HOLES: fill_holes_command}
