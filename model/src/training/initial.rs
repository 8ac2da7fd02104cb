//! Weights to begin with.
//!
//! ```text
//! paper     matrices of the normal law, deviation 0.02; biases 0, norms 1
//! fan-in    matrices of deviation 1/√inputs, words too, for they are the last matrix of the generator; positions
//!           sin and cos of p ωᵢ, as large as words; the first layer's heads look at neighbours
//! widened   a discriminator k times as wide as its generator: the generator k times side by side
//! ```
//!
//! **Words** of deviation 0.02 do not last: a step of the optimiser moves every number by about the rate, a softmax over
//! all words moves all of them in one direction, and after 20 steps at 1e-3 they differ less than they are alike.
//!
//! A small network that is trained for hours and not for weeks loses many of them until attention finds out where
//! neighbours are. **Neighbours**: let pᵢ = (cos p ωᵢ, sin p ωᵢ) for the highest frequencies, and Rδ the rotation of each by δ ωᵢ.
//! A head with K = α P and Q = α Rδ P, where P picks those numbers from the embedding, scores
//! Σᵢ cos((p + δ − p′) ωᵢ) for p at p′: most at p′ = p + δ. Heads get δ = −1, 1, −2, 2, … in turn.
//!
//! **Widened**: with blocks of the generator's matrices on the diagonal and 0 elsewhere, every hidden state of the
//! discriminator is the generator's k times. Means and variances of such a state are those of one copy, so its norms
//! agree, and so do its attention's scores, head by head. The copies part as soon as the head, whose weights differ for
//! each, sends its gradient back.

use super::{Embeddings, Owner, Pair, Purpose, Random, Tensor};
use crate::Error;
use crate::electra::Config;

/// What to begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// As ELECTRA's code has it.
    Paper,
    /// As above.
    FanIn,
}

/// The deviation of a normal law that was cut off at two of its deviations.
const CUT: f64 = 0.8796;

/// α: how sharply the first layer looks.
const SHARP: f32 = 1.5;

impl Pair {
    /// A fresh pair.
    pub fn started(
        generator: &Config,
        discriminator: &Config,
        embeddings: Embeddings,
        start: Start,
        seed: u64,
    ) -> Result<Pair, Error> {
        if start == Start::Paper {
            return Pair::fresh(generator, discriminator, embeddings, seed);
        }
        let mut random = Random::new(seed, 0, Purpose::Initialisation);
        let mut pair = Pair::new(generator, discriminator, embeddings, |tensor, values| {
            fan_in(tensor, values, &mut random);
        })?;
        for (owner, config) in
            [(Owner::Generator, generator), (Owner::Discriminator, discriminator)]
        {
            pair.look_at_neighbours(owner, config);
        }
        Ok(pair)
    }

    /// Q and K of the first layer, where the embeddings can be read off its input.
    fn look_at_neighbours(&mut self, owner: Owner, config: &Config) {
        let Config { embedding_size: c, hidden_size: h, heads, .. } = *config;
        let width = h / heads;
        let pairs = (width / 2).min(c / 2);
        if h < c {
            return; // the projection drops what would have to be read
        }
        // The embedding from the hidden state: Wᵀ of the projection is nearly its inverse, times c/h.
        let project = self.values(owner, "electra.embeddings_project.weight").map(<[f32]>::to_vec);
        let read_off = |dim: usize, hidden: usize| match &project {
            Some(w) => w[hidden * c + dim] * c as f32 / h as f32,
            None => f32::from(dim == hidden),
        };
        let offsets = (0..heads).map(|head| (head / 2 + 1) as f32 * [-1.0, 1.0][head % 2]);
        let (mut query, mut key) = (vec![0.0; h * h], vec![0.0; h * h]);
        for (head, offset) in offsets.enumerate() {
            for i in 0..pairs {
                let (sin, cos) = (offset * frequency(i, c)).sin_cos();
                let row = |k: usize| (head * width + 2 * i + k) * h;
                for hidden in 0..h {
                    let [x, y] = [2 * i, 2 * i + 1].map(|dim| SHARP * read_off(dim, hidden));
                    (key[row(0) + hidden], key[row(1) + hidden]) = (x, y);
                    query[row(0) + hidden] = cos * x - sin * y;
                    query[row(1) + hidden] = sin * x + cos * y;
                }
            }
        }
        for (name, values) in [("query", query), ("key", key)] {
            let name = format!("electra.encoder.layer.0.attention.self.{name}.weight");
            if let Some(weights) = self.values_mut(owner, &name) {
                weights.copy_from_slice(&values);
            }
        }
    }

