//! Pictures: the few elements of SVG that we draw with, and the escaping that they need.

use std::fmt::{Display, Write as _};

/// Elements, one behind the other. Lengths are user units, y grows downwards.
#[derive(Default)]
pub struct Drawing {
    elements: String,
}

impl Drawing {
    /// A rectangle of this class; `title` is what a pointer on it is told, if anything.
    pub fn rect(&mut self, [x, y, w, h]: [f64; 4], class: &str, title: &str) -> &mut Drawing {
        self.shape(format_args!("rect {}", box_of([x, y, w, h])), class, "", title)
    }

    /// The same, seen through: 0 is invisible, 1 solid.
    pub fn shade(
        &mut self,
        area: [f64; 4],
        opacity: f64,
        class: &str,
        title: &str,
    ) -> &mut Drawing {
        let seen = format!(" fill-opacity=\"{}\"", number(opacity));
        self.shape(format_args!("rect {}", box_of(area)), class, &seen, title)
    }

    /// A rectangle with round corners, and a colour and opacity of its own.
    pub fn filled(
        &mut self,
        area: [f64; 4],
        radius: f64,
        (fill, opacity): (&str, f64),
        title: &str,
    ) -> &mut Drawing {
        let (radius, opacity) = (number(radius), number(opacity));
        let more = format!(" rx=\"{radius}\" fill=\"{fill}\" fill-opacity=\"{opacity}\"");
        self.shape(format_args!("rect {}", box_of(area)), "", &more, title)
    }

    /// A straight line.
    pub fn line(&mut self, from: [f64; 2], to: [f64; 2], class: &str) -> &mut Drawing {
        let [[x1, y1], [x2, y2]] = [from.map(number), to.map(number)];
        let line = format!("line x1=\"{x1}\" y1=\"{y1}\" x2=\"{x2}\" y2=\"{y2}\"");
        self.shape(format_args!("{line}"), class, "", "")
    }

    /// Text whose baseline begins, or with `mid` or `end` among its classes is centred or ends, at
    /// a point: the style says so.
    pub fn text(&mut self, [x, y]: [f64; 2], class: &str, text: &str) -> &mut Drawing {
        let (x, y) = (number(x), number(y));
        let text = escaped(text);
        _ = writeln!(self.elements, "<text x=\"{x}\" y=\"{y}\" class=\"{class}\">{text}</text>");
        self
    }

    /// The same, turned by a quarter to the left.
    pub fn upright(&mut self, [x, y]: [f64; 2], class: &str, text: &str) -> &mut Drawing {
        let (x, y) = (number(x), number(y));
        let text = escaped(text);
        let turned = format!("transform=\"translate({x} {y}) rotate(-90)\"");
        _ = writeln!(self.elements, "<text {turned} class=\"{class}\">{text}</text>");
        self
    }

    /// Another drawing, moved.
    pub fn place(&mut self, [x, y]: [f64; 2], drawing: &Drawing) -> &mut Drawing {
        let (x, y) = (number(x), number(y));
        _ = writeln!(self.elements, "<g transform=\"translate({x} {y})\">");
        self.elements.push_str(&drawing.elements);
        self.elements.push_str("</g>\n");
        self
    }

    /// As an element of a page, which has its style.
    pub fn inline(&self, [w, h]: [f64; 2], label: &str) -> String {
        let (w, h, label) = (number(w), number(h), escaped(label));
        let size = format!("width=\"{w}\" height=\"{h}\" viewBox=\"0 0 {w} {h}\"");
        format!("<svg {size} role=\"img\" aria-label=\"{label}\">\n{}</svg>\n", self.elements)
    }

    /// As a file of its own.
    pub fn file(&self, [w, h]: [f64; 2], title: &str, style: &str) -> String {
        let (w, h, title) = (number(w), number(h), escaped(title));
        let size = format!("width=\"{w}\" height=\"{h}\" viewBox=\"0 0 {w} {h}\"");
        let name = "xmlns=\"http://www.w3.org/2000/svg\"";
        let head = format!("<title>{title}</title>\n<style>\n{style}</style>\n");
        format!("<svg {name} {size}>\n{head}{}</svg>\n", self.elements)
    }

    fn shape(&mut self, shape: impl Display, class: &str, more: &str, title: &str) -> &mut Drawing {
        let class = match class {
            "" => String::new(),
            class => format!(" class=\"{class}\""),
        };
        let written = match title {
            "" => writeln!(self.elements, "<{shape}{class}{more}/>"),
            title => {
                let (name, title) = (shape.to_string(), escaped(title));
                let name = name.split(' ').next().unwrap_or_default().to_owned();
                writeln!(self.elements, "<{shape}{class}{more}><title>{title}</title></{name}>")
            }
        };
        written.expect("a string takes any text");
        self
    }
}

/// Text as XML and HTML have it, between tags and in quotes. What XML 1.0 cannot hold at all becomes
/// U+FFFD.
pub fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            '\t' | '\n' | '\r' => safe.push(c),
            '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => safe.push('\u{fffd}'),
            c => safe.push(c),
        }
    }
    safe
}

/// A length with two digits after the point at most, and none that say nothing.
pub fn number(x: f64) -> String {
    let written = format!("{x:.2}");
    let written = written.trim_end_matches('0').trim_end_matches('.');
    if written == "-0" { "0".to_owned() } else { written.to_owned() }
}

fn box_of(area: [f64; 4]) -> String {
    let [x, y, w, h] = area.map(number);
    format!("x=\"{x}\" y=\"{y}\" width=\"{w}\" height=\"{h}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_leaves_its_element() {
        let hostile = "</text><script>alert('&\"')</script>\0\u{1b}";
        let safe = escaped(hostile);
        assert!(!safe.contains(['<', '>', '"', '\'', '\0', '\u{1b}']), "{safe}");
        assert_eq!(escaped("a & b"), "a &amp; b");
        let mut drawing = Drawing::default();
        drawing.text([0.0, 0.0], "x", hostile).rect([0.0; 4], "y", hostile);
        assert_eq!(drawing.file([1.0, 1.0], hostile, "").matches("script").count(), 6);
        assert!(!drawing.file([1.0, 1.0], hostile, "").contains("<script"));
    }

    #[test]
    fn numbers_are_short() {
        for (x, written) in [
            (1.0, "1"),
            (0.25, "0.25"),
            (1.005, "1"),
            (10.10, "10.1"),
            (-0.001, "0"),
            (100.0, "100"),
        ] {
            assert_eq!(number(x), written);
        }
    }

    #[test]
    fn a_shape_with_a_title_is_closed_by_its_name() {
        let mut drawing = Drawing::default();
        drawing.rect([0.0, 1.0, 2.0, 3.0], "a", "b").line([0.0; 2], [1.0; 2], "c");
        assert_eq!(
            drawing.elements,
            "<rect x=\"0\" y=\"1\" width=\"2\" height=\"3\" class=\"a\"><title>b</title></rect>\n\
             <line x1=\"0\" y1=\"0\" x2=\"1\" y2=\"1\" class=\"c\"/>\n"
        );
    }
}
