//! Texts on their way, in memory of C.

use core::ffi::{c_char, c_void};
use core::fmt::Write;
use core::slice;

use runtime::{Logits, Model, Session, State, Token, Workspace};

use crate::error::charlet_error::{self, *};
use crate::error::code;
use crate::memory::{Text, read, text, write};
use crate::model::{charlet_model, model};
use crate::sampler::{Choice, charlet_rng, charlet_sampler, choice, rng};

/// What memory must start at a multiple of: an array of uint64_t does.
pub const CHARLET_ALIGN: usize = 8;

/// There is no character: the text ended, or a token is a mark.
pub const CHARLET_END: i32 = -1;

/// A text on its way, in memory of yours: charlet_session_init makes one.
pub struct charlet_session {
    pub(crate) session: Inner,
}

/// Words that C promised.
pub(crate) type Words = &'static mut [u32];
type Inner = Session<'static, Words, Words>;

/// Bytes of a session before the words of state and workspace, which follow it.
const FIXED: usize = size_of::<charlet_session>();

const _: () = assert!(align_of::<charlet_session>() <= CHARLET_ALIGN);
const _: () = assert!(align_of::<charlet_session>() >= align_of::<u32>());
// What CHARLET_SESSION_SIZE in the header relies on.
const _: () = assert!(FIXED <= size_of::<[usize; 8]>());

/// Bytes of a session of a model.
pub(crate) fn session_size(model: &Model<'_>) -> usize {
    // The file has more bytes than this: no overflow.
    FIXED.wrapping_add(model.sizes().ram_bytes())
}

/// Bytes of memory that a session of this model needs; 0 if it is none. CHARLET_SESSION_SIZE is a constant that is
/// never less.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn charlet_session_size(model: *const charlet_model) -> usize {
    // SAFETY: it is a model, or NULL.
    unsafe { self::model(model) }.map_or(0, session_size)
}

/// Makes a session at the start of a text, in `size` bytes of your memory. Model and memory must stay where
/// they are as long as it is used; there is nothing to free. If it fails, `*session` is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn charlet_session_init(
    session: *mut *mut charlet_session,
    model: *const charlet_model,
    memory: *mut c_void,
    size: usize,
) -> charlet_error {
    if session.is_null() {
        return CHARLET_NULL;
    }
    // SAFETY: it is a pointer of C's.
    unsafe { session.write(core::ptr::null_mut()) };
    code((|| {
        // SAFETY: it is a model, or NULL.
        let model = unsafe { self::model(model) }?;
        let place: *mut charlet_session = memory.cast();
        if place.is_null() {
            return Err(CHARLET_NULL);
        }
        if !place.is_aligned() {
            return Err(CHARLET_MISALIGNED);
        }
        if size < session_size(model) {
            return Err(CHARLET_MEMORY_SIZE);
        }
        let sizes = model.sizes();
        // SAFETY: so many words follow the session, as was just seen. They are no part of it, and nothing else
        // uses them. A session has the alignment of words or more. They are written before they become
        // slices.
        let (state, workspace): (Words, Words) = unsafe {
            let words: *mut u32 = place.add(1).cast();
            words.write_bytes(0, sizes.state + sizes.workspace);
            let workspace = slice::from_raw_parts_mut(words.add(sizes.state), sizes.workspace);
            (slice::from_raw_parts_mut(words, sizes.state), workspace)
        };
        // They have the model's sizes, and are zero.
        let inner = Session::from_parts(
            model,
            State::from_words(state),
            Workspace::from_words(workspace),
        );
        // SAFETY: there is room for it, and it is aligned.
        unsafe {
            place.write(charlet_session { session: inner });
            session.write(place);
        }
        Ok(())
    })())
}

/// The session in memory of C.
///
/// # Safety
/// It is one of `charlet_session_init`, which nothing else uses meanwhile, or NULL.
pub(crate) unsafe fn session(
    session: *mut charlet_session,
) -> Result<&'static mut Inner, charlet_error> {
    // SAFETY: the caller promises it.
    match unsafe { session.as_mut() } {
        Some(session) => Ok(&mut session.session),
        None => Err(CHARLET_NULL),
    }
}

