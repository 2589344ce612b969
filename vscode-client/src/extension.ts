/** Wiring only: what VS Code starts, and what ends with it. */
import * as vscode from "vscode";
import { registerCommands } from "./commands";
import { wantsInstallation } from "./installer";
import { onInterpreterChange } from "./places";
import { Session } from "./session";
import { StatusBar } from "./statusBar";

let session: Session | undefined;

export async function activate(context: vscode.ExtensionContext): Promise<void> {
  const log = vscode.window.createOutputChannel("InCoder", { log: true });
  const bar = new StatusBar("incoder.showMenu");
  const here = new Session(context, log, bar, async () => {
    if (await wantsInstallation(context)) {
      await vscode.commands.executeCommand("incoder.install");
    }
  });
  session = here;
  const lookAgain = (): unknown => here.shown.state === "missing" && here.start();
  context.subscriptions.push(
    log,
    bar,
    ...registerCommands(context, here, log),
    vscode.workspace.onDidChangeConfiguration(
      (change) => change.affectsConfiguration("incoder.command") && here.restart(),
    ),
    vscode.workspace.onDidGrantWorkspaceTrust(lookAgain),
    vscode.window.onDidChangeActiveTextEditor((editor) => here.focus(editor)),
  );
  await here.start();
  context.subscriptions.push(await onInterpreterChange(lookAgain));
}

export async function deactivate(): Promise<void> {
  await session?.stop();
}
