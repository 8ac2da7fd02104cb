//! What the machine could do: the same instructions on registers alone, nothing loaded or stored.
//!
//! An instruction takes 4 or 5 cycles and two start in each, so twelve independent sums keep both
//! units busy. AMX takes 52 cycles and starts one every 16: four independent tiles.

use std::sync::Barrier;
use std::thread;
use std::time::Instant;

/// A family of multiply-add instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peak {
    Avx2,
    Avx512,
    Vnni,
    AmxBf16,
    AmxInt8,
}

impl Peak {
    pub fn name(self) -> &'static str {
        match self {
            Peak::Avx2 => "AVX2 f32",
            Peak::Avx512 => "AVX-512 f32",
            Peak::Vnni => "AVX-512 VNNI int8",
            Peak::AmxBf16 => "AMX bf16",
            Peak::AmxInt8 => "AMX int8",
        }
    }

    /// Operations per second of `threads` threads together over some 5 ms, or `None` where the CPU
    /// has no such instructions.
    pub fn measure(self, threads: usize) -> Option<f64> {
        let run = self.find()?;
        run(1 << 12); // the clock of wide vectors needs a moment
        let start = Instant::now();
        run(1 << 14);
        let times = (0.005 / start.elapsed().as_secs_f64() * f64::from(1 << 14)) as u64;
        let (together, start) = (Barrier::new(threads), Instant::now());
        let spans: Vec<_> = thread::scope(|scope| {
            let spawn = |_| {
                scope.spawn(|| {
                    together.wait();
                    let from = start.elapsed();
                    let operations = run(times);
                    (from, start.elapsed(), operations)
                })
            };
            let running: Vec<_> = (0..threads).map(spawn).collect();
            running.into_iter().map(|thread| thread.join().expect("it only computes")).collect()
        });
        let from = spans.iter().map(|span| span.0).min()?;
        let to = spans.iter().map(|span| span.1).max()?;
        Some(spans.iter().map(|span| span.2).sum::<f64>() / (to - from).as_secs_f64())
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn find(self) -> Option<Box<dyn Fn(u64) -> f64 + Sync>> {
        None
    }

    /// A loop that runs so many times and returns the operations it made.
    #[cfg(target_arch = "x86_64")]
    fn find(self) -> Option<Box<dyn Fn(u64) -> f64 + Sync>> {
        use zhengzi_kernels::{Isa, Level};
        match self {
            Peak::Avx2 => {
                Isa::new(Level::Avx2)?;
                // SAFETY: just proven.
                Some(Box::new(|times| unsafe { x86::avx2(times) }))
            }
            Peak::Avx512 => {
                Isa::new(Level::Avx512)?;
                // SAFETY: just proven.
                Some(Box::new(|times| unsafe { x86::avx512(times) }))
            }
            Peak::Vnni => {
                Isa::new(Level::Avx512).filter(|_| is_x86_feature_detected!("avx512vnni"))?;
                // SAFETY: just proven.
                Some(Box::new(|times| unsafe { x86::vnni(times) }))
            }
            Peak::AmxBf16 | Peak::AmxInt8 => {
                let amx = crate::amx::Amx::detect().ok()?;
                Some(Box::new(move |times| amx.configure().spin(times, self == Peak::AmxInt8)))
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;
    use std::hint::black_box;

    const SUMS: usize = 12;

    #[target_feature(enable = "avx2,fma")]
    pub fn avx2(times: u64) -> f64 {
        let (x, y) = (_mm256_set1_ps(black_box(0.5)), _mm256_set1_ps(black_box(0.25)));
        let mut sums = [_mm256_setzero_ps(); SUMS];
        for _ in 0..times {
            sums.iter_mut().for_each(|sum| *sum = _mm256_fmadd_ps(x, y, *sum));
        }
        black_box(sums);
        (times * SUMS as u64 * 16) as f64
    }

    #[target_feature(enable = "avx512f")]
    pub fn avx512(times: u64) -> f64 {
        let (x, y) = (_mm512_set1_ps(black_box(0.5)), _mm512_set1_ps(black_box(0.25)));
        let mut sums = [_mm512_setzero_ps(); SUMS];
        for _ in 0..times {
            sums.iter_mut().for_each(|sum| *sum = _mm512_fmadd_ps(x, y, *sum));
        }
        black_box(sums);
        (times * SUMS as u64 * 32) as f64
    }

    #[target_feature(enable = "avx512f,avx512vnni")]
    pub fn vnni(times: u64) -> f64 {
        let (x, y) = (_mm512_set1_epi8(black_box(3)), _mm512_set1_epi8(black_box(-1)));
        let mut sums = [_mm512_setzero_si512(); SUMS];
        for _ in 0..times {
            sums.iter_mut().for_each(|sum| *sum = _mm512_dpbusd_epi32(*sum, x, y));
        }
        black_box(sums);
        (times * SUMS as u64 * 128) as f64
    }
}
