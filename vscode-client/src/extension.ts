/** Wiring only: what VS Code starts, and what ends with it. */
import * as vscode from "vscode";
import { Session } from "./session";
import { StatusBar } from "./statusBar";

let session: Session | undefined;

export async function activate(context: vscode.ExtensionContext): Promise<void> {
  const log = vscode.window.createOutputChannel("InCoder", { log: true });
  const bar = new StatusBar("incoder.showMenu");
  session = new Session(context, log, bar, () => {});
  context.subscriptions.push(log, bar);
  await session.start();
}

export async function deactivate(): Promise<void> {
  await session?.stop();
}