    /// Makes the discriminator of copies of the generator. Its head stays as it is. False, and nothing is done, where the shapes
    /// do not allow it.
    pub fn widen(&mut self, generator: &Config, discriminator: &Config) -> bool {
        let (g, d) = (generator, discriminator);
        let copies = d.hidden_size / g.hidden_size;
        let fits = d.embedding_size == g.embedding_size
            && d.hidden_size == copies * g.hidden_size
            && d.heads == copies * g.heads
            && d.intermediate_size == copies * g.intermediate_size
            && d.layers == g.layers
            && d.max_positions == g.max_positions
            && d.token_types == g.token_types
            && (d.embedding_size != d.hidden_size || copies == 1);
        if !fits {
            return false;
        }
        let tensors: Vec<Tensor> = self.layout().tensors().to_vec();
        for tensor in tensors.iter().filter(|tensor| tensor.owner == Owner::Discriminator) {
            let name = &tensor.name;
            if !name.starts_with("electra.") {
                continue;
            }
            let whole = self.values(Owner::Generator, name).map(<[f32]>::to_vec);
            let is_embedding = name.starts_with("electra.embeddings.");
            let target = &mut self.weights.values_mut()[tensor.place.clone()];
            match (whole, &tensor.shape[..]) {
                // Generators as wide as their embeddings have none: each copy reads the embedding.
                (None, [rows, cols]) => {
                    for i in 0..*rows {
                        for j in 0..*cols {
                            target[i * cols + j] = f32::from(i % cols == j);
                        }
                    }
                }
                (None, _) => target.fill(0.0),
                (Some(whole), _) if is_embedding => target.copy_from_slice(&whole),
                (Some(whole), [_]) => {
                    target.chunks_mut(whole.len()).for_each(|copy| copy.copy_from_slice(&whole));
                }
                // What reads the embeddings is stacked, what reads hidden states lies on the diagonal.
                (Some(whole), [rows, cols]) => {
                    let stacked = name.starts_with("electra.embeddings_project");
                    let (below, beside) = (rows / copies, cols / if stacked { 1 } else { copies });
                    for i in 0..*rows {
                        for j in 0..*cols {
                            let on = stacked || i / below == j / beside;
                            let value = whole[(i % below) * beside + j % beside];
                            target[i * cols + j] = if on { value } else { 0.0 };
                        }
                    }
                }
                _ => unreachable!("a tensor is a matrix or a vector"),
            }
        }
        true
    }

    fn place(&self, owner: Owner, name: &str) -> Option<std::ops::Range<usize>> {
        let is_it = |tensor: &&Tensor| tensor.owner == owner && tensor.name == name;
        Some(self.layout().tensors().iter().find(is_it)?.place.clone())
    }

    fn values(&self, owner: Owner, name: &str) -> Option<&[f32]> {
        Some(&self.weights.values()[self.place(owner, name)?])
    }

    fn values_mut(&mut self, owner: Owner, name: &str) -> Option<&mut [f32]> {
        let place = self.place(owner, name)?;
        Some(&mut self.weights.values_mut()[place])
    }
}

/// ωᵢ: from π, one half turn a place, down to a turn in a thousand.
fn frequency(i: usize, c: usize) -> f32 {
    std::f32::consts::PI * 500f32.powf(-(i as f32) / (c as f32 / 2.0))
}

