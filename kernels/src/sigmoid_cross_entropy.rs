//! Sigmoid cross-entropy: how wrong a yes or no is, and its gradient in the place of the logit.
//!
//! ```text
//! p = σ(z) = 1 / (1 + e⁻ᶻ)
//! loss = −y ln p − (1 − y) ln(1 − p) = max(z, 0) − y z + ln(1 + e^−|z|)
//! ∂loss/∂z = p − y
//! ```
//!
//! The second form of the loss overflows nowhere. y is 1 where a token was replaced, else 0. z `[t]`, replaced `[t]`; z becomes
//! scale · ∂loss/∂z in place, and the sum of the losses is returned, added up in f64 in order.
//!
//! Cost: some 40 flops a token, of which a network has one: nothing. One form serves every level.

use crate::Isa;
use crate::gelu::sigmoid;

/// Σ loss of logits z `[t]`, where `replaced` `[t]` is right; z becomes scale · ∂loss/∂z.
pub fn sigmoid_cross_entropy(_isa: Isa, replaced: &[bool], scale: f32, z: &mut [f32]) -> f64 {
    assert!(replaced.len() == z.len(), "{} labels for {} logits", replaced.len(), z.len());
    let mut sum = 0.0;
    for (z, &replaced) in z.iter_mut().zip(replaced) {
        let (logit, label) = (f64::from(*z), f64::from(u8::from(replaced)));
        sum += logit.max(0.0) - label * logit + (-logit.abs()).exp().ln_1p();
        *z = scale * (sigmoid(*z) - label as f32);
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::differences::{assert_near, gradient, values};

    #[test]
    fn it_agrees_with_central_differences() {
        let z: Vec<f32> = values(1, 40).iter().map(|z| 6.0 * z).collect();
        let replaced: Vec<bool> = (0..40).map(|i| i % 3 == 0).collect();
        let loss = |z: &[f64]| -> f64 {
            let p = z.iter().map(|z| 1.0 / (1.0 + (-z).exp()));
            p.zip(&replaced).map(|(p, &y)| if y { -p.ln() } else { -(1.0 - p).ln() }).sum()
        };
        let mut dz = z.clone();
        let sum = sigmoid_cross_entropy(Isa::best(), &replaced, 1.0, &mut dz);
        assert_near(&dz, &gradient(&z, loss), 1e-6);
        let z: Vec<f64> = z.iter().map(|&z| z.into()).collect();
        assert!((sum - loss(&z)).abs() < 1e-9);
    }

    #[test]
    fn far_from_zero_the_loss_is_the_logit_or_nothing() {
        let mut z = [1000.0, -1000.0, 1000.0, -1000.0, f32::NAN];
        let sum = sigmoid_cross_entropy(Isa::best(), &[true, true, false, false], 2.0, &mut z[..4]);
        assert_eq!((sum, &z[..4]), (2000.0, &[0.0, -2.0, 2.0, 0.0][..]));
        assert!(sigmoid_cross_entropy(Isa::best(), &[true], 1.0, &mut z[4..]).is_nan());
    }
}
