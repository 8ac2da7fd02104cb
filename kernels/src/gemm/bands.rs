//! Products with AMX: the loops around its registers, and what becomes of their sums.
//!
//! ```text
//! j     two panels of W, read from L3 once, then from L1 or L2
//!  i    32 rows of a, in bf16 or int8, from L2
//!   l   sums of 32 × 32 over all of k, in four registers (`amx.rs`)
//! then  scale, bias, activation or residual, and out: f32, or bf16 for the next product
//! ```
//!
//! Up to 16 rows go over four panels at once instead. The sums leave their registers by way of 4 KiB in
//! L1. What is done to them there takes as long as a short sum, so the two must overlap: a tile's sums
//! are worked on *behind* the instructions of the next tile. Those keep the matrix unit busy for
//! hundreds of cycles and are but a few hundred instructions, within what the CPU looks ahead: as far as it
//! does, it works on one buffer while the other is being filled (docs/kernels.md says how far).
//!
//! Columns beyond n are masked when they are written; a row of c is the same whatever tile it is in.
//!
//! Cost: 2 · 32 · 32 · k flops for each 4 KiB of sums; with k = 256 in int8 256 cycles, and some 64 · 4
//! instructions behind them.

use std::arch::x86_64::*;
use std::ops::Range;

use super::Epilogue;
use super::amx::{BAND, Factors, Registers, Sums, multiply_bf16, multiply_int8};
use super::blocking::{MADE, Product};
use super::epilogue::finish;
use super::pack::WIDTH;
use super::rows::{MadeRows, Maker, Rows, RowsApart, RowsAt, groups};
use super::tile::{Left, Microkernel};
use crate::gelu::Activation;
use crate::lanes::load16;
use crate::matrix::Apart;
use crate::rough_gelu::rough_gelu_avx512;
use crate::{MatMut, Precision, parallel};

/// What `inspect` calls it; its tiles are made here.
pub(super) const BF16: Microkernel =
    Microkernel { name: "bf16 amx", left: Left::Bands, widths: &[] };

/// The same in int8.
pub(super) const INT8: Microkernel =
    Microkernel { name: "int8 amx", left: Left::Bands, widths: &[] };

/// Words of rows of a that stay in L2 while panels pass by: a megabyte, half of a large L2.
const IN_L2: usize = 256 << 10;

/// Multiply-adds (of words) that are a step when work is shared: half of what a cycle of AMX does, since W
/// comes no faster.
const A_STEP: usize = 128;

/// Where a product goes.
pub(super) enum Output<'a> {
    /// c, from its first row and column on.
    F32(MatMut<'a, f32>),
    /// Rows of bf16 for the next product: `rows` from this row, `cols` from this column.
    Bf16 { made: RowsApart, row: usize, col: usize, rows: usize, cols: usize },
}

impl Output<'_> {
    fn rows(&self) -> usize {
        match self {
            Output::F32(c) => c.rows(),
            Output::Bf16 { rows, .. } => *rows,
        }
    }

    fn cols(&self) -> usize {
        match self {
            Output::F32(c) => c.cols(),
            Output::Bf16 { cols, .. } => *cols,
        }
    }

    /// Some of its rows.
    fn part(&mut self, part: Range<usize>) -> Output<'_> {
        match self {
            Output::F32(c) => {
                let cols = 0..c.cols();
                Output::F32(c.block(part, cols))
            }
            Output::Bf16 { made, row, col, cols, .. } => {
                let (row, rows) = (*row + part.start, part.len());
                Output::Bf16 { made: *made, row, col: *col, rows, cols: *cols }
            }
        }
    }
}

/// A tile whose sums wait: rows and columns from the first of the block.
#[derive(Clone, Copy)]
struct Waiting {
    row: usize,
    rows: usize,
    panel: usize,
    panels: usize,
}

