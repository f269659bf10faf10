//! The model file: what stands where. `FORMAT.md` is the byte map.

mod crc;
mod header;
#[cfg(feature = "write")]
pub mod layout;
#[cfg(not(feature = "write"))]
#[allow(dead_code, unreachable_pub, reason = "some of it is for writers only")]
pub(crate) mod layout;
mod prelude;
pub(crate) mod utf8;
#[cfg(feature = "write")]
mod write;

pub(crate) use crc::Crc;
pub(crate) use header::read_header;
pub use header::{Cell, Header, Input, Precision};
pub use layout::WeightBits;
pub(crate) use prelude::Prelude;
pub use prelude::{MAGIC, PRELUDE_LEN, Sizes, VERSION};
#[cfg(feature = "write")]
pub use write::{file_len, write};

/// The weights start at a multiple of this.
pub const WEIGHTS_ALIGN: usize = 16;

/// Zero bytes between the header and the weights.
pub(crate) const fn padding(header_len: usize) -> usize {
    PRELUDE_LEN.wrapping_add(header_len).wrapping_neg() % WEIGHTS_ALIGN
}
