//! What a line of `--input jsonl` asks. `fuzz/` compiles this file, too: it knows nothing else of the
//! program.

use std::collections::HashMap;

use serde_json::value::RawValue;

/// What was asked, or what was wrong with it.
pub struct Request {
    pub id: Option<Box<RawValue>>,
    pub text: Result<String, String>,
}

impl Request {
    /// From an object with a `text` and, perhaps, an `id`.
    pub fn parse(line: &str) -> Request {
        let refused = |id, error: String| Request { id, text: Err(error) };
        // Other keys are whoever's they are. A byte order mark may open the first line.
        let line = line.trim_start_matches('\u{feff}');
        let mut asked: HashMap<String, Box<RawValue>> = match serde_json::from_str(line) {
            Ok(asked) => asked,
            Err(error) => return refused(None, format!("not a JSON object: {error}")),
        };
        let id = asked.remove("id");
        let Some(text) = asked.remove("text") else {
            return refused(id, "a request needs a text".to_owned());
        };
        match serde_json::from_str::<String>(text.get()) {
            Ok(text) if text.contains('\0') => refused(id, "the text holds a NUL".to_owned()),
            Ok(text) => Request { id, text: Ok(text) },
            Err(error) => refused(id, format!("the text is no string of characters: {error}")),
        }
    }
}
