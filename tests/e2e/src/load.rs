//! One load pod, from its start to its verdict: its lines of statistics are followed through the API server's logs.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use dynamo_load::stats::Line;
use dynamo_load::verify::Report;
use futures::{AsyncBufReadExt, TryStreamExt};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, LogParams, PostParams};
use kube::{Api, Client};

use crate::door::{Door, DoorError};
use crate::pods::{JOURNAL, STOP_FILE, TOKEN_FILE, load_pod};
use crate::stage::{NAMESPACE, STORE};

/// Why the load could not be run or judged.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The cluster cannot be used.
    #[error(transparent)]
    Door(#[from] DoorError),
    /// The API server does not answer as it should.
    #[error("Kubernetes: {0}")]
    Kube(#[from] kube::Error),
    /// The pod did not get there in time.
    #[error("the pod {pod} was not {what} within {seconds} s; its last line was: {last}")]
    Late {
        /// The pod.
        pod: String,
        /// What was waited for.
        what: &'static str,
        /// How long.
        seconds: u64,
        /// Its last line of statistics, as far as it has one.
        last: String,
    },
    /// The verifier did not print a report.
    #[error("the verifier printed no report: {0}")]
    NoReport(String),
}

/// A running load pod.
pub struct Load {
    name: String,
    door: Door,
    pods: Api<Pod>,
    lines: Arc<Mutex<Vec<Line>>>,
    follower: tokio::task::JoinHandle<()>,
}

impl Load {
    /// Makes the pod and follows its statistics.
    pub async fn start(door: &Door, client: &Client, name: &str, args: &[String]) -> Result<Self, LoadError> {
        let pods: Api<Pod> = Api::namespaced(client.clone(), NAMESPACE);
        // One of a run that died may be there still.
        remove(&pods, name).await?;
        let pod = serde_json::from_value(load_pod(NAMESPACE, name, STORE, args))
            .map_err(kube::Error::SerdeError)?;
        pods.create(&PostParams::default(), &pod).await?;
        let lines = Arc::new(Mutex::new(Vec::new()));
        let follower = tokio::spawn(follow(pods.clone(), name.to_owned(), Arc::clone(&lines)));
        Ok(Self { name: name.to_owned(), door: door.clone(), pods, lines, follower })
    }

    /// All lines of statistics so far, one for each second.
    pub fn lines(&self) -> Vec<Line> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until a line satisfies `ready`, and returns it.
    pub async fn wait(
        &self,
        what: &'static str,
        within: Duration,
        mut see: impl FnMut(&Line),
        ready: impl Fn(&Line) -> bool,
    ) -> Result<Line, LoadError> {
        let begun = tokio::time::Instant::now();
        loop {
            let last = self.lines().last().cloned();
            if let Some(line) = &last {
                see(line);
                if ready(line) {
                    return Ok(line.clone());
                }
            }
            if begun.elapsed() > within {
                let last =
                    last.and_then(|line| serde_json::to_string(&line).ok()).unwrap_or_else(|| "none".into());
                return Err(LoadError::Late {
                    pod: self.name.clone(),
                    what,
                    seconds: within.as_secs(),
                    last,
                });
            }
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    }

    /// Runs a command of `dynamo-load` beside the journal; returns whether it ended well and what it printed.
    pub async fn desk(&self, args: &[&str]) -> Result<(bool, String), LoadError> {
        let exec = ["-n", NAMESPACE, "exec", &self.name, "-c", "desk", "--", "/bin/dynamo-load"];
        Ok(self.door.kubectl_try(&[&exec[..], args].concat(), None).await?)
    }

    /// Asks the load to end, and waits until it has.
    pub async fn stop(&self) -> Result<(), LoadError> {
        self.desk(&["stop", "--stop-file", STOP_FILE]).await?;
        self.wait("ended", Duration::from_mins(1), |_| {}, |line| line.ended).await?;
        Ok(())
    }

    /// Reads every acknowledged write back through the store and asks every replica that the layout names.
    pub async fn verify(&self) -> Result<Report, LoadError> {
        let seeds = format!("{STORE}:7070");
        let args = [
            "verify",
            "--seeds",
            &seeds,
            "--journal",
            JOURNAL,
            "--every-replica",
            "--admin-token-file",
            TOKEN_FILE,
        ];
        let (_, text) = self.desk(&args).await?;
        let line = text.lines().rev().find(|line| line.starts_with('{'));
        let report = line.and_then(|line| serde_json::from_str(line).ok());
        report.ok_or(LoadError::NoReport(text))
    }

    /// Removes the pod.
    pub async fn remove(self) -> Result<(), LoadError> {
        remove(&self.pods, &self.name).await
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.follower.abort();
    }
}

async fn remove(pods: &Api<Pod>, name: &str) -> Result<(), LoadError> {
    let params = DeleteParams { grace_period_seconds: Some(0), ..DeleteParams::default() };
    match pods.delete(name, &params).await {
        Err(kube::Error::Api(status)) if status.code == 404 => return Ok(()),
        other => other?,
    };
    while pods.get_opt(name).await?.is_some() {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    Ok(())
}

/// Follows the log for as long as the pod is there; the API server may end a stream at any time, so it is begun again
/// where it ended.
async fn follow(pods: Api<Pod>, name: String, lines: Arc<Mutex<Vec<Line>>>) {
    let mut seen = 0;
    loop {
        let params = LogParams { container: Some("load".into()), follow: true, ..LogParams::default() };
        if let Ok(stream) = pods.log_stream(&name, &params).await {
            let mut texts = stream.lines();
            let mut index = 0;
            while let Ok(Some(text)) = texts.try_next().await {
                let Ok(line) = serde_json::from_str::<Line>(&text) else { continue };
                index += 1;
                if index > seen {
                    seen = index;
                    lines.lock().unwrap_or_else(PoisonError::into_inner).push(line);
                }
            }
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}
