import assert from "node:assert/strict";
import { test } from "node:test";
import { menu, modelName, type Situation } from "../src/menu";

const usual: Situation = {
  shown: { state: "ready", message: "", model: "bundled", latencyMs: null },
  running: true,
  enabled: true,
  mode: "automatic",
  model: null,
  language: "python",
  languageOff: false,
  cursors: 1,
  serverCommands: ["incoder.act", "incoder.fillHoles"],
};
const commands = (now: Situation): string[] => menu(now).flatMap(({ command }) => command ?? []);

test("pause and resume are never both there", () => {
  assert.ok(commands(usual).includes("incoder.pause") && !commands(usual).includes("incoder.resume"));
  const paused = commands({ ...usual, enabled: false });
  assert.ok(paused.includes("incoder.resume") && !paused.includes("incoder.pause"));
});

test("learning is offered where the server can", () => {
  assert.ok(!commands(usual).includes("incoder.learnRepository"));
  const able = commands({ ...usual, serverCommands: ["incoder.learn", "incoder.unlearn"] });
  assert.ok(able.includes("incoder.learnRepository") && able.includes("incoder.unlearnRepository"));
});

test("without a file nothing is said of a language or a cursor", () => {
  const found = commands({ ...usual, language: undefined });
  for (const absent of ["incoder.toggleLanguage", "incoder.whyNot", "incoder.fillAtCursors"]) {
    assert.ok(!found.includes(absent), absent);
  }
});

test("the language's entry says which way it goes", () => {
  const label = (now: Situation): string | undefined =>
    menu(now).find(({ command }) => command === "incoder.toggleLanguage")?.label;
  assert.match(label(usual) ?? "", /Turn Off for python$/);
  assert.match(label({ ...usual, languageOff: true }) ?? "", /Turn On for python$/);
});

test("a server that does not run can be restarted, or installed where it is missing", () => {
  const stopped = { ...usual, running: false, shown: { state: "stopped", message: "" } } as const;
  assert.deepEqual(commands(stopped), ["incoder.restart", "incoder.showLog"]);
  assert.equal(commands({ ...stopped, shown: { state: "missing", message: "" } })[0], "incoder.install");
});

test("no heading stands alone, and no entry twice", () => {
  for (const now of [usual, { ...usual, language: undefined }, { ...usual, serverCommands: ["incoder.learn"] }]) {
    const entries = menu(now);
    entries.forEach((entry, index) => assert.ok(entry.command || entries[index + 1]?.command, entry.label));
    assert.equal(new Set(commands(now)).size, commands(now).length);
  }
});

test("how many cursors there are", () => {
  const fill = menu({ ...usual, cursors: 3 }).find(({ command }) => command === "incoder.fillAtCursors");
  assert.equal(fill?.description, "at 3 cursors");
});

test("a model goes by its folder's name", () => {
  assert.equal(modelName(null), "bundled");
  assert.equal(modelName("/home/me/models/mine/"), "mine");
  assert.equal(modelName("C:\\models\\mine"), "mine");
});
