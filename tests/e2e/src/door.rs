//! The Kubernetes under test, whichever it is: everything goes through `scripts/cluster`, so that the demo and the
//! scenarios are the same on the harness's own cluster, on kind and on a given one.

use std::path::{Path, PathBuf};

use kube::config::{KubeConfigOptions, Kubeconfig};

use crate::shell::{self, ShellError};

/// Why the cluster cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DoorError {
    /// The checkout cannot be found from the working directory.
    #[error("no scripts/cluster at or above {0}: run this from inside a checkout")]
    NoCheckout(PathBuf),
    /// A command of the harness, kubectl or helm failed.
    #[error(transparent)]
    Shell(#[from] ShellError),
    /// The kubeconfig that the harness names cannot be read.
    #[error("the kubeconfig cannot be used: {0}")]
    Kubeconfig(String),
    /// The API server does not answer as it should.
    #[error("Kubernetes: {0}")]
    Kube(#[from] kube::Error),
}

/// The way to one Kubernetes.
#[derive(Debug, Clone)]
pub struct Door {
    root: PathBuf,
}

impl Door {
    /// Finds the checkout at or above the working directory.
    pub fn find() -> Result<Self, DoorError> {
        let here = std::env::current_dir().unwrap_or_default();
        here.ancestors()
            .find(|dir| dir.join("scripts/cluster").is_file())
            .map(|root| Self { root: root.to_path_buf() })
            .ok_or(DoorError::NoCheckout(here))
    }

    /// The checkout's root.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// `scripts/cluster ARGS`, its standard output.
    pub async fn harness(&self, args: &[&str]) -> Result<String, DoorError> {
        Ok(shell::run(&self.root, "scripts/cluster", args, None).await?)
    }

    /// Brings the cluster up (at once if it is) and puts the project's images on its nodes.
    pub async fn up(&self) -> Result<(), DoorError> {
        self.harness(&["up"]).await?;
        let mut images: Vec<String> = std::fs::read_dir(self.root.join("target/images"))
            .map_err(|e| DoorError::Kubeconfig(format!("target/images: {e}; run `make images` first")))?
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "tar"))
            .map(|path| path.display().to_string())
            .collect();
        images.sort();
        let mut args = vec!["load"];
        args.extend(images.iter().map(String::as_str));
        self.harness(&args).await?;
        Ok(())
    }

    /// `kubectl ARGS`, its standard output.
    pub async fn kubectl(&self, args: &[&str]) -> Result<String, DoorError> {
        let mut all = vec!["kubectl"];
        all.extend(args);
        self.harness(&all).await
    }

    /// `kubectl ARGS` with `input` on its standard input; the exit code is the caller's to judge.
    pub async fn kubectl_try(&self, args: &[&str], input: Option<&str>) -> Result<(bool, String), DoorError> {
        let mut all = vec!["kubectl"];
        all.extend(args);
        let output = shell::attempt(&self.root, "scripts/cluster", &all, input).await?;
        let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.push_str(&String::from_utf8_lossy(&output.stderr));
        Ok((output.status.success(), text))
    }

    /// `kubectl apply -f -` of a document.
    pub async fn apply(&self, document: &str) -> Result<String, DoorError> {
        let args = ["kubectl", "apply", "--server-side", "-f", "-"];
        Ok(shell::run(&self.root, "scripts/cluster", &args, Some(document)).await?)
    }

    /// `helm ARGS`, its standard output.
    pub async fn helm(&self, args: &[&str]) -> Result<String, DoorError> {
        let mut all = vec!["helm"];
        all.extend(args);
        self.harness(&all).await
    }

    /// A client for the API server.
    pub async fn client(&self) -> Result<kube::Client, DoorError> {
        let path = self.harness(&["kubeconfig"]).await?;
        let refuse =
            |e: kube::config::KubeconfigError| DoorError::Kubeconfig(format!("{}: {e}", path.trim()));
        let file = Kubeconfig::read_from(path.trim()).map_err(refuse)?;
        let config = kube::Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await;
        Ok(kube::Client::try_from(config.map_err(refuse)?)?)
    }

    /// Gathers the logs of nodes and pods into `dir`; a failure to do so is told, not raised.
    pub async fn gather_logs(&self, dir: &str) {
        match self.harness(&["logs", dir]).await {
            Ok(_) => eprintln!("logs: {dir}"),
            Err(error) => eprintln!("logs could not be gathered: {error}"),
        }
    }
}
