//! Panels: the one layout in which every micro-kernel reads its right factor.
//!
//! ```text
//! B [k, n]  ─▶  [⌈n/16⌉][k][16]      panel p, row l: columns 16p..16p + 16 of row l of B
//! ```
//!
//! A tile of c needs, at each step of k, the same few columns of B: in a panel they lie side by
//! side, and step after step one behind the other. So B is read front to back, which is what
//! the prefetchers of every CPU expect, in whole cache lines (a row of a panel is one, and panels
//! begin at a line). 16 columns are one register of AVX-512, two of AVX2, four of NEON: the layout is
//! the same for all. Columns beyond n are zeros; they cost arithmetic, and no tile needs an edge.
//!
//! For weights B = Wᵀ: column j of B is row j of W, and packing is a transposition, 16 rows of W
//! at a time. It is done once, when a model is opened, and bound by memory.

use rayon::prelude::*;

use crate::MatRef;

/// Columns of a panel.
pub(crate) const WIDTH: usize = 16;

/// A weight matrix W `[n, k]`, packed for [`gemm()`](super::gemm()): B = Wᵀ in panels.
pub struct PackedB {
    /// The panels begin at `skip`, on a cache line.
    buffer: Vec<f32>,
    skip: usize,
    n: usize,
    k: usize,
}

impl PackedB {
    /// The rows of `parts` one below the other, each part `[nᵢ, k]`: W `[Σ nᵢ, k]`. On the threads
    /// of the current pool. Panics where the parts differ in width.
    pub fn pack(parts: &[MatRef<f32>]) -> PackedB {
        let (n, k) = (parts.iter().map(MatRef::rows).sum(), parts.first().map_or(0, MatRef::cols));
        for part in parts {
            assert!(part.cols() == k, "a part of {} columns beside one of {k}", part.cols());
        }
        let rows: Vec<&[f32]> =
            parts.iter().flat_map(|part| (0..part.rows()).map(|j| part.row(j))).collect();
        // Zeroed memory comes untouched from the system: the thread that fills a page touches it first.
        let mut buffer = vec![0.0; panels_len(n, k) + WIDTH];
        let skip = buffer.as_ptr().align_offset(WIDTH * size_of::<f32>()).min(WIDTH);
        if k > 0 {
            let panels = buffer[skip..].par_chunks_exact_mut(WIDTH * k);
            panels
                .zip(rows.par_chunks(WIDTH))
                .for_each(|(panel, rows)| transpose(rows, 1.0, panel));
        }
        PackedB { buffer, skip, n, k }
    }

    /// Rows of W: the output width.
    pub fn n(&self) -> usize {
        self.n
    }

    /// Columns of W: the input width.
    pub fn k(&self) -> usize {
        self.k
    }

    pub(super) fn panels(&self) -> Panels<'_> {
        Panels::new(&self.buffer[self.skip..], self.n, self.k)
    }
}

/// B `[k, n]` in panels, borrowed.
#[derive(Clone, Copy)]
pub(crate) struct Panels<'a> {
    data: &'a [f32],
    n: usize,
    k: usize,
}

impl<'a> Panels<'a> {
    /// Panics if `data` is shorter than the panels of `[k, n]`.
    fn new(data: &'a [f32], n: usize, k: usize) -> Panels<'a> {
        Panels { data: &data[..panels_len(n, k)], n, k }
    }

    pub(super) fn n(&self) -> usize {
        self.n
    }

    pub(super) fn k(&self) -> usize {
        self.k
    }

    /// Rows `l..` of panel `p` and all panels behind it, each `WIDTH · k` floats after the last.
    pub(super) fn rows(&self, p: usize, l: usize) -> &'a [f32] {
        &self.data[WIDTH * (p * self.k + l)..]
    }
}

/// Memory for panels that are packed, read a few times and forgotten: keys and values of a head.
#[derive(Default)]
pub(crate) struct Scratch(Vec<f32>);

