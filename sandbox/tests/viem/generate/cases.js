// The cases: expressions over viem's exports, as text. Random ones come from a fixed seed.
import { randomCases } from "./random.js";

const A = "0xd8dA6BF26964aF9D7eEd9e03E53415D37aA96045";
const LOWER = A.toLowerCase();
const WRONG = "0xd8dA6BF26964aF9D7eEd9e03E53415D37aA96046";
const THREE = "0x3333333333333333333333333333333333333333";

const q = (value) => JSON.stringify(value);

export function* cases() {
  for (const part of [constants, bytes, numbers, texts, units, addresses, signatures, selectors, encoding, decoding, packed, functions, overloads, events, typedData, randomCases]) {
    for (const one of part()) yield typeof one === "string" ? { code: one } : one;
  }
}

function* constants() {
  yield* ["zeroAddress", "maxUint256", "zeroHash"];
}

function* bytes() {
  for (const hex of ["0x", "0x0", "0x1", "0x12", "0x123", "0x00", "0xAbCd", `0x${"ff".repeat(32)}`, `0x${"ff".repeat(33)}`]) {
    yield* [`keccak256(${q(hex)})`, `size(${q(hex)})`, `pad(${q(hex)})`, `pad(${q(hex)}, { size: 4 })`, `pad(${q(hex)}, { size: 4, dir: 'right' })`, `pad(${q(hex)}, { size: null })`, `concat([${q(hex)}, '0x01'])`, `concat(['0x01', ${q(hex)}])`];
  }
  yield* ["keccak256(toHex('hello'))", "keccak256('0x01', 'bytes')", "keccak256(Uint8Array.from([1, 2, 3]))", "keccak256(new Uint8Array())", "keccak256(undefined)", "keccak256(5)", "keccak256(null)"];
  yield* ["concat([])", "concat(['0x'])", "concat(['0x', '0x'])", "concat(['0x1', '0x2'])", "concat([Uint8Array.from([1]), Uint8Array.from([2, 3])])", "concat(undefined)"];
  yield { code: "concat([Uint8Array.from([1]), '0x'])", stricter: "text is not bytes" };
  yield* ["pad(Uint8Array.from([1, 2]), { size: 4 })", "pad(Uint8Array.from([1, 2]), { size: 4, dir: 'right' })", "pad(Uint8Array.from([1, 2]), { size: 1 })", "pad(Uint8Array.from([1]))", "pad('0x1', { dir: 'left', size: 1 })", "pad('0x', { size: 0 })", "pad('0x1', { size: 0 })"];
  yield* ["size(Uint8Array.from([1, 2]))", "size(new Uint8Array())"];
  for (const range of ["", ", 0", ", 1", ", 2", ", 3", ", 4", ", 0, 1", ", 1, 2", ", 1, 9", ", 2, 1", ", -1", ", -2, -1", ", 0, 0", ", undefined, 2", ", 0, 2, { strict: true }", ", 0, 9, { strict: true }", ", 1, 3, { strict: true }", ", 0, 9, { strict: false }"]) {
    yield* [`slice('0x123456'${range})`, `slice(Uint8Array.from([1, 2, 3])${range})`, `slice('0x'${range})`];
  }
  yield { code: "keccak256('hello')", stricter: "text is not hex" };
  yield { code: "keccak256('0xzz')", stricter: "text is not hex" };
  yield { code: "pad('zz')", stricter: "text is not hex" };
  yield { code: "concat(['0xzz'])", stricter: "text is not hex" };
  yield { code: "slice('0xzz', 0, 1)", stricter: "text is not hex" };
}

function* numbers() {
  const values = ["0", "1", "255", "256", "65535", "-1", "-128", "-129", "0n", "1n", "127n", "128n", "255n", "256n", "-1n", "-128n", "-129n", "maxUint256", "maxUint256 + 1n", "2n ** 255n", "2n ** 255n - 1n", "-(2n ** 255n)", "-(2n ** 255n) - 1n", "9007199254740991", "9007199254740992", "1e21", "1.5", "NaN", "Infinity"];
  for (const value of values) {
    for (const options of ["", ", { size: 1 }", ", { size: 1, signed: true }", ", { size: 32 }", ", { size: 32, signed: true }", ", { signed: true }", ", { size: 0 }"]) {
      yield* [`numberToHex(${value}${options})`, `toHex(${value}${options})`];
    }
  }
  yield* ["numberToHex('5')", "numberToHex('')", "numberToHex('x')", "numberToHex(undefined)", "numberToHex(null)"];
  const hexes = ["0x", "0x0", "0x1", "0x7f", "0x80", "0xff", "0x0100", "0xffff", "0x8000", "0x00ff", "0x1fffffffffffff", "0x20000000000000", `0x${"ff".repeat(32)}`, `0x80${"00".repeat(31)}`, "0xzz"];
  for (const hex of hexes) {
    yield* [`hexToBigInt(${q(hex)})`, `hexToBigInt(${q(hex)}, { signed: true })`, `hexToBigInt(${q(hex)}, { size: 1 })`, `hexToBigInt(${q(hex)}, { size: 32, signed: true })`, `hexToNumber(${q(hex)})`, `hexToNumber(${q(hex)}, { signed: true })`];
    for (const to of ["bigint", "number", "boolean", "bytes", "string"]) yield* [`fromHex(${q(hex)}, '${to}')`, `fromHex(${q(hex)}, { to: '${to}', size: 1 })`, `fromHex(${q(hex)}, { to: '${to}', size: 32 })`];
  }
  yield* ["hexToBigInt(undefined)", "hexToBigInt(null)", "fromHex('0x01', { to: 'number', signed: true })", "fromHex('0xff', { to: 'number', signed: true })", "fromHex('0x0000000000000001', 'boolean')", "fromHex('0x02', 'boolean')", "fromHex('0x00000', 'boolean')"];
  yield { code: "hexToBigInt('12')", stricter: "text is not hex" };
  yield { code: "hexToBigInt('')", stricter: "text is not hex" };
  yield { code: "fromHex('0x01', 'nothing')", stricter: "there is no such target" };
}