fn fan_in(tensor: &Tensor, values: &mut [f32], random: &mut Random) {
    let width = tensor.shape[tensor.shape.len() - 1];
    let mut fill = |deviation: f64| {
        let mut value = || (deviation / CUT * random.truncated_normal()) as f32;
        values.iter_mut().for_each(|x| *x = value());
    };
    let name = &tensor.name;
    if name.ends_with("position_embeddings.weight") {
        for (p, row) in values.chunks_mut(width).enumerate() {
            for (dim, x) in row.iter_mut().enumerate() {
                let (sin, cos) = (p as f32 * frequency(dim / 2, width)).sin_cos();
                // As large as words are, in the mean of squares.
                let large = (2.0 / width as f32).sqrt();
                *x = large * if dim % 2 == 0 { cos } else { sin };
            }
        }
    } else if name.ends_with("token_type_embeddings.weight") {
        values.fill(0.0);
    } else if tensor.decays() {
        fill(1.0 / (width as f64).sqrt());
    } else {
        values.fill(f32::from(name.ends_with("LayerNorm.weight")));
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use zhengzi_kernels::Isa;
    use zhengzi_runtime::Arena;

    use super::*;
    use crate::electra::Batch;
    use crate::training::encoder::Encoder;

    fn config(hidden: usize, heads: usize) -> Config {
        let json = format!(
            r#"{{"vocab_size":50,"embedding_size":32,"hidden_size":{hidden},"num_hidden_layers":2,
                "num_attention_heads":{heads},"intermediate_size":{},"max_position_embeddings":64}}"#,
            2 * hidden
        );
        Config::parse(json.as_bytes(), Path::new("c")).unwrap()
    }

    #[test]
    fn a_fresh_first_layer_looks_at_neighbours() {
        for (hidden, heads) in [(32, 2), (64, 4)] {
            let config = config(hidden, heads);
            let pair =
                Pair::started(&config, &config, Embeddings::Shared, Start::FanIn, 1).unwrap();
            let value = |name: &str| {
                let owner = match name.contains("embeddings.") {
                    true => Owner::Both,
                    false => Owner::Generator,
                };
                pair.values(owner, &format!("electra.{name}.weight")).unwrap()
            };
            let positions = value("embeddings.position_embeddings");
            let project = (hidden != 32).then(|| value("embeddings_project"));
            // What a place alone makes of the input, about as large as LayerNorm leaves it beside a word.
            let input = |p: usize| -> Vec<f32> {
                let row: Vec<f32> = positions[p * 32..][..32].iter().map(|x| x * 4.0).collect();
                let dot = |w: &[f32]| w.iter().zip(&row).map(|(w, x)| w * x).sum();
                project.map_or(row.clone(), |w| w.chunks(32).map(dot).collect())
            };
            let part = |name: &str, p: usize, head: usize| -> Vec<f32> {
                let (x, width) = (input(p), hidden / heads);
                let rows = value(&format!("encoder.layer.0.attention.self.{name}")).chunks(hidden);
                let rows = rows.skip(head * width).take(width);
                rows.map(|w| w.iter().zip(&x).map(|(w, x)| w * x).sum()).collect()
            };
            for head in 0..heads {
                let offset = (head as isize / 2 + 1) * [-1, 1][head % 2];
                let query = part("query", 20, head);
                let score = |p: &usize| -> f32 {
                    part("key", *p, head).iter().zip(&query).map(|(k, q)| k * q).sum()
                };
                let best = (0..64).max_by(|a, b| score(a).total_cmp(&score(b))).unwrap();
                assert_eq!(best as isize, 20 + offset, "{hidden} {head}");
            }
        }
    }

    #[test]
    fn a_widened_discriminator_has_every_state_of_its_generator_twice() {
        let (small, large) = (config(32, 2), config(64, 4));
        let mut pair = Pair::started(&small, &large, Embeddings::Shared, Start::FanIn, 1).unwrap();
        assert!(pair.widen(&small, &large));
        let mut batch = Batch::new();
        batch.push(&[2, 10, 30, 20, 7, 3]);
        batch.push(&[2, 49, 3]);
        let states = |encoder: &Encoder| -> Vec<Vec<f32>> {
            let mut arena = Arena::new();
            let (mut frame, _) = arena.frame(&encoder.shapes(batch.tokens()));
            let kept = encoder.forward(Isa::best(), &pair.weights, &batch, &mut frame);
            (0..batch.tokens()).map(|i| kept.x.as_ref().row(i).to_vec()).collect()
        };
        let [narrow, wide] = [&pair.generator.0, &pair.discriminator.0].map(states);
        for (narrow, wide) in narrow.iter().zip(&wide) {
            let twice = narrow.iter().chain(narrow);
            assert!(twice.zip(wide).all(|(a, b)| (a - b).abs() < 1e-4), "{narrow:?}\n{wide:?}");
        }
        assert!(narrow[1] != narrow[2]);
    }

    #[test]
    fn only_what_fits_is_widened() {
        let (small, large) = (config(32, 2), config(64, 4));
        let pair = |g: &Config, d: &Config| {
            Pair::started(g, d, Embeddings::Shared, Start::FanIn, 1).unwrap()
        };
        assert!(pair(&small, &large).widen(&small, &large));
        let odd = Config { heads: 2, ..large.clone() };
        let mut refused = pair(&small, &odd);
        let before = refused.weights.clone();
        assert!(!refused.widen(&small, &odd) && refused.weights == before);
    }
}
