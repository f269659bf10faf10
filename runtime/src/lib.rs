//! Runs character-level LSTM models on microcontrollers and desktops: `no_std`, without allocation,
//! with the same text everywhere.
//!
//! A model is trained and exported by the `charlet` command of the crate `charlet-trainer`. Its file
//! becomes part of the program, is checked while compiling, and is read in place, from flash or
//! wherever it lies:
//!
//! ```
//! use charlet::{Rng, Sampler};
//!
//! charlet::model!(NAMES, "../doc/names-tiny.charlet");
//!
//! let sampler = const { Sampler::with_temperature(0.8) }?;
//! let mut rng = Rng::from_seed(1);
//! let mut session = NAMES.session();
//! session.start_text(); // A new session needs none; one whose last text was cut off does.
//! let name: String = session.generate(sampler, || rng.next_u32()).take(20).collect();
//! assert_eq!(name, "lisije");
//! # Ok::<(), charlet::Error>(())
//! ```
//!
//! A [`Session`] is a text on its way. It makes characters ([`Session::generate`], or one at a time
//! with [`Session::next_char`]), reads a prompt, tells how probable a text is
//! ([`Session::score_text`]), and can be cloned, saved and restored. [`Model::step`] is one turn of
//! the network, for everything else:
//!
//! ```text
//!             +----------- h, c of every layer: State -----------+
//!             v                                                  |
//! token -> input table -> LSTM layer -> ... -> LSTM layer -> head -> logits -> Sampler -> token
//! ```
//!
//! # Memory
//! A model says how many words of memory it needs in its first 32 bytes, so that [`model!`] can size
//! a session while compiling. Nothing is allocated, and nothing panics: what can be wrong with a file,
//! a buffer or a setting is an [`Error`] before anything is computed. A file that comes at run time is
//! checked once, by [`Model::from_bytes`].
//!
//! # Features
//! None is on by default.
//!
//! | feature | what it brings |
//! | --- | --- |
//! | `f32` | models in single precision; without it no floating-point code is linked |
//! | `alloc` | `Session::boxed`, which allocates its memory |
//! | `batch` | [`Batch`]: several texts advance together, for which the weights are read once |
//! | `defmt` | `defmt::Format` for `Error`, `Ending`, `Sampler`, `Rng`, `Sizes`, `Token`, `Header`, `Backend`, `State`, `Workspace` |
//! | `rand_core_0_6`, `rand_core_0_9`, `rand_core_0_10` | [`Rng`] as a generator of these versions; sampling takes any closure and needs none |
//! | `write` | the trainer's half: writing the format, with postcard and serde, and choosing the [`Backend`] to measure |
//!
//! # The same bits everywhere
//! Models in integers (`i8`, `i4`) follow [`arithmetic`] to the bit, whatever the backend. In `f32`
//! sums are taken in a fixed order, from the first input to the last, each product and each sum
//! rounded once and never fused; [`arithmetic::activation`] uses only operations that IEEE 754 defines
//! to the bit. What compilers must not do by that standard, rustc does not.
//!
//! # Rooms
//! The crate's modules, in the order in which they build on each other: each uses only those above it.
//!
//! ```text
//! error       everything that can go wrong
//! format      the model file, byte by byte
//! arithmetic  sigmoid, tanh and the LSTM cell, in floats and in integers
//! arch        weights times inputs, with the instructions of each chip
//! vocab       characters and tokens
//! state       h, c and the memory of a step
//! network     which weights meet which inputs: one step
//! logits      what a step predicts
//! model       a checked file
//! sampler     how the next token is chosen
//! rng         random numbers from a seed
//! session     a text on its way
//! generator   characters from a session
//! scorer      probabilities from a session
//! batch       sessions that take their steps together
//! coder       compressed text from a session, and back
//! include     models as part of a program
//! ```
#![no_std]
#![deny(unsafe_code)]
#![warn(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

#[cfg(feature = "alloc")]
extern crate alloc;

mod arch;
pub mod arithmetic;
#[cfg(feature = "batch")]
mod batch;
mod coder;
mod error;
pub mod format;
mod generator;
mod include;
mod logits;
mod model;
mod network;
mod rng;
mod sampler;
mod scorer;
mod session;
mod state;
mod vocab;

/// What is defined beside the code, for whoever reads or writes models without it.
#[cfg(all(doc, not(doctest)))]
pub mod specification {
    /// [ARITHMETIC.md]: arithmetic
    #[doc = include_str!("../FORMAT.md")]
    pub mod format {}

    #[doc = include_str!("../ARITHMETIC.md")]
    pub mod arithmetic {}

    #[doc = include_str!("../COMPRESSION.md")]
    pub mod compression {}
}

pub use arch::Backend;
#[cfg(feature = "batch")]
pub use batch::Batch;
pub use coder::{Decoder, Encoder};
pub use error::Error;
#[doc(inline)]
pub use format::Sizes;
pub use generator::{Ending, Generator};
#[cfg(kernel_hint)]
#[doc(hidden)]
#[allow(deprecated, reason = "it is for others to be warned")]
pub use include::__build_for_your_core;
#[doc(hidden)]
pub use include::{__model, __sizes};
pub use include::{SessionOf, StaticModel};
pub use logits::Logits;
pub use model::{Loader, Model};
pub use rng::Rng;
pub use sampler::Sampler;
#[cfg(feature = "alloc")]
pub use session::BoxedSession;
pub use session::Session;
pub use state::{State, Workspace};
pub use vocab::{Token, Vocab, is_utf8};
