/**
 * Where a server may be, in the order in which it is looked for. Settings and places come in; the command line that starts
 * the first server that answers goes out. Knows nothing of VS Code.
 */
import { execFile } from "node:child_process";
import { constants } from "node:fs";
import { access } from "node:fs/promises";
import * as path from "node:path";

export interface Server {
  /** The program and its arguments, `serve` among them. */
  readonly command: readonly string[];
  /** For people: what it was found by. */
  readonly origin: string;
  /** The user's own word: where relative paths start, and no reason to look further if it does not work. */
  readonly chosen: boolean;
}

export interface Places {
  /** `incoder.command`. */
  readonly configured: readonly string[];
  /** The variable PATH. */
  readonly searchPath: string;
  /** Python interpreters, the most wanted first. */
  readonly interpreters: readonly string[];
  /** The interpreter of the environment that this extension installs into, whether or not it is there. */
  readonly installed: string;
}

/** Whether a command line ends well. */
export type Answers = (command: readonly string[]) => Promise<boolean>;

const WINDOWS = process.platform === "win32";
const PROGRAM = WINDOWS ? "incoder-lsp.exe" : "incoder-lsp";
const PATIENCE = 20_000; // milliseconds; a cold disk takes a while to import Python

/** Undefined where nothing answers. What the user has chosen is taken at their word. */
export async function findServer(places: Places, answers: Answers = endsWell): Promise<Server | undefined> {
  if (places.configured.length > 0) {
    return { command: withServe(places.configured), origin: "the setting incoder.command", chosen: true };
  }
  for (const { program, origin } of await candidates(places)) {
    if (await answers([...program, "--version"])) {
      return { command: withServe(program), origin, chosen: false };
    }
  }
  return undefined;
}

/** The interpreter of a virtual environment. */
export function interpreterIn(environment: string): string {
  return WINDOWS ? path.join(environment, "Scripts", "python.exe") : path.join(environment, "bin", "python");
}

export function endsWell(command: readonly string[]): Promise<boolean> {
  const [program = "", ...rest] = command;
  return new Promise((resolve) => {
    execFile(program, rest, { timeout: PATIENCE, cwd: path.parse(process.execPath).root, windowsHide: true }, (error) => {
      resolve(error === null);
    });
  });
}

async function candidates(places: Places): Promise<{ program: string[]; origin: string }[]> {
  // A relative folder in PATH is the workspace's, and no workspace says which programs are run.
  const folders = places.searchPath.split(path.delimiter).filter(path.isAbsolute);
  const onPath = await firstProgram(folders.map((folder) => path.join(folder, PROGRAM)));
  return [
    ...(onPath ? [{ program: [onPath], origin: `${onPath}, on PATH` }] : []),
    ...unique(places.interpreters).map((python) => ({ program: asModule(python), origin: `the Python ${python}` })),
    { program: asModule(places.installed), origin: "the private environment of this extension" },
  ];
}

/** `-m` alone would let a file of the folder that it runs in stand for a module of the server. */
function asModule(python: string): string[] {
  return [python, "-m", "incoder_lsp"];
}

function withServe(command: readonly string[]): string[] {
  return command.includes("serve") ? [...command] : [...command, "serve"];
}

async function firstProgram(files: readonly string[]): Promise<string | undefined> {
  for (const file of files) {
    if (await access(file, constants.X_OK).then(() => true, () => false)) {
      return file;
    }
  }
  return undefined;
}

function unique<T>(items: readonly T[]): T[] {
  return [...new Set(items)];
}
