//! top k: which of a vocabulary a generator would put in a place.
//!
//! The k largest of x `[v]`, best first; of equal ones the lower index first. Cost: one comparison and 4
//! bytes a value, since few of them are ever among the best. Bound by memory.

use crate::cuda::{Launch, blocks, constant};

/// The indices of the k largest of x, best first.
pub fn top_k(x: &[f32], k: usize) -> Vec<u32> {
    let mut best: Vec<(f32, u32)> = Vec::with_capacity(k.min(x.len()) + 1);
    let mut least = f32::NEG_INFINITY;
    for (index, &value) in x.iter().enumerate() {
        // Nearly always false once the first few hundred are seen. Indices ascend: an equal one stays behind.
        if best.len() < k || value > least {
            let place = best.partition_point(|&(better, _)| better >= value);
            best.insert(place, (value, index as u32));
            best.truncate(k);
            least = best.last().map_or(f32::INFINITY, |worst| worst.0);
        }
    }
    best.into_iter().map(|(_, index)| index).collect()
}

/// On a GPU: a block for each of m rows; the best [`MOST`] of each come out.
pub fn top_k_launch(m: usize) -> Launch {
    const WARPS: u32 = constant(include_str!("top_k.cu"), "TOP_K_WARPS");
    let grid = [blocks(m, 1), 1];
    Launch { file: "top_k", kernel: "top_k", grid, threads: 32 * WARPS, shared: 0 }
}

/// The largest k on a GPU.
pub const MOST: u32 = constant(include_str!("top_k.cu"), "TOP_K_MOST");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_top_is_sorted_and_ties_go_to_the_lower_index() {
        let x = [1.0, 3.0, 2.0, 3.0];
        assert_eq!(top_k(&x, 3), [1, 3, 2]);
        assert_eq!(top_k(&x, 9), [1, 3, 2, 0]);
        assert_eq!(top_k(&x, 0), [0u32; 0]);
        assert_eq!(top_k(&[f32::NEG_INFINITY; 2], 2), [0, 1]);
    }
}
