//! From gradients to a step: clipping, AdamW, and how fast at which time.
//!
//! ```text
//! scale = min(1, limit / ‖g‖)                                   over all gradients of a pair at once
//! η(s)  = η · min(1, (s + 1)/warm-up) · (1 − s/steps)           step s from 0 on
//! η(s) dᵇ                                                       for tensors b layers below a head
//! ```
//!
//! ELECTRA's constants are the defaults; `kernels/src/adamw.rs` has the step itself. Its own code begins the warm-up at 0,
//! with a step that moves nothing; here the first moves by 1/warm-up. d is 1 in pre-training, 0.8 in
//! fine-tuning. Source: google-research/electra, `model/optimization.py`.

use zhengzi_kernels::Isa;
use zhengzi_kernels::adamw::{AdamW, adamw, squared_norm};

use super::parameters::{Layout, Owner, Row};

/// The rate of each step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Schedule {
    /// The highest.
    pub rate: f64,
    /// Steps until it is reached.
    pub warm_up: u64,
    /// Steps until it is 0 again.
    pub steps: u64,
}

impl Schedule {
    /// The rate of step s, from 0 on.
    pub fn rate(&self, step: u64) -> f64 {
        let share = |part: u64, whole: u64| part as f64 / whole.max(1) as f64;
        let up = share(step + 1, self.warm_up).min(1.0);
        let down = (1.0 - share(step, self.steps)).max(0.0);
        self.rate * up * down
    }
}

/// AdamW over all tensors of a layout.
#[derive(Clone, Debug)]
pub struct Optimizer {
    /// The means of gradients.
    pub m: Row,
    /// The means of their squares.
    pub v: Row,
    /// β₁ 0.9, β₂ 0.999.
    pub betas: [f64; 2],
    /// ε 1e-6.
    pub epsilon: f32,
    /// λ 0.01, of what decays at all.
    pub decay: f32,
    /// The longest that all gradients together may be: 1.
    pub limit: f64,
    /// d: what the rate is multiplied by for each layer further below the head.
    pub layer_decay: f64,
    /// Whose tensors stay as they are, whatever their gradient.
    pub frozen: Vec<Owner>,
}

impl Optimizer {
    /// At its beginning, with ELECTRA's constants for pre-training.
    pub fn new(layout: &Layout) -> Optimizer {
        Optimizer {
            m: Row::of(layout),
            v: Row::of(layout),
            betas: [0.9, 0.999],
            epsilon: 1e-6,
            decay: 0.01,
            limit: 1.0,
            layer_decay: 1.0,
            frozen: Vec::new(),
        }
    }

    /// Moves the weights, and says how long the gradient was. Where that is no number nothing is moved.
    pub fn step(
        &mut self,
        isa: Isa,
        layout: &Layout,
        gradients: &Row,
        weights: &mut Row,
        rate: f64,
    ) -> f64 {
        let norm = squared_norm(isa, gradients.values()).sqrt();
        if !norm.is_finite() {
            return norm;
        }
        let scale = (self.limit / norm.max(self.limit)) as f32;
        for tensor in layout.tensors().iter().filter(|tensor| !self.frozen.contains(&tensor.owner))
        {
            let place = tensor.place.clone();
            let step = AdamW {
                rate: (rate * self.layer_decay.powi(tensor.below as i32)) as f32,
                betas: self.betas,
                epsilon: self.epsilon,
                decay: if tensor.decays() { self.decay } else { 0.0 },
                scale,
            };
            adamw(
                isa,
                &step,
                &gradients.values()[place.clone()],
                &mut weights.values_mut()[place.clone()],
                &mut self.m.values_mut()[place.clone()],
                &mut self.v.values_mut()[place],
            );
        }
        norm
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_goes_up_and_then_down_in_straight_lines() {
        let schedule = Schedule { rate: 2.0, warm_up: 4, steps: 100 };
        let near = |step, want: f64| assert!((schedule.rate(step) - want).abs() < 1e-12);
        near(0, 2.0 / 4.0);
        near(1, 2.0 * 0.5 * 0.99);
        near(3, 2.0 * 0.97);
        near(50, 1.0);
        near(100, 0.0);
        near(1000, 0.0);
        let constant = Schedule { rate: 1.0, warm_up: 0, steps: u64::MAX };
        assert_eq!(constant.rate(0), 1.0);
    }

    fn layout() -> Layout {
        let mut layout = Layout::default();
        layout.matrix(Owner::Both, 3, "a.weight".into(), 1, 1);
        layout.vector(Owner::Both, 0, "a.bias".into(), 1);
        layout
    }

    #[test]
    fn biases_do_not_decay_and_lower_layers_go_slower() {
        let layout = layout();
        let (mut weights, mut gradients) = (Row::of(&layout), Row::of(&layout));
        weights.values_mut().copy_from_slice(&[1.0, 1.0]);
        let mut optimizer = Optimizer { layer_decay: 0.5, ..Optimizer::new(&layout) };
        optimizer.step(Isa::best(), &layout, &gradients, &mut weights, 0.8);
        // Nothing but decay: 0.8 / 2³ · 0.01.
        assert_eq!(weights.values(), [1.0 - 0.1 * 0.01, 1.0]);
        gradients.values_mut().copy_from_slice(&[0.5, 0.5]);
        let mut optimizer = Optimizer { layer_decay: 0.5, decay: 0.0, ..Optimizer::new(&layout) };
        weights.values_mut().copy_from_slice(&[0.0, 0.0]);
        optimizer.step(Isa::best(), &layout, &gradients, &mut weights, 0.8);
        let [low, high] = *weights.values() else { panic!() };
        assert!((high / low - 8.0).abs() < 1e-5, "{high} {low}");
    }

    #[test]
    fn what_is_frozen_neither_learns_nor_decays() {
        let mut layout = layout();
        layout.matrix(Owner::Generator, 0, "b.weight".into(), 1, 1);
        let (mut weights, mut gradients) = (Row::of(&layout), Row::of(&layout));
        weights.values_mut().fill(1.0);
        gradients.values_mut().fill(0.1);
        let mut optimizer = Optimizer { frozen: vec![Owner::Both], ..Optimizer::new(&layout) };
        optimizer.step(Isa::best(), &layout, &gradients, &mut weights, 0.1);
        let [a, b, c] = *weights.values() else { panic!() };
        assert_eq!([a, b], [1.0; 2]);
        assert!(c < 1.0 && optimizer.m.values()[..2] == [0.0; 2]);
    }

    #[test]
    fn long_gradients_are_cut_to_the_limit_and_one_that_is_no_number_moves_nothing() {
        let layout = layout();
        let (mut weights, mut gradients) = (Row::of(&layout), Row::of(&layout));
        gradients.values_mut().copy_from_slice(&[3.0, 4.0]);
        let mut optimizer = Optimizer::new(&layout);
        assert_eq!(optimizer.step(Isa::best(), &layout, &gradients, &mut weights, 0.1), 5.0);
        let [a, b] = *optimizer.m.values() else { panic!() };
        assert!((a - 0.06).abs() < 1e-7 && (b - 0.08).abs() < 1e-7);
        let before = (weights.clone(), optimizer.clone());
        gradients.values_mut()[0] = f32::NAN;
        assert!(optimizer.step(Isa::best(), &layout, &gradients, &mut weights, 0.1).is_nan());
        assert!(weights == before.0 && optimizer.m == before.1.m && optimizer.v == before.1.v);
    }
}