impl Scratch {
    /// scale · Wᵀ of W `[n, k]`.
    pub(crate) fn transposed(&mut self, scale: f32, w: MatRef<f32>) -> Panels<'_> {
        let (n, k) = (w.rows(), w.cols());
        let panels = self.room(n, k);
        for (p, panel) in panels.chunks_exact_mut((WIDTH * k).max(1)).enumerate() {
            let mut rows = [&[][..]; WIDTH];
            let live = WIDTH.min(n - p * WIDTH);
            for (lane, row) in rows[..live].iter_mut().enumerate() {
                *row = w.row(p * WIDTH + lane);
            }
            transpose(&rows[..live], scale, panel);
        }
        Panels::new(panels, n, k)
    }

    /// B `[k, n]` as it is.
    pub(crate) fn copied(&mut self, b: MatRef<f32>) -> Panels<'_> {
        let (n, k) = (b.cols(), b.rows());
        let panels = self.room(n, k);
        for l in 0..k {
            let (whole, rest) = b.row(l).as_chunks::<WIDTH>();
            let (lines, _) = panels.as_chunks_mut::<WIDTH>();
            for (p, values) in whole.iter().enumerate() {
                lines[p * k + l] = *values;
            }
            if !rest.is_empty() {
                lines[whole.len() * k + l][..rest.len()].copy_from_slice(rest);
            }
        }
        Panels::new(panels, n, k)
    }

    /// Room for panels of `[k, n]`, zero beyond column n.
    fn room(&mut self, n: usize, k: usize) -> &mut [f32] {
        let len = panels_len(n, k);
        if self.0.len() < len {
            self.0.resize(len, 0.0);
        }
        if !n.is_multiple_of(WIDTH) {
            self.0[len - WIDTH * k..len].fill(0.0);
        }
        &mut self.0[..len]
    }
}

/// Floats of the panels of B `[k, n]`.
fn panels_len(n: usize, k: usize) -> usize {
    n.div_ceil(WIDTH).checked_mul(WIDTH * k).expect("panels larger than the address space")
}

/// panel `[k, 16]` = scale · rowsᵀ, up to 16 rows of k values. Lanes without a row are left alone.
fn transpose(rows: &[&[f32]], scale: f32, panel: &mut [f32]) {
    let (lines, _) = panel.as_chunks_mut::<WIDTH>();
    // 16 steps of k at once: what is read is one cache line of each row, what is written 16 lines.
    for (block, lines) in lines.chunks_mut(WIDTH).enumerate() {
        for (lane, row) in rows.iter().enumerate() {
            let values = &row[block * WIDTH..][..lines.len()];
            for (line, value) in lines.iter_mut().zip(values) {
                line[lane] = scale * value;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panel_holds_columns_side_by_side_and_zeros_beyond_the_last() {
        // W [17, 2]: row j is (j, 100 + j).
        let w: Vec<f32> = (0..17).flat_map(|j| [j as f32, 100.0 + j as f32]).collect();
        let (top, bottom) = w.split_at(2 * 5);
        let packed = PackedB::pack(&[MatRef::new(top, 5, 2), MatRef::new(bottom, 12, 2)]);
        assert_eq!((packed.n(), packed.k()), (17, 2));
        let panels = packed.panels();
        assert_eq!(panels.data.len(), 64);
        assert_eq!(panels.data.as_ptr() as usize % 64, 0);
        assert!(
            (0..16).all(|j| panels.data[j] == j as f32 && panels.data[16 + j] == 100.0 + j as f32)
        );
        assert_eq!(panels.rows(1, 0)[..3], [16.0, 0.0, 0.0]);
        assert_eq!(panels.rows(1, 1)[..3], [116.0, 0.0, 0.0]);
    }

    #[test]
    fn both_ways_of_packing_agree_and_old_values_are_forgotten() {
        let w: Vec<f32> = (0..21 * 3).map(|x| x as f32).collect();
        let b: Vec<f32> = (0..3 * 21).map(|x| w[x % 21 * 3 + x / 21]).collect();
        let (mut one, mut other) = (Scratch(vec![f32::NAN; 200]), Scratch::default());
        let one = one.transposed(1.0, MatRef::new(&w, 21, 3));
        let other = other.copied(MatRef::new(&b, 3, 21));
        assert_eq!(one.data, other.data);
    }
}
