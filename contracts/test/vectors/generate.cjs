// Vectors from independent implementations: @noble/curves for BLS12-381, ethers for EIP-712 and ABI coding.
//   node contracts/test/vectors/generate.cjs          writes bls.json, eip712.json and committee.json beside this file
// The forge tests and the Rust core read the same files. Nothing here is random.
"use strict";
const fs = require("fs");
const path = require("path");
const { bls12_381: bls } = require("@noble/curves/bls12-381");
const { AbiCoder, TypedDataEncoder, keccak256, toUtf8Bytes, concat, zeroPadValue, toBeHex, computeAddress, SigningKey } = require("ethers");

const coder = AbiCoder.defaultAbiCoder();
const write = (name, value) => fs.writeFileSync(path.join(__dirname, name), JSON.stringify(value, null, 2) + "\n");
const hex = (n, bytes) => n.toString(16).padStart(2 * bytes, "0");
const G1 = bls.G1.ProjectivePoint, G2 = bls.G2.ProjectivePoint;
const R = bls.fields.Fr.ORDER;

// Two encodings: EIP-2537 (64 bytes per Fp, Fp2 as c0, c1) and plain uncompressed (48 bytes per Fp, Fp2 as c1, c0: blst, zkcrypto).
const g1 = (p) => { const a = p.toAffine(); return { eip2537: "0x" + hex(a.x, 64) + hex(a.y, 64), uncompressed: "0x" + hex(a.x, 48) + hex(a.y, 48) }; };
const g2 = (p) => { const a = p.toAffine(); return {
  eip2537: "0x" + [a.x.c0, a.x.c1, a.y.c0, a.y.c1].map((v) => hex(v, 64)).join(""),
  uncompressed: "0x" + [a.x.c1, a.x.c0, a.y.c1, a.y.c0].map((v) => hex(v, 48)).join(""),
}; };
const hashToG1 = (message, dst) => G1.fromAffine(bls.G1.hashToCurve(message, { DST: dst }).toAffine());
const bytes = (h) => Uint8Array.from(Buffer.from(h.slice(2), "hex"));

// ------------------------------------------------------------------ BLS
const dst = {
  vote: "DITTO-V01-VOTE-BLS12381G1_XMD:SHA-256_SSWU_RO_POP_",
  possession: "DITTO-V01-POSSESSION-BLS12381G1_XMD:SHA-256_SSWU_RO_POP_",
};
const secretKeys = [1n, 2n, 0x263dbd792f5b1be47ed85f8938c0f29586af0d3ac7b977f21c278fe1462040e3n, R - 1n].concat(
  ["a", "b", "c", "d"].map((s) => BigInt(keccak256(toUtf8Bytes("ditto vector " + s))) % R));
const messages = ["", "vote", "another vote"].map((s) => keccak256(toUtf8Bytes(s)));
const chainId = 31337n, obls = "0x00000000000000000000000000000000000b1500";
const blsVectors = { dst, infinity: { g1: "0x" + "00".repeat(128), g2: "0x" + "00".repeat(256) }, hashes: [], keys: [], votes: [], possessions: [], aggregates: [] };
for (const [name, tag] of Object.entries(dst)) for (const message of messages)
  blsVectors.hashes.push({ dst: name, message, point: g1(hashToG1(bytes(message), tag)) });
