// The memory of a model: the module allocates nothing, so JavaScript hands it out.

const PAGE = 65536;
const ALIGN = 16;

/** Why a call failed: the runtime's sentence, and its number in charlet.h as `code`, if it has one. */
export class CharletError extends Error {
  name = "CharletError";

  constructor(message, code) {
    super(message);
    this.code = code;
  }
}

/**
 * One instance of the module and its memory, which belong to one model. With the model and its sessions the garbage
 * collector takes the whole memory. Blocks of one size come back and are used again; nothing else is freed.
 */
export class Memory {
  #memory;
  /** The first byte that nobody has. */
  #end;
  #scratch = { at: 0, size: 0 };

  constructor(exports) {
    this.calls = exports;
    this.#memory = exports.memory;
    this.#end = exports.__heap_base.value;
  }

  /** The address of so many new bytes. */
  allocate(size) {
    const at = Math.ceil(this.#end / ALIGN) * ALIGN;
    const missing = at + size - this.#memory.buffer.byteLength;
    if (missing > 0) {
      try {
        this.#memory.grow(Math.ceil(missing / PAGE));
      } catch {
        throw new CharletError(`there is no memory for ${size} bytes more`);
      }
    }
    this.#end = at + size;
    return at;
  }

  /** Bytes that the next call may use again. They double, so that all of them are at most twice the longest. */
  scratch(size) {
    if (size > this.#scratch.size) {
      const larger = Math.max(size, 2 * this.#scratch.size);
      this.#scratch = { at: this.allocate(larger), size: larger };
    }
    return this.#scratch.at;
  }

  // Growing detaches what was seen before: look anew after each call that may allocate.

  bytes(at, length) {
    return new Uint8Array(this.#memory.buffer, at, length);
  }

  words(at, length) {
    return new Uint32Array(this.#memory.buffer, at, length);
  }

  floats(at, length) {
    return new Float32Array(this.#memory.buffer, at, length);
  }

  /** Throws what the runtime says of an error. */
  check(code) {
    if (code === 0) return;
    const text = this.calls.charlet_error_text(code);
    const rest = new Uint8Array(this.#memory.buffer, text);
    throw new CharletError(new TextDecoder().decode(rest.subarray(0, rest.indexOf(0))), code);
  }
}