/// The same to look at only.
///
/// # Safety
/// It is one of `charlet_session_init`, which nothing changes meanwhile, or NULL.
unsafe fn look(session: *const charlet_session) -> Result<&'static Inner, charlet_error> {
    // SAFETY: the caller promises it.
    match unsafe { session.as_ref() } {
        Some(session) => Ok(&session.session),
        None => Err(CHARLET_NULL),
    }
}

/// A character as C has it.
pub(crate) fn number(char: Option<char>) -> i32 {
    char.map_or(CHARLET_END, |char| u32::from(char).cast_signed())
}

/// Starts a new text.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn charlet_session_start(session: *mut charlet_session) -> charlet_error {
    // SAFETY: it is a session, or NULL.
    code(unsafe { self::session(session) }.map(Inner::start_text))
}

/// Feeds `len` bytes of UTF-8, which the model shall continue. They are appended to the text that the
/// session is in; a character that the model doesn't know is CHARLET_UNKNOWN_CHAR, and nothing was fed then.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn charlet_session_prompt(
    session: *mut charlet_session,
    text: *const c_char,
    len: usize,
) -> charlet_error {
    code((|| {
        // SAFETY: it is a session, or NULL.
        let session = unsafe { self::session(session) }?;
        // SAFETY: it is a text of C's.
        session.prompt(unsafe { self::text(text, len) }?)?;
        Ok(())
    })())
}

/// Makes one character, and returns its code point, or CHARLET_END where the model ends the text: the next call
/// then starts a new one. `random`: 32 random bits, of charlet_rng_next or the chip's own. It is CHARLET_END
/// too if `session` or `sampler` is NULL, or `sampler` was not initialised.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn charlet_session_next(
    session: *mut charlet_session,
    sampler: *const charlet_sampler,
    random: u32,
) -> i32 {
    // SAFETY: both are what they seem, or NULL.
    let both = unsafe { (self::session(session), choice(sampler)) };
    let (Ok(session), Ok(choice)) = both else {
        return CHARLET_END;
    };
    number(next(session, choice, random))
}

/// A character, as `Session::next_char` makes it.
fn next(session: &mut Inner, choice: &Choice, random: u32) -> Option<char> {
    let unknown = session.model().vocab().unknown();
    session.step_with(|mut logits| {
        if let Some(unknown) = unknown {
            logits.exclude(unknown);
        }
        choice.choose(logits, random)
    })
}

/// Makes a text of at most `max_chars` characters and writes it into `size` bytes, as UTF-8 with a NUL behind
/// it. With the same seed it is the text that the command `charlet generate` prints.
///
/// After a text that `max_chars` cut off, the next call continues it; charlet_session_start begins a new one.
/// CHARLET_BUFFER_FULL: the next character had no room, and is lost.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn charlet_session_generate(
    session: *mut charlet_session,
    sampler: *const charlet_sampler,
    rng: *mut charlet_rng,
    max_chars: usize,
    text: *mut c_char,
    size: usize,
) -> charlet_error {
    code((|| {
        // SAFETY: all are what they seem, or NULL.
        let (session, choice, rng) = unsafe {
            (
                self::session(session)?,
                choice(sampler)?,
                self::rng(rng).ok_or(CHARLET_NULL)?,
            )
        };
        // SAFETY: it is a buffer of C's.
        let mut text = unsafe { Text::new(text, size) }?;
        for _ in 0..max_chars {
            let random = if choice.draws { rng.next_u32() } else { 0 };
            let Some(char) = next(session, choice, random) else {
                break;
            };
            text.write_char(char).map_err(|_| CHARLET_BUFFER_FULL)?;
        }
        Ok(())
    })())
}

/// Feeds a token and writes the logits of what follows: as many as there are tokens. `logits` may be NULL if
/// `count` is 0.
///
/// It is for whoever chooses tokens himself. Feed the next one with it too, or name it with
/// charlet_session_set_next before charlet_session_next goes on.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn charlet_session_step(
    session: *mut charlet_session,
    token: u16,
    logits: *mut f32,
    count: usize,
) -> charlet_error {
    code((|| {
        // SAFETY: it is a session, or NULL.
        let session = unsafe { self::session(session) }?;
        // SAFETY: it is an array of C's.
        let to = unsafe { write(logits, count) }?;
        if count > 0 && count != session.model().vocab().size() {
            return Err(CHARLET_BUFFER_LENGTH);
        }
        let logits: Logits<'_> = session.feed(Token(token))?;
        fill(to, logits.iter());
        Ok(())
    })())
}

