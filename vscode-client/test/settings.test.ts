import assert from "node:assert/strict";
import { test } from "node:test";
import { toSend, userValue } from "../src/settings";

test("a default is not sent, what the user has set is", () => {
  assert.deepEqual(toSend({ maxTokens: {}, debounceMs: { globalValue: 0 } }), { debounceMs: 0 });
});

test("the folder's value counts more than the workspace's, and that more than the user's", () => {
  const user = { globalValue: 1 };
  const workspace = { ...user, workspaceValue: 2 };
  const folder = { ...workspace, workspaceFolderValue: 3 };
  assert.deepEqual([user, workspace, folder].map(userValue), [1, 2, 3]);
});

test("false, null and the empty list are values", () => {
  const inspected = {
    enabled: { globalValue: true, workspaceValue: false },
    model: { globalValue: "/m", workspaceValue: null },
    offLanguages: { globalValue: [] },
  };
  assert.deepEqual(toSend(inspected), { enabled: false, model: null, offLanguages: [] });
});

test("the extension's own settings stay here", () => {
  assert.deepEqual(toSend({ command: { globalValue: ["x"] }, wheels: { globalValue: "/w" } }), {});
});
