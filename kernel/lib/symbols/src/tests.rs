//! Tables that the writer made, whole and broken, and bytes that are no table.

use std::rc::Rc;

use proptest::prelude::*;

use crate::frames::MAX_INLINED;
use crate::{
    Call, Frame, Function, FunctionLines, HEADER_LEN, MAGIC, Row, SymbolTable, VERSION, write,
};

fn call(function: &str, file: &str, line: u32) -> Call {
    Call { function: function.into(), file: Some(file.into()), line }
}

fn example() -> Vec<FunctionLines> {
    let inner = call("core::option::expect", "core/src/option.rs", 900);
    vec![
        FunctionLines { name: "start".into(), start: 0x20_0060, size: 0x100, rows: Vec::new() },
        FunctionLines {
            name: "kernel::tasks::run".into(),
            start: 0xffff_ffff_8020_9000,
            size: 0x40,
            rows: vec![
                Row { address: 0xffff_ffff_8020_9004, frames: vec![call("", "tasks.rs", 10)] },
                Row {
                    address: 0xffff_ffff_8020_9010,
                    frames: vec![
                        inner,
                        call("kernel::tasks::next", "queue.rs", 7),
                        call("", "tasks.rs", 12),
                    ],
                },
                Row { address: 0xffff_ffff_8020_9020, frames: vec![call("", "macros.rs", 3)] },
                Row { address: 0xffff_ffff_8020_9030, frames: Vec::new() },
            ],
        },
    ]
}

fn frames<'a>(table: &SymbolTable<'a>, address: u64) -> Vec<Frame<'a>> {
    table.frames(address).collect()
}

#[test]
fn tells_inlined_functions_with_their_calls() {
    let bytes = write(&example()).unwrap();
    let table = SymbolTable::parse(&bytes).unwrap();
    table.check().unwrap();
    let frame = |function, file, line, inlined| Frame {
        function,
        offset: 0x1f,
        file: Some(file),
        line,
        inlined,
    };
    assert_eq!(
        frames(&table, 0xffff_ffff_8020_901f),
        [
            frame("core::option::expect", "core/src/option.rs", 900, true),
            frame("kernel::tasks::next", "queue.rs", 7, true),
            frame("kernel::tasks::run", "tasks.rs", 12, false),
        ]
    );
    let [frame] = frames(&table, 0xffff_ffff_8020_9020)[..] else { panic!("one frame") };
    assert_eq!((frame.file, frame.line), (Some("macros.rs"), 3));
}

#[test]
fn tells_the_function_where_no_line_is_known() {
    let bytes = write(&example()).unwrap();
    let table = SymbolTable::parse(&bytes).unwrap();
    for (address, function, offset) in [
        (0x20_0060, "start", 0),
        (0x20_015f, "start", 0xff),
        (0xffff_ffff_8020_9003, "kernel::tasks::run", 3),
        (0xffff_ffff_8020_903f, "kernel::tasks::run", 0x3f),
    ] {
        let expected = Frame { function, offset, file: None, line: 0, inlined: false };
        assert_eq!(frames(&table, address), [expected], "{address:#x}");
    }
}

#[test]
fn knows_nothing_outside_the_functions() {
    let bytes = write(&example()).unwrap();
    let table = SymbolTable::parse(&bytes).unwrap();
    for address in [
        0,
        0x20_005f,
        0x20_0160,
        0x8020_9010,
        0xffff_ffff_8020_8fff,
        0xffff_ffff_8020_9040,
        u64::MAX,
    ] {
        assert_eq!(frames(&table, address), [], "{address:#x}");
        assert_eq!(table.function(address), None, "{address:#x}");
    }
}

#[test]
fn finds_functions_by_name() {
    let bytes = write(&example()).unwrap();
    let table = SymbolTable::parse(&bytes).unwrap();
    let starts = |name: &str| table.find(name).map(|found| found.start).collect::<Vec<_>>();
    assert_eq!(starts("start"), [0x20_0060]);
    for name in ["run", "tasks::run", "kernel::tasks::run"] {
        assert_eq!(starts(name), [0xffff_ffff_8020_9000], "{name}");
    }
    for name in ["", "un", "asks::run", "kernel", "kernel::tasks::run::x"] {
        assert_eq!(starts(name), [], "{name}");
    }
    assert_eq!(table.functions().count(), 2);
}

