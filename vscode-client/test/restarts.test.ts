import assert from "node:assert/strict";
import { test } from "node:test";
import { MOST, Restarts, WITHIN } from "../src/restarts";

test("the user hears of the first death only", () => {
  const restarts = new Restarts();
  assert.equal(restarts.decide(0, true), "restart and say so");
  assert.equal(restarts.decide(10 * WITHIN, true), "restart");
});

test("a server that keeps dying is left alone", () => {
  const restarts = new Restarts();
  const decisions = Array.from({ length: MOST + 1 }, (_, index) => restarts.decide(index, true));
  assert.equal(decisions.indexOf("give up"), MOST);
});

test("deaths that are long ago do not count", () => {
  const restarts = new Restarts();
  const decisions = Array.from({ length: 3 * MOST }, (_, index) => restarts.decide((index * WITHIN) / (MOST - 1), true));
  assert.ok(!decisions.includes("give up"));
});

test("a server that never ran is not tried again", () => {
  assert.equal(new Restarts().decide(0, false), "never ran");
});
