// node --test examples/web/: both modules against the text and the messages that the chips make.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { CharletError, Model, hasSimd } from "./charlet.js";
import { recordedHash, sourcesHash } from "./sources.mjs";

const root = new URL("../../", import.meta.url);
const read = (path) => readFileSync(new URL(path, root));
const namesFile = read("models/names/names-i8.charlet");
const MODULES = ["charlet.wasm", "charlet-simd.wasm"];
const TRANSCRIPTS = {
  names: "names/names",
  "names-i8": "names/names-i8",
  "names-i4": "names/names-i4",
  "names-tiny": "names-tiny/names-tiny",
};

const wasm = (name) => readFileSync(new URL(name, import.meta.url));
const loadNames = () => Model.fromBytes(namesFile);
const refused = (code) => (error) => error instanceof CharletError && error.code === code && error.message.length > 0;

for (const module of MODULES) {
  test(`${module} was made from these sources: if not, .ci/run module makes it`, () => {
    assert.equal(recordedHash(wasm(module)), sourcesHash());
  });

  test(`${module} is small and imports nothing, so that no panic can be reached`, () => {
    assert.ok(wasm(module).length <= 40 * 1024, `${wasm(module).length} bytes`);
    assert.deepEqual(WebAssembly.Module.imports(new WebAssembly.Module(wasm(module))), []);
  });

  for (const [transcript, file] of Object.entries(TRANSCRIPTS)) {
    test(`${module} makes the golden text of ${transcript}`, async () => {
      const model = await Model.fromBytes(read(`models/${file}.charlet`), { wasm: wasm(module) });
      const session = model.session({ seed: 1, temperature: 0.8 });
      const lines = Array.from({ length: 20 }, () => [...session.start().generate(20)].join(""));
      for (const [title, temperature] of [["", 0.8], ["most probable, ", 0]]) {
        session.configure({ temperature });
        for (const beginning of ["", "ma", "zxq"]) {
          const rest = [...session.start().prompt(beginning).generate(20 - beginning.length)];
          lines.push(`${title}"${beginning}": ${beginning}${rest.join("")} Ok(())`);
        }
      }
      const golden = read(`examples/firmware/transcript/${transcript}.txt`).toString().trimEnd().split("\n");
      assert.deepEqual(lines, golden.filter((line) => !line.includes("UnknownChar")));
    });
  }

  test(`${module} writes and reads the messages of COMPRESSION.md`, async () => {
    const session = (await Model.fromBytes(namesFile, { wasm: wasm(module) })).session();
    const hex = (bytes) => Buffer.from(bytes).toString("hex");
    const vectors = [...read("runtime/COMPRESSION.md").toString().matchAll(/^\| `(".*")` \| `(.*)` \| `(.*)` \|$/gm)];
    assert.equal(vectors.length, 8);
    for (const [, json, plain, checked] of vectors) {
      const text = JSON.parse(json);
      for (const [check, expected] of [[false, plain], [true, checked]]) {
        const message = session.compress(text, { check });
        assert.equal(hex(message), expected.replaceAll(" ", ""));
        assert.equal(session.decompress(message, { check }), text);
      }
    }
  });
}

test("the module beside is found, and has SIMD here", async () => {
  assert.ok(hasSimd);
  const { info, chars } = await loadNames();
  assert.equal(info.fileSize, namesFile.length);
  assert.deepEqual([info.vocabSize, info.hiddenSize, info.weightBits, info.end, info.unknown], [27, 128, 8, 26, null]);
  assert.equal(chars.slice(0, 26).join(""), "abcdefghijklmnopqrstuvwxyz");
  assert.equal(chars[26], null);
});

test("a saved session goes on with the same text, and so does a fork", async () => {
  const session = (await loadNames()).session({ seed: 2n ** 64n - 1n });
  session.prompt("an");
  const saved = structuredClone(session.save());
  const rest = [...session.generate(20)].join("");
  const fork = session.restore(saved).fork();
  assert.equal([...session.generate(20)].join(""), rest);
  assert.equal([...fork.generate(20)].join(""), rest);
  assert.notEqual([...(await loadNames()).session({ seed: 2n ** 63n }).prompt("an").generate(20)].join(""), rest);
});

