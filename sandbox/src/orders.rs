//! What worker and zygote say to each other: fixed words in datagrams, some with a descriptor. Both ends are ours.

/// Worker to zygote: fork. A socket comes along, the new process's only one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// A child that makes one run, of code that it has to compile.
    Run(Fork),
    /// A template: a child that compiles code and forks the runs of it.
    Template { token: u64 },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fork {
    /// The worker's name for the child; below 2^56.
    pub(crate) token: u64,
    pub(crate) memory_bytes: u64,
    pub(crate) cpu_seconds: u64,
}

/// Zygote to worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// The engine is loaded.
    Ready,
    /// The child runs; its pidfd comes along.
    Forked {
        token: u64,
        pid: u32,
    },
    ForkFailed {
        token: u64,
        errno: u32,
    },
    /// The child is gone for good: its processor time in microseconds, its largest resident set in bytes.
    Reaped {
        token: u64,
        cpu_us: u64,
        peak_bytes: u64,
    },
    /// So is one that a template forked. The zygote knows only its number.
    Gone {
        pid: u32,
        cpu_us: u64,
        peak_bytes: u64,
    },
}

pub(crate) const ORDER_BYTES: usize = 24;
pub(crate) const NEWS_BYTES: usize = 32;
/// Of an order's first word: above this is the kind.
const KIND_SHIFT: u32 = 56;

impl Order {
    pub(crate) fn to_bytes(self) -> [u8; ORDER_BYTES] {
        words(match self {
            Order::Run(Fork { token, memory_bytes, cpu_seconds }) => [token, memory_bytes, cpu_seconds],
            Order::Template { token } => [token | 1 << KIND_SHIFT, 0, 0],
        })
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Order> {
        let [first, memory_bytes, cpu_seconds] = unwords::<3>(bytes)?;
        let token = first & ((1 << KIND_SHIFT) - 1);
        Some(match first >> KIND_SHIFT {
            0 => Order::Run(Fork { token, memory_bytes, cpu_seconds }),
            1 => Order::Template { token },
            _ => return None,
        })
    }
}

impl News {
    pub(crate) fn to_bytes(self) -> [u8; NEWS_BYTES] {
        // The first word is the kind, and a number of a process or an errno above it.
        let kind = |kind: u64, detail: u32| kind | u64::from(detail) << 32;
        words(match self {
            News::Ready => [kind(0, 0), 0, 0, 0],
            News::Forked { token, pid } => [kind(1, pid), token, 0, 0],
            News::ForkFailed { token, errno } => [kind(2, errno), token, 0, 0],
            News::Reaped { token, cpu_us, peak_bytes } => [kind(3, 0), token, cpu_us, peak_bytes],
            News::Gone { pid, cpu_us, peak_bytes } => [kind(4, pid), 0, cpu_us, peak_bytes],
        })
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<News> {
        let [first, token, cpu_us, peak_bytes] = unwords::<4>(bytes)?;
        let detail = (first >> 32) as u32;
        Some(match first & 0xffff_ffff {
            0 => News::Ready,
            1 => News::Forked { token, pid: detail },
            2 => News::ForkFailed { token, errno: detail },
            3 => News::Reaped { token, cpu_us, peak_bytes },
            4 => News::Gone { pid: detail, cpu_us, peak_bytes },
            _ => return None,
        })
    }
}

fn words<const N: usize, const B: usize>(words: [u64; N]) -> [u8; B] {
    let mut bytes = [0; B];
    bytes.chunks_exact_mut(8).zip(words).for_each(|(to, word)| to.copy_from_slice(&word.to_le_bytes()));
    bytes
}

fn unwords<const N: usize>(bytes: &[u8]) -> Option<[u64; N]> {
    let (chunks, rest) = bytes.as_chunks::<8>();
    let words: &[[u8; 8]; N] = chunks.try_into().ok().filter(|_| rest.is_empty())?;
    Some(words.map(u64::from_le_bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_come_back_as_they_went() {
        let fork = Fork { token: (1 << KIND_SHIFT) - 1, memory_bytes: 5, cpu_seconds: 6 };
        for order in [Order::Run(fork), Order::Template { token: 7 }] {
            assert_eq!(Order::from_bytes(&order.to_bytes()), Some(order));
        }
        for news in [
            News::Ready,
            News::Forked { token: 1, pid: u32::MAX },
            News::ForkFailed { token: 1, errno: 11 },
            News::Reaped { token: 1, cpu_us: 2, peak_bytes: 3 },
            News::Gone { pid: 9, cpu_us: 2, peak_bytes: 3 },
        ] {
            assert_eq!(News::from_bytes(&news.to_bytes()), Some(news));
        }
        assert_eq!(Order::from_bytes(&[0; 23]), None);
        assert_eq!(Order::from_bytes(&[9; 24]), None);
        assert_eq!(News::from_bytes(&[9; 32]), None);
    }
}