for (const sk of secretKeys) blsVectors.keys.push({ secretKey: "0x" + hex(sk, 32), publicKey: g2(G2.BASE.multiply(sk)) });
secretKeys.forEach((sk, i) => {
  const message = messages[i % messages.length];
  blsVectors.votes.push({ key: i, message, signature: g1(hashToG1(bytes(message), dst.vote).multiply(sk)) });
  const controller = "0x" + hex(BigInt(0xc0 + i), 20);
  const encoded = coder.encode(["address", "uint256", "address", "bytes"], [controller, chainId, obls, g2(G2.BASE.multiply(sk)).eip2537]);
  const digest = keccak256(encoded);
  blsVectors.possessions.push({ key: i, controller, chainId: Number(chainId), obls, message: digest, signature: g1(hashToG1(bytes(digest), dst.possession).multiply(sk)) });
});
for (const members of [[4], [4, 5], [4, 5, 6], [4, 5, 6, 7]]) {
  const sum = members.reduce((s, i) => (s + secretKeys[i]) % R, 0n);
  blsVectors.aggregates.push({ members, message: messages[1], publicKey: g2(G2.BASE.multiply(sum)), signature: g1(hashToG1(bytes(messages[1]), dst.vote).multiply(sum)) });
}
for (const v of blsVectors.aggregates) { // the vectors themselves hold
  const p = bls.pairing(G1.fromAffine(hashToG1(bytes(v.message), dst.vote).toAffine()), G2.BASE.multiply(v.members.reduce((s, i) => (s + secretKeys[i]) % R, 0n)));
  const sum = v.members.reduce((s, i) => s.add(hashToG1(bytes(v.message), dst.vote).multiply(secretKeys[i])), G1.ZERO);
  if (!bls.fields.Fp12.eql(p, bls.pairing(sum, G2.BASE))) throw new Error("aggregate vector does not verify");
}
// Points on the curves that are not in the prime-order subgroups (the first x that has one).
const outside = (Point, Fp, b, x) => {
  for (let i = 1n; ; i++) {
    const X = x(i), y2 = Fp.add(Fp.mul(Fp.sqr(X), X), b);
    let y; try { y = Fp.sqrt(y2); } catch { continue; }
    const p = Point.fromAffine({ x: X, y });
    if (!p.isTorsionFree()) return p;
  }
};
const { Fp, Fp2 } = bls.fields;
blsVectors.outsideSubgroup = {
  g1: g1(outside(G1, Fp, 4n, (i) => i)).eip2537,
  g2: g2(outside(G2, Fp2, Fp2.fromBigTuple([4n, 4n]), (i) => Fp2.fromBigTuple([i, 0n]))).eip2537,
};
write("bls.json", blsVectors);

// ------------------------------------------------------------------ EIP-712
const center = "0x00000000000000000000000000000000000ce27e";
const domain = { name: "Ditto", version: "1", chainId: Number(chainId), verifyingContract: center };
const types = {
  Proposal: [["uint64", "slot"], ["uint32", "setId"], ["uint16", "taskDefinitionId"], ["address", "performer"], ["address", "aggregator"], ["bytes32", "pins"], ["bytes32", "tasks"], ["uint256", "targetChainId"]],
  UserOpConsent: [["bytes32", "userOpHash"], ["address", "smartAccount"], ["address", "sessionKey"], ["uint256", "sessionNonce"], ["uint48", "validAfter"], ["uint48", "validUntil"], ["uint256", "targetChainId"]],
  UserOpRejection: [["bytes32", "userOpHash"], ["address", "smartAccount"], ["uint8", "reason"]],
  VerdictBatch: [["bytes32", "proposal"], ["UserOpConsent[]", "approved"], ["UserOpRejection[]", "rejected"]],
};
const fields = Object.fromEntries(Object.entries(types).map(([n, f]) => [n, f.map(([type, name]) => ({ type, name }))]));
const pick = (name) => name === "VerdictBatch" ? { VerdictBatch: fields.VerdictBatch, UserOpConsent: fields.UserOpConsent, UserOpRejection: fields.UserOpRejection } : { [name]: fields[name] };
const digest = (name, value) => TypedDataEncoder.hash(domain, pick(name), value);
const structHash = (name, value) => TypedDataEncoder.hashStruct(name, pick(name), value);
const typehash = (name) => keccak256(toUtf8Bytes(TypedDataEncoder.from(pick(name)).encodeType(name)));
const h = (s) => keccak256(toUtf8Bytes(s));
const occurrence = (workflow, slot) => ((BigInt(workflow) << 64n) | BigInt(slot)).toString();

