//! The model file: what stands where, for reading and for writing. `FORMAT.md` is the byte map.

use crc::{CRC_32_ISO_HDLC, Crc, NoTable};
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::layout::{IntegerSections, Sections};

/// The first bytes of every model. The line feed at the end shows a file that was sent as text.
pub const MAGIC: [u8; 8] = *b"charlet\n";
/// The format version that this runtime reads and writes.
pub const VERSION: u16 = 1;
/// Bytes before the header.
pub const PRELUDE_LEN: usize = 32;
/// The weights start at a multiple of this.
pub const WEIGHTS_ALIGN: usize = 16;

/// A bit at a time: slower than a table, but 1 KB smaller, and a model is checked once.
const CRC: Crc<u32, NoTable> = Crc::<u32, NoTable>::new(&CRC_32_ISO_HDLC);

/// The kind of recurrent cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Cell {
    /// Long short-term memory with gates i, f, g, o and no peepholes, as PyTorch's `nn.LSTM`.
    Lstm,
}

/// The number format of weights, states and arithmetic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Precision {
    /// 32-bit floating point.
    F32,
    /// Integers only, with weights of 8 bits.
    I8,
    /// Integers only, with weights of 4 bits in the layers and 8 in the head.
    I4,
}

impl core::fmt::Display for Precision {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::F32 => f.pad("f32"),
            Self::I8 => f.pad("i8"),
            Self::I4 => f.pad("i4"),
        }
    }
}

/// What a model is: its alphabet, shape and precision. Encoded with postcard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header<'a> {
    /// The kind of recurrent cell.
    pub cell: Cell,
    /// The number format.
    pub precision: Precision,
    /// The characters in ascending order; their tokens are `0, 1, 2, ...`.
    pub chars: &'a str,
    /// Number of tokens: the characters, then the marks.
    pub vocab_size: u16,
    /// The token that is fed before a text's first character.
    pub start: u16,
    /// The mark that ends a text; `None` for models of running text.
    pub end: Option<u16>,
    /// Size of the embedding that was trained; it is folded into the input table.
    pub embedding_size: u16,
    /// Hidden units per layer.
    pub hidden_size: u16,
    /// Number of LSTM layers.
    pub num_layers: u16,
}

/// The words of memory that a model needs, known before it is loaded.
///
/// ```
/// use charlet::{Sizes, State, sizes_of};
/// # macro_rules! include_bytes { ($p:literal) => { core::include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/", $p)) } }
///
/// static NAMES: &[u8] = include_bytes!("names-tiny.charlet");
/// const SIZES: Sizes = sizes_of!(NAMES);
/// static STATE: State<[u32; SIZES.state]> = State::zero();
/// # assert_eq!((SIZES.state, SIZES.ram_bytes()), (60, 444));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    pub fn of(header: &Header<'_>) -> Option<Self> {
        let hidden = usize::from(header.hidden_size);
        // Words of h of a layer, and of what a step needs beside the logits.
        let (h, scratch) = match IntegerSections::of(header) {
            // In single precision nothing is padded.
            None => (hidden, hidden),
            Some(sections) => (sections.padded_hidden / 4, sections.most_columns() / 2),
        };
        Some(Self {
            state: (h + hidden).checked_mul(usize::from(header.num_layers))?,
            workspace: scratch + usize::from(header.vocab_size),
        })
    }

    /// Bytes of one state and one workspace.
    pub const fn ram_bytes(&self) -> usize {
        4 * (self.state + self.workspace)
    }
}

/// The [`Sizes`] of a model's bytes as a constant; bytes that are no model fail the build.
#[macro_export]
macro_rules! sizes_of {
    ($model:expr) => {
        const {
            match $crate::Sizes::read($model) {
                Ok(sizes) => sizes,
                Err(_) => panic!("these bytes are no charlet model of this version"),
            }
        }
    };
}

