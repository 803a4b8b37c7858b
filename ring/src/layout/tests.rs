use super::*;

fn member(name: &str, id: u8) -> Member {
    Member {
        name: name.into(),
        node_id: NodeId([id; 16]),
        zone: String::new(),
        address: format!("{name}:7000"),
        weight: 1,
    }
}

fn q8() -> Partitions {
    Partitions::new(8).unwrap()
}

fn three() -> Vec<Member> {
    // Node ids run against the names, so an index by name is not one by id.
    vec![member("cart-0", 3), member("cart-1", 2), member("cart-2", 1)]
}

fn rows() -> Vec<Vec<u16>> {
    (0..8u16).map(|p| vec![p % 3, (p + 1) % 3]).collect()
}

fn built(n: u8, members: Vec<Member>, table: &[Vec<u16>]) -> Result<Layout, LayoutError> {
    Layout::new(1, ClusterId([7; 16]), q8(), n, members, table)
}

#[test]
fn it_tells_who_holds_what() {
    let layout = built(2, three(), &rows()).unwrap();
    let names = |p| layout.holders(Partition(p)).map(|m| m.name.as_str()).collect::<Vec<_>>();
    assert_eq!(names(0), ["cart-0", "cart-1"]);
    assert_eq!(names(2), ["cart-2", "cart-0"]);
    assert_eq!(names(8), [""; 0], "there is no partition 8");
    assert_eq!(layout.owner(Partition(1)).unwrap().name, "cart-1");

    let first = NodeId([3; 16]);
    assert_eq!(layout.member(&first).unwrap().name, "cart-0");
    assert!(layout.holds(&first, Partition(0)) && !layout.holds(&first, Partition(1)));
    assert!(!layout.holds(&first, Partition(8)));
    assert_eq!(layout.partitions_of(&first).map(|p| p.0).collect::<Vec<_>>(), [0, 2, 3, 5, 6]);
    assert_eq!(layout.tokens_of(&first).map(|p| p.0).collect::<Vec<_>>(), [0, 3, 6]);

    let stranger = NodeId([9; 16]);
    assert!(layout.member(&stranger).is_none() && !layout.holds(&stranger, Partition(0)));
    assert_eq!(layout.partitions_of(&stranger).count(), 0);
}

#[test]
fn what_is_not_whole_is_refused() {
    let wrong = |change: fn(&mut Vec<Vec<u16>>)| {
        let mut table = rows();
        change(&mut table);
        built(2, three(), &table).unwrap_err()
    };
    assert_eq!(wrong(|t| t.truncate(7)), LayoutError::Rows { rows: 7, partitions: q8() });
    assert_eq!(
        wrong(|t| t[4] = vec![0]),
        LayoutError::RowLength { partition: Partition(4), holders: 1, n: 2 }
    );
    assert_eq!(wrong(|t| t[4][1] = 3), LayoutError::NoSuchMember { partition: Partition(4), index: 3 });
    assert_eq!(wrong(|t| t[5] = vec![1, 1]), LayoutError::HolderTwice { partition: Partition(5), index: 1 });

    let with = |members| built(2, members, &rows()).unwrap_err();
    let [a, b, c] = [member("a", 1), member("b", 2), member("c", 3)];
    assert_eq!(with(vec![a.clone()]), LayoutError::TooFewMembers { members: 1, n: 2 });
    assert_eq!(with(vec![b.clone(), a.clone(), c.clone()]), LayoutError::Unsorted("a".into()));
    assert_eq!(with(vec![a.clone(), a.clone(), c.clone()]), LayoutError::NameTwice("a".into()));
    assert_eq!(with(vec![a, b, member("c", 1)]), LayoutError::NodeTwice(NodeId([1; 16])));
    assert_eq!(with(vec![member("", 1), c.clone()]), LayoutError::Nameless);
    assert_eq!(built(0, three(), &rows()).unwrap_err(), LayoutError::NoReplicas);
    assert_eq!(
        Layout::new(0, ClusterId([7; 16]), q8(), 2, three(), &rows()).unwrap_err(),
        LayoutError::NoEpoch
    );
}

#[test]
fn the_hash_covers_everything() {
    let layout = built(2, three(), &rows()).unwrap();
    let mut others = vec![
        Layout::new(2, ClusterId([7; 16]), q8(), 2, three(), &rows()).unwrap(),
        Layout::new(1, ClusterId([8; 16]), q8(), 2, three(), &rows()).unwrap(),
    ];
    let mut table = rows();
    table[3].swap(0, 1);
    others.push(built(2, three(), &table).unwrap());
    for change in [
        |m: &mut Member| m.name.push('x'),
        |m: &mut Member| m.zone.push('x'),
        |m: &mut Member| m.address.push('x'),
        |m: &mut Member| m.weight = 2,
        |m: &mut Member| {
            m.node_id.0[0] ^= 1;
        },
    ] {
        let mut members = three();
        change(&mut members[2]);
        others.push(built(2, members, &rows()).unwrap());
    }
    let mut hashes: Vec<_> = others.iter().chain([&layout]).map(|l| l.id().hash).collect();
    hashes.sort_unstable();
    hashes.dedup();
    assert_eq!(hashes.len(), others.len() + 1);
}

#[test]
fn the_hash_is_fixed_for_ever() {
    // Nodes of different versions compare hashes. A change of this value is a change of format.
    assert_eq!(built(2, three(), &rows()).unwrap().id().hash.to_string(), "ef187213a39b930e175490d6ed5d8bfd");
}

/// What was written before members had weights is read, and a layout without weights is written as it was then.
#[test]
fn a_weight_of_one_leaves_no_trace() {
    let layout = built(2, three(), &rows()).unwrap();
    let json = serde_json::to_string(&layout).unwrap();
    assert!(!json.contains("weight"), "{json}");
    assert_eq!(serde_json::from_str::<Layout>(&json).unwrap(), layout);
}

#[test]
fn a_weight_is_written_down_hashed_and_bounded() {
    let weighing = |weight: u16| {
        let mut members = three();
        members[1].weight = weight;
        built(2, members, &rows())
    };
    let heavy = weighing(64).unwrap();
    assert_eq!(heavy.id().hash.to_string(), "ffe46fc0ad393cbdd015a9bc4015a083");
    let json = serde_json::to_string(&heavy).unwrap();
    assert_eq!(json.matches("\"weight\":64").count(), 1);
    assert_eq!(serde_json::from_str::<Layout>(&json).unwrap(), heavy);
    for bad in [0, 65] {
        let refused = weighing(bad).unwrap_err();
        assert_eq!(refused, LayoutError::Weight { name: "cart-1".into(), weight: bad });
        assert!(refused.to_string().contains("from 1 to 64"));
    }
}

#[test]
fn the_document_is_checked_when_it_is_read() {
    let layout = built(2, three(), &rows()).unwrap();
    let json = serde_json::to_value(&layout).unwrap();
    assert_eq!(serde_json::from_value::<Layout>(json.clone()).unwrap(), layout);

    let mut edited = json.clone();
    edited["table"][0] = serde_json::json!([1, 0]);
    assert!(serde_json::from_value::<Layout>(edited.clone()).unwrap_err().to_string().contains("hash"));
    edited.as_object_mut().unwrap().remove("hash");
    assert!(serde_json::from_value::<Layout>(edited).is_ok(), "a person may write one without its hash");

    let mut broken = json;
    broken["table"][0] = serde_json::json!([1, 1]);
    assert!(serde_json::from_value::<Layout>(broken).unwrap_err().to_string().contains("twice"));
}
