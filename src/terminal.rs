//! How the tools for people look in a terminal. `anstream` leaves the colours out where nobody sees them: in files, pipes,
//! and with `NO_COLOR`.

use anstyle::{AnsiColor, Style};

/// What one looks for.
pub const BOLD: Style = Style::new().bold();
/// What stands by.
pub const DIM: Style = Style::new().dimmed();
/// What is as it should be.
pub const GOOD: Style = AnsiColor::Green.on_default().bold();
/// What needs a look.
pub const WARNING: Style = AnsiColor::Yellow.on_default().bold();
/// What is wrong.
pub const BAD: Style = AnsiColor::Red.on_default().bold();

/// The columns that a text takes: a style's escape sequence takes none.
fn columns(text: &str) -> usize {
    let mut escaped = false;
    let visible = text.chars().filter(|c| {
        let within = escaped || *c == '\u{1b}';
        escaped = within && *c != 'm';
        !within
    });
    visible.count()
}

/// Breaks a text into lines of at most `width` columns, at spaces; a longer word stays whole.
#[must_use]
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for paragraph in text.lines() {
        let mut line = String::new();
        for word in paragraph.split(' ') {
            if !line.is_empty() && columns(&line) + 1 + columns(word) > width {
                lines.push(std::mem::take(&mut line));
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        lines.push(line);
    }
    lines
}

/// The same, as one text whose further lines are indented by `indent` columns.
#[must_use]
pub fn hanging(text: &str, indent: usize) -> String {
    // 100 columns in all: what is easy to read, and what most terminals have.
    wrap(text, 100_usize.saturating_sub(indent).max(20)).join(&format!("\n{:indent$}", ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_broken_at_spaces() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("unbreakable x", 4), ["unbreakable", "x"]);
        assert_eq!(wrap("a\nb", 9), ["a", "b"]);
        assert_eq!(wrap("", 9), [""; 0]);
        let styled = format!("{BAD}one{BAD:#} {DIM}two{DIM:#} three");
        assert_eq!(wrap(&styled, 7), [format!("{BAD}one{BAD:#} {DIM}two{DIM:#}"), "three".to_owned()]);
        assert_eq!(hanging(&"word ".repeat(30), 10).lines().count(), 2);
    }
}
