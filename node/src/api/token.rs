//! The cluster's token: who calls Admin has to show it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use sha2::{Digest, Sha256};
use tonic::metadata::MetadataMap;
use tonic::{Request, Status};

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// It cannot be read.
    #[error("the token file {path} cannot be read ({why}); mount the cluster's token there")]
    Unreadable {
        /// Where it should be.
        path: PathBuf,
        /// What the system says.
        why: std::io::Error,
    },
    /// There is nothing in it: everybody would be let in.
    #[error("the token file {0} is empty; put the cluster's token there")]
    Empty(PathBuf),
}

type Hash = [u8; 32];

/// Lets those in who show the token. Cheap to clone.
#[derive(Debug, Clone)]
pub struct TokenGuard {
    path: Arc<Path>,
    /// Only its hash is kept: equal length for every comparison, and nothing to leak.
    hash: Arc<RwLock<Hash>>,
}

impl TokenGuard {
    /// The token in the file; blanks around it do not count.
    pub fn from_file(path: &Path) -> Result<Self, TokenError> {
        Ok(Self { path: path.into(), hash: Arc::new(RwLock::new(read(path)?)) })
    }

    /// Whether these metadata carry `authorization: Bearer TOKEN` with the right one.
    pub fn admits(&self, metadata: &MetadataMap) -> bool {
        let shown = metadata.get("authorization").and_then(|value| value.to_str().ok());
        let Some(shown) = shown.and_then(|value| value.strip_prefix("Bearer ")) else { return false };
        let shown = hash(shown.trim());
        if same(&shown, &self.hash.read().unwrap_or_else(PoisonError::into_inner)) {
            return true;
        }
        // It may have been rotated since: a mounted secret changes under a running process.
        let Ok(now) = read(&self.path) else { return false };
        *self.hash.write().unwrap_or_else(PoisonError::into_inner) = now;
        same(&shown, &now)
    }

    /// As an interceptor.
    pub fn check(&self, request: Request<()>) -> Result<Request<()>, Status> {
        if self.admits(request.metadata()) {
            Ok(request)
        } else {
            Err(Status::unauthenticated("send the cluster's token as metadata `authorization: Bearer TOKEN`"))
        }
    }
}

fn read(path: &Path) -> Result<Hash, TokenError> {
    let text =
        std::fs::read_to_string(path).map_err(|why| TokenError::Unreadable { path: path.to_owned(), why })?;
    match text.trim() {
        "" => Err(TokenError::Empty(path.to_owned())),
        token => Ok(hash(token)),
    }
}

fn hash(token: &str) -> Hash {
    Sha256::digest(token.as_bytes()).into()
}

/// Takes as long for equal as for different ones.
fn same(a: &Hash, b: &Hash) -> bool {
    a.iter().zip(b).fold(0, |difference, (a, b)| difference | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(value: &str) -> MetadataMap {
        let mut metadata = MetadataMap::new();
        metadata.insert("authorization", value.parse().unwrap());
        metadata
    }

    #[test]
    fn only_the_right_token_is_let_in_and_a_new_one_after_a_rotation() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "s3cret\n").unwrap();
        let guard = TokenGuard::from_file(file.path()).unwrap();
        assert!(guard.admits(&shown("Bearer s3cret")));
        for wrong in ["Bearer s3cre", "Bearer s3cret1", "s3cret", "Basic s3cret", "Bearer "] {
            assert!(!guard.admits(&shown(wrong)), "{wrong}");
        }
        assert!(!guard.admits(&MetadataMap::new()));

        std::fs::write(file.path(), "rotated").unwrap();
        assert!(guard.admits(&shown("Bearer rotated")));
        assert!(!guard.admits(&shown("Bearer s3cret")));
    }

    #[test]
    fn without_a_token_nothing_starts() {
        let missing = TokenGuard::from_file(Path::new("/nowhere/token")).unwrap_err();
        assert!(matches!(missing, TokenError::Unreadable { .. }));
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), " \n").unwrap();
        assert!(matches!(TokenGuard::from_file(file.path()).unwrap_err(), TokenError::Empty(_)));
    }
}
