/** Shows the menu of the status bar, and performs what is chosen. */
import * as vscode from "vscode";
import { get } from "./configuration";
import { type Entry, type Mode, menu, type Situation } from "./menu";
import type { Session } from "./session";

export async function showMenu(session: Session): Promise<void> {
  const situation = situationOf(session);
  const items = menu(situation).map((entry) =>
    entry.command ? entry : { ...entry, kind: vscode.QuickPickItemKind.Separator },
  );
  const { message, state } = situation.shown;
  const chosen: Entry | undefined = await vscode.window.showQuickPick(items, {
    title: "InCoder",
    placeHolder: message || `The server is ${state}.`,
  });
  if (chosen?.command) {
    await vscode.commands.executeCommand(chosen.command);
  }
}

function situationOf(session: Session): Situation {
  const editor = vscode.window.activeTextEditor;
  const language = editor?.document.languageId;
  return {
    shown: session.shown,
    running: session.client !== undefined,
    enabled: get<boolean>("enabled") ?? true,
    mode: get<Mode>("mode") ?? "automatic",
    model: get<string | null>("model") ?? null,
    language,
    languageOff: (get<string[]>("offLanguages") ?? []).includes(language ?? ""),
    cursors: editor?.selections.length ?? 0,
    serverCommands: session.serverCommands,
  };
}
