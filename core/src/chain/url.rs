//! The address of a JSON-RPC endpoint. Providers hand out URLs whose path, query or user part is a credential, so a URL is
//! shown as scheme, host and port, wherever it is shown.

use std::fmt;

use alloy::transports::http::reqwest::Url;
use serde::de::{self, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An endpoint's URL. `Debug`, `Display` and `Serialize` leave out what may be a credential; a URL without any is shown as
/// it was written.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct RpcUrl(String);

impl RpcUrl {
    /// The whole URL, to connect with.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Scheme, host and port, and `…` for what is left out.
    #[must_use]
    pub fn redacted(&self) -> String {
        let Ok(url) = self.0.parse::<Url>() else { return "[not a URL]".into() };
        let Some(host) = url.host_str() else { return "[a URL without a host]".into() };
        let user = if url.username().is_empty() && url.password().is_none() { "" } else { "…@" };
        let rest = if url.path().len() <= 1 && url.query().is_none() && url.fragment().is_none() { "" } else { "/…" };
        if user.is_empty() && rest.is_empty() {
            return self.0.clone();
        }
        let port = url.port().map_or(String::new(), |port| format!(":{port}"));
        format!("{}://{user}{host}{port}{rest}", url.scheme())
    }
}

impl<T: Into<String>> From<T> for RpcUrl {
    fn from(url: T) -> Self {
        Self(url.into())
    }
}

impl fmt::Debug for RpcUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.redacted())
    }
}

impl fmt::Display for RpcUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.redacted())
    }
}

impl Serialize for RpcUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.redacted())
    }
}

/// Reads a list of URLs. A single one is an error that does not quote it, as serde's own would.
pub(super) fn list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<RpcUrl>, D::Error> {
    struct Urls;
    impl<'de> Visitor<'de> for Urls {
        type Value = Vec<RpcUrl>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list of URLs")
        }

        fn visit_str<E: de::Error>(self, _url: &str) -> Result<Self::Value, E> {
            Err(E::custom("a list of URLs is needed: write it in brackets"))
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
            let mut urls = Vec::new();
            while let Some(url) = list.next_element()? {
                urls.push(url);
            }
            Ok(urls)
        }
    }
    deserializer.deserialize_any(Urls)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_a_credential_is_never_shown() {
        for (url, shown) in [
            ("http://127.0.0.1:8545", "http://127.0.0.1:8545"),
            ("http://127.0.0.1:8545/", "http://127.0.0.1:8545/"),
            ("https://node.example/v2/SECRET", "https://node.example/…"),
            ("https://node.example:8443/?key=SECRET", "https://node.example:8443/…"),
            ("https://node.example/#SECRET", "https://node.example/…"),
            ("https://SECRET@node.example", "https://…@node.example"),
            ("https://user:SECRET@node.example/rpc", "https://…@node.example/…"),
            ("SECRET", "[not a URL]"),
            ("data:SECRET", "[a URL without a host]"),
        ] {
            let url = RpcUrl::from(url);
            assert_eq!(url.to_string(), shown);
            assert!(!format!("{url:?}").contains("SECRET"));
            assert_eq!(serde_json::to_value(&url).unwrap(), shown);
        }
        assert_eq!(serde_json::from_str::<RpcUrl>("\"https://a/b\"").unwrap().expose(), "https://a/b");
    }
}
