//! The benchmark on a chip that qemu plays: counts instructions, then prints what all chips must share.
//!
//! With `-icount shift=0` qemu's clock moves one nanosecond per instruction, so that counts are exact.
#![no_std]
#![no_main]

#[cfg(feature = "large")]
mod coder;

use core::fmt::Write;
use core::hint::black_box;

use app::Failure;
use charlet::{Model, Token};
use check::{MODELS, Memory, compare};
use chip::{Counter, entry};

/// Steps that are counted together.
const STEPS: u16 = 32;

#[entry]
fn main() -> ! {
    chip::finish(run())
}

fn run() -> Result<(), Failure> {
    let mut out = chip::out()?;
    let counter = Counter::new();
    let mut memory = Memory::new();
    for (name, file) in MODELS {
        let step = instructions(file, &counter, &mut memory)?;
        writeln!(out, "count {name} {step}")?;
        let load = counter.instructions(|| _ = black_box(Model::from_bytes(black_box(file))));
        let bytes = u32::try_from(file.len()).map_err(|_| Failure::Print)?;
        let tenths = load / (bytes / 10);
        let (whole, tenth) = (tenths / 10, tenths % 10);
        writeln!(
            out,
            "count from_bytes({name}) {load} {whole}.{tenth} a byte"
        )?;
    }
    #[cfg(feature = "large")]
    for (name, file) in check::OF_112_CHARS {
        coder::count(name, file, &counter, &mut memory, &mut out)?;
    }
    compare(&mut memory, &mut out)
}

/// Instructions of a step, in the mean.
fn instructions(file: &[u8], counter: &Counter, memory: &mut Memory) -> Result<u32, Failure> {
    let model = Model::from_bytes(file)?;
    let (mut state, mut workspace) = memory.of(&model);
    let mut steps = || {
        (0..STEPS).try_for_each(|step| {
            let step = model.step(Token(step % 4), &mut state, &mut workspace);
            step.map(|_| ())
        })
    };
    steps()?;
    let mut result = Ok(());
    let all = counter.instructions(|| result = steps());
    result?;
    Ok(all / u32::from(STEPS))
}
