//! Attention: ragged sentences, tiles of keys, both head sizes.

use zhengzi_kernels::attention::{attention, attention_blocks, attention_launch};
use zhengzi_kernels::{Isa, MatMut, MatRef, Precision};

use super::*;

/// One row of the list, as a kernel reads it.
fn upload_blocks(device: &mut Device, float: Float, offsets: &[usize]) -> (Arg, usize) {
    let blocks = attention_blocks(float, offsets);
    let words: Vec<u32> = blocks.iter().flatten().map(|&word| word as u32).collect();
    (device.upload(&words), blocks.len())
}

fn run(
    capability: (u32, u32),
    float: Float,
    qkv: &[f32],
    offsets: &[usize],
    heads: usize,
    d: usize,
) -> Vec<f32> {
    let (t, h) = (*offsets.last().unwrap(), heads * d);
    let mut device = Device::new(capability);
    let y = device.reserve(t * h * size_of_float(float));
    let (blocks, count) = upload_blocks(&mut device, float, offsets);
    let mut args = vec![device.upload_as(float, qkv), blocks, y, Arg::Int(h as i32)];
    if float == Float::F32 {
        args.push(Arg::Int(d as i32));
    }
    let cost = device.run(&attention_launch(float, d, count, heads), &args);
    assert_eq!(cost.conflicts, 0, "rows of one `ldmatrix` share banks");
    device.download_as(float, y)
}

#[test]
fn ragged_sentences_agree_with_the_cpu_in_every_type() {
    let offsets = [0, 1, 1, 18, 83, 100];
    for capability in CAPABILITIES {
        for &float in floats(capability) {
            for (heads, d) in [(1, 64), (2, 32)] {
                let qkv = rounded(float, &Random(3).values(100 * 3 * heads * d, 2.0));
                let got = run(capability, float, &qkv, &offsets, heads, d);
                let mut want = vec![0.0; 100 * heads * d];
                let rows = MatRef::new(&qkv, 100, 3 * heads * d);
                let y = MatMut::new(&mut want, 100, heads * d);
                attention(Isa::best(), Precision::F32, rows, &offsets, heads, y);
                // Probabilities are rounded, too, and so is what they weigh.
                assert_close(&got, &want, 4.0 * unit(float) + 1e-5);
            }
        }
    }
}

#[test]
fn a_long_sentence_goes_through_several_tiles_of_keys() {
    let (n, d) = (150, 64);
    let mut qkv = rounded(Float::F16, &Random(4).values(n * 3 * d, 1.0));
    // The greatest score comes last: everything before it has to shrink.
    for c in 0..d {
        let query = qkv[c];
        qkv[(n - 1) * 3 * d + d + c] = 4.0 * query;
    }
    let got = run((8, 0), Float::F16, &qkv, &[0, n], 1, d);
    let mut want = vec![0.0; n * d];
    attention(
        Isa::best(),
        Precision::F32,
        MatRef::new(&qkv, n, 3 * d),
        &[0, n],
        1,
        MatMut::new(&mut want, n, d),
    );
    assert_close(&got, &want, 4.0 * unit(Float::F16));
}

#[test]
fn a_sentence_has_the_same_bits_alone_and_in_company() {
    let (offsets, d) = ([0, 17, 90, 100], 32);
    let qkv = rounded(Float::Bf16, &Random(5).values(100 * 3 * d, 2.0));
    let together = run((8, 0), Float::Bf16, &qkv, &offsets, 1, d);
    for s in offsets.windows(2) {
        let part = &qkv[s[0] * 3 * d..s[1] * 3 * d];
        let alone = run((8, 0), Float::Bf16, part, &[0, s[1] - s[0]], 1, d);
        assert_eq!(together[s[0] * d..s[1] * d], alone);
    }
}
