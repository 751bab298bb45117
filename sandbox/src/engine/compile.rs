//! TypeScript to JavaScript, with oxc. Runs in the confined child only: a parser is a large thing to feed strangers' text.

use std::path::Path;

use oxc::{
    allocator::Allocator,
    ast::AstKind,
    codegen::{Codegen, CodegenOptions, CommentOptions},
    parser::Parser,
    semantic::SemanticBuilder,
    span::{SourceType, Span},
    transformer::{TransformOptions, Transformer},
};

use thiserror::Error;

use super::{WORKFLOW_FILE, imports, nesting};
use crate::outcome::Outcome;

/// Why a source is not compiled. Positions are bytes in the source.
#[derive(Debug, Error, PartialEq, Eq)]
pub(super) enum CompileError {
    #[error("the source nests too deep")]
    TooDeep,
    #[error("SyntaxError: {message}")]
    Syntax { message: String, start: Option<u32> },
    #[error("\"{specifier}\" cannot be imported")]
    ForbiddenImport { specifier: String },
    #[error("\"{package}\" has no export named \"{name}\": {hint}")]
    MissingExport { package: String, name: String, hint: String, start: u32 },
}

impl CompileError {
    /// How every run of the source ends.
    fn outcome(self, source: &str) -> Outcome {
        let message = self.to_string();
        let start = match self {
            CompileError::TooDeep => return Outcome::CodeTooLarge,
            CompileError::ForbiddenImport { specifier } => return Outcome::ForbiddenImport { specifier },
            CompileError::Syntax { start, .. } => start,
            CompileError::MissingExport { start, .. } => Some(start),
        };
        Outcome::Threw { message, line: start.map(|start| line_of(source, start as usize)) }
    }
}

/// JavaScript for the engine, or how the run ends without it.
pub(super) fn compile(source: &str, brackets: u32) -> Result<String, Outcome> {
    if nesting::exceeds(source, brackets) {
        return Err(CompileError::TooDeep.outcome(source));
    }
    generate(source, None).map_err(|error| error.outcome(source))
}

/// Compiles a source of ours, for what the first compiling in a process makes ready: tables, and what libraries find out
/// about the processor, which in a virtual machine takes long.
pub(super) fn rehearse() {
    let source = "import { defineWorkflow } from \"@ditto/workflow\";\nenum A { B = 1 }\nexport default defineWorkflow({ async run(ctx: unknown): Promise<string> { return `${A.B}${/x/.test(\"x\")}`; } });\n";
    compile(source, 64).ok();
}

/// The author's line (from 1) of a position (line and column from 1) in the JavaScript that `compile` made. Compiles once
/// more, this time with a source map: only failing runs need one.
pub(super) fn original_line(source: &str, line: u32, column: u32) -> Option<u32> {
    let mut found = None;
    let mut look =
        |map: &dyn Fn(u32, u32) -> Option<u32>| found = map(line.saturating_sub(1), column.saturating_sub(1));
    generate(source, Some(&mut look)).ok()?;
    found.map(|line| line + 1)
}

/// As the author wrote it, and the line (from 1).
pub(super) struct RegularExpression {
    pub(super) pattern: String,
    pub(super) flags: String,
    pub(super) line: u32,
}

/// Those of a source that compiles, in their order. Only failing runs need them.
pub(super) fn regular_expressions(source: &str) -> Vec<RegularExpression> {
    let allocator = Allocator::default();
    let parsed = Parser::new(&allocator, source, SourceType::ts()).parse();
    let analysed = SemanticBuilder::new().with_build_nodes(true).build(&parsed.program);
    let literals = analysed.semantic.nodes().iter().filter_map(|node| match node.kind() {
        AstKind::RegExpLiteral(literal) => Some(RegularExpression {
            pattern: literal.regex.pattern.text.to_string(),
            flags: literal.regex.flags.to_string(),
            line: line_of(source, literal.span.start as usize),
        }),
        _ => None,
    });
    literals.collect()
}

type Look<'l> = &'l mut dyn FnMut(&dyn Fn(u32, u32) -> Option<u32>);

fn generate(source: &str, look: Option<Look<'_>>) -> Result<String, CompileError> {
    let allocator = Allocator::default();
    let parsed = Parser::new(&allocator, source, SourceType::ts()).parse();
    if let Some(problem) = parsed.diagnostics.first() {
        return Err(refused(&problem.message, problem.labels.first().map(|label| label.offset())));
    }
    if let Some(import) = parsed.module_record.dynamic_imports.first() {
        return Err(CompileError::ForbiddenImport { specifier: text_of(source, import.module_request) });
    }
    if let Some(span) = parsed.module_record.import_metas.first() {
        return Err(refused("import.meta is not available in a workflow", Some(span.start)));
    }
    let mut program = parsed.program;
    let analysed = SemanticBuilder::new()
        .with_enum_eval(true)
        .with_check_syntax_error(true)
        .with_build_nodes(imports::has_namespace(&program))
        .build(&program);
    if let Some(problem) = analysed.diagnostics.first() {
        return Err(refused(&problem.message, problem.labels.first().map(|label| label.offset())));
    }
    imports::check_namespaces(&program, &analysed.semantic)?;
    let path = Path::new(WORKFLOW_FILE);
    let transformed = Transformer::new(&allocator, path, &TransformOptions::default())
        .build_with_scoping(analysed.semantic.into_scoping(), &mut program);
    if let Some(problem) = transformed.diagnostics.first() {
        return Err(refused(&problem.message, problem.labels.first().map(|label| label.offset())));
    }
    imports::check_named(&program)?;
    let options = CodegenOptions {
        source_map_path: look.is_some().then(|| path.to_path_buf()),
        comments: CommentOptions::disabled(),
        ..CodegenOptions::default()
    };
    let printed = Codegen::new().with_options(options).build(&program);
    if let (Some(look), Some(map)) = (look, printed.map) {
        let table = map.generate_lookup_table();
        look(&|line, column| map.lookup_token_approx(&table, line, column).map(|token| token.get_src_line()));
    }
    Ok(printed.code)
}

