//! How tests check a derivative: by central differences in f64.

/// ∂f/∂xⱼ ≈ (f(x + h eⱼ) − f(x − h eⱼ)) / 2h for every j. The error is h² f‴ / 6, some 1e-9 here, and
/// what rounding leaves, 1e-12.
pub(crate) fn gradient(x: &[f32], f: impl Fn(&[f64]) -> f64) -> Vec<f64> {
    const H: f64 = 1e-4;
    let mut x: Vec<f64> = x.iter().map(|&x| x.into()).collect();
    (0..x.len())
        .map(|j| {
            let at = x[j];
            let mut f_at = |x_j| {
                x[j] = x_j;
                f(&x)
            };
            let slope = (f_at(at + H) - f_at(at - H)) / (2.0 * H);
            x[j] = at;
            slope
        })
        .collect()
}

/// Asserts that two gradients agree to `tolerance` times the largest value of the wanted one.
#[track_caller]
pub(crate) fn assert_near(got: &[f32], want: &[f64], tolerance: f64) {
    assert_eq!(got.len(), want.len());
    let most = want.iter().fold(0f64, |most, want| most.max(want.abs()));
    for (j, (&got, &want)) in got.iter().zip(want).enumerate() {
        let error = (f64::from(got) - want).abs();
        assert!(error <= tolerance * most, "[{j}] is {got:e}, not {want:e} (of up to {most:e})");
    }
}

/// The same of two results in f32.
#[track_caller]
pub(crate) fn assert_near_f32(got: &[f32], want: &[f32], tolerance: f64) {
    let want: Vec<f64> = want.iter().map(|&x| x.into()).collect();
    assert_near(got, &want, tolerance);
}

/// `len` numbers in −1..1 that look random (Marsaglia, xorshift64).
pub(crate) fn values(seed: u64, len: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    (0..len).map(|_| next()).collect()
}

/// Around the lanes of NEON (4), AVX2 (8) and AVX-512 (16), and a hidden size.
pub(crate) const WIDTHS: [usize; 13] = [1, 2, 3, 4, 7, 8, 9, 15, 16, 17, 33, 65, 256];

#[test]
fn the_differences_of_a_cubic_are_its_derivative() {
    let slope = gradient(&[2.0, -1.0], |x| x[0].powi(3) + 5.0 * x[1]);
    assert!((slope[0] - 12.0).abs() < 1e-7 && (slope[1] - 5.0).abs() < 1e-9);
}
