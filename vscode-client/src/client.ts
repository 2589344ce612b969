/** The language client for one server: a command line and what it must tell come in, a client that is not started goes out. */
import * as vscode from "vscode";
import {
  CloseAction,
  DidChangeConfigurationNotification,
  ErrorAction,
  type ErrorHandler,
  InlineCompletionRequest,
  LanguageClient,
  type MessageSignature,
  RevealOutputChannelOn,
  type StaticFeature,
  TransportKind,
  type WorkspaceMiddleware,
} from "vscode-languageclient/node";
import { SECTION, type ServerSettings } from "./configuration";
import type { Server } from "./find";
import { ghostText } from "./ghost";
import { type Decision, Restarts } from "./restarts";

const SCHEMES = ["file", "untitled", "vscode-notebook-cell"];
const NAME = "InCoder";

export interface Surroundings {
  readonly log: vscode.LogOutputChannel;
  readonly settings: ServerSettings;
  /** Where a server runs that was found: no file there can stand for one of its modules. */
  readonly folder: string;
  readonly died: (decision: Decision) => void;
}

export function makeClient(server: Server, around: Surroundings): LanguageClient {
  const [program = "", ...rest] = server.command;
  const folder = server.chosen ? vscode.workspace.workspaceFolders?.[0]?.uri.fsPath : undefined;
  const executable = {
    command: program,
    args: rest,
    transport: TransportKind.stdio,
    options: { cwd: folder ?? around.folder },
  };
  const client: LanguageClient = new QuietClient(SECTION, NAME, executable, {
    documentSelector: SCHEMES.map((scheme) => ({ scheme })),
    outputChannel: around.log,
    revealOutputChannelOn: RevealOutputChannelOn.Never,
    initializationOptions: () => around.settings.afresh(),
    initializationFailedHandler: () => false, // whoever started the client says why it did not start
    synchronize: { configurationSection: SECTION },
    middleware: { ...ghostText(around.log), workspace: ownValues(around.settings, () => client) },
    errorHandler: restarting(around.died),
  });
  client.registerFeature(ANNOUNCED);
  return client;
}

/** A suggestion that fails is no reason for a message box. */
class QuietClient extends LanguageClient {
  override handleFailedRequest<T>(
    type: MessageSignature,
    token: vscode.CancellationToken | undefined,
    error: unknown,
    fallback: T,
    show = true,
    throwOnCancel = false,
  ): T {
    const silent = type.method === InlineCompletionRequest.method;
    return super.handleFailedRequest(type, token, error, fallback, show && !silent, throwOnCancel);
  }
}

const ANNOUNCED: StaticFeature = {
  fillClientCapabilities(capabilities) {
    capabilities.experimental = { ...capabilities.experimental, incoder: { status: true } };
  },
  initialize() {},
  getState: () => ({ kind: "static" }),
  clear() {},
};

/** The server is told what the user has set; the client's own way would tell it every default, too. */
function ownValues(settings: ServerSettings, client: () => LanguageClient): WorkspaceMiddleware {
  return {
    didChangeConfiguration: () =>
      client().sendNotification(DidChangeConfigurationNotification.type, {
        settings: { [SECTION]: settings.values() },
      }),
    async configuration(params, token, next) {
      const answers = await next(params, token);
      return Array.isArray(answers)
        ? answers.map((answer, index) => (params.items[index]?.section === SECTION ? settings.values() : answer))
        : answers;
    },
  };
}

function restarting(died: Surroundings["died"]): ErrorHandler {
  const restarts = new Restarts();
  return {
    error: (_error, _message, count) => ({
      action: (count ?? 0) <= 3 ? ErrorAction.Continue : ErrorAction.Shutdown,
      handled: true,
    }),
    closed() {
      const decision = restarts.decide(Date.now());
      died(decision);
      return { action: decision === "give up" ? CloseAction.DoNotRestart : CloseAction.Restart, handled: true };
    },
  };
}
