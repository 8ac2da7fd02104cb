//! The network answers what Hugging Face transformers answers: every published shape, every
//! head, every container. The golden files are made by `golden/electra/*.py`.

#[path = "electra/attention.rs"]
mod attention;
#[path = "electra/bits.rs"]
mod bits;
#[path = "electra/containers.rs"]
mod containers;
#[path = "electra/golden.rs"]
mod golden;
#[path = "electra/non_finite.rs"]
mod non_finite;
#[path = "electra/tiny_zh.rs"]
mod tiny_zh;
#[path = "electra/weights.rs"]
pub mod weights;

use golden::{Case, logits, numbers};
use weights::Tensor;
use zhengzi_kernels::{Isa, Precision};
use zhengzi_runtime::Cpu;

/// The strongest instruction set and both of its cores, where there are two.
pub fn best() -> Cpu {
    f32_on(Isa::best())
}

/// The shape of a golden case.
pub fn config(name: &str) -> zhengzi_model::electra::Config {
    Case::named(name).config
}

/// In f32, whatever is faster here: that is what the golden files were computed in.
fn f32_on(isa: Isa) -> Cpu {
    Cpu::new(isa, 2).unwrap().with_precision(Some(Precision::F32))
}

#[test]
fn the_formula_agrees_with_python() {
    let formula = &logits()["formula"];
    for (name, seed) in formula["seed"].as_object().unwrap() {
        assert_eq!(weights::seed(name).to_string(), seed.as_str().unwrap());
    }
    for (name, values) in formula["weight"].as_object().unwrap() {
        let found: Vec<f32> = Tensor::new(name, &[3, 5]).values().collect();
        let found = [found[0], found[1], found[14]].map(f64::from);
        assert_eq!(found.to_vec(), numbers(values), "{name}");
    }
    let ids = weights::ids("electra", 4, 21128);
    assert_eq!(ids.iter().map(|&id| f64::from(id)).collect::<Vec<_>>(), numbers(&formula["ids"]));
}

#[test]
fn the_small_shape_agrees_on_every_instruction_set() {
    for isa in Isa::available() {
        let cpu = f32_on(isa);
        Case::named("small discriminator").check(&cpu);
        Case::named("small generator").check(&cpu);
    }
}

#[test]
fn three_heads_tanh_gelu_and_widths_of_no_vector_agree_on_every_instruction_set() {
    for isa in Isa::available() {
        let cpu = f32_on(isa);
        Case::named("odd discriminator").check(&cpu);
        Case::named("odd generator").check(&cpu);
    }
}

#[test]
fn a_sentence_alone_agrees_like_a_sentence_among_others() {
    for half in ["discriminator", "generator"] {
        Case::named(&format!("odd {half}")).check_alone(&best());
        Case::named(&format!("small {half}")).check_alone(&best());
    }
}

#[test]
fn the_small_ex_shape_agrees() {
    Case::named("small-ex discriminator").check(&best());
    Case::named("small-ex generator").check(&best());
}

#[test]
fn the_base_shape_agrees() {
    Case::named("base discriminator").check(&best());
    Case::named("base generator").check(&best());
}

#[test]
fn four_layers_of_the_large_shape_agree() {
    Case::named("large discriminator").check(&best());
    Case::named("large generator").check(&best());
}

#[test]
fn classifiers_of_one_and_two_labels_answer_with_the_logit_of_wrong() {
    Case::named("tiny classifier of one label").check(&best());
    Case::named("tiny classifier of two labels").check(&best());
}
