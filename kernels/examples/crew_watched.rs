//! A crew at work, for ThreadSanitizer (`just tsan`): short jobs, jobs that helpers sleep before, panics, and
//! ops that share matrices. Without a test harness, because the standard library is not built with the
//! sanitizer: what synchronises in there would look like a race.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread::sleep;
use std::time::Duration;

use zhengzi_kernels::gemm::{Epilogue, PackedB, gemm};
use zhengzi_kernels::parallel::{Crew, each};
use zhengzi_kernels::softmax::softmax;
use zhengzi_kernels::{Isa, MatMut, MatRef, Precision};

fn main() {
    for threads in [2, 3, 8] {
        let crew = Crew::new(threads).expect("no thread to start");
        // Relaxed: what makes one job's values visible to the next is the crew alone.
        let mut values = vec![0usize; 64];
        let sum = AtomicUsize::new(0);
        for round in 0..20_000 {
            let cells = Cells(values.as_mut_ptr());
            crew.run(|| {
                each(64, &|i| {
                    // SAFETY: there are 64 cells, and piece i alone takes cell i.
                    unsafe { cells.add(i, round) };
                    sum.fetch_add(1, Relaxed);
                })
            });
        }
        assert!(values.iter().all(|&value| value == 20_000 * 19_999 / 2));
        assert_eq!(sum.into_inner(), 64 * 20_000);

        sleep(Duration::from_millis(50));
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            crew.run(|| {
                each(8, &|i| {
                    if i == 5 {
                        resume_unwind(Box::new("as it should be"));
                    }
                })
            });
        }));
        assert!(outcome.is_err());
        for isa in Isa::available() {
            let alone = products(isa);
            assert_eq!(crew.run(|| products(isa)), alone, "{} on {threads}", isa.level());
        }
    }
    println!("no race was seen");
}

/// Numbers that pieces take one each, without any word to the others.
struct Cells(*mut usize);

// SAFETY: a thread touches cells of its own only, as `add` demands.
unsafe impl Sync for Cells {}

impl Cells {
    /// # Safety
    ///
    /// There is a cell i, and nobody else touches it meanwhile.
    unsafe fn add(&self, i: usize, n: usize) {
        // SAFETY: the caller's word.
        unsafe { *self.0.add(i) += n }
    }
}

/// Bits of softmax(a · Wᵀ) in every precision, large enough to be shared.
fn products(isa: Isa) -> Vec<u32> {
    let (m, n, k) = (70, 200, 130);
    let values = |len: usize, step: usize| -> Vec<f32> {
        (0..len).map(|i| (i * step % 1009) as f32 / 500.0 - 1.0).collect()
    };
    let (a, w, bias) = (values(m * k, 37), values(n * k, 101), values(n, 11));
    let mut bits = Vec::new();
    for precision in Precision::ALL {
        let packed = PackedB::pack(isa, precision, &[MatRef::new(&w, n, k)]);
        let mut c = vec![0.0; m * n];
        let a = MatRef::new(&a, m, k);
        gemm(isa, a, &packed, Epilogue::Bias(&bias), MatMut::new(&mut c, m, n));
        softmax(isa, MatMut::new(&mut c, m, n));
        bits.extend(c.iter().map(|c| c.to_bits()));
    }
    bits
}
