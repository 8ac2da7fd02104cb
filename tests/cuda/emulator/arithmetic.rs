//! What a thread computes from its own registers: the PTX ISA, chapters 9.7.1 to 9.7.9, as far as needed.
//!
//! A register of 32 bits lives in the lower half of 64. The `approx` forms, whose last bits NVIDIA
//! leaves open, are computed to the nearest here: who depends on more is not caught.

/// Up to four registers in, one out.
pub type Function = Box<dyn Fn([u64; 4]) -> u64 + Send + Sync>;

/// The function of an opcode, given in its parts; None where it is not known.
pub fn function(parts: &[&str]) -> Option<Function> {
    let kind = *parts.last()?;
    match parts[0] {
        "setp" => return compare(parts),
        "cvt" => return convert(parts),
        _ => {}
    }
    Some(match (parts[0], kind) {
        ("mov" | "cvta", "u64" | "b64" | "s64" | "f64" | "pred") => Box::new(|x| x[0]),
        ("mov" | "cvta", _) => u32_of(|x| x[0]),
        ("add", "f32") => f32_of(|x| x[0] + x[1]),
        ("sub", "f32") => f32_of(|x| x[0] - x[1]),
        ("mul", "f32") => f32_of(|x| x[0] * x[1]),
        ("div", "f32") => f32_of(|x| x[0] / x[1]),
        ("fma", "f32") => f32_of(|x| x[0].mul_add(x[1], x[2])),
        ("rcp", "f32") => f32_of(|x| 1.0 / x[0]),
        ("rsqrt", "f32") => f32_of(|x| (1.0 / f64::from(x[0]).sqrt()) as f32),
        ("sqrt", "f32") => f32_of(|x| x[0].sqrt()),
        ("neg", "f32") => f32_of(|x| -x[0]),
        ("abs", "f32") => f32_of(|x| x[0].abs()),
        // The number, where the other is none.
        ("max", "f32") => f32_of(|x| x[0].max(x[1])),
        ("min", "f32") => f32_of(|x| x[0].min(x[1])),
        ("ex2", "f32") => f32_of(|x| f64::from(x[0]).exp2() as f32),
        ("lg2", "f32") => f32_of(|x| f64::from(x[0]).log2() as f32),
        ("copysign", "f32") => f32_of(|x| x[1].copysign(x[0])),
        ("selp", "b64" | "u64" | "s64" | "f64") => {
            Box::new(|x| if x[2] != 0 { x[0] } else { x[1] })
        }
        ("selp", _) => u32_of(|x| if x[2] != 0 { x[0] } else { x[1] }),
        ("and", "pred") => Box::new(|x| x[0] & x[1]),
        ("or", "pred") => Box::new(|x| x[0] | x[1]),
        ("xor", "pred") => Box::new(|x| x[0] ^ x[1]),
        ("not", "pred") => Box::new(|x| x[0] ^ 1),
        ("brev", "b32") => u32_of(|x| x[0].reverse_bits()),
        ("popc", "b32") => u32_of(|x| x[0].count_ones()),
        ("clz", "b32") => u32_of(|x| x[0].leading_zeros()),
        ("bfind", "u32") if parts.contains(&"shiftamt") => u32_of(|x| x[0].leading_zeros()),
        ("bfi", "b32") => u32_of(|x| insert(u64::from(x[0]), u64::from(x[1]), x[2], x[3]) as u32),
        ("bfi", "b64") => Box::new(|x| insert(x[0], x[1], x[2] as u32, x[3] as u32)),
        ("bfe", "u32") => u32_of(|x| ((u64::from(x[0]) >> x[1]) & ((1u64 << x[2]) - 1)) as u32),
        ("lop3", _) => u32_of(|x| {
            let at = |bit: u32| {
                let index = (x[0] >> bit & 1) << 2 | (x[1] >> bit & 1) << 1 | (x[2] >> bit & 1);
                (x[3] >> index & 1) << bit
            };
            (0..32).map(at).sum()
        }),
        ("prmt", "b32") => u32_of(|x| {
            let bytes = [x[0].to_le_bytes(), x[1].to_le_bytes()].concat();
            let pick = |i: u32| u32::from(bytes[(x[2] >> (4 * i) & 7) as usize]) << (8 * i);
            (0..4).map(pick).sum()
        }),
        ("mad", "s32" | "u32") if parts[1] == "lo" => {
            u32_of(|x| x[0].wrapping_mul(x[1]).wrapping_add(x[2]))
        }
        ("mul", "s32") if parts[1] == "wide" => Box::new(|x| wide(x[0]).wrapping_mul(wide(x[1]))),
        ("mul", "u32") if parts[1] == "wide" => Box::new(|x| low(x[0]) * low(x[1])),
        ("mad", "s32") if parts[1] == "wide" => {
            Box::new(|x| wide(x[0]).wrapping_mul(wide(x[1])).wrapping_add(x[2]))
        }
        ("mad", "u32") if parts[1] == "wide" => {
            Box::new(|x| (low(x[0]) * low(x[1])).wrapping_add(x[2]))
        }
        ("mul", "u32") if parts[1] == "hi" => {
            u32_of(|x| ((u64::from(x[0]) * u64::from(x[1])) >> 32) as u32)
        }
        ("mul", "s32") if parts[1] == "hi" => {
            u32_of(|x| ((i64::from(x[0] as i32) * i64::from(x[1] as i32)) >> 32) as u32)
        }
        (name, "s64" | "u64" | "b64") => integer64(name, kind)?,
        (name, "s32" | "u32" | "b32") => integer32(name, kind)?,
        (name, "s16" | "u16" | "b16") => {
            let f = integer32(name, if kind == "s16" { "s32" } else { "u32" })?;
            match kind {
                "s16" => Box::new(move |x| f(x.map(|x| x as i16 as u32 as u64)) & 0xffff),
                _ => Box::new(move |x| f(x.map(|x| x & 0xffff)) & 0xffff),
            }
        }
        _ => return None,
    })
}

