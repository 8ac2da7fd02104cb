//! No rung is timed before it is right.
//!
//! Two kinds of factors, because each finds what the other hides:
//!
//! - *Integers*, small enough that every product and sum is exact in f32 and bf16, with a 127 in each
//!   row so that int8's scale is exactly 1: the result must be equal, bit for bit, whatever the
//!   order of the sums. A product left out or taken twice cannot hide in a tolerance.
//! - *Reals* in -1..1 against f64, within a bound that is proved, not fitted:
//!
//! | arithmetic | bound of the error of cᵢⱼ |
//! |---|---|
//! | f32 | k u Σ|a w|, u = 2⁻²⁴: any order of k products and sums (Higham, *Accuracy and Stability*, §3.1) |
//! | bf16 | (2⁻⁷ + 2⁻¹⁶) Σ|a w| of the rounded factors, and f32's |
//! | int8 | t/2 Σ|a| + s/2 Σ|w| + k s t/4 for steps s of the row and t of the column, and f32's |

use crate::ladder::{Arithmetic, Rung, Shape};

/// Edges of every tile, panel and block, and nothing at all.
pub const AWKWARD: [Shape; 16] = [
    shape(0, 4, 4),
    shape(4, 0, 4),
    shape(4, 4, 0),
    shape(1, 1, 1),
    shape(1, 16, 64),
    shape(2, 15, 7),
    shape(5, 17, 3),
    shape(6, 16, 8),
    shape(7, 33, 65),
    shape(13, 31, 100),
    shape(14, 32, 256),
    shape(15, 47, 259),
    shape(33, 65, 129),
    shape(120, 97, 33),
    shape(57, 40, 1100),
    shape(260, 33, 40),
];

const fn shape(m: usize, n: usize, k: usize) -> Shape {
    Shape { m, n, k }
}

/// Factors with their product in f64.
pub struct Truth {
    pub shape: Shape,
    pub a: Vec<f32>,
    pub w: Vec<f32>,
    c: Vec<f64>,
    /// Σ|a w|, or `None` where the product must be met exactly.
    magnitude: Option<Vec<f64>>,
}

impl Truth {
    pub fn integers(shape: Shape) -> Truth {
        let rows = |rows: usize, mut random: Random| {
            let mut values = Vec::with_capacity(rows * shape.k);
            for row in 0..rows {
                let peak = row * 31 % shape.k.max(1);
                values.extend((0..shape.k).map(|l| {
                    let small = (random.next() % 9) as f32 - 4.0;
                    if l == peak { 127.0 } else { small }
                }));
            }
            values
        };
        let (a, w) = (rows(shape.m, Random(1)), rows(shape.n, Random(2)));
        let c = product(&a, &w, shape, |x| x);
        Truth { shape, a, w, c, magnitude: None }
    }

    pub fn reals(shape: Shape) -> Truth {
        let values = |count: usize, mut random: Random| -> Vec<f32> {
            (0..count).map(|_| (random.next() >> 40) as f32 / (1 << 23) as f32 - 1.0).collect()
        };
        let (a, w) = (values(shape.m * shape.k, Random(3)), values(shape.n * shape.k, Random(4)));
        let c = product(&a, &w, shape, |x| x);
        let magnitude = product(&a, &w, shape, f64::abs);
        Truth { shape, a, w, c, magnitude: Some(magnitude) }
    }

    /// Runs the rung once: the root mean square of its error relative to that of the product, or
    /// what is wrong.
    pub fn check(&self, rung: &Rung, threads: usize) -> Result<f64, String> {
        let Shape { m, n, k } = self.shape;
        let run = (rung.prepare)(&self.w, self.shape, threads)?;
        let mut c = vec![f32::NAN; m * n];
        run(&self.a, &mut c);
        let (steps_a, steps_w) = (Steps::of(&self.a, m, k), Steps::of(&self.w, n, k));
        let (mut error_squared, mut truth_squared) = (0.0, 0.0);
        for i in 0..m {
            for j in 0..n {
                let (truth, got) = (self.c[i * n + j], f64::from(c[i * n + j]));
                let bound = self.magnitude.as_ref().map_or(0.0, |magnitude| {
                    let magnitude = magnitude[i * n + j];
                    let inputs = match rung.arithmetic {
                        Arithmetic::F32 => 0.0,
                        Arithmetic::Bf16 => (2f64.powi(-7) + 2f64.powi(-16)) * magnitude,
                        Arithmetic::Int8 => steps_a.bound(i, &steps_w, j, k),
                    };
                    // Eight more roundings for scales and the blocks' sums; one per product else.
                    inputs + (k + 8) as f64 * U * (magnitude + inputs)
                });
                let error = (got - truth).abs();
                if error.is_nan() || error > bound {
                    return Err(format!(
                        "{} at {m}×{n}×{k}: c[{i}, {j}] is {got}, should be {truth} ± {bound:e}",
                        rung.name
                    ));
                }
                error_squared += error * error;
                truth_squared += truth.powi(2);
            }
        }
        Ok((error_squared / f64::max(truth_squared, f64::MIN_POSITIVE)).sqrt())
    }
}

