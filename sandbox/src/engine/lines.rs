//! Where an error was made. JavaScript sees no stack (`error.stack` is the error's own text); the engine's callback notes
//! the topmost frame of the workflow's own file here.

use std::cell::RefCell;

use deno_core::v8;

use super::WORKFLOW_FILE;

/// Errors remembered at once. Only the last ones matter: the one that ends the run was looked at last.
const REMEMBERED: usize = 64;

thread_local! {
    static PLACES: RefCell<Vec<(v8::Global<v8::Value>, u32, u32)>> = const { RefCell::new(Vec::new()) };
}

/// Makes this thread's places ready, so that no run has to.
pub(super) fn rehearse() {
    PLACES.with_borrow(|_| {});
}

/// The engine calls this when `stack` is first read. What it returns becomes the text; the engine puts "Name: message"
/// before an empty one.
pub(super) fn prepare_stack_trace<'s, 'i>(
    scope: &mut v8::PinScope<'s, 'i>,
    error: v8::Local<'s, v8::Value>,
    sites: v8::Local<'s, v8::Array>,
) -> v8::Local<'s, v8::Value> {
    if let Some((line, column)) = topmost(scope, sites) {
        let error = v8::Global::new(scope, error);
        PLACES.with_borrow_mut(|places| {
            if places.len() == REMEMBERED {
                places.remove(0);
            }
            places.push((error, line, column));
        });
    }
    v8::String::empty(scope).into()
}

fn topmost(scope: &mut v8::PinScope<'_, '_>, sites: v8::Local<'_, v8::Array>) -> Option<(u32, u32)> {
    for index in 0..sites.length() {
        let site = sites.get_index(scope, index)?;
        let site: v8::Local<v8::Object> = site.try_into().ok()?;
        let file = ask(scope, site, "getFileName")?;
        if file.to_rust_string_lossy(scope) != WORKFLOW_FILE {
            continue;
        }
        let line = ask(scope, site, "getLineNumber")?.uint32_value(scope)?;
        let column = ask(scope, site, "getColumnNumber")?.uint32_value(scope)?;
        return Some((line, column));
    }
    None
}

fn ask<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    site: v8::Local<'s, v8::Object>,
    method: &str,
) -> Option<v8::Local<'s, v8::Value>> {
    let name = v8::String::new(scope, method)?;
    let function = site.get(scope, name.into())?;
    let function: v8::Local<v8::Function> = function.try_into().ok()?;
    function.call(scope, site.into(), &[])
}

/// Line and column, in the compiled module, of an error whose `stack` was read.
pub(super) fn place_of(scope: &mut v8::PinScope<'_, '_>, error: v8::Local<'_, v8::Value>) -> Option<(u32, u32)> {
    PLACES.with_borrow(|places| {
        let known = places.iter().rev().find(|(known, _, _)| v8::Local::new(scope, known).strict_equals(error));
        known.map(|(_, line, column)| (*line, *column))
    })
}
