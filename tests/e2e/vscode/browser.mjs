// VS Code's windows in a headless Chromium. In: one JSON command a line on stdin, { "do": name, ... }. Out: one JSON answer a
// line on stdout, { "is": value } or { "error": sentence }. It knows VS Code's page, and nothing of what is tested.
// Usage: node browser.mjs CHROMIUM
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { inPage } from "./page.mjs";

const { chromium } = createRequire(import.meta.url)("playwright-core"); // found by NODE_PATH
const PATIENCE = 30_000; // milliseconds
const ARGUMENTS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];
const browser = await chromium.launch({ executablePath: process.argv[2], args: ARGUMENTS });
const context = await browser.newContext({ viewport: { width: 1200, height: 700 } });
await context.addInitScript(inPage);
let windows = []; // pages, the one in use first
const page = () => windows[0];
const press = (key) => page().keyboard.press(key);
// Before that nothing is asked of the server, nor is it asked later.
const started = () =>
  page().locator('.statusbar-item[aria-label^="InCoder: "]:not([aria-label^="InCoder: starting"])').waitFor();
const typedInto = (file) => page().locator(`.native-edit-context:focus[aria-label^="${file}"]`).waitFor({ state: "attached" }); // it has no width
const menuLine = (title) => page().locator(".action-widget .monaco-list-row", { hasText: title });

const COMMANDS = {
  windows: () => windows.length,
  async window({ url, name }) {
    const opened = await context.newPage();
    opened.setDefaultTimeout(PATIENCE);
    windows.unshift(opened);
    await opened.goto(url);
    await typedInto(name);
    await started();
  },
  // `place` is FILE:LINE:COLUMN
  async open({ place, name }) {
    await press("Control+P");
    const box = page().locator(".quick-input-widget input");
    await box.fill(place);
    await page().locator(".quick-input-list .monaco-list-row.focused", { hasText: name }).waitFor();
    await press("Enter");
    await page().locator(`.tab.active[data-resource-name="${name}"]`).waitFor();
    if (name.endsWith(".ipynb")) {
      await page().locator(".cell-editor-container .view-lines").first().click();
      await press("Control+End");
    } else {
      await typedInto(name);
    }
  },
  type: ({ text, every }) => page().keyboard.type(text, { delay: every }),
  press: ({ key }) => press(key),
  // As Ctrl+V does it, but without the clipboard of a browser that nobody sits at.
  paste: ({ text }) =>
    page().evaluate((copied) => {
      const clipboardData = new DataTransfer();
      clipboardData.setData("text/plain", copied);
      document.activeElement.dispatchEvent(new ClipboardEvent("paste", { clipboardData, bubbles: true, cancelable: true }));
    }, text),
  // A code action; the menu closes by itself if the cursor's place is looked at anew just then.
  async choose({ title }) {
    for (let left = 3; left; left--) {
      await press("Control+.");
      try {
        return await menuLine(title).click({ timeout: 5_000 });
      } catch (error) {
        await press("Escape");
        if (left === 1) {
          throw error;
        }
      }
    }
  },
  // What is to be confirmed is not ticked; the first box is for the whole file.
  async confirm() {
    await page().locator(".bulk-edit-panel .edit-checkbox").first().click();
    await page().locator(".bulk-edit-panel .monaco-button", { hasText: "Apply" }).click();
  },
  ready: () => started(),
  call: ({ function: name }) => page().evaluate((called) => window.incoder[called](), name),
  async screenshot({ path }) {
    await page().screenshot({ path });
  },
  async close() {
    await Promise.all(windows.map((one) => one.close()));
    windows = [];
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const { do: name, ...options } = JSON.parse(line);
  try {
    console.log(JSON.stringify({ is: (await COMMANDS[name](options)) ?? null }));
  } catch (error) {
    console.log(JSON.stringify({ error: String(error).split("\n")[0] }));
  }
}
await COMMANDS.close();
await browser.close();
