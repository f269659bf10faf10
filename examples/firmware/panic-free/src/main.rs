//! Links only if no panic can be reached, from the model's bytes to the sampled character.
//!
//! The panic handler calls a function that exists nowhere. The linker asks for it, and fails, where
//! the compiler could not prove that the handler is never called. A `state[token.index()]` in a step is
//! enough:
//!
//! ```text
//! ld.lld: error: undefined symbol: a_panic_can_be_reached
//! >>> referenced by main.rs (panic-free/src/main.rs)
//! ```
//!
//! The message doesn't say where the panic is; that runtime denies itself indexing, and clippy finds it.
//! The feature `panic` puts such an index into this program, to see that it doesn't link then.
//!
//! There is nothing else here, so that this program tells too how much of a firmware is the runtime.
#![no_std]
#![no_main]

use core::fmt;
#[cfg(any(
    feature = "from-bytes",
    feature = "loader",
    feature = "messages",
    feature = "panic"
))]
use core::hint::black_box;
use core::mem::MaybeUninit;
use core::panic::PanicInfo;
use core::ptr;

#[cfg(any(feature = "from-bytes", feature = "loader", feature = "panic"))]
use app::NAMES;
#[cfg(not(feature = "messages"))]
use app::NameMaker;
#[cfg(feature = "from-bytes")]
use charlet::Model;
#[cfg(feature = "messages")]
use messages::{LONGEST, Messenger};

unsafe extern "C" {
    fn a_panic_can_be_reached() -> !;
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    // SAFETY: what calls it is never linked.
    unsafe { a_panic_can_be_reached() }
}

/// A register of a chip: whatever is read, the compiler can't foresee it.
struct Register(*mut u32);

impl fmt::Write for Register {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.bytes().for_each(|byte| self.write(byte.into()));
        Ok(())
    }
}

impl Register {
    fn read(&self) -> u32 {
        // SAFETY: this program is linked, and never run.
        unsafe { ptr::read_volatile(self.0) }
    }

    fn write(&mut self, word: u32) {
        // SAFETY: as above.
        unsafe { ptr::write_volatile(self.0, word) };
    }
}

/// What is done for ever.
#[cfg(not(feature = "messages"))]
type Work = NameMaker;
#[cfg(feature = "messages")]
type Work = Messenger;

// A static, so that the linker tells how much memory there must be; not initialised, so that no
// zeros are in flash.
static mut MEMORY: MaybeUninit<Work> = MaybeUninit::uninit();

#[unsafe(no_mangle)]
extern "C" fn _start() {
    let (mut port, noise) = (Register(0x4000_0000 as _), Register(0x4000_1000 as _));
    // The model was checked while compiling. Here it is checked again, as one that came by radio is.
    #[cfg(feature = "from-bytes")]
    if Model::from_bytes(black_box(NAMES.bytes())).is_err() {
        return;
    }
    #[cfg(feature = "loader")]
    if let Ok(mut loader) = charlet::Loader::new(black_box(NAMES.bytes())) {
        while let Ok(None) = loader.advance(noise.read() as usize) {}
    }
    // SAFETY: nothing else uses it.
    let work = unsafe { (&mut *&raw mut MEMORY).write(Work::new()) };
    #[cfg(feature = "panic")]
    black_box(NAMES.bytes()[noise.read() as usize]);
    while once(work, &noise, &mut port).is_ok() {}
}

#[cfg(not(feature = "messages"))]
fn once(names: &mut NameMaker, noise: &Register, port: &mut Register) -> Result<(), app::Failure> {
    names.print("ma", || noise.read(), port)
}

/// A text is compressed, and whatever comes is read.
#[cfg(feature = "messages")]
fn once(
    messenger: &mut Messenger,
    noise: &Register,
    port: &mut Register,
) -> Result<(), charlet::Error> {
    let mut message = [0; LONGEST + 1];
    let len = messenger.compress(black_box("ma"), &mut message)?;
    for byte in message.iter().take(len) {
        port.write(u32::from(*byte));
    }
    message.fill_with(|| noise.read() as u8);
    messenger.read(&message, port)
}