#[test]
fn type_arguments_may_be_left_out_of_a_name() {
    let function = |name| Function { name, start: 0, size: 1 };
    let generic = function("<core::slice::Iter<u8> as Iterator>::fold::<u32, sum<u8>>");
    assert!(generic.is_named("fold") && generic.is_named("fold::<u32, sum<u8>>"));
    assert!(!generic.is_named("old") && !generic.is_named("sum<u8>>"));
    assert!(function("fold").is_named("fold"));
}

#[test]
fn refuses_what_is_no_table() {
    let good = write(&example()).unwrap();
    let error = |bytes: &[u8]| SymbolTable::parse(bytes).unwrap_err().to_string();
    assert_eq!(error(&[]), "not a symbol table");
    assert_eq!(error(&[b'x'; 100]), "not a symbol table");
    for len in 0..good.len() {
        error(&good[..len]);
    }
    let mut longer = good.clone();
    longer.push(0);
    assert!(error(&longer).contains(&format!("of {} bytes in {}", good.len(), longer.len())));
    let mut newer = good;
    newer[8] += 1;
    assert_eq!(error(&newer), "a symbol table of version 2, not 1");
}

#[test]
fn refuses_addresses_that_the_format_cannot_tell() {
    let mut functions = example();
    functions[0].start = 0x8000_0000;
    let error = write(&functions).unwrap_err().to_string();
    assert!(error.starts_with("start at 0x80000000"), "{error}");
}

#[test]
fn a_call_from_nowhere_leaves_the_function() {
    // One function; its scope 1 is called by a scope before all, and scope 2 is inlined into
    // scope 1, which cannot be read; the function is still told.
    let details = [0x10, 0, 2, 1, 9, 0, 2, 0, 1, 1, 4, 4];
    let mut bytes = MAGIC.to_vec();
    for word in [VERSION, 1, 1, details.len() as u32, 4, 0, 0x1000, 0, 0] {
        bytes.extend(word.to_le_bytes());
    }
    bytes.extend(details);
    bytes.extend(*b"\x00\x01\x01f");
    let table = SymbolTable::parse(&bytes).unwrap();
    assert_eq!(frames(&table, 0x1004).last().map(|frame| frame.function), Some("f"));
    assert!(table.check().is_err());
}

#[test]
fn a_chain_of_calls_is_cut_when_it_is_too_long() {
    let mut functions = example();
    functions[0].rows =
        vec![Row { address: 0x20_0060, frames: vec![call("again", "again.rs", 1); 1000] }];
    let bytes = write(&functions).unwrap();
    let frames = frames(&SymbolTable::parse(&bytes).unwrap(), 0x20_0070);
    let (last, inlined) = frames.split_last().unwrap();
    assert_eq!((last.function, last.file, last.inlined), ("start", None, false));
    assert_eq!(inlined.len(), MAX_INLINED as usize);
    assert!(inlined.iter().all(|frame| frame.inlined));
}

/// Functions that do not overlap, with rows in them.
fn some_functions() -> impl Strategy<Value = Vec<FunctionLines>> {
    let name = || prop_oneof!["[a-z]{1,4}(::[a-z<>é]{1,20}){0,3}"].prop_map(Rc::<str>::from);
    let call = (name(), proptest::option::of(name()), 0..100_000_u32)
        .prop_map(|(function, file, line)| Call { function, file, line });
    let row = (1..40_u64, prop::collection::vec(call, 0..5));
    let function = (name(), 0..100_u64, prop::collection::vec(row, 0..12), any::<bool>());
    prop::collection::vec(function, 0..12).prop_map(|functions| {
        let mut next = [0x20_0000, 0xffff_ffff_8020_0000];
        let make = |(name, gap, rows, high): (_, _, Vec<(u64, _)>, bool)| {
            let next = &mut next[usize::from(high)];
            let start = *next + gap;
            let mut size = 0;
            let rows = rows.into_iter().map(|(bytes, frames)| {
                size += bytes;
                Row { address: start + size - 1, frames }
            });
            let rows = rows.collect();
            *next = start + size + 1;
            FunctionLines { name, start, size: size + 1, rows }
        };
        functions.into_iter().map(make).collect()
    })
}

