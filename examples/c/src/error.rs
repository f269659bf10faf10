//! Every error as a number, and what it says.

use core::ffi::{CStr, c_char};

use runtime::Error;

/// Why a call failed. 0 is success; numbers stay what they are.
#[repr(i32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum charlet_error {
    /// Nothing is wrong.
    CHARLET_OK = 0,
    /// A pointer is NULL that must not be.
    CHARLET_NULL = 1,
    /// What was given was never initialised, or is used up. Only memory of zeros is sure to be noticed.
    CHARLET_NOT_INITIALIZED = 2,
    /// The memory does not start at a multiple of CHARLET_ALIGN.
    CHARLET_MISALIGNED = 3,
    /// The memory is smaller than charlet_session_size says.
    CHARLET_MEMORY_SIZE = 4,
    /// The text is not UTF-8, or the number is no character.
    CHARLET_NOT_UTF8 = 5,
    /// A buffer has another length than is needed.
    CHARLET_BUFFER_LENGTH = 6,
    /// The buffer is full. Of charlet_decompress it may also mean a damaged message, or one of another model.
    CHARLET_BUFFER_FULL = 7,
    /// The first bytes are not those of a model.
    CHARLET_NOT_A_MODEL = 8,
    /// The model is shorter than it says.
    CHARLET_TRUNCATED = 9,
    /// Bytes follow the end of the model.
    CHARLET_TRAILING_BYTES = 10,
    /// The model has a format that this library does not know.
    CHARLET_UNSUPPORTED_VERSION = 11,
    /// The checksum does not match.
    CHARLET_CHECKSUM_MISMATCH = 12,
    /// The header can't be decoded.
    CHARLET_INVALID_HEADER = 13,
    /// The alphabet is invalid.
    CHARLET_INVALID_VOCABULARY = 14,
    /// A size is invalid.
    CHARLET_INVALID_SIZES = 15,
    /// A weight is infinite or not a number, or a sum could overflow.
    CHARLET_INVALID_WEIGHT = 16,
    /// A scale is invalid.
    CHARLET_INVALID_SCALE = 17,
    /// The library was built without single precision.
    CHARLET_UNSUPPORTED_PRECISION = 18,
    /// The message is damaged, or was made with another model.
    CHARLET_CORRUPT_MESSAGE = 19,
    /// The session was saved with another model.
    CHARLET_OTHER_MODEL = 20,
    /// The model has no such layer.
    CHARLET_UNKNOWN_LAYER = 21,
    /// The model has no such token.
    CHARLET_UNKNOWN_TOKEN = 22,
    /// The model does not know a character.
    CHARLET_UNKNOWN_CHAR = 23,
    /// The temperature is not a positive number.
    CHARLET_INVALID_TEMPERATURE = 24,
    /// top_p is not in (0, 1].
    CHARLET_INVALID_TOP_P = 25,
    /// Another error, of a newer runtime.
    CHARLET_OTHER_ERROR = 26,
}

use charlet_error::*;

impl From<Error> for charlet_error {
    fn from(error: Error) -> Self {
        // SAFETY: it is the number of one of them, made narrow and wide again.
        unsafe { core::mem::transmute::<i32, Self>(i32::from(Self::narrow(error))) }
    }
}

