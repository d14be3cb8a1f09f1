//! Patterns of AWS in which `*` stands for any text.

/// Whether a text fits a pattern in which `*` stands for any text. Takes at most pattern times text steps.
pub(super) fn wildcard(pattern: &str, text: &str) -> bool {
    // The texts that the pattern so far can have eaten, as a set of lengths.
    let mut eaten = vec![false; text.len() + 1];
    if let Some(nothing) = eaten.first_mut() {
        *nothing = true;
    }
    for byte in pattern.bytes() {
        let mut next = vec![false; text.len() + 1];
        if byte == b'*' {
            let mut reached = false;
            for (now, before) in next.iter_mut().zip(&eaten) {
                reached |= *before;
                *now = reached;
            }
        } else {
            for ((now, before), found) in next.iter_mut().skip(1).zip(&eaten).zip(text.bytes()) {
                *now = *before && found == byte;
            }
        }
        eaten = next;
    }
    eaten.last() == Some(&true)
}
