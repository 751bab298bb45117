//! A place in the author's file, shown with a caret under it.

/// Columns of source that are shown; longer lines are cut.
const WIDTH: usize = 110;

/// The lines around `line` (from 1), with the line itself underlined from its first word to its end. Empty when the file
/// has no such line.
#[must_use]
pub fn excerpt(file: &str, source: &str, line: u32) -> String {
    let lines: Vec<&str> = source.lines().collect();
    let Some(at) = (line as usize).checked_sub(1).filter(|at| *at < lines.len()) else { return String::new() };
    let (first, last) = (at.saturating_sub(1), (at + 1).min(lines.len() - 1));
    let gutter = (last + 1).to_string().len();
    let mut shown = format!("{:gutter$}--> {file}:{line}\n", "");
    for (index, text) in lines.iter().enumerate().take(last + 1).skip(first) {
        // A tab is as wide as four spaces here, so that the caret stands where it should.
        let text: String = text.replace('\t', "    ").chars().take(WIDTH).collect();
        let text = text.trim_end();
        shown.push_str(format!("{:>gutter$} | {text}", index + 1).trim_end());
        shown.push('\n');
        if index == at {
            let indent = text.chars().take_while(|c| c.is_whitespace()).count();
            let width = text.chars().count().saturating_sub(indent).max(1);
            shown.push_str(&format!("{:gutter$} | {:indent$}{}\n", "", "", "^".repeat(width)));
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_line_is_underlined_between_its_neighbours() {
        let source = "one\ntwo\n  throw new Error(\"x\");\nfour\nfive";
        assert_eq!(
            excerpt("workflow.ts", source, 3),
            " --> workflow.ts:3\n2 | two\n3 |   throw new Error(\"x\");\n  |   ^^^^^^^^^^^^^^^^^^^^^\n4 | four\n"
        );
        assert_eq!(excerpt("a.ts", "\tx", 1), " --> a.ts:1\n1 |     x\n  |     ^\n");
        assert_eq!(excerpt("a.ts", "x", 2), "", "no such line");
        assert_eq!(excerpt("a.ts", "x", 0), "");
    }

    proptest! {
        #[test]
        fn any_source_and_line(source: String, line: u32) {
            let _shown = excerpt("a.ts", &source, line);
            let _shown = excerpt("a.ts", &source, line % 8);
        }
    }
}
