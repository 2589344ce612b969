// incoder-lsp settings --json | node scripts/settings.mjs [--check]
// Writes the server's settings into package.json; with --check it only compares, and fails where they differ.
import { readFileSync, writeFileSync } from "node:fs";
import { isDeepStrictEqual } from "node:util";
import { configuration, RESTRICTED } from "./configuration.mjs";

const file = new URL("../package.json", import.meta.url);
const manifest = JSON.parse(readFileSync(file, "utf8"));
const wanted = configuration(JSON.parse(readFileSync(0, "utf8")));
const restricted = manifest.capabilities.untrustedWorkspaces;

if (!process.argv.includes("--check")) {
  manifest.contributes.configuration = wanted;
  restricted.restrictedConfigurations = RESTRICTED;
  writeFileSync(file, `${JSON.stringify(manifest, null, 2)}\n`);
} else if (
  !isDeepStrictEqual(manifest.contributes.configuration, wanted) ||
  !isDeepStrictEqual(restricted.restrictedConfigurations, RESTRICTED)
) {
  console.error("package.json does not have the server's settings; run: incoder-lsp settings --json | node scripts/settings.mjs");
  process.exit(1);
}
