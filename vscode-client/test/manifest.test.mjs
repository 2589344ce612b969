import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { RESTRICTED } from "../scripts/configuration.mjs";

const read = (name) => readFileSync(new URL(`../${name}`, import.meta.url), "utf8");
const manifest = JSON.parse(read("package.json"));
const { commands, menus, configuration, walkthroughs } = manifest.contributes;
const declared = commands.map(({ command }) => command);

test("the commands that are declared are those that are registered", () => {
  const [, table] = /commands: Record<.*?> = \{\n(.*?)\n {2}\};/s.exec(read("src/commands.ts"));
  const registered = [...table.matchAll(/^ {4}(\w+)[:,]/gm)].map(([, name]) => `incoder.${name}`);
  assert.deepEqual([...declared].sort(), registered.sort());
});

test("each command that the code, the menus or the walkthrough names is declared", () => {
  const sources = readdirSync(new URL("../src", import.meta.url)).map((name) => read(`src/${name}`));
  const named = sources.flatMap((text) => [...text.matchAll(/command: "(incoder\.\w+)"/g)].map(([, name]) => name));
  const walked = JSON.stringify(walkthroughs).matchAll(/(?:command|onCommand):(incoder\.\w+)/g);
  for (const name of [...named, ...menus.commandPalette.map(({ command }) => command), ...[...walked].map(([, name]) => name)]) {
    assert.ok(declared.includes(name), name);
  }
});

test("every command stands under InCoder, and takes no key", () => {
  assert.ok(commands.every(({ category }) => category === "InCoder"));
  assert.equal(manifest.contributes.keybindings, undefined);
});

test("a folder that is not trusted names no program, no model and no server", () => {
  const { supported, restrictedConfigurations } = manifest.capabilities.untrustedWorkspaces;
  assert.equal(supported, "limited");
  assert.deepEqual(restrictedConfigurations, RESTRICTED);
});

test("each setting has a default of its type and a description", () => {
  const settings = configuration.flatMap(({ properties }) => Object.entries(properties));
  const kind = (value) => (value === null ? "null" : Array.isArray(value) ? "array" : typeof value);
  for (const [name, { type, default: value, markdownDescription }] of settings) {
    const kinds = [type].flat().map((one) => (one === "integer" ? "number" : one));
    assert.ok(kinds.includes(kind(value)), name);
    assert.match(markdownDescription, /\.$/, name);
  }
});

test("the pages of the walkthrough are there", () => {
  for (const { media } of walkthroughs.flatMap(({ steps }) => steps)) {
    assert.ok(read(media.markdown ?? media.image).length > 0);
  }
});

test("nothing says where packages were fetched from", () => {
  assert.ok(!read("package-lock.json").includes("resolved"));
});

test("the pictures are the manual's, from the real editor", () => {
  for (const name of ["suggestion", "menu", "fill-holes"]) {
    const [ours, manual] = [`../media/${name}.png`, `../../docs/images/vscode-${name}.png`].map((path) =>
      readFileSync(new URL(path, import.meta.url)),
    );
    assert.ok(ours.equals(manual), `copy docs/images/vscode-${name}.png to media/${name}.png`);
  }
});
