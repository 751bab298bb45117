//! Human-readable ABI signatures to JSON ABI, as viem 2 (abitype) reads them: structs, named tuples, modifiers.
//!
//! The grammar is as rigid about spaces and keywords as theirs, so that an ABI that works here works there.

use std::collections::BTreeMap;

/// How deep tuples may nest in one parameter.
const MAX_DEPTH: usize = 32;
/// Parameters and components that one ABI may have once its structs are written out: structs of structs double.
const MAX_PARAMETERS: usize = 4_096;

const MODIFIERS: [&str; 4] = ["calldata", "indexed", "memory", "storage"];
const KEYWORDS: [&str; 54] = [
    "address",
    "bool",
    "tuple",
    "after",
    "alias",
    "anonymous",
    "apply",
    "auto",
    "byte",
    "calldata",
    "case",
    "catch",
    "constant",
    "copyof",
    "default",
    "defined",
    "error",
    "event",
    "external",
    "false",
    "final",
    "function",
    "immutable",
    "implements",
    "in",
    "indexed",
    "inline",
    "internal",
    "let",
    "mapping",
    "match",
    "memory",
    "mutable",
    "null",
    "of",
    "override",
    "partial",
    "private",
    "promise",
    "public",
    "pure",
    "reference",
    "relocatable",
    "return",
    "returns",
    "sizeof",
    "static",
    "storage",
    "struct",
    "super",
    "supports",
    "switch",
    "string",
    "this",
];
const MORE_KEYWORDS: [&str; 7] = ["true", "try", "typedef", "typeof", "var", "view", "virtual"];

type Parsed<T> = Result<T, String>;

/// One parameter, or one component of a tuple.
#[derive(Clone, Debug, Default)]
struct Parameter {
    ty: String,
    name: String,
    indexed: bool,
    components: Vec<Parameter>,
}

type Structs = BTreeMap<String, Vec<Parameter>>;

/// Where a parameter stands decides which modifiers it may have.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Function,
    Event,
    Struct,
    /// In `parseAbiParameters`.
    Anywhere,
    /// In a tuple, an error or a constructor.
    Bare,
}

/// Signatures to JSON ABI items, in their order; structs are written out where they are used.
pub(super) fn parse_abi(signatures: &[String]) -> Parsed<String> {
    let mut parser = Parser::new(signatures)?;
    let mut out = Vec::new();
    for signature in signatures.iter().filter(|text| struct_parts(text).is_none()) {
        out.push(parser.item(signature)?);
    }
    Ok(format!("[{}]", out.join(",")))
}

/// Lists of parameters to one JSON list of ABI parameters.
pub(super) fn parse_parameters(lists: &[String]) -> Parsed<String> {
    let mut parser = Parser::new(lists)?;
    let mut out = Vec::new();
    for list in lists.iter().filter(|text| struct_parts(text).is_none()) {
        out.extend(parser.list(list, Place::Anywhere)?);
    }
    if out.is_empty() {
        return Err("parseAbiParameters: no parameters".into());
    }
    Ok(list_json(&out))
}

struct Parser {
    structs: Structs,
    left: usize,
}

impl Parser {
    fn new(signatures: &[String]) -> Parsed<Parser> {
        let mut parser = Parser { structs: Structs::new(), left: MAX_PARAMETERS };
        let mut written = Structs::new();
        for text in signatures {
            let Some((name, properties)) = struct_parts(text) else { continue };
            let mut fields = Vec::new();
            for property in properties.split(';').map(str::trim).filter(|property| !property.is_empty()) {
                fields.push(parser.parameter(property, Place::Struct, 0)?);
            }
            if fields.is_empty() {
                return Err(format!("\"{text}\": a struct needs at least one field"));
            }
            written.insert(name.to_string(), fields);
        }
        let mut structs = Structs::new();
        for (name, fields) in &written {
            structs.insert(name.clone(), parser.resolve(fields, &written, &mut vec![])?);
        }
        parser.structs = structs;
        Ok(parser)
    }

