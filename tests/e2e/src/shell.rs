//! Running a program and keeping what it printed: the only way out of this crate besides the API server.

use std::path::Path;
use std::process::{Output, Stdio};

use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// A program could not be run, or said no.
#[derive(Debug, thiserror::Error)]
pub enum ShellError {
    /// It did not start.
    #[error("cannot start `{line}`: {source}")]
    Start {
        /// The command line.
        line: String,
        /// Why.
        source: std::io::Error,
    },
    /// It ended with a code other than zero.
    #[error("`{line}` ended with {code}: {stderr}")]
    Failed {
        /// The command line.
        line: String,
        /// Exit code, or "a signal".
        code: String,
        /// What it said, its end.
        stderr: String,
    },
}

/// Runs `program args` in `dir` with `stdin` and returns its standard output. Standard error goes into the error.
pub async fn run(
    dir: &Path,
    program: &str,
    args: &[&str],
    stdin: Option<&str>,
) -> Result<String, ShellError> {
    let output = attempt(dir, program, args, stdin).await?;
    let line = format!("{program} {}", args.join(" "));
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let code = output.status.code().map_or("a signal".into(), |c| format!("exit code {c}"));
    Err(ShellError::Failed { line, code, stderr: tail(&output.stderr) })
}

/// As [`run`], but an exit code other than zero is an answer, not an error.
pub async fn attempt(
    dir: &Path,
    program: &str,
    args: &[&str],
    stdin: Option<&str>,
) -> Result<Output, ShellError> {
    let line = format!("{program} {}", args.join(" "));
    let start = |source| ShellError::Start { line: line.clone(), source };
    let mut child = Command::new(program)
        .args(args)
        .current_dir(dir)
        .stdin(if stdin.is_some() { Stdio::piped() } else { Stdio::null() })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(start)?;
    if let (Some(text), Some(mut pipe)) = (stdin, child.stdin.take()) {
        // A program that ends without reading closes the pipe: its exit code tells the story then.
        let _ = pipe.write_all(text.as_bytes()).await;
    }
    child.wait_with_output().await.map_err(start)
}

/// The last lines are the ones that tell why.
fn tail(bytes: &[u8]) -> String {
    const LINES: usize = 20;
    let text = String::from_utf8_lossy(bytes);
    let lines: Vec<&str> = text.trim_end().lines().collect();
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_failure_tells_the_code_and_the_last_words() {
        let error = run(Path::new("/"), "sh", &["-c", "echo no room >&2; exit 3"], None).await.unwrap_err();
        let text = error.to_string();
        assert!(text.contains("exit code 3") && text.contains("no room"), "{text}");
    }

    #[tokio::test]
    async fn standard_input_arrives() {
        assert_eq!(run(Path::new("/"), "cat", &[], Some("hello")).await.unwrap(), "hello");
    }
}
