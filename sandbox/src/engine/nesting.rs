//! How deep a source nests, told without parsing it: parser, transformer and printer recurse as deep as the source does, and
//! a child that runs out of stack tells nobody why.
//!
//! Syntax nests in brackets, which are counted, and without any: `!!!x`, `a=>b=>c`, `if(1)if(1)`, `a.b.c`. Whatever it is,
//! each such level takes a token, and none reaches past a comma or semicolon. So the tokens between two of those bound it,
//! with no list of what nests. Honest sources stay far below either bound, also those without semicolons.
//!
//! It is a text's measure, the same on every machine. It need not be exact: what deceives it (a regular expression taken
//! for a division, say) crashes the child, as everything did before.

/// Tokens in a row that count as much as one bracket.
const TOKENS_PER_BRACKET: u32 = 8;

/// What can only begin a statement; ends a row of tokens in sources without semicolons.
const STATEMENTS: [&str; 8] = ["const", "let", "var", "return", "throw", "export", "break", "continue"];

/// After these a slash begins a regular expression.
const BEFORE_REGEX: [&str; 14] = [
    "return",
    "typeof",
    "case",
    "in",
    "of",
    "delete",
    "void",
    "instanceof",
    "new",
    "do",
    "else",
    "yield",
    "await",
    "throw",
];

/// Whether more than `brackets` brackets are open at once, or so many tokens in a row that it comes to the same.
pub(super) fn exceeds(source: &str, brackets: u32) -> bool {
    let mut scan =
        Scan { source, at: 0, levels: Vec::new(), level: Level::default(), outside: 0, before: Before::Operator };
    while let Some(token) = scan.next() {
        scan.count(token);
        if scan.levels.len() > brackets as usize || scan.depth() > brackets.saturating_mul(TOKENS_PER_BRACKET) {
            return true;
        }
    }
    false
}

enum Token<'s> {
    Word(&'s str),
    /// A string, a whole template without operands, a regular expression.
    Literal,
    Sign(char),
    /// The text before an operand of a template.
    TemplateOpens,
}

/// The token before: tells a regular expression from a division.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Before<'s> {
    Operator,
    Word(&'s str),
    /// A literal, or what brackets enclose.
    Operand,
    /// A block or a head, as far as one can tell.
    Block,
}

/// Between two brackets.
#[derive(Clone, Copy, Default)]
struct Level {
    /// Tokens since the last separator.
    row: u32,
    /// The longest earlier row of this statement, and of all: a row may nest in what its statement began with, and counts
    /// besides it.
    widest: u32,
    longest: u32,
    /// The statement that an `else` continues beyond its semicolon, and the last one, which the next `else` may continue.
    continued: u32,
    ended: u32,
    /// `<` without `>`. A comma between type arguments separates nothing.
    angles: u32,
    template: bool,
    /// The head of an `if` or a loop: no operand, so a slash after it begins a regular expression.
    head: bool,
}

impl Level {
    fn depth(&self) -> u32 {
        self.continued + self.longest + self.row
    }

    fn separate(&mut self) {
        self.widest = self.widest.max(std::mem::take(&mut self.row));
        self.longest = self.longest.max(self.widest);
    }

    fn end_statement(&mut self) {
        self.separate();
        self.ended = std::mem::take(&mut self.continued) + std::mem::take(&mut self.widest);
        self.angles = 0;
    }
}

struct Scan<'s> {
    source: &'s str,
    at: usize,
    /// Levels outside the current one, and the sum of their depths.
    levels: Vec<Level>,
    outside: u32,
    level: Level,
    before: Before<'s>,
}

impl<'s> Scan<'s> {
    fn depth(&self) -> u32 {
        self.outside + self.level.depth()
    }

