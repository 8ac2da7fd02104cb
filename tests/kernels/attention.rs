//! Attention over ragged batches against the formula in f64.

use zhengzi_kernels::attention::attention;
use zhengzi_kernels::{Isa, Precision};

use super::*;

/// Those that attention tells apart.
const PRECISIONS: [Precision; 3] = Precision::ALL;

/// softmax(Q Kᵀ / √d) V, one sentence, one head, in f64: the whole of y.
fn attention_f64(qkv: &Strided, offsets: &[usize], heads: usize) -> Vec<Vec<f64>> {
    let h = qkv.cols / 3;
    let d = h / heads;
    let mut y = vec![vec![0.0; h]; qkv.rows];
    for sentence in offsets.windows(2) {
        for column in (0..h).step_by(d.max(1)) {
            for (i, y) in y.iter_mut().enumerate().take(sentence[1]).skip(sentence[0]) {
                let at = |i: usize, part: usize, c: usize| qkv.row(i)[part * h + column + c] as f64;
                let score = |j| (0..d).map(|c| at(i, 0, c) * at(j, 1, c)).sum::<f64>();
                let scores: Vec<f64> =
                    (sentence[0]..sentence[1]).map(|j| score(j) / (d as f64).sqrt()).collect();
                let max = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let sum: f64 = scores.iter().map(|s| (s - max).exp()).sum();
                for (score, j) in scores.iter().zip(sentence[0]..) {
                    for c in 0..d {
                        y[column + c] += (score - max).exp() / sum * at(j, 2, c);
                    }
                }
            }
        }
    }
    y
}

fn run(isa: Isa, qkv: &Strided, offsets: &[usize], heads: usize) -> Strided {
    run_in(Precision::F32, isa, qkv, offsets, heads)
}

fn run_in(
    precision: Precision,
    isa: Isa,
    qkv: &Strided,
    offsets: &[usize],
    heads: usize,
) -> Strided {
    let mut y = Strided::new(qkv.rows, qkv.cols / 3, |_, _| f32::NAN);
    attention(isa, precision, qkv.view(), offsets, heads, y.view_mut());
    y.assert_gaps_untouched();
    y
}

#[test]
fn attention_agrees_with_f64_on_ragged_batches_and_any_head_size() {
    let mut random = Random(20);
    let batches: [&[usize]; 4] =
        [&[0], &[0, 0], &[0, 1, 1, 4, 21, 21], &[0, 63, 64, 129, 194, 210]];
    for isa in Isa::available() {
        for (heads, d) in [(1, 1), (3, 5), (2, 32), (1, 33), (4, 64)] {
            for offsets in batches {
                let t = *offsets.last().unwrap();
                let qkv = Strided::random(&mut random, t, 3 * heads * d, 2.0);
                let want = attention_f64(&qkv, offsets, heads);
                let got = run(isa, &qkv, offsets, heads);
                assert_close(&got, |i, j| want[i][j], (2e-6, 2e-6));
            }
        }
    }
}

#[test]
fn a_long_sentence_goes_through_several_blocks_of_queries() {
    for isa in Isa::available() {
        let qkv = Strided::random(&mut Random(21), 512, 3 * 64, 3.0);
        let want = attention_f64(&qkv, &[0, 512], 2);
        assert_close(&run(isa, &qkv, &[0, 512], 2), |i, j| want[i][j], (1e-5, 1e-5));
    }
}

#[test]
fn a_sentence_has_the_same_bits_alone_and_in_any_company() {
    let (offsets, heads) = ([0, 17, 17, 90, 100, 300], 4);
    let qkv = Strided::random(&mut Random(22), 300, 3 * 4 * 32, 2.0);
    for (precision, isa) in
        PRECISIONS.into_iter().flat_map(|p| Isa::available().into_iter().map(move |i| (p, i)))
    {
        let together = run_in(precision, isa, &qkv, &offsets, heads);
        for s in offsets.windows(2) {
            let part = Strided::new(s[1] - s[0], qkv.cols, |i, j| qkv.row(s[0] + i)[j]);
            let alone = run_in(precision, isa, &part, &[0, s[1] - s[0]], heads);
            for i in s[0]..s[1] {
                assert_eq!(together.row(i), alone.row(i - s[0]), "row {i} on {}", isa.level());
            }
        }
    }
}

