// charlet: runs character LSTMs with the arithmetic of the chips. README.md shows how, charlet.d.ts has all of it.
import { CharletError, Memory } from "./memory.js";
import { instantiate } from "./module.js";

export { CharletError };
export { hasSimd } from "./module.js";

// Bytes of what charlet.h calls charlet_model, charlet_info, charlet_sampler and charlet_rng, on 32 bits.
const MODEL_SIZE = 128;
const INFO_WORDS = 11;
const SAMPLER_SIZE = 40;
const RNG_WORDS = 4;
/** Code of an error: CHARLET_NOT_UTF8. */
const NOT_UTF8 = 5;
/** Code of an error: CHARLET_UNKNOWN_TOKEN. */
const UNKNOWN_TOKEN = 22;
/** Code of an error: CHARLET_UNKNOWN_CHAR. */
const UNKNOWN_CHAR = 23;

/** Memory of sessions that were dropped without `free` goes back to their model. */
const dropped = new FinalizationRegistry(({ blocks, at }) => blocks.push(at));

/** A whole number from 0 to `most`; WebAssembly would cut off bits of any other. */
function whole(name, value, most) {
  const number = typeof value === "bigint" ? value : Number.isSafeInteger(value) ? BigInt(value) : -1n;
  if (number < 0n || number > most) {
    throw new CharletError(`${name} must be a whole number from 0 to ${most}, not ${String(value)}`);
  }
  return number;
}

function randomSeed() {
  return crypto.getRandomValues(new BigUint64Array(1))[0];
}

/** A text as UTF-8. */
function utf8(memory, text) {
  if (typeof text !== "string") throw new TypeError("the text must be a string");
  // A half of a pair, of which TextEncoder would make another character.
  if (/\p{Surrogate}/u.test(text)) memory.check(NOT_UTF8);
  return new TextEncoder().encode(text);
}

/** A checked model, in memory of its own. */
export class Model {
  #memory;
  #at;
  /** Addresses of sessions' memory that can be used again. */
  #blocks = [];
  #tokens;
  info;
  chars;