fn expected<'a>(functions: &'a [FunctionLines], address: u64) -> Vec<Frame<'a>> {
    let Some(function) = functions
        .iter()
        .find(|function| (function.start..function.start + function.size).contains(&address))
    else {
        return Vec::new();
    };
    let known: &[Call] = match function.rows.iter().rfind(|row| row.address <= address) {
        Some(row) => &row.frames,
        None => &[],
    };
    let frame = |name, file, line, inlined| Frame {
        function: name,
        offset: address - function.start,
        file,
        line,
        inlined,
    };
    let Some((_, inlined)) = known.split_last() else {
        return vec![frame(&function.name, None, 0, false)];
    };
    let told = known.iter().enumerate().map(|(depth, call)| {
        let name = if depth < inlined.len() { &call.function } else { &function.name };
        let line = if call.file.is_some() { call.line } else { 0 };
        frame(name, call.file.as_deref(), line, depth < inlined.len())
    });
    told.collect()
}

/// Asks everything that can be asked; must return.
fn use_table(bytes: &[u8], addresses: &[u64]) {
    let Ok(table) = SymbolTable::parse(bytes) else {
        return;
    };
    for &address in addresses {
        for frame in table.frames(address) {
            assert!(frame.offset <= address);
        }
    }
    for function in table.functions() {
        for offset in [0, 1, function.size / 2, function.size.wrapping_sub(1), function.size] {
            let address = function.start.wrapping_add(offset);
            assert!(table.frames(address).count() <= MAX_INLINED as usize + 1);
            if let Some(found) = table.function(address) {
                assert!(found.contains(address));
            }
        }
        assert!(table.find(function.name).next().is_some());
    }
    let _ = table.check();
}

proptest! {
    #[test]
    fn reads_what_was_written(functions in some_functions()) {
        let bytes = write(&functions).unwrap();
        let table = SymbolTable::parse(&bytes).unwrap();
        prop_assert_eq!(table.check(), Ok(()));
        prop_assert_eq!(table.functions().count(), functions.len());
        for function in &functions {
            for address in function.start.saturating_sub(1)..=function.start + function.size {
                prop_assert_eq!(frames(&table, address), expected(&functions, address));
            }
        }
    }

    #[test]
    fn survives_changed_tables(
        functions in some_functions(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20),
        addresses in prop::collection::vec(any::<u64>(), 4),
    ) {
        let mut bytes = write(&functions).unwrap();
        // The header stays, so that the rest is looked at.
        let len = bytes.len() - HEADER_LEN;
        for (index, byte) in changes {
            if len > 0 {
                bytes[HEADER_LEN + index.index(len)] = byte;
            }
        }
        use_table(&bytes, &addresses);
    }

    #[test]
    fn survives_any_bytes_behind_a_header(
        functions in 0..8_u32,
        sources in 0..40_u32,
        strings in prop::collection::vec(any::<u8>(), 0..200),
        details in prop::collection::vec(0..6_u8, 0..200),
        addresses in prop::collection::vec(any::<u64>(), 4),
    ) {
        let len = strings.len() as u32;
        let mut bytes = MAGIC.to_vec();
        let lens = [details.len() as u32, len - len / 2, len / 2];
        for word in [VERSION, functions, sources].into_iter().chain(lens) {
            bytes.extend(word.to_le_bytes());
        }
        for index in 0..functions {
            bytes.extend((index * 0x40).to_le_bytes());
            bytes.extend((index * 7).to_le_bytes());
        }
        for index in 0..sources.div_ceil(8) {
            bytes.extend((index * 9).to_le_bytes());
        }
        bytes.extend(&details);
        bytes.extend(&strings);
        use_table(&bytes, &addresses);
    }

    #[test]
    fn survives_any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        use_table(&bytes, &[0, 1, u64::MAX]);
    }
}
