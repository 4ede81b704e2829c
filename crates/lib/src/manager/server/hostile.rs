//! What must hold for requests that nobody has thought of.

use allocation_counter::measure;
use proptest::collection::vec;
use proptest::prelude::*;

use super::call::Caller;
use super::object::Objects;
use super::request::{Carried, carry_out};
use crate::manager::frame::gather;
use crate::manager::protocol::{
    Blob, CounterOp, DictOp, EntryOp, EventOp, Function, Kind, ListOp, LockOp, Make, Op, PREFIX, QueueOp, append,
    first_answer,
};

/// What the server's operations may allocate beyond some times what they were given: growing tables, and a sequence whose
/// length is believed for up to 1 MiB.
const AT_ONCE: u64 = 4 << 20;

/// Small, so that replies reach it.
const LIMIT: usize = 4096;

/// Parts of operations.
#[derive(Clone, Debug)]
struct Parts {
    number: u64,
    tag: u8,
    patience: Option<u64>,
    texts: [Vec<u8>; 3],
}

fn parts() -> impl Strategy<Value = Parts> {
    let number = prop_oneof![0..4_u64, any::<u64>()];
    let text = || vec(any::<u8>(), 0..20);
    (number, 0..16_u8, any::<Option<u64>>(), [text(), text(), text()])
        .prop_map(|(number, tag, patience, texts)| Parts { number, tag, patience, texts })
}

/// Operation `which` of all that there are.
fn op(which: usize, parts: &Parts) -> Op<'_> {
    let Parts { number, tag, patience, texts } = parts;
    let [a, b, c] = texts.each_ref().map(|text| Blob(text));
    let function = Function { offset: *number, seal: 0 };
    let signed = number.cast_signed();
    let make = |kind| Op::Make(Make { kind, types: "types", name: (number % 2 == 0).then_some("name") });
    let all = [
        make(Kind::Dict),
        make(Kind::Queue { capacity: *number }),
        make(Kind::User(function, a)),
        Op::Discard,
        Op::Entry(a, EntryOp::Get),
        Op::Entry(a, EntryOp::Insert(b)),
        Op::Entry(a, EntryOp::Put(b)),
        Op::Entry(a, EntryOp::OrInsert(b)),
        Op::Entry(a, EntryOp::Swap(Some(b), None)),
        Op::Entry(a, EntryOp::Remove),
        Op::Entry(a, EntryOp::Delete),
        Op::Entry(a, EntryOp::Contains),
        Op::Entry(a, EntryOp::Add(b, *tag, c)),
        Op::Entry(a, EntryOp::Alter(function, Some(b), c)),
        Op::Dict(DictOp::Len),
        Op::Dict(DictOp::Keys),
        Op::Dict(DictOp::Values),
        Op::Dict(DictOp::Items),
        Op::Dict(DictOp::Clear),
        Op::List(ListOp::Push(a)),
        Op::List(ListOp::Pop),
        Op::List(ListOp::Insert(*number, a)),
        Op::List(ListOp::Remove(*number)),
        Op::List(ListOp::Get(*number)),
        Op::List(ListOp::Set(*number, a)),
        Op::List(ListOp::Add(*number, *tag, a)),
        Op::List(ListOp::Alter(*number, function, a)),
        Op::List(ListOp::AlterAll(function, a)),
        Op::List(ListOp::Slice(*number, number.wrapping_mul(3))),
        Op::List(ListOp::Len),
        Op::List(ListOp::Clear),
        Op::Counter(CounterOp::Add(signed)),
        Op::Counter(CounterOp::Get),
        Op::Counter(CounterOp::Set(signed)),
        Op::Counter(CounterOp::Swap(signed, 0)),
        Op::Queue(QueueOp::Put(a, *patience)),
        Op::Queue(QueueOp::Get(*patience)),
        Op::Queue(QueueOp::Len),
        Op::Lock(LockOp::Acquire(*patience, Some(*number))),
        Op::Lock(LockOp::Release(*number)),
        Op::Lock(LockOp::IsLocked),
        Op::Event(EventOp::Set),
        Op::Event(EventOp::Clear),
        Op::Event(EventOp::IsSet),
        Op::Event(EventOp::Wait(*patience)),
        Op::Call(function, a),
    ];
    all[which % all.len()]
}

