//! The lessons of operators, each by its number.
