//! How tests measure error: in units in the last place of the true value.

/// Asserts that each `(x, got, want)` has `got` within `limit` ulp of `want`, or both NaN,
/// or both the same infinity once `want` is rounded to f32.
pub(crate) fn assert_ulps(limit: f64, cases: impl IntoIterator<Item = (f32, f32, f64)>) {
    let (mut worst, mut at, mut count) = (0.0, 0.0, 0);
    for (x, got, want) in cases {
        count += 1;
        let rounded = want as f32;
        if got == rounded || (got.is_nan() && want.is_nan()) {
            continue;
        }
        let error = (got as f64 - want).abs() / ulp(rounded);
        assert!(error <= limit, "f({x:e}) = {got:e}, not {want:e}: {error:.2} ulp off");
        if error > worst {
            (worst, at) = (error, x);
        }
    }
    assert!(count > 0, "nothing was compared");
    println!("worst {worst:.2} ulp, at {at:e}, of {count}");
}

/// The distance between floats at `x`: 2^−149 for subnormals.
fn ulp(x: f32) -> f64 {
    let exponent = ((x.to_bits() >> 23) & 0xff).max(1) as i32;
    2f64.powi(exponent - 127 - 23)
}

/// Every `step`-th of all floats: every exponent, both signs, NaNs and infinities.
pub(crate) fn floats(step: usize) -> Vec<f32> {
    (0..=u32::MAX).step_by(step).map(f32::from_bits).collect()
}
