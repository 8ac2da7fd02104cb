//! The pass that makes a plain pickle of torch's: what it lets through must be plain.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use zhengzi_fuzz::properties::assert_one_line;
use zhengzi_runtime::checkpoint::fuzzing::pickle;

fuzz_target!(|bytes: &[u8]| {
    let read = |bytes: &[u8]| pickle(Path::new("input.bin"), bytes.to_vec());
    let passed = match read(bytes) {
        Ok(passed) => passed,
        Err(error) => return assert_one_line(&error),
    };
    assert!(passed.end <= bytes.len());
    assert!(read(&bytes[..passed.end - 1]).is_err(), "a pickle without its STOP");
    assert!(passed.value.len() + passed.storages.len() <= 64 << 20, "a bomb");
    assert_plain(&passed.value);
    assert_plain(&passed.storages);
    // Nothing behind the end is looked at, but for the length of a frame, which must fit.
    let longer = read(&[bytes, b"."].concat()).expect("it passed without that");
    assert_eq!((longer.end, longer.value), (passed.end, passed.value));
    if let Err(error) = passed.state_dict {
        assert_one_line(&error);
    }
});

/// Walks through opcodes that push or put together plain values, none that could name or call
/// anything, to exactly one value at a STOP that ends it.
fn assert_plain(code: &[u8]) {
    let (mut at, mut height) = (0, 0usize);
    loop {
        let opcode = code[at];
        let rest = &code[at + 1..];
        let length =
            |bytes: usize| rest[..bytes].iter().rev().fold(0, |n, b| n << 8 | usize::from(*b));
        at += 1 + match opcode {
            b'N' | 0x88 | 0x89 | b']' | b'}' | b'a' | b's' | b'.' => 0,
            b'K' => 1,
            b'M' => 2,
            b'J' => 4,
            b'G' => 8,
            0x8a => 1 + length(1),
            b'C' => 1 + length(1),
            b'X' => 4 + length(4),
            _ => panic!("the opcode 0x{opcode:02x} came through"),
        };
        height = match opcode {
            b'a' => height.checked_sub(2).expect("a list and an item") + 1,
            b's' => height.checked_sub(3).expect("a dict, a key and a value") + 1,
            b'.' => break,
            _ => height + 1,
        };
    }
    assert_eq!((at, height), (code.len(), 1));
}
