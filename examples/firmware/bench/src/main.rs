//! The benchmark on a chip that qemu plays: counts instructions, then prints what all chips must share.
//!
//! With `-icount shift=0` qemu's clock moves one nanosecond per instruction, so that differences of
//! SysTick are instruction counts, once a loop of known length has shown how many a tick has.
#![no_std]
#![no_main]

use core::arch::asm;
use core::fmt::Write;
use core::panic::PanicInfo;

use bench::{Failure, Memory, NAMES, compare, steps};
use charlet::Model;
use cortex_m::Peripherals;
use cortex_m::peripheral::{SYST, syst::SystClkSource};
use cortex_m_rt::entry;
use cortex_m_semihosting::{debug, hio};

/// Instructions of the loop that calibrates.
const CALIBRATION: u32 = 4_000_000;
/// Steps that are counted together. SysTick has 24 bits.
const STEPS: u16 = 32;

#[entry]
fn main() -> ! {
    let result = run();
    if let Err(failure) = &result {
        report(format_args!("failed: {failure:?}"));
    }
    exit(result.is_ok())
}

fn run() -> Result<(), Failure> {
    let mut out = hio::hstdout().map_err(|()| Failure::Print)?;
    let mut syst = Peripherals::take().ok_or(Failure::Print)?.SYST;
    syst.set_clock_source(SystClkSource::Core);
    syst.set_reload(0x00ff_ffff);
    syst.clear_current();
    syst.enable_counter();
    let ticks = ticks(calibration_loop);
    writeln!(
        out,
        "calibration {CALIBRATION} instructions are {ticks} ticks"
    )?;
    let mut memory = Memory::new();
    let step = instructions(NAMES, ticks, &mut memory)?;
    writeln!(out, "count names {step}")?;
    #[cfg(feature = "random")]
    for (hidden, models) in [(128, bench::RANDOM_128), (256, bench::RANDOM_256)] {
        // The second model has one block more in the head: four tokens.
        let [one, two] = models.map(|model| instructions(model, ticks, &mut memory));
        let (one, two) = (one?, two?);
        let block = two.saturating_sub(one);
        writeln!(
            out,
            "count random-{hidden} {two} lstm {} head-block {block}",
            one - block
        )?;
    }
    compare(&mut memory, &mut out)
}

/// Instructions of a step, in the mean.
fn instructions(file: &[u8], calibration: u32, memory: &mut Memory) -> Result<u32, Failure> {
    let model = Model::from_bytes(file)?;
    let (mut state, mut workspace) = memory.of(&model);
    steps(&model, &mut state, &mut workspace, STEPS)?;
    let mut result = Ok(());
    let ticks = ticks(|| result = steps(&model, &mut state, &mut workspace, STEPS));
    result?;
    let all = u64::from(ticks) * u64::from(CALIBRATION) / u64::from(calibration);
    Ok((all / u64::from(STEPS)) as u32)
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

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    report(format_args!("{info}"));
    exit(false)
}

fn report(message: core::fmt::Arguments<'_>) {
    if let Ok(mut out) = hio::hstderr() {
        // There is nowhere left to say that nothing can be said.
        let _ = writeln!(out, "{message}");
    }
}

fn exit(success: bool) -> ! {
    loop {
        debug::exit(if success {
            debug::EXIT_SUCCESS
        } else {
            debug::EXIT_FAILURE
        });
    }
}
