//! Maximum likelihood of a conditional logit, by Newton's method.
//!
//! Each suspect is one choice among n + 1: keep what stands there, or one of n candidates.
//! With terms xᵢ of candidate i and weights w,
//!
//! ```text
//! P(i) = exp(w·xᵢ) / (1 + Σⱼ exp(w·xⱼ))        P(keep) = 1 / (1 + Σⱼ exp(w·xⱼ))
//! L(w) = Σ ln P(truth) − λ|w|²/2
//! ∇L   = Σ (x_truth − E[x]) − λw               ∇²L = −Σ Cov[x] − λI
//! ```
//!
//! L is concave, so Newton's method finds its only maximum in a few steps. (McFadden, 1974,
//! "Conditional logit analysis of qualitative choice behavior".)

/// One suspect: the terms of its candidates, and which of them is right (`None`: keep).
#[derive(Clone, Debug)]
pub struct Choice<const N: usize> {
    /// For each candidate.
    pub terms: Vec<[f32; N]>,
    /// The right one.
    pub truth: Option<usize>,
}

/// The weights that make the truth of `choices` likeliest.
pub fn fit<const N: usize>(choices: &[Choice<N>]) -> [f32; N] {
    const STEPS: usize = 50;
    let mut w = [0f64; N];
    let mut here = Likelihood::at(choices, &w);
    for _ in 0..STEPS {
        let mut step = solve(here.curvature, here.gradient);
        // Far from the maximum a full step may overshoot it: shorten it until L rises.
        let next = loop {
            let tried = std::array::from_fn(|i| w[i] + step[i]);
            let there = Likelihood::at(choices, &tried);
            if there.value >= here.value || step.iter().all(|step| step.abs() < 1e-7) {
                w = tried;
                break there;
            }
            step = step.map(|step| step / 2.0);
        };
        let risen = next.value - here.value;
        here = next;
        if risen < 1e-6 {
            break;
        }
    }
    w.map(|w| w as f32)
}

/// L, ∇L and −∇²L at some weights.
struct Likelihood<const N: usize> {
    value: f64,
    gradient: [f64; N],
    curvature: [[f64; N]; N],
}

impl<const N: usize> Likelihood<N> {
    fn at(choices: &[Choice<N>], w: &[f64; N]) -> Likelihood<N> {
        // λ: enough to keep the curvature regular when a term never varies.
        const RIDGE: f64 = 1.0;
        let mut sum = Likelihood {
            value: -RIDGE / 2.0 * w.iter().map(|w| w * w).sum::<f64>(),
            gradient: w.map(|w| -RIDGE * w),
            curvature: std::array::from_fn(|i| {
                std::array::from_fn(|j| if i == j { RIDGE } else { 0.0 })
            }),
        };
        for choice in choices {
            sum.add(choice, w);
        }
        sum
    }

    fn add(&mut self, choice: &Choice<N>, w: &[f64; N]) {
        let dot = |x: &[f32; N]| x.iter().zip(w).map(|(x, w)| f64::from(*x) * w).sum::<f64>();
        let scores: Vec<f64> = choice.terms.iter().map(dot).collect();
        // Keeping has the score 0 and the terms 0.
        let max = scores.iter().copied().fold(0.0, f64::max);
        let whole = (-max).exp() + scores.iter().map(|s| (s - max).exp()).sum::<f64>();
        let truth = choice.truth.map(|truth| (scores[truth], choice.terms[truth]));
        let (score, terms) = truth.unwrap_or((0.0, [0.0; N]));
        self.value += score - max - whole.ln();
        let mut mean = [0f64; N];
        for (x, s) in choice.terms.iter().zip(&scores) {
            let p = (s - max).exp() / whole;
            for i in 0..N {
                mean[i] += p * f64::from(x[i]);
                for j in 0..N {
                    self.curvature[i][j] += p * f64::from(x[i]) * f64::from(x[j]);
                }
            }
        }
        for i in 0..N {
            self.gradient[i] += f64::from(terms[i]) - mean[i];
            for j in 0..N {
                self.curvature[i][j] -= mean[i] * mean[j];
            }
        }
    }
}

/// x with a·x = b, a symmetric and positive definite: Gauss elimination needs no pivoting.
fn solve<const N: usize>(mut a: [[f64; N]; N], mut b: [f64; N]) -> [f64; N] {
    for i in 0..N {
        let pivot = a[i];
        for j in i + 1..N {
            let factor = a[j][i] / pivot[i];
            for (x, p) in a[j][i..].iter_mut().zip(&pivot[i..]) {
                *x -= factor * p;
            }
            b[j] -= factor * b[i];
        }
    }
    for i in (0..N).rev() {
        for j in i + 1..N {
            b[i] -= a[i][j] * b[j];
        }
        b[i] /= a[i][i];
    }
    b
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_system_of_equations_is_solved() {
        let x = solve([[4.0, 1.0], [1.0, 3.0]], [9.0, 5.0]);
        assert!((x[0] - 2.0).abs() < 1e-12 && (x[1] - 1.0).abs() < 1e-12);
    }

    #[test]
    fn a_constant_term_fits_the_share_of_changes() {
        // 300 of 400 choices are changes: w → ln 3, but for the ridge.
        let choice = |i: usize| Choice {
            terms: vec![[1.0]],
            truth: [None, Some(0), Some(0), Some(0)][i % 4],
        };
        let choices: Vec<_> = (0..400).map(choice).collect();
        assert!((fit(&choices)[0] - 3f32.ln()).abs() < 0.03);
    }

    #[test]
    fn a_first_step_that_overshoots_is_shortened() {
        // Many bad candidates far from 0: Newton's full step from w = 0 diverges here.
        let choice = |i: usize| Choice {
            terms: (0..60).map(|j| [1.0, 0.0 - ((i * 31 + j * 17) % 23) as f32]).collect(),
            truth: i.is_multiple_of(20).then_some(0),
        };
        let choices: Vec<_> = (0..2000).map(choice).collect();
        let w = fit(&choices);
        assert!(w.iter().all(|w| w.abs() < 20.0), "{w:?}");
    }

    #[test]
    fn the_term_that_tells_right_from_wrong_gets_the_weight() {
        let choice = |i: usize| Choice {
            terms: vec![[1.0, (i % 7) as f32], [0.0, (i % 5) as f32]],
            truth: [Some(0), Some(0), Some(1), None][i % 4],
        };
        let choices: Vec<_> = (0..1000).map(choice).collect();
        let w = fit(&choices);
        assert!(w[0] > 0.1 && w[1].abs() < w[0], "{w:?}");
    }
}
