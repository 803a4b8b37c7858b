//! Pieces of the schema that the derive cannot say: bounded strings, and integers of the formats that Kubernetes knows.

use schemars::{Schema, SchemaGenerator, json_schema};

/// A Kubernetes quantity of bytes, such as `10Gi`.
pub(super) fn bytes(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "maxLength": 20, "pattern": "^[1-9][0-9]*(k|M|G|T|P|Ki|Mi|Gi|Ti|Pi)?$"})
}

/// As [`bytes`], and may be left out.
pub(super) fn optional_bytes(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string", "nullable": true, "maxLength": 20,
        "pattern": "^[1-9][0-9]*(k|M|G|T|P|Ki|Mi|Gi|Ti|Pi)?$"
    })
}

/// An amount of CPU or memory, such as `500m` or `1Gi`; may be left out.
pub(super) fn optional_amount(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string", "nullable": true, "maxLength": 20,
        "pattern": "^[0-9]+(\\.[0-9]+)?(m|k|M|G|T|P|Ki|Mi|Gi|Ti|Pi)?$"
    })
}

/// The key of a label, as Kubernetes has them: a DNS name and a slash, if it has an owner, and a name.
pub(super) fn label(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string", "minLength": 1, "maxLength": 317,
        "pattern": "^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$"
    })
}

/// A count that fits 32 bits. Unsigned formats are none that Kubernetes knows.
pub(super) fn count(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "integer", "format": "int64", "minimum": 0})
}

/// A moment, as RFC 3339 has it.
pub(super) fn time(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "format": "date-time", "maxLength": 40})
}

/// As [`time`], and may be missing.
pub(super) fn optional_time(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "format": "date-time", "maxLength": 40, "nullable": true})
}
