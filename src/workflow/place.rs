//! Which part of a line an ending is about. The sandbox tells lines; what it says of them mostly names a word of the line.

use std::ops::Range;

use ditto_sandbox::Outcome;

/// The columns of the author's line that the ending is about, in characters from 0; `None` where that is the whole line.
#[must_use]
pub fn columns(outcome: &Outcome, line: &str) -> Option<Range<usize>> {
    let found = match outcome {
        // What it quotes is a token, not a name; a text that could not be read is not in the code.
        Outcome::Threw { message, .. } if message.starts_with("SyntaxError") => {
            let reader = ["BigInt", "JSON"].into_iter().find(|reader| message.contains(reader));
            reader.and_then(|reader| whole_word(line, reader))
        }
        Outcome::Threw { message, .. } => {
            let property = property(message).and_then(|name| whole_word(line, &format!(".{name}")));
            // The name without its point.
            let property = property.map(|found| found.start + 1..found.end);
            property.or_else(|| named(message).find_map(|word| whole_word(line, word))).or_else(|| throws(line))
        }
        Outcome::ForbiddenImport { specifier } => quoted(line, specifier),
        Outcome::UnsupportedChain { id } => whole_word(line, &id.to_string()),
        Outcome::BadOutput { .. } => whole_word(line, "return").map(|word| word.start..end(line)),
        _ => None,
    }?;
    let before = |bytes: usize| line.get(..bytes).map(|text| text.chars().count());
    Some(before(found.start)?..before(found.end)?)
}

/// The property that was asked of nothing: `Cannot read properties of undefined (reading 'price')`.
fn property(message: &str) -> Option<&str> {
    let (_, name) = message.lines().next()?.split_once("(reading '").or(message.split_once(" property '"))?;
    name.split('\'').next().filter(|name| !name.is_empty())
}

/// What a message names that may stand in the code: what it says is not defined or no function, and what it quotes, the last
/// one first.
fn named(message: &str) -> impl Iterator<Item = &str> {
    let first = message.lines().next().unwrap_or_default();
    // What to use instead comes behind a name and a colon, and is not in the code.
    let first = first.split_once("\": ").map_or(first, |(said, _)| said);
    let said = first.strip_suffix(" is not defined").or(first.strip_suffix(" is not a function"));
    let undefined = said.and_then(|said| said.rsplit(' ').next());
    let quoted = |quote: char| {
        let mut parts: Vec<&str> = first.split(quote).skip(1).step_by(2).collect();
        parts.reverse();
        parts
    };
    let parts = undefined.into_iter().chain(quoted('"')).chain(quoted('\''));
    parts.map(|part| part.trim_matches(['\'', '"'])).filter(|part| !part.is_empty())
}

/// Where a word stands by itself.
fn whole_word(line: &str, word: &str) -> Option<Range<usize>> {
    let part = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
    let mut from = 0;
    while let Some(at) = line.get(from..)?.find(word).map(|at| from + at) {
        let after = at + word.len();
        // What does not begin or end like a word has no neighbours to be told from.
        let before = word.starts_with(part) && line[..at].ends_with(part);
        let behind = word.ends_with(part) && line[after..].starts_with(part);
        if !before && !behind {
            return Some(at..after);
        }
        from = after;
    }
    None
}

/// A text with the quotes around it.
fn quoted(line: &str, text: &str) -> Option<Range<usize>> {
    let at = line.find(text)?;
    let after = at + text.len();
    let quotes = line[..at].ends_with(['"', '\'', '`']) && line[after..].starts_with(['"', '\'', '`']);
    Some(if quotes { at - 1..after + 1 } else { at..after })
}

/// The statement that throws.
fn throws(line: &str) -> Option<Range<usize>> {
    whole_word(line, "throw").map(|word| word.start..end(line))
}

/// Where the line's code ends: before what closes the blocks that it stands in.
fn end(line: &str) -> usize {
    let code = line.trim_end();
    let closes = |c| matches!(c, ';' | '}' | ')' | ' ' | ',');
    code.match_indices(';').find(|(at, _)| code[*at..].chars().all(closes)).map_or(code.len(), |(at, _)| at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn marked(outcome: &Outcome, line: &str) -> String {
        let columns = columns(outcome, line).unwrap_or(0..0);
        line.chars().skip(columns.start).take(columns.len()).collect()
    }

    fn threw(message: &str) -> Outcome {
        Outcome::Threw { message: message.into(), line: Some(1) }
    }

    #[test]
    fn the_word_that_is_meant_is_found() {
        for (message, line, word) in [
            ("ReferenceError: fetch is not defined", "  const prefetch = await fetch(url);", "fetch"),
            ("ReferenceError: 'fetch' is not defined", "  const prefetch = await fetch(url);", "fetch"),
            (
                "TypeError: Cannot read properties of undefined (reading 'price')",
                "  const price = feed.prices + feed.price;",
                "price",
            ),
            ("TypeError: x.foo is not a function", "const y = xx.foo() + x.foo();", "x.foo"),
            (
                "\"viem\" has no export named \"encodeFunctionDate\": did you mean \"encodeFunctionData\"?",
                "import { parseAbi, encodeFunctionDate } from \"viem\";",
                "encodeFunctionDate",
            ),
            ("SyntaxError: invalid BigInt literal", "const x = BigInt(ctx.args.x);", "BigInt"),
            ("SyntaxError: unexpected token: 'x'", "const x = JSON.parse(ctx.args.x);", ""),
            ("oh no", "  if (x) { throw new Error(\"oh no\"); }", "throw new Error(\"oh no\");"),
            ("RangeError: is too large", "  const x = 2n ** 500n;", ""),
        ] {
            assert_eq!(marked(&threw(message), line), word, "{message}");
        }
        let read = threw("TypeError: Cannot read properties of undefined (reading 'price')");
        assert_eq!(columns(&read, "const price = feed.prices + a.price"), Some(30..35));
        let import = Outcome::ForbiddenImport { specifier: "./a.ts".into() };
        assert_eq!(marked(&import, "import { ä } from \"./a.ts\";"), "\"./a.ts\"");
        assert_eq!(marked(&Outcome::UnsupportedChain { id: 10 }, "ctx.chain(1010); ctx.chain(10);"), "10");
        let output = Outcome::BadOutput { message: "calls[0].to: 5 is not an address".into() };
        assert_eq!(marked(&output, "  run() { return [{ to: 5 }]; } };"), "return [{ to: 5 }];");
        assert_eq!(marked(&Outcome::TimedOut, "for (;;);"), "");
    }

    proptest! {
        #[test]
        fn what_is_marked_lies_in_the_line(message: String, line: String) {
            for outcome in [threw(&message), threw(&format!("{line} is not defined")), Outcome::ForbiddenImport { specifier: message.clone() }] {
                if let Some(columns) = columns(&outcome, &line) {
                    prop_assert!(columns.start <= columns.end && columns.end <= line.chars().count());
                }
            }
        }
    }
}
