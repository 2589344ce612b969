/** The item in the status bar. */
import * as vscode from "vscode";
import { type Shown, statusText } from "./statusText";

export class StatusBar implements vscode.Disposable {
  private readonly item = vscode.window.createStatusBarItem("incoder.status", vscode.StatusBarAlignment.Right, 100);
  private shown: Shown = { state: "starting", message: "" };

  constructor(command: string) {
    this.item.name = "InCoder";
    this.item.command = command;
    this.show(this.shown);
    this.item.show();
  }

  get last(): Shown {
    return this.shown;
  }

  show(shown: Shown): void {
    this.shown = shown;
    const { text, tooltip, alarming } = statusText(shown);
    this.item.text = text;
    this.item.accessibilityInformation = { label: `InCoder: ${shown.state}. ${shown.message}` };
    this.item.tooltip = new vscode.MarkdownString(tooltip);
    this.item.backgroundColor = alarming ? new vscode.ThemeColor("statusBarItem.warningBackground") : undefined;
  }

  dispose(): void {
    this.item.dispose();
  }
}
