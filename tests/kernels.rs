//! Every op on every level of this CPU against its reference, at sizes that straddle vectors and blocks.

mod attention;
mod backward;
mod bf16;
mod gemm;
mod guarded;
mod int8;
mod rival;
mod rows;
mod shapes;

use guarded::Guarded;
use zhengzi_kernels::parallel::Crew;
use zhengzi_kernels::{MatMut, MatRef};

/// Around the lanes of NEON (4), AVX2 (8) and AVX-512 (16), and a few hidden sizes.
const WIDTHS: [usize; 19] = [0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 63, 65, 129, 768, 1001];

/// Numbers that look random and are the same on every machine (Marsaglia, xorshift64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// Below `end`.
    fn below(&mut self, end: usize) -> usize {
        (self.next() >> 33) as usize % end
    }

    /// One in −scale..scale.
    fn value(&mut self, scale: f32) -> f32 {
        scale * ((self.next() >> 40) as f32 / (1u64 << 23) as f32 - 1.0)
    }

    /// `len` of them.
    fn values(&mut self, len: usize, scale: f32) -> Guarded<f32> {
        let values: Vec<f32> = (0..len).map(|_| self.value(scale)).collect();
        Guarded::new(&values)
    }
}

/// A matrix whose rows begin at odd places with canaries between them, and closed memory behind the last.
#[derive(Clone)]
struct Strided {
    data: Guarded<f32>,
    rows: usize,
    cols: usize,
}

const LEAD: usize = 3;
const GAP: usize = 5;
const CANARY: f32 = 1234.5;

impl Strided {
    fn new(rows: usize, cols: usize, mut value: impl FnMut(usize, usize) -> f32) -> Strided {
        let spanned = (rows * (cols + GAP)).saturating_sub(GAP);
        let mut data = vec![CANARY; LEAD + spanned];
        for i in 0..rows {
            for j in 0..cols {
                data[LEAD + i * (cols + GAP) + j] = value(i, j);
            }
        }
        Strided { data: Guarded::new(&data), rows, cols }
    }

    fn random(random: &mut Random, rows: usize, cols: usize, scale: f32) -> Strided {
        Strided::new(rows, cols, |_, _| random.value(scale))
    }

    fn view(&self) -> MatRef<'_, f32> {
        MatRef::with_stride(&self.data[LEAD..], self.rows, self.cols, self.cols + GAP)
    }

    fn view_mut(&mut self) -> MatMut<'_, f32> {
        MatMut::with_stride(&mut self.data[LEAD..], self.rows, self.cols, self.cols + GAP)
    }

    fn row(&self, i: usize) -> &[f32] {
        self.view().row(i)
    }

    /// Everything an op must leave alone is as it was.
    fn assert_gaps_untouched(&self) {
        assert!(self.data[..LEAD].iter().all(|&x| x == CANARY), "written before the matrix");
        for row in self.data[LEAD..].chunks(self.cols + GAP) {
            assert!(row[self.cols..].iter().all(|&x| x == CANARY), "written between the rows");
        }
    }

    fn bits(&self) -> Vec<u32> {
        self.data.iter().map(|x| x.to_bits()).collect()
    }
}

/// Asserts |got − want| ≤ absolute + relative · |want| for every element, NaN equal to NaN.
#[track_caller]
fn assert_close(got: &Strided, want: impl Fn(usize, usize) -> f64, tolerance: (f64, f64)) {
    for i in 0..got.rows {
        for (j, &got) in got.row(i).iter().enumerate() {
            let want = want(i, j);
            let error = (got as f64 - want).abs();
            let good = error <= tolerance.0 + tolerance.1 * want.abs();
            assert!(good || (got.is_nan() && want.is_nan()), "[{i}, {j}] is {got:e}, not {want:e}");
        }
    }
    got.assert_gaps_untouched();
}

/// Runs `f` with crews of one, two, four and eight threads and asserts that it always gives the same bits.
fn assert_same_for_any_threads(mut f: impl FnMut() -> Vec<u32>) {
    let mut results = [1, 2, 4, 8].map(|threads| {
        let crew = Crew::new(threads).unwrap();
        crew.run(&mut f)
    });
    let first = std::mem::take(&mut results[0]);
    assert!(!first.is_empty());
    assert!(results[1..].iter().all(|other| *other == first), "bits depend on the threads");
}
