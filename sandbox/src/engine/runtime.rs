//! One engine, made once and used once: loads the SDK, locks itself down, and drives one run.

use deno_core::{JsRuntime, RuntimeOptions, v8};
use thiserror::Error;

use super::{
    PACKAGES, SOURCES, WORKFLOW_FILE, compile, floats, holes,
    large_pages::LargePages,
    lines, ops,
    stack::{Watched, Watermark},
};
use crate::{job::Input, limits::Limits, outcome::Outcome};

#[derive(Debug, Error)]
pub(crate) enum EngineError {
    #[error("{0}: does not load: {1}")]
    Load(&'static str, String),
    #[error("globals that cannot be removed: {0}")]
    Lockdown(String),
    #[error("the end of the engine's stack is not to be found")]
    Stack,
}

/// An answer to a read. The kinds are the driver's: 0 a JSON result, 1 revert data as hex.
pub(crate) struct Answer {
    pub(crate) kind: u32,
    pub(crate) text: String,
}

/// The way from a run to its host.
pub(crate) trait Port {
    fn read(&mut self, chain_id: u64, method: &str, params: &str);
    fn log(&mut self, line: &str);
    /// Blocks until the answer of the oldest unanswered read is here; nothing when every read is answered.
    fn next_answer(&mut self) -> Option<Answer>;
    /// Ends the process.
    fn end(&mut self, outcome: Outcome) -> !;
}

pub(crate) struct Engine {
    runtime: JsRuntime,
    prepare: v8::Global<v8::Function>,
    drive: v8::Global<v8::Function>,
    answer: v8::Global<v8::Function>,
    stack: Watermark,
}

/// A source, and the module it became; or how every run of it ends.
pub(crate) struct Compiled {
    source: String,
    module: Result<v8::Global<v8::Module>, Outcome>,
    /// The promise of its evaluation and its namespace, if that is done already.
    evaluated: Option<(v8::Global<v8::Promise>, v8::Global<v8::Value>)>,
}

impl Compiled {
    /// Whether this is the source's doing, the same everywhere, rather than this process's.
    pub(crate) fn repeatable(&self) -> bool {
        !self.module.as_ref().is_err_and(Outcome::trouble)
    }
}

/// The heap, in bytes, in which a template may evaluate a module: the engine's and the SDK's few MiB, and about as much
/// again. All its runs carry it, and it counts for their limits.
const AHEAD_BYTES: usize = 10 << 20;

thread_local! {
    static MODULES: std::cell::RefCell<Vec<(&'static str, v8::Global<v8::Module>)>> = const { std::cell::RefCell::new(Vec::new()) };
}

impl Engine {
    /// Loads and locks down. `memory_bytes` is the ceiling; a run may lower it.
    pub(crate) fn new(memory_bytes: u64) -> Result<Engine, EngineError> {
        floats::keep();
        let large_pages = LargePages::begin();
        let bytes = usize::try_from(memory_bytes).unwrap_or(usize::MAX);
        let mut runtime = JsRuntime::new(RuntimeOptions {
            extensions: vec![ops::extension()],
            create_params: Some(v8::CreateParams::default().heap_limits(0, bytes)),
            ..Default::default()
        });
        script(&mut runtime, "ditto:boot", "globalThis.__ditto = Deno.core.ops; undefined")?;
        compile::rehearse();
        ops::rehearse();
        lines::rehearse();
        let [native, bytes, abi, viem, workflow, driver, lockdown] = SOURCES;
        let mut functions = None;
        for (name, source) in [native, bytes, abi, viem, workflow, driver] {
            deno_core::scope!(scope, runtime);
            let namespace = load(scope, name, source)?;
            if name == driver.0 {
                functions = Some((
                    function(scope, namespace, "prepare")?,
                    function(scope, namespace, "drive")?,
                    function(scope, namespace, "answer")?,
                ));
            }
        }
        let Some((prepare, drive, answer)) = functions else {
            return Err(EngineError::Load("ditto:driver", "no functions".into()));
        };
        let mut overflown = Ok(String::new());
        let overflow = "try { (function deeper() { deeper(); })(); } catch {} undefined";
        let stack = Watermark::find(|| overflown = script(&mut runtime, "ditto:stack", overflow));
        overflown?;
        let stack = stack.ok_or(EngineError::Stack)?;
        let left = script(&mut runtime, lockdown.0, lockdown.1)?;
        if !left.is_empty() {
            return Err(EngineError::Lockdown(left));
        }
        let isolate = runtime.v8_isolate();
        isolate.set_prepare_stack_trace_callback(lines::prepare_stack_trace);
        isolate.set_promise_reject_callback(ops::note_rejection);
        let mut engine = Engine { runtime, prepare, drive, answer, stack };
        {
            deno_core::scope!(scope, engine.runtime);
            holes::postpone_collection(scope);
        }
        engine.about_to_fork();
        large_pages.collapse();
        Ok(engine)
    }

    /// Makes the children of this process cheaper.
    pub(crate) fn about_to_fork(&mut self) {
        deno_core::scope!(scope, self.runtime);
        holes::fill(scope);
    }

    /// Compiles and links a module, and evaluates nothing of it: so this may happen in a process that makes many runs of
    /// it, or in the one that makes the only run, and no run can tell which.
    pub(crate) fn compile(&mut self, source: String, nesting: u32) -> Compiled {
        let module = compile::compile(&source, nesting).and_then(|javascript| self.link(&source, &javascript));
        let module = module.map_err(|outcome| self.placed(outcome, &source));
        Compiled { source, module, evaluated: None }
    }

    /// Evaluates a module ahead of its runs. Says whether no run can tell: a module that looks at anything of its run ends
    /// the process, and one that does not come to a plain end leaves it of no further use.
    ///
    /// Microtasks that it leaves are left to the runs. So the one thing that changes places is that `ctx` is made after
    /// evaluating rather than before; neither sees anything of the other.
    pub(crate) fn evaluate_ahead(&mut self, compiled: &mut Compiled) -> bool {
        let Ok(module) = &compiled.module else { return true };
        self.limit_heap(AHEAD_BYTES);
        self.stack.clear();
        let evaluated = {
            deno_core::scope!(scope, self.runtime);
            v8::tc_scope!(let scope, scope);
            let module = v8::Local::new(scope, module);
            let promise = ops::ahead(|| module.evaluate(scope));
            let promise = promise.filter(|_| !scope.is_execution_terminating());
            let promise = promise.and_then(|promise| v8::Local::<v8::Promise>::try_from(promise).ok());
            let fulfilled = promise.filter(|promise| promise.state() == v8::PromiseState::Fulfilled);
            fulfilled.map(|promise| {
                let namespace = module.get_module_namespace();
                (v8::Global::new(scope, promise), v8::Global::new(scope, namespace))
            })
        };
        compiled.evaluated = evaluated;
        compiled.evaluated.is_some() && !ops::has_rejected() && !self.stack.reached()
    }

    fn limit_heap(&mut self, bytes: usize) {
        // With no callback registered this only sets the limit, which nothing else in the interface does.
        self.runtime.v8_isolate().remove_near_heap_limit_callback(no_callback, bytes);
    }

    fn link(&mut self, source: &str, javascript: &str) -> Result<v8::Global<v8::Module>, Outcome> {
        deno_core::scope!(scope, self.runtime);
        v8::tc_scope!(let scope, scope);
        let module = compile_module(scope, WORKFLOW_FILE, javascript);
        if let Some(module) = module.filter(|module| module.instantiate_module(scope, resolve) == Some(true)) {
            return Ok(v8::Global::new(scope, module));
        }
        // The engine terminates execution for one reason only.
        if scope.is_execution_terminating() {
            return Err(Outcome::OutOfMemory);
        }
        let message = caught(scope).unwrap_or_else(|| "the module does not load".into());
        // What the engine refuses and the compiler let pass; its first frame is where it is written.
        let place = scope.exception().and_then(|exception| {
            let stack = v8::String::new(scope, "stack")?;
            v8::Local::<v8::Object>::try_from(exception).ok()?.get(scope, stack.into())?;
            lines::place_of(scope, exception)
        });
        Err(ops::threw(source, message, place))
    }

    /// The engine does not say where a regular expression is that it alone refuses: it is the first that it refuses again.
    fn placed(&mut self, outcome: Outcome, source: &str) -> Outcome {
        let Outcome::Threw { message, line: None } = outcome else { return outcome };
        deno_core::scope!(scope, self.runtime);
        let mut expressions = compile::regular_expressions(source).into_iter();
        let line = expressions.find(|expression| refuses(scope, expression) == Some(true));
        Outcome::Threw { message, line: line.map(|expression| expression.line) }
    }

    /// Makes one run. Never returns: an outcome ends the process.
    pub(crate) fn run(mut self, compiled: Compiled, input: &Input, limits: &Limits, mut port: Box<dyn Port>) -> ! {
        let Compiled { source, module, evaluated } = compiled;
        let module = match module {
            Ok(module) => module,
            Err(outcome) => port.end(outcome),
        };
        self.stack.clear();
        ops::begin(ops::Running {
            port: Box::new(Watched { port, mark: self.stack }),
            source,
            max_reads: limits.reads,
            max_output: limits.output_bytes,
            max_log_lines: limits.log_lines,
            max_log_line: limits.log_line_bytes,
            reads: 0,
            log_lines: 0,
        });
        self.limit_heap(usize::try_from(limits.memory_bytes).unwrap_or(usize::MAX));
        self.evaluate(&module, evaluated, input);
        // Whatever brought us here, the engine gave up: it terminates execution for one reason only.
        ops::end(if self.runtime.v8_isolate().is_execution_terminating() {
            Outcome::OutOfMemory
        } else {
            Outcome::Threw {
                message: "the run never finished: it waits for a promise that nothing will settle".into(),
                line: None,
            }
        });
        std::process::abort()
    }

    /// Returns when nothing is left to do; a run that came to its end has ended the process by then.
    fn evaluate(
        &mut self,
        module: &v8::Global<v8::Module>,
        evaluated: Option<(v8::Global<v8::Promise>, v8::Global<v8::Value>)>,
        input: &Input,
    ) -> Option<()> {
        let (prepare, drive, answer) = (self.prepare.clone(), self.drive.clone(), self.answer.clone());
        deno_core::scope!(scope, self.runtime);
        v8::tc_scope!(let scope, scope);
        let undefined: v8::Local<v8::Value> = v8::undefined(scope).into();
        let operands = operands(scope, input)?;
        let prepare = v8::Local::new(scope, prepare);
        if prepare.call(scope, undefined, &operands).is_none() {
            let message = caught(scope).unwrap_or_default();
            ops::end_threw(format!("ctx cannot be made of the input: {message}"), None);
        }
        let module = v8::Local::new(scope, module);
        let (evaluated, namespace) = match evaluated {
            Some((evaluated, namespace)) => (v8::Local::new(scope, evaluated).into(), v8::Local::new(scope, namespace)),
            None => (module.evaluate(scope)?, module.get_module_namespace()),
        };
        let drive = v8::Local::new(scope, drive);
        drive.call(scope, undefined, &[evaluated, namespace])?;
        let answer = v8::Local::new(scope, answer);
        let mut number = 0;
        loop {
            scope.perform_microtask_checkpoint();
            if scope.is_execution_terminating() {
                return None;
            }
            let Some(next) = ops::next_answer() else { break };
            let id = v8::Integer::new_from_unsigned(scope, number).into();
            let kind = v8::Integer::new_from_unsigned(scope, next.kind).into();
            let text = v8::String::new(scope, &next.text)?.into();
            answer.call(scope, undefined, &[id, kind, text])?;
            number += 1;
        }
        ops::end_if_rejected(scope);
        Some(())
    }
}

fn refuses(scope: &mut v8::PinScope<'_, '_>, expression: &compile::RegularExpression) -> Option<bool> {
    v8::tc_scope!(let scope, scope);
    let global = scope.get_current_context().global(scope);
    let name = v8::String::new(scope, "RegExp")?;
    let constructor: v8::Local<v8::Function> = global.get(scope, name.into())?.try_into().ok()?;
    let pattern = v8::String::new(scope, &expression.pattern)?.into();
    let flags = v8::String::new(scope, &expression.flags)?.into();
    Some(constructor.new_instance(scope, &[pattern, flags]).is_none())
}

/// What the driver's `prepare` takes.
fn operands<'s>(scope: &mut v8::PinScope<'s, '_>, input: &Input) -> Option<[v8::Local<'s, v8::Value>; 15]> {
    let chains = input.chains.iter().map(u64::to_string).collect::<Vec<_>>().join(",");
    let text = |text: &str| Some(v8::Local::<v8::Value>::from(v8::String::new(scope, text)?));
    let [workflow, occurrence, account] = [text(&input.workflow)?, text(&input.occurrence)?, text(&input.account)?];
    let [slot, chains, args] = [text(&input.slot.to_string())?, text(&chains)?, text(&input.args_json)?];
    // Exact for the next 285,000 years.
    let timestamp = v8::Number::new(scope, input.timestamp_ms as f64).into();
    let (words, _) = input.seed.as_chunks::<4>();
    let word = |at: usize| -> Option<v8::Local<'s, v8::Value>> {
        Some(v8::Integer::new(scope, i32::from_le_bytes(*words.get(at)?)).into())
    };
    let [w0, w1, w2, w3] = [word(0)?, word(1)?, word(2)?, word(3)?];
    let [w4, w5, w6, w7] = [word(4)?, word(5)?, word(6)?, word(7)?];
    Some([workflow, occurrence, account, slot, timestamp, chains, args, w0, w1, w2, w3, w4, w5, w6, w7])
}

