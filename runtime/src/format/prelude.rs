//! The first 32 bytes of the file, and the memory that they tell a build of.

use super::header::Header;
use super::layout::IntegerSections;
use crate::error::Error;

/// The first bytes of every model. The line feed at the end shows a file that was sent as text.
pub const MAGIC: [u8; 8] = *b"charlet\n";
/// The newest format version that this runtime reads and writes; it reads all before.
pub const VERSION: u16 = 2;
/// Bytes before the header.
pub const PRELUDE_LEN: usize = 32;

/// The words of memory that a model needs, known before it is loaded.
///
/// ```
/// use charlet::{Sizes, State, include_model, sizes_of};
///
/// static NAMES: &[u8] = include_model!("../../doc/names-tiny.charlet");
/// const SIZES: Sizes = sizes_of!(NAMES);
/// static STATE: State<[u32; SIZES.state]> = State::zero();
/// # assert_eq!((SIZES.state, SIZES.ram_bytes()), (60, 444));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Sizes {
    /// Words of a [`State`](crate::State).
    pub state: usize,
    /// Words of a [`Workspace`](crate::Workspace).
    pub workspace: usize,
}

impl Sizes {
    /// Reads the sizes from a model's first bytes, also while compiling: see [`sizes_of!`](crate::sizes_of).
    ///
    /// # Errors
    /// Those of a file that is no model, is too short, or has another version.
    pub const fn read(bytes: &[u8]) -> Result<Self, Error> {
        match Prelude::read(bytes) {
            Ok(prelude) => Ok(prelude.sizes()),
            Err(error) => Err(error),
        }
    }

    /// What a model with this header needs; `None` if that overflows.
    pub const fn of(header: &Header<'_>) -> Option<Self> {
        Self::with(header, IntegerSections::of(header))
    }

    /// The same where the sections are known.
    pub(crate) const fn with(
        header: &Header<'_>,
        sections: Option<IntegerSections>,
    ) -> Option<Self> {
        let hidden = header.hidden_size as usize;
        // Words of h of a layer, and of what a step needs beside the logits.
        let (h, scratch) = match sections {
            // In single precision nothing is padded.
            None => (hidden, hidden),
            Some(sections) => (sections.padded_hidden / 4, sections.most_columns() / 2),
        };
        let Some(state) = (h + hidden).checked_mul(header.num_layers as usize) else {
            return None;
        };
        Some(Self {
            state,
            workspace: scratch + header.vocab_size as usize,
        })
    }

    /// Bytes of one state and one workspace.
    pub const fn ram_bytes(&self) -> usize {
        4 * (self.state + self.workspace)
    }
}

/// The fixed part at the start of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Prelude {
    pub(crate) version: u16,
    /// Zero in every model.
    pub(crate) unused: u16,
    pub(crate) header_len: u32,
    pub(crate) file_len: u32,
    state_words: u32,
    workspace_words: u32,
    pub(crate) checksum: u32,
}

impl Prelude {
    /// Reads the prelude and checks magic and version, in this order.
    pub(crate) const fn read(bytes: &[u8]) -> Result<Self, Error> {
        let (mut begun, mut magic): (&[u8], &[u8]) = (bytes, &MAGIC);
        while let ([byte, rest @ ..], [expected, left @ ..]) = (begun, magic) {
            if *byte != *expected {
                return Err(Error::NotAModel);
            }
            (begun, magic) = (rest, left);
        }
        let [
            _,
            _,
            version,
            header_len,
            file_len,
            state_words,
            workspace_words,
            checksum,
            ..,
        ] = bytes.as_chunks().0
        else {
            return Err(Error::Truncated {
                expected: PRELUDE_LEN,
                actual: bytes.len(),
            });
        };
        let version = u32::from_le_bytes(*version);
        let (version, unused) = (version as u16, (version >> 16) as u16);
        if version == 0 || version > VERSION {
            return Err(Error::UnsupportedVersion {
                found: version,
                supported: VERSION,
            });
        }
        Ok(Self {
            version,
            unused,
            header_len: u32::from_le_bytes(*header_len),
            file_len: u32::from_le_bytes(*file_len),
            state_words: u32::from_le_bytes(*state_words),
            workspace_words: u32::from_le_bytes(*workspace_words),
            checksum: u32::from_le_bytes(*checksum),
        })
    }

    pub(crate) const fn sizes(&self) -> Sizes {
        Sizes {
            state: self.state_words as usize,
            workspace: self.workspace_words as usize,
        }
    }
}
