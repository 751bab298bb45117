//! A read's two strings, written by a stranger: understood in one spelling only, or refused.
use crate::job::ReadRequest;

const METHODS: [&str; 8] = [
    "eth_call",
    "eth_getBalance",
    "eth_getCode",
    "eth_getStorageAt",
    "eth_blockNumber",
    "eth_getBlockByNumber",
    "eth_getLogs",
    "eth_sendRawTransaction",
];

pub fn examples() -> Vec<Vec<u8>> {
    let address = "0x1111111111111111111111111111111111111111";
    let word = format!("0x{}", "22".repeat(32));
    [
        (0, format!(r#"[{{"to":"{address}","data":"0x1234"}}]"#)),
        (1, format!(r#"["{address}"]"#)),
        (3, format!(r#"["{address}","0x5"]"#)),
        (4, "[]".into()),
        (5, r#"["0x10"]"#.into()),
        (6, format!(r#"[{{"address":["{address}"],"topics":[["{word}"],[],["{word}","{word}"]],"fromBlock":"0x1","toBlock":"0x2"}}]"#)),
        (7, "[]".into()),
    ]
    .into_iter()
    .map(|(method, params)| [&[method][..], params.as_bytes()].concat())
    .collect()
}

pub fn run(data: &[u8]) {
    let Some((method, params)) = data.split_first() else { return };
    let Some(method) = METHODS.get(usize::from(*method)) else { return };
    let Ok(params) = std::str::from_utf8(params) else { return };
    let request = ReadRequest { chain_id: 1, method: (*method).into(), params: params.into() };
    let Ok(read) = request.read() else { return };
    assert_eq!((read.method(), read.params().as_str()), (*method, params), "two spellings of one read");
    if let Some(range) = read.log_range(1_000) {
        assert!(*range.end() <= 1_000 && range.end() - range.start() < 2_000);
    }
}