    fn rest(&self) -> &'s str {
        self.source.get(self.at..).unwrap_or_default()
    }

    fn count(&mut self, token: Token<'s>) {
        match token {
            Token::Word(word) => {
                let begins = self.before != Before::Operator && self.before != Before::Word("as");
                if begins && STATEMENTS.contains(&word) {
                    self.level.separate();
                } else if word == "else" {
                    self.level.continued += std::mem::take(&mut self.level.ended);
                }
                self.level.row += 1;
                self.before = Before::Word(word);
            }
            Token::Literal => {
                self.level.row += 1;
                self.before = Before::Operand;
            }
            Token::TemplateOpens => self.open(Level { template: true, ..Level::default() }),
            Token::Sign(sign) => self.sign(sign),
        }
    }

    fn sign(&mut self, sign: char) {
        let level = &mut self.level;
        match sign {
            '(' | '[' | '{' => {
                let head = matches!(self.before, Before::Word("if" | "while" | "for" | "with"));
                return self.open(Level { head: head && sign == '(', ..Level::default() });
            }
            ')' | ']' | '}' => {
                let block = sign == '}' || level.head;
                self.close();
                self.before = if block { Before::Block } else { Before::Operand };
                return;
            }
            ';' => level.end_statement(),
            ',' if level.angles == 0 => level.separate(),
            '<' => level.angles += 1,
            '>' => level.angles = level.angles.saturating_sub(1),
            _ => {}
        }
        level.row += 1;
        self.before = Before::Operator;
    }

    fn open(&mut self, level: Level) {
        self.outside += self.level.depth();
        self.levels.push(std::mem::replace(&mut self.level, level));
        self.before = Before::Operator;
    }
    fn close(&mut self) {
        self.level = self.levels.pop().unwrap_or_default();
        self.outside = self.outside.saturating_sub(self.level.depth());
        self.level.row += 1;
    }

    fn next(&mut self) -> Option<Token<'s>> {
        loop {
            let rest = self.rest();
            let first = rest.chars().next()?;
            if first == '/' && rest.starts_with("//") {
                self.at += rest.find(['\n', '\r', '\u{2028}', '\u{2029}']).unwrap_or(rest.len());
            } else if first == '/' && rest.starts_with("/*") {
                self.at += rest.get(2..).and_then(|text| text.find("*/")).map_or(rest.len(), |end| end + 4);
            } else if first.is_whitespace() {
                let blank = rest.bytes().position(|byte| !byte.is_ascii_whitespace());
                self.at += blank.unwrap_or(rest.len()).max(first.len_utf8());
            } else {
                return Some(self.token(first, rest));
            }
        }
    }

    fn token(&mut self, first: char, rest: &'s str) -> Token<'s> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$';
        let ascii = rest.bytes().position(|byte| !plain(byte)).unwrap_or(rest.len());
        let word = match rest.as_bytes().get(ascii) {
            Some(byte) if !byte.is_ascii() => {
                rest.find(|c: char| !c.is_alphanumeric() && c != '_' && c != '$').unwrap_or(rest.len())
            }
            _ => ascii,
        };
        if word > 0 {
            self.at += word;
            return Token::Word(rest.get(..word).unwrap_or_default());
        }
        let regex = match self.before {
            Before::Operator | Before::Block => true,
            Before::Word(word) => BEFORE_REGEX.contains(&word),
            Before::Operand => false,
        };
        let length = match first {
            '"' | '\'' => Some(string(rest)),
            '/' if regex => regular_expression(rest),
            _ => None,
        };
        if let Some(length) = length {
            self.at += length;
            return Token::Literal;
        }
        if first == '`' || (first == '}' && self.level.template) {
            if first == '}' {
                self.close();
            }
            return self.template(rest);
        }
        self.at += match first {
            // The arrow's head closes no type arguments.
            '=' if rest.starts_with("=>") => 2,
            // Of these every single one may nest.
            '!' | '~' | '<' | '>' | '(' | ')' | '[' | ']' | '{' | '}' => 1,
            _ => rest.find(|c| c != first).unwrap_or(rest.len()),
        };
        Token::Sign(first)
    }

    /// A template's text, from its beginning or from the end of an operand.
    fn template(&mut self, rest: &'s str) -> Token<'s> {
        let mut escaped = false;
        for (at, c) in rest.char_indices().skip(1) {
            match c {
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                '`' => {
                    self.at += at + 1;
                    return Token::Literal;
                }
                '$' if rest.get(at + 1..).is_some_and(|rest| rest.starts_with('{')) => {
                    self.at += at + 2;
                    return Token::TemplateOpens;
                }
                _ => {}
            }
        }
        self.at += rest.len();
        Token::Literal
    }
}