unsafe extern "C" fn no_callback(_: *mut std::ffi::c_void, limit: usize, _: usize) -> usize {
    limit
}

fn compile_module<'s>(scope: &mut v8::PinScope<'s, '_>, name: &str, source: &str) -> Option<v8::Local<'s, v8::Module>> {
    let source = v8::String::new(scope, source)?;
    let name = v8::String::new(scope, name)?;
    let origin = v8::ScriptOrigin::new(scope, name.into(), 0, 0, false, 0, None, false, false, true, None);
    let mut source = v8::script_compiler::Source::new(source, Some(&origin));
    v8::script_compiler::compile_module(scope, &mut source)
}

fn load<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    name: &'static str,
    source: &str,
) -> Result<v8::Local<'s, v8::Object>, EngineError> {
    v8::tc_scope!(let scope, scope);
    let module = compile_module(scope, name, source);
    let evaluated = module.and_then(|module| {
        module.instantiate_module(scope, resolve)?;
        let promise: v8::Local<v8::Promise> = module.evaluate(scope)?.try_into().ok()?;
        scope.perform_microtask_checkpoint();
        (promise.state() == v8::PromiseState::Fulfilled).then_some(module)
    });
    let Some(module) = evaluated else {
        let mut message = caught(scope).unwrap_or_else(|| "no exception".into());
        if let Some(module) = module
            && module.get_status() == v8::ModuleStatus::Errored
        {
            message = module.get_exception().to_rust_string_lossy(scope);
        }
        return Err(EngineError::Load(name, message));
    };
    MODULES.with_borrow_mut(|modules| modules.push((name, v8::Global::new(scope, module))));
    module.get_module_namespace().try_into().map_err(|_| EngineError::Load(name, "no namespace".into()))
}