function* texts() {
  for (const text of ["", "hello", "Grüße", "😀", "\u0000", "a\u0000b", "\ufeffx", "n5", "\u0000n5"]) {
    yield* [`toHex(${q(text)})`, `toHex(${q(text)}, { size: 8 })`, `toHex(${q(text)}, { size: 2 })`, `hexToString(toHex(${q(text)}))`, `hexToString(toHex(${q(text)}, { size: 16 }), { size: 16 })`, `hexToString(toHex(${q(text)}), { size: 2 })`];
  }
  yield* ["toHex('\\ud800')", "hexToString('0xff')", "hexToString('0xc3')", "hexToString('0x')", "hexToString('0xefbbbf41')", "hexToString('0x41424300', { size: 4 })", "hexToString('0x00', { size: 1 })", "hexToString('0x0000', { size: 2 })", "hexToString('0x410', { size: 4 })"];
  yield* ["toHex(true)", "toHex(false)", "toHex(true, { size: 4 })", "toHex(true, { size: 0 })", "toHex(Uint8Array.from([1, 255]))", "toHex(Uint8Array.from([1, 255]), { size: 4 })", "toHex(Uint8Array.from([1, 255]), { size: 1 })", "toHex(undefined)", "toHex(null)"];
  yield { code: "toHex([1, 2])", stricter: "an array is not bytes" };
  yield { code: "toHex({})", stricter: "an object is not bytes" };
}

function* units() {
  const decimals = ["0", "1", "-0", "-1", "1.", ".5", "-.5", ".", "", "-", "-.", "00.10", "1.5", "1.4", "1.45", "1.449", "1.4999999999999999999999", "0.95", "9.95", "9.949", "9.999", "99.999999999", "0.000001", "-0.000001", "1.0000005", "1.0000004", "0.0000005", "0.99999999999999999999", "123456789012345678901234567890.123456789", "1e18", "0x10", "1,5", " 1", "1 ", "+1", "--1", "1.2.3", "abc", "१", "Infinity"];
  for (const text of decimals) {
    for (const places of [0, 1, 2, 6, 18]) yield `parseUnits(${q(text)}, ${places})`;
    yield* [`parseEther(${q(text)})`, `parseEther(${q(text)}, 'gwei')`];
  }
  yield* ["parseUnits(1, 6)", "parseUnits(1n, 6)", "parseUnits(undefined, 6)", "parseUnits(null, 6)"];
  const values = ["0n", "1n", "-1n", "10n", "-10n", "420n", "69420n", "1000000n", "-1000001n", "1500000000000000000n", "maxUint256", "-maxUint256", "5"];
  for (const value of values) {
    for (const places of [0, 1, 2, 6, 18, 80]) yield `formatUnits(${value}, ${places})`;
    yield* [`formatEther(${value})`, `formatEther(${value}, 'gwei')`, `formatEther(${value}, 'wei')`];
  }
  yield* ["formatUnits(undefined, 2)", "formatEther(null)"];
}

function* addresses() {
  const texts = [A, LOWER, WRONG, A.toUpperCase(), `0x${A.slice(2).toUpperCase()}`, "0x", "0x12", "", "hello", `${A}00`, A.slice(0, -1), `0X${A.slice(2)}`, ` ${A}`, `${A}\n`, A.slice(2), `${LOWER.slice(0, -1)}g`, "vitalik.eth"];
  for (const text of texts) {
    yield* [`isAddress(${q(text)})`, `isAddress(${q(text)}, { strict: false })`, `isAddress(${q(text)}, { strict: true })`, `getAddress(${q(text)})`, `isAddressEqual(${q(text)}, ${q(A)})`, `isAddressEqual(${q(LOWER)}, ${q(text)})`];
  }
  yield* ["isAddress(undefined)", "isAddress(null)", "isAddress(5)", "isAddress({})", "getAddress(undefined)", "getAddress(5)", `getAddress(${q(A)}, 1)`, `getAddress(${q(A)}, 30)`, `getAddress(${q(A)}, 0)`, `getAddress(${q(LOWER)}, 31)`];
  for (const address of [THREE, A, LOWER, WRONG]) {
    for (const nonce of ["0n", "0", "1n", "1", "127n", "128n", "255n", "256n", "65536n", "2n ** 63n", "2n ** 64n - 1n", "-1n", "1.5"]) yield `getContractAddress({ from: ${q(address)}, nonce: ${nonce} })`;
    yield `getContractAddress({ opcode: 'CREATE', from: ${q(address)}, nonce: 5n })`;
    for (const salt of ["'0x01'", "'0x'", "'0x123'", "'hello'", "Uint8Array.from([1, 2])", `'0x${"ab".repeat(32)}'`, `'0x${"ab".repeat(33)}'`, `toHex('salt', { size: 32 })`]) {
      yield* [`getContractAddress({ opcode: 'CREATE2', from: ${q(address)}, salt: ${salt}, bytecode: '0x6394198df16000526103ff60206004601c335afa6040516060f3' })`, `getContractAddress({ opcode: 'CREATE2', from: ${q(address)}, salt: ${salt}, bytecodeHash: keccak256('0x60') })`];
    }
    yield* [`getContractAddress({ opcode: 'CREATE2', from: ${q(address)}, salt: '0x01', bytecode: Uint8Array.from([1, 2]) })`, `getContractAddress({ opcode: 'CREATE2', from: ${q(address)}, salt: '0x01', bytecodeHash: keccak256('0x60', 'bytes') })`];
  }
  yield* ["getContractAddress({ from: '0x12', nonce: 1n })", "getContractAddress({})", `getContractAddress({ opcode: 'CREATE2', from: ${q(A)}, salt: '0x01' })`];
  yield { code: `getContractAddress({ opcode: 'CREATE2', from: ${q(A)}, salt: '0x01', bytecodeHash: '0x12' })`, stricter: "a hash has 32 bytes" };
  yield { code: `getContractAddress({ from: ${q(A)}, nonce: undefined })`, stricter: "nothing is not a nonce" };
  yield { code: `getContractAddress({ from: ${q(A)}, nonce: null })`, stricter: "nothing is not a nonce" };
  yield { code: `getContractAddress({ from: ${q(A)}, nonce: 2n ** 64n })`, stricter: "a nonce has 64 bits (EIP-2681)" };
}

