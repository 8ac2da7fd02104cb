//! The lines of `vocab.txt`, found by their text.
//!
//! A trie over characters: a walk from the root along a word passes every token that the word begins
//! with, and ends as soon as no token goes on. The node of `##` is the root of the tokens that
//! continue a word. The edges of all nodes lie in one open-addressing table. A second table, indexed
//! by code point, answers at once for the characters that are a token whatever stands beside them.

use std::ops::Range;

use unicode_normalization_alignments::char::decompose_canonical;

use super::unicode::{is_dropped, is_han, is_punctuation};

pub(super) struct Vocabulary {
    text: String,
    /// Where each token stands in `text`.
    tokens: Vec<Range<usize>>,
    /// For each node id + 1 of the token that ends there, or 0. Node 0 is the root.
    ends: Vec<u32>,
    /// Every edge, at the first free place at or after its hash.
    edges: Vec<Edge>,
    /// The node of `##`, if any token begins so.
    continuation: Option<Node>,
    /// id + 1 of each standalone character of the Basic Multilingual Plane; 0 for all others.
    standalone: Vec<u32>,
}

/// A string that some token begins with.
#[derive(Clone, Copy)]
pub(super) struct Node(u32);

/// From the node of a string to the node of that string and one more character.
#[derive(Clone, Copy, Default)]
struct Edge {
    from: u32,
    c: char,
    /// 0, where no edge leads, marks a free place.
    to: u32,
}