/// Names the token that is fed next.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn charlet_session_set_next(
    session: *mut charlet_session,
    token: u16,
) -> charlet_error {
    code((|| {
        // SAFETY: it is a session, or NULL.
        unsafe { self::session(session) }?.set_next(Token(token))?;
        Ok(())
    })())
}

/// Writes h and c of a layer, a value of each for every hidden unit. Layer 0 is next to the input. Either may be
/// NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn charlet_session_layer(
    session: *mut charlet_session,
    layer: usize,
    h: *mut f32,
    c: *mut f32,
    count: usize,
) -> charlet_error {
    code((|| {
        // SAFETY: it is a session, or NULL.
        let session = unsafe { self::session(session) }?;
        let model = session.model();
        let hidden = model.hidden_state(session.state(), layer)?;
        let cell = model.cell_state(session.state(), layer)?;
        if count != hidden.len() {
            return Err(CHARLET_BUFFER_LENGTH);
        }
        // SAFETY: they are arrays of C's.
        unsafe {
            if !h.is_null() {
                fill(write(h, count)?, hidden);
            }
            if !c.is_null() {
                fill(write(c, count)?, cell);
            }
        }
        Ok(())
    })())
}

/// Replaces h and c of a layer; neither may be NULL. Integer models round them, take the nearest number that they
/// have, and 0 for NaN.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn charlet_session_set_layer(
    session: *mut charlet_session,
    layer: usize,
    h: *const f32,
    c: *const f32,
    count: usize,
) -> charlet_error {
    code((|| {
        // SAFETY: it is a session, or NULL.
        let session = unsafe { self::session(session) }?;
        // SAFETY: they are arrays of C's.
        let (h, c) = unsafe { (read(h, count)?, read(c, count)?) };
        session.set_layer(layer, h, c)?;
        Ok(())
    })())
}

fn fill(to: &mut [f32], values: impl Iterator<Item = f32>) {
    for (to, value) in to.iter_mut().zip(values) {
        *to = value;
    }
}

/// The log-probability of a whole text, its end included if the model marks it: in nats, at most 0. The
/// session's own text is given up.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn charlet_session_score(
    session: *mut charlet_session,
    text: *const c_char,
    len: usize,
    log_prob: *mut f32,
) -> charlet_error {
    code((|| {
        // SAFETY: it is a session, or NULL.
        let session = unsafe { self::session(session) }?;
        if log_prob.is_null() {
            return Err(CHARLET_NULL);
        }
        // SAFETY: it is a text of C's.
        let score = session.score_text(unsafe { self::text(text, len) }?)?;
        // SAFETY: it is a number of C's.
        unsafe { log_prob.write(score) };
        Ok(())
    })())
}

/// Bytes of a saved session; 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn charlet_session_saved_size(session: *const charlet_session) -> usize {
    // SAFETY: it is a session, or NULL.
    unsafe { look(session) }.map_or(0, Inner::saved_len)
}

/// Writes the text's position into `size` bytes, exactly charlet_session_saved_size: the same on every chip.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn charlet_session_save(
    session: *const charlet_session,
    saved: *mut u8,
    size: usize,
) -> charlet_error {
    code((|| {
        // SAFETY: it is a session, or NULL, and a buffer of C's.
        unsafe { look(session)?.save(write(saved, size)?) }?;
        Ok(())
    })())
}

/// Goes on from a saved position, which may be another chip's. Any bytes are safe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn charlet_session_restore(
    session: *mut charlet_session,
    saved: *const u8,
    size: usize,
) -> charlet_error {
    code((|| {
        // SAFETY: it is a session, or NULL, and a buffer of C's.
        unsafe { self::session(session)?.restore(read(saved, size)?) }?;
        Ok(())
    })())
}
