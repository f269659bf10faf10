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
#[cfg(any(feature = "from-bytes", feature = "loader", feature = "panic"))]
use core::hint::black_box;
use core::mem::MaybeUninit;
use core::panic::PanicInfo;
use core::ptr;

#[cfg(any(feature = "from-bytes", feature = "loader", feature = "panic"))]
use app::NAMES;
use app::NameMaker;
#[cfg(feature = "from-bytes")]
use charlet::Model;

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
        for byte in text.bytes() {
            // SAFETY: this program is linked, and never run.
            unsafe { ptr::write_volatile(self.0, byte.into()) };
        }
        Ok(())
    }
}

impl Register {
    fn read(&self) -> u32 {
        // SAFETY: as above.
        unsafe { ptr::read_volatile(self.0) }
    }
}

// A static, so that the linker tells how much memory there must be; not initialised, so that no
// zeros are in flash.
static mut MEMORY: MaybeUninit<NameMaker> = MaybeUninit::uninit();

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
    let names = unsafe { (&mut *&raw mut MEMORY).write(NameMaker::new()) };
    #[cfg(feature = "panic")]
    black_box(NAMES.bytes()[noise.read() as usize]);
    while names.print("ma", || noise.read(), &mut port).is_ok() {}
}
