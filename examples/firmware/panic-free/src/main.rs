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

use core::convert::Infallible;
use core::fmt;
#[cfg(feature = "panic")]
use core::hint::black_box;
use core::mem::MaybeUninit;
use core::panic::PanicInfo;
use core::ptr;

use app::{Memory, NameMaker};
use rand_core::{TryRng, utils};

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

impl TryRng for Register {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        // SAFETY: as above.
        Ok(unsafe { ptr::read_volatile(self.0) })
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        utils::next_u64_via_u32(self)
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        utils::fill_bytes_via_next_word(bytes, || self.try_next_u32())
    }
}

// Statics, so that the linker tells how much memory there must be.
static mut MEMORY: Memory = Memory::new();
static mut NAMES: MaybeUninit<NameMaker<'static>> = MaybeUninit::uninit();

#[unsafe(no_mangle)]
extern "C" fn _start() {
    let (mut port, mut noise) = (Register(0x4000_0000 as _), Register(0x4000_1000 as _));
    // SAFETY: nothing else uses them.
    let (memory, names) = unsafe { (&mut *&raw mut MEMORY, &mut *&raw mut NAMES) };
    if let Ok(maker) = NameMaker::new(memory) {
        let names = names.write(maker);
        #[cfg(feature = "panic")]
        {
            let Ok(at) = noise.try_next_u32();
            black_box(app::NAMES[at as usize]);
        }
        while names.print("ma", &mut noise, &mut port).is_ok() {}
    }
}