fn refused(message: &str, start: Option<u32>) -> CompileError {
    CompileError::Syntax { message: message.to_string(), start }
}

fn line_of(source: &str, offset: usize) -> u32 {
    let before = source.as_bytes().get(..offset).unwrap_or(source.as_bytes());
    1 + u32::try_from(before.iter().filter(|byte| **byte == b'\n').count()).unwrap_or(u32::MAX - 1)
}

/// A dynamic import's operand as its author wrote it, without the quotes.
fn text_of(source: &str, span: Span) -> String {
    let text = source.get(span.start as usize..span.end as usize).unwrap_or("?");
    text.trim_matches(|c| c == '"' || c == '\'' || c == '`').chars().take(200).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn strips_types_and_keeps_the_lines() {
        let source = "import { type Hex, keccak256 } from \"viem\";\n\ninterface A {\n  a: string;\n}\n\nexport default {\n  run() {\n    throw new Error('x' as string);\n  },\n};\n";
        // `keccak256` is unused, so the import goes with the types.
        let js = compile(source, 64).unwrap();
        assert!(!js.contains("interface") && !js.contains("as string"));
        let (index, line) = js.lines().enumerate().find(|(_, line)| line.contains("throw")).unwrap();
        let column = line.find("throw").unwrap() as u32 + 1;
        assert_eq!(original_line(source, index as u32 + 1, column), Some(9));
    }

    #[test]
    fn refuses_imports_with_their_names() {
        let forbidden = |source: &str| match compile(source, 64) {
            Err(Outcome::ForbiddenImport { specifier }) => specifier,
            other => panic!("{other:?}"),
        };
        assert_eq!(forbidden("import fs from 'node:fs'; fs.x();"), "node:fs");
        assert_eq!(forbidden("export * from './other.ts';"), "./other.ts");
        assert_eq!(forbidden("import 'https://x.y/z.js';"), "https://x.y/z.js");
        assert_eq!(forbidden("const x = await import('viem');"), "viem");
        assert!(matches!(compile("let = ;", 64), Err(Outcome::Threw { line: Some(1), .. })));
    }

    #[test]
    fn names_the_export_that_is_missing_and_what_to_use() {
        let missing = |source: &str| match compile(source, 64) {
            Err(Outcome::Threw { message, line }) => (message, line),
            other => panic!("{source}: {other:?}"),
        };
        let says = |name: &str, hint: &str| format!("\"viem\" has no export named \"{name}\": {hint}");
        assert_eq!(
            missing("\nimport { encodeFunctionDate } from 'viem';\nencodeFunctionDate();"),
            (says("encodeFunctionDate", "did you mean \"encodeFunctionData\"?"), Some(2))
        );
        let client = "a workflow has no client: read with ctx.chain(id), and return the calls to make";
        assert_eq!(
            missing("import {\n  parseAbi,\n  http,\n} from 'viem';\nhttp(parseAbi);"),
            (says("http", client), Some(3))
        );
        let unknown = "sdk/ in the workflows folder lists what there is";
        assert_eq!(missing("export { zzz } from 'viem';").0, says("zzz", unknown));
        assert_eq!(
            missing("import viem from 'viem'; viem.parseAbi();").0,
            says("default", "import it by name: import { ... } from \"viem\"")
        );
        // Taken from the namespace, as far as it can be seen.
        for taken in [
            "v.toBytes('0x')",
            "v['toBytes']('0x')",
            "const { toBytes } = v; toBytes()",
            "const { 'toBytes': t, ...r } = v; t(r)",
        ] {
            let (message, line) = missing(&format!("import * as v from 'viem';\n{taken};"));
            assert_eq!((message, line), (says("toBytes", "use fromHex(hex, \"bytes\")"), Some(2)), "{taken}");
        }
        assert!(
            missing("import * as w from '@ditto/workflow'; w.defineWorkflows({})")
                .0
                .contains("did you mean \"defineWorkflow\"?")
        );
        for fine in [
            "import * as v from 'viem'; let a: v.Hex; v.keccak256('0x'); const { parseAbi, ...rest } = v; rest[a]; parseAbi",
            "import { type Nothing, type Hex } from 'viem'; import type { Client } from 'viem'; let a: Hex | Client | Nothing;",
            "import * as v from 'viem'; { const v = {}; v.toBytes; }",
            "import * as v from 'viem'; type A = v.Client;",
        ] {
            assert!(compile(fine, 64).is_ok(), "{fine} {:?}", compile(fine, 64));
        }
    }

    #[test]
    fn bounds_nesting_before_it_parses() {
        for deep in ["(".repeat(100_000), "!".repeat(100_000), "a?".repeat(100_000), "[".repeat(100_000)] {
            assert_eq!(compile(&deep, 256), Err(Outcome::CodeTooLarge));
        }
    }
}
