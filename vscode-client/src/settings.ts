/**
 * Which settings the server hears of. Only what the user has set is sent, so that a default of the editor never overrides
 * what a project's own file says; what is no longer set is sent once more, as its default. Knows nothing of VS Code.
 */

/** What VS Code tells about one setting. */
export interface Inspected {
  readonly defaultValue?: unknown;
  readonly globalValue?: unknown;
  readonly workspaceValue?: unknown;
  readonly workspaceFolderValue?: unknown;
}

export type Values = Readonly<Record<string, unknown>>;

/** What is for this extension alone. */
export const OWN = ["command", "wheels"];

/** The value that counts, where the user has set one. */
export function userValue(inspected: Inspected): unknown {
  return inspected.workspaceFolderValue ?? inspected.workspaceValue ?? inspected.globalValue;
}

/** `inspected`: each of our settings by its name without "incoder."; `sent`: the names that the server has heard of. */
export function toSend(inspected: Readonly<Record<string, Inspected>>, sent: ReadonlySet<string>): Values {
  const values: Record<string, unknown> = {};
  for (const [name, setting] of Object.entries(inspected)) {
    const value = userValue(setting);
    if (OWN.includes(name)) {
      continue;
    }
    if (value !== undefined) {
      values[name] = value;
    } else if (sent.has(name)) {
      values[name] = setting.defaultValue ?? null;
    }
  }
  return values;
}
