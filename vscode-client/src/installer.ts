/** One click, and the server is in an environment of its own. Nothing is downloaded before it. */
import { mkdir, rm } from "node:fs/promises";
import * as vscode from "vscode";
import { expanded, get } from "./configuration";
import { endsWell } from "./find";
import { PACKAGE, perform, pythonsOn, steps, suitability } from "./installation";
import { interpreters, privateEnvironment } from "./places";

const DECLINED = "installationDeclined";
const INSTALL = "Install";
const COMMAND = "I Have One";
const NEVER = "Don't Ask Again";

/** The one message where there is no server. True where it is to be installed. */
export async function wantsInstallation(context: vscode.ExtensionContext): Promise<boolean> {
  if (context.globalState.get<boolean>(DECLINED)) {
    return false;
  }
  const sentence = `InCoder needs its server, the Python package ${PACKAGE}. Install it from ${origin()} into an environment of its own?`;
  const chosen = await vscode.window.showInformationMessage(sentence, INSTALL, COMMAND, NEVER);
  if (chosen === COMMAND) {
    await vscode.commands.executeCommand("workbench.action.openSettings", "incoder.command");
  } else if (chosen === NEVER) {
    await context.globalState.update(DECLINED, true);
  }
  return chosen === INSTALL;
}

/** True where the server is there now; else the user has been told why not. */
export async function install(context: vscode.ExtensionContext, log: vscode.LogOutputChannel): Promise<boolean> {
  try {
    await vscode.window.withProgress(
      { location: vscode.ProgressLocation.Notification, title: "InCoder", cancellable: true },
      async (progress, token) => {
        const stopping = new AbortController();
        token.onCancellationRequested(() => stopping.abort());
        await makeEnvironment(context, log, (message) => progress.report({ message }), stopping.signal);
      },
    );
    return true;
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    log.error(`Not installed: ${why}`);
    void vscode.window.showErrorMessage(`InCoder's server could not be installed: ${why}`, "Show Log").then((chosen) => {
      if (chosen) {
        log.show();
      }
    });
    return false;
  }
}

async function makeEnvironment(
  context: vscode.ExtensionContext,
  log: vscode.LogOutputChannel,
  report: (message: string) => void,
  signal: AbortSignal,
): Promise<void> {
  const environment = privateEnvironment(context);
  report("looking for a Python");
  const python = await suitablePython();
  if (python === undefined) {
    throw new Error("there is no Python 3.10 or newer on PATH.");
  }
  await mkdir(context.globalStorageUri.fsPath, { recursive: true });
  try {
    for (const step of steps(python, environment, wheels())) {
      report(step.title);
      log.info(step.command.join(" "));
      await perform(step, context.globalStorageUri.fsPath, (text) => log.info(text), signal);
    }
  } catch (error) {
    await rm(environment, { recursive: true, force: true }); // half an environment is none
    throw signal.aborted ? new Error("you stopped it.") : error;
  }
}

async function suitablePython(): Promise<string | undefined> {
  for (const python of [...(await interpreters()), ...pythonsOn(process.env["PATH"] ?? "")]) {
    if (await endsWell(suitability(python))) {
      return python;
    }
  }
  return undefined;
}

function wheels(): string {
  return expanded(get<string>("wheels") ?? "");
}

function origin(): string {
  return wheels() === "" ? "pip's package index" : wheels();
}
