//! Rung 0: the definition, cᵢⱼ = Σₗ aᵢₗ wⱼₗ, and the reference of every other rung.
//!
//! W lies as a Linear stores it, [n, k], so that both factors are read along their rows: the
//! memory is not at fault here. What is slow is the sum. Each addition waits for the one before
//! it, 4 cycles on every x86 of the last ten years, and the compiler may not reorder a sum of
//! floats; so one core makes one multiply-add in 4 cycles, where 64 would fit (AVX2) or 128.

use crate::ladder::{Arithmetic, Product, Rung, Shape};
use crate::peak::Peak;

pub const RUNG: Rung = Rung {
    name: "rung0_naive",
    idea: "three loops",
    arithmetic: Arithmetic::F32,
    peak: Peak::Avx2,
    threaded: false,
    prepare,
};

fn prepare(w: &[f32], shape: Shape, _threads: usize) -> Result<Product, &'static str> {
    let w = w.to_vec();
    Ok(Box::new(move |a, c| multiply(a, &w, shape, c)))
}

#[inline(never)] // so that `just asm` finds it
fn multiply(a: &[f32], w: &[f32], Shape { m, n, k }: Shape, c: &mut [f32]) {
    for i in 0..m {
        for j in 0..n {
            let mut sum = 0.0;
            for l in 0..k {
                sum += a[i * k + l] * w[j * k + l];
            }
            c[i * n + j] = sum;
        }
    }
}
