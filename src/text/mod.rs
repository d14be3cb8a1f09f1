//! YAML and JSON with places: what people write, read so that each mistake is told with its file, line, column and field.
//!
//! It knows nothing of what the keys mean.

pub(crate) mod duration;
pub(crate) mod fields;
pub(crate) mod json;
pub(crate) mod nearest;
pub(crate) mod report;
pub(crate) mod tree;
