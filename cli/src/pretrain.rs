//! `pretrain`: a pair learns from text.

use std::error::Error;
use std::process::ExitCode;

use serde_json::{Map, Value, json};
use zhengzi_model::config::Fill;
use zhengzi_model::training::{Embeddings, Objective, Origin, Owner, Pretraining, Run};

use crate::args::{LearningArgs, PretrainArgs};
use crate::learn::{self, Plan, Work};
use crate::message;

/// The rate of ELECTRA-small.
const RATE: f64 = 5e-4;

/// Runs the command.
pub fn run(args: &PretrainArgs) -> Result<ExitCode, Box<dyn Error>> {
    let PretrainArgs { learning, .. } = args;
    let origin = Origin::find(&args.config, args.vocab.as_deref(), args.generator_size)?;
    learn::check_length(learning, &origin)?;
    let cpu = learning.cpu()?;
    let rate = learning.rate.unwrap_or(RATE);
    let mut head = head("pretrain", learning, rate, &origin);
    head.extend(settings(args));
    let corpus = learn::corpus(&args.corpus, learning, origin.tokenizer(), &mut head)?;
    let embeddings = if args.apart { Embeddings::Apart } else { Embeddings::Shared };
    let pair = origin.pair(embeddings, args.start.start(), learning.seed)?;
    message::say(format_args!("{} weights", pair.layout().len()));
    let objective = Objective {
        discriminator: args.discriminator_weight as f32,
        temperature: args.temperature as f32,
        ..Objective::default()
    };
    let mut run = Run::new(pair, objective, &cpu);
    let alone = args.two_stage.unwrap_or(0.0);
    if alone > 0.0 {
        run.optimizer.frozen = vec![Owner::Discriminator];
    }
    let course = Pretraining::new(
        [&corpus.sentences, &corpus.held],
        origin.tokenizer(),
        (args.mask_rate, args.confusions),
        learning.batch,
        learning.seed,
    );
    let second_stage = |run: &mut Run, begins: bool| {
        run.optimizer.frozen = Vec::new();
        if begins && !origin.is_trained() {
            let [generator, discriminator] = [&origin.generator, &origin.discriminator];
            if !run.pair.widen(&generator.config, &discriminator.config) {
                message::say("the discriminator is no multiple of the generator: it begins afresh");
            }
        }
        if args.frozen {
            run.objective.generator = 0.0;
            run.optimizer.frozen = vec![Owner::Generator, Owner::Both];
        }
    };
    let work = Work {
        run,
        course: Box::new(course),
        origin: &origin,
        fill: Some(Fill::Mask),
        plan: Plan::new(learning, rate, alone),
        head,
        second_stage: Box::new(second_stage),
    };
    learn::learn(learning, work)?;
    Ok(ExitCode::SUCCESS)
}

/// What the head of every log holds.
pub fn head(command: &str, args: &LearningArgs, rate: f64, origin: &Origin) -> Map<String, Value> {
    let shape = |json: &Map<String, Value>| Value::Object(json.clone());
    let head = json!({
        "zhengzi": env!("CARGO_PKG_VERSION"),
        "command": command,
        "steps": args.steps,
        "minutes": args.minutes,
        "rate": rate,
        "warmup": args.warmup,
        "batch": args.batch,
        "length": args.length,
        "seed": args.seed,
        "every": args.every,
        "threads": args.threads,
        "generator": shape(origin.generator.json()),
        "discriminator": shape(origin.discriminator.json()),
        "vocabulary": origin.fingerprint(),
    });
    let Value::Object(head) = head else { unreachable!("it is one") };
    head
}

fn settings(args: &PretrainArgs) -> Map<String, Value> {
    let settings = json!({
        "apart": args.apart,
        "two-stage": args.two_stage,
        "frozen": args.frozen,
        "start": format!("{:?}", args.start),
        "mask-rate": args.mask_rate,
        "discriminator-weight": args.discriminator_weight,
        "temperature": args.temperature,
        "confusions": args.confusions,
    });
    let Value::Object(settings) = settings else { unreachable!("it is one") };
    settings
}
