//! One story for every engine.
