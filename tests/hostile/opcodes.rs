//! P4: each of the 256 opcodes on four kinds of stack, in both containers: read or refused, never a
//! panic, and never a tensor out of nothing.

use super::Row;
use crate::checkpoint::files::{entries, legacy, zip};

#[test]
fn p4_every_opcode_on_every_kind_of_stack_is_read_or_refused() {
    let deep = b"N".repeat(9_999);
    let stacks: [&[u8]; 4] = [b"", b"N", b"N(", &deep];
    let tails: [&[u8]; 4] = [b"", b".", b"\0\0\0\0.", b"\xff\xff\xff\xff\xff\xff\xff\xff."];
    let mut row = Row::new("P4");
    for opcode in 0..=255u8 {
        for stack in stacks {
            for tail in tails {
                let pickle = [b"\x80\x02", stack, &[opcode], tail].concat();
                let answers =
                    [row.read(&zip(&entries(&pickle))), row.read(&legacy(&pickle, &[], &[]))];
                for line in answers.map(|answer| answer.expect_err("none of these holds a tensor"))
                {
                    let placed = line.contains(" at byte ") || line.contains("holds no tensors");
                    assert!(placed, "does not say where: {line}");
                }
            }
        }
    }
    row.end(256 * 4 * 4 * 2);
}

#[test]
fn p4_only_the_opcodes_of_tensors_are_allowed() {
    let allowed = b"(.GJKMNQRX]abceh}jqrstu)\x80\x85\x86\x87\x88\x89\x8a\x8c\x93\x94\x95";
    let mut row = Row::new("P4 by name");
    for opcode in (0..=255u8).filter(|opcode| !allowed.contains(opcode)) {
        let pickle = [b"\x80\x02NN", &[opcode][..], b"\0\0\0\0."].concat();
        let reason = format!("the pickle opcode 0x{opcode:02x} is not allowed");
        row.refuse("opcode", &zip(&entries(&pickle)), &[&reason]);
    }
    row.end(256 - allowed.len());
}
