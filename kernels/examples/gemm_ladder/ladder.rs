//! What a rung is: an idea, and a product C[m, n] = A[m, k] · Wᵀ that follows it.

use crate::peak::Peak;

/// The letters of every file here: A is m × k, W is n × k (as a Linear stores it), C is m × n.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    pub m: usize,
    pub n: usize,
    pub k: usize,
}

impl Shape {
    /// A multiplication and an addition for every (i, j, l).
    pub fn flops(self) -> f64 {
        2.0 * self.m as f64 * self.n as f64 * self.k as f64
    }
}

/// `product(a, c)` with W inside: what a Linear is once its weights are loaded.
pub type Product = Box<dyn Fn(&[f32], &mut [f32])>;

/// What the factors are rounded to before they are multiplied: the tolerance follows from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arithmetic {
    F32,
    Bf16,
    Int8,
}

/// One step of the ladder.
pub struct Rung {
    /// Its file's name.
    pub name: &'static str,
    pub idea: &'static str,
    pub arithmetic: Arithmetic,
    /// What its speed is measured against, on as many threads as it uses.
    pub peak: Peak,
    pub threaded: bool,
    /// Takes W, shape and threads; lays W out (not timed: it happens once, at load), or says
    /// which instructions this CPU lacks.
    pub prepare: fn(&[f32], Shape, usize) -> Result<Product, &'static str>,
}

/// From the ground up. Those that name instructions are written for x86-64.
pub fn rungs() -> Vec<Rung> {
    vec![
        crate::rung0_naive::RUNG,
        crate::rung1_dot::RUNG,
        #[cfg(target_arch = "x86_64")]
        crate::rung2_register_tile::RUNG,
        #[cfg(target_arch = "x86_64")]
        crate::rung3_avx2::RUNG,
        #[cfg(target_arch = "x86_64")]
        crate::rung4_panels::RUNG,
        #[cfg(target_arch = "x86_64")]
        crate::rung5_blocking::RUNG,
        #[cfg(target_arch = "x86_64")]
        crate::rung6_avx512::RUNG,
        #[cfg(target_arch = "x86_64")]
        crate::rung7_threads::RUNG,
        #[cfg(target_arch = "x86_64")]
        crate::rung8_amx_bf16::RUNG,
        #[cfg(target_arch = "x86_64")]
        crate::rung9_vnni_int8::RUNG,
        #[cfg(target_arch = "x86_64")]
        crate::rung10_amx_int8::RUNG,
    ]
}
