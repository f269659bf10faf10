//! A small generator of random numbers: the one that the command `charlet` samples with.

/// Random numbers from a seed: xoshiro128++ (Blackman and Vigna, 2019), which is small and fast on
/// 32-bit chips.
///
/// A chip with this generator, a seed and a maximum length makes the text that `charlet generate
/// --seed SEED --length LENGTH` makes:
/// one generator makes all texts of a run, one after another, and each character that is drawn takes
/// one number, the mark at a text's end included. [`Sampler::argmax`](crate::Sampler::argmax) and
/// prompts take none.
///
/// It is not for secrets. Sampling takes any other source of random bits too, as a closure.
///
/// ```
/// use charlet::Rng;
///
/// let mut rng = Rng::from_seed(1);
/// let saved = rng.to_bytes();
/// let next = rng.next_u32();
/// assert_eq!(Rng::from_bytes(saved).next_u32(), next);
/// ```
#[must_use = "random numbers do nothing by themselves"]
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Rng {
    words: [u32; 4],
}

impl Rng {
    /// The generator of a seed, whose state SplitMix64 makes: as `rand_xoshiro` does.
    pub const fn from_seed(seed: u64) -> Self {
        let (first, state) = split_mix(seed);
        let (second, _) = split_mix(state);
        Self {
            words: [
                first as u32,
                (first >> 32) as u32,
                second as u32,
                (second >> 32) as u32,
            ],
        }
    }

    /// The next 32 random bits.
    pub const fn next_u32(&mut self) -> u32 {
        let [a, b, c, d] = self.words;
        let result = a.wrapping_add(d).rotate_left(7).wrapping_add(a);
        let (c, d) = (c ^ a, d ^ b);
        self.words = [a ^ d, b ^ c, c ^ b << 9, d.rotate_left(11)];
        result
    }

    /// The state, to save it.
    pub const fn to_bytes(&self) -> [u8; 16] {
        let [
            [a0, a1, a2, a3],
            [b0, b1, b2, b3],
            [c0, c1, c2, c3],
            [d0, d1, d2, d3],
        ] = [
            self.words[0].to_le_bytes(),
            self.words[1].to_le_bytes(),
            self.words[2].to_le_bytes(),
            self.words[3].to_le_bytes(),
        ];
        [
            a0, a1, a2, a3, b0, b1, b2, b3, c0, c1, c2, c3, d0, d1, d2, d3,
        ]
    }

    /// The generator with a saved state. Zeros, which would give only zeros, count as seed 0.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        let [a, b, c, d] = *bytes.as_chunks::<4>().0 else {
            return Self::from_seed(0);
        };
        if u128::from_le_bytes(bytes) == 0 {
            return Self::from_seed(0);
        }
        Self {
            words: [
                u32::from_le_bytes(a),
                u32::from_le_bytes(b),
                u32::from_le_bytes(c),
                u32::from_le_bytes(d),
            ],
        }
    }
}

/// A number of SplitMix64 (Steele, Lea and Flood, 2014), and its next state.
const fn split_mix(state: u64) -> (u64, u64) {
    let state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (mixed ^ (mixed >> 31), state)
}

/// Where it serves as a generator for others: what `rand_core` asks for, in each of its versions.
#[cfg(any(
    feature = "rand_core_0_6",
    feature = "rand_core_0_9",
    feature = "rand_core_0_10"
))]
mod of_rand_core {
    use super::Rng;

    impl Rng {
        fn two(&mut self) -> u64 {
            let low = self.next_u32();
            u64::from(self.next_u32()) << 32 | u64::from(low)
        }

        fn fill(&mut self, bytes: &mut [u8]) {
            for chunk in bytes.chunks_mut(4) {
                for (byte, random) in chunk.iter_mut().zip(self.next_u32().to_le_bytes()) {
                    *byte = random;
                }
            }
        }
    }

    #[cfg(feature = "rand_core_0_6")]
    impl rand_core_0_6::RngCore for Rng {
        fn next_u32(&mut self) -> u32 {
            self.next_u32()
        }

        fn next_u64(&mut self) -> u64 {
            self.two()
        }

        fn fill_bytes(&mut self, bytes: &mut [u8]) {
            self.fill(bytes);
        }

        fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), rand_core_0_6::Error> {
            self.fill(bytes);
            Ok(())
        }
    }

    #[cfg(feature = "rand_core_0_9")]
    impl rand_core_0_9::RngCore for Rng {
        fn next_u32(&mut self) -> u32 {
            self.next_u32()
        }

        fn next_u64(&mut self) -> u64 {
            self.two()
        }

        fn fill_bytes(&mut self, bytes: &mut [u8]) {
            self.fill(bytes);
        }
    }

    #[cfg(feature = "rand_core_0_10")]
    impl rand_core_0_10::TryRng for Rng {
        type Error = core::convert::Infallible;

        fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
            Ok(self.next_u32())
        }

        fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
            Ok(self.two())
        }

        fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Self::Error> {
            self.fill(bytes);
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use rand_xoshiro::Xoshiro128PlusPlus;
    use rand_xoshiro::rand_core::{Rng as _, SeedableRng};

    use super::*;

    #[test]
    fn its_numbers_are_those_of_rand_xoshiro() {
        for seed in [0, 1, 42, u64::MAX] {
            let mut reference = Xoshiro128PlusPlus::seed_from_u64(seed);
            let mut rng = Rng::from_seed(seed);
            for _ in 0..100 {
                assert_eq!(rng.next_u32(), reference.next_u32());
            }
        }
    }

    #[test]
    fn a_saved_state_goes_on_where_it_was_left() {
        let mut rng = Rng::from_seed(7);
        rng.next_u32();
        let mut restored = Rng::from_bytes(rng.to_bytes());
        assert_eq!(restored, rng);
        assert_eq!(restored.next_u32(), rng.next_u32());
    }

    #[test]
    fn zeros_are_no_state() {
        let mut rng = Rng::from_bytes([0; 16]);
        assert_ne!([rng.next_u32(), rng.next_u32()], [0, 0]);
    }
}
