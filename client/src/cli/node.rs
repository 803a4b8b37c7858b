//! `node lost`: a node's disk is gone for ever.

use std::process::ExitCode;

use dynamo_client::change::Driver;
use dynamo_ring::NodeId;

use crate::args::{Common, Node, NodeCommand};
use crate::fail::{Fail, Outcome};
use crate::out;

pub(crate) fn run(common: &Common, args: &Node) -> Outcome {
    let NodeCommand::Lost { node_id, dir } = &args.command;
    let node: NodeId = node_id.parse().map_err(Fail::usage)?;
    let record = Driver::new(dir, common.need_token()?).lost(&node)?;
    out::line(format_args!(
        "{node} is noted as lost, and barred for ever once the others know.\n\
         Give its replicas to others: dynamoctl ring plan --remove NAME --dir {} (epoch is {})",
        dir.display(),
        record.stamp().epoch
    ))?;
    Ok(ExitCode::SUCCESS)
}
