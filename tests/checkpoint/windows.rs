//! Lies about tensors: sizes, strides, offsets, storages; each is refused with the tensor's name.

use super::files::{Tensor, entries, legacy, state_dict, two_floats, zip};
use super::{read_bytes, refused};

fn zip_of(tensors: &[Tensor]) -> Vec<u8> {
    zip(&entries(&state_dict(tensors)))
}

#[track_caller]
fn lie(tensor: Tensor, what: &str) {
    refused(&zip_of(std::slice::from_ref(&tensor)), &[what, "at byte"]);
    let tensor = Tensor { legacy: true, ..tensor };
    let bytes = legacy(&state_dict(&[tensor]), &["0"], &[(2, two_floats())]);
    refused(&bytes, &["at byte"]);
}

#[test]
fn a_true_tensor_is_read() {
    let bits = vec![1f32.to_bits(), 2f32.to_bits()];
    let everything = vec![("weight".to_owned(), vec![2], bits)];
    assert_eq!(read_bytes("t", &zip_of(&[Tensor::default()])).unwrap(), everything);
    let tensor = Tensor { legacy: true, ..Tensor::default() };
    let bytes = legacy(&state_dict(&[tensor]), &["0"], &[(2, two_floats())]);
    assert_eq!(read_bytes("t", &bytes).unwrap(), everything);
}

#[test]
fn windows_past_their_storage_are_refused() {
    let base = Tensor::default;
    for (offset, shape, strides) in [
        (1, vec![2], vec![1]),
        (0, vec![3], vec![1]),
        (0, vec![2], vec![2]),
        (i64::MAX, vec![2], vec![1]),
        (0, vec![i64::MAX], vec![1]),
        (0, vec![2], vec![i64::MAX]),
        (3, vec![0], vec![1]),
    ] {
        lie(Tensor { offset, shape, strides, ..base() }, "(tensor weight)");
    }
}

#[test]
fn sizes_that_overflow_are_refused() {
    let huge = 0x4000_0000_0000_0001; // times 4 is 4 in 64 bits
    lie(Tensor { elements: huge, ..Tensor::default() }, "elements are not possible");
    lie(Tensor { elements: i64::MAX, ..Tensor::default() }, "elements are not possible");
    let shape = vec![1 << 32, 1 << 32];
    lie(Tensor { shape, strides: vec![1 << 32, 1], ..Tensor::default() }, "(tensor weight)");
    let shape = vec![huge, 4];
    lie(Tensor { shape, strides: vec![4, 1], ..Tensor::default() }, "(tensor weight)");
}

#[test]
fn negative_numbers_are_refused() {
    lie(Tensor { offset: -1, ..Tensor::default() }, "negative");
    lie(Tensor { shape: vec![-2], ..Tensor::default() }, "negative");
    lie(Tensor { strides: vec![-1], ..Tensor::default() }, "negative");
    lie(Tensor { elements: -2, ..Tensor::default() }, "elements are not possible");
    lie(Tensor { elements: i64::MIN, ..Tensor::default() }, "elements are not possible");
}

#[test]
fn a_giant_of_stride_zero_is_refused() {
    lie(Tensor { shape: vec![1 << 40], strides: vec![0], ..Tensor::default() }, "overlap");
    lie(Tensor { shape: vec![2, 2], strides: vec![1, 0], ..Tensor::default() }, "overlap");
}

#[test]
fn ranks_that_disagree_or_are_too_high_are_refused() {
    lie(Tensor { strides: vec![1, 1], ..Tensor::default() }, "2 strides");
    lie(Tensor { shape: vec![1; 65], strides: vec![1; 65], ..Tensor::default() }, "65 dimensions");
}

#[test]
fn storages_of_the_wrong_size_are_refused() {
    lie(Tensor { elements: 1, ..Tensor::default() }, "storage 0");
    lie(Tensor { elements: 3, ..Tensor::default() }, "storage 0");
    lie(Tensor { storage: "DoubleStorage", ..Tensor::default() }, "storage 0: has 8 bytes");
    lie(Tensor { key: "1", ..Tensor::default() }, "storage 1");
    let other = Tensor { name: "other", storage: "IntStorage", ..Tensor::default() };
    refused(&zip_of(&[Tensor::default(), other]), &["storage 0: is described in two ways"]);
}

#[test]
fn a_tensor_named_twice_is_refused() {
    let twice = [Tensor::default(), Tensor::default()];
    refused(&zip_of(&twice), &["names a tensor twice", "(tensor weight)"]);
    let old = Tensor { name: "a.LayerNorm.gamma", ..Tensor::default() };
    let new = Tensor { name: "a.LayerNorm.weight", ..Tensor::default() };
    refused(&zip_of(&[old, new]), &["holds a.LayerNorm.weight twice, first as a.LayerNorm.gamma"]);
}

#[test]
fn legacy_storages_must_match_the_pickle_and_end_the_file() {
    let pickle = state_dict(&[Tensor { legacy: true, ..Tensor::default() }]);
    let floats = two_floats;
    refused(&legacy(&pickle, &["0"], &[(3, floats())]), &["3 elements where the pickle says 2"]);
    refused(&legacy(&pickle, &["0"], &[(-2, floats())]), &["-2 elements"]);
    refused(&legacy(&pickle, &["0"], &[(2, vec![0; 7])]), &["needs 8 bytes of the 7 left"]);
    refused(&legacy(&pickle, &["0"], &[(2, vec![0; 9])]), &["1 bytes follow"]);
    refused(&legacy(&pickle, &[], &[]), &["storage that is not there", "(tensor weight)"]);
    refused(&legacy(&pickle, &["0", "0"], &[(2, floats()), (2, floats())]), &["listed twice"]);
    refused(&legacy(&pickle, &["0", "7"], &[(2, floats()), (2, floats())]), &["storage 7"]);
}

#[test]
fn numbers_that_are_not_finite_are_refused_where_they_are() {
    let nan = [1f32.to_le_bytes(), f32::NAN.to_le_bytes()].concat();
    let mut archive = entries(&state_dict(&[Tensor::default()]));
    archive[1].data = nan;
    refused(&zip(&archive), &["element 1 is not a finite", "at byte", "(tensor weight)"]);
    let too_large = [1f64.to_le_bytes(), 1e39f64.to_le_bytes()].concat();
    let tensor = Tensor { storage: "DoubleStorage", ..Tensor::default() };
    archive = entries(&state_dict(&[tensor]));
    archive[1].data = too_large;
    refused(&zip(&archive), &["element 1 is not a finite f32"]);
}

#[test]
fn a_file_without_tensors_says_what_to_save() {
    refused(&zip(&entries(b"\x80\x02}.")), &["holds no tensors", "state_dict()"]);
    refused(&zip(&entries(b"\x80\x02].")), &["other than a dictionary", "state_dict()"]);
}
