// Which sources a module was made from: it says so in a section of its own.
//     node sources.mjs BUILT.wasm PACKAGED.wasm     (.ci/run module does it)
import { createHash } from "node:crypto";
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const SECTION = "sources";
const SOURCES = ["examples/c/Cargo.lock", "examples/c/Cargo.toml", "examples/c/src/", "runtime/Cargo.toml", "runtime/src/"];
const root = new URL("../../", import.meta.url);

/** The SHA-256 of the sources' names and contents, in hex. */
export function sourcesHash() {
  const hash = createHash("sha256");
  for (const path of SOURCES.flatMap(filesOf)) {
    const file = readFileSync(new URL(path, root));
    hash.update(`${path}\n${file.length}\n`).update(file);
  }
  return hash.digest("hex");
}

function filesOf(path) {
  if (!path.endsWith("/")) return [path];
  const files = readdirSync(new URL(path, root), { recursive: true }).map((name) => path + name.replaceAll("\\", "/"));
  return files.filter((name) => name.endsWith(".rs")).sort();
}

/** The hash that stands in a module. */
export function recordedHash(bytes) {
  const [section] = WebAssembly.Module.customSections(new WebAssembly.Module(bytes), SECTION);
  return section && new TextDecoder().decode(section);
}

/** The module with the hash in it. */
function seal(bytes) {
  const name = Buffer.from(SECTION);
  const content = Buffer.concat([Buffer.of(name.length), name, Buffer.from(sourcesHash())]);
  // Below 128 a length is one byte.
  return Buffer.concat([bytes, Buffer.of(0, content.length), content]);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  const [from, to] = process.argv.slice(2);
  writeFileSync(to, seal(readFileSync(from)));
}