fn integer32(name: &str, kind: &str) -> Option<Function> {
    Some(match (name, kind) {
        ("add", _) => u32_of(|x| x[0].wrapping_add(x[1])),
        ("sub", _) => u32_of(|x| x[0].wrapping_sub(x[1])),
        ("mul", _) => u32_of(|x| x[0].wrapping_mul(x[1])),
        ("div", "s32") => u32_of(|x| (x[0] as i32 / x[1] as i32) as u32),
        ("div", _) => u32_of(|x| x[0] / x[1]),
        ("rem", "s32") => u32_of(|x| (x[0] as i32 % x[1] as i32) as u32),
        ("rem", _) => u32_of(|x| x[0] % x[1]),
        ("and", _) => u32_of(|x| x[0] & x[1]),
        ("or", _) => u32_of(|x| x[0] | x[1]),
        ("xor", _) => u32_of(|x| x[0] ^ x[1]),
        ("not", _) => u32_of(|x| !x[0]),
        ("neg", _) => u32_of(|x| x[0].wrapping_neg()),
        ("abs", _) => u32_of(|x| (x[0] as i32).unsigned_abs()),
        ("min", "s32") => u32_of(|x| (x[0] as i32).min(x[1] as i32) as u32),
        ("max", "s32") => u32_of(|x| (x[0] as i32).max(x[1] as i32) as u32),
        ("min", _) => u32_of(|x| x[0].min(x[1])),
        ("max", _) => u32_of(|x| x[0].max(x[1])),
        // A shift by 32 or more leaves nothing, or the sign.
        ("shl", _) => u32_of(|x| x[0].checked_shl(x[1]).unwrap_or(0)),
        ("shr", "s32") => u32_of(|x| ((x[0] as i32) >> x[1].min(31)) as u32),
        ("shr", _) => u32_of(|x| x[0].checked_shr(x[1]).unwrap_or(0)),
        _ => return None,
    })
}

fn integer64(name: &str, kind: &str) -> Option<Function> {
    Some(match (name, kind) {
        ("add", _) => Box::new(|x| x[0].wrapping_add(x[1])),
        ("sub", _) => Box::new(|x| x[0].wrapping_sub(x[1])),
        ("mul", _) => Box::new(|x| x[0].wrapping_mul(x[1])),
        ("mad", _) => Box::new(|x| x[0].wrapping_mul(x[1]).wrapping_add(x[2])),
        ("and", _) => Box::new(|x| x[0] & x[1]),
        ("or", _) => Box::new(|x| x[0] | x[1]),
        ("xor", _) => Box::new(|x| x[0] ^ x[1]),
        ("not", _) => Box::new(|x| !x[0]),
        ("neg", _) => Box::new(|x| x[0].wrapping_neg()),
        ("min", "s64") => Box::new(|x| (x[0] as i64).min(x[1] as i64) as u64),
        ("max", "s64") => Box::new(|x| (x[0] as i64).max(x[1] as i64) as u64),
        ("min", _) => Box::new(|x| x[0].min(x[1])),
        ("max", _) => Box::new(|x| x[0].max(x[1])),
        ("shl", _) => Box::new(|x| x[0].checked_shl(x[1] as u32).unwrap_or(0)),
        ("shr", "s64") => Box::new(|x| ((x[0] as i64) >> (x[1] as u32).min(63)) as u64),
        ("shr", _) => Box::new(|x| x[0].checked_shr(x[1] as u32).unwrap_or(0)),
        _ => return None,
    })
}