function* signatures() {
  const good = [
    "function f()", "function f(uint256)", "function f(uint a, int b)", "function transfer(address to, uint256 amount) returns (bool)",
    "function f() view returns (uint256 a, address b)", "function f() external", "function f() public view", "function f() external payable returns (bool)",
    "function f() pure", "function f() nonpayable", "function f() payable", "function f() returns(uint256)", "function f() returns ()",
    "function f(uint256[] a, bytes32[2][] b)", "function f((uint256 a, address b) x)", "function f((uint256,address))", "function f(((uint8 x, bool y)[2] p, string q)[] r)",
    "function f(string memory a, bytes calldata b, uint256[] storage c)", "function f((uint256 a) memory x)", "function f(address payable to)", "function $_f1($uint x)",
    "event Transfer(address indexed from, address indexed to, uint256 value)", "event E()", "event E(uint256)", "event E(string indexed s, (uint256 a) t)", "event E(uint256 indexed)",
    "error Bad()", "error Bad(address who, uint256 code)", "constructor()", "constructor(address owner, uint256 x)", "constructor(uint256 x) payable",
    "fallback() external", "fallback() external payable", "receive() external payable",
    "function f(uint256 a,uint256 b)", "function f( uint256 a )", "function f(uint256 a , uint256 b)", "function f(uint256 a,)", "function f( )", "function f(function x)", "function f(bool, string, bytes, bytes1, int8, uint248)",
    "function _(uint256 _)", "function f(uint256 _a1$)", "function f(uint256 a) external view returns ((uint256 x, (address y, bool z)[] w) out, bytes)",
  ];
  const bad = [
    "", " ", "f()", "function", "function f", "function f(", "function f)", "function f())", "function f(()", "function ()", "function 1f()", "function f-g()", "function f() foo", "function f() view external", "function f()  view",
    " function f()", "function f() ", "function  f()", "function f(uint7 a)", "function f(uint257)", "function f(uint0)", "function f(bytes33)", "function f(bytes0)", "function f(foo a)", "function f(uint256 address)", "function f(uint256 memory)",
    "function f(uint256 memory a)", "function f(address indexed a)", "function f(uint256  a)", "function f(uint256 a b)", "function f(uint256 a, , uint256 b)", "function f(,)", "function f(uint256 a; uint256 b)", "function f(uint256[ a)", "function f(uint256] a)", "function f(uint256[x] a)", "function f(uint256[-1] a)",
    "function f(()) ", "function f(() x)", "function f(((uint256 a) b)", "function f(tuple x)", "function f(uint256 returns)", "function f(uint256 a) returns", "function f(uint256 a) returns (", "function f(uint256 a) return (bool)", "function f() view view", "function f() view pure",
    "event Transfer(address calldata from)", "event E() anonymous", "event E", "error Bad(uint256 indexed a)", "error Bad() returns (bool)", "constructor() external", "constructor(string memory s)", "constructor()  payable", "fallback()", "fallback() payable", "fallback(bytes) external", "receive() external", "receive()", "modifier m()",
    "struct S { uint256 a; }", "struct S {}", "function f(uint payable x)", "function f(address payable[] x)", "function f(uint256 é)", "function f(\nuint256 a)", "function f(mapping m)", "function f(uint256 a) virtual", "interface I", "function f(uint256 1a)", "function f(uint256[]a)", "function f((uint256 a) memory indexed x)",
  ];
  for (const text of [...good, ...bad]) yield* [`parseAbi([${q(text)}])`, `parseAbiItem(${q(text)})`, `parseAbiItem([${q(text)}])`];
  const lists = [
    ["struct A { uint256 x; }", "function f(A a)"], ["function f(A a) returns (A)", "struct A { uint x; address[2] y; }"], ["struct A { B b; }", "struct B { uint256 x; }", "function f(A[] calldata a, B b)"],
    ["struct A { B[] b; C c; }", "struct B { C c; bytes d; }", "struct C { string e }", "event E(A a, B indexed b)", "error Bad(C c)"], ["struct A { A a; }"], ["struct A { B b; }", "struct B { A a; }"], ["struct A { C c; }"], ["struct A { uint256 x; uint256 x; }", "function f(A a)"],
    ["struct A { (uint256 a) b; }"], ["struct A { uint256; }", "function f(A)"], ["struct A { uint256 a }", "function f(A x)"], ["struct A { address payable p; }", "function f(A x)"], ["struct A { bytes memory b; }"], ["struct A{ uint256 a; }", "function f(A x)"], ["struct A { }", "function f()"], ["struct A { uint256 a; }"],
    ["struct A { uint256 a; }", "function f((A a, uint256 b) c)"], ["struct A { uint256 a; }", "function f(A memory a) returns (A[2] memory)"], ["struct A { uint256 a; }", "constructor(A a)"], [], ["function a()", "event b()", "error c()"], ["function a()", "function a(uint256)"], ["function f(B b)", "struct A { uint256 a; }"],
    ["struct address { uint256 a; }", "function f()"], ["struct A { uint256 address; }", "function f(A a)"],
  ];
  for (const list of lists) yield* [`parseAbi(${q(list)})`, `parseAbiItem(${q(list)})`];
  for (const text of ["uint256", "uint256 a, address b", "(uint256 a, bool)[] x", "address indexed a, string memory b", "", " ", ",", "uint256,", "foo", "uint256 a b", "bytes calldata", "uint256 memory a", "uint a, int8[2] b"]) yield* [`parseAbiParameters(${q(text)})`, `parseAbiParameters([${q(text)}])`];
  yield* ["parseAbiParameters(['uint256 a, A b', 'struct A { bool c; }', 'string d'])", "parseAbiParameters([])", "parseAbi(undefined)", "parseAbiItem(undefined)", "parseAbi('function f()')"];
}

