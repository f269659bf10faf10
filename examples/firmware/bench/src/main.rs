//! The benchmark on a chip that qemu plays: counts instructions, then prints what all chips must share.
//!
//! With `-icount shift=0` qemu's clock moves one nanosecond per instruction, so that counts are exact.
#![no_std]
#![no_main]

use core::fmt::Write;

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
