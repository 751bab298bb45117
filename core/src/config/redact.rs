//! What errors about a configuration may quote of it. A line of the file can hold a node's URL with a password, or a key
//! that was written where its place belongs, and errors end up in logs and in support requests.

/// Hexadecimal digits in a row from which on they are taken for a key. An address has 40, a BLS or ECDSA key 64.
const KEY_DIGITS: usize = 64;

/// A text that may quote a value, without what may be a credential: of a URL only the scheme is left, and of long rows of
/// hexadecimal digits nothing. It takes away too much rather than too little.
#[must_use]
pub fn redacted(text: &str) -> String {
    let text = without_urls(text);
    let mut shown = String::with_capacity(text.len());
    let mut digits = String::new();
    for c in text.chars().map(Some).chain([None]) {
        if let Some(digit) = c.filter(char::is_ascii_hexdigit) {
            digits.push(digit);
            continue;
        }
        shown.push_str(if digits.len() >= KEY_DIGITS { "[redacted]" } else { &digits });
        digits.clear();
        shown.extend(c);
    }
    shown
}

/// From the first URL on everything up to the last quotation mark goes: a password may hold any character, also a quote.
fn without_urls(text: &str) -> String {
    let Some((before, after)) = text.split_once("://") else { return text.to_owned() };
    let rest = after.rfind(['"', '`', '\'']).map_or("", |quote| &after[quote..]);
    format!("{before}://…{rest}")
}

/// A text without what it quotes between quotation marks, for errors about what only secrets are told of.
pub(super) fn unquoted(text: &str) -> String {
    match (text.find('"'), text.rfind('"')) {
        (Some(first), Some(last)) if last > first => format!("{}…{}", &text[..=first], &text[last..]),
        _ => redacted(text),
    }
}

/// What may be shown of a line that is not TOML: a table's name, or the key before the equals sign. Nothing else, for what
/// is wrong may be the very quotation mark that a URL lacks.
pub(super) fn excerpt(line: &str) -> Option<String> {
    let plain = |text: &str| {
        let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | ' ');
        (!text.is_empty() && text.chars().all(word) && !redacted(text).contains("[redacted]")).then(|| text.to_owned())
    };
    let line = line.trim();
    if line.starts_with('[') {
        let name = line.trim_matches(|c| matches!(c, '[' | ']')).trim();
        return plain(name).map(|name| format!("[{name}]"));
    }
    plain(line.split_once('=')?.0.trim()).map(|key| format!("{key} = …"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_go_and_the_rest_stays() {
        for (text, shown) in [
            (
                "invalid type: string \"https://u:SECRET@h/p\", expected a list",
                "invalid type: string \"https://…\", expected a list",
            ),
            ("at \"https://u:SECRET\"SECRET\" there", "at \"https://…\" there"),
            ("https://u:SECRET@h", "https://…"),
            ("no URL at all", "no URL at all"),
            ("0x0000000000000000000000000000000000000001", "0x0000000000000000000000000000000000000001"),
        ] {
            assert_eq!(redacted(text), shown);
        }
        let key = "5e".repeat(32);
        assert_eq!(redacted(&format!("string \"0x{key}\", expected")), "string \"0x[redacted]\", expected");
        assert_eq!(redacted(&key), "[redacted]");
        assert_eq!(
            unquoted("invalid type: string \"hunter2\", expected a table"),
            "invalid type: string \"…\", expected a table"
        );
    }

    #[test]
    fn of_a_bad_line_only_its_key_is_shown() {
        for (line, shown) in [
            ("rpc = [\"https://u:SECRET@h", Some("rpc = …")),
            ("  chains.1.rpc = https://SECRET", Some("chains.1.rpc = …")),
            ("[chains.31337", Some("[chains.31337]")),
            ("\"https://u:SECRET@h/?k=1\",", None),
            ("https://u:SECRET@h/?k=1", None),
            ("SECRET", None),
        ] {
            assert_eq!(excerpt(line).as_deref(), shown, "{line}");
        }
        assert_eq!(excerpt(&format!("{} = 1", "5e".repeat(32))), None);
    }
}