function* selectors() {
  const texts = ["transfer(address,uint256)", "function transfer(address to, uint256 amount)", "function transfer(address to, uint256 amount) returns (bool)", "balanceOf(address)", "function f((uint256 a, address b)[] x, bytes y) view returns (uint256)", "f()", "function f()", "f((uint256,(bool,string)[2])[])", "f(uint256 a,uint256 b)", "f(uint256, uint256)", "event Transfer(address indexed from, address indexed to, uint256 value)", "Transfer(address,address,uint256)", "event E(string indexed s, uint256)", "f(uint a)", "function f(uint256 a, (uint256 b, bool c) d) payable", "f", "", "f(", "function", "f(uint256 a) f(uint256 b)"];
  for (const text of texts) yield* [`toFunctionSelector(${q(text)})`, `toEventSelector(${q(text)})`];
  for (const text of ["function transfer(address to, uint256 amount) returns (bool)", "event Transfer(address indexed from, address indexed to, uint256 value)", "function f((uint256 a, (bool b)[2] c)[] d)"]) yield* [`toFunctionSelector(parseAbiItem(${q(text)}))`, `toEventSelector(parseAbiItem(${q(text)}))`];
  yield* ["toFunctionSelector({ type: 'function', name: 'f', inputs: [{ type: 'uint' }] })", "toFunctionSelector({ type: 'function', name: 'f' })", "toFunctionSelector(undefined)"];
  for (const text of ["error Bad(uint256 x)", "constructor(uint256 x)", "receive() external payable"]) yield { code: `toFunctionSelector(parseAbiItem(${q(text)}))`, stricter: "only functions and events have one; viem hashes the keyword too" };
  yield { code: "toFunctionSelector({})", stricter: "only functions and events have one" };
  yield { code: "toFunctionSelector('error Bad(uint256)')", stricter: "viem hashes the word error too" };
}

/** Values for one type each, right and wrong. */
const VALUES = {
  uint8: ["0", "255", "0n", "255n", "256", "256n", "-1", "-1n", "1.5", "'5'", "'0x10'", "' 7 '", "''", "'x'", "'-1'", "'1_0'", "null", "undefined", "NaN"],
  uint256: ["maxUint256", "maxUint256 + 1n", "1e21", "'115792089237316195423570985008687907853269984665640564039457584007913129639935'", "'0b101'", "'0o17'", "'-0x5'", "'1e3'", "9007199254740993", "[5, 6]", "{}"],
  uint: ["5n", "-5n"],
  int8: ["127", "-128", "128", "-129", "-1n", "'-128'", "'+5'"],
  int256: ["2n ** 255n - 1n", "2n ** 255n", "-(2n ** 255n)", "-(2n ** 255n) - 1n", "0"],
  int: ["-5n"],
  bool: ["true", "false", "1", "0", "'true'", "null", "undefined"],
  address: [q(A), q(LOWER), q(WRONG), `'0x${A.slice(2).toUpperCase()}'`, "zeroAddress", "'0x12'", "''", "5n", "null", "undefined"],
  bytes: ["'0x'", "'0x12'", `'0x${"ab".repeat(32)}'`, `'0x${"ab".repeat(33)}'`, "Uint8Array.from([1, 2])", "5", "null", "undefined"],
  bytes4: ["'0x12345678'", "'0x1234567'.slice(0, 8)", "'0x123456'", "'0x1234567890'", "'0x'", "null"],
  bytes32: [`'0x${"cd".repeat(32)}'`, "zeroHash", "toHex('a', { size: 32 })", "'0x01'"],
  string: ["''", "'hello'", "'Grüße 😀'", "'a'.repeat(31)", "'a'.repeat(32)", "'a'.repeat(33)", "'\\0'", "'\\0n5'", "'n5'", "'\\ud800'", "'5'"],
  "uint256[]": ["[]", "[1n]", "[1n, 2n, 3n]", "5n", "'0x'", "null", "{}", "['x']"],
  "uint256[2]": ["[1n, 2n]", "[1n]", "[1n, 2n, 3n]", "[]"],
  "uint256[0]": ["[]", "[1n]"],
  "string[]": ["[]", "['a']", "['a', 'bb'.repeat(40), '']", "'abc'"],
  "string[2]": ["['a', 'b']", "['a']"],
  "uint8[2][]": ["[]", "[[1, 2]]", "[[1, 2], [3, 4]]", "[[1]]"],
  "bytes[][2]": ["[[], ['0x12']]", "[['0x'], ['0x01', '0x02']]"],
  "bytes4[]": ["['0x12345678', '0xabcdef01']"],
  "bool[3]": ["[true, false, true]"],
  "address[]": [`[${q(A)}, ${q(THREE)}]`, `[${q(WRONG)}]`],
};

const STRICTER = [
  ["bytes", "'0x123'", "half a byte is a mistake"],
  ["bytes4", "'0x1234567'", "half a byte is a mistake"],
  ["bytes", "'abc'", "text is not hex"],
  ["bytes", "'0xzz'", "text is not hex"],
  ["string", "5", "a number is not text"],
  ["string", "5n", "a number is not text"],
  ["string", "true", "a boolean is not text"],
  ["string", "null", "nothing is not text"],
  ["string", "undefined", "nothing is not text"],
  ["uint8", "true", "a boolean is not a number"],
  ["uint256", "[5]", "a list is not a number"],
  ["uint7", "5n", "there is no such type"],
];