fn request(object: u64, ops: &[(usize, Parts)]) -> Vec<u8> {
    let mut body = object.to_le_bytes().to_vec();
    ops.iter().for_each(|(which, parts)| append(&op(*which, parts), &mut body));
    body
}

fn sound() -> impl Strategy<Value = Vec<u8>> {
    (1..8_u64, vec((any::<usize>(), parts()), 1..8)).prop_map(|(object, ops)| request(object, &ops))
}

fn hostile() -> impl Strategy<Value = Vec<u8>> {
    let damage = (
        any::<prop::sample::Index>(),
        prop_oneof![Just(u64::MAX), any::<u64>(), (0_u32..63).prop_map(|bits| 1 << bits)],
    );
    prop_oneof![
        vec(any::<u8>(), 0..300),
        sound(),
        (sound(), vec(damage, 1..4), any::<prop::sample::Index>()).prop_map(|(mut bytes, damages, cut)| {
            for (place, number) in damages {
                let start = place.index(bytes.len());
                let end = bytes.len().min(start + 8);
                bytes[start..end].copy_from_slice(&number.to_le_bytes()[..end - start]);
            }
            bytes.truncate(cut.index(bytes.len()) + 1);
            bytes
        }),
    ]
}

/// One object of each kind, numbered from 1.
fn objects() -> Objects {
    let mut objects = Objects::default();
    let kinds = [Kind::Dict, Kind::List, Kind::Counter, Kind::Queue { capacity: 2 }, Kind::Lock, Kind::Event];
    for kind in kinds {
        let make = Op::Make(Make { kind, types: "types", name: None });
        objects.run(&CALLER, 0, &make, &mut Vec::new()).expect("it is made");
    }
    objects
}

const CALLER: Caller = Caller { token: 7, secret: Some([3; 16]) };

/// Carries a request out; its reply can be read, and is hardly larger than the limit.
fn survive(objects: &mut Objects, body: &[u8]) {
    let mut out = Vec::new();
    let Ok(Carried::Out { .. }) = carry_out(objects, &CALLER, body, LIMIT, &mut out) else { return };
    assert!(out.len() <= LIMIT + body.len() * 2 + 256, "{} bytes of reply to {}", out.len(), body.len());
    let frame = out.clone();
    let mut partial = Vec::new();
    let whole = gather(&mut partial, &frame, frame.len()).expect("sound").expect("whole");
    assert_eq!(whole.len(), frame.len() - PREFIX);
    let mut rest = &whole[..];
    while !rest.is_empty() {
        rest = first_answer(rest).expect("an answer").1;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_requests_upset_the_server(bodies in vec(hostile(), 1..6)) {
        let mut objects = objects();
        let size: usize = bodies.iter().map(Vec::len).sum();
        let most = measure(|| bodies.iter().for_each(|body| survive(&mut objects, body))).bytes_max;
        prop_assert!(most <= AT_ONCE + 64 * size as u64, "{most} bytes allocated for {size}");
        objects.bereave(CALLER.token);
    }

    #[test]
    fn no_frames_upset_the_reader(pieces in vec(vec(any::<u8>(), 0..40), 0..20)) {
        let mut partial = Vec::new();
        for piece in &pieces {
            match gather(&mut partial, piece, 64) {
                Ok(Some(body)) => prop_assert!(body.len() <= 64),
                Ok(None) => prop_assert!(partial.len() < 64 + PREFIX),
                // Whoever sent it is sent away.
                Err(_) => break,
            }
        }
    }
}

/// What the property above finds by chance is found here for certain.
#[test]
fn a_function_that_nobody_sealed_is_not_called() {
    let mut objects = objects();
    for offset in [0, 16, 4096, 1 << 20, u64::MAX] {
        let function = Function { offset, seal: 12345 };
        let op = Op::Entry(Blob(b"key"), EntryOp::Alter(function, Some(Blob(b"value")), Blob(b"")));
        let fault = objects.run(&CALLER, 1, &op, &mut Vec::new()).expect_err("refused");
        assert_eq!(fault.kind, crate::ErrorKind::Mismatch, "{offset}");
    }
    let stranger = Caller { secret: None, ..CALLER };
    let op = Op::Entry(Blob(b"key"), EntryOp::Alter(Function { offset: 0, seal: 0 }, Some(Blob(b"v")), Blob(b"")));
    let fault = objects.run(&stranger, 1, &op, &mut Vec::new()).expect_err("refused");
    assert!(fault.message.contains("the same executable"), "{fault:?}");
}