/// The unit roundoff of f32.
const U: f64 = 1.0 / (1 << 24) as f64;

/// int8's step and Σ|x| for each row.
struct Steps(Vec<(f64, f64)>);

impl Steps {
    fn of(x: &[f32], rows: usize, k: usize) -> Steps {
        let row = |i: usize| {
            let row = x[i * k..][..k].iter().map(|x| f64::from(x.abs()));
            (row.clone().fold(0.0, f64::max) / 127.0, row.sum())
        };
        Steps((0..rows).map(row).collect())
    }

    fn bound(&self, i: usize, w: &Steps, j: usize, k: usize) -> f64 {
        let ((s, sum_a), (t, sum_w)) = (self.0[i], w.0[j]);
        // 127 s may be off by 127 u: ties are not broken exactly at s/2.
        (t / 2.0 * sum_a + s / 2.0 * sum_w + k as f64 * s * t / 4.0) * (1.0 + 256.0 * U)
    }
}

/// Rung 0 in f64, of each product's `part`.
fn product(a: &[f32], w: &[f32], shape: Shape, part: impl Fn(f64) -> f64) -> Vec<f64> {
    let Shape { m, n, k } = shape;
    let mut c = Vec::with_capacity(m * n);
    for i in 0..m {
        for j in 0..n {
            let pairs = a[i * k..][..k].iter().zip(&w[j * k..][..k]);
            c.push(pairs.map(|(&a, &w)| part(f64::from(a) * f64::from(w))).sum());
        }
    }
    c
}

/// splitmix64 (Steele, Lea and Flood, 2014): the same factors in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ladder::{Product, rungs};
    use crate::peak::Peak;

    #[test]
    fn every_rung_that_this_cpu_runs_is_right_at_awkward_shapes() {
        for shape in AWKWARD {
            let (integers, reals) = (Truth::integers(shape), Truth::reals(shape));
            for rung in rungs() {
                if let Err(absent) = (rung.prepare)(&integers.w, shape, 1) {
                    eprintln!("{}: skipped: {absent}", rung.name);
                    continue;
                }
                for threads in [1, 2, 3] {
                    integers.check(&rung, threads).unwrap();
                    reals.check(&rung, threads).unwrap();
                }
            }
        }
    }

    #[test]
    fn threads_change_no_bit() {
        let truth = Truth::reals(shape(70, 100, 300));
        for rung in rungs().into_iter().filter(|rung| rung.threaded) {
            let results: Vec<Vec<u32>> = [1, 2, 5]
                .into_iter()
                .filter_map(|threads| {
                    let mut c = vec![0.0; 70 * 100];
                    (rung.prepare)(&truth.w, truth.shape, threads).ok()?(&truth.a, &mut c);
                    Some(c.into_iter().map(f32::to_bits).collect())
                })
                .collect();
            assert!(results.windows(2).all(|pair| pair[0] == pair[1]), "{}", rung.name);
        }
    }

    #[test]
    fn a_rung_that_forgets_one_product_is_refused() {
        fn prepare(w: &[f32], shape: Shape, threads: usize) -> Result<Product, &'static str> {
            let mut w = w.to_vec();
            *w.last_mut().unwrap() = 0.0;
            (crate::rung0_naive::RUNG.prepare)(&w, shape, threads)
        }
        let rung = Rung {
            name: "forgetful",
            idea: "",
            arithmetic: Arithmetic::F32,
            peak: Peak::Avx2,
            threaded: false,
            prepare,
        };
        let shape = shape(3, 5, 300);
        assert!(Truth::reals(shape).check(&rung, 1).unwrap_err().contains("c[0, 4]"));
        assert!(Truth::integers(shape).check(&rung, 1).is_err());
    }
}
