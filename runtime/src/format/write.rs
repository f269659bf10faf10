//! Writing the file: the trainer's half.

use super::layout::{IntegerSections, Sections};
use super::{Crc, Header, MAGIC, PRELUDE_LEN, Precision, Sizes, padding};
use crate::error::Error;

/// A header as its version has it.
#[derive(serde::Serialize)]
#[serde(untagged)]
enum Written<'h> {
    First(&'h Header<'h>),
    Second(&'h Header<'h>, u8),
}

impl<'h> Written<'h> {
    fn of(header: &'h Header<'h>) -> Self {
        match header.version() {
            1 => Self::First(header),
            _ => Self::Second(header, header.flags()),
        }
    }
}

/// Bytes of a whole file with this header; `None` if its sizes overflow.
pub fn file_len(header: &Header<'_>) -> Option<usize> {
    let header_len = postcard::experimental::serialized_size(&Written::of(header)).ok()?;
    let weights = match header.precision {
        Precision::F32 => Sections::of(header)?.bytes(),
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
/// [`Error::InvalidSizes`] if the header's sizes overflow, and [`Error::BufferLength`] if `out` has
/// another length.
pub fn write(
    header: &Header<'_>,
    out: &mut [u8],
    fill: impl FnOnce(&mut [u8]),
) -> Result<(), Error> {
    let (Some(len), Some(sizes)) = (file_len(header), Sizes::of(header)) else {
        return Err(Error::InvalidSizes);
    };
    if out.len() != len {
        return Err(Error::BufferLength {
            expected: len,
            actual: out.len(),
        });
    }
    out.fill(0);
    let (prelude, body) = out
        .split_at_mut_checked(PRELUDE_LEN)
        .ok_or(Error::InvalidSizes)?;
    let header_len = postcard::to_slice(&Written::of(header), body)
        .map_err(|_| Error::InvalidSizes)?
        .len();
    if let Some(weights) = body.get_mut(header_len + padding(header_len)..) {
        fill(weights);
    }
    let (prelude, stored) = prelude
        .split_last_chunk_mut::<4>()
        .ok_or(Error::InvalidSizes)?;
    let fields = [header_len, len, sizes.state, sizes.workspace];
    let version = header.version().to_le_bytes().into_iter().chain([0, 0]);
    let fields = fields
        .into_iter()
        .flat_map(|field| (field as u32).to_le_bytes());
    for (byte, value) in prelude
        .iter_mut()
        .zip(MAGIC.into_iter().chain(version).chain(fields))
    {
        *byte = value;
    }
    *stored = Crc::new()
        .update(prelude)
        .update(body)
        .finish()
        .to_le_bytes();
    Ok(())
}
