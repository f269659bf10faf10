//! Models that are part of the program: checked and measured while it is compiled.
//!
//! What a macro defines must not be named where a name of the caller's is used, and a pattern that binds
//! is taken for a static of that name, if the caller has one. So checks are functions, and the macros
//! bind nothing.

use crate::error::Error;
use crate::format::Sizes;
use crate::model::Model;

/// The [`Sizes`](crate::Sizes) of a model's bytes as a constant; bytes that are no model fail the
/// build.
#[macro_export]
macro_rules! sizes_of {
    ($model:expr) => {
        const { $crate::__sizes($model) }
    };
}

/// A model file as part of the program: its bytes, as a `&'static [u8]` that starts at a multiple of
/// 16, where every kernel is at its fastest.
///
/// The path is relative to the source file, as with [`include_bytes!`]. Bytes that are no model fail
/// the build. [`model!`](crate::model) does more: it checks the whole file while compiling, so that
/// the program needn't.
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
        static FILE: &Aligned<[::core::primitive::u8]> = &Aligned(*::core::include_bytes!($path));
        let _ = $crate::sizes_of!(&FILE.0);
        &FILE.0
    }};
}

/// Makes a model of a file, as a type with one value: `model!(NAMES, "names.charlet")`.
///
/// The path is relative to the source file, as with [`include_bytes!`]. The file becomes part of the
/// program, aligned as kernels like it, and is checked while compiling, down to the checksum and the
/// last weight: a damaged one fails the build. On the chip nothing is left to check, and what can't
/// be wrong has no error:
///
/// | item | what it is |
/// | --- | --- |
/// | `NAMES.session()` | a new [`Session`](crate::Session) with memory of exactly the model's size |
/// | `NAMES.model()` | the [`Model`](crate::Model), `&'static` |
/// | `NAMES.sizes()` | its [`Sizes`](crate::Sizes) |
/// | `NAMES.bytes()` | the file, for whoever suspects the flash: [`Model::from_bytes`](crate::Model::from_bytes) checks it again |
/// | `SessionOf<NAMES>` | the type of its sessions, for a field of a struct |
///
/// All of them are constant functions, so that a session can be a static. `NAMES` is a value too: write
/// `NAMES.session()`, not `NAMES::session()`. Its documentation stands inside the macro.
///
/// ```
/// use charlet::SessionOf;
///
/// charlet::model!(
///     /// Makes names.
///     pub NAMES, "../doc/names-tiny.charlet"
/// );
///
/// struct App {
///     names: SessionOf<NAMES>,
/// }
///
/// let app = App { names: NAMES.session() };
/// assert_eq!(app.names.model().header().hidden_size, 48);
/// ```
///
/// A file that is no whole model doesn't compile:
///
/// ```compile_fail
/// charlet::model!(NAMES, "lib.rs");
/// let session = NAMES.session();
/// ```
#[macro_export]
macro_rules! model {
    ($(#[$attribute:meta])* $visibility:vis $name:ident, $path:expr $(,)?) => {
        $(#[$attribute])*
        #[allow(non_camel_case_types, clippy::upper_case_acronyms)]
        #[derive(Clone, Copy, Debug)]
        $visibility struct $name;

        #[allow(dead_code)]
        impl $name {
            /// The model's file.
            $visibility const fn bytes(self) -> &'static [::core::primitive::u8] {
                $crate::include_model!($path)
            }

            /// The model, which was checked while compiling.
            #[allow(long_running_const_eval)]
            $visibility const fn model(self) -> &'static $crate::Model<'static> {
                const { &$crate::__model($name.bytes()) }
            }

            /// The words of memory that a session has.
            $visibility const fn sizes(self) -> $crate::Sizes {
                $crate::sizes_of!($name.bytes())
            }

            /// A session at the start of a text.
            $visibility const fn session(self) -> $crate::SessionOf<Self> {
                $crate::__kernel_hint!();
                $crate::Session::from_parts(
                    self.model(),
                    $crate::State::zero(),
                    $crate::Workspace::new(),
                )
            }
        }

        impl $crate::StaticModel for $name {
            type State = [::core::primitive::u32; $name.sizes().state];
            type Workspace = [::core::primitive::u32; $name.sizes().workspace];
        }
    };
}

/// A model's sizes, or a build that fails.
#[doc(hidden)]
#[track_caller]
pub const fn __sizes(file: &[u8]) -> Sizes {
    match Sizes::read(file) {
        Ok(sizes) => sizes,
        Err(error) => fail(error),
    }
}

/// A model, or a build that fails.
#[doc(hidden)]
#[track_caller]
pub const fn __model(file: &[u8]) -> Model<'_> {
    match Model::from_bytes(file) {
        Ok(model) => model,
        Err(error) => fail(error),
    }
}

#[expect(
    clippy::panic,
    reason = "it is called while compiling: the build fails"
)]
#[track_caller]
const fn fail(error: Error) -> ! {
    panic!("{}", error.of_build())
}

/// What [`model!`](crate::model) makes: a model whose memory has a size that is known while compiling.
pub trait StaticModel {
    /// The words of a state.
    type State;
    /// The words of a workspace.
    type Workspace;
}

/// The session of a model that [`model!`](crate::model) made.
pub type SessionOf<M> =
    crate::session::Session<'static, <M as StaticModel>::State, <M as StaticModel>::Workspace>;

/// Warns whoever builds for an Armv8-M core without naming it: the kernel that needs no DSP
/// instructions is 1.8 times slower. A build script's warning wouldn't be shown for a dependency.
#[doc(hidden)]
#[macro_export]
#[cfg(not(kernel_hint))]
macro_rules! __kernel_hint {
    () => {};
}

#[doc(hidden)]
#[macro_export]
#[cfg(kernel_hint)]
macro_rules! __kernel_hint {
    () => {
        $crate::__build_for_your_core()
    };
}

#[doc(hidden)]
#[cfg(kernel_hint)]
#[deprecated(
    note = "this build does without the core's DSP instructions and is 1.8 times slower: add \
            `-C target-cpu=cortex-m33`, or what your core is called, to the rustflags; \
            `-C target-feature=-dsp` says that it has none"
)]
pub const fn __build_for_your_core() {}
