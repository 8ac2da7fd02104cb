//! How much arithmetic an answer needs: what a time is turned into FLOP/s by.
//!
//! ```text
//! a layer        2 t (3h² + h² + 2 h f)   +   Σ 4 n² h         q, k, v, output, feed-forward; q kᵀ and · v
//! embeddings     2 t c h                                       where c ≠ h
//! discriminator  2 t (h² + h)
//! generator      2 m (h c + c v), and its last layer only has q, attention and the rest at m rows
//! ```
//!
//! Matrix products alone, two operations for each multiplication with its addition: t tokens of all
//! sentences, n of one, m places that the generator is asked about. It is what has to be computed,
//! not what was: who does more than is needed has a lower figure.

use super::{Batch, Config, Discriminator, Generator};

impl Discriminator {
    /// Floating-point operations of [`Discriminator::logits`]. (A token classifier's one linear
    /// layer is counted as the discriminator's two.)
    pub fn flops(&self, batch: &Batch) -> f64 {
        let h = self.config().hidden_size as f64;
        let layers = self.config().layers as f64;
        embeddings(self.config(), batch)
            + layers * layer(self.config(), batch)
            + 2.0 * batch.tokens() as f64 * (h * h + h)
    }
}

impl Generator {
    /// Floating-point operations of [`Generator::logits`] at `rows`.
    pub fn flops(&self, batch: &Batch, rows: &[usize]) -> f64 {
        let config = self.config();
        let [v, c, h, f, layers] = dimensions(config);
        let m = rows.len() as f64;
        // Of each place: how long its sentence is.
        let context: f64 = rows
            .iter()
            .map(|row| {
                let end = batch.offsets().partition_point(|offset| offset <= row);
                (batch.offsets()[end] - batch.offsets()[end - 1]) as f64
            })
            .sum();
        let keys_values = 4.0 * batch.tokens() as f64 * h * h;
        let last = keys_values + 2.0 * m * (2.0 * h * h + 2.0 * h * f) + 4.0 * context * h;
        let before = (layers - 1.0) * layer(config, batch);
        embeddings(config, batch) + before + last + 2.0 * m * (h * c + c * v)
    }
}

fn embeddings(config: &Config, batch: &Batch) -> f64 {
    let [_, c, h, ..] = dimensions(config);
    if c == h { 0.0 } else { 2.0 * batch.tokens() as f64 * c * h }
}

fn layer(config: &Config, batch: &Batch) -> f64 {
    let [_, _, h, f, _] = dimensions(config);
    let lengths = batch.offsets().windows(2).map(|ends| (ends[1] - ends[0]) as f64);
    let squares: f64 = lengths.map(|n| n * n).sum();
    2.0 * batch.tokens() as f64 * (4.0 * h * h + 2.0 * h * f) + 4.0 * squares * h
}

/// v, c, h, f and the number of layers.
fn dimensions(config: &Config) -> [f64; 5] {
    let Config { vocab_size, embedding_size, hidden_size, intermediate_size, layers, .. } = *config;
    [vocab_size, embedding_size, hidden_size, intermediate_size, layers].map(|size| size as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn a_layer_of_small_is_what_it_is_by_hand() {
        let config = Config::parse(b"{}", Path::new("config.json")).unwrap();
        let mut batch = Batch::new();
        batch.push(&[1; 10]);
        batch.push(&[1; 6]);
        // 16 tokens, h 256, f 1024: 4 · 65,536 + 2 · 262,144 weights; 100 + 36 pairs of tokens.
        assert_eq!(layer(&config, &batch), 2.0 * 16.0 * 786_432.0 + 4.0 * 136.0 * 256.0);
        assert_eq!(embeddings(&config, &batch), 2.0 * 16.0 * 128.0 * 256.0);
    }
}
