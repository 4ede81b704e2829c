//! Negative controls: what would happen without a protection.
//!
//! A protection that nothing would miss is either not needed or not tested. In a build with `--cfg ganger_mutants`, the
//! variable `GANGER_MUTANT` names one that is left out; `.ci/mutants` does so for each, and the suite must turn red. In
//! every other build this is the constant `false`.

/// Something that can be left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protection {
    /// A worker checks, after it has asked to die with its guardian, that this is still its parent.
    ParentCheck,
    /// A failed attempt is counted.
    CountAttempts,
    /// The guardian is the parent of whatever its workers leave.
    Subreaper,
    /// Workers keep no descriptors but their own.
    DescriptorHygiene,
    /// A frame that claims more than the limit is refused.
    FrameLimit,
    /// What a length within a value claims is checked against how much there is.
    ValueLimit,
    /// What was not begun is claimed by nobody once it was taken back.
    ClaimWord,
    /// A claim word that nobody can have left so is a breach of the protocol.
    ClaimCheck,
    /// A dead worker's last results are read before it is judged.
    DrainBeforeJudging,
}

/// Whether `protection` is left out in this process.
#[cfg(ganger_mutants)]
#[must_use]
pub fn without(protection: Protection) -> bool {
    static CHOSEN: std::sync::OnceLock<Option<String>> = std::sync::OnceLock::new();
    let chosen = CHOSEN.get_or_init(|| std::env::var("GANGER_MUTANT").ok());
    chosen.as_deref() == Some(format!("{protection:?}").as_str())
}

/// Whether `protection` is left out in this process: never.
#[cfg(not(ganger_mutants))]
#[must_use]
#[inline(always)]
pub const fn without(_protection: Protection) -> bool {
    false
}