type Refusal = (String, &'static str);

/// Bytes of a vocabulary: four times that of the 120,000 tokens of multilingual BERT. The trie takes
/// some forty bytes for each of them.
pub(super) const LIMIT: usize = 4 << 20;

impl Vocabulary {
    /// Reads the lines. The error is what was wrong and what to do.
    pub(super) fn new(bytes: &[u8]) -> Result<Self, Refusal> {
        if bytes.len() > LIMIT {
            let hint = "take the file that the model was published with";
            return Err((format!("longer than {LIMIT} bytes"), hint));
        }
        let text = std::str::from_utf8(bytes).map_err(|error| {
            let what = format!("not UTF-8 at byte {}", error.valid_up_to());
            (what, "fetch it again, or save it as UTF-8")
        })?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        refuse_what_is_no_vocabulary(text)?;

        // At most half full, so that an edge which is not there is missed after a look or two.
        let places = (2 * most_edges(text)).next_power_of_two();
        let mut vocabulary = Self {
            text: text.to_owned(),
            tokens: Vec::with_capacity(text.len() / 4),
            ends: vec![0],
            edges: vec![Edge::default(); places],
            continuation: None,
            standalone: vec![0; 1 << 16],
        };
        let (mut start, mut path) = (0, Vec::new());
        for line in text.split_inclusive('\n') {
            let token = line.strip_suffix('\n').unwrap_or(line);
            let token = token.strip_suffix('\r').unwrap_or(token);
            vocabulary.add(token, start, &mut path)?;
            start += line.len();
        }
        vocabulary.continuation = vocabulary.node("##");
        Ok(vocabulary)
    }

    pub(super) fn len(&self) -> usize {
        self.tokens.len()
    }

    pub(super) fn token(&self, id: u32) -> &str {
        &self.text[self.tokens[id as usize].clone()]
    }

    pub(super) fn id(&self, token: &str) -> Option<u32> {
        self.id_at(self.node(token)?)
    }

    /// Where tokens that begin a word begin.
    pub(super) fn root(&self) -> Node {
        Node(0)
    }

    /// Where tokens that continue a word begin, if there are any.
    pub(super) fn continuation(&self) -> Option<Node> {
        self.continuation
    }

    /// The node one character on, if any token goes on so.
    #[inline]
    pub(super) fn child(&self, node: Node, c: char) -> Option<Node> {
        match self.edges[self.place(node, c)].to {
            0 => None,
            to => Some(Node(to)),
        }
    }

    /// The id of the token that ends at `node`.
    #[inline]
    pub(super) fn id_at(&self, node: Node) -> Option<u32> {
        self.ends[node.0 as usize].checked_sub(1)
    }

    /// The id of a character that is a token by itself, unchanged, whatever stands beside it: a
    /// Chinese character or a punctuation mark. `None` says nothing: the long way will tell.
    #[inline]
    pub(super) fn standalone(&self, c: char) -> Option<u32> {
        self.standalone.get(c as usize)?.checked_sub(1)
    }

    fn node(&self, token: &str) -> Option<Node> {
        token.chars().try_fold(self.root(), |node, c| self.child(node, c))
    }

    /// Adds the next token, which begins at byte `start` of the text. `path` is the way of the token
    /// before it, which is not walked again as far as both are the same.
    fn add(
        &mut self,
        token: &str,
        start: usize,
        path: &mut Vec<(char, Node)>,
    ) -> Result<(), Refusal> {
        const ADVICE: &str = "take the file that the model was published with";
        self.tokens.push(start..start + token.len());
        let line =
            u32::try_from(self.tokens.len()).map_err(|_| ("too many lines".into(), ADVICE))?;

        let same = token.chars().zip(&*path).take_while(|(c, (before, _))| c == before).count();
        path.truncate(same);
        let mut node = path.last().map_or(self.root(), |&(_, node)| node);
        for c in token.chars().skip(same) {
            node = self.child_or_new(node, c);
            path.push((c, node));
        }
        let earlier = std::mem::replace(&mut self.ends[node.0 as usize], line);
        if earlier != 0 {
            return Err((format!("lines {earlier} and {line} both read {token:?}"), ADVICE));
        }

        let mut characters = token.chars();
        if let (Some(c), None) = (characters.next(), characters.next())
            && stands_alone_unchanged(c)
            && let Some(place) = self.standalone.get_mut(c as usize)
        {
            *place = line;
        }
        Ok(())
    }

    fn child_or_new(&mut self, node: Node, c: char) -> Node {
        let place = self.place(node, c);
        if self.edges[place].to == 0 {
            let to = self.ends.len() as u32;
            self.ends.push(0);
            self.edges[place] = Edge { from: node.0, c, to };
        }
        Node(self.edges[place].to)
    }

    /// Where the edge is, or would be.
    #[inline]
    fn place(&self, node: Node, c: char) -> usize {
        let last = self.edges.len() - 1; // all ones: their number is a power of two
        // Multiplicative hashing by 2^64 over the golden ratio (Knuth 3, section 6.4); the upper half
        // of the product depends on all bits of both.
        let key = u64::from(node.0) << 32 | u64::from(c);
        let mut place = (key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as usize & last;
        loop {
            let edge = self.edges[place];
            if edge.to == 0 || (edge.from == node.0 && edge.c == c) {
                return place;
            }
            place = (place + 1) & last;
        }
    }
}

/// What people save under the name of a vocabulary, each with its cure.
fn refuse_what_is_no_vocabulary(text: &str) -> Result<(), Refusal> {
    let start = text.trim_start().as_bytes();
    let begins = |with: &str| {
        start.get(..with.len()).is_some_and(|bytes| bytes.eq_ignore_ascii_case(with.as_bytes()))
    };
    if text.is_empty() {
        Err(("the file is empty".into(), "fetch it again"))
    } else if begins("version https://git-lfs") {
        Err(("a Git LFS pointer, not the file".into(), "run `git lfs pull` where it came from"))
    } else if begins("<!doctype html") || begins("<html") {
        Err(("a web page, not the file".into(), "fetch the raw file"))
    } else {
        Ok(())
    }
}

/// Each line adds at most the characters that it does not begin with like the line before it: a
/// bound that is close, since lines that begin alike (`[unused1]`, `##a`) stand together.
fn most_edges(text: &str) -> usize {
    let mut before = "";
    let mut edges = 1;
    for line in text.lines() {
        let same = line.chars().zip(before.chars()).take_while(|(a, b)| a == b).count();
        edges += line.chars().count() - same;
        before = line;
    }
    edges
}

fn stands_alone_unchanged(c: char) -> bool {
    // The unified ideographs that make up most of a vocabulary have neither case nor decomposition.
    if matches!(c, '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}') {
        return true;
    }
    let mut decomposed = false;
    decompose_canonical(c, |d| decomposed |= d != c);
    // Neither is ever white space, a mark or an upper-case letter.
    (is_han(c) || is_punctuation(c)) && !is_dropped(c) && !decomposed
}