// One operation from its fields to its consent, EntryPoint v0.7.
const entryPoint = "0x0000000071727De22E5E9d8BAf0edAc6f37da032";
const session = { sessionKey: "0x5e55000000000000000000000000000000000001", sessionNonce: occurrence(7, 1234), validAfter: 1700000000, validUntil: 1700000600 };
const both = (a, b) => concat([zeroPadValue(toBeHex(a), 16), zeroPadValue(toBeHex(b), 16)]);
const operation = {
  sender: "0xacc0000000000000000000000000000000000001",
  nonce: ((0xd1770n << 96n) | (5n << 64n) | 3n).toString(),
  initCode: "0x", callData: "0xe9ae5c53deadbeef", accountGasLimits: both(120000, 200000), preVerificationGas: 60000,
  gasFees: both(1000000000, 2000000000), paymasterAndData: "0x",
  signature: concat([session.sessionKey, zeroPadValue(toBeHex(BigInt(session.sessionNonce)), 32), zeroPadValue(toBeHex(session.validAfter), 6), zeroPadValue(toBeHex(session.validUntil), 6)]),
};
const inner = keccak256(coder.encode(["address", "uint256", "bytes32", "bytes32", "bytes32", "uint256", "bytes32", "bytes32"],
  [operation.sender, operation.nonce, keccak256(operation.initCode), keccak256(operation.callData), operation.accountGasLimits, operation.preVerificationGas, operation.gasFees, keccak256(operation.paymasterAndData)]));
const userOpHash = keccak256(coder.encode(["bytes32", "address", "uint256"], [inner, entryPoint, chainId]));

const consents = [
  { userOpHash, smartAccount: operation.sender, ...session, targetChainId: Number(chainId) },
  { userOpHash: h("second"), smartAccount: "0xacc0000000000000000000000000000000000002", sessionKey: "0x5e55000000000000000000000000000000000002", sessionNonce: occurrence("18446744073709551615", "18446744073709551615"), validAfter: 0, validUntil: "281474976710655", targetChainId: Number(chainId) },
  { userOpHash: h("third"), smartAccount: "0xacc0000000000000000000000000000000000003", sessionKey: "0x5e55000000000000000000000000000000000003", sessionNonce: occurrence(1, 0), validAfter: 1, validUntil: 0, targetChainId: 1 },
].map((c) => ({ ...c, smartAccount: c.smartAccount.toLowerCase(), sessionKey: c.sessionKey.toLowerCase() }));
const rejections = [
  { userOpHash: h("refused"), smartAccount: "0xacc0000000000000000000000000000000000004", reason: 1 },
  { userOpHash: h("refused too"), smartAccount: "0xacc0000000000000000000000000000000000005", reason: 254 },
];
const proofs = [h("proof 0"), h("proof 1"), h("proof 2")];
const batchHashes = [
  keccak256(concat([consents[0].userOpHash, proofs[0], rejections[0].userOpHash, proofs[1]])),
  keccak256(concat([consents[1].userOpHash, proofs[2]])),
];
const performerKey = h("performer");
const proposals = [
  { slot: 1234, setId: 1, taskDefinitionId: 7, performer: computeAddress(performerKey), aggregator: "0x000000000000000000000000000000000000a99e", pins: h("pins"), tasks: keccak256(concat(batchHashes)), targetChainId: Number(chainId) },
  { slot: "18446744073709551615", setId: 4294967295, taskDefinitionId: 65535, performer: "0xffffffffffffffffffffffffffffffffffffffff", aggregator: "0x0000000000000000000000000000000000000000", pins: h(""), tasks: h("tasks"), targetChainId: "115792089237316195423570985008687907853269984665640564039457584007913129639935" },
];
const batches = [
  { proposal: digest("Proposal", proposals[0]), approved: consents, rejected: rejections },
  { proposal: digest("Proposal", proposals[0]), approved: [consents[0]], rejected: [] },
  { proposal: digest("Proposal", proposals[1]), approved: [], rejected: rejections },
  { proposal: h("nothing"), approved: [], rejected: [] },
];
const all = (name, list) => list.map((value) => ({ value, structHash: structHash(name, value), digest: digest(name, value) }));
write("eip712.json", {
  domain, domainSeparator: TypedDataEncoder.hashDomain(domain),
  typehashes: Object.fromEntries(Object.keys(types).map((n) => [n, typehash(n)])),
  proposals: all("Proposal", proposals), consents: all("UserOpConsent", consents), rejections: all("UserOpRejection", rejections), verdicts: all("VerdictBatch", batches),
  performerSignature: { secretKey: performerKey, digest: digest("Proposal", proposals[0]), signature: new SigningKey(performerKey).sign(digest("Proposal", proposals[0])).serialized },
  batchHashes: { tasks: [{ userOpHash: consents[0].userOpHash, proof: proofs[0], batch: 0 }, { userOpHash: rejections[0].userOpHash, proof: proofs[1], batch: 0 }, { userOpHash: consents[1].userOpHash, proof: proofs[2], batch: 1 }], hashes: batchHashes, tasksHash: proposals[0].tasks },
  userOperation: { entryPoint, chainId: Number(chainId), operation, userOpHash, consent: structHash("UserOpConsent", consents[0]) },
});

