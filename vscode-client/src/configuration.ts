/** The settings as VS Code keeps them: read for the server and for us, written where the user has written them before. */
import * as vscode from "vscode";
import { type Inspected, type Values, toSend, userValue } from "./settings";

export const SECTION = "incoder";

/** The names of our settings, without "incoder.", as package.json declares them. */
export function settingNames(extension: vscode.Extension<unknown>): string[] {
  const groups = extension.packageJSON.contributes.configuration as { properties: Record<string, unknown> }[];
  return groups.flatMap((group) => Object.keys(group.properties)).map((name) => name.slice(SECTION.length + 1));
}

/** What the server is told of a folder, or of the whole window. `names`: of all our settings. */
export function serverValues(names: readonly string[], folder?: vscode.Uri): Values {
  const configuration = vscode.workspace.getConfiguration(SECTION, folder);
  const inspected = names.map((name): [string, Inspected] => [name, configuration.inspect(name) ?? {}]);
  const values = toSend(Object.fromEntries(inspected));
  return "model" in values ? { ...values, model: absolute(values["model"]) } : values;
}

export function get<T>(name: string): T | undefined {
  return vscode.workspace.getConfiguration(SECTION).get<T>(name);
}

/** Undefined takes the setting away. Where the workspace has a value of its own, that one changes, else the user's. */
export async function set(name: string, value: unknown): Promise<void> {
  const configuration = vscode.workspace.getConfiguration(SECTION);
  const local = configuration.inspect(name)?.workspaceValue !== undefined;
  await configuration.update(name, value, local ? vscode.ConfigurationTarget.Workspace : vscode.ConfigurationTarget.Global);
}

/** What people write in front of a path. */
export function expanded(text: string): string {
  const folder = vscode.workspace.workspaceFolders?.[0]?.uri.fsPath ?? "";
  return text.replaceAll("${workspaceFolder}", folder).replace(/^~(?=[\\/]|$)/, process.env["HOME"] ?? "~");
}

export function userSet(section: string, name: string): unknown {
  return userValue(vscode.workspace.getConfiguration(section).inspect(name) ?? {});
}

function absolute(model: unknown): unknown {
  const folder = vscode.workspace.workspaceFolders?.[0];
  if (typeof model !== "string" || folder === undefined) {
    return model;
  }
  const wanted = expanded(model);
  return /^([\\/~]|[A-Za-z]:)/.test(wanted) ? wanted : vscode.Uri.joinPath(folder.uri, wanted).fsPath;
}
