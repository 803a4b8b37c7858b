use super::*;

fn node(n: u16) -> NodeId {
    let mut id = [0; 16];
    id[..2].copy_from_slice(&n.to_be_bytes());
    NodeId(id)
}

const fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn address(n: u16) -> Arc<[String]> {
    vec![format!("10.0.{}.{}:7070", n >> 8, n & 255)].into()
}

/// So many machines that know of each other what the layout says: their names.
fn members(count: u16) -> Vec<Machine> {
    let all: BTreeSet<NodeId> = (0..count).map(node).collect();
    let mut machines = Vec::new();
    for n in 0..count {
        let mut machine = Machine::new(node(n), 1, GossipSettings::default());
        machine.on(Event::Members(&all - &BTreeSet::from([node(n)])), at(0));
        machine.on(Event::Own(Fact::Addresses(address(n))), at(0));
        machines.push(machine);
    }
    machines
}

/// Numbers that are spread evenly enough to choose by.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }
}

/// One round of everybody, one after another; says how many comparisons there were.
fn round(machines: &mut [Machine], up: &[usize], dice: &mut Dice, now: Duration) -> usize {
    let ids: Vec<NodeId> = up.iter().map(|n| machines[*n].table.digest()[0].node).collect();
    let mut asked = 0;
    for &n in up {
        for effect in machines[n].on(Event::Due { random: dice.roll(), up: ids.clone() }, now) {
            if let Effect::Ask(to, digest) = effect {
                asked += 1;
                compare(machines, n, to, digest, now);
            }
        }
    }
    asked
}

fn compare(machines: &mut [Machine], n: usize, to: NodeId, digest: Digest, now: Duration) {
    let (me, other) = (node(u16::try_from(n).unwrap()), u16::from_be_bytes([to.0[0], to.0[1]]));
    let answer = machines[usize::from(other)].on(Event::Asked { from: me, digest }, now);
    let [Effect::Answer(delta, digest)] = &answer[..] else { panic!("{answer:?}") };
    let answered = Event::Answered { from: to, delta: delta.clone(), digest: digest.clone() };
    for effect in machines[n].on(answered, now) {
        if let Effect::Tell(to, delta) = effect {
            assert_eq!(to, node(other));
            machines[usize::from(other)].on(Event::Told(delta), now);
        }
    }
}

fn knows_all(machine: &Machine) -> bool {
    machine.table().others().all(|(_, known)| known.addresses().is_some())
}

#[test]
fn everybody_knows_everything_after_a_number_of_rounds_that_grows_as_the_logarithm() {
    let (mut dice, mut took) = (Dice(1), Vec::new());
    for count in [10_u16, 100, 1000] {
        let mut machines = members(count);
        let everybody: Vec<usize> = (0..count.into()).collect();
        let mut rounds = 0;
        while !machines.iter().all(knows_all) {
            rounds += 1;
            assert_eq!(round(&mut machines, &everybody, &mut dice, at(rounds)), usize::from(count));
        }
        println!("{count} members know everything of each other after {rounds} rounds");
        // Twice the binary logarithm is ample: who asks and who is asked both learn.
        assert!(rounds <= u64::from(2 * count.ilog2()), "{count} members: {rounds} rounds");
        took.push(rounds);
    }
    assert!(
        took.is_sorted() && took[2] - took[1] <= took[1] + 2,
        "it does not grow as the number does: {took:?}"
    );
}

#[test]
fn one_news_reaches_everybody_and_only_news_are_sent() {
    let (mut dice, everybody) = (Dice(2), (0..50).collect::<Vec<_>>());
    let mut machines = members(50);
    for n in 1..=20 {
        round(&mut machines, &everybody, &mut dice, at(n));
    }
    assert!(machines.iter().all(knows_all));
    machines[7].on(Event::Own(Fact::Addresses(address(999))), at(20));
    let digest = machines[8].table.digest();
    let told = machines[7].on(Event::Asked { from: node(8), digest }, at(20));
    let [Effect::Answer(delta, _)] = &told[..] else { panic!("{told:?}") };
    let facts: Vec<_> = delta.iter().flat_map(|update| &update.facts).map(|(_, fact)| fact).collect();
    assert_eq!(facts, [&Fact::Addresses(address(999))], "and heartbeats of others, which carry no facts");
    for n in 21..=30 {
        round(&mut machines, &everybody, &mut dice, at(n));
    }
    let knows = |machine: &Machine| {
        let known = machine.table().of(&node(7)).and_then(|known| known.addresses());
        machine.table().own().addresses().map(|(_, own)| own) == Some(&address(999))
            || known.map(|(_, addresses)| addresses) == Some(&address(999))
    };
    assert!(machines.iter().all(knows));
}