impl Product<'_> {
    /// All of c, shared by this thread's crew.
    pub(super) fn share_bands(&self, c: MatMut<f32>) {
        let (rows, cols) = self.shares_of_bands(c.rows(), c.cols());
        parallel::over_blocks(c, rows, cols, &|row, col, c| {
            self.bands(row, col / WIDTH, Output::F32(c))
        });
    }

    /// The same for so many equal parts of c side by side, of which each thread takes the same columns: those of
    /// q, k and v that make a head, say, so that who reads the head finds it in its own cache.
    pub(super) fn share_parts(&self, c: MatMut<f32>, parts: usize) {
        let (m, width) = (c.rows(), c.cols() / parts);
        if !width.is_multiple_of(WIDTH) {
            return self.share_bands(c);
        }
        let cols = parallel::columns(width);
        let c = Apart::new(c);
        parallel::each(width.div_ceil(cols), &|i| {
            for first in (0..parts).map(|part| part * width) {
                let cols = first + i * cols..first + width.min((i + 1) * cols);
                let panel = cols.start / WIDTH;
                // SAFETY: pieces and parts have no column in common.
                self.bands(0, panel, Output::F32(unsafe { c.block(0..m, cols) }));
            }
        });
    }

    /// The same as rows of bf16 for the next product.
    pub(super) fn run_into_bf16(&self, made: &mut MadeRows) {
        let (m, n) = (self.a.rows(), self.b.n());
        made.room(m, groups(Precision::Bf16, n));
        let (apart, panels) = (made.apart(), n.div_ceil(WIDTH));
        let (rows, cols) = self.shares_of_bands(m, n);
        let across = n.div_ceil(cols);
        parallel::each(m.div_ceil(rows) * across, &|i| {
            let (row, col) = (i / across * rows, i % across * cols);
            let (bottom, right) = (m.min(row + rows), n.min(col + cols));
            if right == n {
                let (first, rest) = (panels * WIDTH / 2, apart.groups - panels * WIDTH / 2);
                for i in row..bottom {
                    // SAFETY: behind the last panel, which is this piece's, nobody else writes.
                    unsafe { apart.part(i, 1, first, rest).write_bytes(0, rest) };
                }
            }
            let (rows, cols) = (bottom - row, right - col);
            let c = Output::Bf16 { made: apart, row, col, rows, cols };
            self.bands(row, col / WIDTH, c);
        });
    }

    /// Rows and columns of c for each thread. Few rows are multiplied faster than W is read: then each thread
    /// takes columns, and W is read once. Many rows are a share each, and stay in their thread's L2.
    fn shares_of_bands(&self, m: usize, n: usize) -> (usize, usize) {
        let (threads, panels) = (parallel::threads(), n.div_ceil(WIDTH));
        let (all, even) = ((m.max(1), n.max(1)), |count: usize, grain: usize| {
            count.div_ceil(threads).next_multiple_of(grain).max(1)
        });
        if let Some(rows) = parallel::share(m) {
            return (rows, all.1);
        }
        let work = m.next_multiple_of(BAND).max(2 * BAND) * panels * self.b.stride() / A_STEP;
        match parallel::pieces(work, threads.min(panels.div_ceil(2))) {
            1 => all,
            _ => (all.0, even(panels, 2) * WIDTH),
        }
    }

    /// The block of c that begins at `row` and `panel` (of a and of b), on this thread.
    pub(super) fn bands(&self, row: usize, panel: usize, mut c: Output) {
        // SAFETY: the isa of this product chose a kernel that wants bands, so it proves AMX; products
        // are not made within products.
        let registers = unsafe { Registers::configure() };
        let height = (IN_L2 / (self.b.stride() / WIDTH).max(1) / (2 * BAND)).clamp(1, 8) * 2 * BAND;
        for first in (0..c.rows()).step_by(height) {
            let c = c.part(first..c.rows().min(first + height));
            let first = row + first;
            match self.a {
                Rows::Made(made) => self.sweep_bands(&registers, &made.as_rows(0), first, panel, c),
                Rows::F32(a) => MADE.with_borrow_mut(|made| {
                    let maker = Maker::of(self.isa, self.b.precision()).expect("bands are made");
                    self.make(maker, a, first..first + c.rows(), made);
                    self.sweep_bands(&registers, &made.as_rows(first), first, panel, c);
                }),
            }
        }
    }

    /// The same, where these rows of a fit into L2.
    fn sweep_bands(
        &self,
        _registers: &Registers,
        a: &RowsAt,
        row: usize,
        panel: usize,
        mut c: Output,
    ) {
        let (rows, cols) = (c.rows(), c.cols());
        let panels = cols.div_ceil(WIDTH);
        if rows == 0 || panels == 0 {
            return;
        }
        let (words, groups) = (self.b.words(panel, 0), self.b.stride() / WIDTH);
        assert!(
            words.len() >= panels * self.b.stride(),
            "{panels} panels in {} words",
            words.len()
        );
        assert!(a.k == groups, "rows of {} groups times panels of {groups}", a.k);
        let (mut sums, mut turn) = ([Sums::new(), Sums::new()], 0);
        let mut waiting: Option<Waiting> = None;
        let mut tile = |next: Option<Waiting>| {
            if let Some(next) = next {
                let f = Factors {
                    groups,
                    a: a.words.wrapping_add((row + next.row - a.first) * a.stride),
                    a_stride: a.stride,
                    b: words[next.panel * self.b.stride()..].as_ptr(),
                    panel_stride: self.b.stride(),
                };
                // SAFETY: registers are configured. a has these rows, and memory up to a multiple of 16
                // (`rows.rs`); b was seen to reach over all panels.
                unsafe { self.multiply(&f, next, &mut sums[turn]) };
            }
            if let Some(tile) = waiting {
                // SAFETY: this product is AMX's, which has AVX-512; the sums were written a turn ago.
                unsafe { self.finish(tile, &sums[1 - turn], a, row, panel, &mut c) };
            }
            (waiting, turn) = (next, 1 - turn);
        };
        let wide = if rows <= BAND { 4 } else { 2 };
        let mut first = 0;
        while first < panels {
            let wide = if first + wide <= panels { wide } else { (panels - first).min(2) };
            for row in (0..rows).step_by(2 * BAND) {
                let rows = (rows - row).min(2 * BAND);
                tile(Some(Waiting { row, rows, panel: first, panels: wide }));
            }
            first += wide;
        }
        tile(None);
    }

    /// # Safety
    ///
    /// As for the functions of `amx.rs`, for the bands and panels of this tile.
    #[inline]
    unsafe fn multiply(&self, f: &Factors, tile: Waiting, sums: &mut Sums) {
        let bands = tile.rows.div_ceil(BAND);
        // SAFETY: the caller's word.
        unsafe {
            match (self.b.precision(), bands, tile.panels) {
                (Precision::Int8, 2, 2) => multiply_int8::<2, 2>(f, sums),
                (Precision::Int8, 2, _) => multiply_int8::<2, 1>(f, sums),
                (Precision::Int8, _, 4) => multiply_int8::<1, 4>(f, sums),
                (Precision::Int8, _, 2) => multiply_int8::<1, 2>(f, sums),
                (Precision::Int8, _, _) => multiply_int8::<1, 1>(f, sums),
                (_, 2, 2) => multiply_bf16::<2, 2>(f, sums),
                (_, 2, _) => multiply_bf16::<2, 1>(f, sums),
                (_, _, 4) => multiply_bf16::<1, 4>(f, sums),
                (_, _, 2) => multiply_bf16::<1, 2>(f, sums),
                (_, _, _) => multiply_bf16::<1, 1>(f, sums),
            }
        }
    }

    /// What is left to do for a tile, its sums complete; `row` and `panel` are the block's.
    ///
    /// # Safety
    ///
    /// The CPU has AVX-512 F, BW, DQ, VL and BF16; the sums of the tile's bands and panels are written.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")]
    unsafe fn finish(
        &self,
        tile: Waiting,
        sums: &Sums,
        a: &RowsAt,
        row: usize,
        panel: usize,
        c: &mut Output,
    ) {
        let (row, panel) = (row + tile.row, panel + tile.panel);
        let out = Out { product: self, tile, sums, a, row, panel };
        // SAFETY: the caller's word; and of a residual the mask holds the columns that there are.
        unsafe {
            match self.epilogue {
                Epilogue::None | Epilogue::Bias(_) => out.write(c, |_, _, _, x| x),
                Epilogue::BiasActivation(_, Activation::RoughGelu) => {
                    out.write(c, |_, _, _, x| rough_gelu_avx512(x))
                }
                Epilogue::BiasActivation(_, f) => {
                    out.write(c, |_, _, _, x| x);
                    if let (Output::F32(c), true) = (c, f != Activation::Linear) {
                        let first = tile.panel * WIDTH;
                        let cols = first..c.cols().min(first + tile.panels * WIDTH);
                        let c = c.block(tile.row..tile.row + tile.rows, cols);
                        finish(self.isa, self.epilogue, row, panel * WIDTH, c);
                    }
                }
                Epilogue::BiasResidual(_, residual) => {
                    let (first, stride) = (residual.row(row).as_ptr(), residual.row_stride());
                    out.write(c, |i, col, mask, x| {
                        let residual = first.wrapping_add(i * stride + col);
                        _mm512_add_ps(x, _mm512_maskz_loadu_ps(mask, residual))
                    })
                }
            }
        }
    }
}

