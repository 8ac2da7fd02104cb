//! An opcode and its operands → what the emulator does.

use std::collections::HashMap;

use super::arithmetic::{Function, function};
use super::parse::{Operand, Reg};

pub enum Op {
    /// d = f(operands): all that a thread does with its own registers.
    Compute {
        d: Reg,
        from: [Reg; 4],
        f: Function,
    },
    /// `mov.b64 %rd, {%r, %r}`: parts of so many bits become one.
    Join {
        d: Reg,
        from: Vec<Reg>,
        bits: u32,
    },
    /// The reverse.
    Part {
        d: Vec<Reg>,
        from: Reg,
        bits: u32,
    },
    Load {
        d: Vec<Reg>,
        bytes: usize,
        signed: bool,
        at: Reg,
        offset: i64,
    },
    Store {
        from: Vec<Reg>,
        bytes: usize,
        at: Reg,
        offset: i64,
    },
    Branch(usize),
    Return,
    /// `cp.async`: 16 bytes, of which `bytes` (a register) are read and the rest zero.
    Copy {
        to: (Reg, i64),
        from: (Reg, i64),
        bytes: Reg,
    },
    CopyCommit,
    /// Until so many groups, or fewer, are under way.
    CopyWait(Reg),
    /// All threads of the block, or so many of them, meet.
    Barrier {
        name: Reg,
        threads: Option<Reg>,
    },
    /// The warp does it together.
    Warp(Warp),
    /// `mbarrier.…`, `cp.async.bulk.…`, `wgmma.…`: what sm_90 adds.
    Hopper(Hopper),
}

pub enum Warp {
    Shuffle {
        how: Shuffle,
        d: Reg,
        value: Reg,
        lane: Reg,
    },
    Ballot {
        d: Reg,
        predicate: Reg,
    },
    Synchronise,
    LoadMatrix {
        d: Vec<Reg>,
        at: Reg,
        offset: i64,
        transposed: bool,
    },
    /// d = a · b + c.
    Multiply {
        shape: Shape,
        d: Vec<Reg>,
        a: Vec<Reg>,
        b: Vec<Reg>,
        c: Vec<Reg>,
    },
}

#[derive(Clone, Copy)]
pub enum Shuffle {
    Lane,
    Up,
    Down,
    Xor,
}

/// The shapes and types of `mma.sync` that are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    F16M16N8K8,
    F16M16N8K16,
    Bf16M16N8K16,
    Int8M8N8K16,
    Int8M16N8K32,
}

pub enum Hopper {
    InitBarrier {
        at: Reg,
        offset: i64,
        count: Reg,
    },
    /// `mbarrier.arrive.expect_tx`, or a plain arrival where no bytes are expected.
    Arrive {
        at: Reg,
        offset: i64,
        bytes: Option<Reg>,
    },
    /// `mbarrier.try_wait.parity`: whether the phase of that parity has ended.
    TryWait {
        d: Reg,
        at: Reg,
        offset: i64,
        parity: Reg,
    },
    /// `cp.async.bulk.tensor.2d`
    CopyTile {
        to: Reg,
        map: Reg,
        x: Reg,
        y: Reg,
        barrier: Reg,
    },
    /// `wgmma.mma_async`: d += a · b, all by descriptors; `n` columns.
    Multiply {
        bf16: bool,
        n: usize,
        d: Vec<Reg>,
        a: Reg,
        b: Reg,
        keep: Reg,
    },
    Commit,
    Wait(Reg),
    Fence,
}

