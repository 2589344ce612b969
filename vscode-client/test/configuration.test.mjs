import assert from "node:assert/strict";
import { test } from "node:test";
import { configuration, RESTRICTED } from "../scripts/configuration.mjs";

const modes = { type: "string", enum: ["automatic", "manual"], enumDescriptions: ["A.", "B."], default: "automatic" };
const groups = [
  {
    group: "General",
    settings: [
      { name: "mode", ...modes, description: "When." },
      { name: "model", type: ["string", "null"], default: null, description: "Which." },
    ],
  },
];

test("each group becomes a section, in order, and the extension's own comes last", () => {
  const sections = configuration(groups);
  assert.deepEqual(
    sections.map(({ title, order }) => [title, order]),
    [["General", 0], ["Server", 1]],
  );
  assert.deepEqual(Object.keys(sections[1].properties), ["incoder.command", "incoder.wheels"]);
});

test("help is Markdown, everything else is kept as the server says it", () => {
  assert.deepEqual(configuration(groups)[0].properties["incoder.mode"], {
    type: "string",
    enum: ["automatic", "manual"],
    default: "automatic",
    markdownDescription: "When.",
    markdownEnumDescriptions: ["A.", "B."],
    scope: "resource",
  });
});

test("what a folder must not say before it is trusted belongs to the machine", () => {
  const all = Object.assign({}, ...configuration(groups).map(({ properties }) => properties));
  const ofMachine = Object.keys(all).filter((name) => all[name].scope === "machine-overridable");
  assert.deepEqual(ofMachine.sort(), RESTRICTED.filter((name) => name in all).sort());
});