    /// The fields of a struct with the structs among them written out.
    fn resolve<'w>(
        &mut self,
        fields: &[Parameter],
        written: &'w Structs,
        inside: &mut Vec<&'w str>,
    ) -> Parsed<Vec<Parameter>> {
        let mut out = Vec::with_capacity(fields.len());
        for field in fields {
            self.count()?;
            let (base, array) = split_array(&field.ty);
            if let Some((name, fields)) = written.get_key_value(base) {
                if inside.contains(&name.as_str()) {
                    return Err(format!("the struct \"{name}\" contains itself"));
                }
                inside.push(name);
                let components = self.resolve(fields, written, inside)?;
                inside.pop();
                out.push(Parameter { ty: format!("tuple{array}"), components, ..field.clone() });
            } else if solidity_type(base) {
                out.push(field.clone());
            } else {
                return Err(format!("unknown type \"{base}\" in a struct (inline tuples need a struct of their own)"));
            }
        }
        Ok(out)
    }

    fn count(&mut self) -> Parsed<()> {
        self.left = self.left.checked_sub(1).ok_or_else(|| format!("more than {MAX_PARAMETERS} parameters"))?;
        Ok(())
    }

    fn item(&mut self, text: &str) -> Parsed<String> {
        self.item_of(text).map_err(|reason| format!("\"{text}\": {reason}"))
    }

    fn item_of(&mut self, text: &str) -> Parsed<String> {
        if text.contains(['\n', '\r', '\u{2028}', '\u{2029}']) {
            return Err("a signature is one line".into());
        }
        if let Some(rest) = text.strip_prefix("function ") {
            let (name, inputs, tail) = head(rest)?;
            let (mutability, returns) = function_tail(tail)?;
            let inputs = self.list(inputs, Place::Function)?;
            let outputs = self.list(returns, Place::Function)?;
            return Ok(format!(
                r#"{{"name":"{name}","type":"function","stateMutability":"{mutability}","inputs":{},"outputs":{}}}"#,
                list_json(&inputs),
                list_json(&outputs)
            ));
        }
        for (kind, place) in [("event", Place::Event), ("error", Place::Bare)] {
            let Some(rest) = text.strip_prefix(kind).and_then(|rest| rest.strip_prefix(' ')) else { continue };
            let (name, inputs, tail) = head(rest)?;
            if !tail.is_empty() {
                return Err(format!("nothing may follow the parameters, found \"{tail}\""));
            }
            let inputs = self.list(inputs, place)?;
            return Ok(format!(r#"{{"name":"{name}","type":"{kind}","inputs":{}}}"#, list_json(&inputs)));
        }
        let payable = |tail: &str| match tail {
            "" => Ok("nonpayable"),
            " payable" => Ok("payable"),
            other => Err(format!("expected \"payable\" or nothing, found \"{other}\"")),
        };
        if let Some(rest) = text.strip_prefix("constructor") {
            let (inputs, tail) = parenthesised(rest)?;
            let mutability = payable(tail)?;
            let inputs = self.list(inputs, Place::Bare)?;
            return Ok(format!(
                r#"{{"type":"constructor","stateMutability":"{mutability}","inputs":{}}}"#,
                list_json(&inputs)
            ));
        }
        if let Some(tail) = text.strip_prefix("fallback() external") {
            return Ok(format!(r#"{{"type":"fallback","stateMutability":"{}"}}"#, payable(tail)?));
        }
        if text == "receive() external payable" {
            return Ok(r#"{"type":"receive","stateMutability":"payable"}"#.into());
        }
        Err("not a signature: it begins with function, event, error, struct, constructor, fallback or receive".into())
    }

    fn list(&mut self, text: &str, place: Place) -> Parsed<Vec<Parameter>> {
        self.list_at(text, place, 0)
    }

    fn list_at(&mut self, text: &str, place: Place, depth: usize) -> Parsed<Vec<Parameter>> {
        split(text)?.into_iter().map(|one| self.parameter(one, place, depth)).collect()
    }

    fn parameter(&mut self, text: &str, place: Place, depth: usize) -> Parsed<Parameter> {
        self.count()?;
        if depth > MAX_DEPTH {
            return Err(format!("tuples nest deeper than {MAX_DEPTH}"));
        }
        let wrong = || format!("\"{text}\" is not a parameter");
        let (base, rest, tuple) = if text.starts_with('(') {
            let (inner, rest) = parenthesised(text)?;
            if inner.is_empty() {
                return Err(wrong());
            }
            (inner, rest, true)
        } else {
            let length = identifier(text).ok_or_else(wrong)?;
            let (base, rest) = text.split_at(length);
            match rest.strip_prefix(" payable") {
                Some(after) if !after.starts_with(is_name) => match base {
                    "address" => (base, after, false),
                    _ => return Err(format!("unknown type \"{base} payable\"")),
                },
                _ => (base, rest, false),
            }
        };
        let (array, rest) = array_suffix(rest);
        let mut words = words(rest).ok_or_else(wrong)?;
        let modifier = words.first().copied().filter(|word| MODIFIERS.contains(word));
        if modifier.is_some() {
            words.remove(0);
        }
        let name = match words.as_slice() {
            [] => "",
            [name] if identifier(name) == Some(name.len()) => name,
            _ => return Err(wrong()),
        };
        if keyword(name) {
            return Err(format!("\"{text}\": \"{name}\" is a word of Solidity, not a name"));
        }
        let mut components = Vec::new();
        let ty = if tuple {
            components = self.list_at(base, Place::Bare, depth + 1)?;
            "tuple"
        } else if let Some(fields) = self.structs.get(base) {
            components = fields.clone();
            "tuple"
        } else {
            match base {
                "uint" => "uint256",
                "int" => "int256",
                _ if place == Place::Struct || solidity_type(base) => base,
                _ => return Err(format!("unknown type \"{base}\"")),
            }
        };
        for _ in 0..if tuple { 0 } else { size(&components) } {
            self.count()?;
        }
        if let Some(modifier) = modifier {
            let located = modifier != "indexed";
            let allowed = match place {
                Place::Function => located,
                Place::Event => !located,
                Place::Anywhere => true,
                Place::Struct | Place::Bare => false,
            };
            if !allowed {
                return Err(format!("\"{text}\": \"{modifier}\" is not allowed here"));
            }
            if located && array.is_empty() && !matches!(ty, "bytes" | "string" | "tuple") {
                return Err(format!("\"{text}\": \"{modifier}\" is for arrays, structs, bytes and strings"));
            }
        }
        Ok(Parameter {
            ty: format!("{ty}{array}"),
            name: name.to_string(),
            indexed: modifier == Some("indexed"),
            components,
        })
    }
}

fn size(components: &[Parameter]) -> usize {
    components.iter().map(|component| 1 + size(&component.components)).sum()
}

/// The words after a type, at most two, each with exactly one space before it.
fn words(text: &str) -> Option<Vec<&str>> {
    if text.is_empty() {
        return Some(Vec::new());
    }
    let words: Vec<&str> = text.strip_prefix(char::is_whitespace)?.split(char::is_whitespace).collect();
    (words.len() <= 2 && words.iter().all(|word| !word.is_empty())).then_some(words)
}

/// Name and fields of `struct Name { ... }`.
fn struct_parts(text: &str) -> Option<(&str, &str)> {
    let rest = text.strip_prefix("struct ")?;
    let (name, rest) = rest.split_at(identifier(rest)?);
    let fields = rest.strip_prefix(" {")?.strip_suffix('}')?;
    (!text.contains(['\n', '\r', '\u{2028}', '\u{2029}'])).then_some((name, fields))
}

/// `name(parameters)rest`.
fn head(text: &str) -> Parsed<(&str, &str, &str)> {
    let (name, rest) = text.split_at(identifier(text).ok_or("a name is missing")?);
    let (inside, tail) = parenthesised(rest)?;
    Ok((name, inside, tail))
}

/// `(inside)rest`.
fn parenthesised(text: &str) -> Parsed<(&str, &str)> {
    let mut depth = 0usize;
    for (at, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' if depth == 1 => {
                return Ok((text.get(1..at).unwrap_or_default(), text.get(at + 1..).unwrap_or_default()));
            }
            _ if depth == 0 => break,
            ')' => depth -= 1,
            _ => {}
        }
    }
    Err("the parentheses do not match".into())
}

/// Mutability and the text between the parentheses of `returns`.
fn function_tail(tail: &str) -> Parsed<(&str, &str)> {
    let mut rest = tail;
    for scope in [" external", " public"] {
        rest = rest.strip_prefix(scope).unwrap_or(rest);
        if rest.len() != tail.len() {
            break;
        }
    }
    let mut mutability = "nonpayable";
    for word in ["pure", "view", "nonpayable", "payable"] {
        if let Some(after) = rest.strip_prefix(' ').and_then(|rest| rest.strip_prefix(word)) {
            (mutability, rest) = (word, after);
            break;
        }
    }
    if rest.is_empty() {
        return Ok((mutability, ""));
    }
    let returns = rest.strip_prefix(" returns").ok_or_else(|| format!("found \"{rest}\" after the parameters"))?;
    let (inside, after) = parenthesised(returns.strip_prefix(char::is_whitespace).unwrap_or(returns))?;
    if after.is_empty() { Ok((mutability, inside)) } else { Err(format!("found \"{after}\" after what it returns")) }
}

/// At commas outside of parentheses. A comma at the end is let through, as it is by abitype.
fn split(text: &str) -> Parsed<Vec<&str>> {
    let (mut out, mut depth, mut from) = (Vec::new(), 0usize, 0);
    for (at, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.checked_sub(1).ok_or("the parentheses do not match")?,
            ',' if depth == 0 => {
                out.push(text.get(from..at).unwrap_or_default().trim());
                from = at + 1;
            }
            _ => {}
        }
    }
    if depth != 0 {
        return Err("the parentheses do not match".into());
    }
    let last = text.get(from..).unwrap_or_default().trim();
    if !last.is_empty() {
        out.push(last);
    }
    Ok(out)
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '$'
}

/// The length of the identifier that the text begins with.
fn identifier(text: &str) -> Option<usize> {
    let length = text.find(|c| !is_name(c)).unwrap_or(text.len());
    (length > 0 && !text.starts_with(|c: char| c.is_ascii_digit())).then_some(length)
}

/// A type's `[2][]` and what follows it.
fn array_suffix(text: &str) -> (&str, &str) {
    let mut length = 0;
    while let Some(rest) = text.get(length..).and_then(|rest| rest.strip_prefix('[')) {
        let Some(digits) = rest.find(|c: char| !c.is_ascii_digit()) else { break };
        if rest.get(digits..).is_none_or(|rest| !rest.starts_with(']')) {
            break;
        }
        length += digits + 2;
    }
    text.split_at(length)
}

fn split_array(ty: &str) -> (&str, &str) {
    ty.split_at(ty.find('[').unwrap_or(ty.len()))
}

fn keyword(name: &str) -> bool {
    KEYWORDS.contains(&name) || MORE_KEYWORDS.contains(&name) || solidity_type(name)
}

/// Whether the word is an elementary type: whole bytes up to 256 bits, up to 32 bytes.
fn solidity_type(word: &str) -> bool {
    let number = |digits: &str| digits.parse::<u32>().ok().filter(|_| !digits.starts_with(['0', '+']));
    match word {
        "address" | "bool" | "function" | "string" | "bytes" | "uint" | "int" => true,
        _ => {
            let bits = word.strip_prefix("uint").or_else(|| word.strip_prefix("int")).and_then(number);
            let bytes = word.strip_prefix("bytes").and_then(number);
            bits.is_some_and(|bits| (8..=256).contains(&bits) && bits % 8 == 0)
                || bytes.is_some_and(|bytes| (1..=32).contains(&bytes))
        }
    }
}

fn list_json(parameters: &[Parameter]) -> String {
    let mut out = String::from("[");
    for (index, parameter) in parameters.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        // Types and names are identifiers and digits: nothing in them needs escaping.
        out.push_str(&format!(r#"{{"type":"{}""#, parameter.ty));
        if !parameter.name.is_empty() {
            out.push_str(&format!(r#","name":"{}""#, parameter.name));
        }
        if parameter.indexed {
            out.push_str(r#","indexed":true"#);
        }
        if !parameter.components.is_empty() {
            out.push_str(r#","components":"#);
            out.push_str(&list_json(&parameter.components));
        }
        out.push('}');
    }
    out.push(']');
    out
}
