//! What differs between two configurations, for those who reload one.

use serde_json::Value;

/// The dotted keys whose values differ, in order; a table that came or went counts as one.
#[must_use]
pub fn changes(old: &Value, new: &Value) -> Vec<String> {
    let mut found = Vec::new();
    compare("", old, new, &mut found);
    found
}

fn compare(key: &str, old: &Value, new: &Value, found: &mut Vec<String>) {
    let (Value::Object(old), Value::Object(new)) = (old, new) else {
        if old != new {
            found.push(key.to_owned());
        }
        return;
    };
    let keys: std::collections::BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    for name in keys {
        let below = if key.is_empty() { name.clone() } else { format!("{key}.{name}") };
        compare(&below, old.get(name).unwrap_or(&Value::Null), new.get(name).unwrap_or(&Value::Null), found);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_change_is_named_by_its_key() {
        let old = json!({ "a": { "b": 1, "c": [1, 2] }, "d": "x", "gone": 1 });
        let new = json!({ "a": { "b": 2, "c": [1, 2] }, "d": "x", "came": { "e": 1 } });
        assert_eq!(changes(&old, &new), ["a.b", "came", "gone"]);
        assert!(changes(&old, &old).is_empty());
    }
}
