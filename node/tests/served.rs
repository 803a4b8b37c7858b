//! What clients see of three to five real nodes: quorums, conflicts, stand-ins, forwards, refusals.

mod wire;

use std::time::Duration;

use bytes::Bytes;
use dynamo_proto::v1::{GetLayoutRequest, GetRequest, PutRequest, StatusRequest};
use dynamo_ring::Record;
use tonic::Code;
use tonic_types::StatusExt;
use wire::{Wired, delete, eventually, get, put, shown, values};

#[tokio::test(flavor = "multi_thread")]
async fn any_node_takes_any_request() {
    let cluster = Wired::form(3, &[]).await;
    for (i, pod) in cluster.pods.iter().enumerate() {
        let key = format!("key-{i}");
        let written = pod.put(put(&key, "one")).await.unwrap();
        assert_eq!((written.siblings, written.sloppy, written.epoch), (1, false, 1));
        assert!(written.answered >= 2);
        for other in &cluster.pods {
            let found = other.get(&key).await;
            assert_eq!(values(&found), ["one"]);
            assert_eq!((found.answered, found.sloppy), (2, false));
        }
    }
    assert!(cluster.pods[0].get("nothing").await.siblings.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn lesson_12_concurrent_writes_are_kept_and_a_write_with_the_context_settles_them() {
    let cluster = Wired::form(3, &[]).await;
    let [a, b, c] = &cluster.pods[..] else { unreachable!() };
    let first = a.put(put("cart", "milk")).await.unwrap();
    assert!(!first.context.is_empty());
    let second = b.put(put("cart", "eggs")).await.unwrap();
    assert!(second.context.is_empty(), "it would cover a version that its client has never seen");
    assert_eq!(second.siblings, 2);

    let both = c.get("cart").await;
    assert_eq!(values(&both), ["eggs", "milk"]);
    let merged = PutRequest { context: both.context, ..put("cart", "eggs and milk") };
    let settled = c.put(merged).await.unwrap();
    assert_eq!(settled.siblings, 1);
    assert_eq!(values(&a.get("cart").await), ["eggs and milk"]);

    // The context of a put is as good as one of a read.
    let next = PutRequest { context: settled.context, ..put("cart", "bread") };
    assert_eq!(b.put(next).await.unwrap().siblings, 1);
    let found = a.get("cart").await;
    assert_eq!(values(&found), ["bread"]);

    // A delete is a write, also beside another.
    let gone = a.kv().delete(delete("cart", found.context.clone())).await.unwrap().into_inner();
    assert_eq!((gone.siblings, gone.context.is_empty()), (1, false));
    let found_again = b.get("cart").await;
    assert_eq!((values(&found_again).len(), found_again.tombstones), (0, 1));
    let late = PutRequest { context: found.context, ..put("cart", "late") };
    assert_eq!(c.put(late).await.unwrap().siblings, 2);
    let found = a.get("cart").await;
    assert_eq!((values(&found), found.tombstones), (vec!["late".to_owned()], 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_reads_as_absent_after_its_time_to_live_and_its_context_still_covers_it() {
    let cluster = Wired::form(5, &[]).await;
    let outsider = &cluster.pods[cluster.holders_first("k")[4]];
    let long = PutRequest { ttl_ms: Some(3_600_000), ..put("k", "long") };
    outsider.put(long).await.unwrap();
    let found = outsider.get("k").await;
    assert_eq!((values(&found), found.expired), (vec!["long".to_owned()], 0));
    let sibling = &found.siblings[0];
    assert_eq!(sibling.expires_at_ms, Some(sibling.written_at_ms + 3_600_000), "forwarding changed nothing");

    let short = PutRequest { ttl_ms: Some(1), context: found.context, ..put("k", "short") };
    outsider.put(short).await.unwrap();
    eventually("the value is shown no more", async || outsider.get("k").await.siblings.is_empty()).await;
    let found = outsider.get("k").await;
    assert_eq!((found.expired, found.tombstones), (1, 0));
    let next = PutRequest { context: found.context, ..put("k", "next") };
    assert_eq!(outsider.put(next).await.unwrap().siblings, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn deletes_go_from_the_disks_of_real_nodes_and_the_key_can_be_written_anew() {
    let cluster = Wired::form(3, &["--reap-interval-ms=50"]).await;
    let [a, b, c] = &cluster.pods[..] else { unreachable!() };
    for n in 0..20 {
        let written = a.put(put(&format!("key-{n}"), "v")).await.unwrap();
        b.kv().delete(delete(&format!("key-{n}"), written.context)).await.unwrap();
    }
    eventually("no key is left on any disk", async || {
        let mut keys = Vec::new();
        for pod in [a, b, c] {
            keys.push(pod.status().await.keys);
        }
        keys == [0; 3]
    })
    .await;
    assert!(b.get("key-7").await.siblings.is_empty());
    a.put(PutRequest { w: Some(3), ..put("key-7", "anew") }).await.unwrap();
    assert_eq!(values(&c.get("key-7").await), ["anew"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_with_its_write_id_makes_no_second_version() {
    let cluster = Wired::form(3, &[]).await;
    let pod = &cluster.pods[0];
    let write = PutRequest { write_id: Bytes::from_static(&[7; 16]), ..put("k", "v") };
    let first = pod.put(write.clone()).await.unwrap();
    let again = pod.put(write.clone()).await.unwrap();
    assert_eq!((first.siblings, again.siblings), (1, 1));
    assert_eq!(first.context, again.context);

    // Its version is replaced; a retry that was still on its way must not bring it back.
    pod.put(PutRequest { context: first.context, ..put("k", "w") }).await.unwrap();
    let late = pod.put(write).await.unwrap();
    assert_eq!((late.siblings, late.context.is_empty()), (1, true));
    assert_eq!(values(&pod.get("k").await), ["w"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn outside_the_preference_list_a_write_is_forwarded_once() {
    let cluster = Wired::form(5, &[]).await;
    let order = cluster.holders_first("k");
    let outsider = &cluster.pods[order[4]];
    assert_eq!(outsider.put(put("k", "v")).await.unwrap().siblings, 1);
    assert_eq!(values(&outsider.get("k").await), ["v"]);
    let inspected = |i: usize| cluster.pods[i].status();
    eventually("all three holders have it, and nobody else", async || {
        let mut keys = Vec::new();
        for i in &order {
            keys.push(inspected(*i).await.keys);
        }
        keys == [1, 1, 1, 0, 0]
    })
    .await;

    // An error of the coordinator reaches the client as it is.
    let stranger = PutRequest { w: Some(4), ..put("k", "v") };
    let refused = outsider.put(stranger).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_one_of_three_down_writes_go_on_and_a_hint_waits_for_it() {
    let mut cluster = Wired::form(3, &[]).await;
    cluster.pods[2].crash().await;
    let written = cluster.pods[0].put(put("k", "while away")).await.unwrap();
    assert_eq!((written.answered, written.sloppy), (2, false));
    let refused = cluster.pods[0].put(PutRequest { w: Some(3), ..put("k3", "v") }).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable);
    let info = refused.get_details_error_info().unwrap();
    assert_eq!((info.metadata["answered"].as_str(), info.metadata["needed"].as_str()), ("2", "3"));
    assert!(refused.message().contains("may appear later, or never"), "{}", refused.message());
    let hints = cluster.pods[0].status().await.hints;
    assert_eq!(hints, 2, "both writes are owed to the one that is away");

    cluster.pods[2].start().await;
    eventually("the hints are delivered", async || {
        cluster.pods[2].status().await.keys == 2 && cluster.pods[0].status().await.hints == 0
    })
    .await;
    let own = GetRequest { r: Some(1), ..get("k") };
    let found = cluster.pods[2].kv().get(own).await.unwrap().into_inner();
    assert_eq!(values(&found), ["while away"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn lesson_13_a_stand_in_counts_unless_the_request_is_strict_and_the_answer_says_so() {
    let mut cluster = Wired::form(5, &[]).await;
    let order = cluster.holders_first("k");
    cluster.pods[order[1]].crash().await;
    cluster.pods[order[2]].crash().await;
    let coordinator = &cluster.pods[order[0]];
    eventually("it has noticed", async || coordinator.status().await.connected.len() == 2).await;

    let strict = PutRequest { strict: true, ..put("k", "strict") };
    let refused = coordinator.put(strict).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable);
    let written = coordinator.put(PutRequest { w: Some(3), ..put("k", "sloppy") }).await.unwrap();
    assert_eq!((written.answered, written.sloppy), (3, true));

    let found = coordinator.get("k").await;
    assert!(found.sloppy && values(&found).contains(&"sloppy".to_owned()));
    let partial = GetRequest { strict: true, allow_partial: true, ..get("k") };
    let found = coordinator.kv().get(partial).await.unwrap().into_inner();
    assert_eq!((found.answered, found.sloppy), (1, false));
    let refused = coordinator.kv().get(GetRequest { strict: true, ..get("k") }).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable);

    // With the last holder gone too, the others still take writes for them.
    cluster.pods[order[0]].crash().await;
    let outsider = &cluster.pods[order[3]];
    eventually("it has noticed", async || outsider.status().await.connected.len() == 1).await;
    let written = outsider.put(put("k", "by strangers")).await.unwrap();
    assert_eq!((written.answered, written.sloppy), (2, true));
    for i in &order[..3] {
        cluster.pods[*i].start().await;
    }
    eventually("everybody has everything, and nobody is owed anything", async || {
        let mut done = true;
        for i in &order[..3] {
            let own = GetRequest { r: Some(1), ..get("k") };
            let found = cluster.pods[*i].kv().get(own).await;
            done &=
                found.is_ok_and(|found| values(&found.into_inner()) == ["by strangers", "sloppy", "strict"]);
        }
        for i in &order {
            done &= cluster.pods[*i].status().await.hints == 0;
        }
        done
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stale_member_is_repaired_behind_a_read() {
    // Hints could do it too, so there are none: the write is at one member only, by a read quorum of one.
    let mut cluster = Wired::form(3, &["--anti-entropy-interval-ms=3600000"]).await;
    cluster.pods[1].put(put("k", "old")).await.unwrap();
    eventually("all have it", async || {
        let mut keys = Vec::new();
        for pod in &cluster.pods {
            keys.push(pod.status().await.keys);
        }
        keys == [1, 1, 1]
    })
    .await;
    cluster.pods[1].crash().await;
    cluster.pods[2].crash().await;
    let write = PutRequest { w: Some(1), ..put("k", "new") };
    cluster.pods[0].put(write).await.unwrap();
    cluster.pods[1].start().await;
    cluster.pods[2].start().await;
    cluster.connected().await;
    assert_eq!(values(&cluster.pods[0].get("k").await), ["new", "old"]);
    eventually("the others have it too", async || {
        let own = GetRequest { r: Some(1), ..get("k") };
        let found = cluster.pods[1].kv().get(own).await.unwrap().into_inner();
        values(&found) == ["new", "old"]
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_versions_are_refused_with_the_context_that_settles_them() {
    let cluster = Wired::form(3, &["--max-siblings=2"]).await;
    let pod = &cluster.pods[0];
    pod.put(put("k", "a")).await.unwrap();
    pod.put(put("k", "b")).await.unwrap();
    let refused = pod.put(put("k", "c")).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    let context = refused.metadata().get_bin("dynamo-context-bin").unwrap().to_bytes().unwrap();
    assert_eq!(pod.put(PutRequest { context, ..put("k", "c") }).await.unwrap().siblings, 1);
    assert_eq!(values(&pod.get("k").await), ["c"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_never_succeed_is_refused_by_field() {
    let cluster = Wired::form(3, &["--max-value-bytes=100"]).await;
    let pod = &cluster.pods[0];
    let context = pod.put(put("other", "v")).await.unwrap().context;
    let cases = [
        ("key", put("", "v")),
        ("key", put(&"k".repeat(4097), "v")),
        ("value", put("k", &"v".repeat(101))),
        ("context", PutRequest { context, ..put("k", "v") }),
        ("context", PutRequest { context: Bytes::from_static(b"x"), ..put("k", "v") }),
        ("write_id", PutRequest { write_id: Bytes::from_static(b"short"), ..put("k", "v") }),
        ("w", PutRequest { w: Some(0), ..put("k", "v") }),
        ("w", PutRequest { w: Some(4), ..put("k", "v") }),
    ];
    for (field, request) in cases {
        let refused = pod.put(request).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{field}");
        let bad = refused.get_details_bad_request().unwrap();
        assert_eq!(bad.field_violations[0].field, field);
    }
    for r in [0, 4] {
        let refused = pod.kv().get(GetRequest { r: Some(r), ..get("k") }).await.unwrap_err();
        assert_eq!(refused.get_details_bad_request().unwrap().field_violations[0].field, "r");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn admin_asks_for_the_token_and_clients_do_not_need_it() {
    let cluster = Wired::form(3, &[]).await;
    let pod = &cluster.pods[0];
    let refused = pod.admin().status(StatusRequest {}).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
    let mut wrong = shown(StatusRequest {});
    wrong.metadata_mut().insert("authorization", "Bearer guess".parse().unwrap());
    assert_eq!(pod.admin().status(wrong).await.unwrap_err().code(), Code::Unauthenticated);
    let layout = pod.kv().get_layout(GetLayoutRequest {}).await.unwrap().into_inner();
    let record = Record::from_json(std::str::from_utf8(&layout.record).unwrap()).unwrap();
    assert_eq!(record, cluster.record);
}

#[tokio::test(flavor = "multi_thread")]
async fn ready_means_named_and_serving_whoever_else_is_there() {
    let mut cluster = Wired::form(3, &[]).await;
    assert!(cluster.pods[0].http_get("/readyz").await.starts_with("HTTP/1.1 200"));
    cluster.pods[1].crash().await;
    cluster.pods[2].crash().await;
    assert!(cluster.pods[0].http_get("/readyz").await.starts_with("HTTP/1.1 200"));
    assert!(cluster.pods[0].http_get("/healthz").await.starts_with("HTTP/1.1 200"));
    let figures = cluster.pods[0].http_get("/metrics").await;
    for name in ["dynamo_ready 1", "dynamo_layout_epoch 1", "dynamo_peers 2", "dynamo_partitions_held 16"] {
        assert!(figures.contains(name), "{name} is not in {figures}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dormant_node_is_healthy_but_not_ready_and_takes_no_requests() {
    let cluster = Wired::form(3, &[]).await;
    let dormant = wire::Pod::dormant().await;
    assert!(dormant.http_get("/healthz").await.starts_with("HTTP/1.1 200"));
    assert!(dormant.http_get("/readyz").await.starts_with("HTTP/1.1 503"));
    let refused = dormant.put(put("k", "v")).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable);
    assert_eq!(refused.get_details_error_info().unwrap().reason, "NOT_SERVING");
    assert!(dormant.kv().get_layout(GetLayoutRequest {}).await.unwrap().into_inner().record.is_empty());
    assert!(cluster.pods[0].is_ready());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clean_stop_and_a_start_keep_the_actor_and_a_crash_does_not() {
    let mut cluster = Wired::form(3, &[]).await;
    cluster.pods[0].put(put("k", "v")).await.unwrap();
    let before = cluster.pods[0].status().await;
    cluster.pods[0].stop().await;
    cluster.pods[0].start().await;
    let after = cluster.pods[0].status().await;
    assert_eq!((after.node_id.clone(), after.actor), (before.node_id, before.actor));
    cluster.pods[0].crash().await;
    cluster.pods[0].start().await;
    let crashed = cluster.pods[0].status().await;
    assert_eq!(crashed.node_id, after.node_id);
    assert_ne!(crashed.actor, after.actor);
    assert_eq!(values(&cluster.pods[0].get("k").await), ["v"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_is_kept_and_answered() {
    let mut cluster = Wired::form(3, &[]).await;
    cluster.pods[1].crash().await;
    cluster.pods[2].crash().await;
    let pod = &cluster.pods[0];
    let mut request = tonic::Request::new(PutRequest { w: Some(2), ..put("k", "v") });
    request.set_timeout(Duration::from_secs(5));
    let begun = std::time::Instant::now();
    let refused = pod.kv().put(request).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable);
    assert_eq!(refused.get_details_error_info().unwrap().reason, "TOO_FEW_ANSWERS");
    assert!(begun.elapsed() < Duration::from_secs(5));
}
