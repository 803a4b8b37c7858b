//! A small disk for each node: a file system in a file. It can be filled, and it can be made to stand still.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::Mutex;
use tokio::task::block_in_place;
use tokio::time::sleep;

use super::tool::{ToolError, run, run_aside};

/// Of the disk. The file that it lies in takes no more than what was written.
const BYTES: u64 = 1 << 30;
/// Bytes that a node keeps free.
pub const RESERVE: u64 = 64 << 20;
/// So long it stands still at a time, and so long it works in between.
const STILL: Duration = Duration::from_millis(250);
const AWAKE: Duration = Duration::from_millis(60);

/// A disk. It goes with its sandbox.
#[derive(Debug)]
pub struct Disk {
    mount: PathBuf,
    /// Held by whoever has filled it, or makes it stand still: one at a time.
    full: Mutex<()>,
    slow: Mutex<()>,
}

/// Why a disk cannot be had, or a fault of it is none.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// A command.
    #[error(transparent)]
    Tool(#[from] ToolError),
    /// A file.
    #[error("{what}: {source}")]
    Io {
        /// Which.
        what: String,
        /// What the system says.
        source: io::Error,
    },
    /// It was filled, and has room.
    #[error("{free} bytes are free on a disk that was filled: more than a node keeps back, {RESERVE}")]
    NotFull {
        /// Bytes.
        free: u64,
    },
    /// It was to stand still, and took a write.
    #[error("a disk that was to stand still took a write")]
    NotStill,
}

fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> DiskError {
    let what = what.into();
    move |source| DiskError::Io { what, source }
}

impl Disk {
    /// Makes it and mounts it under `folder`.
    ///
    /// # Errors
    /// The command that fails.
    pub fn make(folder: &Path, name: &str) -> Result<Self, DiskError> {
        let (file, mount) = (folder.join(format!("{name}.img")), folder.join(format!("{name}.disk")));
        let made = File::create(&file).and_then(|file| file.set_len(BYTES));
        made.map_err(io(file.display().to_string()))?;
        fs::create_dir_all(&mount).map_err(io(mount.display().to_string()))?;
        let (file, at) = (file.display().to_string(), mount.display().to_string());
        run("mkfs.ext4", &["-q", "-m", "0", "-F", &file])?;
        run("mount", &["-o", "loop", &file, &at])?;
        Ok(Self { mount, full: Mutex::default(), slow: Mutex::default() })
    }

    /// Where it is mounted.
    pub fn mount(&self) -> &Path {
        &self.mount
    }

    /// Bytes free.
    ///
    /// # Errors
    /// What the system says.
    pub fn free(&self) -> Result<u64, DiskError> {
        let volume = rustix::fs::statvfs(&self.mount).map_err(io::Error::from);
        let volume = volume.map_err(io(self.mount.display().to_string()))?;
        Ok(volume.f_bavail.saturating_mul(volume.f_frsize))
    }

    /// Fills it for so long: three quarters of what a node keeps back are left, so that it refuses what would fill the disk
    /// further, and has room for what must not fail. Does nothing if it is filled already.
    ///
    /// # Errors
    /// Why it could not be filled, or emptied.
    pub async fn fill(&self, lasting: Duration) -> Result<(), DiskError> {
        let Ok(_one) = self.full.try_lock() else { return Ok(()) };
        self.take_room().await?;
        sleep(lasting).await;
        self.give_room()
    }

    /// Takes the room.
    ///
    /// # Errors
    /// [`DiskError::NotFull`] if a node would not call it full.
    pub async fn take_room(&self) -> Result<(), DiskError> {
        let bytes = self.free()?.saturating_sub(RESERVE / 4 * 3);
        let ballast = self.ballast().display().to_string();
        run_aside("fallocate", vec!["-l".to_owned(), bytes.to_string(), ballast]).await?;
        let free = self.free()?;
        if free < RESERVE { Ok(()) } else { Err(DiskError::NotFull { free }) }
    }

    /// Gives it back.
    ///
    /// # Errors
    /// What the system says.
    pub fn give_room(&self) -> Result<(), DiskError> {
        // It waits while the disk stands still.
        match block_in_place(|| fs::remove_file(self.ballast())) {
            Err(why) if why.kind() != io::ErrorKind::NotFound => Err(io("the ballast")(why)),
            _ => Ok(()),
        }
    }

    fn ballast(&self) -> PathBuf {
        self.mount.join("ballast")
    }

    /// For so long it stands still most of the time: a write waits, and none fails. Does nothing if it does so already.
    ///
    /// On a thread of its own, that nothing else waits on and that goes on to its end whatever becomes of this task: a task
    /// that shared its thread with one that waits for the disk would never come to thaw it, and what waits for a disk that
    /// nobody thaws cannot even be killed.
    ///
    /// # Errors
    /// The command that fails.
    pub async fn stall(&self, lasting: Duration) -> Result<(), DiskError> {
        let Ok(_one) = self.slow.try_lock() else { return Ok(()) };
        let mount = self.mount.clone();
        let work = move || {
            let until = Instant::now() + lasting;
            while Instant::now() < until {
                let still = Still::new(&mount)?;
                thread::sleep(STILL);
                drop(still);
                thread::sleep(AWAKE);
            }
            Ok(())
        };
        let ended = tokio::task::spawn_blocking(work).await;
        ended.unwrap_or_else(|why| Err(io("the disk's thread")(io::Error::other(why))))
    }

    /// Shows that a disk that stands still takes no write, and takes it afterwards.
    ///
    /// # Errors
    /// What it does instead.
    pub fn prove_stall(&self) -> Result<(), DiskError> {
        let still = Still::new(&self.mount)?;
        let (path, (begun, has_begun), (done, is_done)) =
            (self.mount.join("probe"), mpsc::channel(), mpsc::channel());
        let write = thread::spawn(move || {
            // The other end waits for both, so sending cannot fail before it has gone.
            let _ = begun.send(());
            let written = File::create(&path).and_then(|mut file| {
                file.write_all(b"probe")?;
                file.sync_all()
            });
            let _ = done.send(());
            written.and_then(|()| fs::remove_file(&path))
        });
        let _ = has_begun.recv();
        thread::sleep(STILL);
        let took = is_done.try_recv().is_ok();
        drop(still);
        let written = write.join().unwrap_or_else(|_| Err(io::Error::other("the probe's thread")));
        written.map_err(io("the probe's file"))?;
        if took { Err(DiskError::NotStill) } else { Ok(()) }
    }
}

/// A disk that stands still until this is dropped.
#[derive(Debug)]
struct Still(String);

impl Still {
    fn new(mount: &Path) -> Result<Self, ToolError> {
        let still = Self(mount.display().to_string());
        run("fsfreeze", &["-f", &still.0])?;
        Ok(still)
    }
}

impl Drop for Still {
    fn drop(&mut self) {
        // One that was not frozen says so, which is as good.
        let _ = run("fsfreeze", &["-u", &self.0]);
    }
}
