//! Cuts a line into windows that fit the network, at sentence ends where there are any.
//!
//! A line of at most `max` tokens is one window: all of it is context. A longer one is cut
//! greedily into windows that end where a sentence ends. A sentence longer than a window is
//! covered by windows that overlap, and each of its tokens is judged in the window where it
//! lies farthest from an edge.

use std::ops::Range;

/// Tokens that two windows of one long sentence share.
const OVERLAP: usize = 64;

/// A run of tokens that is read at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Window {
    /// What the network sees.
    pub(super) tokens: Range<usize>,
    /// The part that it decides about. Over all windows these are disjoint and cover the line.
    pub(super) judged: Range<usize>,
}

/// Windows of at most `max` tokens over the tokens of `text` at the byte ranges `spans`.
pub(super) fn windows(text: &str, spans: &[Range<usize>], max: usize) -> Vec<Window> {
    let mut windows = Vec::new();
    let mut start = 0;
    while spans.len() - start > max {
        let ends = |token: &usize| ends_sentence(text, spans, *token);
        if let Some(last) = (start..start + max).rev().find(ends) {
            windows.push(Window { tokens: start..last + 1, judged: start..last + 1 });
            start = last + 1;
        } else {
            let end = (start + max..spans.len()).find(ends).map_or(spans.len(), |last| last + 1);
            overlapping(start..end, max, &mut windows);
            start = end;
        }
    }
    if start < spans.len() {
        windows.push(Window { tokens: start..spans.len(), judged: start..spans.len() });
    }
    windows
}

/// Windows over one sentence that is longer than `max`.
fn overlapping(sentence: Range<usize>, max: usize, windows: &mut Vec<Window>) {
    let overlap = OVERLAP.min(max / 2);
    let mut start = sentence.start;
    let mut judged = start;
    loop {
        let end = (start + max).min(sentence.end);
        if end == sentence.end {
            windows.push(Window { tokens: start..end, judged: judged..end });
            return;
        }
        // The last window is a full one too: more context for less than it would waste.
        let next = (end - overlap).min(sentence.end - max);
        let middle = (next + end) / 2;
        windows.push(Window { tokens: start..end, judged: judged..middle });
        (start, judged) = (next, middle);
    }
}

/// Whether a sentence ends with this token: its mark is followed by no other mark or closing quote.
fn ends_sentence(text: &str, spans: &[Range<usize>], token: usize) -> bool {
    let closes = |span: &Range<usize>| {
        text[span.clone()].chars().all(|c| "”’」』）》】\"')".contains(c)) && !span.is_empty()
    };
    let marks = |span: &Range<usize>| {
        text[span.clone()].chars().all(|c| "。！？；…!?;．｡".contains(c)) && !span.is_empty()
    };
    if let Some(next) = spans.get(token + 1) {
        if text[spans[token].end..next.start.max(spans[token].end)].contains('\n') {
            return true;
        }
        if closes(next) || marks(next) {
            return false;
        }
    }
    // Back over closing quotes to the mark.
    spans[..=token].iter().rev().find(|span| !closes(span)).is_some_and(marks)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One token a character.
    fn spans(text: &str) -> Vec<Range<usize>> {
        text.char_indices().map(|(at, c)| at..at + c.len_utf8()).collect()
    }

    fn check(text: &str, max: usize) -> Vec<Window> {
        let spans = spans(text);
        let windows = windows(text, &spans, max);
        let mut next = 0;
        for window in &windows {
            assert!(window.tokens.len() <= max, "{window:?}");
            assert!(window.tokens.start <= window.judged.start, "{window:?}");
            assert!(window.judged.end <= window.tokens.end, "{window:?}");
            assert_eq!(window.judged.start, next);
            next = window.judged.end;
        }
        assert_eq!(next, spans.len());
        windows
    }

    #[test]
    fn a_short_line_is_one_window_and_an_empty_one_none() {
        assert_eq!(check("今天。明天。", 6).len(), 1);
        assert_eq!(check("", 6).len(), 0);
    }

    #[test]
    fn a_long_line_is_cut_behind_the_mark_and_its_closing_quote() {
        let windows = check("他说：“好。”我走了！又来", 9);
        assert_eq!(windows[0].tokens, 0..7);
        assert_eq!(windows[1].tokens, 7..13);
    }

    #[test]
    fn a_long_sentence_is_judged_away_from_the_edges() {
        let windows = check(&"字".repeat(1000), 510);
        assert_eq!(windows[0].tokens, 0..510);
        assert_eq!(windows[1].tokens, 446..956);
        assert_eq!(windows[1].judged.start, 478);
        assert_eq!(windows[2].tokens, 490..1000);
    }

    #[test]
    fn every_length_and_width_is_covered_once() {
        for max in 1..20 {
            for len in 0..60 {
                let text: String =
                    (0..len).map(|i| if i % 13 == 7 { '。' } else { '字' }).collect();
                check(&text, max);
            }
        }
    }
}
