//! What a network is made of, taken down while it is loaded.
//!
//! Converting a model is loading it and writing down every part it asked for: so there is one walk
//! through a network, and what is written cannot differ from what will be read.

use std::cell::RefCell;
use std::sync::Arc;

use zhengzi_kernels::gemm::PackedB;

/// The parts of a network under their names, in the order in which it asked for them.
#[derive(Default)]
pub struct Parts(RefCell<Vec<(String, Part)>>);

/// One of them.
#[derive(Clone)]
pub(crate) enum Part {
    /// A layer, or several of one input as one.
    Linear {
        /// Their rows one below the other.
        weight: Arc<PackedB>,
        /// Their biases, one behind the other; none of a table.
        bias: Option<Vec<f32>>,
        /// What each is called by itself.
        layers: Vec<String>,
    },
    /// A vector, or a matrix that is not multiplied with.
    Values {
        /// Its extents.
        shape: Vec<usize>,
        /// Row by row.
        values: Vec<f32>,
    },
}

impl Parts {
    /// None yet.
    pub fn new() -> Parts {
        Parts::default()
    }

    pub(crate) fn take_down(&self, name: &str, part: Part) {
        self.0.borrow_mut().push((name.to_owned(), part));
    }

    /// All of them, in order.
    pub(crate) fn all(&self) -> Vec<(String, Part)> {
        self.0.borrow().clone()
    }
}

impl Part {
    /// How many numbers it is.
    pub(crate) fn parameters(&self) -> usize {
        match self {
            Part::Linear { weight, bias, .. } => {
                weight.n() * weight.k() + bias.as_ref().map_or(0, Vec::len)
            }
            Part::Values { values, .. } => values.len(),
        }
    }

    /// Whether both are the same bit for bit.
    pub(crate) fn is(&self, other: &Part) -> bool {
        let same = |a: &[f32], b: &[f32]| {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits())
        };
        match (self, other) {
            (
                Part::Linear { weight: a, bias: c, layers: e },
                Part::Linear { weight: b, bias: d, layers: f },
            ) => {
                let extents = |w: &PackedB| (w.precision(), w.n(), w.k());
                extents(a) == extents(b)
                    && a.words() == b.words()
                    && same(a.scales(), b.scales())
                    && same(c.as_deref().unwrap_or_default(), d.as_deref().unwrap_or_default())
                    && e == f
            }
            (Part::Values { shape: a, values: c }, Part::Values { shape: b, values: d }) => {
                a == b && same(c, d)
            }
            _ => false,
        }
    }
}
