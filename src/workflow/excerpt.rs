//! A place in the author's file, shown with a caret under it.

use std::ops::Range;

/// Columns of source that are shown; longer lines are cut.
const WIDTH: usize = 110;
/// What a tab is shown as, so that the caret stands where it should.
const TAB: &str = "    ";

/// The lines around `line` (from 1), with `columns` of the line itself underlined (in characters, from 0), or all of it from
/// its first word to its end. Empty when the file has no such line.
#[must_use]
pub fn excerpt(file: &str, source: &str, line: u32, columns: Option<Range<usize>>) -> String {
    let lines: Vec<&str> = source.lines().collect();
    let Some(at) = (line as usize).checked_sub(1).filter(|at| *at < lines.len()) else { return String::new() };
    let (first, last) = (at.saturating_sub(1), (at + 1).min(lines.len() - 1));
    let gutter = (last + 1).to_string().len();
    let column = columns.as_ref().map_or_else(String::new, |columns| format!(":{}", columns.start + 1));
    let mut shown = format!("{:gutter$}--> {file}:{line}{column}\n", "");
    for (index, text) in lines.iter().enumerate().take(last + 1).skip(first) {
        let (mark, text) = (columns.as_ref().map(|columns| widened(text, columns)), text.replace('\t', TAB));
        let text: String = text.chars().take(WIDTH).collect();
        let text = text.trim_end();
        shown.push_str(format!("{:>gutter$} | {text}", index + 1).trim_end());
        shown.push('\n');
        if index == at {
            let width = text.chars().count();
            let whole = text.chars().take_while(|c| c.is_whitespace()).count()..width;
            // What is cut off cannot be marked.
            let mark = mark.filter(|mark| mark.start < width).unwrap_or(whole);
            let (indent, width) = (mark.start, mark.end.min(width).saturating_sub(mark.start).max(1));
            shown.push_str(&format!("{:gutter$} | {:indent$}{}\n", "", "", "^".repeat(width)));
        }
    }
    shown
}

/// The columns as they are when tabs are wide.
fn widened(text: &str, columns: &Range<usize>) -> Range<usize> {
    let wide = |end: usize| text.chars().take(end).map(|c| if c == '\t' { TAB.len() } else { 1 }).sum();
    wide(columns.start)..wide(columns.end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_line_is_underlined_between_its_neighbours() {
        let source = "one\ntwo\n  throw new Error(\"x\");\nfour\nfive";
        assert_eq!(
            excerpt("workflow.ts", source, 3, None),
            " --> workflow.ts:3\n2 | two\n3 |   throw new Error(\"x\");\n  |   ^^^^^^^^^^^^^^^^^^^^^\n4 | four\n"
        );
        assert_eq!(excerpt("a.ts", "\tx", 1, None), " --> a.ts:1\n1 |     x\n  |     ^\n");
        assert_eq!(excerpt("a.ts", "x", 2, None), "", "no such line");
        assert_eq!(excerpt("a.ts", "x", 0, None), "");
    }

    #[test]
    fn a_part_of_the_line_is_underlined_where_it_is_known() {
        assert_eq!(excerpt("a.ts", "\tx yy", 1, Some(3..5)), " --> a.ts:1:4\n1 |     x yy\n  |       ^^\n");
        let long = format!("{}y", "x".repeat(300));
        let shown = excerpt("a.ts", &long, 1, Some(300..301));
        assert!(shown.lines().all(|line| line.chars().count() < 120) && shown.contains("^^"), "{shown}");
    }

    proptest! {
        #[test]
        fn any_source_and_line(source: String, line: u32, from in 0usize..50, width in 0usize..50) {
            let _shown = excerpt("a.ts", &source, line, None);
            let _shown = excerpt("a.ts", &source, line % 8, Some(from..from + width));
        }
    }
}
