//! The instruction sets that have kernels.

use std::sync::OnceLock;

use strum::{Display, EnumString, IntoStaticStr};

/// An instruction set, together with the precision of the matrix product.
#[derive(Clone, Copy, Debug, Display, EnumString, IntoStaticStr, PartialEq, Eq, Hash)]
#[strum(serialize_all = "kebab-case", parse_err_ty = UnknownIsa, parse_err_fn = unknown)]
pub enum Isa {
    /// Plain Rust in `f32`; runs everywhere.
    Portable,
    /// Plain Rust that emulates the bf16 hardware on every machine. Slow; for tests, and to find out whether
    /// a difference comes from bf16.
    PortableBf16,
    /// AVX2 and FMA: x86-64 since 2013 (Haswell) and 2017 (Zen).
    Avx2,
    /// AVX-512 F and BW: x86-64 servers since 2017 (Skylake-X) and 2022 (Zen 4).
    Avx512,
    /// AVX-512 with matrix products in bf16: since 2020 (Cooper Lake) and 2022 (Zen 4). Twice the speed of
    /// `Avx512` at a cosine of 0.9999 to `f32`.
    Avx512Bf16,
    /// NEON: every 64-bit ARM.
    Neon,
}

impl Isa {
    /// All instruction sets, the best last.
    pub const ALL: [Self; 6] =
        [Self::PortableBf16, Self::Portable, Self::Neon, Self::Avx2, Self::Avx512, Self::Avx512Bf16];

    /// The fastest one that this machine has. Detects the CPU once.
    pub fn detect() -> Self {
        static BEST: OnceLock<Isa> = OnceLock::new();
        *BEST.get_or_init(|| Self::available().last().copied().unwrap_or(Self::Portable))
    }

    /// All that this machine has, the fastest last.
    pub fn available() -> Vec<Self> {
        Self::ALL.into_iter().filter(|isa| isa.is_available()).collect()
    }

    /// Whether this machine has it.
    pub fn is_available(self) -> bool {
        match self {
            Self::Portable | Self::PortableBf16 => true,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => has_avx2(),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => has_avx512(),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Bf16 => has_avx512() && is_x86_feature_detected!("avx512bf16"),
            #[cfg(target_arch = "aarch64")]
            Self::Neon => std::arch::is_aarch64_feature_detected!("neon"),
            _ => false,
        }
    }

    /// Whether matrix products round their inputs to bf16.
    pub fn is_bf16(self) -> bool {
        matches!(self, Self::PortableBf16 | Self::Avx512Bf16)
    }

    /// The name that `Display` writes and `FromStr` reads.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

#[cfg(target_arch = "x86_64")]
fn has_avx2() -> bool {
    is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")
}

#[cfg(target_arch = "x86_64")]
fn has_avx512() -> bool {
    has_avx2() && is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw")
}

/// The name is not in [`Isa::ALL`].
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("unknown instruction set {0:?}; known are {all}", all = names(&Isa::ALL))]
pub struct UnknownIsa(String);

fn unknown(name: &str) -> UnknownIsa {
    UnknownIsa(name.to_owned())
}

/// This machine lacks the instruction set.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
#[error("this machine does not have {0}; it has {available}", available = names(&Isa::available()))]
pub struct UnavailableIsa(pub Isa);

fn names(isas: &[Isa]) -> String {
    isas.iter().map(|isa| isa.name()).collect::<Vec<_>>().join(" ")
}
