//! One run, in the confined child: takes its job from the socket, hands it to the engine, never returns.

use std::os::fd::{AsFd, OwnedFd};

use rustix::{
    buffer::spare_capacity,
    net::{RecvFlags, SendFlags, recv, send},
};

use crate::{
    engine::{Answer, Compiled, Engine, Port},
    frame::Decoder,
    job::ReadAnswer,
    message,
    outcome::Outcome,
};

/// Bytes taken from the socket at once: enough for most messages, and no more, for every page that a run touches first
/// costs it more than the bytes on it.
const CHUNK: usize = 2 << 10;
/// Of a message that is longer, what is missing, up to this.
const LONGEST_CHUNK: usize = 64 << 10;
/// Reads wait to be sent until a run waits for one, or until so many bytes of them do.
const UNSENT: usize = 16 << 10;

/// A run that compiles its code.
pub(crate) fn run(mut engine: Engine, socket: OwnedFd) -> ! {
    let mut wire = Wire::new(socket);
    let Some((tag, payload)) = wire.receive() else { exit() };
    let Some((head, code)) = message::read_job(tag, &payload) else { exit() };
    wire.limits = head.limits.clone();
    match String::from_utf8(code.to_vec()) {
        Ok(source) => {
            let compiled = engine.compile(source, head.limits.code_nesting);
            engine.run(compiled, &head.input, &head.limits, Box::new(wire))
        }
        Err(_) => wire.end(Outcome::Threw { message: "the published code is not UTF-8".into(), line: None }),
    }
}

/// A run of what a template compiled.
pub(crate) fn run_compiled(engine: Engine, compiled: Compiled, socket: OwnedFd) -> ! {
    let mut wire = Wire::new(socket);
    let Some((tag, payload)) = wire.receive() else { exit() };
    let Some((head, _)) = message::read_job(tag, &payload) else { exit() };
    wire.limits = head.limits.clone();
    engine.run(compiled, &head.input, &head.limits, Box::new(wire))
}

fn exit() -> ! {
    // SAFETY: ends the process without running anything else, which is the point: destructors of a forked engine would
    // only take time, and handlers of the embedding program must not run here.
    unsafe { libc::_exit(0) }
}

struct Wire {
    socket: OwnedFd,
    decoder: Decoder,
    chunk: Vec<u8>,
    /// Reads that are asked and not sent: what asks for several at once, sends them at once.
    unsent: Vec<u8>,
    limits: crate::limits::Limits,
    asked: u32,
    /// Answers that the run was given. The run takes one only when it has nothing else left to do, so this depends on
    /// the answers, never on when they came.
    consumed: u32,
}

impl Wire {
    fn new(socket: OwnedFd) -> Wire {
        // The host is trusted: its frames need no bound but the type's.
        let decoder = Decoder::new(u32::MAX as usize);
        Wire {
            socket,
            decoder,
            chunk: Vec::new(),
            unsent: Vec::new(),
            limits: Default::default(),
            asked: 0,
            consumed: 0,
        }
    }

    /// The next frame, however long it takes: the host holds the clock.
    fn receive(&mut self) -> Option<(u8, Vec<u8>)> {
        loop {
            match self.decoder.next() {
                Ok(Some((tag, payload))) => return Some((tag, payload.to_vec())),
                Ok(None) => {}
                Err(_) => return None,
            }
            self.chunk.clear();
            self.chunk.reserve(self.decoder.missing().clamp(CHUNK, LONGEST_CHUNK));
            match recv(self.socket.as_fd(), spare_capacity(&mut self.chunk), RecvFlags::empty()) {
                Ok((0, _)) => return None,
                Ok(_) => self.decoder.push(&self.chunk),
                Err(rustix::io::Errno::INTR) => {}
                Err(_) => return None,
            }
        }
    }

    /// Sends what is unsent.
    fn flush(&mut self) {
        let mut bytes = self.unsent.as_slice();
        while !bytes.is_empty() {
            match send(self.socket.as_fd(), bytes, SendFlags::NOSIGNAL) {
                Ok(sent) => bytes = bytes.get(sent..).unwrap_or_default(),
                Err(rustix::io::Errno::INTR) => {}
                // The host is gone, or done with us.
                Err(_) => exit(),
            }
        }
        self.unsent.clear();
    }
}

impl Port for Wire {
    fn read(&mut self, chain_id: u64, method: &str, params: &str) {
        if method.len() + params.len() > self.limits.read_request_bytes as usize {
            self.end(Outcome::BadOutput {
                message: format!("a read's parameters exceed {} bytes", self.limits.read_request_bytes),
            });
        }
        self.asked += 1;
        message::write_read(&mut self.unsent, chain_id, method, params);
        if self.unsent.len() >= UNSENT {
            self.flush();
        }
    }

    fn log(&mut self, line: &str) {
        // At once: it may be the last word of a run that does not come to an end.
        message::write_log(&mut self.unsent, line);
        self.flush();
    }

    fn next_answer(&mut self) -> Option<Answer> {
        if self.consumed == self.asked {
            return None;
        }
        self.flush();
        let Some((tag, payload)) = self.receive() else { exit() };
        let Some((kind, body)) = message::read_answer(tag, &payload) else { exit() };
        self.consumed += 1;
        Some(match answer(kind, body) {
            ReadAnswer::Ok(text) => Answer { kind: 0, text },
            ReadAnswer::Reverted(data) => Answer { kind: 1, text: format!("0x{}", hex::encode(data)) },
            // A workflow cannot catch this: whether a read fails is no property of the chain.
            ReadAnswer::Failed => self.end(Outcome::ReadFailed),
        })
    }

    fn end(&mut self, outcome: Outcome) -> ! {
        message::write_end(&mut self.unsent, &outcome, self.consumed);
        self.flush();
        exit()
    }
}

fn answer(kind: u8, body: &[u8]) -> ReadAnswer {
    match kind {
        0 => String::from_utf8(body.to_vec()).map_or(ReadAnswer::Failed, ReadAnswer::Ok),
        1 => ReadAnswer::Reverted(body.to_vec()),
        _ => ReadAnswer::Failed,
    }
}
