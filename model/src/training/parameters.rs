//! Every weight of a pair in one row of floats, and where in it each tensor lies.
//!
//! Gradients and the optimiser's moments are rows of the same layout, so a step of the optimiser is a
//! walk along four rows side by side. A [`Layout`] knows names and shapes; a [`Slot`] is what the network
//! keeps of them: a place.

use std::ops::Range;

use zhengzi_kernels::{MatMut, MatRef};

/// Who owns a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// Both halves: the embeddings of a pair that shares them.
    Both,
    /// The generator alone.
    Generator,
    /// The discriminator alone.
    Discriminator,
}

/// A tensor of a pair.
#[derive(Clone, Debug)]
pub struct Tensor {
    /// In whose file it belongs.
    pub owner: Owner,
    /// Its name there, Hugging Face's.
    pub name: String,
    /// `[rows, cols]`, or `[cols]` where it is a vector.
    pub shape: Vec<usize>,
    /// Its values in the row.
    pub place: Range<usize>,
    /// 0 for a head, 2 for the last layer, and one more for each layer below: what layer-wise decay goes by.
    pub below: usize,
}

impl Tensor {
    /// Whether weight decay acts on it: not on biases and layer norms.
    pub fn decays(&self) -> bool {
        !self.name.ends_with("bias") && !self.name.contains("LayerNorm")
    }
}

/// Where a tensor lies: `[rows, cols]` from `start` on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slot {
    start: usize,
    rows: usize,
    cols: usize,
}

impl Slot {
    fn range(self) -> Range<usize> {
        self.start..self.start + self.rows * self.cols
    }
}

/// The tensors of a pair, one behind the other.
#[derive(Default)]
pub struct Layout {
    tensors: Vec<Tensor>,
    len: usize,
}

impl Layout {
    /// All of them, in the order of the row.
    pub fn tensors(&self) -> &[Tensor] {
        &self.tensors
    }

    /// Values of all of them.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// A matrix `[rows, cols]` more.
    pub(super) fn matrix(
        &mut self,
        owner: Owner,
        below: usize,
        name: String,
        rows: usize,
        cols: usize,
    ) -> Slot {
        self.add(owner, below, name, vec![rows, cols])
    }

    /// A vector `[cols]` more.
    pub(super) fn vector(&mut self, owner: Owner, below: usize, name: String, cols: usize) -> Slot {
        self.add(owner, below, name, vec![cols])
    }

    fn add(&mut self, owner: Owner, below: usize, name: String, shape: Vec<usize>) -> Slot {
        let cols = shape[shape.len() - 1];
        let rows = shape.iter().product::<usize>() / cols;
        let slot = Slot { start: self.len, rows, cols };
        self.len = slot.range().end;
        self.tensors.push(Tensor { owner, name, shape, place: slot.range(), below });
        slot
    }

    /// Tensors that were added one behind the other and are as wide, as one matrix; vectors as one vector.
    pub(super) fn joined(parts: &[Slot]) -> Slot {
        let first = parts[0];
        let mut end = first.start;
        for part in parts {
            assert!(part.start == end, "a part at {} behind one that ends at {end}", part.start);
            end = part.range().end;
        }
        match first.rows {
            1 => Slot { cols: end - first.start, ..first },
            _ => Slot { rows: (end - first.start) / first.cols, ..first },
        }
    }
}

/// A value for each that a layout has: weights, gradients or moments.
#[derive(Clone, Debug, PartialEq)]
pub struct Row(Vec<f32>);

impl Row {
    /// Zeros.
    pub fn of(layout: &Layout) -> Row {
        Row(vec![0.0; layout.len()])
    }

    /// All values.
    pub fn values(&self) -> &[f32] {
        &self.0
    }

    /// The same to write.
    pub fn values_mut(&mut self) -> &mut [f32] {
        &mut self.0
    }

    pub(super) fn matrix(&self, slot: Slot) -> MatRef<'_, f32> {
        MatRef::new(&self.0[slot.range()], slot.rows, slot.cols)
    }

    pub(super) fn vector(&self, slot: Slot) -> &[f32] {
        &self.0[slot.range()]
    }

    pub(super) fn matrix_mut(&mut self, slot: Slot) -> MatMut<'_, f32> {
        MatMut::new(&mut self.0[slot.range()], slot.rows, slot.cols)
    }

    pub(super) fn vector_mut(&mut self, slot: Slot) -> &mut [f32] {
        &mut self.0[slot.range()]
    }

    /// The values of several tensors at once.
    pub(super) fn several_mut<const N: usize>(&mut self, slots: [Slot; N]) -> [&mut [f32]; N] {
        let ranges = slots.map(Slot::range);
        self.0.get_disjoint_mut(ranges).expect("tensors do not overlap")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tensors_lie_one_behind_the_other_and_join_to_one() {
        let mut layout = Layout::default();
        let a = layout.matrix(Owner::Both, 0, "a.weight".into(), 2, 3);
        let b = layout.matrix(Owner::Both, 0, "b.weight".into(), 1, 3);
        let c = layout.vector(Owner::Generator, 1, "b.LayerNorm.bias".into(), 4);
        assert_eq!(layout.len(), 13);
        let mut row = Row::of(&layout);
        row.matrix_mut(b).row_mut(0).fill(2.0);
        row.vector_mut(c)[3] = 5.0;
        let joined = row.matrix(Layout::joined(&[a, b]));
        assert_eq!((joined.rows(), joined.row(2)), (3, &[2.0; 3][..]));
        assert_eq!(row.values()[12], 5.0);
        let decays: Vec<bool> = layout.tensors().iter().map(Tensor::decays).collect();
        assert_eq!(decays, [true, true, false]);
    }

    #[test]
    #[should_panic(expected = "a part at 12 behind one that ends at 6")]
    fn what_does_not_lie_together_is_not_joined() {
        let mut layout = Layout::default();
        let [a, _, c] = ["a", "b", "c"]
            .map(|name| layout.matrix(Owner::Both, 0, name.into(), 1 + name.len(), 3));
        let _ = Layout::joined(&[a, c]);
    }
}
