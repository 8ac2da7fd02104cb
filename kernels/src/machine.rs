//! What this CPU could do at best: what tables of times divide by.
//!
//! ```text
//! multiply-adds   xᵢ = xᵢ · a + b   in registers at once, again and again, nothing loaded
//! reading         Σ xᵢ              over a block that lies in one cache, or in none
//! fork and join   nothing           done by every thread of the pool
//! ```
//!
//! Twelve sums are open at a time, more than the eight that fill two units of four cycles each, and
//! more than the ten of five cycles. Time a function here, and the quotient is the limit.

#[cfg(target_arch = "aarch64")]
use std::arch::aarch64::*;
#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;
use std::hint::black_box;

use crate::{Isa, Level, Precision};
#[cfg(target_arch = "x86_64")]
use crate::{Vectors, gemm::amx, lanes};

/// Sums open at a time.
const OPEN: usize = 12;

/// Instructions that multiply and add: what a matrix product of one precision runs on.
#[derive(Clone, Copy, Debug)]
pub struct Engine(&'static Form);

#[derive(Debug)]
struct Form {
    name: &'static str,
    factors: Precision,
    /// The level that brought them.
    level: Level,
    /// So many rounds; the lanes, or products in a round of one sum.
    run: unsafe fn(usize) -> usize,
}

/// Every engine, those of one kind of registers by their level.
const FORMS: &[Form] = &[
    Form { name: "f32", factors: Precision::F32, level: Level::Scalar, run: multiply_add_scalar },
    Form {
        name: "int8",
        factors: Precision::Int8,
        level: Level::Scalar,
        run: multiply_add_int8_scalar,
    },
    #[cfg(target_arch = "aarch64")]
    Form { name: "f32 fmla", factors: Precision::F32, level: Level::Neon, run: multiply_add_neon },
    #[cfg(target_arch = "x86_64")]
    Form {
        name: "f32 vfmadd",
        factors: Precision::F32,
        level: Level::Avx2,
        run: multiply_add_avx2,
    },
    #[cfg(target_arch = "x86_64")]
    Form {
        name: "int8 vpmaddubsw",
        factors: Precision::Int8,
        level: Level::Avx2,
        run: multiply_add_int8_avx2,
    },
    #[cfg(target_arch = "x86_64")]
    Form {
        name: "int8 vpdpbusd",
        factors: Precision::Int8,
        level: Level::AvxVnni,
        run: multiply_add_int8_avx_vnni,
    },
    #[cfg(target_arch = "x86_64")]
    Form {
        name: "f32 vfmadd",
        factors: Precision::F32,
        level: Level::Avx512,
        run: multiply_add_avx512,
    },
    #[cfg(target_arch = "x86_64")]
    Form {
        name: "int8 vpmaddubsw",
        factors: Precision::Int8,
        level: Level::Avx512,
        run: multiply_add_int8_avx512,
    },
    #[cfg(target_arch = "x86_64")]
    Form {
        name: "int8 vpdpbusd",
        factors: Precision::Int8,
        level: Level::Avx512Vnni,
        run: multiply_add_int8_avx512_vnni,
    },
    #[cfg(target_arch = "x86_64")]
    Form {
        name: "bf16 tdpbf16ps",
        factors: Precision::Bf16,
        level: Level::Amx,
        run: amx::again_bf16,
    },
    #[cfg(target_arch = "x86_64")]
    Form {
        name: "int8 tdpbssd",
        factors: Precision::Int8,
        level: Level::Amx,
        run: amx::again_int8,
    },
];

impl Engine {
    /// The fastest on this level, or `None` where this file knows none. Without instructions of
    /// their own, bf16 are widened, and multiplied as f32.
    pub fn of(isa: Isa, factors: Precision) -> Option<Engine> {
        let reaches =
            |form: &Form| form.level.vectors() == isa.vectors() && form.level <= isa.level();
        let find = |factors| {
            FORMS.iter().rev().find(|form| form.factors == factors && reaches(form)).map(Engine)
        };
        match factors {
            Precision::Bf16 => find(Precision::Bf16).or_else(|| find(Precision::F32)),
            _ => find(factors),
        }
    }

    /// Every engine of this CPU, weakest level first.
    pub fn available() -> Vec<Engine> {
        FORMS.iter().filter(|form| Isa::new(form.level).is_some()).map(Engine).collect()
    }

    /// Its factors and its instruction.
    pub fn name(self) -> &'static str {
        self.0.name
    }

    /// The level that brought it.
    pub fn level(self) -> Level {
        self.0.level
    }

    /// Does `rounds` times 12 multiply-adds of a register; returns how many operations that is,
    /// two a product.
    pub fn multiply_add(self, rounds: usize) -> usize {
        // SAFETY: an Engine is made by `of` and `available` only. There an isa proves the level: of
        // levels with the same registers each has all that the weaker ones have.
        let products = unsafe { (self.0.run)(rounds) };
        2 * products * OPEN * rounds
    }
}

