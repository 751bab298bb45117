//! The functions of `Math` that no hardware has, from one library that is built with us.
//!
//! The engine calls the C library's. Those are good to a unit in the last place and no better: which of two neighbouring
//! numbers comes out differs between libraries, their versions, and between processors with and without fused
//! multiply-add, for which glibc has variants that it picks at start. A workflow that takes a power of a float would be
//! judged by operators with other machines. So this executable defines the C library's names itself, with the Rust
//! port of musl's functions: plain arithmetic, which IEEE 754 fixes to the bit.
//!
//! What the hardware rounds exactly (the basic operations, roots, remainders, rounding to integers) stays the C library's.

/// Defines C's names.
macro_rules! defined {
    ($($name:ident($($argument:ident),+);)+) => {
        $(
            // SAFETY: C's function of this name has this very signature and meaning, and is defined nowhere else in the
            // executable: the C library's own is in a shared object, which comes after.
            #[unsafe(no_mangle)]
            extern "C" fn $name($($argument: f64),+) -> f64 {
                libm::$name($($argument),+)
            }
        )+

        /// Refers to each, so that an executable with an engine has them.
        pub(super) fn keep() {
            $(std::hint::black_box($name as *const ());)+
        }
    };
}

defined! {
    acos(x);
    acosh(x);
    asin(x);
    asinh(x);
    atan(x);
    atan2(y, x);
    atanh(x);
    cbrt(x);
    cos(x);
    cosh(x);
    exp(x);
    expm1(x);
    hypot(x, y);
    log(x);
    log10(x);
    log1p(x);
    log2(x);
    pow(x, y);
    sin(x);
    sinh(x);
    tan(x);
    tanh(x);
}

#[cfg(test)]
mod tests {
    /// C's name, as the engine's C code reaches it.
    mod c {
        unsafe extern "C" {
            pub(super) safe fn pow(x: f64, y: f64) -> f64;
            pub(super) safe fn sin(x: f64) -> f64;
            pub(super) safe fn exp(x: f64) -> f64;
        }
    }

    #[test]
    fn names_of_c_are_ours() {
        let points = (0..20_000).map(|i| f64::from(i) * 0.137 + 0.001);
        for x in points {
            assert_eq!(c::pow(x, 1.7).to_bits(), libm::pow(x, 1.7).to_bits(), "{x}");
            assert_eq!(c::sin(x).to_bits(), libm::sin(x).to_bits(), "{x}");
            assert_eq!(c::exp(x / 10.0).to_bits(), libm::exp(x / 10.0).to_bits(), "{x}");
        }
    }
}