function* encoding() {
  // Bytes keep the case they were written in, in viem; here they come out in lower case, so the digits are compared.
  yield* ["encodeAbiParameters([{ type: 'bytes4' }], ['0xABCDEF01']).toLowerCase()", "encodeAbiParameters([{ type: 'bytes' }], ['0xABCDEF01']).toLowerCase()", "encodePacked(['bytes', 'bytes4'], ['0xAB', '0xABCDEF01']).toLowerCase()"];
  for (const [type, values] of Object.entries(VALUES)) {
    for (const value of values) yield `encodeAbiParameters([{ type: '${type}' }], [${value}])`;
  }
  for (const [type, value, stricter] of STRICTER) yield { code: `encodeAbiParameters([{ type: '${type}' }], [${value}])`, stricter };
  const lists = [
    ["[]", "[]"], ["[]", "[1n]"], ["[{ type: 'uint256' }]", "[]"], ["[{ type: 'uint256' }]", "[1n, 2n]"], ["[{ type: 'foo' }]", "[1n]"], ["[{ type: 'function' }]", "['0x']"], ["[{ type: 'bytes33' }]", "['0x']"],
    ["[{ type: 'string' }, { type: 'uint256' }, { type: 'bytes' }]", "['a', 1n, '0x12']"], ["[{ type: 'uint256', name: 'x' }, { type: 'string[]' }, { type: 'bool' }]", "[1n, ['a', 'b'], true]"],
    ["parseAbiParameters('(uint256 a, address b) x')", `[{ a: 1n, b: ${q(THREE)} }]`], ["parseAbiParameters('(uint256 a, address b) x')", `[{ b: ${q(THREE)}, a: 1n, c: 5 }]`], ["parseAbiParameters('(uint256 a, address b) x')", `[[1n, ${q(THREE)}]]`], ["parseAbiParameters('(uint256 a, address b) x')", "[{ a: 1n }]"], ["parseAbiParameters('(uint256 a, address b) x')", "[[1n]]"], ["parseAbiParameters('(uint256 a, address b) x')", "[null]"], ["parseAbiParameters('(uint256 a, address b) x')", "[5n]"],
    ["parseAbiParameters('(uint256, address)')", `[[1n, ${q(THREE)}]]`], ["parseAbiParameters('(uint256 a, string b)[] x')", "[[{ a: 1n, b: 'x' }, { a: 2n, b: '' }]]"], ["parseAbiParameters('(uint256 a, string b)[2] x')", "[[{ a: 1n, b: 'x' }, { a: 2n, b: '' }]]"], ["parseAbiParameters('(uint256 a, bool b)[2] x')", "[[{ a: 1n, b: true }, { a: 2n, b: false }]]"],
    ["parseAbiParameters('((bytes a, (uint8 b)[] c) d, string[2][] e) x')", "[{ d: { a: '0x12', c: [{ b: 1 }, { b: 2 }] }, e: [['a', 'b'], ['c', 'd']] }]"], ["[{ type: 'tuple', components: [] }]", "[[]]"], ["[{ type: 'tuple', components: [] }]", "[{}]"], ["[{ type: 'tuple' }]", "[[]]"],
    ["undefined", "[]"], ["[{ type: 'uint256' }]", "undefined"],
  ];
  for (const [types, values] of lists) {
    if (types === "[{ type: 'tuple' }]") continue;
    yield `encodeAbiParameters(${types}, ${values})`;
  }
}

const w = (...words) => q(`0x${words.map((word) => (typeof word === "number" ? word.toString(16) : word)).map((word) => word.padStart(64, "0")).join("")}`);
const ff = "f".repeat(64);

function* decoding() {
  const right = [
    ["uint8", w(7)], ["uint8", w(256)], ["uint48", w("1fffffffffffff")], ["uint48", w("20000000000000")], ["uint56", w(7)], ["uint256", w(ff)], ["int8", w(ff)], ["int8", w(128)], ["int48", w(ff)], ["int56", w(ff)], ["int256", w(`8${"0".repeat(63)}`)],
    ["bool", w(0)], ["bool", w(1)], ["bool", w(2)], ["bool", w(ff)], ["address", w(A.slice(2))], ["address", w(ff)], ["bytes4", q(`0x12345678${"0".repeat(56)}`)], ["bytes4", w(ff)], ["bytes32", w(ff)],
    ["bytes", w(32, 0)], ["bytes", w(32, 2, `1234${"0".repeat(60)}`)], ["bytes", `'0x${"0".repeat(62)}20${"0".repeat(63)}21234'`], ["string", w(32, 2, `6869${"0".repeat(60)}`)], ["string", w(32, 2, `ff41${"0".repeat(60)}`)], ["string", w(32, 4, `efbbbf41${"0".repeat(56)}`)], ["string", w(32, 0)],
    ["uint256[]", w(32, 0)], ["uint256[]", w(32, 2, 5, 6)], ["uint256[2]", w(5, 6)], ["uint8[2][]", w(32, 1, 5, 6)], ["string[]", w(32, 1, 32, 1, `41${"0".repeat(62)}`)], ["string[2]", w(32, 64, 128, 1, `41${"0".repeat(62)}`, 1, `42${"0".repeat(62)}`)], ["bool[]", w(32, 2, 1, 0)],
    // More data than the types take, and data that several pointers share.
    ["uint8", w(7, 8)], ["uint256", w(7, 8, 9)], ["string[]", w(32, 2, 64, 64, 1, `41${"0".repeat(62)}`)],
  ];
  const wrong = [
    ["uint256", "'0x'"], ["uint256", "'0x01'"], ["uint256", `'0x${"0".repeat(62)}'`], ["bytes", w(32)], ["bytes", w(32, 5)], ["bytes", w(32, 33, 0)], ["bytes", w(ff)], ["bytes", w(32, ff)], ["bytes", w(1000, 0)], ["string", w(32, 33, 0)], ["uint256[]", w(32)], ["uint256[]", w(32, 2, 5)], ["uint256[]", w(32, ff)], ["uint256[]", w(ff)], ["uint256[2]", w(5)], ["string[]", w(32, 1, 1000)], ["string[]", w(32, 2, 64)], ["foo", w(1)], ["function", w(1)], ["uint256", "'0xzz'"], ["uint256", "undefined"], ["uint256", "5"],
  ];
  for (const [type, data] of [...right, ...wrong]) yield `decodeAbiParameters([{ type: '${type}' }], ${data})`;
  yield* [
    "decodeAbiParameters([], '0x')", `decodeAbiParameters([], ${w(1)})`, "decodeAbiParameters([], '0x01')", `decodeAbiParameters([{ type: 'uint8' }, { type: 'bool' }], ${w(1, 1)})`, `decodeAbiParameters([{ type: 'uint8' }, { type: 'bool' }], ${w(1)})`, `decodeAbiParameters([{ type: 'uint8' }], new Uint8Array(32))`,
    `decodeAbiParameters(parseAbiParameters('(uint256 a, uint32 b) x'), ${w(5, 6)})`, `decodeAbiParameters(parseAbiParameters('(uint256, uint32 b) x'), ${w(5, 6)})`, `decodeAbiParameters(parseAbiParameters('(uint256 b, uint32 a) x, bool y'), ${w(5, 6, 1)})`, `decodeAbiParameters(parseAbiParameters('(uint256 z, string a)[] x'), ${w(32, 1, 32, 5, 64, 1, `41${"0".repeat(62)}`)})`,
    `decodeAbiParameters(parseAbiParameters('(uint256 hasOwnProperty, uint256 toString, uint256 length) x'), ${w(1, 2, 3)})`, `decodeAbiParameters(parseAbiParameters('uint256 a, string b'), encodeAbiParameters(parseAbiParameters('uint256 a, string b'), [1n, 'x']))`,
    `decodeAbiParameters([{ type: 'tuple', components: [] }, { type: 'uint8' }], ${w(5)})`, `decodeAbiParameters([{ type: 'uint256[0]' }, { type: 'uint8' }], ${w(5)})`,
  ];
}

