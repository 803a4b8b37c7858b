//! `dynamoctl`: the command line.
fn main() {}
