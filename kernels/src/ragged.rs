//! A batch without padding: its sentences stand one after another, `offsets` says where each begins.
//!
//! Sentence s is rows `offsets[s]..offsets[s + 1]`; `offsets[0]` is 0, the last offset is the
//! number of rows t. A sentence may be empty. Only embedding (positions) and attention ask.

/// Asserts that `offsets` cuts exactly `t` rows into sentences.
pub(crate) fn assert_offsets(offsets: &[usize], t: usize) {
    assert!(offsets.first() == Some(&0), "offsets begin with {:?}, not 0", offsets.first());
    assert!(offsets.is_sorted(), "offsets go backwards: {offsets:?}");
    assert!(offsets.last() == Some(&t), "offsets end at {:?} of {t} rows", offsets.last());
}
