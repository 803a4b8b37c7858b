//! Runs the system's own commands: `ip`, `iptables`, `mount` and their like.

use std::env;
use std::ffi::OsString;
use std::process::{Command, Output};

/// A command that did not do what it was asked to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{command}` failed: {said}")]
pub struct ToolError {
    /// As it was called.
    pub command: String,
    /// What it said, or why it could not be run.
    pub said: String,
}

/// A command whose program may be where only root looks.
pub fn command(program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).env("PATH", path()).env("LC_ALL", "C");
    command
}

/// Runs it to its end; returns what it printed.
///
/// # Errors
/// When it cannot be run, or says no.
pub fn run(program: &str, arguments: &[&str]) -> Result<String, ToolError> {
    let failed = |said: String| ToolError { command: format!("{program} {}", arguments.join(" ")), said };
    let Output { status, stdout, stderr } =
        command(program, arguments).output().map_err(|why| failed(why.to_string()))?;
    if status.success() {
        Ok(String::from_utf8_lossy(&stdout).into_owned())
    } else {
        Err(failed(format!("{status}, {}", String::from_utf8_lossy(&stderr).trim())))
    }
}

/// The same, from an asynchronous task.
///
/// # Errors
/// As [`run`].
pub async fn run_aside(program: &'static str, arguments: Vec<String>) -> Result<String, ToolError> {
    let words = format!("{program} {}", arguments.join(" "));
    let work = move || run(program, &arguments.iter().map(String::as_str).collect::<Vec<_>>());
    let ended = tokio::task::spawn_blocking(work).await;
    ended.unwrap_or_else(|why| Err(ToolError { command: words, said: why.to_string() }))
}

fn path() -> OsString {
    let mut path = env::var_os("PATH").unwrap_or_default();
    path.push(":/usr/local/sbin:/usr/sbin:/sbin");
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_it_prints_is_returned_and_what_it_complains_of_is_told() {
        assert_eq!(run("sh", &["-c", "echo yes"]).as_deref(), Ok("yes\n"));
        let error = run("sh", &["-c", "echo no room >&2; exit 3"]).unwrap_err().to_string();
        assert!(error.contains("no room") && error.contains("sh -c"), "{error}");
        assert!(run("no-such-program-here", &[]).is_err());
    }
}
