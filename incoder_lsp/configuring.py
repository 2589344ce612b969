"""How an editor and we talk about settings: it is asked for them, told what to tell us, and heard.

What the client announced decides: one that can be asked is asked when the session starts and when it says that something has
changed; one that watches files for us is told which. Whatever comes, new settings are in force from the next question on.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from lsprotocol import types
from pygls.exceptions import JsonRpcException
from pygls.uris import from_fs_path

from incoder_lsp.logs import describe, log
from incoder_lsp.settings_files import WORKSPACE_FILE

if TYPE_CHECKING:
    from incoder_lsp.server import Server

SECTION = "incoder"
PATIENCE = 2.0  # seconds that the first answer may take before the model is loaded without it
DID_CHANGE, WATCHED = types.WORKSPACE_DID_CHANGE_CONFIGURATION, types.WORKSPACE_DID_CHANGE_WATCHED_FILES


def start(ls: Server, params: types.InitializeParams) -> None:
    """`initialize`: the options, and the folders of an editor old or new."""
    roots = [folder.uri for folder in params.workspace_folders or []] or [ls.workspace.root_uri]
    ls.configuration.start(params.initialization_options, [uri for uri in roots if uri])


async def begin(ls: Server) -> None:
    """`initialized`: ask, and say what we want to hear of. An editor that takes its time is not waited for."""
    registering = asyncio.create_task(_register(ls))
    await asyncio.wait({registering, asyncio.create_task(_ask(ls))}, timeout=PATIENCE)


async def did_change_configuration(ls: Server, params: types.DidChangeConfigurationParams) -> None:
    data, before = params.settings, ls.source
    section = data.get(SECTION, data) if isinstance(data, dict) else data
    if section or not _can_be_asked(ls):
        ls.configuration.push(data)
    else:
        await _ask(ls)
    ls.settle(before)


async def did_change_folders(ls: Server, params: types.DidChangeWorkspaceFoldersParams) -> None:
    event, before = params.event, ls.source
    ls.configuration.change_folders([one.uri for one in event.added], [one.uri for one in event.removed])
    await _ask(ls)
    ls.settle(before)


def look(ls: Server, _: Any = None) -> None:
    """A file was opened or saved, or one that we watch has changed. At once, as edits may follow."""
    before = ls.source
    if ls.configuration.look():
        ls.settle(before)


def _can_be_asked(ls: Server) -> bool:
    workspace = ls.client_capabilities.workspace
    return bool(workspace and workspace.configuration)


async def _ask(ls: Server) -> None:
    if not _can_be_asked(ls):
        return
    answered = ls.configuration.asking()
    scopes = [None, *ls.configuration.folders]
    items = [types.ConfigurationItem(scope_uri=scope, section=SECTION) for scope in scopes]
    try:
        answers = await ls.workspace_configuration_async(types.ConfigurationParams(items))
    except JsonRpcException as error:
        log.warning("the editor did not say its settings: %s", describe(error))
    else:
        if isinstance(answers, (list, tuple)):
            answered(dict(zip(scopes, answers, strict=False)))


async def _register(ls: Server) -> None:
    """What a client sends only to servers that ask for it, where it announced that they may."""
    workspace = ls.client_capabilities.workspace
    wanted: list[types.Registration] = []
    if workspace and _is_dynamic(workspace.did_change_configuration):
        wanted.append(types.Registration(f"incoder {DID_CHANGE}", DID_CHANGE, {}))
    if workspace and _is_dynamic(workspace.did_change_watched_files):
        options = types.DidChangeWatchedFilesRegistrationOptions(_watchers(ls, workspace.did_change_watched_files))
        wanted.append(types.Registration(f"incoder {WATCHED}", WATCHED, options))
    if wanted:
        try:
            await ls.client_register_capability_async(types.RegistrationParams(wanted))
        except JsonRpcException as error:
            log.warning("the editor registers nothing: %s", describe(error))


def _watchers(ls: Server, can: types.DidChangeWatchedFilesClientCapabilities | None) -> list[types.FileSystemWatcher]:
    watchers = [types.FileSystemWatcher(f"**/{name}") for name in (WORKSPACE_FILE, ".gitignore")]
    if can and can.relative_pattern_support and (file := ls.configuration.user_file):
        folder = from_fs_path(str(file.parent)) or ""
        watchers.append(types.FileSystemWatcher(types.RelativePattern(folder, file.name)))
    return watchers


def _is_dynamic(capability: Any) -> bool:
    return bool(capability and capability.dynamic_registration)


HANDLERS: list[tuple[str, Any, Any]] = [
    (DID_CHANGE, did_change_configuration, None),
    (types.WORKSPACE_DID_CHANGE_WORKSPACE_FOLDERS, did_change_folders, None),
    (WATCHED, look, None),
    (types.TEXT_DOCUMENT_DID_SAVE, look, types.SaveOptions()),
]