#[test]
fn who_is_silent_is_suspected_and_who_comes_back_is_not() {
    let (mut dice, mut machines) = (Dice(3), members(5));
    let (everybody, without): (Vec<usize>, Vec<usize>) = ((0..5).collect(), (0..4).collect());
    for n in 1..=60 {
        round(&mut machines, &everybody, &mut dice, at(n));
        assert!(machines.iter().all(|machine| machine.suspected.is_empty()), "round {n}");
    }
    for n in 61..=80 {
        round(&mut machines, &without, &mut dice, at(n));
    }
    for machine in &machines[..4] {
        assert_eq!(machine.suspected, BTreeSet::from([node(4)]));
        assert!(machine.doubt(&node(4), at(80)).unwrap().0 >= 8.0);
        assert!(machine.table().of(&node(4)).is_some(), "suspicion removes nobody");
    }
    // It stood still itself: it blames nobody.
    for n in 81..=90 {
        round(&mut machines, &everybody, &mut dice, at(n));
        assert!(machines[4].suspected.is_empty(), "round {n}");
    }
    assert!(machines.iter().all(|machine| machine.suspected.is_empty()));
}

#[test]
fn the_first_sign_of_life_clears_a_suspected_member_at_once() {
    let mut machines = members(3);
    for n in 1..=30 {
        machines[0].on(Event::Due { random: 0, up: Vec::new() }, at(n));
    }
    assert_eq!(machines[0].suspected.len(), 2);
    let greeted = Event::Greeted { from: node(1), process: 1, version: 1, addresses: address(1) };
    let effects = machines[0].on(greeted, at(30));
    assert_eq!(
        effects,
        [Effect::Redial { node: node(1), restarted: true }, Effect::Suspect([node(2)].into())]
    );
}

#[test]
fn whoever_goes_by_a_newer_layout_is_asked_for_it_and_nobody_else() {
    use dynamo_ring::fence::SenderStamp;
    use dynamo_ring::{LayoutHash, LayoutId, Stamp, Step};
    let layout = |epoch, step| {
        let id = LayoutId { epoch, hash: LayoutHash([1; 16]) };
        Fact::Layout(SenderStamp { stamp: Stamp { epoch, step }, id })
    };
    let mut machines = members(4);
    for (n, epoch, step) in
        [(0, 7, Step::Proposed), (1, 7, Step::Proposed), (2, 7, Step::Frozen), (3, 6, Step::Committed)]
    {
        machines[n].on(Event::Own(layout(epoch, step)), at(0));
    }
    for n in 1..4 {
        let digest = machines[0].table.digest();
        compare(&mut machines, 0, node(n), digest, at(1));
    }
    let due = |up: &[u16]| Event::Due { random: 0, up: up.iter().copied().map(node).collect() };
    let fetches = |effects: Vec<Effect>| {
        effects.into_iter().filter(|effect| matches!(effect, Effect::FetchLayout(_))).collect::<Vec<_>>()
    };
    assert_eq!(fetches(machines[0].on(due(&[1, 2, 3]), at(2))), [Effect::FetchLayout(node(2))]);
    assert_eq!(fetches(machines[0].on(due(&[1, 3]), at(3))), [], "it cannot be asked");
    machines[0].on(Event::Own(layout(7, Step::Frozen)), at(3));
    assert_eq!(fetches(machines[0].on(due(&[1, 2, 3]), at(4))), []);
}

#[test]
fn lesson_8_who_is_no_member_is_neither_asked_nor_suspected() {
    let mut machines = members(3);
    let both = [node(1), node(2)];
    machines[0].on(Event::Members([node(1)].into()), at(0));
    for n in 1..=30 {
        for effect in machines[0].on(Event::Due { random: n, up: both.to_vec() }, at(n)) {
            assert!(!matches!(effect, Effect::Ask(to, _) if to == node(2)));
            assert!(!matches!(effect, Effect::Suspect(ref who) if who.contains(&node(2))));
        }
    }
    assert_eq!(machines[0].doubt(&node(2), at(30)), None);
}
