//! A Cortex-M: semihosting prints and exits, SysTick counts.

use core::arch::asm;
use core::fmt;

use cortex_m::Peripherals;
use cortex_m::peripheral::SYST;
use cortex_m::peripheral::syst::SystClkSource;
pub use cortex_m_rt::entry;
use cortex_m_semihosting::debug;
use cortex_m_semihosting::hio::{self, HostStream};

/// Instructions of the loop that calibrates.
const CALIBRATION: u32 = 4_000_000;

/// Where text goes.
///
/// # Errors
/// If qemu has none to offer.
pub fn out() -> Result<HostStream, fmt::Error> {
    hio::hstdout().map_err(|()| fmt::Error)
}

/// Ends the emulation.
pub fn exit(success: bool) -> ! {
    loop {
        debug::exit(if success {
            debug::EXIT_SUCCESS
        } else {
            debug::EXIT_FAILURE
        });
    }
}

/// The address below which nothing is in use.
#[inline(always)]
pub(crate) fn stack_pointer() -> usize {
    let address;
    // SAFETY: it reads a register.
    unsafe { asm!("mov {}, sp", out(reg) address, options(nomem, nostack, preserves_flags)) };
    address
}

/// Counts instructions with SysTick, which has 24 bits. How many a tick takes depends on the machine's
/// clock; a loop of known length shows it.
pub struct Counter {
    /// Ticks of the loop.
    calibration: u32,
}

impl Counter {
    /// Starts SysTick. There can be only one.
    pub fn new() -> Self {
        let mut syst = Peripherals::take().expect("nobody else takes them").SYST;
        syst.set_clock_source(SystClkSource::Core);
        syst.set_reload(0x00ff_ffff);
        syst.clear_current();
        syst.enable_counter();
        Self {
            calibration: ticks(calibration_loop),
        }
    }

    /// The instructions of some work.
    pub fn instructions(&self, work: impl FnOnce()) -> u32 {
        let ticks = u64::from(ticks(work));
        (ticks * u64::from(CALIBRATION) / u64::from(self.calibration)) as u32
    }
}

/// SysTick's ticks while something runs. It counts down.
fn ticks(work: impl FnOnce()) -> u32 {
    let before = SYST::get_current();
    work();
    before.wrapping_sub(SYST::get_current()) & 0x00ff_ffff
}

fn calibration_loop() {
    // SAFETY: it counts a register of its own down to zero.
    unsafe {
        asm!(
            ".balign 4",
            "2:",
            "subs {count}, {count}, #1",
            "bne 2b",
            count = inout(reg) CALIBRATION / 2 => _,
            options(nomem, nostack),
        );
    }
}
