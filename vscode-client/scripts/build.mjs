// Bundles the extension into dist/extension.js, with the licences of what is in it; with --tests, each test into
// dist/test/ as a module of its own.
import { build } from "esbuild";
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";

const common = { bundle: true, platform: "node", target: "node20", format: "cjs", external: ["vscode"], logLevel: "warning" };

if (process.argv.includes("--tests")) {
  rmSync("dist/test", { recursive: true, force: true });
  const files = readdirSync("test").filter((name) => name.endsWith(".test.ts"));
  await build({ ...common, entryPoints: files.map((name) => `test/${name}`), outdir: "dist/test", sourcemap: "inline" });
} else {
  const bundle = { entryPoints: ["src/extension.ts"], outfile: "dist/extension.js", minify: true, metafile: true };
  const { metafile } = await build({ ...common, ...bundle });
  writeFileSync("dist/licences.txt", licences(Object.keys(metafile.inputs)));
}

/** Of each package that one of the files belongs to. */
function licences(inputs) {
  const packages = new Set(inputs.flatMap((input) => /.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(input)?.[0] ?? []));
  return [...packages].sort().map(licence).join("\n\n");
}

function licence(folder) {
  const { name, version } = JSON.parse(readFileSync(`${folder}/package.json`, "utf8"));
  const file = readdirSync(folder).find((entry) => /^licen[cs]e/i.test(entry));
  if (file === undefined) {
    throw new Error(`${folder} has no licence, and may not be bundled`);
  }
  return `${name} ${version}\n\n${readFileSync(`${folder}/${file}`, "utf8").trim()}`;
}
