//! safetensors, panel files among them.
#![no_main]

use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};
use zhengzi_fuzz::{mend, properties};

fuzz_target!(|bytes: &[u8]| {
    properties::open(bytes);
});

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    let size = fuzzer_mutate(data, size, max_size);
    match seed.is_multiple_of(4) {
        true => size,
        false => mend::safetensors(&mut data[..max_size], size),
    }
});