function* packed() {
  for (const [type, values] of Object.entries(VALUES)) {
    if (type === "string" || type === "uint256[0]") continue;
    const given = values.filter((value) => type !== "bytes" || value.startsWith("'"));
    for (const value of given) {
      // What viem packs without a look at it.
      if (type === "bool" && !/true$|false$/.test(value)) continue;
      if (type.endsWith("[2]") && type.startsWith("uint256") && value !== "[1n, 2n]") continue;
      if (/^(string\[2\]|uint8\[2\]\[\]|bytes\[\]\[2\])$/.test(type) && (value === "['a']" || value === "[[1]]")) continue;
      yield `encodePacked(['${type}'], [${value}])`;
    }
  }
  for (const value of VALUES.string) yield `encodePacked(['string'], [${value}])`;
  yield* [
    "encodePacked([], [])", "encodePacked(['uint8'], [])", "encodePacked(['foo'], [1])", "encodePacked(['tuple'], [[]])", "encodePacked(['uint7'], [1])", `encodePacked(['address', 'uint8', 'string'], [${q(THREE)}, 7, 'ab'])`, "encodePacked(['uint16', 'bytes', 'bool', 'int24'], [1, '0x1234', true, -2])", "encodePacked(['uint256[]', 'uint8'], [[1n, 2n], 3])", "encodePacked(['bytes4', 'bytes32'], ['0x12345678', zeroHash])",
  ];
  yield { code: "encodePacked(['bool'], [1])", stricter: "a number is not a boolean" };
  yield { code: "encodePacked(['uint256[2]'], [[1n]])", stricter: "the length is part of the type" };
  yield { code: "encodePacked(['bytes'], ['0x123'])", stricter: "half a byte is a mistake" };
}

const ERC20 = `parseAbi(['function transfer(address to, uint256 amount) returns (bool)', 'function balanceOf(address owner) view returns (uint256)', 'event Transfer(address indexed from, address indexed to, uint256 value)', 'error Bad(uint256 code)', 'function pair() view returns (uint112 a, uint112 b, uint32 c)', 'function nothing()', 'function point() view returns ((uint256 x, uint256 y) p)'])`;

function* functions() {
  yield* [
    `encodeFunctionData({ abi: ${ERC20}, functionName: 'transfer', args: [${q(THREE)}, 5n] })`, `encodeFunctionData({ abi: ${ERC20}, functionName: 'transfer', args: [${q(WRONG)}, 5n] })`, `encodeFunctionData({ abi: ${ERC20}, functionName: 'transfer', args: [${q(THREE)}] })`, `encodeFunctionData({ abi: ${ERC20}, functionName: 'transfer' })`, `encodeFunctionData({ abi: ${ERC20}, functionName: 'nothing' })`, `encodeFunctionData({ abi: ${ERC20}, functionName: 'nothing', args: [] })`, `encodeFunctionData({ abi: ${ERC20}, functionName: 'nothing', args: [1n] })`, `encodeFunctionData({ abi: ${ERC20}, functionName: 'missing' })`, `encodeFunctionData({ abi: ${ERC20}, functionName: 'Transfer', args: [] })`, `encodeFunctionData({ abi: ${ERC20}, functionName: 'Bad', args: [1n] })`,
    `encodeFunctionData({ abi: ${ERC20}, functionName: '0x70a08231', args: [${q(THREE)}] })`, `encodeFunctionData({ abi: ${ERC20}, functionName: '0x00000000', args: [] })`, "encodeFunctionData({ abi: parseAbi(['function f(bytes4 x, bool[2] y)']), args: ['0x12345678', [true, false]] })", "encodeFunctionData({ abi: parseAbi(['function f(uint256 x)']), functionName: '0x12345678', args: [1n] })", "encodeFunctionData({ abi: [], functionName: 'f' })", "encodeFunctionData({ abi: parseAbi(['event E()']) })", "encodeFunctionData({ abi: [{ type: 'function', name: 'f', inputs: [{ type: 'uint' }] }], args: [1n] })", "encodeFunctionData({ abi: undefined })", "encodeFunctionData({ abi: parseAbi(['struct P { uint256 x; string y; }', 'function f(P p, P[] q)']), functionName: 'f', args: [{ x: 1n, y: 'a' }, [{ x: 2n, y: 'b' }, { y: 'c', x: 3n }]] })", `encodeFunctionData({ abi: ${ERC20}, functionName: 'transfer(address,uint256)', args: [${q(THREE)}, 5n] })`,
    `decodeFunctionResult({ abi: ${ERC20}, functionName: 'balanceOf', data: ${w(5)} })`, `decodeFunctionResult({ abi: ${ERC20}, functionName: 'transfer', data: ${w(1)} })`, `decodeFunctionResult({ abi: ${ERC20}, functionName: 'transfer', data: ${w(2)} })`, `decodeFunctionResult({ abi: ${ERC20}, functionName: 'pair', data: ${w(5, 6, 7)} })`, `decodeFunctionResult({ abi: ${ERC20}, functionName: 'pair', data: ${w(5, 6)} })`, `decodeFunctionResult({ abi: ${ERC20}, functionName: 'nothing', data: '0x' })`, `decodeFunctionResult({ abi: ${ERC20}, functionName: 'nothing', data: ${w(5)} })`, `decodeFunctionResult({ abi: ${ERC20}, functionName: 'balanceOf', data: '0x' })`, `decodeFunctionResult({ abi: ${ERC20}, functionName: 'point', data: ${w(5, 6)} })`, `decodeFunctionResult({ abi: ${ERC20}, functionName: 'missing', data: '0x' })`, `decodeFunctionResult({ abi: parseAbi(['function f() view returns (string)']), data: encodeAbiParameters([{ type: 'string' }], ['hey']) })`, `decodeFunctionResult({ abi: [{ type: 'function', name: 'f', inputs: [] }], functionName: 'f', data: '0x' })`, `decodeFunctionResult({ abi: parseAbi(['event E()']), data: '0x' })`,
    `decodeFunctionData({ abi: ${ERC20}, data: encodeFunctionData({ abi: ${ERC20}, functionName: 'transfer', args: [${q(THREE)}, 5n] }) })`, `decodeFunctionData({ abi: ${ERC20}, data: toFunctionSelector('nothing()') })`, `decodeFunctionData({ abi: ${ERC20}, data: concat([toFunctionSelector('nothing()'), '0x1234']) })`, `decodeFunctionData({ abi: ${ERC20}, data: '0x' })`, `decodeFunctionData({ abi: ${ERC20}, data: '0x12' })`, `decodeFunctionData({ abi: ${ERC20}, data: '0x12345678' })`, `decodeFunctionData({ abi: ${ERC20}, data: toFunctionSelector('balanceOf(address)') })`, `decodeFunctionData({ abi: ${ERC20}, data: concat([toFunctionSelector('balanceOf(address)'), '0x12']) })`, `decodeFunctionData({ abi: ${ERC20}, data: '0xA9059CBB' })`, "decodeFunctionData({ abi: [], data: '0x12345678' })", `decodeFunctionData({ abi: parseAbi(['function f((uint256 a, string b) x)']), data: encodeFunctionData({ abi: parseAbi(['function f((uint256 a, string b) x)']), args: [{ a: 1n, b: 'q' }] }) })`,
  ];
  yield { code: `encodeFunctionData({ abi: ${ERC20}, args: [${q(THREE)}, 5n] })`, stricter: "viem takes the first of several" };
}

