//! What a module imports, judged before it runs: known packages only, and of them only what they export. A name that is
//! missing is told apart from a syntax error, with the known name that is meant or what to do instead.

use oxc::{
    ast::{
        AstKind,
        ast::{
            BindingPattern, Expression, ImportDeclarationSpecifier, ImportOrExportKind, Program, Statement,
            VariableDeclarator,
        },
    },
    semantic::Semantic,
};

use super::{PACKAGES, SOURCES, compile::CompileError};

/// How unlike a missing name may be to what is proposed for it: 1 is the same, 0 has nothing in common.
const LIKE: f64 = 0.75;

/// What viem has under another name, or not for a workflow.
const INSTEAD: [(&[&str], &str); 12] = [
    (
        &[
            "createPublicClient",
            "createClient",
            "createWalletClient",
            "createTestClient",
            "http",
            "webSocket",
            "fallback",
            "getContract",
        ],
        "a workflow has no client: read with ctx.chain(id), and return the calls to make",
    ),
    (&["erc20Abi", "erc721Abi", "erc4626Abi", "multicall3Abi"], "write what you call of it with parseAbi"),
    (&["stringToHex", "bytesToHex", "boolToHex"], "use toHex"),
    (&["toBytes", "hexToBytes", "stringToBytes"], "use fromHex(hex, \"bytes\")"),
    (&["hexToBool"], "use fromHex(hex, \"boolean\")"),
    (&["concatHex", "concatBytes"], "use concat"),
    (&["padHex", "padBytes"], "use pad"),
    (&["sliceHex", "sliceBytes"], "use slice"),
    (&["toFunctionHash", "toFunctionSignature", "getFunctionSelector"], "use toFunctionSelector"),
    (&["toEventHash", "toEventSignature", "getEventSelector"], "use toEventSelector"),
    (&["getCreateAddress", "getCreate2Address"], "use getContractAddress"),
    (&["parseGwei", "formatGwei"], "use parseUnits and formatUnits with 9 decimals"),
];

/// The names a package exports, read off its source: the SDK writes each on a line of its own.
pub(super) fn exports(package: &str) -> impl Iterator<Item = &'static str> {
    let source = SOURCES.iter().find(|(name, _)| *name == package).map_or("", |(_, source)| source);
    source.lines().filter_map(|line| {
        let listed = line.strip_prefix("  ").and_then(|line| line.strip_suffix(','));
        let declared = || {
            let rest = line.strip_prefix("export ")?;
            let rest = rest.strip_prefix("async ").unwrap_or(rest);
            let rest = rest.strip_prefix("function ").or_else(|| rest.strip_prefix("const "))?;
            rest.split(|c: char| !c.is_alphanumeric() && c != '_').next()
        };
        let name = listed.or_else(declared)?;
        name.chars().all(|c| c.is_alphanumeric() || c == '_').then_some(name)
    })
}

fn check(package: &str, name: &str, start: u32) -> Result<(), CompileError> {
    if exports(package).any(|export| export == name) {
        return Ok(());
    }
    let instead = INSTEAD.iter().find(|(names, _)| package == "viem" && names.contains(&name));
    let hint = match instead {
        Some((_, hint)) => (*hint).to_string(),
        None if name == "default" => format!("import it by name: import {{ ... }} from \"{package}\""),
        None => exports(package)
            .map(|export| (strsim::jaro_winkler(export, name), export))
            .max_by(|(a, _), (b, _)| a.total_cmp(b))
            .filter(|(like, _)| *like >= LIKE)
            .map_or_else(
                || "sdk/ in the workflows folder lists what there is".into(),
                |(_, export)| format!("did you mean \"{export}\"?"),
            ),
    };
    let name = name.chars().take(100).collect();
    Err(CompileError::MissingExport { package: package.into(), name, hint, start })
}

/// What is still imported once the types are gone.
pub(super) fn check_named(program: &Program<'_>) -> Result<(), CompileError> {
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
                            names.push(("default".into(), default.span.start));
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
        let package = specifier.value.as_str();
        if !PACKAGES.contains(&package) {
            return Err(CompileError::ForbiddenImport { specifier: package.chars().take(200).collect() });
        }
        for (name, start) in names {
            check(package, &name, start)?;
        }
    }
    Ok(())
}

/// Whether anything is imported as `* as it`: only then does [`check_namespaces`] need the syntax tree's nodes.
pub(super) fn has_namespace(program: &Program<'_>) -> bool {
    program.body.iter().any(|statement| match statement {
        Statement::ImportDeclaration(import) => import
            .specifiers
            .iter()
            .flatten()
            .any(|entry| matches!(entry, ImportDeclarationSpecifier::ImportNamespaceSpecifier(_))),
        _ => false,
    })
}

/// What is taken from `import * as it`: `it.name`, `it["name"]`, `const { name } = it`. Types are not values and do not
/// count; what is computed while the module runs cannot be known here and is `undefined` there.
pub(super) fn check_namespaces(program: &Program<'_>, semantic: &Semantic<'_>) -> Result<(), CompileError> {
    for statement in &program.body {
        let Statement::ImportDeclaration(import) = statement else { continue };
        let package = import.source.value.as_str();
        if !PACKAGES.contains(&package) {
            continue; // refused by `check_named`, if it is more than types
        }
        for entry in import.specifiers.iter().flatten() {
            let ImportDeclarationSpecifier::ImportNamespaceSpecifier(namespace) = entry else { continue };
            let Some(symbol) = namespace.local.symbol_id.get() else { continue };
            for reference in semantic.scoping().get_resolved_references(symbol) {
                match semantic.nodes().parent_kind(reference.node_id()) {
                    AstKind::StaticMemberExpression(member) => {
                        check(package, member.property.name.as_str(), member.property.span.start)?;
                    }
                    AstKind::ComputedMemberExpression(member) => {
                        if let Expression::StringLiteral(name) = &member.expression {
                            check(package, name.value.as_str(), name.span.start)?;
                        }
                    }
                    AstKind::VariableDeclarator(VariableDeclarator {
                        id: BindingPattern::ObjectPattern(pattern),
                        ..
                    }) => {
                        for property in &pattern.properties {
                            if let Some(name) = property.key.static_name() {
                                check(package, &name, property.span.start)?;
                            }
                        }
                    }
                    _ => {}
                }
            }
        }
    }
    Ok(())
}
