import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { after, before, test } from "node:test";
import { endsWell, findServer, interpreterIn, type Places } from "../src/find";

let folder: string;
const nothing: Places = { configured: [], searchPath: "", interpreters: [], installed: "/nowhere/bin/python" };

/** A program that ends well exactly when it is called as `wanted` says. */
async function program(name: string, wanted: string): Promise<string> {
  const file = path.join(folder, name);
  await mkdir(path.dirname(file), { recursive: true });
  await writeFile(file, `#!/bin/sh\n[ "$*" = "${wanted}" ]\n`, { mode: 0o755 });
  return file;
}

before(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "find-"));
});
after(() => rm(folder, { recursive: true }));

test("a configured command is taken at its word, and serves", async () => {
  const never = (): never => assert.fail("it is not tried");
  const one = await findServer({ ...nothing, configured: ["/opt/incoder-lsp", "--log-level", "info"] }, never);
  assert.deepEqual(one?.command, ["/opt/incoder-lsp", "--log-level", "info", "serve"]);
  assert.equal(one?.chosen, true);
  const other = await findServer({ ...nothing, configured: ["env", "A=b", "incoder-lsp", "serve", "--model", "m"] }, never);
  assert.deepEqual(other?.command, ["env", "A=b", "incoder-lsp", "serve", "--model", "m"]);
});

test("the first that answers wins: PATH, then Pythons, then our own environment", async () => {
  const onPath = await program("bin/incoder-lsp", "--version");
  const python = await program("python", "-m incoder_lsp --version");
  const own = await program("own/python", "-m incoder_lsp --version");
  const all = { ...nothing, searchPath: `/nowhere:${path.dirname(onPath)}`, interpreters: [python], installed: own };
  assert.deepEqual((await findServer(all))?.command, [onPath, "serve"]);
  assert.deepEqual((await findServer({ ...all, searchPath: "" }))?.command, [python, "-m", "incoder_lsp", "serve"]);
  assert.deepEqual((await findServer({ ...nothing, installed: own }))?.command, [own, "-m", "incoder_lsp", "serve"]);
});

test("what is there but does not answer is passed over", async () => {
  const broken = await program("broken/incoder-lsp", "something else");
  const without = await program("without/python", "something else");
  const places = { ...nothing, searchPath: path.dirname(broken), interpreters: [without] };
  assert.equal(await findServer(places), undefined);
});

test("a relative folder in PATH is not looked into", async () => {
  const onPath = await program("bin/incoder-lsp", "--version");
  const relative = path.relative(process.cwd(), path.dirname(onPath));
  assert.equal(await findServer({ ...nothing, searchPath: relative }), undefined);
});

test("an interpreter that is named twice is tried once", async () => {
  const tried: string[] = [];
  const answers = async ([program = ""]: readonly string[]): Promise<boolean> => {
    tried.push(program);
    return false;
  };
  await findServer({ ...nothing, interpreters: ["/a", "/b", "/a"] }, answers);
  assert.deepEqual(tried, ["/a", "/b", "/nowhere/bin/python"]);
});

test("a program that is not there does not end well", async () => {
  assert.equal(await endsWell([path.join(folder, "absent")]), false);
  assert.equal(await endsWell([await program("fine", "yes"), "yes"]), true);
  assert.ok(interpreterIn("/env").startsWith(path.normalize("/env/")));
});