/// None where the opcode is not known.
pub fn decode(opcode: &str, operands: &[Operand], labels: &HashMap<String, usize>) -> Option<Op> {
    let parts: Vec<&str> = opcode.split('.').collect();
    let reg = |i: usize| match &operands[i] {
        Operand::Reg(reg) | Operand::Two(reg) => *reg,
        other => panic!("{opcode}: a register where {other:?} stands"),
    };
    let list = |i: usize| match &operands[i] {
        Operand::Vector(regs) => regs.clone(),
        Operand::Reg(reg) => vec![*reg],
        other => panic!("{opcode}: registers where {other:?} stands"),
    };
    let address = |i: usize| match &operands[i] {
        Operand::Address(base, offset, _) => (*base, *offset),
        other => panic!("{opcode}: an address where {other:?} stands"),
    };
    let is_bytes = |kind: &str| kind[1..].parse::<usize>().ok().map(|bits| bits / 8);
    Some(match parts[..] {
        ["ld", .., kind] => {
            let (at, offset) = address(1);
            let signed = kind.starts_with('s');
            Op::Load { d: list(0), bytes: is_bytes(kind)?, signed, at, offset }
        }
        ["st", .., kind] => {
            let (at, offset) = address(0);
            Op::Store { from: list(1), bytes: is_bytes(kind)?, at, offset }
        }
        ["mov", kind] if matches!(operands[1], Operand::Vector(_)) => {
            let from = list(1);
            let bits = 8 * is_bytes(kind)? as u32 / from.len() as u32;
            Op::Join { d: reg(0), from, bits }
        }
        ["mov", kind] if matches!(operands[0], Operand::Vector(_)) => {
            let d = list(0);
            let bits = 8 * is_bytes(kind)? as u32 / d.len() as u32;
            Op::Part { d, from: reg(1), bits }
        }
        ["bra", ..] => match &operands[0] {
            Operand::Label(label) => Op::Branch(*labels.get(label)?),
            _ => return None,
        },
        ["ret"] => Op::Return,
        ["cp", "async", "cg", "shared", "global"] => {
            Op::Copy { to: address(0), from: address(1), bytes: reg(3) }
        }
        ["cp", "async", "commit_group"] => Op::CopyCommit,
        ["cp", "async", "wait_group"] => Op::CopyWait(reg(0)),
        ["bar", "sync"] => {
            Op::Barrier { name: reg(0), threads: (operands.len() > 1).then(|| reg(1)) }
        }
        ["bar", "warp", "sync"] => Op::Warp(Warp::Synchronise),
        ["shfl", "sync", how, "b32"] => {
            let how = match how {
                "idx" => Shuffle::Lane,
                "up" => Shuffle::Up,
                "down" => Shuffle::Down,
                "bfly" => Shuffle::Xor,
                _ => return None,
            };
            Op::Warp(Warp::Shuffle { how, d: reg(0), value: reg(1), lane: reg(2) })
        }
        ["vote", "sync", "ballot", "b32"] => {
            Op::Warp(Warp::Ballot { d: reg(0), predicate: reg(1) })
        }
        ["ldmatrix", "sync", "aligned", "m8n8", count, .., "b16"] => {
            let ((at, offset), d) = (address(1), list(0));
            assert_eq!(count, format!("x{}", d.len()), "{opcode}");
            let transposed = parts.contains(&"trans");
            Op::Warp(Warp::LoadMatrix { d, at, offset, transposed })
        }
        ["mma", "sync", "aligned", shape, "row", "col", .., a, b, _] => {
            let shape = match (shape, a) {
                ("m16n8k8", "f16") => Shape::F16M16N8K8,
                ("m16n8k16", "f16") => Shape::F16M16N8K16,
                ("m16n8k16", "bf16") => Shape::Bf16M16N8K16,
                ("m8n8k16", "s8") => Shape::Int8M8N8K16,
                ("m16n8k32", "s8") => Shape::Int8M16N8K32,
                _ => return None,
            };
            assert_eq!(a, b, "{opcode}");
            let [d, a, b, c] = [0, 1, 2, 3].map(list);
            Op::Warp(Warp::Multiply { shape, d, a, b, c })
        }
        ["mbarrier" | "wgmma" | "fence", ..] | ["cp", "async", "bulk", ..] => {
            return hopper(opcode, &parts, operands);
        }
        _ => {
            let mut from = [0; 4];
            for (i, from) in from.iter_mut().enumerate().take(operands.len() - 1) {
                *from = reg(i + 1);
            }
            Op::Compute { d: reg(0), from, f: function(&parts)? }
        }
    })
}

fn hopper(opcode: &str, parts: &[&str], operands: &[Operand]) -> Option<Op> {
    let reg = |i: usize| match &operands[i] {
        Operand::Reg(reg) => *reg,
        other => panic!("{opcode}: a register where {other:?} stands"),
    };
    let address = |i: usize| match &operands[i] {
        Operand::Address(base, offset, more) => (*base, *offset, more),
        other => panic!("{opcode}: an address where {other:?} stands"),
    };
    Some(match parts {
        ["mbarrier", "init", ..] => {
            let (at, offset, _) = address(0);
            Op::Hopper(Hopper::InitBarrier { at, offset, count: reg(1) })
        }
        ["mbarrier", "arrive", rest @ ..] => {
            let (at, offset, _) = address(1);
            let bytes = rest.contains(&"expect_tx").then(|| reg(2));
            Op::Hopper(Hopper::Arrive { at, offset, bytes })
        }
        ["mbarrier", "try_wait", "parity", ..] => {
            let (at, offset, _) = address(1);
            Op::Hopper(Hopper::TryWait { d: reg(0), at, offset, parity: reg(2) })
        }
        ["cp", "async", "bulk", "tensor", "2d", "shared::cluster", "global", ..] => {
            let ((to, _, _), (map, _, place), (barrier, _, _)) =
                (address(0), address(1), address(2));
            Op::Hopper(Hopper::CopyTile { to, map, x: place[0], y: place[1], barrier })
        }
        ["wgmma", "mma_async", "sync", "aligned", shape, "f32", kind, _] => {
            let n = shape.strip_prefix("m64n")?.strip_suffix("k16")?.parse().ok()?;
            let Operand::Vector(d) = &operands[0] else { return None };
            assert_eq!(d.len(), n / 2, "{opcode}: 64 × {n} values over 128 threads");
            let (d, keep, bf16) = (d.clone(), reg(3), *kind == "bf16");
            Op::Hopper(Hopper::Multiply { bf16, n, d, a: reg(1), b: reg(2), keep })
        }
        ["wgmma", "commit_group", ..] => Op::Hopper(Hopper::Commit),
        ["wgmma", "wait_group", ..] => Op::Hopper(Hopper::Wait(reg(0))),
        ["wgmma", "fence", ..] | ["fence", ..] => Op::Hopper(Hopper::Fence),
        _ => return None,
    })
}
