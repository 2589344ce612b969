import assert from "node:assert/strict";
import { test } from "node:test";
import { toSend } from "../src/settings";

const NOBODY = new Set<string>();

test("a default is not sent, what the user has set is", () => {
  const inspected = { maxTokens: { defaultValue: 64 }, debounceMs: { defaultValue: 40, globalValue: 0 } };
  assert.deepEqual(toSend(inspected, NOBODY), { debounceMs: 0 });
});

test("the folder's value counts more than the workspace's, and that more than the user's", () => {
  const user = { defaultValue: 64, globalValue: 1 };
  const workspace = { ...user, workspaceValue: 2 };
  const folder = { ...workspace, workspaceFolderValue: 3 };
  const sent = toSend({ a: user, b: workspace, c: folder }, NOBODY);
  assert.deepEqual(sent, { a: 1, b: 2, c: 3 });
});

test("false and the empty list are values", () => {
  const inspected = {
    enabled: { defaultValue: true, globalValue: true, workspaceValue: false },
    offLanguages: { defaultValue: ["x"], globalValue: [] },
  };
  assert.deepEqual(toSend(inspected, NOBODY), { enabled: false, offLanguages: [] });
});

test("what is no longer set is sent once more, as its default", () => {
  const inspected = { maxTokens: { defaultValue: 64 }, model: { defaultValue: null }, mode: { defaultValue: "automatic" } };
  assert.deepEqual(toSend(inspected, new Set(["maxTokens", "model"])), { maxTokens: 64, model: null });
});

test("the extension's own settings stay here", () => {
  assert.deepEqual(toSend({ command: { globalValue: ["x"] }, wheels: { globalValue: "/w" } }, NOBODY), {});
});
