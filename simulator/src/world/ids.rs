//! Identifiers that tell neither order nor relation, as those of AWS. Each is mixed from a number that never repeats, so
//! that the same calls in the same order make the same ones.

/// `SplitMix64`: every number has another.
pub(super) fn mixed(number: u64) -> u64 {
    let mut mixed = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

/// Version 4.
pub(crate) fn uuid(number: u64) -> String {
    let (high, low) = (mixed(number), mixed(!number));
    let (first, second, third) = (high >> 32, (high >> 16) & 0xffff, high & 0xfff);
    format!("{first:08x}-{second:04x}-4{third:03x}-a{:03x}-{:012x}", low >> 52, low & 0xffff_ffff_ffff)
}
