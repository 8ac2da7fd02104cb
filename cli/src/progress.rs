//! How far long work has come, in one line on standard error that leaves no trace.

use std::env;
use std::time::{Duration, Instant};

use indicatif::{HumanDuration, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::locale::translate;

/// Work that is done sooner shows nothing.
const DELAY: Duration = Duration::from_secs(1);

/// How often speed and time left are told anew.
const PERIOD: Duration = Duration::from_millis(100);

/// With a known end, and without. Bars of a fixed width: a line that holds Chinese is wider
/// than its number of characters, which is what a bar would fit itself to.
const BAR: &str = "{bar:24} {bytes}/{total_bytes} {msg}";
const SPINNER: &str = "{spinner} {bytes} {msg}";

/// A line of progress, drawn when work advances; it goes away with this value.
pub struct Progress {
    bar: ProgressBar,
    /// Where to draw, while nothing has been drawn.
    pending: Option<ProgressDrawTarget>,
    started: Instant,
    /// How long after the start the line is due.
    due: Duration,
    sentences: u64,
}

impl Progress {
    /// Work on `total_bytes`, if anybody knows how many there are. `shown` is whether it may
    /// be seen at all: whether standard error is a terminal that nothing else is written to.
    pub fn new(total_bytes: Option<u64>, shown: bool) -> Progress {
        let able = shown && env::var_os("TERM").is_none_or(|term| term != "dumb");
        Progress::on(able.then(ProgressDrawTarget::stderr), total_bytes, DELAY)
    }

    fn on(target: Option<ProgressDrawTarget>, total: Option<u64>, delay: Duration) -> Progress {
        let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::hidden());
        let template = if total.is_some() { BAR } else { SPINNER };
        bar.set_style(ProgressStyle::with_template(template).expect("the template is sound"));
        Progress { bar, pending: target, started: Instant::now(), due: delay, sentences: 0 }
    }

    /// So much more is done.
    pub fn advance(&mut self, bytes: u64, sentences: u64) {
        self.sentences += sentences;
        self.bar.inc(bytes);
        let elapsed = self.started.elapsed();
        if elapsed < self.due {
            return;
        }
        self.due = elapsed + PERIOD;
        if let Some(target) = self.pending.take() {
            self.bar.set_draw_target(target);
        }
        if !self.bar.is_hidden() {
            self.bar.set_message(self.speed(elapsed));
        }
    }

    /// Does what writes to the terminal while the line is out of its way.
    pub fn suspend<T>(&self, write: impl FnOnce() -> T) -> T {
        self.bar.suspend(write)
    }

    /// Over all that was done: text differs less from one hour to the next than from one
    /// batch to the next.
    fn speed(&self, elapsed: Duration) -> String {
        if self.sentences == 0 {
            return String::new(); // work that is not on sentences
        }
        let rate = self.sentences as f64 / elapsed.as_secs_f64().max(1e-3);
        let done = self.bar.position();
        let speed = match self.bar.length() {
            Some(total) if done > 0 => {
                let left = elapsed.mul_f64(total.saturating_sub(done) as f64 / done as f64);
                format!("{rate:.0} sentences/s, {:#} left", HumanDuration(left))
            }
            _ => format!("{rate:.0} sentences/s"),
        };
        translate(&speed).into_owned()
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// Sentences of a text, by the marks that end one for the corrector: runs of such marks, and what comes after the last of them
/// if there is a letter, a digit or an ideograph in it.
pub fn sentences(text: &str) -> u64 {
    let (mut count, mut open) = (0, false);
    for c in text.chars() {
        match c {
            '。' | '！' | '？' | '；' | '…' | '．' | '｡' | '!' | '?' | ';' | '\n' => {
                count += u64::from(open);
                open = false;
            }
            _ => open |= c.is_alphanumeric(),
        }
    }
    count + u64::from(open)
}

#[cfg(test)]
mod tests {
    use super::*;
    use indicatif::TermLike;
    use std::io;
    use std::sync::{Arc, Mutex};

    /// Remembers what stands in its one line, and everything that ever stood there.
    #[derive(Clone, Debug, Default)]
    struct Line(Arc<Mutex<(String, Vec<String>)>>);

    impl Line {
        fn now(&self) -> String {
            self.0.lock().unwrap().0.trim().to_owned()
        }

        fn ever(&self) -> Vec<String> {
            self.0.lock().unwrap().1.clone()
        }
    }

    impl TermLike for Line {
        fn width(&self) -> u16 {
            80
        }
        fn move_cursor_up(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_down(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_right(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_left(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn write_line(&self, text: &str) -> io::Result<()> {
            self.write_str(text)
        }
        fn write_str(&self, text: &str) -> io::Result<()> {
            let (now, ever) = &mut *self.0.lock().unwrap();
            now.push_str(text);
            ever.push(now.clone());
            Ok(())
        }
        fn clear_line(&self) -> io::Result<()> {
            self.0.lock().unwrap().0.clear();
            Ok(())
        }
        fn flush(&self) -> io::Result<()> {
            Ok(())
        }
    }

    fn progress(line: &Line, total: Option<u64>, delay: Duration) -> Progress {
        let target = ProgressDrawTarget::term_like(Box::new(line.clone()));
        Progress::on(Some(target), total, delay)
    }

    #[test]
    fn a_bar_tells_bytes_speed_and_time_left_and_goes_away() {
        let line = Line::default();
        let mut progress = progress(&line, Some(4096), Duration::ZERO);
        progress.advance(1024, 7);
        let shown = line.now();
        assert!(shown.contains("1.00 KiB/4.00 KiB"), "{shown}");
        assert!(shown.contains("██████░░░░"), "{shown}");
        assert!(shown.ends_with(" left") || shown.contains("剩余"), "{shown}");
        assert_eq!(progress.suspend(|| line.now()), "");
        assert!(line.now().contains("KiB"));
        drop(progress);
        assert_eq!(line.now(), "");
    }

    #[test]
    fn without_a_total_there_is_a_spinner_with_bytes_and_speed() {
        let line = Line::default();
        let mut progress = progress(&line, None, Duration::ZERO);
        progress.advance(2 << 20, 7);
        let shown = line.now();
        assert!(shown.contains(" 2.00 MiB "), "{shown}");
        assert!(!shown.contains('/') || shown.ends_with("sentences/s"), "{shown}");
    }

    #[test]
    fn work_that_is_not_on_sentences_shows_bytes_alone() {
        let line = Line::default();
        let mut progress = progress(&line, None, Duration::ZERO);
        progress.advance(2 << 20, 0);
        assert!(line.now().ends_with("2.00 MiB"), "{}", line.now());
    }

    #[test]
    fn short_work_and_work_that_is_not_to_be_seen_show_nothing() {
        let line = Line::default();
        let mut short = progress(&line, Some(10), Duration::from_secs(3600));
        let mut unseen = Progress::new(Some(10), false);
        for progress in [&mut short, &mut unseen] {
            progress.advance(10, 1);
            assert_eq!(progress.suspend(|| 5), 5);
            assert!(progress.bar.is_hidden());
        }
        drop((short, unseen));
        assert_eq!(line.ever(), Vec::<String>::new());
    }

    #[test]
    fn sentences_end_with_runs_of_marks() {
        for (text, count) in [
            ("", 0),
            (" \t\r\n", 0),
            ("——，、", 0),
            ("。。。", 0),
            ("好", 1),
            ("好。", 1),
            ("好。”", 1),
            ("真的？！好……对", 3),
            ("一；二：三，四", 2),
            ("好。ok! 3.14", 3),
        ] {
            assert_eq!(sentences(text), count, "{text:?}");
        }
    }
}
