import assert from "node:assert/strict";
import { tmpdir } from "node:os";
import { test } from "node:test";
import { perform, pythonsOn, reason, steps } from "../src/installation";

const run = (code: string, written: string[] = [], signal = new AbortController().signal): Promise<string> =>
  perform({ title: "", command: [process.execPath, "-e", code] }, tmpdir(), (text) => written.push(text), signal);

test("with a folder of wheels pip asks no index", () => {
  const [, pip] = steps("/usr/bin/python3", "/env", "/wheels");
  assert.ok(pip?.command.join(" ").includes("--no-index --find-links /wheels incoder-lsp"));
});

test("without one it asks its own", () => {
  const commands = steps("/usr/bin/python3", "/env", "").map(({ command }) => command.join(" "));
  assert.ok(commands.every((command) => !command.includes("--no-index") && !command.includes("--find-links")));
  assert.equal(commands[0], "/usr/bin/python3 -m venv /env");
  assert.match(commands[2] ?? "", /-m incoder_lsp --version$/);
});

test("pip's reason is its last error", () => {
  const output = [
    "Looking in links: /wheels",
    "ERROR: Could not find a version that satisfies the requirement incoder-lsp (from versions: none)",
    "ERROR: No matching distribution found for incoder-lsp",
    "",
    "[notice] A new release of pip is available",
  ].join("\n");
  assert.equal(reason(output), "No matching distribution found for incoder-lsp");
  assert.equal(reason("one\r\ntwo\r\n"), "two");
  assert.equal(reason(" \n"), "it said nothing");
});

test("a step gives back what it has written, and writes it as it comes", async () => {
  const written: string[] = [];
  assert.equal(await run("console.log('out'); console.error('err')", written).then((all) => all.length), 8);
  assert.deepEqual(written.sort(), ["err", "out"]);
});

test("a step that fails says why", async () => {
  await assert.rejects(run("console.error('ERROR: no wheel'); process.exit(1)"), { message: "no wheel" });
});

test("a step can be stopped", async () => {
  const stopping = new AbortController();
  const running = run("setTimeout(() => {}, 60_000)", [], stopping.signal);
  stopping.abort();
  await assert.rejects(running);
});

test("only absolute folders of PATH have Pythons", () => {
  assert.ok(pythonsOn("bin:.:").length === 0);
});
