//! Who may speak on the peer-to-peer network, and how a node says who it is.
//!
//! Operators prove their consensus key (BLS), the stand-alone aggregator its submitter key (ECDSA). Both binaries judge
//! their peers alike: [`SetAdmission`] admits a consensus key that is in an accepted operator set with power left, and
//! the submitter that the network names. What the accepted sets are is in [`AcceptedSets`], which whoever follows the
//! chain replaces; afterwards call [`crate::p2p::Network::recheck`], so that those who left are let go.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock};

use alloy::primitives::{Address, B256};
use alloy::signers::SignerSync;
use alloy::signers::local::PrivateKeySigner;

use crate::bls::{PublicKey, Purpose, SecretKey, Signature};
use crate::operators::OperatorSet;
use crate::p2p::{Admission, Claim, ClaimKind, Identity, Refusal, Role};
use crate::proposal::recover;

/// The operator sets that certificates may be made under: the current one, and the one before within its grace time.
/// Cheap to clone; clones show the same.
#[derive(Clone, Debug, Default)]
pub struct AcceptedSets(Arc<RwLock<Arc<Accepted>>>);

/// One look at the accepted sets.
#[derive(Debug, Default)]
pub struct Accepted {
    sets: Vec<Arc<OperatorSet>>,
    /// By the key's compressed bytes, so that a peer's key is looked up before anything is computed.
    keys: HashMap<[u8; 96], (Address, PublicKey)>,
    /// Delegated signers and their controllers: who may stand by for the aggregator.
    signers: HashMap<Address, Address>,
}

impl AcceptedSets {
    /// None yet: everybody but the submitter is refused.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Replaces the sets, the current one first. Says whether anything changed: members, powers or ids.
    pub fn replace(&self, sets: Vec<Arc<OperatorSet>>) -> bool {
        let now = self.get();
        let same = now.sets.len() == sets.len() && now.sets.iter().zip(&sets).all(|(a, b)| same_set(a, b));
        if same {
            return false;
        }
        let (mut keys, mut signers) = (HashMap::new(), HashMap::new());
        // The current set last, so that its word goes where a member stands in both.
        for member in sets.iter().rev().flat_map(|set| &set.members).filter(|member| member.power > 0) {
            keys.insert(member.key.to_bytes(), (member.controller, member.key));
            signers.insert(member.signer, member.controller);
        }
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(Accepted { sets, keys, signers });
        true
    }

    /// The sets as they are now.
    #[must_use]
    pub fn get(&self) -> Arc<Accepted> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Accepted {
    /// The current set; `None` until it was read.
    #[must_use]
    pub fn current(&self) -> Option<&Arc<OperatorSet>> {
        self.sets.first()
    }

    /// An accepted set by its id.
    #[must_use]
    pub fn set(&self, id: u32) -> Option<&Arc<OperatorSet>> {
        self.sets.iter().find(|set| set.id == id)
    }
}

fn same_set(a: &Arc<OperatorSet>, b: &Arc<OperatorSet>) -> bool {
    // A set's members never change; who is jailed shows in the powers.
    Arc::ptr_eq(a, b)
        || (a.id == b.id
            && a.members.len() == b.members.len()
            && a.members.iter().zip(&b.members).all(|(a, b)| a.power == b.power && a.signer == b.signer))
}

/// Admits the operators of the accepted sets (as [`Role::Operator`] with the controller's address) and the submitter.
#[derive(Clone, Debug)]
pub struct SetAdmission {
    sets: AcceptedSets,
    submitter: Address,
    /// Those admitted, by their controllers; nothing: everybody who is registered.
    whitelist: Option<Arc<HashSet<Address>>>,
}

impl SetAdmission {
    /// Admission by these sets, and of this submitter ([`crate::network::NetworkConfig::aggregator`]).
    #[must_use]
    pub fn new(sets: AcceptedSets, submitter: Address) -> Self {
        Self { sets, submitter, whitelist: None }
    }

    /// The same, of operators on governance's list only; without a list the network is permissionless.
    #[must_use]
    pub fn among(mut self, whitelist: Option<Vec<Address>>) -> Self {
        self.whitelist = whitelist.map(|listed| Arc::new(listed.into_iter().collect()));
        self
    }

