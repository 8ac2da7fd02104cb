//! The CUDA kernels as data: their PTX, and how each is launched.
//!
//! An op has its `.cu` beside its `.rs`, with the same stem; `just ptx` compiles it for the
//! architectures that it names, and what comes out lies in `kernels/ptx` and is part of this crate. A
//! driver makes machine code of it. [`ptx`] chooses the text for a device; a function `…_launch` at
//! the foot of each op's file says which kernel of it to run, in how many blocks. Sizes of tiles are read from the
//! `.cu` when this crate is compiled: they stand in one place.
//!
//! Nothing here talks to a driver. `docs/gpu.md` says what exists and what has run where.

/// PTX of one file for one architecture.
#[derive(Clone, Copy, Debug)]
pub struct Ptx {
    /// The stem of the `.cu`.
    pub file: &'static str,
    /// The compute capability that it was compiled for: `(8, 0)`.
    pub architecture: (u32, u32),
    /// Runs on no other capability (`sm_90a`).
    pub is_exact: bool,
    /// What the driver reads.
    pub text: &'static str,
}

/// Numbers that activations are kept in on a GPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Float {
    /// 32 bits; products without tensor cores.
    F32,
    /// 16 bits, 11 of them significant.
    F16,
    /// 16 bits, 8 of them significant, with the range of f32. From capability 8.0 on.
    Bf16,
}

/// One kernel, started once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Launch {
    /// The stem of its `.cu`.
    pub file: &'static str,
    /// Its name in there.
    pub kernel: &'static str,
    /// Blocks in x and y.
    pub grid: [u32; 2],
    /// Threads of a block.
    pub threads: u32,
    /// Bytes of dynamic shared memory of a block.
    pub shared: u32,
}

/// The PTX of a file for a device of this capability: the highest not above it. None where the
/// device is too old.
pub fn ptx(file: &str, capability: (u32, u32)) -> Option<&'static Ptx> {
    let runs = |ptx: &&Ptx| match ptx.is_exact {
        true => ptx.architecture == capability,
        false => ptx.architecture <= capability,
    };
    PTX.iter().filter(|ptx| ptx.file == file).filter(runs).max_by_key(|ptx| ptx.architecture)
}

/// All that `just ptx` has made.
pub const PTX: &[Ptx] = &[
    made("attention", (7, 5), include_str!("../ptx/attention.sm_75.ptx")),
    made("attention", (8, 0), include_str!("../ptx/attention.sm_80.ptx")),
    made("embedding", (7, 5), include_str!("../ptx/embedding.sm_75.ptx")),
    made("embedding", (8, 0), include_str!("../ptx/embedding.sm_80.ptx")),
    made("f32_simt", (7, 5), include_str!("../ptx/f32_simt.sm_75.ptx")),
    made("gelu", (7, 5), include_str!("../ptx/gelu.sm_75.ptx")),
    made("half_mma", (7, 5), include_str!("../ptx/half_mma.sm_75.ptx")),
    made("half_mma", (8, 0), include_str!("../ptx/half_mma.sm_80.ptx")),
    Ptx {
        is_exact: true,
        ..made("half_wgmma", (9, 0), include_str!("../ptx/half_wgmma.sm_90a.ptx"))
    },
    made("int8_mma", (7, 5), include_str!("../ptx/int8_mma.sm_75.ptx")),
    made("int8_mma", (8, 0), include_str!("../ptx/int8_mma.sm_80.ptx")),
    made("layer_norm", (7, 5), include_str!("../ptx/layer_norm.sm_75.ptx")),
    made("layer_norm", (8, 0), include_str!("../ptx/layer_norm.sm_80.ptx")),
    made("log_sum_exp", (7, 5), include_str!("../ptx/log_sum_exp.sm_75.ptx")),
    made("quantize", (7, 5), include_str!("../ptx/quantize.sm_75.ptx")),
    made("thin", (7, 5), include_str!("../ptx/thin.sm_75.ptx")),
    made("thin", (8, 0), include_str!("../ptx/thin.sm_80.ptx")),
    made("top_k", (7, 5), include_str!("../ptx/top_k.sm_75.ptx")),
];

const fn made(file: &'static str, architecture: (u32, u32), text: &'static str) -> Ptx {
    Ptx { file, architecture, is_exact: false, text }
}

/// The value of `constexpr int NAME = …;` in a `.cu`. Evaluated when this crate is compiled, which fails where there
/// is none.
pub(crate) const fn constant(source: &str, name: &str) -> u32 {
    let (source, name) = (source.as_bytes(), name.as_bytes());
    let mut at = 0;
    loop {
        let next = match after(source, at, b"constexpr int ") {
            Some(next) => next,
            None => panic!("no such constant in the .cu"),
        };
        let mut digit = next + name.len() + 3;
        if begins(source, next, name) && begins(source, digit - 3, b" = ") {
            let mut value = 0;
            while source[digit].is_ascii_digit() {
                value = 10 * value + (source[digit] - b'0') as u32;
                digit += 1;
            }
            assert!(source[digit] == b';', "no plain number in the .cu");
            return value;
        }
        at = next;
    }
}

/// Behind the next `word` from `at` on.
const fn after(text: &[u8], mut at: usize, word: &[u8]) -> Option<usize> {
    while at + word.len() <= text.len() {
        if begins(text, at, word) {
            return Some(at + word.len());
        }
        at += 1;
    }
    None
}

const fn begins(text: &[u8], at: usize, word: &[u8]) -> bool {
    let mut i = 0;
    while i < word.len() {
        if at + i >= text.len() || text[at + i] != word[i] {
            return false;
        }
        i += 1;
    }
    true
}

/// Blocks of `size` that cover `len`, at least one: a grid of none cannot be launched.
pub(crate) fn blocks(len: usize, size: u32) -> u32 {
    u32::try_from(len.div_ceil(size as usize).max(1)).expect("a grid of less than 2³² blocks")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants_are_read_from_the_source() {
        const SOURCE: &str = "constexpr int A_B = 12; // so\nconstexpr int A = 7;";
        assert_eq!((constant(SOURCE, "A"), constant(SOURCE, "A_B")), (7, 12));
    }

    #[test]
    fn a_device_gets_the_highest_architecture_not_above_its_own() {
        let of = |file, capability| ptx(file, capability).map(|ptx| ptx.architecture);
        assert_eq!(of("half_mma", (7, 0)), None);
        assert_eq!(of("half_mma", (7, 5)), Some((7, 5)));
        assert_eq!(of("half_mma", (8, 9)), Some((8, 0)));
        assert_eq!(of("half_mma", (12, 0)), Some((8, 0)));
        assert_eq!(of("half_wgmma", (9, 0)), Some((9, 0)));
        assert_eq!(of("half_wgmma", (10, 0)), None); // sm_90a is for 9.0 alone
        assert_eq!(of("nothing", (9, 0)), None);
    }
}