/// A tile on its way out; `row` and `panel` are those of its first sum.
struct Out<'a> {
    product: &'a Product<'a>,
    tile: Waiting,
    sums: &'a Sums,
    a: &'a RowsAt<'a>,
    row: usize,
    panel: usize,
}

impl Out<'_> {
    /// Writes f(row of the tile, column of c, columns that there are, value) for all its sums.
    ///
    /// # Safety
    ///
    /// As for [`Product::finish`].
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")]
    unsafe fn write(&self, c: &mut Output, f: impl Fn(usize, usize, __mmask16, __m512) -> __m512) {
        let Out { product, tile, sums, a, .. } = *self;
        for band in 0..tile.rows.div_ceil(BAND) {
            let (at, rows) = (tile.row + band * BAND, (tile.rows - band * BAND).min(BAND));
            let scales = match product.b.precision() {
                Precision::Int8 => &a.scales[self.row + band * BAND - a.first..][..rows],
                _ => &[],
            };
            // Two panels side by side: half as many rows begin, each on a page of its own.
            for p in (0..tile.panels).step_by(2) {
                let wide = (tile.panels - p).min(2);
                let columns = [0, wide - 1].map(|q| Column::of(product, self.panel + p + q));
                let block = |q: usize| sums.block(band * tile.panels + p + q);
                let value = |i: usize, q: usize| {
                    let Column { col, mask, .. } = columns[q];
                    // SAFETY: a row of a block of this tile.
                    let x = unsafe { columns[q].value(block(q).add(i), scales.get(i)) };
                    f(band * BAND + i, col, mask, x)
                };
                match c {
                    Output::F32(c) => {
                        let (first, stride) = ((tile.panel + p) * WIDTH, c.row_stride());
                        let live = (wide - 1) * WIDTH + columns[wide - 1].live;
                        let mut part = c.block(at..at + rows, first..first + live);
                        let to = part.as_mut_ptr();
                        for i in 0..rows {
                            // SAFETY: rows of the block, and of each the columns that there are.
                            unsafe {
                                let to = to.add(i * stride);
                                _mm512_mask_storeu_ps(to, columns[0].mask, value(i, 0));
                                if wide == 2 {
                                    let to = to.add(WIDTH);
                                    _mm512_mask_storeu_ps(to, columns[1].mask, value(i, 1));
                                }
                            }
                        }
                    }
                    Output::Bf16 { made, row, col, .. } => {
                        let first = (*col + (tile.panel + p) * WIDTH) / 2;
                        let words = wide * WIDTH / 2;
                        // SAFETY: this thread alone writes these columns, eight words of a row for each panel.
                        let to = unsafe { made.part(*row + at, rows, first, words) };
                        for i in 0..rows {
                            // SAFETY: as above; both kinds of register are 32 or 64 bytes of any bits.
                            unsafe {
                                let to = to.add(i * made.stride);
                                if wide == 2 {
                                    let pairs = _mm512_cvtne2ps_pbh(value(i, 1), value(i, 0));
                                    let pairs = std::mem::transmute::<__m512bh, __m512i>(pairs);
                                    _mm512_storeu_si512(to.cast(), pairs);
                                } else {
                                    let pairs = _mm512_cvtneps_pbh(value(i, 0));
                                    let pairs = std::mem::transmute::<__m256bh, __m256i>(pairs);
                                    _mm256_storeu_si256(to.cast(), pairs);
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// What all sums of a column of blocks have in common.
struct Column {
    col: usize,
    /// Columns of c, 16 but for the last panel, and a bit for each.
    live: usize,
    mask: __mmask16,
    bias: __m512,
    /// int8: what a step of each column is worth.
    worth: __m512,
}

impl Column {
    #[inline]
    #[target_feature(enable = "avx512f,avx512dq")]
    fn of(product: &Product, panel: usize) -> Column {
        let col = panel * WIDTH;
        let live = (product.b.n() - col).min(WIDTH);
        let bias = match product.epilogue.bias() {
            Some(bias) => load16(&bias[..col + live], col),
            None => _mm512_setzero_ps(),
        };
        // None but in int8.
        let worth = load16(product.b.columns(panel).0, 0);
        Column { col, live, mask: ((1u32 << live) - 1) as __mmask16, bias, worth }
    }

    /// What 16 sums are worth, with the bias. In int8 their row has a scale.
    ///
    /// # Safety
    ///
    /// They were written.
    #[inline]
    #[target_feature(enable = "avx512f,avx512dq")]
    unsafe fn value(&self, sums: *const [u32; WIDTH], scale: Option<&f32>) -> __m512 {
        match scale {
            // SAFETY: the caller's word; sums of f32.
            None => _mm512_add_ps(unsafe { _mm512_load_ps(sums.cast()) }, self.bias),
            Some(&scale) => {
                // SAFETY: the caller's word; sums of i32.
                let sums = unsafe { _mm512_load_si512(sums.cast()) };
                let worth = _mm512_mul_ps(_mm512_set1_ps(scale), self.worth);
                _mm512_fmadd_ps(_mm512_cvtepi32_ps(sums), worth, self.bias)
            }
        }
    }
}

#[cfg(test)]
mod tests;
