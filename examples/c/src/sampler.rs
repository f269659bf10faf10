//! How characters are chosen, and random numbers from a seed.

use core::mem::MaybeUninit;

use runtime::{Logits, Rng, Sampler, Token};

use crate::error::charlet_error::{self, *};
use crate::error::code;

/// How the next character is chosen: charlet_sampler_init makes one, or take a constant.
#[repr(C)]
pub struct charlet_sampler {
    /// What is in it is the library's.
    _opaque: MaybeUninit<[usize; 10]>,
}

/// The same as the library sees it.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Choice {
    /// A sampler brings the code that it needs, so that a program links no other.
    choose: fn(&Sampler, Logits<'_>, u32) -> Token,
    /// Whether a random number is used.
    pub(crate) draws: bool,
    sampler: Sampler,
}

impl Choice {
    pub(crate) fn choose(&self, logits: Logits<'_>, random: u32) -> Token {
        (self.choose)(&self.sampler, logits, random)
    }
}

fn argmax(_: &Sampler, logits: Logits<'_>, _: u32) -> Token {
    logits.argmax()
}

/// With a temperature, and nothing left out.
fn draw_any(sampler: &Sampler, logits: Logits<'_>, random: u32) -> Token {
    // What it is already, but here the compiler sees it.
    let Ok(all) = sampler.top_k(usize::MAX) else {
        return Token(0);
    };
    match all.top_p(1.0) {
        Ok(all) => all.sample(logits, || random),
        Err(_) => Token(0),
    }
}

fn draw_some(sampler: &Sampler, logits: Logits<'_>, random: u32) -> Token {
    sampler.sample(logits, || random)
}

#[repr(C)]
union Memory {
    choice: Choice,
    opaque: MaybeUninit<[usize; 10]>,
}

const _: () = assert!(size_of::<Memory>() == size_of::<charlet_sampler>());
const _: () = assert!(align_of::<Memory>() == align_of::<charlet_sampler>());

impl charlet_sampler {
    const fn new(
        draws: bool,
        choose: fn(&Sampler, Logits<'_>, u32) -> Token,
        sampler: Sampler,
    ) -> Self {
        let memory = Memory {
            choice: Choice {
                choose,
                draws,
                sampler,
            },
        };
        Self {
            // SAFETY: any bytes are memory that may be uninitialised.
            _opaque: unsafe { memory.opaque },
        }
    }

    /// While compiling: chips without floating-point units need no code for it then.
    const fn of_temperature(temperature: f32) -> Self {
        match Sampler::with_temperature(temperature) {
            Ok(sampler) => Self::new(true, draw_any, sampler),
            Err(_) => Self::new(false, argmax, Sampler::argmax()),
        }
    }
}

/// Always the most probable character.
#[unsafe(no_mangle)]
pub static charlet_argmax: charlet_sampler = charlet_sampler::new(false, argmax, Sampler::argmax());
/// Draws with temperature 0.5: careful. These constants take no floating-point code.
#[unsafe(no_mangle)]
pub static charlet_temperature_0_5: charlet_sampler = charlet_sampler::of_temperature(0.5);
/// Draws with temperature 0.6.
#[unsafe(no_mangle)]
pub static charlet_temperature_0_6: charlet_sampler = charlet_sampler::of_temperature(0.6);
/// Draws with temperature 0.7.
#[unsafe(no_mangle)]
pub static charlet_temperature_0_7: charlet_sampler = charlet_sampler::of_temperature(0.7);
/// Draws with temperature 0.8.
#[unsafe(no_mangle)]
pub static charlet_temperature_0_8: charlet_sampler = charlet_sampler::of_temperature(0.8);
/// Draws with temperature 0.9.
#[unsafe(no_mangle)]
pub static charlet_temperature_0_9: charlet_sampler = charlet_sampler::of_temperature(0.9);
/// Draws with temperature 1: the model's own distribution.
#[unsafe(no_mangle)]
pub static charlet_temperature_1_0: charlet_sampler = charlet_sampler::of_temperature(1.0);

/// Makes a sampler. `temperature`: 1 is the model's own distribution, less is more careful, 0 always takes the
/// most probable character. `top_k`: only so many of the most probable; 0 for all. `top_p`: only
/// the fewest that make up this share of the probability; 1 for all.
///
/// Unless CHARLET_OK is returned, `sampler` is zeros, and can't be used.
///
/// On a chip without a floating-point unit it takes about 2 KB of code, which the constants don't.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn charlet_sampler_init(
    sampler: *mut charlet_sampler,
    temperature: f32,
    top_k: u32,
    top_p: f32,
) -> charlet_error {
    code((|| {
        if sampler.is_null() {
            return Err(CHARLET_NULL);
        }
        // SAFETY: it is a sampler of C's.
        unsafe { sampler.write_bytes(0, 1) };
        let mut value = if temperature == 0.0 {
            Sampler::argmax()
        } else {
            Sampler::with_temperature(temperature)?
        };
        if top_k > 0 {
            value = value.top_k(top_k as usize)?;
        }
        let value = value.top_p(top_p)?;
        let value = if temperature == 0.0 {
            charlet_sampler::new(false, argmax, value)
        } else {
            charlet_sampler::new(true, draw_some, value)
        };
        // SAFETY: it is a sampler of C's.
        unsafe { sampler.write(value) };
        Ok(())
    })())
}

/// The sampler in memory of C.
///
/// # Safety
/// It is one that `charlet_sampler_init` made, a constant, zeros, or NULL.
pub(crate) unsafe fn choice<'a>(
    sampler: *const charlet_sampler,
) -> Result<&'a Choice, charlet_error> {
    let choice: *const Choice = sampler.cast();
    if choice.is_null() {
        return Err(CHARLET_NULL);
    }
    // SAFETY: the caller promises the memory. A function is no zeros: they are looked at as none.
    if unsafe { (&raw const (*choice).choose).cast::<usize>().read() } == 0 {
        return Err(CHARLET_NOT_INITIALIZED);
    }
    // SAFETY: the caller promises it; nothing else makes one.
    Ok(unsafe { &*choice })
}

/// Random numbers from a seed, the same as in Rust and in the command `charlet`. Not for secrets.
#[repr(C)]
pub struct charlet_rng {
    /// The state; save it as you like.
    pub words: [u32; 4],
}

// It is nothing but its words.
const _: () = assert!(size_of::<Rng>() == size_of::<charlet_rng>());
const _: () = assert!(align_of::<Rng>() == align_of::<charlet_rng>());

/// Starts the generator of a seed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn charlet_rng_seed(rng: *mut charlet_rng, seed: u64) {
    if !rng.is_null() {
        // SAFETY: it is a generator of C's, of the same size and alignment.
        unsafe { rng.cast::<Rng>().write(Rng::from_seed(seed)) };
    }
}

/// The next 32 random bits.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn charlet_rng_next(rng: *mut charlet_rng) -> u32 {
    // SAFETY: it is a generator of C's, or NULL.
    unsafe { self::rng(rng) }.map_or(0, Rng::next_u32)
}

/// The generator in memory of C.
///
/// # Safety
/// It is a `charlet_rng`, or NULL.
pub(crate) unsafe fn rng<'a>(rng: *mut charlet_rng) -> Option<&'a mut Rng> {
    // SAFETY: the caller promises it; any words are a state.
    unsafe { rng.cast::<Rng>().as_mut() }
}
