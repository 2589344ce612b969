/** How the server gets into an environment of its own: the steps, one command line each. Knows nothing of VS Code. */
import { execFile } from "node:child_process";
import * as path from "node:path";
import { interpreterIn } from "./find";

export const PACKAGE = "incoder-lsp";
const SUITABLE = "import sys, venv; sys.exit(sys.version_info < (3, 10))";

export interface Step {
  readonly title: string;
  readonly command: readonly string[];
}

/** `wheels`: a folder of wheels, and then no network is used; "" for pip's own index. */
export function steps(python: string, environment: string, wheels: string): Step[] {
  const own = interpreterIn(environment);
  const source = wheels === "" ? [] : ["--no-index", "--find-links", wheels];
  const pip = ["-m", "pip", "install", "--upgrade", "--no-input", "--disable-pip-version-check"];
  return [
    { title: "making an environment", command: [python, "-m", "venv", environment] },
    { title: `installing ${PACKAGE}`, command: [own, ...pip, ...source, PACKAGE] },
    { title: "trying it", command: [own, "-m", "incoder_lsp", "--version"] },
  ];
}

/** Whether a Python interpreter can make such an environment. */
export function suitability(python: string): string[] {
  return [python, "-c", SUITABLE];
}

/** The Pythons of PATH; a relative folder there is somebody else's. */
export function pythonsOn(searchPath: string): string[] {
  const names = process.platform === "win32" ? ["python.exe"] : ["python3", "python"];
  const folders = searchPath.split(path.delimiter).filter((folder) => path.isAbsolute(folder));
  return folders.flatMap((folder) => names.map((name) => path.join(folder, name)));
}

/** What went wrong, in one line of what a program has written: its own last error, else its last words. */
export function reason(output: string): string {
  const lines = output.split(/\r?\n/).map((line) => line.trim()).filter(Boolean);
  const error = lines.findLast((line) => /^error[:\s]/i.test(line));
  return (error ?? lines.at(-1) ?? "it said nothing").replace(/^error:\s*/i, "");
}

/** Performs a step: what it writes goes to `write`. Resolves with all of it; rejects with the reason. */
export function perform(step: Step, cwd: string, write: (text: string) => void, signal: AbortSignal): Promise<string> {
  const [program = "", ...rest] = step.command;
  return new Promise((resolve, reject) => {
    let output = "";
    const child = execFile(program, rest, { cwd, signal, windowsHide: true, maxBuffer: 1 << 26 }, (error) => {
      if (error) {
        reject(new Error(output ? reason(output) : error.message));
      } else {
        resolve(output);
      }
    });
    const keep = (text: string): void => {
      output += text;
      if (text.trim()) {
        write(text.trimEnd());
      }
    };
    child.stdout?.on("data", keep);
    child.stderr?.on("data", keep);
  });
}