    fn on_the_list(&self, controller: Address) -> Result<(), Refusal> {
        let listed = self.whitelist.as_ref().is_none_or(|listed| listed.contains(&controller));
        if listed { Ok(()) } else { Err(Refusal::NotWhitelisted) }
    }

    fn admit_operator(&self, claim: &Claim) -> Result<Role, Refusal> {
        let bytes: [u8; 96] = claim.key.as_slice().try_into().map_err(|_| Refusal::Malformed)?;
        let (controller, key) = *self.sets.get().keys.get(&bytes).ok_or(Refusal::UnknownKey)?;
        self.on_the_list(controller)?;
        let signature: &[u8; 96] = claim.signature.as_slice().try_into().map_err(|_| Refusal::BadSignature)?;
        let signed = Signature::from_bytes(signature).is_some_and(|s| s.verify(&key, &claim.binding, Purpose::Peer));
        if signed { Ok(Role::Operator(controller.into_array())) } else { Err(Refusal::BadSignature) }
    }

    fn admit_submitter(&self, claim: &Claim) -> Result<Role, Refusal> {
        let address = Address::try_from(claim.key.as_slice()).map_err(|_| Refusal::Malformed)?;
        let role = if address == self.submitter {
            Role::Aggregator(address.into_array())
        } else {
            // An operator's delegated signer may submit when the aggregator does not.
            let controller = *self.sets.get().signers.get(&address).ok_or(Refusal::UnknownKey)?;
            self.on_the_list(controller)?;
            Role::Standby(address.into_array())
        };
        let signature: &[u8; 65] = claim.signature.as_slice().try_into().map_err(|_| Refusal::BadSignature)?;
        if recover(signature, B256::from(claim.binding)) != Some(address) {
            return Err(Refusal::BadSignature);
        }
        Ok(role)
    }
}

impl Admission for SetAdmission {
    fn admit(&self, claim: &Claim) -> Result<Role, Refusal> {
        match claim.kind {
            ClaimKind::Consensus => self.admit_operator(claim),
            ClaimKind::Submitter => self.admit_submitter(claim),
        }
    }
}

/// An operator: its consensus key.
#[derive(Clone, Debug)]
pub struct ConsensusIdentity(SecretKey);

impl ConsensusIdentity {
    /// Speaks with this key.
    #[must_use]
    pub fn new(key: SecretKey) -> Self {
        Self(key)
    }
}

impl Identity for ConsensusIdentity {
    fn consensus_key(&self) -> Vec<u8> {
        self.0.public().to_bytes().to_vec()
    }

    fn sign_binding(&self, digest: [u8; 32]) -> Vec<u8> {
        self.0.sign(&digest, Purpose::Peer).to_bytes().to_vec()
    }
}

/// The aggregator: its submitter key, whose address is the claim's key.
#[derive(Clone, Debug)]
pub struct SubmitterIdentity(PrivateKeySigner);

impl SubmitterIdentity {
    /// Speaks with this key.
    #[must_use]
    pub fn new(signer: PrivateKeySigner) -> Self {
        Self(signer)
    }
}

impl Identity for SubmitterIdentity {
    fn kind(&self) -> ClaimKind {
        ClaimKind::Submitter
    }

    fn consensus_key(&self) -> Vec<u8> {
        self.0.address().to_vec()
    }

