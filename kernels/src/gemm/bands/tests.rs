//! What bands give, beside the reference and beside themselves.

use crate::gelu::Activation;
use crate::gemm::{Epilogue, MadeRows, PackedB, Rows, gemm, gemm_parts, gemm_rows, make};
use crate::parallel::Crew;
use crate::{Isa, Level, MatMut, MatRef, Precision};

fn values(len: usize, step: usize) -> Vec<f32> {
    (0..len).map(|i: usize| (i * step % 1009) as f32 / 100.0 - 5.0).collect()
}

fn bits(c: &[f32]) -> Vec<u32> {
    c.iter().map(|c| c.to_bits()).collect()
}

#[test]
fn bands_of_every_height_and_width_have_the_bits_of_the_reference_in_int8() {
    let (m, k) = (1..=70, [0, 1, 3, 64, 65, 300]);
    for (m, k) in m.flat_map(|m| k.map(|k| (m, k))) {
        for n in [1, 16, 33, 64, 112] {
            let (a, w, bias) = (values(m * k, 37), values(n * k, 101), values(n, 11));
            let packed = PackedB::pack(Isa::best(), Precision::Int8, &[MatRef::new(&w, n, k)]);
            let run = |isa| {
                let mut c = vec![f32::NAN; m * n];
                let (a, c_mut) = (MatRef::new(&a, m, k), MatMut::new(&mut c, m, n));
                gemm(isa, a, &packed, Epilogue::Bias(&bias), c_mut);
                bits(&c)
            };
            let expected = run(Isa::new(Level::Scalar).unwrap());
            for isa in Isa::available() {
                assert_eq!(run(isa), expected, "{m} × {n} × {k} on {}", isa.level());
            }
        }
    }
}

/// Rows made for the next product, by any number of threads, are those of its f32; and c in parts is c.
#[test]
fn rows_for_the_next_product_and_parts_of_c_give_the_bits_of_the_plain_way() {
    for (m, k, n) in [(1, 7, 3), (16, 64, 48), (33, 40, 96), (130, 256, 192), (300, 32, 33)] {
        let (a, w, bias) = (values(m * k, 37), values(n * k, 101), values(n, 11));
        let next = values(5 * n, 19);
        let f = Epilogue::BiasActivation(&bias, Activation::Gelu);
        for (isa, precision) in
            Isa::available().into_iter().flat_map(|isa| Precision::ALL.map(|p| (isa, p)))
        {
            let pack =
                |w: &[f32], n, k| PackedB::pack(Isa::best(), precision, &[MatRef::new(w, n, k)]);
            let (w, next) = (pack(&w, n, k), pack(&next, 5, n));
            let a = MatRef::new(&a, m, k);
            let (mut wide, mut plain) = (vec![f32::NAN; m * n], vec![f32::NAN; m * 5]);
            gemm(isa, a, &w, f, MatMut::new(&mut wide, m, n));
            let rows = MatRef::new(&wide, m, n);
            gemm(isa, rows, &next, Epilogue::None, MatMut::new(&mut plain, m, 5));
            for threads in [1, 2, 3] {
                let (mut c, mut parts) = (vec![f32::NAN; m * 5], vec![f32::NAN; m * n]);
                Crew::new(threads).unwrap().run(|| {
                    let (mut of_a, mut of_c) = (MadeRows::default(), MadeRows::default());
                    let a = make(isa, precision, a, &mut of_a);
                    let mut scratch = vec![f32::NAN; m * n];
                    let scratch = MatMut::new(&mut scratch, m, n);
                    let rows = gemm_rows(isa, a, &w, f, scratch, &mut of_c);
                    assert!(matches!(rows, Rows::F32(_)) || rows.rows() == m);
                    gemm(isa, rows, &next, Epilogue::None, MatMut::new(&mut c, m, 5));
                    if n % 3 == 0 {
                        gemm_parts(isa, a, &w, f, 3, MatMut::new(&mut parts, m, n));
                        assert_eq!(bits(&parts), bits(&wide), "{m} × {n} × {k} in parts");
                    }
                });
                let what = format!("{m} × {n} × {k}, {precision} on {}", isa.level());
                assert_eq!(bits(&c), bits(&plain), "{what}, {threads} threads");
            }
        }
    }
}