function* overloads() {
  const abi = "parseAbi(['function f()', 'function f(uint256 a)', 'function f(string a)', 'function f(address a, bool b)', 'function f(uint256[] a)', 'function f((uint256 x) a, uint256 b)', 'function f(bytes a, bytes b)'])";
  for (const args of ["undefined", "[]", "[1n]", "[1]", "['x']", `[${q(THREE)}, true]`, "[[1n, 2n]]", "[{ x: 1n }, 2n]", "[[1n], 2n]", "['0x12', '0x34']", "[true]", "[1n, 2n, 3n]", "[Uint8Array.from([1]), '0x']"]) yield* [`encodeFunctionData({ abi: ${abi}, functionName: 'f', args: ${args} })`, `decodeFunctionResult({ abi: ${abi}, functionName: 'f', args: ${args}, data: '0x' })`];
  for (const [a, b, arg] of [["address", "bytes20", q(THREE)], ["address", "string", q(THREE)], ["address", "string", "'x'"], ["address", "bytes", q(THREE)], ["uint8", "uint256", "5"], ["uint256", "int256", "5n"], ["bytes4", "bytes", "'0x12345678'"], ["string", "bytes", "'0x1234'"], ["uint160[]", "bool", "[1n]"], ["bool", "uint160[]", "[1n]"], ["uint8[2]", "uint256[]", "[1, 2]"]]) {
    yield* [`encodeFunctionData({ abi: parseAbi(['function f(${a} x)', 'function f(${b} x)']), functionName: 'f', args: [${arg}] })`, `encodeFunctionData({ abi: parseAbi(['function f(${b} x)', 'function f(${a} x)']), functionName: 'f', args: [${arg}] })`];
  }
  yield* [`encodeFunctionData({ abi: parseAbi(['function f((address x) a)', 'function f((bytes20 x) a)']), functionName: 'f', args: [{ x: ${q(THREE)} }] })`, `encodeFunctionData({ abi: parseAbi(['event f(uint256 a)', 'function f(uint256 a)']), functionName: 'f', args: [1n] })`];
}

function* events() {
  const abi = "parseAbi(['event Transfer(address indexed from, address indexed to, uint256 value)', 'event Named(string indexed text, uint256[] indexed list, (uint256 a, bool b) point, bytes4 indexed tag)', 'event Bare(uint256 indexed, address, bool)', 'event Empty()', 'event Data(string text, uint8 small)', 'function f()'])";
  const transfer = "toEventSelector('Transfer(address,address,uint256)')";
  const two = `pad(${q(THREE)}), pad(${q(LOWER)})`;
  const log = (topics, data, more = "") => `decodeEventLog({ abi: ${abi}, topics: [${topics}]${data === undefined ? "" : `, data: ${data}`}${more} })`;
  const loose = ", strict: false";
  const named = "toEventSelector('Named(string,uint256[],(uint256,bool),bytes4)')";
  const bare = "toEventSelector('Bare(uint256,address,bool)')";
  const data = "toEventSelector('Data(string,uint8)')";
  for (const more of ["", loose]) {
    yield* [
      log(`${transfer}, ${two}`, w(5), more), log(`${transfer}, ${two}`, "'0x'", more), log(`${transfer}, ${two}`, undefined, more), log(`${transfer}, ${two}`, "'0x12'", more), log(`${transfer}, pad(${q(THREE)})`, w(5), more), log(`${transfer}, pad(${q(THREE)})`, w(THREE.slice(2), 5), more), log(`${transfer}`, w(1, 2, 3), more), log(`${transfer}, ${two}, ${w(9)}`, w(5), more), log("", w(5), more), log(w(5), w(5), more), log(`${transfer}, '0x12', pad('0x12')`, w(5), more), log(`${transfer}, ${two}`, w(5, 6), more),
      log(`${named}, ${w(1)}, ${w(2)}, ${q(`0x12345678${"0".repeat(56)}`)}`, w(7, 1), more), log(`${named}, ${w(1)}, ${w(2)}, ${q(`0x12345678${"0".repeat(56)}`)}`, w(7, 2), more), log(`${bare}, ${w(4)}`, w(THREE.slice(2), 1), more), log(`${bare}`, w(4, THREE.slice(2), 1), more), log("toEventSelector('Empty()')", "'0x'", more), log("toEventSelector('Empty()')", w(5), more), log("toEventSelector('Empty()')", undefined, more), log(data, "encodeAbiParameters([{ type: 'string' }, { type: 'uint8' }], ['hey', 5])", more), log(data, w(64), more), log(data, w(64, 5, 100), more), log("toFunctionSelector('f()')", undefined, more),
    ];
  }
  yield* ["decodeEventLog({ abi: [], topics: ['0x'] })", `decodeEventLog({ abi: ${abi}, topics: undefined })`, `decodeEventLog({ abi: ${abi}, topics: [${transfer}.toUpperCase().replace('X', 'x'), ${two}], data: ${w(5)} })`];
}

