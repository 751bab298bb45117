//! TypeScript to JavaScript, with oxc. Runs in the confined child only: a parser is a large thing to feed strangers' text.

use std::path::Path;

use oxc::{
    allocator::Allocator,
    ast::ast::{ImportDeclarationSpecifier, ImportOrExportKind, Program, Statement},
    codegen::{Codegen, CodegenOptions, CommentOptions},
    parser::Parser,
    semantic::SemanticBuilder,
    span::{SourceType, Span},
    transformer::{TransformOptions, Transformer},
};

use super::{PACKAGES, SOURCES, WORKFLOW_FILE, nesting};
use crate::outcome::Outcome;

/// JavaScript for the engine, or how the run ends without it.
pub(super) fn compile(source: &str, brackets: u32) -> Result<String, Outcome> {
    if nesting::exceeds(source, brackets) {
        return Err(Outcome::CodeTooLarge);
    }
    generate(source, None)
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

type Look<'l> = &'l mut dyn FnMut(&dyn Fn(u32, u32) -> Option<u32>);

fn generate(source: &str, look: Option<Look<'_>>) -> Result<String, Outcome> {
    let allocator = Allocator::default();
    let parsed = Parser::new(&allocator, source, SourceType::ts()).parse();
    if let Some(problem) = parsed.diagnostics.first() {
        let offset = problem.labels.first().map(|label| label.offset() as usize);
        return Err(refused(source, &problem.message, offset));
    }
    if let Some(import) = parsed.module_record.dynamic_imports.first() {
        return Err(Outcome::ForbiddenImport { specifier: text_of(source, import.module_request) });
    }
    if let Some(span) = parsed.module_record.import_metas.first() {
        return Err(refused(source, "import.meta is not available in a workflow", Some(span.start as usize)));
    }
    let mut program = parsed.program;
    let analysed = SemanticBuilder::new().with_enum_eval(true).with_check_syntax_error(true).build(&program);
    if let Some(problem) = analysed.diagnostics.first() {
        let offset = problem.labels.first().map(|label| label.offset() as usize);
        return Err(refused(source, &problem.message, offset));
    }
    let path = Path::new(WORKFLOW_FILE);
    let transformed = Transformer::new(&allocator, path, &TransformOptions::default())
        .build_with_scoping(analysed.semantic.into_scoping(), &mut program);
    if let Some(problem) = transformed.diagnostics.first() {
        let offset = problem.labels.first().map(|label| label.offset() as usize);
        return Err(refused(source, &problem.message, offset));
    }
    check_imports(source, &program)?;
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

fn refused(source: &str, message: &str, offset: Option<usize>) -> Outcome {
    Outcome::Threw { message: format!("SyntaxError: {message}"), line: offset.map(|offset| line_of(source, offset)) }
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

/// What is still imported once the types are gone: known packages only, and only names that they export.
fn check_imports(source: &str, program: &Program<'_>) -> Result<(), Outcome> {
    for statement in &program.body {
        let (specifier, names) = match statement {
            Statement::ImportDeclaration(import) => {
                let mut names = Vec::new();
                for entry in import.specifiers.iter().flatten() {
                    match entry {
                        ImportDeclarationSpecifier::ImportSpecifier(named)
                            if named.import_kind == ImportOrExportKind::Value =>
                        {
                            names.push((named.imported.name().to_string(), named.span.start));
                        }
                        ImportDeclarationSpecifier::ImportDefaultSpecifier(default) => {
                            names.push(("default".into(), default.span.start))
                        }
                        _ => {}
                    }
                }
                (&import.source, names)
            }
            Statement::ExportFromDeclaration(export) => (
                &export.source,
                export.specifiers.iter().map(|entry| (entry.local.name().to_string(), entry.span.start)).collect(),
            ),
            Statement::ExportAllDeclaration(export) => (&export.source, Vec::new()),
            _ => continue,
        };
        let specifier_text = specifier.value.as_str();
        if !PACKAGES.contains(&specifier_text) {
            return Err(Outcome::ForbiddenImport { specifier: specifier_text.chars().take(200).collect() });
        }
        for (name, start) in names {
            if !exports(specifier_text).any(|export| export == name) {
                let message = format!("\"{specifier_text}\" has no export named \"{name}\"");
                return Err(refused(source, &message, Some(start as usize)));
            }
        }
    }
    Ok(())
}

/// The names a package exports, read off its source: the SDK declares each on a line of its own.
fn exports(package: &str) -> impl Iterator<Item = &'static str> {
    let source = SOURCES.iter().find(|(name, _)| *name == package).map_or("", |(_, source)| source);
    source.lines().filter_map(|line| {
        let rest = line.strip_prefix("export ")?;
        let rest = rest.strip_prefix("async ").unwrap_or(rest);
        let rest = rest.strip_prefix("function ").or_else(|| rest.strip_prefix("const "))?;
        rest.split(|c: char| !c.is_alphanumeric() && c != '_').next()
    })
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
        match compile("\nimport { nothing } from 'viem';\nnothing();", 64) {
            Err(Outcome::Threw { message, line }) => {
                assert!(message.contains("\"viem\" has no export named \"nothing\""));
                assert_eq!(line, Some(2));
            }
            other => panic!("{other:?}"),
        }
        assert!(matches!(compile("let = ;", 64), Err(Outcome::Threw { line: Some(1), .. })));
    }

    #[test]
    fn bounds_nesting_before_it_parses() {
        for deep in ["(".repeat(100_000), "!".repeat(100_000), "a?".repeat(100_000), "[".repeat(100_000)] {
            assert_eq!(compile(&deep, 256), Err(Outcome::CodeTooLarge));
        }
    }
}
