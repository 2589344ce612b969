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
  State,
  type StaticFeature,
  TransportKind,
  type WorkspaceMiddleware,
} from "vscode-languageclient/node";
import { SECTION, serverValues } from "./configuration";
import type { Server } from "./find";
import { ghostText } from "./ghost";
import { type Decision, Restarts } from "./restarts";
import type { Values } from "./settings";

const SCHEMES = ["file", "untitled", "vscode-notebook-cell"];
const NAME = "InCoder";

export interface Surroundings {
  readonly log: vscode.LogOutputChannel;
  /** The names of all our settings. */
  readonly settings: readonly string[];
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
  const client: QuietClient = new QuietClient(SECTION, NAME, executable, {
    documentSelector: SCHEMES.map((scheme) => ({ scheme })),
    outputChannel: around.log,
    revealOutputChannelOn: RevealOutputChannelOn.Never,
    initializationFailedHandler: () => false, // whoever started the client says why it did not start
    synchronize: { configurationSection: SECTION },
    middleware: { ...ghostText(around.log), workspace: ownValues(around.settings, () => client) },
    errorHandler: restarting(around.died, () => client),
  });
  client.registerFeature(ANNOUNCED);
  client.onDidChangeState(({ newState }) => {
    client.ran ||= newState === State.Running;
  });
  return client;
}

/** A suggestion that fails is no reason for a message box; of a server that stops or does not start, we speak ourselves. */
class QuietClient extends LanguageClient {
  ran = false;

  override error(message: string, data?: unknown, show: boolean | "force" = true): void {
    super.error(message, data, show === true);
  }

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

/**
 * The server is told what the user has set; the client's own way would tell it every default, too. A server that asks hears
 * only that something has changed.
 */
function ownValues(names: readonly string[], client: () => LanguageClient): WorkspaceMiddleware {
  let asks = false;
  return {
    async didChangeConfiguration(sections) {
      if (sections !== undefined) {
        const settings = asks ? null : { [SECTION]: serverValues(names) };
        await client().sendNotification(DidChangeConfigurationNotification.type, { settings });
      } // else the server has registered for all changes: of ours it is told already
    },
    async configuration({ items }, token, next) {
      const answers = await next({ items }, token);
      const wanted = items.map(({ section }) => section === SECTION);
      asks ||= wanted.includes(true);
      const ofFolder = (uri: string | undefined): Values =>
        serverValues(names, uri === undefined ? undefined : client().protocol2CodeConverter.asUri(uri));
      return Array.isArray(answers)
        ? answers.map((answer, index) => (wanted[index] ? ofFolder(items[index]?.scopeUri) : answer))
        : answers;
    },
  };
}

function restarting(died: Surroundings["died"], client: () => QuietClient): ErrorHandler {
  const restarts = new Restarts();
  return {
    error: (_error, _message, count) => ({
      action: (count ?? 0) <= 3 ? ErrorAction.Continue : ErrorAction.Shutdown,
      handled: true,
    }),
    closed() {
      const decision = restarts.decide(Date.now(), client().ran);
      died(decision);
      const again = decision === "restart" || decision === "restart and say so";
      return { action: again ? CloseAction.Restart : CloseAction.DoNotRestart, handled: true };
    },
  };
}
