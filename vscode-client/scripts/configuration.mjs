// The settings page of package.json from the server's settings: `[{group, settings: [{name, JSON schema}]}]` comes in, VS Code's
// `contributes.configuration` goes out. Pure, so that a test and settings.mjs share it.

const OWN = {
  "incoder.command": {
    type: "array",
    items: { type: "string" },
    default: [],
    scope: "machine-overridable",
    markdownDescription:
      "The program that starts the server, and its arguments, such as `[\"/opt/incoder/bin/incoder-lsp\"]`. Empty: an `incoder-lsp` on PATH, " +
      "the active Python environment, then the environment that this extension has made.",
  },
  "incoder.wheels": {
    type: "string",
    default: "",
    scope: "machine-overridable",
    markdownDescription:
      "A folder of wheels from which the server is installed without a network. Empty: pip's own index, and only when you ask for it.",
  },
};

/** What a workspace may not say before it is trusted, and what belongs to a machine and not to its user. */
export const RESTRICTED = ["incoder.command", "incoder.wheels", "incoder.model", "incoder.backend"];

export function configuration(groups) {
  const sections = groups.map(({ group, settings }) => ({ title: group, properties: Object.fromEntries(settings.map(property)) }));
  return [...sections, { title: "Server", properties: OWN }].map((section, order) => ({ ...section, order }));
}

function property({ name, description, enumDescriptions, ...schema }) {
  const key = `incoder.${name}`;
  const described = {
    ...schema,
    ...(description && { markdownDescription: description }),
    ...(enumDescriptions && { markdownEnumDescriptions: enumDescriptions }),
    scope: RESTRICTED.includes(key) ? "machine-overridable" : "resource",
  };
  return [key, described];
}