// ---------------------------------------------------------------- committees
// By the definition: every unit of eligible power has an owner, in the set's order; seat j's point lies on the j-th stretch.
const committee = ({ powers, minimumPower, seats, randomness, setId, slot, taskDefinitionId }) => {
  const line = powers.map((power, member) => ({ member, power: BigInt(power) })).filter(({ power }) => power >= BigInt(minimumPower));
  const total = line.reduce((sum, { power }) => sum + power, 0n);
  const ownerOf = (point) => {
    for (const { member, power } of line) {
      if (point < power) return member;
      point -= power;
    }
    throw new Error("beyond the line");
  };
  const seed = keccak256(coder.encode(["bytes32", "bytes32", "uint32", "uint64", "uint16"], [h("DITTO-V01-COMMITTEE"), randomness, setId, slot, taskDefinitionId]));
  const k = BigInt(seats);
  const owners = line.length <= seats || seats === 0 ? [] : Array.from({ length: seats }, (_, j) => {
    // in k-ths of a unit; a point belongs to the unit that it lies in
    return ownerOf((BigInt(j) * total + BigInt(keccak256(coder.encode(["bytes32", "uint256"], [seed, j]))) % total) / k);
  });
  return { powers: powers.map(String), minimumPower: String(minimumPower), seats, randomness, setId, slot: String(slot), taskDefinitionId, seed, owners };
};
const drawn = { randomness: h("randomness"), setId: 1, slot: 50, taskDefinitionId: 1, minimumPower: 0 };
const most = (1n << 96n) - 1n;
write("committee.json", {
  cases: [
    { ...drawn, powers: Array(7).fill(100), seats: 4 },
    { ...drawn, powers: Array(7).fill(100), seats: 4, slot: 51 },
    { ...drawn, powers: Array(7).fill(100), seats: 4, taskDefinitionId: 2 },
    { ...drawn, powers: Array(7).fill(100), seats: 4, setId: 2 },
    { ...drawn, powers: Array(7).fill(100), seats: 4, randomness: h("other") },
    { ...drawn, powers: Array(7).fill(100), seats: 7 }, // everybody: no draw
    { ...drawn, powers: Array(7).fill(100), seats: 0 },
    { ...drawn, powers: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12], seats: 5, minimumPower: 4 },
    { ...drawn, powers: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12], seats: 9, minimumPower: 4 }, // nine have it
    { ...drawn, powers: [1, 1, 1, 1, 1], seats: 4 }, // stretches that end within a unit
    { ...drawn, powers: [1000000, 1, 1, 1, 1, 1], seats: 5 }, // one has nearly all
    { ...drawn, powers: [most - 3n, 1, 1, 1], seats: 3 }, // as much power as there can be
    { ...drawn, powers: Array.from({ length: 300 }, (_, i) => 1000000007n * BigInt(i * i % 97 + 1)), seats: 64, slot: "18446744073709551615", setId: 4294967295, taskDefinitionId: 65535 },
    { ...drawn, powers: Array.from({ length: 300 }, (_, i) => 1000000007n * BigInt(i * i % 97 + 1)), seats: 256 },
  ].map(committee),
});
console.log("vectors written");
