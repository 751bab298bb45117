//! A template: a process that has compiled one workflow, and evaluated its module where no run can tell, and forks its
//! runs, so that each begins where that ended.
//!
//! It has parsed a stranger's text, so it is treated as if that text had taken it over: it is confined like a run before it
//! sees a byte of it, and it forks only when the host lets it (`supervision`), each time one child that gives up the little that a template may and a run may not. What it could still do is answer for
//! runs of the very code that took it over.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use rustix::net::{RecvFlags, SendFlags, recv, send};

use crate::{
    child,
    confine::{self, Filters},
    engine::Engine,
    fd_passing,
    frame::{self, Decoder},
    supervision,
};

/// Host to template: how deep the code may nest, whether to evaluate it, and the code.
const CODE: u8 = 3;
/// Template to host, along with the descriptor by which the host supervises its forks.
pub(crate) const SUPERVISE: [u8; 1] = [1];
/// A run's first byte to its host. The kernel tells the host who sent it.
pub(crate) const HELLO: [u8; 1] = [1];
/// Processor time for compiling and evaluating. About what a run has by its wall clock.
const EVALUATION_SECONDS: u64 = 1;
/// Host to the next run: the processor time it may take, in seconds; its socket comes along.
pub(crate) const RUN_BYTES: usize = 8;

pub(crate) fn write_code(out: &mut Vec<u8>, code: &[u8], nesting: u32, evaluates: bool) {
    frame::write(out, CODE, &[&nesting.to_le_bytes(), &[u8::from(evaluates)], code]);
}

/// Never returns. `address_space` is in bytes.
pub(crate) fn serve(mut engine: Engine, socket: OwnedFd, zygote: i32, filters: &Filters, address_space: u64) -> ! {
    let exit = || -> ! {
        // SAFETY: ends the process at once; see `child::exit`.
        unsafe { libc::_exit(102) }
    };
    let control = match confine::confine_template(socket, zygote, filters, address_space, |control, listener| {
        fd_passing::send(control, &SUPERVISE, Some(listener))
    }) {
        Ok(control) => control,
        Err(_) => exit(),
    };
    let Some(Code { nesting, evaluates, source }) = receive_code(&control) else { exit() };
    let mut compiled = engine.compile(source, nesting);
    if !compiled.repeatable() {
        exit()
    }
    if evaluates {
        // Should it not come to an end by itself: the host gives a template much longer.
        if confine::limit_processor_time(Some(EVALUATION_SECONDS)).is_err() || !engine.evaluate_ahead(&mut compiled) {
            exit()
        }
        // The limit would be the runs', too.
        if confine::limit_processor_time(None).is_err() {
            exit()
        }
    }
    engine.about_to_fork();
    loop {
        match supervision::fork() {
            Ok(0) => break,
            Ok(_) => {}
            Err(_) => exit(),
        }
    }
    // From here on this is a run.
    let mut buffer = [0; RUN_BYTES];
    if confine::die_with(zygote).is_err() {
        exit()
    }
    let Ok((RUN_BYTES, Some(socket))) = fd_passing::receive(&control, &mut buffer) else { exit() };
    std::mem::forget(control);
    if confine::confine_run(socket.as_raw_fd(), u64::from_le_bytes(buffer), filters).is_err() {
        exit()
    }
    if send(socket.as_fd(), &HELLO, SendFlags::NOSIGNAL).is_err() {
        exit()
    }
    child::run_compiled(engine, compiled, socket)
}

struct Code {
    nesting: u32,
    evaluates: bool,
    source: String,
}

fn receive_code(control: &OwnedFd) -> Option<Code> {
    // The host is trusted, and sends nothing after the code before this process waits in its first fork.
    let mut decoder = Decoder::new(u32::MAX as usize);
    let mut chunk = vec![0; 64 << 10];
    loop {
        if let Some((tag, payload)) = decoder.next().ok()? {
            let (nesting, rest) = payload.split_first_chunk::<4>().filter(|_| tag == CODE)?;
            let (evaluates, code) = rest.split_first()?;
            let source = String::from_utf8(code.to_vec()).ok()?;
            return Some(Code { nesting: u32::from_le_bytes(*nesting), evaluates: *evaluates != 0, source });
        }
        match recv(control, &mut chunk[..], RecvFlags::empty()) {
            Ok((0, _)) => return None,
            Ok((length, _)) => decoder.push(chunk.get(..length).unwrap_or_default()),
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => return None,
        }
    }
}
