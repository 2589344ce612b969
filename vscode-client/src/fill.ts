/** All cursors and selections become holes; what the server fills them with is one edit, and one step of undo. */
import * as vscode from "vscode";
import type { WorkspaceEdit } from "vscode-languageclient/node";
import { ask, say } from "./ask";
import type { Session } from "./session";

interface Filled {
  readonly edit: WorkspaceEdit | null;
  readonly message: string;
}

export async function fillAtCursors(session: Session): Promise<void> {
  const editor = vscode.window.activeTextEditor;
  const { client } = session;
  if (!editor || !client) {
    return;
  }
  const { document } = editor;
  const version = document.version;
  const convert = client.code2ProtocolConverter;
  const filled = await ask<Filled>(session, "incoder/fillHoles", {
    textDocument: convert.asTextDocumentIdentifier(document),
    ranges: editor.selections.map((selection) => convert.asRange(selection)),
  });
  if (filled?.edit && document.version === version) {
    await vscode.workspace.applyEdit(await client.protocol2CodeConverter.asWorkspaceEdit(filled.edit));
  } else if (filled) {
    say(filled.edit ? "The file has changed; ask again." : filled.message);
  }
}
