//! What every board does: makes a name and prints it. A board brings something to print on, a source
//! of random numbers, and a reason to make a name.
#![no_std]

use core::fmt::{self, Write};

use charlet::{Error, Sampler, SessionOf};

charlet::model!(
    /// The model, in flash: names/names-i8, or the one that the environment variable `NAMES_MODEL`
    /// named when this was built.
    pub NAMES,
    concat!("../../../../models/", env!("NAMES_MODEL"), ".charlet")
);

/// No name is longer.
pub const LONGEST: usize = 20;

/// Makes names, in memory of its own: a variable of `main`, or a static.
#[derive(Debug)]
pub struct NameMaker {
    session: SessionOf<NAMES>,
}

impl NameMaker {
    /// Nothing can go wrong from here on but printing: the model was checked while compiling.
    #[expect(clippy::new_without_default, reason = "a static needs a constant")]
    pub const fn new() -> Self {
        Self {
            session: NAMES.session(),
        }
    }

    /// Prints a name that begins with these letters, which may be none.
    ///
    /// # Errors
    /// [`Failure::Model`] if the model doesn't know one of the letters, and [`Failure::Print`].
    pub fn print(
        &mut self,
        beginning: &str,
        random: impl FnMut() -> u32,
        out: &mut impl Write,
    ) -> Result<(), Failure> {
        // The lower the temperature, the more names are like the most probable one.
        let sampler = const { Sampler::with_temperature(0.8) }?;
        self.print_by(sampler, beginning, random, out)
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
        self.print_by(Sampler::argmax(), beginning, || 0, out)
    }

    fn print_by(
        &mut self,
        sampler: Sampler,
        beginning: &str,
        random: impl FnMut() -> u32,
        out: &mut impl Write,
    ) -> Result<(), Failure> {
        // The last name may have been as long as names get, and not at its end.
        self.session.start_text();
        self.session.prompt(beginning)?;
        out.write_str(beginning)?;
        let letters_left = LONGEST.saturating_sub(beginning.len());
        let mut letters = self.session.generate(sampler, random);
        letters.write_to(out, letters_left, None)?;
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

#[cfg(test)]
mod tests {
    extern crate std;

    use std::string::String;

    use charlet::Rng;

    use super::*;

    /// One's own firmware, tested on the desktop: the chip makes these very names.
    #[test]
    fn names_are_those_of_the_chip() {
        let mut maker = NameMaker::new();
        let mut rng = Rng::from_seed(1);
        let mut names = String::new();
        for beginning in ["", "", "ma"] {
            maker
                .print(beginning, || rng.next_u32(), &mut names)
                .unwrap();
            names.push(' ');
        }
        assert_eq!(names, "liuono maleni margan ");
        let unknown = maker.print("M", || rng.next_u32(), &mut names);
        assert_eq!(unknown, Err(Failure::Model(Error::UnknownChar('M'))));
    }
}
