/** One window's server: found, started, watched, started again. What it says of itself goes to the status bar. */
import { mkdir } from "node:fs/promises";
import * as vscode from "vscode";
import { type LanguageClient, State } from "vscode-languageclient/node";
import { makeClient } from "./client";
import { settingNames } from "./configuration";
import { findServer, type Server } from "./find";
import { places } from "./places";
import type { Decision } from "./restarts";
import type { StatusBar } from "./statusBar";
import type { Shown, Status } from "./statusText";

export class Session {
  private current: LanguageClient | undefined;
  private helped = false;
  private readonly settings: readonly string[];

  constructor(
    private readonly context: vscode.ExtensionContext,
    private readonly log: vscode.LogOutputChannel,
    private readonly bar: StatusBar,
    private readonly missing: () => Promise<void>,
  ) {
    this.settings = settingNames(context.extension);
  }

  /** Where it runs. */
  get client(): LanguageClient | undefined {
    return this.current?.isRunning() ? this.current : undefined;
  }

  /** What the status bar shows. */
  get shown(): Shown {
    return this.bar.last;
  }

  /** The names of the commands that the server performs. */
  get serverCommands(): readonly string[] {
    return this.client?.initializeResult?.capabilities.executeCommandProvider?.commands ?? [];
  }

  async start(): Promise<void> {
    this.bar.show({ state: "starting", message: "Looking for the server." });
    const server = await findServer(await places(this.context));
    if (server === undefined) {
      this.log.info("No server was found.");
      this.bar.show({ state: "missing", message: "" });
      void this.missing();
      return;
    }
    this.log.info(`The server is started by ${server.origin}: ${server.command.join(" ")}`);
    await this.run(server);
  }

  async stop(): Promise<void> {
    const client = this.current;
    this.current = undefined;
    await client?.dispose().catch((error: unknown) => this.log.debug(String(error)));
  }

  async restart(): Promise<void> {
    await this.stop();
    await this.start();
  }

  /** The server may read ahead in the file that the user looks at. */
  focus(editor: vscode.TextEditor | undefined): void {
    const { client } = this;
    const textDocument = editor && client?.code2ProtocolConverter.asTextDocumentIdentifier(editor.document);
    void client?.sendNotification("textDocument/didFocus", textDocument ? { textDocument } : {});
  }

  private async run(server: Server): Promise<void> {
    const folder = this.context.globalStorageUri.fsPath;
    await mkdir(folder, { recursive: true });
    const { log, settings } = this;
    const client = makeClient(server, { log, settings, folder, died: (decision) => this.died(decision) });
    this.current = client;
    client.onNotification("incoder/status", (status: Status) => this.bar.show(status));
    client.onDidChangeState(({ newState }) => this.changed(newState, server));
    this.helped = false;
    try {
      await client.start();
      this.focus(vscode.window.activeTextEditor);
    } catch (error) {
      log.error(`The server did not start: ${error instanceof Error ? error.message : String(error)}`);
    }
  }

  private changed(state: State, server: Server): void {
    if (state === State.StartFailed) {
      this.bar.show({ state: "stopped", message: "It did not start; the log says why." });
      void this.offerHelp(`InCoder's server did not start. It was to be started by ${server.origin}.`);
    } else if (state === State.Starting) {
      this.bar.show({ state: "starting", message: "" });
    } else if (state === State.Running && this.bar.last.state === "starting") {
      // A server that does not speak of its status is ready when it runs.
      this.bar.show({ state: "ready", message: "", model: "", latencyMs: null });
    }
    void vscode.commands.executeCommand("setContext", "incoder.running", state === State.Running);
    for (const able of ["learn", "unlearn"]) {
      const has = this.serverCommands.includes(`incoder.${able}`);
      void vscode.commands.executeCommand("setContext", `incoder.${able}s`, has);
    }
  }

  private died(decision: Decision): void {
    this.log.warn(`The server has stopped: ${decision}.`);
    if (decision === "give up") {
      this.bar.show({ state: "stopped", message: "It stopped too often." });
      void this.offerHelp("InCoder's server stopped several times in a short while, so it was left alone.");
    } else if (decision === "restart and say so") {
      void vscode.window.showInformationMessage("InCoder's server stopped. It was started again.");
    }
  }

  /** Once for each start: what fails in several ways is one failure. */
  private async offerHelp(sentence: string): Promise<void> {
    if (this.helped) {
      return;
    }
    this.helped = true;
    const chosen = await vscode.window.showWarningMessage(sentence, "Start Again", "Show Log");
    if (chosen === "Start Again") {
      await this.restart();
    } else if (chosen === "Show Log") {
      this.log.show();
    }
  }
}
