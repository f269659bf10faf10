//! Everything that can go wrong, in one flat enum that fits a register pair.

use thiserror::Error;

/// Why a model file, a buffer, a text or a setting was refused.
///
/// All checks happen before a computation starts: in [`Model::from_bytes`](crate::Model::from_bytes)
/// for files, and at the call that takes a buffer, a text or a setting for those.
#[derive(Clone, Copy, Debug, PartialEq, Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Error {
    /// The first bytes are not those of a charlet model.
    #[error("not a charlet model: the file does not start with the magic bytes")]
    NotAModel,
    /// The file is shorter than it says, or too short to say.
    #[error("the model file is truncated: {expected} bytes expected, {actual} found")]
    Truncated {
        /// Bytes that the file should have, as far as is known.
        expected: usize,
        /// Bytes that were given.
        actual: usize,
    },
    /// Bytes follow the end of the model.
    #[error("{0} bytes follow the end of the model: pass exactly the model's bytes")]
    TrailingBytes(usize),
    /// The file was written in a format that this version does not know.
    #[error(
        "the model has format version {found}, this runtime reads version {supported}: update charlet or export the model again"
    )]
    UnsupportedVersion {
        /// The file's version.
        found: u16,
        /// The version that this runtime reads.
        supported: u16,
    },
    /// The contents do not match the checksum.
    #[error("the model file is corrupt: its checksum does not match, copy or flash it again")]
    ChecksumMismatch,
    /// The header can't be decoded or has bytes left over.
    #[error("the model's header is malformed")]
    InvalidHeader,
    /// The vocabulary is empty, unsorted, repeats a character or has more than 65,535 tokens.
    #[error(
        "the model's vocabulary is invalid: characters must be sorted and distinct, and marks must follow them"
    )]
    InvalidVocabulary,
    /// A size is zero or overflows, or sizes and file length disagree.
    #[error(
        "the model's sizes are invalid: one is zero or too large, or they do not match the file's length"
    )]
    InvalidSizes,
    /// A weight is infinite or not a number.
    #[error("the model has a weight that is infinite or not a number")]
    NonFiniteWeight,
    /// The weights of a row of an integer model are so large that a sum could overflow, or rows of a model
    /// in single precision that are padding are not zero.
    #[error(
        "the model's weights are invalid: a sum could overflow, or padding is not zero; export the model again"
    )]
    InvalidWeight,
    /// A scale of an integer model has too many bits, or a shift is too large.
    #[error("the model's scales are invalid: a sum could overflow, export the model again")]
    InvalidScale,
    /// The runtime was built without the model's precision.
    #[error(
        "this runtime was built without single precision: enable charlet's feature `f32`, or export the model in i8 or i4"
    )]
    UnsupportedPrecision,
    /// This processor lacks a backend's instructions, or the build has another backend.
    #[error("this backend can't run here: the processor or the build lacks it")]
    UnavailableBackend,
    /// The state has another size than the model's.
    #[error("the state has {actual} words, the model needs exactly {expected}")]
    StateSize {
        /// Words that the model's state has.
        expected: usize,
        /// Words that were given.
        actual: usize,
    },
    /// The workspace is too small for the model.
    #[error("the workspace has {actual} words, the model needs at least {expected}")]
    WorkspaceSize {
        /// Words that the model needs.
        expected: usize,
        /// Words that were given.
        actual: usize,
    },
    /// A slice of values or bytes has the wrong length.
    #[error("the buffer has {actual} elements, exactly {expected} are needed")]
    BufferLength {
        /// Elements that are needed.
        expected: usize,
        /// Elements that were given.
        actual: usize,
    },
    /// There is no room for all bytes or characters.
    #[error("the buffer is full: give a larger one")]
    BufferFull,
    /// A compressed message is damaged, or was made with another model or setting.
    #[error("the message is damaged, or was compressed with another model or setting")]
    CorruptMessage,
    /// A saved session belongs to another model.
    #[error(
        "the session was saved with another model: its checksum is {found:08x}, this model's is {expected:08x}"
    )]
    OtherModel {
        /// The [checksum](crate::Model::checksum) of the model that was to go on.
        expected: u32,
        /// The checksum of the model that the session was saved with.
        found: u32,
    },
    /// The model has no such layer.
    #[error("the model has no layer {0}")]
    UnknownLayer(usize),
    /// The model has no such token.
    #[error("the model has no token {0}")]
    UnknownToken(u16),
    /// The model's vocabulary lacks a character.
    #[error("the model does not know the character {0:?}")]
    UnknownChar(char),
    /// A temperature, or its inverse, is not a positive, finite number.
    #[error("the temperature must be a number above 1e-38; argmax is the limit at 0")]
    InvalidTemperature,
    /// top_k is 0.
    #[error("top_k must be at least 1")]
    InvalidTopK,
    /// top_p is not in (0, 1].
    #[error("top_p must be greater than 0 and at most 1")]
    InvalidTopP,
}

impl Error {
    /// What a build that fails says: while compiling, numbers can't be formatted.
    pub(crate) const fn of_build(&self) -> &'static str {
        match self {
            Self::NotAModel => "charlet: this file is no model",
            Self::Truncated { .. } => "charlet: the model file is truncated",
            Self::TrailingBytes(_) => "charlet: bytes follow the end of the model file",
            Self::UnsupportedVersion { .. } => {
                "charlet: the model file has another format version: export it again, or update charlet"
            }
            Self::ChecksumMismatch => {
                "charlet: the model file is corrupt: its checksum does not match"
            }
            Self::UnsupportedPrecision => {
                "charlet: the model is in single precision: enable charlet's feature `f32`, or export it in i8 or i4"
            }
            _ => "charlet: the model file is invalid: `charlet info` says why",
        }
    }
}
