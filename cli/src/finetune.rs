//! `finetune`: a pair learns to spell.

use std::error::Error;
use std::process::ExitCode;

use serde_json::{Map, Value, json};
use zhengzi_model::training::{
    Corpus, Embeddings, Errors, Finetuning, Lessons, Objective, Origin, Rates, Run,
};

use crate::args::{FinetuneArgs, HeldOut, Only};
use crate::learn::{self, Plan, Work};
use crate::message;
use crate::pretrain::head;

/// The rate of ELECTRA's fine-tuning.
const RATE: f64 = 1e-4;

/// Runs the command.
pub fn run(args: &FinetuneArgs) -> Result<ExitCode, Box<dyn Error>> {
    let FinetuneArgs { learning, model, only, .. } = args;
    let origin = Origin::find(model, None, None)?;
    if !origin.is_trained() {
        let model = model.display();
        return Err(format!("{model}: has no weights: zhengzi pretrain makes some").into());
    }
    learn::check_length(learning, &origin)?;
    let (cpu, rate) = (learning.cpu()?, learning.rate.unwrap_or(RATE));
    let fill = args.fill.map_or(origin.generator.config.fill, |fill| fill.fill());
    let lessons = Lessons {
        discriminator: *only != Some(Only::Generator),
        generator: *only != Some(Only::Discriminator),
        slips: Rates { sound: args.sound, shape: args.shape, any: args.any },
        drawn: args.drawn,
        others: args.others,
        fill,
    };
    if lessons.slips.sum() + lessons.drawn > 1.0 {
        return Err("--sound, --shape, --any and --drawn are more than all characters".into());
    }
    let mut head = head("finetune", learning, rate, &origin);
    head.extend(settings(args, &lessons));
    let pairs = pairs(args, &origin, &mut head)?;
    let corpus = match &args.corpus[..] {
        [] => Corpus::default(),
        files => learn::corpus(files, learning, origin.tokenizer(), &mut head)?,
    };
    if pairs.sentences.is_empty() && corpus.sentences.is_empty() {
        return Err("all lines are held out: give more text, or a smaller --validate".into());
    }
    let is_apart = args.apart || only.is_some();
    let embeddings = if is_apart { Embeddings::Apart } else { Embeddings::Shared };
    // Nothing is fresh: how a fresh pair would begin does not matter.
    let pair = origin.pair(embeddings, zhengzi_model::training::Start::Paper, learning.seed)?;
    let objective = Objective {
        generator: f32::from(lessons.generator),
        discriminator: args.discriminator_weight as f32,
        ..Objective::default()
    };
    let mut run = Run::new(pair, objective, &cpu);
    run.optimizer.layer_decay = args.layer_decay;
    run.optimizer.frozen = only.map(Only::other).into_iter().collect();
    let course = Finetuning::new(
        &pairs,
        [&corpus.sentences, &corpus.held],
        origin.tokenizer(),
        lessons,
        (learning.batch, args.pairs_share),
        learning.seed,
    );
    let work = Work {
        run,
        course: Box::new(course),
        origin: &origin,
        fill: lessons.generator.then_some(fill),
        plan: Plan::new(learning, rate, 0.0),
        head,
        second_stage: Box::new(|_, _| {}),
    };
    learn::learn(learning, work)?;
    Ok(ExitCode::SUCCESS)
}

/// The pairs, and what the head of the log says of them.
fn pairs(
    args: &FinetuneArgs,
    origin: &Origin,
    head: &mut Map<String, Value>,
) -> Result<Errors, Box<dyn Error>> {
    let FinetuneArgs { learning, pairs: files, .. } = args;
    let read = |files: &[_], share| {
        let held = (share, learning.seed);
        Errors::read(files, origin.tokenizer(), learning.length, held)
    };
    let errors = match learning.held_out() {
        _ if files.is_empty() => Errors::default(),
        HeldOut::Share(share) => read(files, share)?,
        HeldOut::File(path) => Errors { held: read(&[path], 0.0)?.sentences, ..read(files, 0.0)? },
    };
    let Errors { sentences, held, unequal } = &errors;
    if !files.is_empty() {
        let print = format!("{:016x}{:016x}", sentences.fingerprint(), held.fingerprint());
        let of = json!({ "pairs": sentences.len(), "held_out": held.len(), "fingerprint": print });
        head.insert("errors".into(), of);
        message::say(format_args!("{} pairs, and {} held out", sentences.len(), held.len()));
    }
    if *unequal > 0 {
        message::say(format_args!("{unequal} pairs of unequal length were left out"));
    }
    Ok(errors)
}

fn settings(args: &FinetuneArgs, lessons: &Lessons) -> Map<String, Value> {
    let settings = json!({
        "only": args.only.map(|only| format!("{only:?}")),
        "apart": args.apart,
        "fill": format!("{:?}", lessons.fill),
        "pairs-share": args.pairs_share,
        "sound": args.sound,
        "shape": args.shape,
        "any": args.any,
        "drawn": args.drawn,
        "others": args.others,
        "layer-decay": args.layer_decay,
        "discriminator-weight": args.discriminator_weight,
    });
    let Value::Object(settings) = settings else { unreachable!("it is one") };
    settings
}
