//! An author's way from an empty directory, or from a Ditto workflow document, to a published workflow, on a real chain with
//! the real contracts; and what an operator's own configuration says about single workflows.

#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use alloy::primitives::{Address, B256, Bytes, U256};
use alloy::providers::Provider;
use clap::Parser;
use ditto_core::chain::bindings::registry::WorkflowRegistry;
use ditto_core::chain::bindings::validator_module::DittoValidatorModule;
use ditto_devnet::options::Options;
use ditto_devnet::process::Children;
use ditto_devnet::setup::Network;
use ditto_devnet::setup::workflows::{self, Window};
use ditto_devnet::{anvil, keys, nodes, setup};
use ditto_operator::history::{Event, trace};
use serde_json::{Value, json};

const OPERATOR: &str = "ditto-operator";
/// No wait is longer.
const LONG: Duration = Duration::from_secs(90);

fn operator() -> PathBuf {
    let program = PathBuf::from(env!("CARGO_BIN_EXE_ditto-devnet")).with_file_name(OPERATOR);
    assert!(program.is_file(), "{} is not built; run `make e2e`", program.display());
    program
}

/// Runs `ditto-operator workflow …`; the chain goes on meanwhile, as the call is made on a thread of its own.
async fn workflow(arguments: Vec<String>) -> Output {
    let call = move || Command::new(operator()).arg("workflow").args(arguments).output();
    tokio::task::spawn_blocking(call).await.unwrap().unwrap()
}