/// A model file as part of the program: its bytes, as a `&'static [u8]` that starts at a multiple of
/// 16, where every kernel is at its fastest.
///
/// The path is relative to the source file, as with [`include_bytes!`]. Bytes that are no model fail
/// the build; damaged ones are refused by [`Model::from_bytes`](crate::Model::from_bytes).
///
/// ```
/// use charlet::{Model, Sizes, State, include_model, sizes_of};
///
/// static NAMES: &[u8] = include_model!("../doc/names-tiny.charlet");
/// const SIZES: Sizes = sizes_of!(NAMES);
/// static STATE: State<[u32; SIZES.state]> = State::zero();
///
/// let model = Model::from_bytes(NAMES)?;
/// # assert_eq!(model.sizes(), SIZES);
/// # Ok::<(), charlet::Error>(())
/// ```
#[macro_export]
macro_rules! include_model {
    ($path:expr $(,)?) => {{
        #[repr(C, align(16))]
        struct Aligned<B: ?Sized>(B);
        static FILE: &Aligned<[u8]> = &Aligned(*include_bytes!($path));
        let _ = $crate::sizes_of!(&FILE.0);
        &FILE.0
    }};
}

/// The fixed part at the start of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Prelude {
    pub(crate) header_len: u32,
    pub(crate) file_len: u32,
    state_words: u32,
    workspace_words: u32,
}

impl Prelude {
    /// Reads the prelude and checks magic and version, in this order.
    pub(crate) const fn read(bytes: &[u8]) -> Result<Self, Error> {
        let Some(prelude) = bytes.first_chunk::<PRELUDE_LEN>() else {
            return Err(match bytes.first_chunk::<8>() {
                Some(magic) if u64::from_le_bytes(*magic) != u64::from_le_bytes(MAGIC) => {
                    Error::NotAModel
                }
                _ => Error::Truncated {
                    expected: PRELUDE_LEN,
                    actual: bytes.len(),
                },
            });
        };
        let [m0, m1, m2, m3, m4, m5, m6, m7, v0, v1, _, _, rest @ ..] = *prelude;
        let magic = u64::from_le_bytes([m0, m1, m2, m3, m4, m5, m6, m7]);
        if magic != u64::from_le_bytes(MAGIC) {
            return Err(Error::NotAModel);
        }
        let found = u16::from_le_bytes([v0, v1]);
        if found != VERSION {
            return Err(Error::UnsupportedVersion {
                found,
                supported: VERSION,
            });
        }
        let [
            h0,
            h1,
            h2,
            h3,
            f0,
            f1,
            f2,
            f3,
            s0,
            s1,
            s2,
            s3,
            w0,
            w1,
            w2,
            w3,
            ..,
        ] = rest;
        Ok(Self {
            header_len: u32::from_le_bytes([h0, h1, h2, h3]),
            file_len: u32::from_le_bytes([f0, f1, f2, f3]),
            state_words: u32::from_le_bytes([s0, s1, s2, s3]),
            workspace_words: u32::from_le_bytes([w0, w1, w2, w3]),
        })
    }

    pub(crate) const fn sizes(&self) -> Sizes {
        Sizes {
            state: self.state_words as usize,
            workspace: self.workspace_words as usize,
        }
    }
}

/// A model file taken apart: lengths and checksum are right, contents not looked at yet.
pub(crate) struct Parts<'a> {
    pub(crate) sizes: Sizes,
    /// The header without its characters.
    pub(crate) header: Header<'a>,
    /// The characters, which may be no UTF-8 yet.
    pub(crate) chars: &'a [u8],
    pub(crate) weights: &'a [u8],
}

/// Takes a file apart.
pub(crate) fn read(bytes: &[u8]) -> Result<Parts<'_>, Error> {
    let prelude = Prelude::read(bytes)?;
    let file_len = prelude.file_len as usize;
    if bytes.len() < file_len {
        return Err(Error::Truncated {
            expected: file_len,
            actual: bytes.len(),
        });
    }
    if bytes.len() > file_len {
        return Err(Error::TrailingBytes(bytes.len() - file_len));
    }
    let (covered, body) = bytes.split_at_checked(PRELUDE_LEN).ok_or(Error::Header)?;
    let (covered, stored) = covered.split_last_chunk::<4>().ok_or(Error::Header)?;
    if checksum(covered, body) != u32::from_le_bytes(*stored) {
        return Err(Error::Checksum);
    }
    let header_len = prelude.header_len as usize;
    let (mut fields, rest) = body.split_at_checked(header_len).ok_or(Error::Header)?;
    let (header, chars) = read_header(&mut fields).ok_or(Error::Header)?;
    let (padding, weights) = rest
        .split_at_checked(padding(header_len))
        .ok_or(Error::Header)?;
    if !fields.is_empty() || padding.iter().any(|&byte| byte != 0) {
        return Err(Error::Header);
    }
    Ok(Parts {
        sizes: prelude.sizes(),
        header,
        chars,
        weights,
    })
}

