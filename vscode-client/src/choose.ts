/** Settings that are chosen from a list: the mode, the model, whether a language is off. */
import { access } from "node:fs/promises";
import * as path from "node:path";
import * as vscode from "vscode";
import { get, set } from "./configuration";
import { MODES, type Mode, modelName } from "./menu";

const RECENT = "recentModels";
const MOST_RECENT = 5;

export async function chooseMode(): Promise<void> {
  const now = get<Mode>("mode");
  const items = Object.entries(MODES).map(([label, detail]) => ({ label, detail, description: label === now ? "now" : "" }));
  const chosen = await vscode.window.showQuickPick(items, { title: "InCoder: Mode" });
  if (chosen) {
    await set("mode", chosen.label);
  }
}

export async function toggleLanguage(): Promise<void> {
  const language = vscode.window.activeTextEditor?.document.languageId;
  if (language === undefined) {
    return;
  }
  const off = get<string[]>("offLanguages") ?? [];
  await set("offLanguages", off.includes(language) ? off.filter((one) => one !== language) : [...off, language]);
}

export async function chooseModel(context: vscode.ExtensionContext): Promise<void> {
  const now = get<string | null>("model") ?? null;
  const recent = context.globalState.get<string[]>(RECENT, []);
  const choices: (string | null)[] = [null, ...new Set([...(now === null ? [] : [now]), ...recent])];
  const items = [
    ...choices.map((model) => ({
      label: model === null ? "Bundled" : modelName(model),
      description: model === now ? "now" : "",
      detail: model ?? "The model that came with the server.",
      pick: () => Promise.resolve<string | null | undefined>(model),
    })),
    { label: "$(folder-opened) Choose a Folder…", description: "", detail: "A model directory.", pick: browse },
  ];
  const model = await (await vscode.window.showQuickPick(items, { title: "InCoder: Model" }))?.pick();
  if (model === undefined) {
    return;
  }
  if (model !== null) {
    await context.globalState.update(RECENT, [...new Set([model, ...recent])].slice(0, MOST_RECENT));
  }
  await set("model", model ?? undefined);
}

async function browse(): Promise<string | undefined> {
  const chosen = await vscode.window.showOpenDialog({
    canSelectFiles: false,
    canSelectFolders: true,
    openLabel: "Use This Model",
  });
  const folder = chosen?.[0]?.fsPath;
  if (folder !== undefined && !(await access(path.join(folder, "config.json")).then(() => true, () => false))) {
    void vscode.window.showWarningMessage(`InCoder: ${folder} is no model directory, as it has no config.json.`);
    return undefined;
  }
  return folder;
}
