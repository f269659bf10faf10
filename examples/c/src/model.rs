//! Models, from bytes wherever they lie.

use core::mem::MaybeUninit;
use core::slice;

use runtime::format::Precision;
use runtime::{Error, Model, Token};

use crate::error::charlet_error::{self, *};
use crate::error::code;
use crate::memory::{Slot, check};
use crate::session::session_size;

/// A checked model: memory of yours, which charlet_model_from_bytes fills. While sessions use it, don't copy it, and
/// don't fill it again.
#[repr(C)]
pub struct charlet_model {
    /// What is in it is the library's.
    _opaque: MaybeUninit<[usize; 32]>,
}

type Inner = Slot<Model<'static>>;

const _: () = assert!(size_of::<Inner>() <= size_of::<charlet_model>());
const _: () = assert!(align_of::<Inner>() <= align_of::<charlet_model>());

/// What a model says of itself.
#[repr(C)]
pub struct charlet_info {
    /// Tokens: characters, then marks.
    pub vocab_size: u32,
    /// The token that is fed before a text's first character.
    pub start: i32,
    /// The mark that ends a text, or -1: models of running text have none.
    pub end: i32,
    /// The mark for characters that the model doesn't know, or -1.
    pub unknown: i32,
    /// Size of the embedding.
    pub embedding_size: u32,
    /// Hidden units per layer.
    pub hidden_size: u32,
    /// LSTM layers.
    pub num_layers: u32,
    /// Bits of a weight: 32 (single precision), 8 or 4.
    pub weight_bits: u32,
    /// The file's checksum: models with the same are the same.
    pub checksum: u32,
    /// Bytes of a session, as charlet_session_size tells.
    pub session_size: usize,
    /// Bytes of a saved session.
    pub saved_size: usize,
}

/// Checks a model file and borrows it: `bytes` must stay where they are, unchanged, as long as the model is
/// used. A multiple of 4 as their address is several times as fast on a Cortex-M4.
///
/// Any bytes are safe. Unless CHARLET_OK is returned, `model` can't be used.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn charlet_model_from_bytes(
    model: *mut charlet_model,
    bytes: *const u8,
    len: usize,
) -> charlet_error {
    let slot: *mut Inner = model.cast();
    if slot.is_null() {
        return CHARLET_NULL;
    }
    // SAFETY: there is room for it, as was asserted above.
    unsafe { Slot::clear(slot) };
    if let Err(error) = check(bytes, len) {
        return error;
    }
    // SAFETY: C keeps the bytes as long as the model, and the number was looked at.
    match load(unsafe { slice::from_raw_parts(bytes, len) }) {
        // SAFETY: as above.
        Ok(model) => code(unsafe { Slot::write(slot, model) }),
        Err(error) => error.into(),
    }
}

// Inlined it is 80 bytes more: a model that is put together in pieces is stored in pieces.
#[inline(never)]
fn load(bytes: &'static [u8]) -> Result<Model<'static>, Error> {
    Model::from_bytes(bytes)
}

#[cfg(feature = "builtin")]
mod builtin {
    use super::*;

    runtime::model!(BUILTIN, env!("CHARLET_MODEL"));

    /// The same memory as C and as the library see it.
    #[repr(C)]
    union Memory {
        slot: core::mem::ManuallyDrop<Inner>,
        opaque: MaybeUninit<[usize; 32]>,
    }

    /// The model that the variable CHARLET_MODEL named when the library was built with the feature `builtin`. It
    /// was checked while compiling: it needs no charlet_model_from_bytes, and no memory.
    #[unsafe(no_mangle)]
    pub static charlet_builtin: charlet_model = {
        let slot = core::mem::ManuallyDrop::new(Slot::new(*BUILTIN.model()));
        let memory = Memory { slot };
        charlet_model {
            // SAFETY: any bytes are memory that may be uninitialised.
            _opaque: unsafe { memory.opaque },
        }
    };
}

/// The model in memory of C.
///
/// # Safety
/// It is a `charlet_model`, or NULL.
pub(crate) unsafe fn model(
    model: *const charlet_model,
) -> Result<&'static Model<'static>, charlet_error> {
    // SAFETY: the caller promises it; nothing changes a model.
    unsafe { Slot::look(model.cast::<Inner>()) }
}

/// Tells what a model says of itself.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn charlet_model_info(
    model: *const charlet_model,
    info: *mut charlet_info,
) -> charlet_error {
    code((|| {
        // SAFETY: it is a model, or NULL.
        let model = unsafe { self::model(model) }?;
        if info.is_null() {
            return Err(CHARLET_NULL);
        }
        let (header, sizes) = (model.header(), model.sizes());
        let mark = |mark: Option<Token>| mark.map_or(-1, |mark| mark.0.into());
        let value = charlet_info {
            vocab_size: header.vocab_size.into(),
            start: header.start.into(),
            end: mark(model.vocab().end()),
            unknown: mark(model.vocab().unknown()),
            embedding_size: header.embedding_size.into(),
            hidden_size: header.hidden_size.into(),
            num_layers: header.num_layers.into(),
            weight_bits: match header.precision {
                Precision::I4 => 4,
                Precision::I8 => 8,
                _ => 32,
            },
            checksum: model.checksum(),
            session_size: session_size(model),
            saved_size: 8 + 4 * sizes.state,
        };
        // SAFETY: it is an info of C's.
        unsafe { info.write(value) };
        Ok(())
    })())
}

/// The token of a character, the mark for those that the model doesn't know, or -1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn charlet_model_token(model: *const charlet_model, character: i32) -> i32 {
    let char = u32::try_from(character).ok().and_then(char::from_u32);
    // SAFETY: it is a model, or NULL.
    let (Ok(model), Some(char)) = (unsafe { self::model(model) }, char) else {
        return -1;
    };
    let token = model.vocab().token_or_unknown(char);
    token.map_or(-1, |token| token.0.into())
}

/// The character of a token, or CHARLET_END: marks have none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn charlet_model_char(model: *const charlet_model, token: u16) -> i32 {
    // SAFETY: it is a model, or NULL.
    let Ok(model) = (unsafe { self::model(model) }) else {
        return -1;
    };
    crate::session::number(model.vocab().char(Token(token)))
}
