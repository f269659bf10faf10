//! Compressed text: whole messages, or a character at a time.

use core::ffi::{c_char, c_void};
use core::mem::MaybeUninit;

use runtime::{Decoder, Encoder, Error};

use crate::error::charlet_error::{self, *};
use crate::error::code;
use crate::memory::{Slot, Text, read, text, write};
use crate::session::{Words, charlet_session, number, session};

/// Compresses a text into `size` bytes, and tells how many of them the message takes: at most one more than
/// the text has, and one for the check. Any text will do. With `check`, 8 bits at the end tell a damaged message
/// from a whole one. Text and message must not overlap. The session's own text is given up.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn charlet_compress(
    session: *mut charlet_session,
    text: *const c_char,
    len: usize,
    check: bool,
    message: *mut u8,
    size: usize,
    message_len: *mut usize,
) -> charlet_error {
    code((|| {
        if message_len.is_null() {
            return Err(CHARLET_NULL);
        }
        // SAFETY: all are what they seem, or NULL.
        let (session, text, message) = unsafe {
            (
                self::session(session)?,
                self::text(text, len)?,
                write(message, size)?,
            )
        };
        let len = if check {
            session.compress_checked(text, message)
        } else {
            session.compress(text, message)
        }?;
        // SAFETY: it is a number of C's.
        unsafe { message_len.write(len) };
        Ok(())
    })())
}

/// Reads a message of the same model and the same `check` into `size` bytes, as UTF-8 with a NUL behind it,
/// which `text_len` doesn't count; it may be NULL. Text and message must not overlap. Any bytes are safe. The
/// session's own text is given up.
///
/// Use the text after CHARLET_OK only; after an error `text_len` is what it was. CHARLET_BUFFER_FULL may also mean
/// a damaged message, or one of another model: its text may have no end, and the work grows with `size`. Without
/// the check such a message is often CHARLET_OK, with another text.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn charlet_decompress(
    session: *mut charlet_session,
    message: *const u8,
    message_len: usize,
    check: bool,
    text: *mut c_char,
    size: usize,
    text_len: *mut usize,
) -> charlet_error {
    code((|| {
        // SAFETY: all are what they seem, or NULL.
        let (session, message, mut text) = unsafe {
            (
                self::session(session)?,
                read(message, message_len)?,
                Text::new(text, size)?,
            )
        };
        if check {
            session.decompress_checked(message, &mut text, size)
        } else {
            session.decompress(message, &mut text, size)
        }?;
        if !text_len.is_null() {
            // SAFETY: it is a number of C's.
            unsafe { text_len.write(text.len) };
        }
        Ok(())
    })())
}

/// Takes the next byte of a message; false if it can't. It must return: no longjmp, no exception of C++.
pub type charlet_put = Option<unsafe extern "C" fn(context: *mut c_void, byte: u8) -> bool>;
/// Gives the next byte of a message; a negative number at its end, as getc does. Any number but 0 to 255 is the
/// end. It must return: no longjmp, no exception of C++.
pub type charlet_get = Option<unsafe extern "C" fn(context: *mut c_void) -> i32>;

/// Compresses a text character by character: memory of yours, which charlet_encoder_init fills.
#[repr(C)]
pub struct charlet_encoder {
    /// What is in it is the library's.
    _opaque: MaybeUninit<[usize; 24]>,
}

/// Reads a message character by character: memory of yours, which charlet_decoder_init fills.
#[repr(C)]
pub struct charlet_decoder {
    /// What is in it is the library's.
    _opaque: MaybeUninit<[usize; 24]>,
}

/// What takes the bytes of an encoder.
fn out(
    put: unsafe extern "C" fn(*mut c_void, u8) -> bool,
    context: *mut c_void,
) -> impl FnMut(u8) -> Result<(), Error> {
    // SAFETY: C gave the function and its context for that.
    move |byte| match unsafe { put(context, byte) } {
        true => Ok(()),
        false => Err(Error::BufferFull),
    }
}

type EncoderSlot<O> = Slot<Option<Encoder<'static, 'static, Words, Words, O>>>;

/// The encoder in memory of C. The first argument names the type of what takes its bytes, which has no name.
fn encoder<O>(
    _: fn(unsafe extern "C" fn(*mut c_void, u8) -> bool, *mut c_void) -> O,
    encoder: *mut charlet_encoder,
) -> *mut EncoderSlot<O> {
    const {
        assert!(size_of::<EncoderSlot<O>>() <= size_of::<charlet_encoder>());
        assert!(align_of::<EncoderSlot<O>>() <= align_of::<charlet_encoder>());
    }
    encoder.cast()
}

