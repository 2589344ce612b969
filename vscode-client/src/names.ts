/** Better names for the variable at the cursor: the server's list, and the renaming of all its places in one step. */
import * as vscode from "vscode";
import type { Range } from "vscode-languageclient/node";
import { ask, say } from "./ask";
import type { Session } from "./session";

interface Names {
  readonly name: string;
  /** All places of the variable; the server offers names only where it knows them all. */
  readonly ranges: readonly Range[];
  readonly suggestions: readonly { readonly name: string; readonly share: number }[];
}

export async function suggestNames(session: Session): Promise<void> {
  const editor = vscode.window.activeTextEditor;
  const { client } = session;
  if (!editor || !client) {
    return;
  }
  const { document, selection } = editor;
  const version = document.version;
  const found = await ask<Names | null>(session, "incoder/suggestNames", {
    textDocument: client.code2ProtocolConverter.asTextDocumentIdentifier(document),
    position: client.code2ProtocolConverter.asPosition(selection.active),
  });
  if (found === undefined) {
    return;
  }
  const others = found?.suggestions.filter(({ name }) => name !== found.name) ?? [];
  if (found === null || others.length === 0) {
    say(found ? `The model has no better name than ${found.name}.` : "There is no local variable here that can be renamed.");
    return;
  }
  const items = others.map(({ name, share }) => ({ label: name, description: `${Math.round(share * 100)} %` }));
  const chosen = await vscode.window.showQuickPick(items, { title: `InCoder: A name for ${found.name}` });
  if (chosen && document.version === version) {
    const edit = new vscode.WorkspaceEdit();
    found.ranges.forEach((range) =>
      edit.replace(document.uri, client.protocol2CodeConverter.asRange(range), chosen.label),
    );
    await vscode.workspace.applyEdit(edit, { isRefactoring: true });
  } else if (chosen) {
    say("The file has changed; ask again.");
  }
}
