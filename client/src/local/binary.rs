//! Where the program `dynamo-node` is.

use std::env;
use std::path::{Path, PathBuf};

/// Its file name.
pub const NAME: &str = "dynamo-node";

/// It is nowhere.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("dynamo-node was not found in {looked}: build it (cargo build -p dynamo-node), or say where it is")]
pub struct NotFound {
    looked: String,
}

/// The one that was named, or else one beside the program that runs (also one folder up, where tests are a folder
/// deeper than programs), or else one in `PATH`.
pub fn find(named: Option<&Path>) -> Result<PathBuf, NotFound> {
    let places: Vec<PathBuf> = if let Some(path) = named {
        vec![path.to_owned()]
    } else {
        let own = env::current_exe().unwrap_or_default();
        let beside = own.ancestors().skip(1).take(2).map(Path::to_owned);
        let path = env::var_os("PATH").unwrap_or_default();
        beside.chain(env::split_paths(&path)).map(|folder| folder.join(NAME)).collect()
    };
    let found = places.iter().find(|path| path.is_file()).cloned();
    found.ok_or_else(|| NotFound {
        looked: places.iter().take(3).map(|p| p.display().to_string()).collect::<Vec<_>>().join(", "),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_one_that_is_named_is_the_only_one_that_will_do() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("node");
        let error = find(Some(&path)).unwrap_err().to_string();
        assert!(error.contains(&path.display().to_string()), "{error}");
        std::fs::write(&path, b"").unwrap();
        assert_eq!(find(Some(&path)), Ok(path));
    }
}
