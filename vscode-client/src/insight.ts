/** What the server tells about itself: the last prompt, why nothing is suggested, its counts. */
import * as vscode from "vscode";
import { TextDocumentContentRequest } from "vscode-languageclient/node";
import { ask, say } from "./ask";
import { counts } from "./counts";
import type { Session } from "./session";

const PROMPT = vscode.Uri.parse("incoder:/last-prompt.md");

export async function whyNot(session: Session): Promise<void> {
  const editor = vscode.window.activeTextEditor;
  const { client } = session;
  if (!editor || !client) {
    return;
  }
  const answer = await ask<{ code: string; message: string }>(session, "incoder/whyNot", {
    textDocument: client.code2ProtocolConverter.asTextDocumentIdentifier(editor.document),
    position: client.code2ProtocolConverter.asPosition(editor.selection.active),
  });
  if (answer) {
    void vscode.window.showInformationMessage(`InCoder: ${answer.message}`);
  }
}

/** A document that nobody can edit, beside the code; asked for again, it is the prompt of that moment. */
export async function showPrompt(session: Session): Promise<void> {
  const feature = session.client?.getFeature(TextDocumentContentRequest.method);
  const provider = feature?.getProviders()?.find(({ scheme }) => scheme === PROMPT.scheme);
  if (!provider) {
    say(session.client ? "This server cannot show its prompts; a newer one may." : "The server is not running.");
    return;
  }
  provider.onDidChangeEmitter.fire(PROMPT);
  const document = await vscode.workspace.openTextDocument(PROMPT);
  await vscode.languages.setTextDocumentLanguage(document, "markdown");
  await vscode.window.showTextDocument(document, { viewColumn: vscode.ViewColumn.Beside, preserveFocus: true });
}

export async function showStatistics(session: Session): Promise<void> {
  const numbers = await ask<Record<string, unknown>>(session, "incoder/statistics", {});
  if (numbers) {
    const items = counts(numbers).map(([label, description]) => ({ label, description }));
    await vscode.window.showQuickPick(items, { title: "InCoder: Statistics", placeHolder: "They stay on this machine." });
  }
}
