//! This program again, as the first process of namespaces of its own: network, mounts and processes. Whatever it makes
//! there, interfaces, mounts, files and processes, is gone when it ends, however it ends.

use std::env;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;

use super::tool::{self, ToolError};

/// Set for the program inside.
const INSIDE: &str = "DYNAMO_NEMESIS_INSIDE";
const UNSHARE: [&str; 6] = ["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"];

/// Why there is no sandbox.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no namespaces ({0}); run as root, where namespaces are allowed")]
pub struct NoSandbox(ToolError);

/// Enters: this call does not return outside of the sandbox where there is one. Inside it returns a folder that lasts as long
/// as the sandbox.
///
/// # Errors
/// [`NoSandbox`] where this machine, or this user, may have no namespaces.
pub fn enter() -> Result<PathBuf, NoSandbox> {
    if env::var_os(INSIDE).is_some() {
        return prepare().map_err(NoSandbox);
    }
    tool::run("unshare", &[&UNSHARE[..], &["true"]].concat()).map_err(NoSandbox)?;
    let failed = |said: String| NoSandbox(ToolError { command: "unshare".to_owned(), said });
    let me = env::current_exe().map_err(|why| failed(why.to_string()))?;
    let why = tool::command("unshare", &UNSHARE).arg(me).args(env::args_os().skip(1)).env(INSIDE, "1").exec();
    Err(failed(why.to_string()))
}

/// Files of the run, and those that `ip` and `iptables` make, lie in memory that goes with the mounts.
fn prepare() -> Result<PathBuf, ToolError> {
    tool::run("mount", &["-t", "tmpfs", "tmpfs", "/run"])?;
    let folder = PathBuf::from("/run/nemesis");
    std::fs::create_dir(&folder)
        .map_err(|why| ToolError { command: "mkdir /run/nemesis".to_owned(), said: why.to_string() })?;
    Ok(folder)
}