/// `setp.lt.s32` and its sisters; with `u` (`ltu`) true where either is no number.
fn compare(parts: &[&str]) -> Option<Function> {
    let (name, kind) = (parts[1], *parts.last()?);
    if kind == "f32" {
        let unordered = name.len() == 3 && name.ends_with('u');
        let name = if unordered { &name[..2] } else { name };
        let f: fn(f32, f32) -> bool = match name {
            "lt" => |a, b| a < b,
            "le" => |a, b| a <= b,
            "gt" => |a, b| a > b,
            "ge" => |a, b| a >= b,
            "eq" => |a, b| a == b,
            "ne" => |a, b| a != b && !a.is_nan() && !b.is_nan(),
            "nan" => |a, b| a.is_nan() || b.is_nan(),
            "num" => |a, b| !a.is_nan() && !b.is_nan(),
            _ => return None,
        };
        return Some(Box::new(move |x| {
            let (a, b) = (f32::from_bits(x[0] as u32), f32::from_bits(x[1] as u32));
            u64::from(f(a, b) || unordered && (a.is_nan() || b.is_nan()))
        }));
    }
    // As 64 bits with or without a sign, in which the order of every narrower type is kept.
    let widened: fn(u64) -> i128 = match kind {
        "s64" => |x| i128::from(x as i64),
        "u64" | "b64" => i128::from,
        "s32" => |x| i128::from(x as i32),
        "u32" | "b32" => |x| i128::from(x as u32),
        "s16" => |x| i128::from(x as i16),
        "u16" | "b16" => |x| i128::from(x as u16),
        _ => return None,
    };
    let f: fn(i128, i128) -> bool = match name {
        "lt" | "lo" => |a, b| a < b,
        "le" | "ls" => |a, b| a <= b,
        "gt" | "hi" => |a, b| a > b,
        "ge" | "hs" => |a, b| a >= b,
        "eq" => |a, b| a == b,
        "ne" => |a, b| a != b,
        _ => return None,
    };
    Some(Box::new(move |x| u64::from(f(widened(x[0]), widened(x[1])))))
}

/// `cvt.to.from`
fn convert(parts: &[&str]) -> Option<Function> {
    let (to, from) = (parts[parts.len() - 2], parts[parts.len() - 1]);
    Some(match (to, from) {
        ("f32", "s32") => Box::new(|x| u64::from((x[0] as i32 as f32).to_bits())),
        ("f32", "u32") => Box::new(|x| u64::from((x[0] as u32 as f32).to_bits())),
        ("f32", "f16") => {
            Box::new(|x| u64::from(half::f16::from_bits(x[0] as u16).to_f32().to_bits()))
        }
        ("f16", "f32") => Box::new(|x| u64::from(f16_bits(x[0]))),
        ("bf16", "f32") => Box::new(|x| u64::from(bf16_bits(x[0]))),
        ("f16x2", "f32") => {
            Box::new(|x| u64::from(f16_bits(x[1])) | u64::from(f16_bits(x[0])) << 16)
        }
        ("bf16x2", "f32") => {
            Box::new(|x| u64::from(bf16_bits(x[1])) | u64::from(bf16_bits(x[0])) << 16)
        }
        ("s32", "f32") if parts[1] == "rni" => {
            Box::new(|x| u64::from(f32::from_bits(x[0] as u32).round_ties_even() as i32 as u32))
        }
        ("f32", "f32") if parts[1] == "rni" => f32_of(|x| x[0].round_ties_even()),
        ("s64", "s32") => Box::new(|x| wide(x[0])),
        ("u64" | "s64", "u32") => Box::new(|x| low(x[0])),
        ("u32" | "s32", "u64" | "s64") => Box::new(|x| low(x[0])),
        ("u32" | "s32" | "u64", "u16") => Box::new(|x| x[0] & 0xffff),
        ("s32", "s16") => Box::new(|x| u64::from(x[0] as i16 as i32 as u32)),
        ("u16" | "s16", "u32" | "s32" | "u64") => Box::new(|x| x[0] & 0xffff),
        ("u32" | "u16", "u8") => Box::new(|x| x[0] & 0xff),
        ("s32", "s8") => Box::new(|x| u64::from(x[0] as i8 as i32 as u32)),
        ("u8", "u32" | "s32" | "u16") => Box::new(|x| x[0] & 0xff),
        _ => return None,
    })
}

fn f16_bits(x: u64) -> u16 {
    half::f16::from_f32(f32::from_bits(x as u32)).to_bits()
}

fn bf16_bits(x: u64) -> u16 {
    half::bf16::from_f32(f32::from_bits(x as u32)).to_bits()
}

fn f32_of(f: impl Fn([f32; 4]) -> f32 + Send + Sync + 'static) -> Function {
    Box::new(move |x| u64::from(f(x.map(|x| f32::from_bits(x as u32))).to_bits()))
}

fn u32_of(f: impl Fn([u32; 4]) -> u32 + Send + Sync + 'static) -> Function {
    Box::new(move |x| u64::from(f(x.map(|x| x as u32))))
}

fn wide(x: u64) -> u64 {
    x as i32 as i64 as u64
}

fn low(x: u64) -> u64 {
    x & 0xffff_ffff
}

/// b with `bits` bits of a at `at`.
fn insert(a: u64, b: u64, at: u32, bits: u32) -> u64 {
    let mask = if bits >= 64 { u64::MAX } else { (1 << bits) - 1 };
    b & !(mask << at) | (a & mask) << at
}
