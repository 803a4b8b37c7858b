//! One `dynamo-node` process: started with its own folder and ports, ended by its own process id.

use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::site::Site;

/// A node's name, and where it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// What it is called; also the name of its folder.
    pub name: String,
    /// Where it runs.
    pub site: Site,
}

impl Place {
    /// Where peers and clients dial it.
    pub fn address(&self) -> String {
        self.site.address().to_string()
    }

    /// Where its data lies, of a node whose folder this is.
    fn data(&self, folder: &Path) -> PathBuf {
        self.site.disk.as_deref().unwrap_or(folder).join("data")
    }

    /// What starts `binary` there.
    fn command(&self, binary: &Path) -> Command {
        let Some((first, rest)) = self.site.enter.split_first() else { return Command::new(binary) };
        let mut command = Command::new(first);
        command.args(rest).arg(binary);
        command
    }
}

/// A running node. It is killed when this is dropped.
#[derive(Debug)]
pub struct NodeProcess {
    place: Place,
    folder: PathBuf,
    child: Child,
    pid: Pid,
}

impl NodeProcess {
    /// Starts `binary` at `place`, with its log (`log`, appended to) and, unless its site has a disk, its data under
    /// `folder/NAME`.
    pub fn start(
        binary: &Path,
        place: &Place,
        folder: &Path,
        token_file: &Path,
        more: &[String],
    ) -> io::Result<Self> {
        let folder = folder.join(&place.name);
        let data = place.data(&folder);
        fs::create_dir_all(&folder)?;
        fs::create_dir_all(&data)?;
        let log = OpenOptions::new().create(true).append(true).open(folder.join("log"))?;
        let child = place
            .command(binary)
            .args(["--name", &place.name])
            .args(["--listen", &place.address()])
            .args(["--http", &place.site.http().to_string()])
            .arg("--data-dir")
            .arg(data)
            .arg("--admin-token-file")
            .arg(token_file)
            .args(["--log", "text"])
            .args(more)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            // Out of the terminal's group: Ctrl-C is for the supervisor, which ends its nodes in good order.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let pid = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        let pid = pid.ok_or_else(|| io::Error::other("the process ended before it had an id"))?;
        Ok(Self { place: place.clone(), folder, child, pid })
    }

    /// Where it runs.
    pub const fn place(&self) -> &Place {
        &self.place
    }

    /// Its process id.
    pub fn pid(&self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Asks it to stop, and kills it if it has not within `patience`.
    pub async fn stop(mut self, patience: Duration) -> io::Result<ExitStatus> {
        self.signal(Signal::TERM)?;
        match timeout(patience, self.child.wait()).await {
            Ok(status) => status,
            Err(_) => self.kill().await,
        }
    }

    /// Ends it at once, as a failure would.
    pub async fn kill(mut self) -> io::Result<ExitStatus> {
        self.child.start_kill()?;
        self.child.wait().await
    }

    /// Halts it where it stands, as a machine that hangs would: its connections stay open and nothing answers.
    pub fn freeze(&mut self) -> io::Result<()> {
        self.signal(Signal::STOP)
    }

    /// Lets it go on after [`freeze`](Self::freeze).
    pub fn thaw(&mut self) -> io::Result<()> {
        self.signal(Signal::CONT)
    }

    /// The last lines of its log.
    pub fn log_tail(&self, lines: usize) -> String {
        let text = fs::read(self.folder.join("log")).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let all: Vec<_> = text.lines().collect();
        all[all.len().saturating_sub(lines)..].join("\n")
    }

    fn signal(&mut self, signal: Signal) -> io::Result<()> {
        // A process id that was waited for may be another process's by now.
        match self.ended() {
            Some(_) => Ok(()),
            None => Ok(kill_process(self.pid, signal)?),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// A program that writes its arguments down and stays until it is told to end.
    fn program(folder: &Path, on_term: &str) -> PathBuf {
        let path = folder.join("node");
        fs::write(
            &path,
            format!("#!/bin/sh\ntrap '{on_term}' TERM\necho \"$@\"\nwhile :; do sleep 0.05; done\n"),
        )
        .unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    async fn started(folder: &Path, on_term: &str) -> NodeProcess {
        let place = Place { name: "dev-0".into(), site: Site::loopback(7070, 7071) };
        let program = program(folder, on_term);
        let node = NodeProcess::start(&program, &place, folder, &folder.join("token"), &[]).unwrap();
        while node.log_tail(1).is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        node
    }

    #[tokio::test]
    async fn it_is_told_its_name_ports_and_folder() {
        let folder = tempfile::tempdir().unwrap();
        let node = started(folder.path(), "exit 0").await;
        let data = folder.path().join("dev-0/data");
        let said = node.log_tail(1);
        for part in
            ["--name dev-0", "--listen 127.0.0.1:7070", "--http 127.0.0.1:7071", data.to_str().unwrap()]
        {
            assert!(said.contains(part), "{said}");
        }
        assert!(data.is_dir());
        assert!(node.stop(Duration::from_secs(5)).await.unwrap().success());
    }

    #[test]
    fn a_site_may_have_a_disk_and_a_command_to_be_entered_by() {
        let here = Place { name: "dev-0".into(), site: Site::loopback(7070, 7071) };
        let (folder, disk) = (Path::new("/f/dev-0"), Path::new("/mnt/0"));
        assert_eq!(here.data(folder), folder.join("data"));
        let site =
            Site { enter: vec!["nsenter".into(), "--net=x".into()], disk: Some(disk.into()), ..here.site };
        let there = Place { site, ..here };
        assert_eq!(there.data(folder), disk.join("data"));
        let command = there.command(Path::new("/bin/node"));
        assert_eq!(command.as_std().get_program(), "nsenter");
        assert_eq!(command.as_std().get_args().collect::<Vec<_>>(), ["--net=x", "/bin/node"]);
    }

    #[tokio::test]
    async fn one_that_does_not_stop_is_killed_and_one_that_ended_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let stubborn = started(folder.path(), "").await;
        assert!(!stubborn.stop(Duration::from_millis(100)).await.unwrap().success());

        let folder = tempfile::tempdir().unwrap();
        let mut node = started(folder.path(), "exit 3").await;
        node.signal(Signal::TERM).unwrap();
        while node.ended().is_none() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(node.stop(Duration::from_secs(1)).await.unwrap().code(), Some(3));
    }
}