fn function(
    scope: &mut v8::PinScope<'_, '_>,
    namespace: v8::Local<'_, v8::Object>,
    name: &'static str,
) -> Result<v8::Global<v8::Function>, EngineError> {
    let key = v8::String::new(scope, name).ok_or_else(|| EngineError::Load(name, "no memory".into()))?;
    let value = namespace.get(scope, key.into()).and_then(|value| v8::Local::<v8::Function>::try_from(value).ok());
    value.map(|value| v8::Global::new(scope, value)).ok_or_else(|| EngineError::Load(name, "not a function".into()))
}

/// Resolves an import: the SDK's modules among themselves, and the packages for the workflow. The compiler has checked
/// the workflow's imports already; this is the second lock.
fn resolve<'s>(
    context: v8::Local<'s, v8::Context>,
    specifier: v8::Local<'s, v8::String>,
    _attributes: v8::Local<'s, v8::FixedArray>,
    referrer: v8::Local<'s, v8::Module>,
) -> Option<v8::Local<'s, v8::Module>> {
    v8::callback_scope!(unsafe scope, context);
    let specifier = specifier.to_rust_string_lossy(scope);
    // The engine resolves the SDK's own imports again with every module that imports the SDK.
    let own = MODULES.with_borrow(|modules| {
        let known = modules
            .iter()
            .any(|(_, module)| v8::Local::new(scope, module).get_identity_hash() == referrer.get_identity_hash());
        known || modules.len() < SOURCES.len() - 1
    });
    if !own && !PACKAGES.contains(&specifier.as_str()) {
        return None;
    }
    MODULES.with_borrow(|modules| {
        let module = modules.iter().find(|(name, _)| *name == specifier).map(|(_, module)| module)?;
        Some(v8::Local::new(scope, module))
    })
}

fn script(runtime: &mut JsRuntime, name: &'static str, source: &'static str) -> Result<String, EngineError> {
    let value = runtime.execute_script(name, source).map_err(|error| EngineError::Load(name, error.to_string()))?;
    deno_core::scope!(scope, runtime);
    let value = v8::Local::new(scope, value);
    Ok(if value.is_string() { value.to_rust_string_lossy(scope) } else { String::new() })
}

fn caught(scope: &mut v8::PinnedRef<'_, v8::TryCatch<'_, '_, v8::HandleScope<'_>>>) -> Option<String> {
    let exception = scope.exception()?;
    Some(exception.to_rust_string_lossy(scope))
}
