//! Everything that can go wrong, in one flat enum that fits a register pair.

use thiserror::Error;

/// Why a model file, a buffer, a text or a setting was refused.
///
/// All checks happen before a computation starts: in [`Model::from_bytes`](crate::Model::from_bytes)
/// for files, and at the call that takes a buffer, a text or a setting for those.
#[derive(Clone, Copy, Debug, PartialEq, Error)]
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
    Checksum,
    /// The header can't be decoded or has bytes left over.
    #[error("the model's header is malformed")]
    Header,
    /// The vocabulary is empty, unsorted, repeats a character or has more than 65,535 tokens.
    #[error(
        "the model's vocabulary is invalid: characters must be sorted and distinct, and marks must follow them"
    )]
    Vocabulary,
    /// A size is zero or overflows, or sizes and file length disagree.
    #[error(
        "the model's sizes are invalid: one is zero or too large, or they do not match the file's length"
    )]
    Sizes,
    /// A weight is infinite or not a number.
    #[error("the model has a weight that is infinite or not a number")]
    NonFiniteWeight,
    /// Weights or scales of an integer model exceed their formats, so that a sum could overflow.
    #[error("the model's weights or scales are invalid: a sum could overflow")]
    Multiplier,
    /// The runtime was built without the model's precision.
    #[error("this runtime was built without the model's precision: enable its feature")]
    Precision,
    /// This processor lacks a backend's instructions, or the build has another backend.
    #[error("this backend can't run here: the processor or the build lacks it")]
    Backend,
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
    /// The model has no such layer.
    #[error("the model has no layer {0}")]
    UnknownLayer(usize),
    /// The model has no such token.
    #[error("the model has no token {0}")]
    UnknownToken(u16),
    /// The model's vocabulary lacks a character.
    #[error("the model does not know the character {0:?}")]
    UnknownChar(char),
    /// A temperature is not a positive, finite number.
    #[error("the temperature must be a positive number, use greedy sampling for the limit of 0")]
    Temperature,
    /// top_k is 0 or larger than the vocabulary.
    #[error("top_k must be between 1 and the size of the vocabulary")]
    TopK,
    /// top_p is not in (0, 1].
    #[error("top_p must be greater than 0 and at most 1")]
    TopP,
}
