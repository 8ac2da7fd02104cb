//! Simplified and traditional text through the embedded model: neither is an error.

use zhengzi_kernels::Isa;
use zhengzi_model::ModelPaths;
use zhengzi_model::corrector::{Corrector, Script, Settings, apply};
use zhengzi_runtime::Cpu;

fn corrected(script: Script, texts: &[&str]) -> Vec<String> {
    // Every character is looked at, and every change made that wins at all.
    let settings =
        Settings { threshold: Some(0.0), margin: Some(-3.0), script, ..Settings::default() };
    let cpu = Cpu::new(Isa::best(), 2).unwrap();
    let mut corrector = Corrector::open(&ModelPaths::default(), settings, &cpu).unwrap();
    let passages: Vec<_> = texts.iter().map(|&text| text.into()).collect();
    let found = corrector.correct(&passages).unwrap();
    texts.iter().zip(&found).map(|(text, found)| apply(text, found)).collect()
}

#[test]
fn tmp() {
    let t = [
        "我們在學校裡學習。",
        "他看着書，覺得很開心。",
        "我今天的新情很好，後來就回家了。",
        "這裏的風景很美麗",
        "这里的風景很美丽，我们都很喜歡。",
        "他在图书馆裡看书，后來回家。",
    ];
    for s in [Script::Auto, Script::Simplified, Script::Traditional] {
        for (a, b) in t.iter().zip(corrected(s, &t)) {
            println!("{s:?} {a} {b}");
        }
    }
}