/// Takes a header off the front, and its characters apart, which may be no UTF-8.
///
/// It is what postcard writes; with postcard, reading it would take 900 bytes more of a firmware.
fn read_header<'a>(bytes: &mut &'a [u8]) -> Option<(Header<'a>, &'a [u8])> {
    let cell = match varint(bytes)? {
        0 => Cell::Lstm,
        _ => return None,
    };
    let precision = match varint(bytes)? {
        0 => Precision::F32,
        1 => Precision::I8,
        2 => Precision::I4,
        _ => return None,
    };
    let len = varint(bytes)?;
    let chars = bytes.split_off(..len)?;
    let header = Header {
        cell,
        precision,
        chars: "",
        vocab_size: size(bytes)?,
        start: size(bytes)?,
        end: match bytes.split_off_first()? {
            0 => None,
            1 => Some(size(bytes)?),
            _ => return None,
        },
        embedding_size: size(bytes)?,
        hidden_size: size(bytes)?,
        num_layers: size(bytes)?,
    };
    Some((header, chars))
}

/// Takes a varint of at most three bytes off the front: the length of 65,535 characters needs no more.
fn varint(bytes: &mut &[u8]) -> Option<usize> {
    let last = bytes.iter().position(|byte| byte & 0x80 == 0)?;
    if last > 2 {
        return None;
    }
    let digits = bytes.split_off(..=last)?.iter();
    Some(digits.rfold(0, |value, &byte| value << 7 | usize::from(byte & 0x7f)))
}

/// Takes a varint of 16 bits off the front.
fn size(bytes: &mut &[u8]) -> Option<u16> {
    varint(bytes)?.try_into().ok()
}

/// Bytes of a whole file with this header; `None` if its sizes overflow.
pub fn file_len(header: &Header<'_>) -> Option<usize> {
    let header_len = postcard::experimental::serialized_size(header).ok()?;
    let weights = match header.precision {
        Precision::F32 => Sections::of(header)?.bytes()?,
        Precision::I8 | Precision::I4 => IntegerSections::of(header)?.bytes()?,
    };
    let len = PRELUDE_LEN
        .checked_add(header_len)?
        .checked_add(padding(header_len))?;
    // The length must also fit the prelude's field.
    len.checked_add(weights)
        .filter(|&len| u32::try_from(len).is_ok())
}

/// Writes a whole file into `out`, which must have [`file_len`] bytes; `fill` puts the weights into
/// their place, zeroed before.
///
/// # Errors
/// [`Error::Sizes`] if the header's sizes overflow or `out` has another length.
pub fn write(
    header: &Header<'_>,
    out: &mut [u8],
    fill: impl FnOnce(&mut [u8]),
) -> Result<(), Error> {
    let (Some(len), Some(sizes)) = (file_len(header), Sizes::of(header)) else {
        return Err(Error::Sizes);
    };
    if out.len() != len {
        return Err(Error::Sizes);
    }
    out.fill(0);
    let (prelude, body) = out.split_at_mut_checked(PRELUDE_LEN).ok_or(Error::Sizes)?;
    let header_len = postcard::to_slice(header, body)
        .map_err(|_| Error::Sizes)?
        .len();
    if let Some(weights) = body.get_mut(header_len + padding(header_len)..) {
        fill(weights);
    }
    let (prelude, stored) = prelude.split_last_chunk_mut::<4>().ok_or(Error::Sizes)?;
    let fields = [header_len, len, sizes.state, sizes.workspace];
    let version = VERSION.to_le_bytes().into_iter().chain([0, 0]);
    let fields = fields
        .into_iter()
        .flat_map(|field| (field as u32).to_le_bytes());
    for (byte, value) in prelude
        .iter_mut()
        .zip(MAGIC.into_iter().chain(version).chain(fields))
    {
        *byte = value;
    }
    *stored = checksum(prelude, body).to_le_bytes();
    Ok(())
}

/// Zero bytes between the header and the weights.
fn padding(header_len: usize) -> usize {
    (PRELUDE_LEN + header_len).wrapping_neg() % WEIGHTS_ALIGN
}

/// The checksum of a file, which lies between these two parts.
fn checksum(before: &[u8], after: &[u8]) -> u32 {
    let mut digest = CRC.digest();
    digest.update(before);
    digest.update(after);
    digest.finalize()
}
