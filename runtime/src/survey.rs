//! What a network asks of a file, and what of it the file does not have.
//!
//! A network is loaded as always, but [`Weights`](crate::Weights) hand out empty layers, go on behind what is
//! missing, and take it down here: so there is one list of names and shapes, that of whoever loads.

use std::cell::RefCell;
use std::collections::HashSet;

use crate::{CheckpointError, TensorView};

/// Kept while a network is asked for.
#[derive(Default)]
pub struct Survey {
    asked: RefCell<HashSet<String>>,
    faults: RefCell<Vec<CheckpointError>>,
}

impl Survey {
    /// Nothing yet.
    pub fn new() -> Survey {
        Survey::default()
    }

    /// Whether the network reads the tensor.
    pub fn reads(&self, tensor: &TensorView) -> bool {
        self.asked.borrow().contains(tensor.name())
    }

    /// What was missing or of another shape.
    pub fn faults(self) -> Vec<CheckpointError> {
        self.faults.into_inner()
    }

    pub(crate) fn asked(&self, tensor: &TensorView) {
        self.asked.borrow_mut().insert(tensor.name().to_owned());
    }

    pub(crate) fn fault(&self, error: &CheckpointError) {
        self.faults.borrow_mut().push(error.clone());
    }
}