impl charlet_error {
    /// The number of an error of the runtime: one table wherever it is needed, and of bytes, which takes a quarter of
    /// one of numbers as C has them.
    #[inline(never)]
    fn narrow(error: Error) -> u8 {
        (match error {
            Error::NotAModel => CHARLET_NOT_A_MODEL,
            Error::Truncated { .. } => CHARLET_TRUNCATED,
            Error::TrailingBytes(_) => CHARLET_TRAILING_BYTES,
            Error::UnsupportedVersion { .. } => CHARLET_UNSUPPORTED_VERSION,
            Error::ChecksumMismatch => CHARLET_CHECKSUM_MISMATCH,
            Error::InvalidHeader => CHARLET_INVALID_HEADER,
            Error::InvalidVocabulary => CHARLET_INVALID_VOCABULARY,
            Error::InvalidSizes => CHARLET_INVALID_SIZES,
            Error::NonFiniteWeight | Error::InvalidWeight => CHARLET_INVALID_WEIGHT,
            Error::InvalidScale => CHARLET_INVALID_SCALE,
            Error::UnsupportedPrecision => CHARLET_UNSUPPORTED_PRECISION,
            Error::StateSize { .. } | Error::WorkspaceSize { .. } => CHARLET_MEMORY_SIZE,
            Error::BufferLength { .. } => CHARLET_BUFFER_LENGTH,
            Error::BufferFull => CHARLET_BUFFER_FULL,
            Error::CorruptMessage => CHARLET_CORRUPT_MESSAGE,
            Error::OtherModel { .. } => CHARLET_OTHER_MODEL,
            Error::UnknownLayer(_) => CHARLET_UNKNOWN_LAYER,
            Error::UnknownToken(_) => CHARLET_UNKNOWN_TOKEN,
            Error::UnknownChar(_) => CHARLET_UNKNOWN_CHAR,
            Error::InvalidTemperature => CHARLET_INVALID_TEMPERATURE,
            Error::InvalidTopP => CHARLET_INVALID_TOP_P,
            _ => CHARLET_OTHER_ERROR,
        }) as u8
    }
}

/// What a function of C returns.
pub(crate) fn code(result: Result<(), charlet_error>) -> charlet_error {
    match result {
        Ok(()) => CHARLET_OK,
        Err(error) => error,
    }
}

/// What an error says, in English and without a full stop. Any number will do.
#[unsafe(no_mangle)]
pub extern "C" fn charlet_error_text(error: i32) -> *const c_char {
    text(error).as_ptr()
}

fn text(error: i32) -> &'static CStr {
    const TEXTS: [&CStr; 27] = [
        c"no error",
        c"a pointer is NULL that must not be",
        c"the model, sampler, encoder or decoder was not initialised, or is used up",
        c"the memory must start at a multiple of CHARLET_ALIGN",
        c"the memory is too small: charlet_session_size tells how much the model needs",
        c"the text is not UTF-8, or the number is no character",
        c"the buffer has another length than is needed",
        c"the buffer is full: give a larger one",
        c"not a charlet model: the file does not start with the magic bytes",
        c"the model file is truncated",
        c"bytes follow the end of the model: pass exactly the model's bytes",
        c"the model has another format version: update charlet or export the model again",
        c"the model file is corrupt: its checksum does not match, copy or flash it again",
        c"the model's header is malformed",
        c"the model's vocabulary is invalid",
        c"the model's sizes are invalid: one is zero or too large, or they do not match the file's length",
        c"the model has an invalid weight: export the model again",
        c"the model's scales are invalid: export the model again",
        c"this library was built without single precision: build it with the feature f32, or export the model in i8 or i4",
        c"the message is damaged, or was compressed with another model or setting",
        c"the session was saved with another model",
        c"the model has no such layer",
        c"the model has no such token",
        c"the model does not know a character",
        c"the temperature must be a number above 1e-38, or 0 for the most probable character",
        c"top_p must be greater than 0 and at most 1",
        c"another error",
    ];
    let at = usize::try_from(error).unwrap_or(usize::MAX);
    TEXTS.get(at).copied().unwrap_or(c"no such error")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the runtime says begins the same, up to its numbers.
    #[test]
    fn texts_are_those_of_the_runtime() {
        let errors = [
            Error::NotAModel,
            Error::Truncated {
                expected: 2,
                actual: 1,
            },
            Error::ChecksumMismatch,
            Error::InvalidHeader,
            Error::CorruptMessage,
            Error::BufferFull,
            Error::InvalidTopP,
        ];
        for error in errors {
            let said = text(charlet_error::from(error) as i32).to_str().unwrap();
            let runtime = std::format!("{error}");
            assert!(runtime.starts_with(said), "{said} is not {runtime}");
        }
        assert_eq!(text(-1), c"no such error");
        assert_eq!(text(27), c"no such error");
        assert_eq!(text(CHARLET_OTHER_ERROR as i32), c"another error");
    }
}
