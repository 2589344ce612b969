import assert from "node:assert/strict";
import { test } from "node:test";
import { counts } from "../src/counts";

test("numbers with their names as words; what is no number is left out", () => {
  assert.deepEqual(counts({ fromCache: 1234, acceptedShare: 0.3141, model: "bundled" }), [
    ["From cache", "1,234"],
    ["Accepted share", "0.31"],
  ]);
});
