//! A run: steps one after the other, each from tasks that a course sets.
//!
//! What a run does at step s depends on its pair, its optimiser's moments, s and the course alone: so it can be put down
//! after any step and taken up again.

use std::collections::BTreeMap;

use zhengzi_runtime::{Arena, Checkpoint, Cpu, TensorFile};

use super::task::teach;
use super::{Figures, Objective, Optimizer, Owner, Pair, Row, Task, Tensor};
use crate::Error;

/// What is to be learned.
pub trait Course {
    /// The tasks of the next step, which is the `step`-th from 0 on. `alone` is whether the generator learns without the discriminator.
    fn tasks(&mut self, step: u64, alone: bool) -> Vec<Task>;

    /// As if so many steps had been taken.
    fn pass_over(&mut self, steps: u64);

    /// How often everything was read.
    fn epoch(&self) -> u64;

    /// Tasks from held-out sentences, always the same.
    fn held_out(&self, alone: bool) -> Vec<Task>;
}

/// A pair that learns.
pub struct Run {
    /// The pair.
    pub pair: Pair,
    /// Its optimiser.
    pub optimizer: Optimizer,
    /// How losses add up.
    pub objective: Objective,
    /// Steps taken.
    pub steps: u64,
    cpu: Cpu,
    gradients: Row,
    arena: Arena,
}

/// Why a run cannot go on: a loss or a gradient is no number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The step, from 1 on.
    pub step: u64,
    /// Where it shows first, on the way back: a tensor of a half.
    pub tensor: Option<String>,
}

impl Run {
    /// One that begins.
    pub fn new(pair: Pair, objective: Objective, cpu: &Cpu) -> Run {
        let (optimizer, gradients) = (Optimizer::new(pair.layout()), Row::of(pair.layout()));
        let (cpu, arena) = (cpu.clone(), Arena::new());
        Run { pair, optimizer, objective, steps: 0, cpu, gradients, arena }
    }

    /// Learns from the tasks, and tells what they taught and how long the gradient was. Where that is no number, nothing
    /// changes.
    pub fn step(&mut self, tasks: &[Task], rate: f64) -> Result<(Figures, f64), Fault> {
        let figures = self.ask(tasks);
        let Run { pair, optimizer, gradients, cpu, .. } = self;
        for tensor in pair.layout().tensors() {
            if optimizer.frozen.contains(&tensor.owner) {
                gradients.values_mut()[tensor.place.clone()].fill(0.0);
            }
        }
        let norm = match figures.are_finite() {
            true => pair.step(cpu, optimizer, gradients, rate),
            false => f64::NAN,
        };
        if !norm.is_finite() {
            return Err(Fault { step: self.steps + 1, tensor: self.culprit() });
        }
        self.steps += 1;
        Ok((figures, norm))
    }

    /// What the pair knows of the tasks, without learning.
    pub fn ask(&mut self, tasks: &[Task]) -> Figures {
        let Run { pair, objective, cpu, gradients, arena, .. } = self;
        gradients.values_mut().fill(0.0);
        teach(pair, cpu, tasks, objective, gradients, arena)
    }

    /// Where numbers fail first. A weight that is none spoils all; else the gradient comes down from the heads,
    /// so the highest tensor tells.
    fn culprit(&self) -> Option<String> {
        let is_bad = |row: &Row, tensor: &Tensor| {
            row.values()[tensor.place.clone()].iter().any(|x| !x.is_finite())
        };
        let tensors = self.pair.layout().tensors();
        let weight = tensors.iter().find(|tensor| is_bad(&self.pair.weights, tensor));
        let gradient = || {
            let bad = tensors.iter().filter(|tensor| is_bad(&self.gradients, tensor));
            bad.min_by_key(|tensor| tensor.below)
        };
        let tensor = weight.or_else(gradient)?;
        let owner = match tensor.owner {
            Owner::Both => "shared",
            Owner::Generator => "generator",
            Owner::Discriminator => "discriminator",
        };
        Some(format!("{owner} {}", tensor.name))
    }

    /// All that it needs to go on, and notes.
    pub fn state(&self, notes: BTreeMap<String, String>) -> TensorFile {
        self.pair.state_with(&self.optimizer, self.steps, notes)
    }

    /// Goes on where the state was written.
    pub fn resume(&mut self, state: &Checkpoint) -> Result<(), Error> {
        self.steps = self.pair.resume(&mut self.optimizer, state)?;
        Ok(())
    }
}
