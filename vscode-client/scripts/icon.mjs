// Draws media/icon.png from media/icon.svg on a canvas of a Chromium, whose program is the argument (`chromium` without one).
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const SIZE = 128;
const media = fileURLToPath(new URL("../media", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "icon-"));
const page = join(folder, "icon.html");
const svg = readFileSync(join(media, "icon.svg")).toString("base64");
writeFileSync(
  page,
  `<canvas width=${SIZE} height=${SIZE}></canvas><img src="data:image/svg+xml;base64,${svg}"><script>onload = () => {
    const canvas = document.querySelector("canvas");
    canvas.getContext("2d").drawImage(document.querySelector("img"), 0, 0, ${SIZE}, ${SIZE});
    document.body.textContent = canvas.toDataURL("image/png");
  }</script>`,
);
const chromium = process.argv[2] ?? "chromium";
const flags = ["--headless", "--no-sandbox", "--disable-gpu", `--user-data-dir=${folder}`, "--dump-dom"];
const drawn = execFileSync(chromium, [...flags, `file://${page}`], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
rmSync(folder, { recursive: true, force: true });
const [, picture] = /data:image\/png;base64,([\w+/=]+)<\/body>/.exec(drawn) ?? [];
if (!picture) {
  throw new Error("the Chromium has drawn nothing");
}
writeFileSync(join(media, "icon.png"), Buffer.from(picture, "base64"));
