//! What the coder adds to a step.

use core::fmt::Write;
use core::hint::black_box;

use app::Failure;
use charlet::{Decoder, Encoder, Error, Model, Session, Token};
use check::Memory;
use chip::Counter;

/// It has 63 letters and the end: 64 steps.
const TEXT: &str = "Running 10 min late, sorry! Meet you at the station about 8:40?";

/// More than any letter takes: a total has at most 22 bits.
const ROOM: usize = 4 * TEXT.len();

/// More than this share of a step is too much, in tenths of a percent.
const MOST: u32 = 150;

/// Prints the instructions of a character, in the mean: of the model's step alone, and when it is compressed and
/// read. Fails if the coder takes too large a share.
pub fn count(
    name: &str,
    file: &[u8],
    counter: &Counter,
    memory: &mut Memory,
    out: &mut impl Write,
) -> Result<(), Failure> {
    let model = Model::from_bytes(file)?;
    let (state, workspace) = memory.of(&model);
    let mut session = Session::new(&model, state, workspace)?;
    // The end is a step too.
    let steps = 1 + TEXT.len() as u32;
    let step = counter.instructions(|| {
        for _ in 0..steps {
            session.step_with(|_| black_box(Token(0)));
        }
    }) / steps;
    writeln!(out, "count {name}:step {step}")?;

    // The coded form, also where it is longer than the text: weights of chance expect no letter.
    let mut message = [0; ROOM];
    let mut len = 0;
    let mut result = Ok(());
    let all = counter.instructions(|| {
        let mut encoder = Encoder::new(&mut session, |byte| {
            *message.get_mut(len).ok_or(Error::BufferFull)? = byte;
            len += 1;
            Ok(())
        });
        result = black_box(TEXT)
            .chars()
            .try_for_each(|char| encoder.push(char));
        result = result.and(encoder.finish());
    });
    result?;
    share(name, "compress", all / steps, step, out)?;

    let mut text = black_box(TEXT).chars();
    let mut is_same = true;
    let mut decoder = Decoder::new(&mut session, message[..len].iter().copied());
    let all = counter.instructions(|| {
        for _ in 0..steps {
            is_same &= decoder.next_char() == Ok(text.next());
        }
    });
    assert!(is_same, "it isn't what was compressed");
    share(name, "decompress", all / steps, step, out)
}

fn share(name: &str, what: &str, all: u32, step: u32, out: &mut impl Write) -> Result<(), Failure> {
    let tenths = 1000 * all.saturating_sub(step) / step;
    let (percent, tenth) = (tenths / 10, tenths % 10);
    writeln!(out, "count {name}:{what} {all} +{percent}.{tenth}%")?;
    assert!(
        tenths <= MOST,
        "the coder takes more than {MOST} thousandths of a step"
    );
    Ok(())
}
