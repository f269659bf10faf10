//! Makes and reads messages on a chip that qemu plays, or on the desktop. All must print the same.
#![cfg_attr(target_os = "none", no_std, no_main)]

use core::fmt::{self, Write};

use exchange::exchange;
use messages::Messenger;

#[cfg_attr(target_os = "none", chip::entry)]
fn main() -> ! {
    chip::finish(run())
}

fn run() -> fmt::Result {
    let mut out = chip::out()?;
    let mut messenger = Messenger::new();
    let mut stack = None;
    exchange(&mut messenger, &mut out, |work| {
        stack = stack.max(chip::peak_stack(work));
    })?;
    if let Some(stack) = stack {
        writeln!(out, "stack {stack}")?;
    }
    #[cfg(target_os = "none")]
    count(&mut out)?;
    Ok(())
}

/// Prints the instructions of a character, in the mean: of the model's step alone, and when it is
/// compressed and read.
#[cfg(target_os = "none")]
fn count(out: &mut impl Write) -> fmt::Result {
    use core::hint::black_box;

    use charlet::Token;
    use messages::{LONGEST, MESSAGES};

    const TEXT: &str = "katharina";

    struct Nowhere;

    impl Write for Nowhere {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            black_box(text);
            Ok(())
        }
    }

    let counter = chip::Counter::new();
    let mut session = MESSAGES.session();
    // The end is a step too.
    let steps = 1 + TEXT.len() as u32;
    let step = counter.instructions(|| {
        for _ in 0..steps {
            session.step_with(|_| black_box(Token(0)));
        }
    }) / steps;
    writeln!(out, "count messages:step {step}")?;
    let mut message = [0; LONGEST + 1];
    let mut len = Ok(0);
    let all = counter.instructions(|| len = session.compress(black_box(TEXT), &mut message));
    let message = message.get(..len.unwrap_or(0)).unwrap_or(&[]);
    share(out, "compress", all / steps, step)?;
    let mut len = Ok(0);
    let all = counter.instructions(|| len = session.decompress(message, &mut Nowhere, LONGEST));
    assert_eq!(len, Ok(TEXT.len()), "it isn't what was compressed");
    share(out, "decompress", all / steps, step)
}

/// What the coder adds to a step.
#[cfg(target_os = "none")]
fn share(out: &mut impl Write, what: &str, all: u32, step: u32) -> fmt::Result {
    let tenths = 1000 * all.saturating_sub(step) / step;
    let (percent, tenth) = (tenths / 10, tenths % 10);
    writeln!(out, "count messages:{what} {all} +{percent}.{tenth}%")
}
