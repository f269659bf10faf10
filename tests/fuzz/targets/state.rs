#![no_main]

use charlet_fuzz::{numbers, state};
use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};

fuzz_target!(|bytes: &[u8]| state::check(bytes));

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    numbers::mutate(data, size, max_size, seed, fuzzer_mutate)
});