fn arguments(command: &str, project: &Path, more: &[&str]) -> Vec<String> {
    let mut all = vec![command.to_owned(), project.display().to_string()];
    all.extend(more.iter().map(|&argument| argument.to_owned()));
    all
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn printed(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", said(output)))
}

/// The network's configuration, as a node's file has it.
fn configuration(network: &Network, path: &Path) {
    let mut table = toml::Table::new();
    table.insert("network".into(), toml::Value::try_from(&network.config).unwrap());
    let chain = toml::Value::try_from(network.chain_config().unwrap()).unwrap();
    let chains = toml::Table::from_iter([(anvil::CHAIN_ID.to_string(), chain)]);
    table.insert("chains".into(), toml::Value::Table(chains));
    std::fs::write(path, toml::to_string(&table).unwrap()).unwrap();
}

#[tokio::test(flavor = "current_thread")]
#[ignore = "needs the built operator: run it by `make e2e`, which builds the binaries first"]
async fn an_author_s_workflow_runs_is_published_once_and_replaced() {
    let dir = tempfile::Builder::new().prefix("ditto-author-").tempdir().unwrap();
    let options = Options::parse_from(["ditto-devnet", "--operators", "1", "--workflows", "1", "--seed", "author"]);
    let mut children = Children::default();
    let chain = anvil::start(&mut children, None, dir.path()).await.unwrap();
    let network = setup::prepare(chain, &options).await.unwrap();
    let account = &network.accounts[0];
    let provider = network.chain.provider.clone();
    // The owner sends the transactions: it needs ether, the account has a deposit.
    let funded: () = provider
        .raw_request("anvil_setBalance".into(), (account.owner.address(), U256::from(10_u64.pow(18))))
        .await
        .unwrap();
    let () = funded;
    let key = dir.path().join("owner.key");
    keys::write(&key, &account.owner.to_bytes().0).unwrap();
    let key = key.display().to_string();

    let config = dir.path().join("operator.toml");
    configuration(&network, &config);
    let project = dir.path().join("savings");
    let (config, address) = (config.display().to_string(), account.address.to_string());
    let made = workflow(arguments("new", &project, &["--network", &config, "--account", &address])).await;
    assert!(made.status.success(), "{}", said(&made));

    // A transfer of the demo token, which the template's policy does not allow yet.
    std::fs::write(project.join("workflow.ts"), include_str!("../../workflows/examples/recurring-transfer.ts"))
        .unwrap();
    let manifest = project.join("workflow.toml");
    let text = std::fs::read_to_string(&manifest).unwrap();
    let (from, to) = (text.find("[args]").unwrap(), text.find("# What it may do").unwrap());
    let args = format!(
        "[args]\nchainId = {}\ntoken = \"{}\"\nto = \"{}\"\namount = \"1000\"\n\n",
        anvil::CHAIN_ID,
        network.demo.token,
        account.recipient
    );
    std::fs::write(&manifest, format!("{}{args}{}", &text[..from], &text[to..])).unwrap();
    let ran = workflow(arguments("run", &project, &["--json"])).await;
    let report = printed(&ran);
    assert!(!ran.status.success());
    assert_eq!(report["outcome"], "calls", "{report:#}");
    assert_eq!(report["policy"]["allowed"], false);
    assert_eq!(report["trial"]["works"], true, "the account has the tokens: {report:#}");
    assert!(report["slot"].as_u64().unwrap() > 0);
    assert_eq!(report["reads"][0]["decoded"], format!("balanceOf(owner: {address})"));
    let fix = report["policy"]["fix"].as_str().unwrap();
    assert!(fix.contains("transfer(address,uint256)"), "{fix}");

    // What it says to write is what is missing.
    let text = std::fs::read_to_string(&manifest).unwrap();
    std::fs::write(&manifest, text.replace("# The chains it reads", &format!("{fix}\n\n# The chains it reads")))
        .unwrap();
    let ran = workflow(arguments("run", &project, &["--json"])).await;
    assert!(ran.status.success(), "{}", said(&ran));
    assert!(printed(&ran)["trial"]["gas"].as_u64().unwrap() > 20_000);

    // A dry run sends nothing.
    let planned = workflow(arguments("publish", &project, &["--key", &key, "--dry-run", "--json"])).await;
    assert!(planned.status.success(), "{}", said(&planned));
    let planned = printed(&planned);
    assert_eq!(planned["steps"].as_array().unwrap().len(), 2, "the code is published already: {planned:#}");
    assert_eq!(planned["workflow"], Value::Null);
    let sent = provider.get_transaction_count(account.owner.address()).await.unwrap();
    assert_eq!(sent, 0);

    // Somebody else's key is refused before anything is sent for the account.
    let other = dir.path().join("other.key");
    keys::write(&other, &network.submitter.to_bytes().0).unwrap();
    let refused = workflow(arguments("publish", &project, &["--key", &other.display().to_string(), "--yes"])).await;
    assert!(
        !refused.status.success() && said(&refused).contains("not the key of the account's owner"),
        "{}",
        said(&refused)
    );

    let published = workflow(arguments("publish", &project, &["--key", &key, "--yes"])).await;
    let told = said(&published);
    assert!(published.status.success() && told.contains("is workflow 1"), "{told}");
    let registry = WorkflowRegistry::new(network.contracts.registry, &provider);
    let found = registry.workflowOf(1).call().await.unwrap();
    assert_eq!(found.account, account.address);
    let module = DittoValidatorModule::new(network.contracts.validator_module, &provider);
    let session = module.sessionOf(account.address, found.sessionKey).call().await.unwrap();
    assert_ne!(session.policyHash, B256::ZERO);

    // Once more: everything is there.
    let again = workflow(arguments("publish", &project, &["--key", &key, "--json"])).await;
    let again = printed(&again);
    assert_eq!((again["steps"].as_array().unwrap().len(), again["workflow"].as_u64()), (0, Some(1)), "{again:#}");

    // Something new under the same name takes the old one's place. Its code is new, too, so nothing of it could be tried.
    let code = project.join("workflow.ts");
    let text = std::fs::read_to_string(&code).unwrap();
    std::fs::write(&code, text + "// Twice as much from now on.\n").unwrap();
    let replaced =
        workflow(arguments("publish", &project, &["--key", &key, "--yes", "--set", "args.amount='2000'"])).await;
    let told = said(&replaced);
    println!("{told}");
    assert!(replaced.status.success() && told.contains("is workflow 2"), "{told}");
    assert!(told.contains("publish the code") && told.contains("cancel workflow 1"), "{told}");
    assert!(told.contains("have  the policy") && told.contains("have  the session"), "{told}");
    assert!(registry.isCancelled(1).call().await.unwrap());
    assert!(!registry.isCancelled(2).call().await.unwrap());
    assert_ne!(found.sessionKey, Address::ZERO);
    children.end().await;
}

/// How an operator's run of a workflow ended, as its history tells; nothing when it did not run yet.
fn outcome(state_dir: &Path, workflow: u64) -> Option<String> {
    let lines = trace(state_dir, workflow, None).ok()?;
    lines.into_iter().find_map(|line| match line.event {
        Event::Simulated { outcome, .. } => Some(outcome),
        _ => None,
    })
}

#[tokio::test(flavor = "current_thread")]
#[ignore = "needs the built binaries: run it by `make e2e`, which builds them first"]
async fn an_imported_document_executes_beside_a_workflow_with_stricter_limits() {
    let dir = tempfile::Builder::new().prefix("ditto-import-").tempdir().unwrap();
    let bin_dir = PathBuf::from(env!("CARGO_BIN_EXE_ditto-devnet")).with_file_name("");
    let bin_dir = bin_dir.display().to_string();
    let line =
        ["ditto-devnet", "--operators", "1", "--workflows", "2", "--seed", "import", "--bin-dir", bin_dir.as_str()];
    let options = Options::parse_from(line);
    let mut children = Children::default();
    let chain = anvil::start(&mut children, None, dir.path()).await.unwrap();
    let mut network = setup::prepare(chain, &options).await.unwrap();

    // The first workflow may not read at all; both read once.
    let running = nodes::start(&mut children, &options, dir.path(), &network).unwrap();
    let name = running.operators[0].name.clone();
    children.kill(&name);
    children.reap(&name);
    let config = dir.path().join(format!("{name}.toml"));
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, format!("{text}\n[sandbox.stricter.1]\nreads = 0\n")).unwrap();
    children.restart(&name).unwrap();
    nodes::ready(&mut children, &running, LONG).await.unwrap();
    let now = u64::try_from(chrono::Utc::now().timestamp()).unwrap();
    let first = network.config.schedule().slot_at_ms(now * 1_000).unwrap() + 2;
    let window = Window { first, slots: 1_000, open_ended: true };
    let published = workflows::publish(&mut network, window).await.unwrap();
    assert_eq!(published.iter().map(|workflow| workflow.id).collect::<Vec<_>>(), [1, 2]);

    // A document as users have it: a payment, once, of a token and of ether to somebody new.
    let (account, token) = (network.accounts[0].clone(), network.demo.token);
    let somebody = Address::repeat_byte(0xfe);
    let provider = network.chain.provider.clone();
    let () = provider
        .raw_request("anvil_setBalance".into(), (account.owner.address(), U256::from(10_u64.pow(18))))
        .await
        .unwrap();
    let document = json!({
        "workflow": {
            "owner": account.owner.address(), "triggers": [], "count": 1,
            "jobs": [{ "id": "pay", "chainId": anvil::CHAIN_ID, "session": "none", "steps": [
                { "target": token, "abi": "transfer(address,uint256)", "args": [somebody, "41"], "value": "0" },
                { "target": token, "abi": "transfer(address,uint256)", "args": [somebody, "1"], "value": "0" },
            ] }],
        },
        "metadata": { "createdAt": 1_700_000_000_000_u64, "version": "1.0.0" },
    });
    let file = dir.path().join("payment.json");
    std::fs::write(&file, document.to_string()).unwrap();
    let told = dir.path().join("network.toml");
    configuration(&network, &told);
    let (told, address) = (told.display().to_string(), account.address.to_string());
    let out = dir.path().display().to_string();
    let imported =
        workflow(arguments("import", &file, &["--network", &told, "--account", &address, "--out", &out])).await;
    assert!(imported.status.success(), "{}", said(&imported));
    let project = dir.path().join("payment");
    let checked = workflow(arguments("check", &project, &["--json"])).await;
    assert!(checked.status.success(), "{}", said(&checked));
    let ran = printed(&workflow(arguments("run", &project, &["--json"])).await);
    assert_eq!(
        (&ran["outcome"], &ran["declared"], &ran["trial"]["works"]),
        (&json!("calls"), &json!(true), &json!(true))
    );
    assert_eq!(ran["policy"]["allowed"], true, "{ran:#}");
    let key = dir.path().join("owner.key");
    keys::write(&key, &account.owner.to_bytes().0).unwrap();
    let key = key.display().to_string();
    let done = workflow(arguments("publish", &project, &["--key", &key, "--yes", "--keep-earlier"])).await;
    assert!(done.status.success() && said(&done).contains("is workflow 3"), "{}", said(&done));

    let state_dir = dir.path().join(&name);
    let balance = || async {
        // balanceOf(address)
        let data = [&[0x70, 0xa0, 0x82, 0x31][..], somebody.into_word().as_slice()].concat();
        let call = alloy::rpc::types::TransactionRequest::default().to(token).input(Bytes::from(data).into());
        U256::from_be_slice(&provider.call(call).await.unwrap())
    };
    let both = tokio::time::timeout(LONG, async {
        loop {
            if let (Some(one), Some(two)) = (outcome(&state_dir, 1), outcome(&state_dir, 2))
                && balance().await == U256::from(42)
            {
                return (one, two);
            }
            children.all_run(running.all().map(|node| node.name.as_str())).unwrap();
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    })
    .await;
    let both = both.unwrap_or_else(|_| panic!("not in time: {:?}; {}", known(&state_dir), children.tail(&name)));
    assert_eq!(both, ("too_many_reads".to_owned(), "calls".to_owned()));
    children.end().await;
}

/// What the history knows, for a failure's message.
fn known(state_dir: &Path) -> Vec<Option<String>> {
    (1..=3).map(|workflow| outcome(state_dir, workflow)).collect()
}
