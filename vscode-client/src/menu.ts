/** The menu of the status bar: what the editor and the server are at comes in, its entries go out. Knows nothing of VS Code. */
import type { Shown } from "./statusText";

export const MODES = {
  automatic: "Suggestions come while you type",
  subtle: "Suggestions are ready, and shown when you ask",
  manual: "Nothing is computed until you ask",
} as const;

export type Mode = keyof typeof MODES;

/** What the menu depends on. */
export interface Situation {
  readonly shown: Shown;
  readonly running: boolean;
  readonly enabled: boolean;
  readonly mode: Mode;
  readonly model: string | null;
  /** The language of the file in the editor; undefined where no file is open. */
  readonly language: string | undefined;
  readonly languageOff: boolean;
  readonly cursors: number;
  readonly serverCommands: readonly string[];
}

export interface Entry {
  readonly label: string;
  readonly description?: string;
  /** The command to perform; entries without one are headings. */
  readonly command?: string;
}

export function menu(now: Situation): Entry[] {
  if (!now.running) {
    return [...(now.shown.state === "missing" ? [INSTALL] : []), RESTART, LOG];
  }
  return [
    ...group("Suggestions", [
      now.enabled
        ? { label: "$(debug-pause) Pause", description: "no suggestions until you resume", command: "incoder.pause" }
        : { label: "$(play) Resume", command: "incoder.resume" },
      { label: "$(settings) Mode", description: now.mode, command: "incoder.chooseMode" },
      ...languageEntry(now),
      { label: "$(database) Model", description: modelName(now.model), command: "incoder.chooseModel" },
    ]),
    ...group("Here", now.language === undefined ? [] : here(now)),
    ...group("This repository", repository(now.serverCommands)),
    ...group("InCoder", [
      { label: "$(file-code) Show the Last Prompt", command: "incoder.showPrompt" },
      { label: "$(graph) Statistics", command: "incoder.showStatistics" },
      { label: "$(gear) Settings", command: "incoder.openSettings" },
      RESTART,
      LOG,
    ]),
  ];
}

const INSTALL: Entry = { label: "$(cloud-download) Install the Server", command: "incoder.install" };
const RESTART: Entry = { label: "$(debug-restart) Restart the Server", command: "incoder.restart" };
const LOG: Entry = { label: "$(output) Show the Log", command: "incoder.showLog" };

export function modelName(model: string | null): string {
  return model === null ? "bundled" : (model.split(/[\\/]/).filter(Boolean).at(-1) ?? model);
}

function languageEntry({ language, languageOff }: Situation): Entry[] {
  if (language === undefined) {
    return [];
  }
  return languageOff
    ? [{ label: `$(check) Turn On for ${language}`, command: "incoder.toggleLanguage" }]
    : [{ label: `$(circle-slash) Turn Off for ${language}`, command: "incoder.toggleLanguage" }];
}

function here({ cursors }: Situation): Entry[] {
  const where = cursors > 1 ? `at ${cursors} cursors` : "at the cursor";
  return [
    { label: "$(question) Why Is There Nothing Here?", command: "incoder.whyNot" },
    { label: "$(lightbulb) Suggest Now", command: "incoder.suggestNow" },
    { label: "$(edit) Fill Holes", description: where, command: "incoder.fillAtCursors" },
    { label: "$(symbol-variable) Suggest Names for the Variable", command: "incoder.suggestNames" },
  ];
}

function repository(commands: readonly string[]): Entry[] {
  const learn = { label: "$(mortar-board) Learn This Repository", command: "incoder.learnRepository" };
  const unlearn = { label: "$(discard) Back to the Model Before", command: "incoder.unlearnRepository" };
  return [
    ...(commands.includes("incoder.learn") ? [learn] : []),
    ...(commands.includes("incoder.unlearn") ? [unlearn] : []),
  ];
}

function group(label: string, entries: readonly Entry[]): Entry[] {
  return entries.length > 0 ? [{ label }, ...entries] : [];
}