  constructor(memory, bytes) {
    this.#memory = memory;
    this.#at = memory.allocate(MODEL_SIZE);
    const file = memory.allocate(bytes.length);
    memory.bytes(file, bytes.length).set(bytes);
    memory.check(memory.calls.charlet_model_from_bytes(this.#at, file, bytes.length));
    this.info = this.#readInfo(bytes.length);
    this.chars = this.#readChars();
    this.#tokens = new Map(this.chars.map((char, token) => [char, token]));
  }

  static async fromBytes(bytes, { wasm } = {}) {
    if (bytes instanceof ArrayBuffer) bytes = new Uint8Array(bytes);
    if (!(bytes instanceof Uint8Array)) throw new TypeError("a model is a Uint8Array or an ArrayBuffer");
    return new Model(new Memory(await instantiate(wasm)), bytes);
  }

  #readInfo(fileSize) {
    const memory = this.#memory;
    const at = memory.scratch(4 * INFO_WORDS);
    memory.check(memory.calls.charlet_model_info(this.#at, at));
    const words = memory.words(at, INFO_WORDS);
    const mark = (word) => (word === 0xffffffff ? null : word);
    const [vocabSize, start, end, unknown, embeddingSize, hiddenSize, numLayers, weightBits, checksum] = words;
    const [sessionSize, savedSize] = words.subarray(9);
    return Object.freeze({
      vocabSize,
      start,
      end: mark(end),
      unknown: mark(unknown),
      embeddingSize,
      hiddenSize,
      numLayers,
      weightBits,
      checksum,
      fileSize,
      sessionSize,
      savedSize,
    });
  }

  #readChars() {
    const chars = Array.from({ length: this.info.vocabSize }, (_, token) => {
      const char = this.#memory.calls.charlet_model_char(this.#at, token);
      return char < 0 ? null : String.fromCodePoint(char);
    });
    return Object.freeze(chars);
  }

  token(char) {
    const token = typeof char === "string" ? (this.#tokens.get(char) ?? this.info.unknown) : null;
    if (token === null) this.#memory.check(UNKNOWN_CHAR);
    return token;
  }

  session({ seed = randomSeed(), ...options } = {}) {
    const { sessionSize } = this.info;
    const size = Math.ceil(sessionSize / 8) * 8;
    const at = this.#blocks.pop() ?? this.#memory.allocate(size + SAMPLER_SIZE + 4 * RNG_WORDS);
    const place = this.#memory.scratch(4);
    const session = new Session({
      model: this,
      memory: this.#memory,
      blocks: this.#blocks,
      at,
      sampler: at + size,
      rng: at + size + SAMPLER_SIZE,
    });
    this.#memory.check(this.#memory.calls.charlet_session_init(place, this.#at, at, sessionSize));
    return session.configure({ seed, ...options });
  }
}

/** A text on its way: `Model.session` makes it. */
class Session {
  #model;
  #memory;
  #blocks;
  /** Its address; 0 once its memory is given back. */
  #at;
  #sampler;
  #rng;
  #options = { temperature: 0.8, topK: 0, topP: 1 };

  constructor({ model, memory, blocks, at, sampler, rng }) {
    this.#model = model;
    this.#memory = memory;
    this.#blocks = blocks;
    this.#at = at;
    this.#sampler = sampler;
    this.#rng = rng;
    dropped.register(this, { blocks, at }, this);
  }

  get model() {
    return this.#model;
  }

  get options() {
    return { ...this.#options };
  }

  configure(options = {}) {
    const { seed = this.#options.seed, topK = this.#options.topK, topP = this.#options.topP } = options;
    const temperature = Number(options.temperature ?? this.#options.temperature);
    const bits = BigInt.asIntN(64, whole("seed", seed, 2n ** 64n - 1n));
    const kept = Number(whole("topK", topK, 2n ** 32n - 1n));
    // One that is refused becomes zeros, so it is made elsewhere first.
    const trial = this.#memory.scratch(SAMPLER_SIZE);
    this.#check(this.#calls.charlet_sampler_init(trial, temperature, kept, Number(topP)));
    this.#memory.bytes(this.#sampler, SAMPLER_SIZE).set(this.#memory.bytes(trial, SAMPLER_SIZE));
    if (options.seed !== undefined) this.#calls.charlet_rng_seed(this.#rng, bits);
    this.#options = { seed, temperature, topK, topP };
    return this;
  }

  start() {
    this.#check(this.#calls.charlet_session_start(this.#at));
    return this;
  }

  prompt(text) {
    const { at, length } = this.#put(utf8(this.#memory, text));
    this.#check(this.#calls.charlet_session_prompt(this.#at, at, length));
    return this;
  }

  next() {
    // As the command does: who always takes the most probable character draws no number.
    const random = this.#options.temperature === 0 ? 0 : this.#calls.charlet_rng_next(this.#rng);
    const char = this.#calls.charlet_session_next(this.#at, this.#sampler, random);
    return char < 0 ? null : String.fromCodePoint(char);
  }

  *generate(maxChars = Infinity) {
    for (let count = 0; count < maxChars; count++) {
      const char = this.next();
      if (char === null) return;
      yield char;
    }
  }

  step(token) {
    const { vocabSize } = this.#model.info;
    const at = this.#memory.scratch(4 * vocabSize);
    this.#check(this.#calls.charlet_session_step(this.#at, this.#token(token), at, vocabSize));
    return this.#memory.floats(at, vocabSize).slice();
  }

  setNext(token) {
    this.#check(this.#calls.charlet_session_set_next(this.#at, this.#token(token)));
    return this;
  }

  probabilities() {
    const { info, chars } = this.#model;
    const { position } = this.save();
    // Behind the checksum there is the token that comes next.
    const next = new DataView(position.buffer).getUint32(4, true);
    const logits = this.step(next);
    this.restore({ position });
    // The mark for unknown characters is never chosen.
    if (info.unknown !== null) logits[info.unknown] = -Infinity;
    const largest = logits.reduce((a, b) => Math.max(a, b));
    const weights = Float64Array.from(logits, (logit) => Math.exp(logit - largest));
    const sum = weights.reduce((a, b) => a + b);
    return Array.from(weights, (weight, token) => ({ char: chars[token], token, probability: weight / sum }))
      .filter(({ token }) => token !== info.unknown)
      .sort((a, b) => b.probability - a.probability);
  }

  layers() {
    const { numLayers, hiddenSize } = this.#model.info;
    const at = this.#memory.scratch(8 * hiddenSize);
    return Array.from({ length: numLayers }, (_, layer) => {
      this.#check(this.#calls.charlet_session_layer(this.#at, layer, at, at + 4 * hiddenSize, hiddenSize));
      const values = this.#memory.floats(at, 2 * hiddenSize);
      return { h: values.slice(0, hiddenSize), c: values.slice(hiddenSize) };
    });
  }

  save() {
    const { savedSize } = this.#model.info;
    const at = this.#memory.scratch(savedSize);
    this.#check(this.#calls.charlet_session_save(this.#at, at, savedSize));
    const position = this.#memory.bytes(at, savedSize).slice();
    return { position, random: this.#memory.words(this.#rng, RNG_WORDS).slice() };
  }

  restore({ position, random }) {
    if (random && random.length !== RNG_WORDS) throw new CharletError(`random must be ${RNG_WORDS} words`);
    const { at, length } = this.#put(position);
    this.#check(this.#calls.charlet_session_restore(this.#at, at, length));
    if (random) this.#memory.words(this.#rng, RNG_WORDS).set(random);
    return this;
  }

  fork() {
    return this.#model.session(this.options).restore(this.save());
  }

  score(text) {
    const bytes = utf8(this.#memory, text);
    const nats = this.#keepingPosition(() => {
      const { at, length, end } = this.#put(bytes, 4);
      this.#check(this.#calls.charlet_session_score(this.#at, at, length, end));
      return this.#memory.floats(end, 1)[0];
    });
    const bits = nats === 0 ? 0 : -nats / Math.LN2;
    // The end is one of them, where the model marks it.
    const count = [...text].length + (this.#model.info.end === null ? 0 : 1);
    return { bits, bitsPerChar: bits / Math.max(count, 1) };
  }

  compress(text, { check = false } = {}) {
    const bytes = utf8(this.#memory, text);
    return this.#keepingPosition(() => {
      // At most one byte more than the text, one for the check, and the number of bytes before.
      const room = bytes.length + 2;
      const { at, length, end } = this.#put(bytes, 4 + room);
      this.#check(this.#calls.charlet_compress(this.#at, at, length, check, end + 4, room, end));
      return this.#memory.bytes(end + 4, this.#memory.words(end, 1)[0]).slice();
    });
  }

  decompress(message, { check = false, maxBytes = 65536 } = {}) {
    // And a NUL behind the text.
    const room = Number(whole("maxBytes", maxBytes, 2n ** 28n)) + 1;
    return this.#keepingPosition(() => {
      const { at, length, end } = this.#put(message, 4 + room);
      this.#check(this.#calls.charlet_decompress(this.#at, at, length, check, end + 4, room, end));
      // A byte order mark is a character of the text.
      const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
      return decoder.decode(this.#memory.bytes(end + 4, this.#memory.words(end, 1)[0]));
    });
  }

  free() {
    if (this.#at === 0) return;
    dropped.unregister(this);
    this.#blocks.push(this.#at);
    this.#at = 0;
  }

  /** The runtime's functions, unless the memory was given back. */
  get #calls() {
    if (this.#at === 0) throw new CharletError("the session was freed");
    return this.#memory.calls;
  }

  #check(code) {
    this.#memory.check(code);
  }

  /** A token, or that of a character. */
  #token(token) {
    if (typeof token === "string") return this.#model.token(token);
    if (!(Number.isInteger(token) && token >= 0 && token < this.#model.info.vocabSize)) {
      this.#memory.check(UNKNOWN_TOKEN);
    }
    return token;
  }

  /** Bytes in scratch, with room for so many behind: `end` is where that begins, a multiple of 4. */
  #put(bytes, room = 0) {
    if (!(bytes instanceof Uint8Array)) throw new TypeError("these must be bytes: a Uint8Array");
    const { length } = bytes;
    const padded = Math.ceil(length / 4) * 4;
    const at = this.#memory.scratch(padded + room);
    this.#memory.bytes(at, length).set(bytes);
    return { at, length, end: at + padded };
  }

  /** The runtime gives up the session's own text for a whole other one; here it goes on afterwards. */
  #keepingPosition(work) {
    const { position } = this.save();
    try {
      return work();
    } finally {
      this.restore({ position });
    }
  }
}