test("probabilities, step, score and layers agree, and change no text", async () => {
  const session = (await loadNames()).session({ seed: 1 });
  const { model } = session;
  const before = session.prompt("mar").save();
  const next = session.probabilities();
  assert.ok(Math.abs(next.reduce((sum, { probability }) => sum + probability, 0) - 1) < 1e-9);
  assert.ok(next.every(({ probability }, at) => at === 0 || probability <= next[at - 1].probability));
  assert.equal(next[0].char, session.fork().configure({ temperature: 0 }).next());
  // The bits of "mari" and its end, by way of one probability a character.
  const other = model.session();
  let bits = 0;
  for (const char of ["m", "a", "r", "i", null]) {
    bits -= Math.log2(other.probabilities().find((each) => each.char === char).probability);
    if (char) other.prompt(char);
  }
  const score = session.score("mari");
  assert.ok(Math.abs(score.bits - bits) < 1e-3, `${score.bits} is not ${bits}`);
  assert.equal(score.bitsPerChar, score.bits / 5);
  session.decompress(session.compress("maria"));
  assert.deepEqual(session.save(), before);
  // A prompt feeds all but its last character.
  const stepped = model.session();
  for (const token of [model.info.start, "m", model.token("a")]) assert.equal(stepped.step(token).length, 27);
  assert.deepEqual(stepped.layers(), session.layers());
  assert.equal(stepped.layers()[0].c.length, 128);
  assert.deepEqual(stepped.setNext("r").save().position, before.position);
});

test("wrong inputs are errors with the runtime's sentences, and change nothing", async () => {
  const session = (await loadNames()).session({ seed: 1, topK: 5 });
  const before = session.prompt("ma").save();
  assert.throws(() => session.prompt("nZ"), refused(23));
  assert.throws(() => session.prompt("\ud800"), refused(5));
  assert.throws(() => session.prompt(7), TypeError);
  assert.throws(() => session.step(27), refused(22));
  assert.throws(() => session.step(65536), refused(22));
  assert.throws(() => session.step("Z"), refused(23));
  assert.throws(() => session.configure({ temperature: Number.NaN }), refused(24));
  assert.throws(() => session.configure({ temperature: -1, seed: 3 }), refused(24));
  assert.throws(() => session.configure({ topP: 0 }), refused(25));
  for (const seed of [-1, 0.5, 2 ** 53, 2n ** 64n, "1"]) {
    assert.throws(() => session.configure({ seed }), /seed must be a whole number/);
  }
  assert.throws(() => session.restore({ position: before.position.slice(1) }), refused(20));
  assert.throws(() => session.restore({ position: before.position.slice(0, -1) }), refused(6));
  assert.throws(() => session.decompress(Uint8Array.of(1, 2, 3), { check: true }), refused(19));
  assert.throws(() => session.decompress(session.compress("maria"), { maxBytes: 4 }), refused(7));
  assert.deepEqual(session.save(), before);
  assert.deepEqual(session.options, { seed: 1, temperature: 0.8, topK: 5, topP: 1 });
  const tiny = await Model.fromBytes(read("models/names-tiny/names-tiny.charlet"));
  assert.throws(() => tiny.session().restore(before), refused(20));
});

test("damaged models are errors", async () => {
  const fails = (bytes, code) => assert.rejects(Model.fromBytes(bytes), refused(code));
  await fails(new Uint8Array(0), 9);
  await fails(new TextEncoder().encode("no model, but long enough to be one: forty bytes and more"), 8);
  await fails(namesFile.subarray(0, -1), 9);
  await fails(Buffer.concat([namesFile, Buffer.of(0)]), 10);
  for (let at = 8; at < namesFile.length; at += 9973) {
    const damaged = Uint8Array.from(namesFile);
    damaged[at] ^= 1;
    await assert.rejects(Model.fromBytes(damaged), CharletError);
  }
  await assert.rejects(Model.fromBytes("names"), TypeError);
});

test("texts longer than a page of memory come back", async () => {
  const session = (await loadNames()).session();
  const text = "anna ".repeat(20_000);
  assert.equal(session.decompress(session.compress(text), { maxBytes: text.length }), text);
});

test("the memory of a freed session is used again, clean", async () => {
  const model = await loadNames();
  const text = () => {
    const session = model.session({ seed: 1 });
    const name = [...session.generate(20)].join("");
    session.prompt("ma").free();
    session.free();
    assert.throws(() => session.next(), /freed/);
    return name;
  };
  assert.equal(text(), "liuono");
  assert.equal(text(), "liuono");
});
