//! Identifiers that tell neither order nor relation, as those of AWS. Each is mixed from a number that never repeats, so
//! that the same calls in the same order make the same ones.

/// `SplitMix64`: every number has another.
pub(super) fn mixed(number: u64) -> u64 {
    let mut mixed = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

/// Nineteen digits, of a service revision and of the deployment that brings it.
pub(super) fn digits(number: u64) -> String {
    const LEAST: u64 = 1_000_000_000_000_000_000;
    (LEAST + mixed(number) % (8 * LEAST)).to_string()
}

/// Thirty-two hexadecimal digits, of a task.
pub(crate) fn hexadecimal(number: u64) -> String {
    format!("{:016x}{:016x}", mixed(number), mixed(!number))
}

/// Twenty-one letters, digits, hyphens and underscores, of a service deployment.
pub(crate) fn letters(number: u64) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let bits = (u128::from(mixed(number)) << 64) | u128::from(mixed(!number));
    let letter = |place: usize| ALPHABET.get((bits >> (6 * place)) as usize % ALPHABET.len());
    (0..21).filter_map(letter).map(|letter| char::from(*letter)).collect()
}

/// Version 4.
pub(crate) fn uuid(number: u64) -> String {
    let (high, low) = (mixed(number), mixed(!number));
    let (first, second, third) = (high >> 32, (high >> 16) & 0xffff, high & 0xfff);
    format!("{first:08x}-{second:04x}-4{third:03x}-a{:03x}-{:012x}", low >> 52, low & 0xffff_ffff_ffff)
}

/// The most seconds that a seed adds to the start of a task.
const MOST_DELAY: u64 = 8;

/// Seconds that a task takes longer to start than others: the same for a seed and a task in every run; none for seed 0.
pub(super) fn delay(seed: u64, number: u64) -> u64 {
    if seed == 0 { 0 } else { mixed(seed ^ mixed(number)) % (MOST_DELAY + 1) }
}

/// A place in a list that AWS gives in no order.
pub(crate) fn place(name: &str) -> u64 {
    mixed(name.bytes().fold(0, |sum: u64, byte| sum.wrapping_mul(31).wrapping_add(u64::from(byte))))
}
