//! Runs character-level LSTM models on microcontrollers and desktops: `no_std`, without allocation,
//! with the same text everywhere.
//!
//! A model is trained and exported by the `charlet` command of the crate `charlet-trainer`. Its file
//! is checked once by [`Model::from_bytes`] and then read in place, from flash or wherever it lies.
//! A character goes in, the [`State`] of the caller moves on, and the [`Logits`] for the next
//! character come out:
//!
//! ```text
//!             +----------- h, c of every layer: State -----------+
//!             v                                                  |
//! token -> input table -> LSTM layer -> ... -> LSTM layer -> head -> logits -> Sampler -> token
//! ```
//!
//! [`Generator`] runs that loop and is an iterator of characters; [`Scorer`] tells how probable a
//! text is; [`Model::step`] is one turn of it, for everything else.
//!
//! ```
//! use charlet::{Model, State, Workspace, sizes_of, Sizes};
//! # macro_rules! include_bytes { ($p:literal) => { core::include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/", $p)) } }
//!
//! static NAMES: &[u8] = include_bytes!("names-tiny.charlet");
//! const SIZES: Sizes = sizes_of!(NAMES);
//!
//! let model = Model::from_bytes(NAMES)?;
//! let mut state = State::<[u32; SIZES.state]>::zero();
//! let mut workspace = Workspace::<[u32; SIZES.workspace]>::new();
//! // A name starts; what is its first letter most likely?
//! let logits = model.step(model.vocab().start(), &mut state, &mut workspace)?;
//! let first = model.vocab().char(logits.greedy());
//! # assert!(first.is_some_and(|letter| letter.is_ascii_lowercase()));
//! # Ok::<(), charlet::Error>(())
//! ```
//!
//! # Memory
//! A model says how many words of memory it needs in its first 32 bytes, so that firmware can size
//! its buffers when it is built ([`sizes_of!`]). Nothing is allocated, and nothing panics: what can
//! be wrong with a file, a buffer or a setting is an [`Error`] before anything is computed.
//!
//! # The same bits everywhere
//! Models in integers (`i8`, `i4`) follow `ARITHMETIC.md` to the bit, whatever the backend. In `f32` sums
//! are taken in a fixed order, from the first input to the last, each product and each sum
//! rounded once and never fused; [`activation`] uses only operations that IEEE 754 defines to the
//! bit. What compilers must not do by that standard, rustc does not.
#![no_std]
#![deny(unsafe_code)]
#![warn(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

pub mod activation;
mod backend;
mod cell;
mod error;
mod fixed;
#[cfg(feature = "f32")]
mod float;
pub mod format;
mod generate;
mod integer;
mod kernel;
pub mod layout;
mod logits;
mod model;
mod network;
mod sample;
mod score;
mod state;
mod utf8;
mod vocab;

/// What is defined beside the code, for whoever reads or writes models without it.
#[cfg(all(doc, not(doctest)))]
pub mod specification {
    /// [ARITHMETIC.md]: arithmetic
    #[doc = include_str!("../FORMAT.md")]
    pub mod format {}

    #[doc = include_str!("../ARITHMETIC.md")]
    pub mod arithmetic {}
}

pub use backend::Backend;
pub use error::Error;
pub use format::Sizes;
pub use generate::Generator;
pub use logits::Logits;
pub use model::Model;
pub use sample::Sampler;
pub use score::Scorer;
pub use state::{State, Workspace};
pub use vocab::{Token, Vocab};