/// Does `rounds` times 12 multiply-adds of a register of f32 of this level; returns how many flops
/// that is.
pub fn multiply_add(isa: Isa, rounds: usize) -> usize {
    Engine::of(isa, Precision::F32).expect("every level multiplies f32").multiply_add(rounds)
}

/// Reads all of `block` once, with the widest loads of the level, in order.
pub fn read(isa: Isa, block: &[f32]) {
    // Or the compiler would read a block once that is read again and again.
    let block = black_box(block);
    black_box(match isa.vectors() {
        // SAFETY: the isa proves AVX2.
        #[cfg(target_arch = "x86_64")]
        Vectors::Avx2 => unsafe { read_avx2(block) },
        // SAFETY: the isa proves AVX-512.
        #[cfg(target_arch = "x86_64")]
        Vectors::Avx512 => unsafe { read_avx512(block) },
        _ => read_scalar(block),
    });
}

/// Has every thread of the current crew do nothing, `rounds` times, waiting for all each time.
pub fn fork_and_join(rounds: usize) {
    for _ in 0..rounds {
        crate::parallel::each(crate::parallel::threads(), &|_| ());
    }
}

fn multiply_add_scalar(rounds: usize) -> usize {
    let (a, b) = black_box((0.5f32, 1.0f32));
    let mut x = [0.0f32; OPEN];
    for _ in 0..rounds {
        x = black_box(x.map(|x| x * a + b));
    }
    1
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn multiply_add_avx2(rounds: usize) -> usize {
    let (a, b) = black_box((_mm256_set1_ps(0.5), _mm256_set1_ps(1.0)));
    let mut x = [_mm256_setzero_ps(); OPEN];
    for _ in 0..rounds {
        for x in &mut x {
            *x = _mm256_fmadd_ps(*x, a, b);
        }
    }
    black_box(x);
    8
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn multiply_add_avx512(rounds: usize) -> usize {
    let (a, b) = black_box((_mm512_set1_ps(0.5), _mm512_set1_ps(1.0)));
    let mut x = [_mm512_setzero_ps(); OPEN];
    for _ in 0..rounds {
        for x in &mut x {
            *x = _mm512_fmadd_ps(*x, a, b);
        }
    }
    black_box(x);
    16
}

#[cfg(target_arch = "aarch64")]
#[target_feature(enable = "neon")]
fn multiply_add_neon(rounds: usize) -> usize {
    let (a, b) = black_box((vdupq_n_f32(0.5), vdupq_n_f32(1.0)));
    let mut x = [vdupq_n_f32(0.0); OPEN];
    for _ in 0..rounds {
        for x in &mut x {
            *x = vfmaq_f32(b, *x, a);
        }
    }
    black_box(x);
    4
}

fn multiply_add_int8_scalar(rounds: usize) -> usize {
    let (a, b) = black_box((3i8, 1i32));
    let mut x = [0i32; OPEN];
    for _ in 0..rounds {
        x = black_box(x.map(|x| i32::from(x as i8) * i32::from(a) + b));
    }
    1
}

/// Products of bytes in pairs, their sums in pairs, and those added: three instructions for 32
/// products. The sum is a factor too, or the compiler would multiply but once.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn multiply_add_int8_avx2(rounds: usize) -> usize {
    let (a, one) = black_box((_mm256_set1_epi8(3), _mm256_set1_epi16(1)));
    let mut x = [_mm256_setzero_si256(); OPEN];
    for _ in 0..rounds {
        for x in &mut x {
            let pairs = _mm256_maddubs_epi16(*x, a);
            *x = _mm256_add_epi32(*x, _mm256_madd_epi16(pairs, one));
        }
    }
    black_box(x);
    32
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw")]
fn multiply_add_int8_avx512(rounds: usize) -> usize {
    let (a, one) = black_box((_mm512_set1_epi8(3), _mm512_set1_epi16(1)));
    let mut x = [_mm512_setzero_si512(); OPEN];
    for _ in 0..rounds {
        for x in &mut x {
            let pairs = _mm512_maddubs_epi16(*x, a);
            *x = _mm512_add_epi32(*x, _mm512_madd_epi16(pairs, one));
        }
    }
    black_box(x);
    64
}

/// The three in one instruction.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,avxvnni")]
fn multiply_add_int8_avx_vnni(rounds: usize) -> usize {
    let (a, b) = black_box((_mm256_set1_epi8(3), _mm256_set1_epi8(-1)));
    let mut x = [_mm256_setzero_si256(); OPEN];
    for _ in 0..rounds {
        for x in &mut x {
            *x = _mm256_dpbusd_avx_epi32(*x, a, b);
        }
    }
    black_box(x);
    32
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512vnni")]
fn multiply_add_int8_avx512_vnni(rounds: usize) -> usize {
    let (a, b) = black_box((_mm512_set1_epi8(3), _mm512_set1_epi8(-1)));
    let mut x = [_mm512_setzero_si512(); OPEN];
    for _ in 0..rounds {
        for x in &mut x {
            *x = _mm512_dpbusd_epi32(*x, a, b);
        }
    }
    black_box(x);
    64
}

fn read_scalar(block: &[f32]) -> f32 {
    let mut sums = [0.0; OPEN];
    for chunk in block.chunks(OPEN) {
        sums.iter_mut().zip(chunk).for_each(|(sum, x)| *sum += x);
    }
    sums.iter().sum()
}

/// Eight loads at a time; two of them are all that a cycle can do.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn read_avx2(block: &[f32]) -> f32 {
    let mut sums = [_mm256_setzero_ps(); 8];
    for chunk in block.chunks(64) {
        for (i, sum) in sums.iter_mut().enumerate() {
            *sum = _mm256_add_ps(*sum, lanes::load8(chunk, 8 * i));
        }
    }
    lanes::sum8(sums.into_iter().fold(_mm256_setzero_ps(), |a, b| _mm256_add_ps(a, b)))
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512dq")]
fn read_avx512(block: &[f32]) -> f32 {
    let mut sums = [_mm512_setzero_ps(); 8];
    for chunk in block.chunks(128) {
        for (i, sum) in sums.iter_mut().enumerate() {
            *sum = _mm512_add_ps(*sum, lanes::load16(chunk, 16 * i));
        }
    }
    _mm512_reduce_add_ps(sums.into_iter().fold(_mm512_setzero_ps(), |a, b| _mm512_add_ps(a, b)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_engine_of_this_cpu_counts_two_operations_a_product() {
        let engines = Engine::available();
        assert!(engines.len() >= 2, "{engines:?}");
        for engine in engines {
            let operations = engine.multiply_add(10);
            assert!(operations >= 2 * OPEN * 10 && operations.is_multiple_of(2 * OPEN * 10));
        }
    }

    #[test]
    fn a_level_never_takes_an_engine_that_it_does_not_have() {
        for isa in Isa::available() {
            let f32 = Engine::of(isa, Precision::F32).unwrap();
            assert_eq!(f32.level().vectors(), isa.vectors());
            let bf16 = Engine::of(isa, Precision::Bf16).unwrap();
            match isa.level() {
                Level::Amx => assert_eq!(bf16.level(), Level::Amx),
                _ => assert_eq!(bf16.name(), f32.name()),
            }
            if let Some(int8) = Engine::of(isa, Precision::Int8) {
                assert!(int8.level() <= isa.level() && int8.level().vectors() == isa.vectors());
            }
        }
    }

    #[test]
    fn every_value_of_a_block_is_read() {
        for len in [0, 1, 63, 64, 129, 1000] {
            let block: Vec<f32> = (0..len).map(|i| i as f32).collect();
            let sum: f32 = block.iter().sum();
            assert_eq!(read_scalar(&block), sum);
            #[cfg(target_arch = "x86_64")]
            for isa in Isa::available() {
                let read = match isa.vectors() {
                    // SAFETY: the isa proves it.
                    Vectors::Avx2 => unsafe { read_avx2(&block) },
                    // SAFETY: the isa proves it.
                    Vectors::Avx512 => unsafe { read_avx512(&block) },
                    _ => continue,
                };
                assert_eq!(read, sum, "{len} on {}", isa.level());
            }
        }
    }
}
