//! Embedding: the rows of three tables, gathered and added.
//!
//! ```text
//! y[i] = word[ids[i]] + position[i − start of its sentence] + token_type
//! ```
//!
//! word `[v, c]`, position `[p, c]`, token_type `[c]`, ids `[t]`, y `[t, c]`. Two roundings,
//! in this order; a word that is stored in bf16 or int8 counts as the f32 that it stands for. Source: Devlin et al., arXiv:1810.04805, figure 2; the layer norm behind
//! it is `layer_norm.rs`.
//!
//! Cost: 2 flops and 12 bytes an element: bound by memory, by the scattered rows of `word`.
//! The compiler's vectors keep up with that: one form serves every level.

mod backward;

pub use backward::embedding_backward;

use crate::cuda::{Float, Launch, blocks, constant};
use crate::gemm::PackedB;
use crate::layer_norm::WIDEST;
use crate::ragged::assert_offsets;
use crate::{Isa, MatMut, MatRef, parallel};

/// The words `[v, c]`.
#[derive(Clone, Copy)]
pub enum Table<'a> {
    /// Row by row.
    Rows(MatRef<'a, f32>),
    /// In panels, from which a generator's head multiplies it, too.
    Packed(&'a PackedB),
}

impl Table<'_> {
    /// v and c.
    fn shape(&self) -> (usize, usize) {
        match self {
            Table::Rows(rows) => (rows.rows(), rows.cols()),
            Table::Packed(packed) => (packed.n(), packed.k()),
        }
    }

    /// y `[c]` = word `id`.
    fn read(&self, id: usize, y: &mut [f32]) {
        match self {
            Table::Rows(rows) => y.copy_from_slice(rows.row(id)),
            Table::Packed(packed) => packed.row(id, y),
        }
    }
}

/// y `[t, c]`: for each token the sum of its word, its position in its sentence, and `token_type`.
///
/// Panics where an id is outside `word` or a sentence is longer than `position`.
pub fn embedding(
    _isa: Isa,
    word: Table,
    position: MatRef<f32>,
    token_type: &[f32],
    ids: &[u32],
    offsets: &[usize],
    y: MatMut<f32>,
) {
    let (t, c) = (y.rows(), y.cols());
    assert!(ids.len() == t, "{} ids for {t} rows", ids.len());
    let (vocabulary, width) = word.shape();
    assert!(width == c, "word rows of {width} for {c} columns");
    assert!(position.cols() == c, "position rows of {} for {c} columns", position.cols());
    assert!(token_type.len() == c, "a token type of {} for {c} columns", token_type.len());
    assert_offsets(offsets, t);
    for &id in ids {
        assert!((id as usize) < vocabulary, "id {id} in a vocabulary of {vocabulary}");
    }
    let longest = offsets.windows(2).map(|s| s[1] - s[0]).max().unwrap_or(0);
    assert!(longest <= position.rows(), "{longest} tokens for {} positions", position.rows());

    parallel::over_rows(y, c, |first, mut y| {
        for i in 0..y.rows() {
            let token = first + i;
            // The last sentence that begins at or before the token: empty ones lie before it.
            let start = offsets[offsets.partition_point(|&offset| offset <= token) - 1];
            let (y, position) = (y.row_mut(i), position.row(token - start));
            word.read(ids[token] as usize, y);
            for (y, (position, token_type)) in y.iter_mut().zip(position.iter().zip(token_type)) {
                *y = *y + position + token_type;
            }
        }
    });
}

/// On a GPU: tokens to rows of y `[t, c]`, layer norm included; the bounds of c are
/// [`layer_norm_launch`](crate::layer_norm::layer_norm_launch)'s.
pub fn embedding_launch(float: Float, t: usize, c: usize) -> Launch {
    assert!(
        c.is_multiple_of(4) && c <= WIDEST as usize,
        "{c} columns: not a multiple of 4 up to {WIDEST}"
    );
    let kernel = match float {
        Float::F32 => "embedding_f32",
        Float::F16 => "embedding_f16",
        Float::Bf16 => "embedding_bf16",
    };
    let grid = [blocks(t, ROWS), 1];
    Launch { file: "embedding", kernel, grid, threads: 32 * ROWS, shared: 0 }
}

/// On a GPU: m rows of a matrix, gathered as they are; a row is a multiple of 16 bytes.
pub fn embedding_rows_launch(m: usize) -> Launch {
    let grid = [blocks(m, ROWS), 1];
    Launch { file: "embedding", kernel: "embedding_rows", grid, threads: 32 * ROWS, shared: 0 }
}

const ROWS: u32 = constant(include_str!("embedding.cu"), "EMBEDDING_ROWS");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Precision;

    const WORD: [f32; 6] = [10.0, 20.0, 30.0, 40.0, 50.0, 60.0];
    const POSITION: [f32; 4] = [1.0, 2.0, 3.0, 4.0];

    fn embed(ids: &[u32], offsets: &[usize]) -> Vec<f32> {
        let mut y = vec![0.0; ids.len() * 2];
        let (word, position) = (MatRef::new(&WORD, 3, 2), MatRef::new(&POSITION, 2, 2));
        let packed = PackedB::pack(Isa::best(), Precision::F32, &[word]);
        for word in [Table::Rows(word), Table::Packed(&packed)] {
            let before = y.clone();
            let rows = MatMut::new(&mut y, ids.len(), 2);
            embedding(Isa::best(), word, position, &[0.5, -0.5], ids, offsets, rows);
            assert!(matches!(word, Table::Rows(_)) || y == before);
        }
        y
    }

    #[test]
    fn positions_begin_anew_with_each_sentence_and_empty_ones_count_for_nothing() {
        let y = embed(&[2, 0, 1], &[0, 0, 2, 2, 3]);
        assert_eq!(y, [51.5, 61.5, 13.5, 23.5, 31.5, 41.5]);
        assert!(embed(&[], &[0]).is_empty());
    }

    #[test]
    #[should_panic(expected = "id 3 in a vocabulary of 3")]
    fn an_id_outside_the_vocabulary_is_refused() {
        embed(&[0, 3], &[0, 2]);
    }

    #[test]
    #[should_panic(expected = "3 tokens for 2 positions")]
    fn a_sentence_longer_than_the_position_table_is_refused() {
        embed(&[0, 1, 2], &[0, 3]);
    }

    #[test]
    #[should_panic(expected = "offsets end at Some(1) of 2 rows")]
    fn offsets_must_cover_every_row() {
        embed(&[0, 1], &[0, 1]);
    }
}
