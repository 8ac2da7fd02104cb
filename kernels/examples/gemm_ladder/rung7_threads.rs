//! Rung 7: threads, each with a rectangle of C.
//!
//! Rectangles of C share nothing that is written, so there is nothing to lock, and no sum is split
//! between threads: results have the same bits on any number of them. Cut along rows first: then
//! each thread packs its own rows of A, once, and all share W. Only when there are fewer rows than
//! fill a few tiles per thread (one short sentence) cut along panels as well, where every
//! thread of a row block packs the same rows again.
//!
//! Starting a thread costs tens of microseconds, which a product of 100 ms hides and one of 100 µs
//! does not: the runtime enters its pool once per forward pass instead.

use std::ops::Range;
use std::thread;

use zhengzi_kernels::{Isa, Level, MatMut, MatRef};

use crate::ladder::{Arithmetic, Product, Rung, Shape};
use crate::peak::Peak;
use crate::rung4_panels::{WIDTH, pack};
use crate::rung6_avx512::{self as avx512, MR, NR};

pub const RUNG: Rung = Rung {
    name: "rung7_threads",
    idea: "rung 6 on all threads",
    arithmetic: Arithmetic::F32,
    peak: Peak::Avx512,
    threaded: true,
    prepare,
};

fn prepare(w: &[f32], shape: Shape, threads: usize) -> Result<Product, &'static str> {
    Isa::new(Level::Avx512).ok_or("this CPU has no AVX-512")?;
    let Shape { m, n, k } = shape;
    let panels = pack(shape, k, |j, l| w[j * k + l]);
    Ok(Box::new(move |a, c| {
        c.fill(0.0);
        let a = MatRef::new(a, m, k);
        over_rectangles(MatMut::new(c, m, n), threads, (MR, NR), |rows, columns, c| {
            let w = &panels[columns.start / WIDTH * k..columns.end.div_ceil(WIDTH) * k];
            // SAFETY: the first line proved AVX-512.
            unsafe { avx512::multiply(a.block(rows, 0..k), w, c) };
        });
    }))
}

/// Calls `work(rows, columns, c)` for rectangles that cover c, made of whole tiles but at the far
/// edges, one for each thread (or fewer).
pub fn over_rectangles(
    mut c: MatMut<f32>,
    threads: usize,
    (mr, nr): (usize, usize),
    work: impl Fn(Range<usize>, Range<usize>, MatMut<f32>) + Sync,
) {
    /// Below this many tiles of rows in each part the packed rows are not used often enough.
    const TILES: usize = 4;
    let row_parts = c.rows().div_ceil(mr).div_ceil(TILES).clamp(1, threads);
    let column_parts = threads.div_ceil(row_parts);
    let work = &work;
    thread::scope(|scope| {
        for columns in parts(c.cols(), column_parts, nr) {
            let (mut strip, right) = c.split_at_col(columns.len());
            c = right;
            for rows in parts(strip.rows(), row_parts, mr) {
                let (block, below) = strip.split_at_row(rows.len());
                strip = below;
                let columns = columns.clone();
                scope.spawn(move || work(rows, columns, block));
            }
        }
    });
}

/// 0..len in at most `parts` ranges of whole `unit`s, as equal as units allow.
fn parts(len: usize, parts: usize, unit: usize) -> impl Iterator<Item = Range<usize>> {
    let units = len.div_ceil(unit);
    let at = move |part: usize| (units * part / parts * unit).min(len);
    (0..parts).map(move |part| at(part)..at(part + 1)).filter(|range| !range.is_empty())
}