/// Starts a message, whose bytes `put` takes with its `context`. The session's own text is given up; don't use
/// the session before charlet_encoder_finish.
///
/// Unlike charlet_compress it never stores the text as it is, so a text that the model doesn't expect takes more
/// bytes than it has: at most 6 for each character, and 6 more, check and end included.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn charlet_encoder_init(
    encoder: *mut charlet_encoder,
    session: *mut charlet_session,
    check: bool,
    put: charlet_put,
    context: *mut c_void,
) -> charlet_error {
    code((|| {
        let slot = self::encoder(out, encoder);
        // SAFETY: there is room for it.
        unsafe { Slot::clear(slot) };
        // SAFETY: it is a session, or NULL.
        let session = unsafe { self::session(session) }?;
        let encoder = Encoder::new(session, out(put.ok_or(CHARLET_NULL)?, context));
        let encoder = if check { encoder.with_check() } else { encoder };
        // SAFETY: as above.
        unsafe { Slot::write(slot, Some(encoder)) }
    })())
}

/// Compresses the next character: one step of the model.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn charlet_encoder_push(
    encoder: *mut charlet_encoder,
    character: i32,
) -> charlet_error {
    code((|| {
        // SAFETY: it is an encoder, or NULL.
        let encoder = unsafe { Slot::get(self::encoder(out, encoder)) }?;
        let char = u32::try_from(character).ok().and_then(char::from_u32);
        let char = char.ok_or(CHARLET_NOT_UTF8)?;
        encoder
            .as_mut()
            .ok_or(CHARLET_NOT_INITIALIZED)?
            .push(char)?;
        Ok(())
    })())
}

/// Ends the message. The encoder is used up.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn charlet_encoder_finish(encoder: *mut charlet_encoder) -> charlet_error {
    code((|| {
        let slot = self::encoder(out, encoder);
        // SAFETY: it is an encoder, or NULL.
        let encoder = unsafe { Slot::get(slot) }?.take();
        encoder.ok_or(CHARLET_NOT_INITIALIZED)?.finish()?;
        Ok(())
    })())
}

/// The bytes of a message, from C.
struct Bytes {
    get: unsafe extern "C" fn(*mut c_void) -> i32,
    context: *mut c_void,
    has_ended: bool,
}

impl Iterator for Bytes {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        if self.has_ended {
            return None;
        }
        // SAFETY: C gave the function and its context for that.
        let byte = u8::try_from(unsafe { (self.get)(self.context) });
        self.has_ended = byte.is_err();
        byte.ok()
    }
}

type DecoderSlot = Slot<Decoder<'static, 'static, Words, Words, Bytes>>;

const _: () = assert!(size_of::<DecoderSlot>() <= size_of::<charlet_decoder>());
const _: () = assert!(align_of::<DecoderSlot>() <= align_of::<charlet_decoder>());

/// Starts to read a message, whose bytes `get` gives with its `context`. The session's own text is given up; don't
/// use the session before the last character.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn charlet_decoder_init(
    decoder: *mut charlet_decoder,
    session: *mut charlet_session,
    check: bool,
    get: charlet_get,
    context: *mut c_void,
) -> charlet_error {
    code((|| {
        let slot: *mut DecoderSlot = decoder.cast();
        // SAFETY: there is room for it, as was asserted above.
        unsafe { Slot::clear(slot) };
        // SAFETY: it is a session, or NULL.
        let session = unsafe { self::session(session) }?;
        let bytes = Bytes {
            get: get.ok_or(CHARLET_NULL)?,
            context,
            has_ended: false,
        };
        let decoder = Decoder::new(session, bytes);
        let decoder = if check { decoder.with_check() } else { decoder };
        // SAFETY: as above.
        unsafe { Slot::write(slot, decoder) }
    })())
}

/// Tells the next character, or CHARLET_END behind the last: at most one step of the model. After
/// CHARLET_CORRUPT_MESSAGE it is at its end, too. Without a check a damaged message, or one of another model, often
/// gives another text and no error; that may have no end, so limit its characters.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn charlet_decoder_next(
    decoder: *mut charlet_decoder,
    character: *mut i32,
) -> charlet_error {
    code((|| {
        // SAFETY: it is a decoder, or NULL.
        let decoder = unsafe { Slot::get(decoder.cast::<DecoderSlot>()) }?;
        if character.is_null() {
            return Err(CHARLET_NULL);
        }
        let char = decoder.next_char()?;
        // SAFETY: it is a number of C's.
        unsafe { character.write(number(char)) };
        Ok(())
    })())
}