    fn sign_binding(&self, digest: [u8; 32]) -> Vec<u8> {
        // A key in memory always signs; an empty signature is refused by every peer.
        self.0.sign_hash_sync(&digest.into()).map(|signature| signature.as_bytes().to_vec()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::operators::Member;

    const DIGEST: [u8; 32] = [5; 32];

    fn secret(seed: u8) -> SecretKey {
        SecretKey::derive(&[seed; 32]).unwrap()
    }

    fn set(id: u32, seeds: &[(u8, u128)]) -> Arc<OperatorSet> {
        let members = seeds.iter().map(|(seed, power)| Member {
            controller: Address::with_last_byte(*seed),
            signer: Address::with_last_byte(*seed),
            power: *power,
            key: secret(*seed).public(),
        });
        Arc::new(OperatorSet::new(id, members.collect(), B256::ZERO))
    }

    fn claim(identity: &dyn Identity) -> Claim {
        Claim {
            kind: identity.kind(),
            key: identity.consensus_key(),
            binding: DIGEST,
            signature: identity.sign_binding(DIGEST),
        }
    }

    #[test]
    fn a_delegated_signer_stands_by_and_a_whitelist_admits_the_listed_only() {
        let (submitter, signer) = (PrivateKeySigner::random(), PrivateKeySigner::random());
        let member = |seed: u8, signer: Address| Member {
            controller: Address::with_last_byte(seed),
            signer,
            power: 5,
            key: secret(seed).public(),
        };
        let members = vec![member(1, signer.address()), member(2, Address::with_last_byte(2))];
        let sets = AcceptedSets::new();
        sets.replace(vec![Arc::new(OperatorSet::new(1, members, B256::ZERO))]);
        let open = SetAdmission::new(sets.clone(), submitter.address());
        let standby = claim(&SubmitterIdentity::new(signer.clone()));
        assert_eq!(open.admit(&standby), Ok(Role::Standby(signer.address().into_array())));
        let mut forged = standby.clone();
        forged.signature = SubmitterIdentity::new(submitter.clone()).sign_binding(DIGEST);
        assert_eq!(open.admit(&forged), Err(Refusal::BadSignature));
        let stranger = claim(&SubmitterIdentity::new(PrivateKeySigner::random()));
        assert_eq!(open.admit(&stranger), Err(Refusal::UnknownKey));

        let listed = open.clone().among(Some(vec![Address::with_last_byte(2)]));
        let (first, second) = (claim(&ConsensusIdentity::new(secret(1))), claim(&ConsensusIdentity::new(secret(2))));
        assert!(open.admit(&first).is_ok() && open.admit(&second).is_ok(), "permissionless");
        assert_eq!(listed.admit(&first), Err(Refusal::NotWhitelisted));
        assert!(listed.admit(&second).is_ok());
        assert_eq!(listed.admit(&standby), Err(Refusal::NotWhitelisted), "its operator is not listed");
        assert!(listed.admit(&claim(&SubmitterIdentity::new(submitter))).is_ok(), "the aggregator is the network's");
        assert!(open.among(None).admit(&first).is_ok());
    }

    #[test]
    fn members_with_power_and_the_submitter_are_admitted_and_nobody_else() {
        let submitter = PrivateKeySigner::random();
        let sets = AcceptedSets::new();
        let admission = SetAdmission::new(sets.clone(), submitter.address());
        let operator = claim(&ConsensusIdentity::new(secret(1)));
        assert_eq!(admission.admit(&operator), Err(Refusal::UnknownKey), "no set is known yet");

        assert!(sets.replace(vec![set(2, &[(1, 5), (2, 0)]), set(1, &[(3, 5)])]));
        assert!(!sets.replace(vec![set(2, &[(1, 5), (2, 0)]), set(1, &[(3, 5)])]), "nothing changed");
        assert_eq!(admission.admit(&operator), Ok(Role::Operator(Address::with_last_byte(1).into_array())));
        let previous = claim(&ConsensusIdentity::new(secret(3)));
        assert!(admission.admit(&previous).is_ok(), "the set before counts within its grace time");
        for stranger in [2, 4] {
            let stranger = claim(&ConsensusIdentity::new(secret(stranger)));
            assert_eq!(admission.admit(&stranger), Err(Refusal::UnknownKey), "jailed, or in no set");
        }
        let stolen = Claim { binding: [6; 32], ..operator };
        assert_eq!(admission.admit(&stolen), Err(Refusal::BadSignature), "signed for another connection");

        let own = claim(&SubmitterIdentity::new(submitter.clone()));
        assert_eq!(admission.admit(&own), Ok(Role::Aggregator(submitter.address().into_array())));
        let other = claim(&SubmitterIdentity::new(PrivateKeySigner::random()));
        assert_eq!(admission.admit(&other), Err(Refusal::UnknownKey));
        let forged = Claim { key: submitter.address().to_vec(), ..other };
        assert_eq!(admission.admit(&forged), Err(Refusal::BadSignature));
    }
}
