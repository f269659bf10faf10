//! What every board does: makes a name and prints it. A board brings something to print on, a source
//! of random numbers, and a reason to make a name.
#![no_std]

use core::convert::Infallible;
use core::fmt::{self, Write};

use charlet::{Error, Generator, Model, Sampler, Sizes, State, Workspace, include_model, sizes_of};
use rand_core::{Rng, TryRng, utils};

/// The model, in flash: names/names-i8, or the one that the environment variable `NAMES_MODEL` named when
/// this was built.
pub static NAMES: &[u8] = include_model!(concat!(
    "../../../../models/",
    env!("NAMES_MODEL"),
    ".charlet"
));

/// Its memory, known while compiling.
const SIZES: Sizes = sizes_of!(NAMES);

/// How adventurous names are: the less, the more like the most probable one.
const SAMPLER: Sampler = match Sampler::with_temperature(0.8) {
    Ok(sampler) => sampler,
    Err(_) => panic!("0.8 is a temperature"),
};

/// No name is longer.
pub const LONGEST: usize = 20;

/// The memory that a name takes: a variable of `main`, or a static.
#[derive(Debug)]
pub struct Memory {
    state: State<[u32; SIZES.state]>,
    workspace: Workspace<[u32; SIZES.workspace]>,
}

impl Memory {
    /// Zeros.
    #[expect(clippy::new_without_default, reason = "a static needs a constant")]
    pub const fn new() -> Self {
        Self {
            state: State::zero(),
            workspace: Workspace::new(),
        }
    }
}

/// Makes names.
#[derive(Debug)]
pub struct NameMaker<'m> {
    model: Model<'static>,
    // Were it a part of this struct, it would be copied, with a peak of the stack, when one is made.
    memory: &'m mut Memory,
}

impl<'m> NameMaker<'m> {
    /// Checks the model: after that nothing can go wrong but printing.
    ///
    /// # Errors
    /// If the model in flash is damaged.
    pub fn new(memory: &'m mut Memory) -> Result<Self, Error> {
        let model = Model::from_bytes(NAMES)?;
        Ok(Self { model, memory })
    }

    /// Prints a name that begins with these letters, which may be none.
    ///
    /// # Errors
    /// [`Failure::Model`] if the model doesn't know one of the letters, and [`Failure::Print`].
    pub fn print(
        &mut self,
        beginning: &str,
        random: &mut impl Rng,
        out: &mut impl Write,
    ) -> Result<(), Failure> {
        self.print_by(SAMPLER, beginning, random, out)
    }

    /// Prints the most probable name that begins with these letters.
    ///
    /// # Errors
    /// Those of [`print`](Self::print).
    pub fn print_most_probable(
        &mut self,
        beginning: &str,
        out: &mut impl Write,
    ) -> Result<(), Failure> {
        self.print_by(Sampler::greedy(), beginning, &mut Entropy(|| 0), out)
    }

    fn print_by(
        &mut self,
        sampler: Sampler,
        beginning: &str,
        random: &mut impl Rng,
        out: &mut impl Write,
    ) -> Result<(), Failure> {
        let Memory { state, workspace } = &mut *self.memory;
        state.reset();
        let mut letters = Generator::new(&self.model, state, workspace, sampler, random)?;
        letters.prime(beginning)?;
        out.write_str(beginning)?;
        for letter in letters.take(LONGEST.saturating_sub(beginning.len())) {
            out.write_char(letter)?;
        }
        Ok(())
    }
}

/// Why no name was printed, here and elsewhere.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Failure {
    /// Something is wrong with the model, or it doesn't know a letter.
    Model(Error),
    /// What was to be printed on has failed.
    Print,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Model(error)
    }
}

impl From<fmt::Error> for Failure {
    fn from(_: fmt::Error) -> Self {
        Self::Print
    }
}

/// The random numbers of a chip, read by a function, whichever rand_core its HAL is written for.
#[derive(Clone, Copy, Debug)]
pub struct Entropy<F>(pub F);

impl<F: FnMut() -> u32> TryRng for Entropy<F> {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok((self.0)())
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        utils::next_u64_via_u32(self)
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        utils::fill_bytes_via_next_word(bytes, || self.try_next_u32())
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use rand_core::SeedableRng;
    use rand_xoshiro::Xoshiro128PlusPlus;
    use std::string::String;

    use super::*;

    /// One's own firmware, tested on the desktop: the chip makes these very names.
    #[test]
    fn names_are_those_of_the_chip() {
        let mut memory = Memory::new();
        let mut maker = NameMaker::new(&mut memory).unwrap();
        let mut random = Xoshiro128PlusPlus::seed_from_u64(1);
        let mut names = String::new();
        for beginning in ["", "", "ma"] {
            maker.print(beginning, &mut random, &mut names).unwrap();
            names.push(' ');
        }
        assert_eq!(names, "liuono maleni margan ");
        let unknown = maker.print("M", &mut random, &mut names);
        assert_eq!(unknown, Err(Failure::Model(Error::UnknownChar('M'))));
    }
}
