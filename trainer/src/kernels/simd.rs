//! Functions that are compiled for three widths of registers, the widest that there is being taken
//! when the program runs.

/// Widths of registers; `Plain` is what the target of the build has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Width {
    Plain,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

/// The widest registers of this processor.
#[inline]
pub fn width() -> Width {
    #[cfg(test)]
    if let Some(width) = forced::WIDTH.get() {
        return width;
    }
    #[cfg(target_arch = "x86_64")]
    {
        // The answers are kept by the standard library.
        if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512dq") {
            return Width::Avx512;
        }
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            return Width::Avx2;
        }
    }
    Width::Plain
}

/// Defines functions whose bodies are compiled once for each width. Sums go over sixteen lanes in
/// all of them, so that they give equal bits.
macro_rules! vectorized {
    ($($(#[$meta:meta])* $visibility:vis fn $name:ident($($argument:ident: $type:ty),* $(,)?) $(-> $output:ty)? $body:block)*) => {$(
        $(#[$meta])*
        #[allow(clippy::too_many_arguments, clippy::needless_range_loop)]
        $visibility fn $name($($argument: $type),*) $(-> $output)? {
            #[inline(always)]
            fn body($($argument: $type),*) $(-> $output)? $body
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512dq,avx2,fma")]
                fn avx512($($argument: $type),*) $(-> $output)? {
                    body($($argument),*)
                }
                #[target_feature(enable = "avx2,fma")]
                fn avx2($($argument: $type),*) $(-> $output)? {
                    body($($argument),*)
                }
                match $crate::kernels::simd::width() {
                    // SAFETY: the processor has these registers.
                    $crate::kernels::simd::Width::Avx512 => return unsafe { avx512($($argument),*) },
                    // SAFETY: as above.
                    $crate::kernels::simd::Width::Avx2 => return unsafe { avx2($($argument),*) },
                    $crate::kernels::simd::Width::Plain => {}
                }
            }
            body($($argument),*)
        }
    )*};
}
pub(crate) use vectorized;

/// Numbers that are added up side by side.
pub const LANES: usize = 16;

/// The sum of the lanes, always in the same order.
#[inline(always)]
pub fn sum(lanes: &[f32; LANES]) -> f32 {
    let eight: [f32; 8] = std::array::from_fn(|lane| lanes[lane] + lanes[lane + 8]);
    let four: [f32; 4] = std::array::from_fn(|lane| eight[lane] + eight[lane + 4]);
    (four[0] + four[2]) + (four[1] + four[3])
}

/// The largest of the lanes.
#[inline(always)]
pub fn largest(lanes: &[f32; LANES]) -> f32 {
    let more = |one: f32, other: f32| if other > one { other } else { one };
    let eight: [f32; 8] = std::array::from_fn(|lane| more(lanes[lane], lanes[lane + 8]));
    let four: [f32; 4] = std::array::from_fn(|lane| more(eight[lane], eight[lane + 4]));
    more(more(four[0], four[2]), more(four[1], four[3]))
}

/// Lets a test take narrower registers than there are.
#[cfg(test)]
pub mod forced {
    use std::cell::Cell;

    use super::Width;

    thread_local! {
        pub static WIDTH: Cell<Option<Width>> = const { Cell::new(None) };
    }

    /// The widths that this processor has, the narrowest first.
    pub fn widths() -> Vec<Width> {
        #[cfg(target_arch = "x86_64")]
        return match super::width() {
            Width::Plain => vec![Width::Plain],
            Width::Avx2 => vec![Width::Plain, Width::Avx2],
            Width::Avx512 => vec![Width::Plain, Width::Avx2, Width::Avx512],
        };
        #[cfg(not(target_arch = "x86_64"))]
        vec![Width::Plain]
    }

    /// Does something with registers of this width.
    pub fn with<T>(width: Width, work: impl FnOnce() -> T) -> T {
        WIDTH.set(Some(width));
        let done = work();
        WIDTH.set(None);
        done
    }
}
