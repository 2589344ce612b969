import assert from "node:assert/strict";
import { test } from "node:test";
import { type Status, statusText } from "../src/statusText";

const ready: Status = { state: "ready", message: "", model: "bundled", latencyMs: 41.7 };

test("ready: an icon, the name and the time of the last suggestion", () => {
  const { text, tooltip, alarming } = statusText(ready);
  assert.match(text, /^\$\([\w~-]+\) InCoder 42 ms$/);
  assert.match(tooltip, /Model: bundled/);
  assert.equal(alarming, false);
});

test("no time before the first suggestion", () => {
  assert.match(statusText({ ...ready, latencyMs: null }).text, /InCoder$/);
});

test("every state has an icon and words of its own", () => {
  const states = ["loading", "ready", "busy", "off", "error"] as const;
  const own = ["starting", "stopped", "missing"] as const;
  const texts = [
    ...states.map((state) => statusText({ ...ready, state, latencyMs: null })),
    ...own.map((state) => statusText({ state, message: "" })),
  ];
  texts.forEach(({ text }) => assert.match(text, /^\$\([\w~-]+\) InCoder$/));
  assert.equal(new Set(texts.map(({ tooltip }) => tooltip)).size, texts.length);
  assert.deepEqual(
    texts.map(({ alarming }) => alarming),
    [false, false, false, false, true, false, true, true],
  );
});

test("why it is off is in the tooltip, as text and not as Markdown", () => {
  const message = "The file may hold secrets: [a](command:b) *c* `d`.";
  const { tooltip } = statusText({ ...ready, state: "off", message });
  assert.ok(!tooltip.includes("](command"));
  assert.equal(tooltip.replace(/\\(.)/g, "$1").includes(message), true);
});
