#![no_main]

use charlet_fuzz::message;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| message::check(bytes));
