//! The way back through the embedding: each token's gradient goes where its rows came from.
//!
//! y[i] = word[ids[i]] + position[i − start] + token_type is a sum, so every term gets all of dy[i]:
//!
//! ```text
//! dword[w] += Σ dy[i] over the i with ids[i] = w        dposition[p] += Σ dy[i] over the i at place p
//! dtoken_type += Σ dy[i]
//! ```
//!
//! dy `[t, c]`, dword `[v, c]`, dposition `[p, c]`, dtoken_type `[c]`; all three are added to. A word that
//! stands twice gets both: a scatter with additions.
//!
//! **Order.** Threads share the columns, and each goes through the tokens from first to last: no two meet in one
//! value, and no number of threads changes a bit.
//!
//! Cost: 3 flops and 20 bytes an element, bound by memory, by the scattered rows of `word`. The compiler's
//! vectors keep up with that: one form serves every level, with the same bits.

use crate::column_sums::{add, column_sums};
use crate::matrix::Apart;
use crate::ragged::assert_offsets;
use crate::{Isa, MatMut, MatRef, parallel};

/// Columns of a piece: four cache lines.
const COLUMNS: usize = 64;

/// dword `[v, c]`, dposition `[p, c]` and dtoken_type `[c]` += the rows of dy `[t, c]` that came from them.
///
/// Panics where an id is outside `dword` or a sentence is longer than `dposition`.
pub fn embedding_backward(
    isa: Isa,
    ids: &[u32],
    offsets: &[usize],
    dy: MatRef<f32>,
    dword: MatMut<f32>,
    dposition: MatMut<f32>,
    dtoken_type: &mut [f32],
) {
    let (t, c) = (dy.rows(), dy.cols());
    assert!(ids.len() == t, "{} ids for {t} rows", ids.len());
    assert!(dword.cols() == c, "word rows of {} for {c} columns", dword.cols());
    assert!(dposition.cols() == c, "position rows of {} for {c} columns", dposition.cols());
    assert_offsets(offsets, t);
    let (vocabulary, positions) = (dword.rows(), dposition.rows());
    for &id in ids {
        assert!((id as usize) < vocabulary, "id {id} in a vocabulary of {vocabulary}");
    }
    let longest = offsets.windows(2).map(|s| s[1] - s[0]).max().unwrap_or(0);
    assert!(longest <= positions, "{longest} tokens for {positions} positions");

    column_sums(isa, dy, dtoken_type);
    let (dword, dposition) = (Apart::new(dword), Apart::new(dposition));
    parallel::each(c.div_ceil(COLUMNS), &|piece| {
        let cols = piece * COLUMNS..c.min((piece + 1) * COLUMNS);
        // SAFETY: the columns of pieces follow one another, and each piece is asked for once.
        let mut dword = unsafe { dword.block(0..vocabulary, cols.clone()) };
        // SAFETY: as above.
        let mut dposition = unsafe { dposition.block(0..positions, cols.clone()) };
        for sentence in offsets.windows(2) {
            for (place, i) in (sentence[0]..sentence[1]).enumerate() {
                let dy = &dy.row(i)[cols.clone()];
                add(dy, dword.row_mut(ids[i] as usize));
                add(dy, dposition.row_mut(place));
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::differences::{assert_near, gradient, values};

    fn run(ids: &[u32], offsets: &[usize], dy: &[f32], c: usize) -> [Vec<f32>; 3] {
        let (mut dword, mut dposition, mut dtype) =
            (vec![0.0; 5 * c], vec![0.0; 4 * c], vec![0.0; c]);
        embedding_backward(
            Isa::best(),
            ids,
            offsets,
            MatRef::new(dy, ids.len(), c),
            MatMut::new(&mut dword, 5, c),
            MatMut::new(&mut dposition, 4, c),
            &mut dtype,
        );
        [dword, dposition, dtype]
    }

    #[test]
    fn a_word_that_stands_twice_gets_both_gradients() {
        let dy = [1.0, 2.0, 10.0, 20.0, 100.0, 200.0];
        let [dword, dposition, dtype] = run(&[3, 0, 3], &[0, 2, 3], &dy, 2);
        assert_eq!(dword, [10.0, 20.0, 0.0, 0.0, 0.0, 0.0, 101.0, 202.0, 0.0, 0.0]);
        assert_eq!(dposition, [101.0, 202.0, 10.0, 20.0, 0.0, 0.0, 0.0, 0.0]);
        assert_eq!(dtype, [111.0, 222.0]);
    }

    #[test]
    fn it_agrees_with_central_differences_and_has_the_same_bits_for_any_number_of_threads() {
        let (ids, offsets, c) = ([2, 2, 4, 0, 1, 2, 2], [0, 4, 4, 7], 130);
        let dy = values(1, ids.len() * c);
        // The tables one behind the other, and Σ dy ∘ y.
        let loss = |tables: &[f64]| {
            let mut loss = 0.0;
            for s in offsets.windows(2) {
                for i in s[0]..s[1] {
                    for j in 0..c {
                        let (word, position) = (ids[i] as usize * c + j, (5 + i - s[0]) * c + j);
                        let y = tables[word] + tables[position] + tables[9 * c + j];
                        loss += f64::from(dy[i * c + j]) * y;
                    }
                }
            }
            loss
        };
        let want = gradient(&vec![0.5; 10 * c], loss);
        let got = run(&ids, &offsets, &dy, c);
        assert_near(&got.concat(), &want, 1e-6);
        let crew = parallel::Crew::new(3).unwrap();
        assert!(crew.run(|| run(&ids, &offsets, &dy, c)) == got);
    }

    #[test]
    #[should_panic(expected = "id 5 in a vocabulary of 5")]
    fn an_id_outside_the_vocabulary_is_refused() {
        run(&[5], &[0, 1], &[0.0], 1);
    }
}
