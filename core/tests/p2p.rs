//! Whole nodes over loopback in one process: finding each other, gossip, votes, bans, loss and return.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod p2p {
    use std::collections::{BTreeMap, HashMap};
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    use ditto_core::p2p::{
        Acceptance, Admission, Claim, ClaimKind, Event, Identity, Keypair, Multiaddr, Network, P2pConfig, PublishError,
        Refusal, Role, SendError, Topic, Transport, VoteReceipt, VoteRefusal, spawn,
    };
    use ditto_core::telemetry::measured;
    use tokio::sync::mpsc;
    use tokio_util::sync::CancellationToken;

    const PATIENCE: Duration = Duration::from_secs(60);
    const AGGREGATOR: u8 = 0;

    /// Signs by copying; the service must bring the right digest to the right check.
    struct Key(u8);

    impl Identity for Key {
        fn kind(&self) -> ClaimKind {
            if self.0 == AGGREGATOR { ClaimKind::Submitter } else { ClaimKind::Consensus }
        }
        fn consensus_key(&self) -> Vec<u8> {
            vec![self.0; 96]
        }
        fn sign_binding(&self, digest: [u8; 32]) -> Vec<u8> {
            digest.to_vec()
        }
    }

    /// The operator set, which tests change.
    #[derive(Default)]
    struct Set(Mutex<HashMap<u8, Role>>);

    impl Set {
        fn of(operators: &[u8]) -> Arc<Self> {
            let roles = operators.iter().map(|key| (*key, Role::Operator([*key; 20])));
            Arc::new(Self(Mutex::new(roles.chain([(AGGREGATOR, Role::Aggregator([AGGREGATOR; 20]))]).collect())))
        }
    }

    impl Admission for Set {
        fn admit(&self, claim: &Claim) -> Result<Role, Refusal> {
            if claim.signature != claim.binding {
                return Err(Refusal::BadSignature);
            }
            let role = self.0.lock().unwrap().get(&claim.key[0]).copied().ok_or(Refusal::UnknownKey)?;
            assert_eq!(role.is_aggregator(), claim.kind == ClaimKind::Submitter);
            Ok(role)
        }
    }

    struct Node {
        network: Network,
        events: mpsc::Receiver<Event>,
        addresses: Vec<Multiaddr>,
        stop: CancellationToken,
        task: Option<tokio::task::JoinHandle<()>>,
    }

    impl Drop for Node {
        fn drop(&mut self) {
            self.stop.cancel();
        }
    }

    fn config(bootstrap: &[Multiaddr]) -> P2pConfig {
        let listen = ["/ip4/127.0.0.1/tcp/0", "/ip4/127.0.0.1/udp/0/quic-v1"];
        P2pConfig {
            listen: listen.iter().map(|text| text.parse().unwrap()).collect(),
            bootstrap: bootstrap.to_vec(),
            redial_min_ms: 50,
            redial_max_ms: 500,
            liveness_interval_ms: 500,
            allow_loopback_colocation: true,
            ..P2pConfig::default()
        }
    }

    async fn start_with(config: P2pConfig, key: u8, set: &Arc<Set>, keypair: Keypair, name: &str) -> Node {
        let (sender, events) = mpsc::channel(1024);
        let (stop, wanted) = (CancellationToken::new(), config.listen.len());
        let set: Arc<dyn Admission> = Arc::clone(set) as _;
        let (network, task) =
            spawn(config, name, 31337, keypair, Arc::new(Key(key)), set, sender, stop.clone()).unwrap();
        let mut listening = network.watch_listen_addresses();
        let addresses = tokio::time::timeout(PATIENCE, listening.wait_for(|addresses| addresses.len() == wanted)).await;
        let addresses = addresses.expect("it listens").unwrap().to_vec();
        Node { network, events, addresses, stop, task: Some(task) }
    }

    async fn start(key: u8, set: &Arc<Set>, bootstrap: &[Multiaddr]) -> Node {
        start_with(config(bootstrap), key, set, Keypair::generate_ed25519(), "test").await
    }

    /// The aggregator and operators that know nothing but its address; returns when everybody knows everybody.
    async fn whole_network(operators: &[u8], set: &Arc<Set>) -> Vec<Node> {
        let mut nodes = vec![start(AGGREGATOR, set, &[]).await];
        for (index, key) in operators.iter().enumerate() {
            // Half of them over TCP, half over QUIC.
            let address = nodes[0].addresses[index % 2].clone();
            nodes.push(start(*key, set, &[address]).await);
        }
        for node in &nodes {
            node.has_peers(operators.len()).await;
        }
        nodes
    }

    impl Node {
        async fn has_peers(&self, count: usize) {
            let mut peers = self.network.watch_peers();
            let reached = tokio::time::timeout(PATIENCE, peers.wait_for(|peers| peers.len() == count)).await;
            assert!(reached.is_ok(), "{count} peers wanted, these are there: {:?}", self.network.peers());
        }

        async fn publish(&self, bytes: &[u8]) {
            // Admitted is not yet subscribed; the two arrive on different streams.
            let published = async {
                while self.network.publish(Topic::Proposals, bytes.to_vec()).await == Err(PublishError::NoPeers) {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            };
            tokio::time::timeout(PATIENCE, published).await.expect("somebody listens");
        }

        /// The next gossiped message; other events are passed over.
        async fn gossip(&mut self) -> (Vec<u8>, Role, ditto_core::p2p::MessageToken) {
            loop {
                match tokio::time::timeout(PATIENCE, self.events.recv()).await.expect("gossip comes").unwrap() {
                    Event::Gossip { bytes, role, token, .. } => return (bytes, role, token),
                    _ => continue,
                }
            }
        }

        /// Answers votes in the background; returns what was voted, in order.
        fn collect(mut self, answer: Result<VoteReceipt, VoteRefusal>) -> mpsc::Receiver<(Vec<u8>, Role)> {
            let (sender, receiver) = mpsc::channel(1024);
            tokio::spawn(async move {
                while let Some(event) = self.events.recv().await {
                    if let Event::Vote { bytes, role, reply, .. } = event {
                        reply.answer(answer);
                        if sender.send((bytes, role)).await.is_err() {
                            return;
                        }
                    }
                }
            });
            receiver
        }

        async fn end(mut self) {
            self.stop.cancel();
            self.task.take().unwrap().await.unwrap();
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn five_nodes_find_each_other_and_gossip_reaches_all_once() {
        let set = Set::of(&[1, 2, 3, 4]);
        let mut nodes = whole_network(&[1, 2, 3, 4], &set).await;
        for (author, node) in nodes.iter().enumerate() {
            node.publish(format!("proposal {author}").as_bytes()).await;
            assert_eq!(
                node.network.publish(Topic::Proposals, format!("proposal {author}").into_bytes()).await,
                Err(PublishError::Duplicate)
            );
        }
        // A marker after everything else: what was to come twice would have come before it, or right after.
        for (reader, node) in nodes.iter_mut().enumerate() {
            let mut heard = BTreeMap::new();
            while heard.len() < 4 {
                let (bytes, _, token) = node.gossip().await;
                node.network.report(token, Acceptance::Accept);
                let times = heard.entry(bytes.clone()).or_insert(0);
                *times += 1;
                assert_eq!(*times, 1, "{} came twice", String::from_utf8_lossy(&bytes));
            }
            assert!(!heard.contains_key(format!("proposal {reader}").as_bytes()), "a node does not hear itself");
        }
        // Everybody has accepted and forwarded everything by now; give the forwards time to be delivered a second time.
        tokio::time::sleep(Duration::from_secs(2)).await;
        for node in &mut nodes {
            while let Ok(event) = node.events.try_recv() {
                assert!(!matches!(event, Event::Gossip { .. }), "{event:?}");
            }
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn gossip_travels_over_a_node_that_accepts_and_stops_at_one_that_does_not() {
        // A line: 1 - aggregator - 2. The operators listen nowhere, so they cannot connect to each other.
        let set = Set::of(&[1, 2]);
        let mut middle = start(AGGREGATOR, &set, &[]).await;
        let deaf = P2pConfig { listen: vec![], ..config(&middle.addresses[..1]) };
        let one = start_with(deaf.clone(), 1, &set, Keypair::generate_ed25519(), "test").await;
        let mut two = start_with(deaf, 2, &set, Keypair::generate_ed25519(), "test").await;
        middle.has_peers(2).await;
        // Forwarding starts when the mesh stands, some heartbeats after admission: say it until it gets through.
        let deadline = tokio::time::Instant::now() + PATIENCE;
        for round in 0.. {
            assert!(tokio::time::Instant::now() < deadline, "nothing is forwarded");
            one.publish(format!("accepted {round}").as_bytes()).await;
            let (_, _, token) = middle.gossip().await;
            middle.network.report(token, Acceptance::Accept);
            if let Ok((bytes, role, _)) = tokio::time::timeout(Duration::from_millis(500), two.gossip()).await {
                assert_eq!(role, Role::Aggregator([AGGREGATOR; 20]));
                assert!(bytes.starts_with(b"accepted"));
                break;
            }
        }
        one.publish(b"ignored").await;
        let (bytes, role, token) = middle.gossip().await;
        assert_eq!((&bytes[..], role), (&b"ignored"[..], Role::Operator([1; 20])));
        middle.network.report(token, Acceptance::Ignore);
        one.publish(b"the last").await;
        let (_, _, token) = middle.gossip().await;
        middle.network.report(token, Acceptance::Accept);
        loop {
            let (bytes, ..) = two.gossip().await;
            assert_ne!(bytes, b"ignored");
            if bytes == b"the last" {
                break;
            }
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn votes_go_straight_to_the_aggregator() {
        let set = Set::of(&[1, 2]);
        let mut nodes = whole_network(&[1, 2], &set).await;
        let two = nodes.pop().unwrap();
        let one = nodes.pop().unwrap();
        let aggregator = nodes.pop().unwrap();
        let collected = aggregator.collect(Ok(VoteReceipt::Accepted));
        let transport: Arc<dyn Transport> = Arc::new(one.network.clone());
        let mut collected = collected;
        assert_eq!(transport.send_vote(b"yes".to_vec()).await, Ok(VoteReceipt::Accepted));
        assert_eq!(collected.recv().await.unwrap(), (b"yes".to_vec(), Role::Operator([1; 20])));
        assert_eq!(one.network.send_vote_to([9; 20], b"yes".to_vec()).await, Err(SendError::NotConnected));
        let large = vec![0; 256 * 1024 + 1];
        assert!(matches!(one.network.send_vote(large.clone()).await, Err(SendError::TooLarge { .. })));
        assert!(matches!(one.network.publish(Topic::Votes, large).await, Err(PublishError::TooLarge { .. })));
        // The largest message fits both ways.
        let largest = vec![7; 256 * 1024];
        assert_eq!(one.network.send_vote(largest.clone()).await, Ok(VoteReceipt::Accepted));
        assert_eq!(collected.recv().await.unwrap().0, largest);

        // Another operator can be asked by address, and says why not.
        let two = two.collect(Err(VoteRefusal::Unwanted));
        let refused = one.network.send_vote_to([2; 20], b"yes".to_vec()).await;
        assert_eq!(refused, Err(SendError::Refused(VoteRefusal::Unwanted)));

        let many = (0..100u32).map(|number| one.network.send_vote(number.to_be_bytes().to_vec()));
        let receipts = futures::future::join_all(many).await;
        assert!(receipts.iter().all(|receipt| *receipt == Ok(VoteReceipt::Accepted)), "{receipts:?}");
        drop(two);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn strangers_and_other_networks_stay_outside() {
        let set = Set::of(&[1]);
        let mut aggregator = start(AGGREGATOR, &set, &[]).await;
        let everybody = Set::of(&[1, 2, 3]);
        let unknown = start(2, &everybody, &aggregator.addresses).await;
        let keypair = Keypair::generate_ed25519();
        let elsewhere = start_with(config(&aggregator.addresses), 3, &everybody, keypair, "other").await;
        let member = start(1, &set, &aggregator.addresses).await;
        member.has_peers(1).await;
        for stranger in [&unknown, &elsewhere] {
            assert_eq!(stranger.network.send_vote(b"vote".to_vec()).await, Err(SendError::NotConnected));
            assert!(stranger.network.publish(Topic::Proposals, b"from outside".to_vec()).await.is_err());
        }
        member.publish(b"from inside").await;
        assert_eq!(aggregator.gossip().await.0, b"from inside");
        aggregator.has_peers(1).await;
        assert_eq!(aggregator.network.peers()[0].role, Role::Operator([1; 20]));

        // Registered meanwhile, the stranger gets in by itself.
        set.0.lock().unwrap().insert(2, Role::Operator([2; 20]));
        aggregator.has_peers(2).await;
        // And taken off the list it is out, once admission is asked again.
        set.0.lock().unwrap().remove(&2);
        aggregator.network.recheck();
        aggregator.has_peers(1).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_bootstrap_node_that_is_down_is_found_when_it_comes_up_and_when_it_comes_back() {
        let set = Set::of(&[1]);
        let port = ditto_core::ports::free_port().unwrap();
        let address: Multiaddr = format!("/ip4/127.0.0.1/tcp/{port}").parse().unwrap();
        let mut operator = start(1, &set, std::slice::from_ref(&address)).await;
        assert_eq!(operator.network.send_vote(b"vote".to_vec()).await, Err(SendError::NotConnected));
        assert_eq!(operator.network.publish(Topic::Votes, b"vote".to_vec()).await, Err(PublishError::NoPeers));
        tokio::time::sleep(Duration::from_millis(500)).await;

        let up = P2pConfig { listen: vec![address], ..config(&[]) };
        let key = Keypair::generate_ed25519();
        for round in 0..2 {
            let aggregator = start_with(up.clone(), AGGREGATOR, &set, key.clone(), "test").await;
            operator.has_peers(1).await;
            aggregator.has_peers(1).await;
            aggregator.end().await;
            operator.has_peers(0).await;
            let mut told = Vec::new();
            while told.len() < 2 {
                match tokio::time::timeout(PATIENCE, operator.events.recv()).await.unwrap().unwrap() {
                    Event::PeerAdmitted { peer, .. } => told.push(("admitted", peer)),
                    Event::PeerLost { peer, .. } => told.push(("lost", peer)),
                    _ => {}
                }
            }
            let id = key.public().to_peer_id();
            assert_eq!(told, [("admitted", id), ("lost", id)], "round {round}");
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_banned_operator_is_out_under_every_peer_id_until_the_ban_ends() {
        let set = Set::of(&[1, 2]);
        let nodes = whole_network(&[1, 2], &set).await;
        let (aggregator, one) = (&nodes[0], &nodes[1]);
        let banned = std::time::Instant::now();
        let bans = || measured("ditto_p2p_bans_total", &[("reason", "test")]);
        assert!(bans() < 0.5);
        aggregator.network.ban(one.network.local_peer_id(), Duration::from_secs(4), "test");
        aggregator.has_peers(1).await;
        let disguised = start(1, &set, &aggregator.addresses).await;
        // Operator 2 has banned nobody: it still hears both.
        nodes[2].has_peers(2).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(bans() > 0.5);
        let peers = aggregator.network.peers().len();
        // On a machine so slow that the ban is over by now, nothing is seen of it.
        assert!(peers == 1 || banned.elapsed() >= Duration::from_secs(4), "{peers} peers");
        assert_eq!(disguised.network.send_vote(b"vote".to_vec()).await, Err(SendError::NotConnected));
        // Over, it may come back, under both ids.
        aggregator.has_peers(3).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn one_operator_cannot_take_all_places() {
        let set = Set::of(&[1]);
        let aggregator = start(AGGREGATOR, &set, &[]).await;
        let mut copies = Vec::new();
        for _ in 0..4 {
            let quiet =
                P2pConfig { redial_min_ms: 60_000, redial_max_ms: 60_000, ..config(&aggregator.addresses[..1]) };
            copies.push(start_with(quiet, 1, &set, Keypair::generate_ed25519(), "test").await);
        }
        aggregator.has_peers(2).await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert!(aggregator.network.peers().len() <= 2);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn an_application_that_does_not_keep_up_costs_messages_and_nothing_else() {
        let dropped = || measured("ditto_p2p_dropped_total", &[("what", "vote")]);
        let before = dropped();
        let set = Set::of(&[1]);
        let hasty = P2pConfig { request_timeout_ms: 500, ..config(&[]) };
        let aggregator = start_with(hasty.clone(), AGGREGATOR, &set, Keypair::generate_ed25519(), "test").await;
        let one = start(1, &set, &aggregator.addresses[..1]).await;
        one.has_peers(1).await;
        // 1024 events wait for nobody; what comes then is answered at once.
        let mut busy = 0;
        for round in 0..11 {
            let votes = (0..100u32).map(|number| one.network.send_vote((round * 100 + number).to_be_bytes().to_vec()));
            let outcomes = tokio::time::timeout(PATIENCE, futures::future::join_all(votes)).await.unwrap();
            let refused = |outcome: &&_| {
                matches!(
                    outcome,
                    Err(SendError::Refused(VoteRefusal::Busy | VoteRefusal::RateLimited)) | Err(SendError::Silent)
                )
            };
            busy += outcomes.iter().filter(refused).count();
        }
        assert_eq!(busy, 1100);
        assert!(dropped() > before);
        assert_eq!(aggregator.network.peers().len(), 1);
    }
}
