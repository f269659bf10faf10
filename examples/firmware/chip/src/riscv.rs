//! qemu's RISC-V machine `virt`: an UART prints, the test device exits, `minstret` counts.

use core::arch::asm;
use core::fmt;
use core::ptr::with_exposed_provenance_mut;

use riscv::register::minstret;
pub use riscv_rt::entry;

/// The UART's transmit register; qemu's takes any byte at once.
const UART: usize = 0x1000_0000;
/// Ends the emulation when it is told how.
const TEST_DEVICE: usize = 0x10_0000;
const PASS: u32 = 0x5555;
const FAIL: u32 = 0x1_3333;

/// The UART.
pub struct Uart;

impl fmt::Write for Uart {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            // SAFETY: it is the register of a device, which changes no memory.
            unsafe { with_exposed_provenance_mut::<u8>(UART).write_volatile(byte) };
        }
        Ok(())
    }
}

/// Where text goes.
///
/// # Errors
/// None.
pub fn out() -> Result<Uart, fmt::Error> {
    Ok(Uart)
}

/// Ends the emulation.
pub fn exit(success: bool) -> ! {
    let word = if success { PASS } else { FAIL };
    loop {
        // SAFETY: it is the register of a device, which changes no memory.
        unsafe { with_exposed_provenance_mut::<u32>(TEST_DEVICE).write_volatile(word) };
    }
}

/// The address below which nothing is in use.
#[inline(always)]
pub(crate) fn stack_pointer() -> usize {
    let address;
    // SAFETY: it reads a register.
    unsafe { asm!("mv {}, sp", out(reg) address, options(nomem, nostack, preserves_flags)) };
    address
}

/// Counts instructions: the core does it itself.
pub struct Counter;

impl Counter {
    /// The core's counter, which runs from its start.
    pub fn new() -> Self {
        Self
    }

    /// The instructions of some work.
    pub fn instructions(&self, work: impl FnOnce()) -> u32 {
        let before = minstret::read();
        work();
        minstret::read().wrapping_sub(before) as u32
    }
}
