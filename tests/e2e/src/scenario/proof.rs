//! Everybody whom a layout named and none names any more has retired or is recorded as lost: in the record, in the status
//! and in an Event.

use dynamo_ring::{Fate, Record};

use crate::stage::Stage;

/// How many went since `before`; an error names the first that went without proof.
pub(super) async fn removals(stage: &Stage, before: &Record) -> Result<usize, Box<dyn std::error::Error>> {
    let record = stage.record().await?;
    let status = stage.get().await?.status.unwrap_or_default();
    let events = stage.events().await?;
    let mut gone = 0;
    for named in record.named() {
        let (id, stays) = (named.node_id.to_string(), record.stable().names(&named.node_id));
        let reason = match named.fate {
            Fate::Active if stays => continue,
            Fate::Active => return Err(format!("{} ({id}) went without proof", named.name).into()),
            Fate::Retired => "MemberRetired",
            Fate::Lost => "MemberLost",
        };
        if before.fate(&named.node_id).is_some_and(|fate| fate != Fate::Active) {
            continue;
        }
        gone += 1;
        let shown = status.removals.iter().find(|removal| removal.node_id == id);
        if shown.is_none_or(|removal| removal.fate != format!("{:?}", named.fate)) {
            return Err(format!("the status does not show {} ({id}) as {:?}", named.name, named.fate).into());
        }
        if !events.iter().any(|(told, note)| told == reason && note.contains(&id)) {
            return Err(format!("no Event {reason} tells of {} ({id})", named.name).into());
        }
    }
    Ok(gone)
}