function* typedData() {
  const types = "{ Person: [{ name: 'name', type: 'string' }, { name: 'wallet', type: 'address' }], Mail: [{ name: 'from', type: 'Person' }, { name: 'to', type: 'Person' }, { name: 'contents', type: 'string' }] }";
  const message = `{ from: { name: 'Cow', wallet: '0xCD2a3d9F938E13CD947Ec05AbC7FE734Df8DD826' }, to: { name: 'Bob', wallet: '0xbBbBBBBbbBBBbbbBbbBbbbbBBbBbbbbBbBbbBBbB' }, contents: 'Hello, Bob!' }`;
  const domains = ["undefined", "{}", "{ name: 'Ether Mail' }", "{ name: '' }", "{ version: '1' }", "{ chainId: 1 }", "{ chainId: 0 }", "{ chainId: 1n }", "{ chainId: '1' }", `{ verifyingContract: ${q(A)} }`, `{ verifyingContract: ${q(WRONG)} }`, "{ verifyingContract: '' }", "{ salt: zeroHash }", "{ salt: '0x12' }", `{ name: 'Ether Mail', version: '1', chainId: 1, verifyingContract: '0xCcCCccccCCCCcCCCCCCcCcCccCcCCCcCcccccccC', salt: zeroHash }`, "{ name: 'x', extra: 5 }", "{ version: 5 }"];
  for (const domain of domains) {
    if (domain === "{ version: 5 }") continue;
    yield `hashTypedData({ domain: ${domain}, types: ${types}, primaryType: 'Mail', message: ${message} })`;
  }
  yield { code: `hashTypedData({ domain: { version: 5 }, types: ${types}, primaryType: 'Mail', message: ${message} })`, stricter: "a number is not text" };
  yield* [
    `hashTypedData({ types: ${types}, primaryType: 'Person', message: { name: 'x', wallet: zeroAddress } })`, `hashTypedData({ types: ${types}, primaryType: 'Person', message: { name: 'x', wallet: zeroAddress, extra: 1 } })`, `hashTypedData({ types: ${types}, primaryType: 'Person', message: { name: 'x' } })`, `hashTypedData({ types: ${types}, primaryType: 'Person', message: { wallet: zeroAddress } })`, `hashTypedData({ types: ${types}, primaryType: 'Missing', message: {} })`, `hashTypedData({ types: ${types}, primaryType: 'Mail' })`, `hashTypedData({ types: ${types}, primaryType: 'Mail', message: { from: null, to: null, contents: '' } })`, `hashTypedData({ types: ${types}, primaryType: 'EIP712Domain', domain: { name: 'x' } })`,
    `hashTypedData({ types: { EIP712Domain: [{ name: 'name', type: 'string' }, { name: 'chain', type: 'uint8' }], A: [{ name: 'x', type: 'uint256' }] }, primaryType: 'A', domain: { name: 'n', chain: 5 }, message: { x: 1n } })`, `hashTypedData({ types: { EIP712Domain: [{ name: 'version', type: 'string' }], A: [] }, primaryType: 'A', domain: { name: 'n' }, message: {} })`, `hashTypedData({ types: { EIP712Domain: [], A: [] }, primaryType: 'A', domain: { name: 'n' }, message: {} })`, "hashTypedData({ types: { A: [] }, primaryType: 'A', message: {} })",
    "hashTypedData({ types: { A: [{ name: 'b', type: 'B[]' }], B: [{ name: 'c', type: 'C[2]' }], C: [{ name: 'd', type: 'bytes32' }] }, primaryType: 'A', message: { b: [{ c: [{ d: zeroHash }, { d: zeroHash }] }, { c: [{ d: zeroHash }, { d: zeroHash }] }] } })", "hashTypedData({ types: { Z: [{ name: 'b', type: 'B' }, { name: 'a', type: 'A' }], B: [{ name: 'x', type: 'uint8' }], A: [{ name: 'b', type: 'B' }] }, primaryType: 'Z', message: { a: { b: { x: 1 } }, b: { x: 2 } } })", "hashTypedData({ types: { A: [{ name: 'u', type: 'Unknown' }] }, primaryType: 'A', message: { u: {} } })", "hashTypedData({ types: { A: [{ name: 'b', type: 'B' }], B: [{ name: 'a', type: 'uint' }] }, primaryType: 'A', message: { b: { a: 1n } } })", "hashTypedData({ types: undefined, primaryType: 'A', message: {} })", "hashTypedData({ types: { uint8: [] , A: [{ name: 'x', type: 'uint8' }] }, primaryType: 'A', message: { x: 1 } })",
  ];
  const fields = { uint8: ["5", "255n", "256", "-1", "'5'", "undefined"], int8: ["-128", "-129"], uint256: ["maxUint256", "maxUint256 + 1n"], bool: ["true", "false", "1"], address: [q(A), q(WRONG), "'0x12'"], bytes: ["'0x'", "'0x1234'", "undefined"], bytes4: ["'0x12345678'", "'0x1234'"], string: ["''", "'é'", "'5'", "undefined"], "uint8[]": ["[]", "[1, 2]", "[256]", "5"], "string[]": ["[]", "['a', 'b']"], "bytes[2]": ["['0x', '0x12']"], "uint8[2][]": ["[[1, 2], [3, 4]]"], uint: ["1n"], "int[]": ["[1n]"] };
  for (const [type, values] of Object.entries(fields)) for (const value of values) yield `hashTypedData({ domain: { name: 'd', chainId: 5 }, types: { A: [{ name: 'x', type: '${type}' }] }, primaryType: 'A', message: { x: ${value} } })`;
  yield { code: "hashTypedData({ types: { A: [{ name: 'x', type: 'string' }] }, primaryType: 'A', message: { x: 5 } })", stricter: "a number is not text" };
  yield { code: "hashTypedData({ types: { A: [{ name: 'x', type: 'uint8[2]' }] }, primaryType: 'A', message: { x: [1] } })", stricter: "the length is part of the type" };
  yield { code: "hashTypedData({ types: { A: [{ name: 'next', type: 'A[]' }] }, primaryType: 'A', message: { next: [] } })", stricter: "types that contain themselves are not supported" };
}
