//! N4: each op at random shapes, on every level of this CPU against the scalar form of the same op,
//! with closed pages behind the data and canaries between the rows.

use zhengzi_kernels::attention::attention;
use zhengzi_kernels::gelu::{Activation, activate};
use zhengzi_kernels::gemm::{Epilogue, PackedB, gemm};
use zhengzi_kernels::layer_norm::layer_norm;
use zhengzi_kernels::softmax::softmax;
use zhengzi_kernels::{Isa, Level, Precision};

use super::*;

#[test]
fn n4_every_level_agrees_with_scalar_at_random_shapes() {
    compare(2_000, 40);
}

#[test]
#[ignore = "just torture"]
fn n4_every_level_agrees_with_scalar_at_a_million_random_shapes() {
    compare(1_000_000, 41);
}

fn compare(shapes: usize, seed: u64) {
    let mut random = Random(seed);
    let levels = Isa::available();
    let scalar = *levels.iter().find(|isa| isa.level() == Level::Scalar).expect("always there");
    for _ in 0..shapes {
        // Mostly small, where the ends of vectors and tiles are; some of a few blocks.
        let mut size = || match random.below(8) {
            0 => random.below(200),
            _ => random.below(40),
        };
        let (rows, cols, inner) = (size(), size(), size());
        let x = Strided::random(&mut random, rows, cols, 4.0);
        match random.below(5) {
            0 => {
                let kinds =
                    [Activation::Gelu, Activation::GeluTanh, Activation::Silu, Activation::Tanh];
                let kind = kinds[random.below(kinds.len())];
                on_all(&levels, scalar, (1e-6, 1e-6), |isa| {
                    let mut y = x.clone();
                    activate(isa, kind, y.view_mut());
                    y
                });
            }
            1 => {
                let (gamma, beta) = (random.values(cols, 1.0), random.values(cols, 1.0));
                // A variance near 0 is a difference of nearly equal numbers: with this much added
                // to it, its error is no matter.
                on_all(&levels, scalar, (1e-5, 1e-5), |isa| {
                    let mut y = x.clone();
                    layer_norm(isa, &gamma, &beta, 1e-2, y.view_mut());
                    y
                });
            }
            2 => on_all(&levels, scalar, (1e-9, 4e-6), |isa| {
                let mut y = x.clone();
                softmax(isa, y.view_mut());
                y
            }),
            3 => {
                let weight = Strided::random(&mut random, inner, cols, 1.0);
                let bias = random.values(inner, 1.0);
                // 4 ulp · √k, of sums that are of the order 4 √k.
                let tolerance = 4.0 * f64::from(f32::EPSILON) * 4.0 * (cols as f64 + 5.0);
                on_all(&levels, scalar, (tolerance, 2e-6), |isa| {
                    let packed = PackedB::pack(isa, Precision::F32, &[weight.view()]);
                    let mut y = Strided::new(rows, inner, |_, _| f32::NAN);
                    gemm(isa, x.view(), &packed, Epilogue::Bias(&bias), y.view_mut());
                    y
                });
            }
            _ => {
                let (heads, d) = (1 + random.below(3), 1 + random.below(70));
                let qkv = Strided::random(&mut random, rows, 3 * heads * d, 2.0);
                let cut = random.below(rows + 1);
                on_all(&levels, scalar, (4e-6, 4e-6), |isa| {
                    let mut y = Strided::new(rows, heads * d, |_, _| f32::NAN);
                    attention(
                        isa,
                        Precision::F32,
                        qkv.view(),
                        &[0, cut, rows],
                        heads,
                        y.view_mut(),
                    );
                    y
                });
            }
        }
    }
    eprintln!("N4: {shapes} shapes on {} levels, 0 apart from scalar", levels.len());
}

fn on_all(levels: &[Isa], scalar: Isa, tolerance: (f64, f64), op: impl Fn(Isa) -> Strided) {
    let want = op(scalar);
    for &isa in levels.iter().filter(|isa| isa.level() != Level::Scalar) {
        assert_close(&op(isa), |i, j| f64::from(want.row(i)[j]), tolerance);
    }
}
