/** A request of our own to the server: what a person should hear where it cannot be answered is said here. */
import * as vscode from "vscode";
import { ErrorCodes, ResponseError } from "vscode-languageclient/node";
import type { Session } from "./session";

/** Undefined where there is no answer; the user has been told why. */
export async function ask<T>(session: Session, method: string, params: unknown): Promise<T | undefined> {
  const { client } = session;
  if (client === undefined) {
    say("The server is not running.");
    return undefined;
  }
  try {
    return await client.sendRequest<T>(method, params);
  } catch (error) {
    const unknown = error instanceof ResponseError && error.code === ErrorCodes.MethodNotFound;
    say(unknown ? "This server cannot do that; a newer one may." : sentenceOf(error));
    return undefined;
  }
}

export function say(sentence: string): void {
  void vscode.window.showInformationMessage(`InCoder: ${sentence[0]?.toLowerCase() ?? ""}${sentence.slice(1)}`);
}

function sentenceOf(error: unknown): string {
  return `The server could not answer: ${error instanceof Error ? error.message : String(error)}`;
}
