/**
 * Which settings the server hears of: only what the user has set, so that a default of the editor never overrides what the
 * server reads in files of its own. Knows nothing of VS Code.
 */

/** What VS Code tells about one setting. */
export interface Inspected {
  readonly globalValue?: unknown;
  readonly workspaceValue?: unknown;
  readonly workspaceFolderValue?: unknown;
}

export type Values = Readonly<Record<string, unknown>>;

/** What is for this extension alone. */
export const OWN = ["command", "wheels"];

/** The value that counts, where the user has set one. */
export function userValue({ workspaceFolderValue, workspaceValue, globalValue }: Inspected): unknown {
  return [workspaceFolderValue, workspaceValue, globalValue].find((value) => value !== undefined);
}

/** `inspected`: each of our settings by its name without "incoder.". */
export function toSend(inspected: Readonly<Record<string, Inspected>>): Values {
  const values = Object.entries(inspected).map(([name, setting]): [string, unknown] => [name, userValue(setting)]);
  return Object.fromEntries(values.filter(([name, value]) => value !== undefined && !OWN.includes(name)));
}
