/** What the status bar says: the server's state comes in, an icon, a text and a tooltip go out. Knows nothing of VS Code. */

/** What the server sends as `incoder/status`. */
export interface Status {
  readonly state: "loading" | "ready" | "busy" | "off" | "error";
  readonly message: string;
  readonly model: string;
  readonly latencyMs: number | null;
}

/** The server's states, and those that the client knows without it. */
export type Shown = Status | { readonly state: "starting" | "stopped" | "missing"; readonly message: string };

export interface StatusText {
  readonly text: string;
  /** Markdown. */
  readonly tooltip: string;
  readonly alarming: boolean;
}

const ICONS: Record<Shown["state"], string> = {
  starting: "$(loading~spin)",
  loading: "$(loading~spin)",
  ready: "$(sparkle)",
  busy: "$(sync~spin)",
  off: "$(circle-slash)",
  error: "$(warning)",
  stopped: "$(debug-disconnect)",
  missing: "$(cloud-download)",
};

const TITLES: Record<Shown["state"], string> = {
  starting: "Starting",
  loading: "Loading the model",
  ready: "Ready",
  busy: "Thinking",
  off: "Off here",
  error: "Something is wrong",
  stopped: "Stopped",
  missing: "The server is not installed",
};

const ALARMING: ReadonlySet<Shown["state"]> = new Set(["error", "stopped", "missing"]);

export function statusText(shown: Shown): StatusText {
  const latency = "latencyMs" in shown ? shown.latencyMs : null;
  const milliseconds = latency === null ? "" : `${Math.round(latency)} ms`;
  const text = [ICONS[shown.state], "InCoder", milliseconds].filter(Boolean).join(" ");
  const lines = [
    `**InCoder** – ${TITLES[shown.state]}`,
    shown.message && plain(shown.message),
    "model" in shown && shown.model && `Model: ${plain(shown.model)}`,
    milliseconds && `The last suggestion took ${milliseconds}.`,
    "Click for the menu.",
  ];
  return { text, tooltip: lines.filter(Boolean).join("\n\n"), alarming: ALARMING.has(shown.state) };
}

/** A message is text: a path in it must not become a link or an emphasis. */
function plain(text: string): string {
  return text.replace(/[\\`*_{}[\]()#+\-.!|<>~]/g, "\\$&");
}
