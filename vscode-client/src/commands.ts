/** The commands: each name and the one function that it calls. */
import * as vscode from "vscode";
import { ExecuteCommandRequest } from "vscode-languageclient/node";
import { ask } from "./ask";
import { chooseMode, chooseModel, toggleLanguage } from "./choose";
import { set } from "./configuration";
import { fillAtCursors } from "./fill";
import { showPrompt, showStatistics, whyNot } from "./insight";
import { install } from "./installer";
import { showMenu } from "./menuPick";
import { suggestNames } from "./names";
import type { Session } from "./session";

export function registerCommands(
  context: vscode.ExtensionContext,
  session: Session,
  log: vscode.LogOutputChannel,
): vscode.Disposable[] {
  const commands: Record<string, () => unknown> = {
    showMenu: () => showMenu(session),
    pause: () => set("enabled", false),
    resume: () => set("enabled", true),
    chooseMode,
    chooseModel: () => chooseModel(context),
    toggleLanguage,
    suggestNow: () => vscode.commands.executeCommand("editor.action.inlineSuggest.trigger"),
    fillAtCursors: () => fillAtCursors(session),
    suggestNames: () => suggestNames(session),
    whyNot: () => whyNot(session),
    showPrompt: () => showPrompt(session),
    showStatistics: () => showStatistics(session),
    learnRepository: () => perform(session, "incoder.learn"),
    unlearnRepository: () => perform(session, "incoder.unlearn"),
    openSettings: () => vscode.commands.executeCommand("workbench.action.openSettings", `@ext:${context.extension.id}`),
    install: async () => (await install(context, log)) && session.restart(),
    restart: () => session.restart(),
    showLog: () => log.show(),
  };
  return Object.entries(commands).map(([name, run]) => vscode.commands.registerCommand(`incoder.${name}`, run));
}

/** One of the server's own commands; it shows its progress itself. */
function perform(session: Session, command: string): Promise<unknown> {
  return ask(session, ExecuteCommandRequest.method, { command, arguments: [] });
}