#[test]
fn attention_gives_the_same_bits_for_any_number_of_threads() {
    let qkv = Strided::random(&mut Random(23), 400, 3 * 4 * 32, 2.0);
    for isa in Isa::available() {
        for offsets in [&[0, 400][..], &[0, 10, 10, 110, 131, 350, 400]] {
            for precision in PRECISIONS {
                assert_same_for_any_threads(|| run_in(precision, isa, &qkv, offsets, 4).bits());
            }
        }
    }
}

/// Keys with a part in common, values with another: neither costs digits.
#[test]
fn attention_in_bf16_and_int8_is_a_hundredth_of_the_largest_value_away_from_f64() {
    let mut random = Random(25);
    for n in [1, 39, 40, 41, 200, 513] {
        let noise = Strided::random(&mut random, n, 3 * 128, 1.0);
        for (of_keys, of_values) in [(0.0, 0.0), (50.0, 0.0), (0.0, 50.0)] {
            let qkv = Strided::new(n, noise.cols, |i, j| {
                noise.row(i)[j] + [0.0, of_keys, of_values][j / 128] * ((j % 7) as f32 - 3.0)
            });
            let want = attention_f64(&qkv, &[0, n], 2);
            for isa in Isa::available() {
                for precision in [Precision::Bf16, Precision::Int8] {
                    let got = run_in(precision, isa, &qkv, &[0, n], 2);
                    assert_close(&got, |i, j| want[i][j], (0.01, 1e-6));
                }
            }
        }
    }
}

#[test]
fn a_query_far_along_one_key_takes_its_value_in_bf16_and_int8() {
    // One query looks at key 7 alone, the other at all alike.
    let (n, d) = (41, 16);
    for isa in Isa::available() {
        let qkv = Strided::new(n, 3 * d, |i, j| match (j / d, i, j % d) {
            (0, 0, 0) => 500.0,
            (1, 7, 0) => 10.0,
            (2, _, _) => (i * d + j % d) as f32,
            _ => 0.0,
        });
        for precision in [Precision::Bf16, Precision::Int8] {
            let y = run_in(precision, isa, &qkv, &[0, n], 1);
            for c in 0..d {
                let (one, mean) = ((7 * d + c) as f32, (20 * d + c) as f32);
                assert!((y.row(0)[c] - one).abs() < 2.0, "{} for {one}", y.row(0)[c]);
                assert!((y.row(1)[c] - mean).abs() < 2.0, "{} for {mean}", y.row(1)[c]);
            }
        }
    }
}

/// What is no number shows in the rows that it reaches, and in no others.
#[test]
fn what_is_not_finite_shows_in_every_precision() {
    let (n, d) = (21, 16);
    let noise = Strided::random(&mut Random(26), n, 3 * d, 1.0);
    for (precision, isa) in
        PRECISIONS.into_iter().flat_map(|p| Isa::available().into_iter().map(move |i| (p, i)))
    {
        // Row 5, column 3 of q, of k and of v.
        for part in 0..3 {
            let qkv = Strided::new(n, 3 * d, |i, j| match (i, j) == (5, part * d + 3) {
                true => f32::NAN,
                false => noise.row(i)[j],
            });
            let y = run_in(precision, isa, &qkv, &[0, n], 1);
            for (i, j) in (0..n).flat_map(|i| (0..d).map(move |j| (i, j))) {
                let must = [i == 5, false, j == 3][part];
                assert!(
                    !must || !y.row(i)[j].is_finite(),
                    "{precision} on {}, {part}",
                    isa.level()
                );
                let may = [i == 5, true, j == 3][part];
                assert!(may || y.row(i)[j].is_finite(), "{precision} on {}, {part}", isa.level());
            }
            let shows = (0..n).all(|i| y.row(i).iter().any(|y| !y.is_finite()));
            assert!(part != 1 || shows, "{precision} on {}: a key hides", isa.level());
        }
    }
}
