/** What stands between VS Code and the server's inline completion: when not to ask, and that a failure is no message box. */
import * as vscode from "vscode";
import type { Middleware } from "vscode-languageclient/node";

export function ghostText(log: vscode.LogOutputChannel): Pick<Middleware, "provideInlineCompletionItems"> {
  return {
    async provideInlineCompletionItems(document, position, context, token, next) {
      if (hasManyCursors(document)) {
        return null; // one text at all cursors is rarely meant: "Fill Holes" asks for one each
      }
      try {
        return await next(document, position, context, token);
      } catch (error) {
        log.debug(`No suggestion: ${error instanceof Error ? error.message : String(error)}`);
        return null;
      }
    },
  };
}

function hasManyCursors(document: vscode.TextDocument): boolean {
  const editor = vscode.window.activeTextEditor;
  return editor?.document === document && editor.selections.length > 1;
}