/// The length of the string that `rest` begins with; one that does not end, ends with its line.
fn string(rest: &str) -> usize {
    let quote = rest.chars().next();
    let mut before = ' ';
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if before == '\\' => {
                // An escaped line break may be two characters.
                before =
                    if c == '\r' && rest.get(at + 1..).is_some_and(|rest| rest.starts_with('\n')) { '\\' } else { ' ' };
                continue;
            }
            '\n' | '\r' => return at,
            _ if Some(c) == quote => return at + 1,
            _ => before = c,
        }
    }
    rest.len()
}

/// The length of the regular expression that `rest` begins with, if it ends on its line.
fn regular_expression(rest: &str) -> Option<usize> {
    let (mut class, mut escaped) = (false, false);
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            '\n' | '\r' | '\u{2028}' | '\u{2029}' => return None,
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '[' => class = true,
            ']' => class = false,
            '/' if !class => return Some(at + 1),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_nest_is_seen() {
        // What repeats before, the middle, what repeats after.
        let ways = [
            ("(", "1", ")"),
            ("[", "1", "]"),
            ("{", "", "}"),
            ("x=>", "1", ""),
            ("async x=>", "1", ""),
            ("<T,>(x)=>", "1", ""),
            ("x=>({a:", "1", "})"),
            ("if(1)", "1", ""),
            ("if(1)\n", "1", ""),
            ("for(;;)", "1", ""),
            ("while(1)", "1", ""),
            ("do ", ";", "while(1)"),
            ("a:", "1", ""),
            ("a=", "1", ""),
            ("!", "1", ""),
            ("!\n", "1", ""),
            ("- ", "1", ""),
            ("-~", "1", ""),
            ("void ", "1", ""),
            ("void\u{a0}", "1", ""),
            ("new ", "a", ""),
            ("1+", "1", ""),
            ("1**", "1", ""),
            ("a??", "1", ""),
            ("a?b:", "1", ""),
            ("a?", "1", ":b"),
            ("", "a", ".b"),
            ("", "a", ".const"),
            ("", "a", "?.b"),
            ("", "a", "[0]"),
            ("", "a", "()"),
            ("", "a", "``"),
            ("", "a", "!"),
            ("", "a", " as x"),
            ("", "a", " as const"),
            ("`${", "1", "}`"),
            ("`)${", "1", "}`"),
            ("(')',", "1", ")"),
            ("(/*)*/", "1", ")"),
            ("(/)/,", "1", ")"),
            ("if(1)1;else ", "1", ""),
            ("if(1)1,1;else ", "1", ""),
            ("if(1){}else ", "1", ""),
            ("if(1)for(;;)1;else ", "1", ""),
            ("<a>", "b", ""),
            ("<const>", "b", ""),
            ("let x:A<", "b", ">"),
            ("type X=A<b,", "c", ">"),
            ("A<b,A<()=>b,", "c", ">>"),
            ("", "let x:a", "[]"),
            ("class A extends ", "B", "{}"),
            ("class A{a=", "1", "}"),
            ("if(1)if(1)if(1)a,x=>{", "", "}"),
        ];
        for (before, middle, after) in ways {
            let source = |depth| format!("{}{middle}{}", before.repeat(depth), after.repeat(depth));
            assert!(exceeds(&source(2_100), 256), "{before} {middle} {after}");
            assert!(!exceeds(&source(20), 256), "{before} {middle} {after}");
        }
    }

    #[test]
    fn long_is_not_deep() {
        let lines = [
            "const total: bigint = values.reduce((sum, value) => sum + value, 0n);\n",
            "const total = await ctx.chain(31337).getBalance(ctx.account)\n",
            "if (a < b) { return [] } else if (c > d) return x\n",
            "if (a < b) x = 1; else y = 2;\n",
            "case 'it\\'s': return /['\"`({[]/.test(name) ? a / b : c;\n",
            "// don't (((\n",
            "/* \" ' ` ((( ------------------------------- */ const x = `it's ((( ${a + `${b}`} )`\n",
            "import { a, b } from \"viem\";\n",
            "export function f(a: Map<string, Array<bigint>>): void { for (const x of a) g(x); }\n",
        ];
        for line in lines {
            assert!(!exceeds(&line.repeat(3_000), 16), "{line}");
        }
        let table = format!("const table = {{ {} }};", "key: [1, 'a b', \"0xab\", -1n, a.b.c(d)],".repeat(5_000));
        assert!(!exceeds(&table, 16));
    }
}
