/** Where this window's server may be: VS Code's settings, its Python extension and its workspace come in, Places go out. */
import * as path from "node:path";
import * as vscode from "vscode";
import { expanded, get, userSet } from "./configuration";
import { interpreterIn, type Places } from "./find";

/** The part of the Python extension's interface that is used here. */
interface PythonExtension {
  environments?: {
    getActiveEnvironmentPath(resource?: vscode.Uri): { path: string };
    onDidChangeActiveEnvironmentPath: vscode.Event<unknown>;
  };
}

/** The environment that this extension makes. */
export function privateEnvironment(context: vscode.ExtensionContext): string {
  return path.join(context.globalStorageUri.fsPath, "server");
}

export async function places(context: vscode.ExtensionContext): Promise<Places> {
  return {
    configured: (get<string[]>("command") ?? []).map(expanded),
    searchPath: process.env["PATH"] ?? "",
    interpreters: await interpreters(),
    installed: interpreterIn(privateEnvironment(context)),
  };
}

/** In a folder that is not trusted nothing that it names or holds is run. */
export async function interpreters(): Promise<string[]> {
  const folders = vscode.workspace.workspaceFolders ?? [];
  const trusted = vscode.workspace.isTrusted;
  const configured = trusted
    ? userSet("python", "defaultInterpreterPath")
    : vscode.workspace.getConfiguration("python").inspect("defaultInterpreterPath")?.globalValue;
  const found = [
    await activeInterpreter(),
    typeof configured === "string" ? expanded(configured) : undefined,
    ...folders.flatMap(({ uri }) => [".venv", "venv"].map((name) => interpreterIn(path.join(uri.fsPath, name)))),
  ];
  return found.filter((python): python is string => {
    const inside = folders.some(({ uri }) => python?.startsWith(uri.fsPath + path.sep));
    return python !== undefined && path.isAbsolute(python) && (trusted || !inside);
  });
}

/** Another interpreter was chosen in the Python extension, where there is one. */
export async function onInterpreterChange(look: () => unknown): Promise<vscode.Disposable> {
  return (await pythonExtension())?.environments?.onDidChangeActiveEnvironmentPath(look) ?? { dispose() {} };
}

async function activeInterpreter(): Promise<string | undefined> {
  const folder = vscode.workspace.workspaceFolders?.[0]?.uri;
  return (await pythonExtension())?.environments?.getActiveEnvironmentPath(folder).path;
}

async function pythonExtension(): Promise<PythonExtension | undefined> {
  try {
    return await vscode.extensions.getExtension<PythonExtension>("ms-python.python")?.activate();
  } catch {
    return undefined; // whatever is wrong with it, it says so itself
  }
}
