//! Pieces of AML, as a compiler writes them.

use super::{loaded, run};
use crate::pci::{host_bridges, use_io_apics};
use crate::resource::{Line, Resource, resources};
use crate::value::eisa_id;
use crate::{Aml, Error, Host, NoHost, PciPlace, Value};

const RETURN: u8 = 0xa4;
const LOCAL0: u8 = 0x60;
const LOCAL1: u8 = 0x61;

fn integer(body: &[u8]) -> Result<u64, Error> {
    run(body).and_then(|value| value.as_integer())
}

#[test]
fn arithmetic() {
    for (body, value) in [
        (&[RETURN, 0x72, 0x0a, 5, 0x0b, 0x34, 0x12, 0x00][..], 0x1239),
        (&[RETURN, 0x74, 0x01, 0x0a, 2, 0x00], u64::MAX),
        (&[RETURN, 0x77, 0x0a, 5, 0x0a, 6, 0x00], 30),
        (&[RETURN, 0x78, 0x0a, 17, 0x0a, 5, 0x00, 0x00], 3),
        (&[RETURN, 0x85, 0x0a, 17, 0x0a, 5, 0x00], 2),
        (&[RETURN, 0x79, 0x01, 0x0a, 70, 0x00], 0),
        (&[RETURN, 0x7a, 0x0a, 0x80, 0x0a, 4, 0x00], 8),
        (&[RETURN, 0x7c, 0x0a, 3, 0x0a, 6, 0x00], !2),
        (&[RETURN, 0x81, 0x0a, 0x28, 0x00], 6),
        (&[RETURN, 0x82, 0x0a, 0x28, 0x00], 4),
        (&[RETURN, 0x92, 0x93, 0x01, 0x00], u64::MAX),
        (&[RETURN, 0x90, 0x01, 0x0a, 2], u64::MAX),
        (&[RETURN, 0x95, 0x01, 0x0a, 2], u64::MAX),
        (&[RETURN, 0x94, 0x01, 0x0a, 2], 0),
        (&[RETURN, 0x0e, 8, 7, 6, 5, 4, 3, 2, 1], 0x0102_0304_0506_0708),
    ] {
        assert_eq!(integer(body), Ok(value), "{body:x?}");
    }
    assert_eq!(integer(&[RETURN, 0x78, 0x01, 0x00, 0x00, 0x00]), Err(Error::DivideByZero));
}

#[test]
fn integers_of_old_tables_have_32_bits() {
    let code = [0x14, 0x0a, b'O', b'N', b'E', b'S', 0, RETURN, 0x72, 0xff, 0x0a, 2, 0];
    let (length, mut code) = (code.len() as u8 - 1, code.to_vec());
    code[1] = length;
    let mut aml = Aml::new();
    assert_eq!(aml.load(code, 1, &mut NoHost), []);
    assert_eq!(aml.value_of(aml.root(), "ONES", &mut NoHost), Ok(Some(Value::Integer(1))));
}

#[test]
fn loops_and_branches() {
    // Local0 = 0; Local1 = 0; While (Local0 < 10) { Local0++; If (Local0 == 3) { Continue }
    // If (Local0 == 7) { Break } Else { Local1 += Local0 } } Return (Local1)
    let body = [
        &[0x70, 0x00, LOCAL0, 0x70, 0x00, LOCAL1][..],
        &[0xa2, 25, 0x95, LOCAL0, 0x0a, 10, 0x75, LOCAL0],
        &[0xa0, 6, 0x93, LOCAL0, 0x0a, 3, 0x9f],
        &[0xa0, 6, 0x93, LOCAL0, 0x0a, 7, 0xa5],
        &[0xa1, 5, 0x72, LOCAL1, LOCAL0, LOCAL1],
        &[RETURN, LOCAL1],
    ]
    .concat();
    let mut body = body;
    body[7] = 1 + 4 + 2 + 7 + 7 + 6;
    assert_eq!(integer(&body), Ok(1 + 2 + 4 + 5 + 6));
    assert_eq!(integer(&[0xa2, 3, 0x01, 0xa3]), Err(Error::TooLong));
    assert_eq!(integer(&[0xa0, 3, 0x01, 0xa5]), Err(Error::Malformed), "a Break without a loop");
    // If (0) {} Else { Return (5) }
    assert_eq!(integer(&[0xa0, 2, 0x00, 0xa1, 4, RETURN, 0x0a, 5]), Ok(5));
    // If (1) {} Else { Return (5) } Return (6)
    assert_eq!(integer(&[0xa0, 2, 0x01, 0xa1, 4, RETURN, 0x0a, 5, RETURN, 0x0a, 6]), Ok(6));
}

#[test]
fn packages_and_what_is_stored_in_them() {
    // Local0 = Package (2) { Package (1) { One } }; Local1 = Index (Local0, 0);
    // Index (DerefOf (Local1), ...) is not stored to; Local0 [1] = 9
    let make = [0x70, 0x12, 6, 2, 0x12, 3, 1, 0x01, LOCAL0];
    let store = [0x70, 0x0a, 9, 0x88, LOCAL0, 0x01, 0x00];
    let body = [&make[..], &store, &[RETURN, LOCAL0]].concat();
    let inner = Value::Package(vec![Value::Integer(1)]);
    assert_eq!(run(&body), Ok(Value::Package(vec![inner, Value::Integer(9)])));
    // Local0 [0] [0] = 4: an index of an index.
    let deep = [0x70, 0x0a, 4, 0x88, 0x88, LOCAL0, 0x00, 0x00, 0x00, 0x00];
    let body = [&make[..], &deep, &[RETURN, 0x83, 0x88, 0x83, 0x88, LOCAL0, 0x00, 0x00]].concat();
    assert!(run(&[&body[..], &[0x00, 0x00]].concat()).is_err(), "an index of a mere value");
    let body = [&make[..], &deep, &[RETURN, LOCAL0]].concat();
    let inner = Value::Package(vec![Value::Integer(4)]);
    assert_eq!(run(&body), Ok(Value::Package(vec![inner, Value::Uninitialized])));
    let past = [&make[..], &[0x70, 0x01, 0x88, LOCAL0, 0x0a, 2, 0x00]].concat();
    assert_eq!(run(&past), Err(Error::BadIndex));
    // Stored into itself again and again it would be huge.
    let again = [0xa2, 8, 0x01, 0x70, LOCAL0, 0x88, LOCAL0, 0x00, 0x00];
    assert!(matches!(run(&[&make[..], &again].concat()), Err(Error::TooDeep | Error::TooLong)));
    assert_eq!(integer(&[&make[..], &[RETURN, 0x87, LOCAL0]].concat()), Ok(2));
}

#[test]
fn fields_of_buffers() {
    // Name (BUFF, Buffer (4) { 1, 2, 3, 4 }); CreateWordField (BUFF, 1, WORD)
    let table = [
        &[0x08][..],
        b"BUFF",
        &[0x11, 7, 0x0a, 4, 1, 2, 3, 4, 0x8b],
        b"BUFF",
        &[0x01],
        b"WORD",
        // Method (TEST) { WORD = 0x1234; Return (WORD) }
        &[0x14, 18],
        b"TEST",
        &[0, 0x70, 0x0b, 0x34, 0x12],
        b"WORD",
        &[RETURN],
        b"WORD",
    ]
    .concat();
    let mut table = table;
    let method = table.len() - 20;
    assert_eq!(table[method], 0x14);
    table[method + 1] = 19;
    let mut aml = loaded(&table);
    let root = aml.root();
    assert_eq!(aml.value_of(root, "WORD", &mut NoHost), Ok(Some(Value::Integer(0x0302))));
    assert_eq!(aml.value_of(root, "TEST", &mut NoHost), Ok(Some(Value::Integer(0x1234))));
    let bytes = Value::Buffer(vec![1, 0x34, 0x12, 4]);
    assert_eq!(aml.value_of(root, "BUFF", &mut NoHost), Ok(Some(bytes)));
}

/// Counts in memory.
struct Memory;

impl Host for Memory {
    fn read_memory(&mut self, address: u64, bytes: usize) -> Option<u64> {
        let byte = |at: u64| (address + at) & 0xff;
        Some((0..bytes as u64).rev().fold(0, |value, at| value << 8 | byte(at)))
    }

    fn read_pci(&mut self, _: PciPlace, _: u16, _: usize) -> Option<u64> {
        None
    }
}

#[test]
fn fields_of_registers_are_read_and_never_written() {
    // OperationRegion (REGS, SystemMemory, 0x10, 8)
    // Field (REGS, AnyAcc) { Offset (1), LOW_, 4, HIGH, 8, WORD, 12 }
    // Method (SET_) { HIGH = 1 }
    let table = [
        &[0x5b, 0x80][..],
        b"REGS",
        &[0, 0x0a, 0x10, 0x0a, 8, 0x5b, 0x81, 23],
        b"REGS",
        &[0, 0x00, 8],
        b"LOW_",
        &[4],
        b"HIGH",
        &[8],
        b"WORD",
        &[12, 0x14, 12],
        b"SET_",
        &[0, 0x70, 0x01],
        b"HIGH",
    ]
    .concat();
    let mut table = table;
    table[13] = 23;
    let mut aml = loaded(&table);
    let root = aml.root();
    // Memory from 0x11 on: 11 12 13 14.
    let mut of = |name| aml.value_of(root, name, &mut Memory).map(|value| value.expect("there"));
    assert_eq!(of("LOW_"), Ok(Value::Integer(1)));
    assert_eq!(of("HIGH"), Ok(Value::Integer(0x21)));
    assert_eq!(of("WORD"), Ok(Value::Integer(0x131)));
    assert_eq!(of("SET_"), Err(Error::Effect));
    assert_eq!(aml.value_of(root, "LOW_", &mut NoHost), Err(Error::NotReadable));
}

#[test]
fn what_firmware_shows_on_its_display_is_dropped() {
    // OperationRegion (DBG_, SystemIO, port, 1) Field (DBG_, ByteAcc) { DBG8, 8 }
    // Name (PICM, 0) Method (_PIC, 1) { DBG8 = 0xAA PICM = Arg0 }
    let table = |port: u8| {
        [
            &[0x5b, 0x80][..],
            b"DBG_",
            &[1, 0x0a, port, 0x01, 0x5b, 0x81, 11],
            b"DBG_",
            &[1],
            b"DBG8",
            &[8, 0x08],
            b"PICM",
            &[0x00, 0x14, 19],
            b"_PIC",
            &[1, 0x70, 0x0a, 0xaa],
            b"DBG8",
            &[0x70, 0x68],
            b"PICM",
        ]
        .concat()
    };
    let mut aml = loaded(&table(0x80));
    assert_eq!(use_io_apics(&mut aml, &mut NoHost), Ok(()));
    assert_eq!(aml.value_of(aml.root(), "PICM", &mut NoHost), Ok(Some(Value::Integer(1))));
    let mut aml = loaded(&table(0x60));
    assert_eq!(use_io_apics(&mut aml, &mut NoHost), Err(Error::Effect));
}

#[test]
fn what_is_not_understood_costs_its_own_block() {
    // Device (BAD_) { an unknown operator } Device (GOOD) { Name (_ADR, 5) }
    let table = [
        &[0x5b, 0x82, 7][..],
        b"BAD_",
        &[0x5b, 0x77],
        &[0x5b, 0x82, 12],
        b"GOOD",
        &[0x08],
        b"_ADR",
        &[0x0a, 5],
    ]
    .concat();
    let mut aml = Aml::new();
    let problems = aml.load(table, 2, &mut NoHost);
    assert_eq!(problems.len(), 1);
    assert_eq!(problems[0].error, Error::Unsupported(0x775b));
    assert_eq!(aml.name(problems[0].scope), *b"BAD_");
    let good = aml.find(aml.root(), "GOOD").expect("behind it");
    assert_eq!(aml.value_of(good, "_ADR", &mut NoHost), Ok(Some(Value::Integer(5))));
}

#[test]
fn what_a_method_makes_goes_with_it() {
    // Method (TEST) { Name (ABCD, 5) Return (ABCD) }
    let body = [&[0x08][..], b"ABCD", &[0x0a, 5, RETURN], b"ABCD"].concat();
    let table = [&[0x14, 6 + body.len() as u8][..], b"TEST", &[0], &body].concat();
    let mut aml = loaded(&table);
    let count = aml.all().count();
    for _ in 0..3 {
        let value = aml.value_of(aml.root(), "TEST", &mut NoHost);
        assert_eq!(value, Ok(Some(Value::Integer(5))));
        assert_eq!(aml.all().count(), count);
        assert!(aml.find(aml.root(), "TEST.ABCD").is_none());
    }
}

#[test]
fn methods_that_call_themselves_end() {
    // Method (TEST) { Return (TEST ()) }
    let table = [&[0x14, 11][..], b"TEST", &[0, RETURN], b"TEST"].concat();
    let mut aml = loaded(&table);
    assert_eq!(aml.value_of(aml.root(), "TEST", &mut NoHost), Err(Error::TooDeep));
}

#[test]
fn deep_nesting_is_an_error_and_no_stack_overflow() {
    // LNot (LNot (…
    assert_eq!(run(&[&[RETURN][..], &[0x92; 500]].concat()), Err(Error::TooDeep));
    // Package { Package { …
    let mut package = vec![0x01];
    for _ in 0..10 {
        package = [&[0x12, package.len() as u8 + 2, 1][..], &package].concat();
    }
    assert_eq!(run(&[&[RETURN][..], &package].concat()), Err(Error::TooDeep));
    // Scope (\) { Scope (\) { …: blocks may be as deep as they like.
    let mut scopes = Vec::new();
    for _ in 0..2000 {
        let length = scopes.len() + 5;
        let packed = [0xc0 | (length & 0xf) as u8, (length >> 4) as u8, (length >> 12) as u8, 0];
        scopes = [&[0x10][..], &packed, b"\\\0", &scopes].concat();
        // The length counts itself.
        let all = scopes.len() - 1;
        scopes[1] = 0xc0 | (all & 0xf) as u8;
        scopes[2] = (all >> 4) as u8;
        scopes[3] = (all >> 12) as u8;
    }
    loaded(&scopes);
}

#[test]
fn names_are_looked_for_further_up_or_not() {
    // Name (OUTR, 1) Device (DEV1) { Device (DEV2) { Method (M___) { Return (OUTR) } } }
    let method = [&[0x14, 11][..], b"M___", &[0, RETURN], b"OUTR"].concat();
    let inner = [&[0x5b, 0x82, 5 + method.len() as u8][..], b"DEV2", &method].concat();
    let outer = [&[0x5b, 0x82, 5 + inner.len() as u8][..], b"DEV1", &inner].concat();
    let mut aml = loaded(&[&[0x08][..], b"OUTR", &[0x01], &outer].concat());
    let inner = aml.find(aml.root(), "DEV1.DEV2").expect("it was made");
    assert_eq!(aml.value_of(inner, "M", &mut NoHost), Ok(Some(Value::Integer(1))));
    assert_eq!(aml.value_of(inner, "N", &mut NoHost), Ok(None));
    assert!(aml.find(inner, "OUTR").is_none());
    assert!(aml.find(aml.root(), "DEV1.LONGNAME").is_none());
}

#[test]
fn eisa_ids() {
    assert_eq!(eisa_id(b"PNP0A03"), 0x030a_d041);
    assert_eq!(eisa_id(b"PNP0C0F"), 0x0f0c_d041);
}

#[test]
fn interrupts_in_templates() {
    let line = |gsi, level, active_low| Resource::Interrupt(Some(Line { gsi, level, active_low }));
    let all = |template: &[u8]| resources(template).collect::<Vec<_>>();
    // IRQ 10, level, low, shared; then IRQ 4 as ISA has it; then none.
    let template = [0x23, 0x00, 0x04, 0x18, 0x22, 0x10, 0x00, 0x22, 0, 0, 0x79, 0];
    let expected = [line(10, true, true), line(4, false, false), Resource::Interrupt(None)];
    assert_eq!(all(&template), expected.map(Ok));
    let extended = [0x89, 6, 0, 0b1101, 1, 0x15, 0, 0, 0, 0x79, 0];
    assert_eq!(all(&extended), [Ok(line(21, true, true))]);
    assert_eq!(all(&[0x89, 6, 0, 1]), [Err(Error::Malformed)]);
    assert_eq!(all(&[]), [Err(Error::Malformed)], "no end tag");
}

/// A host bridge with the `_PRT` that most firmware writes: a method that chooses by what
/// `_PIC` was told; below it a bridge with its own table, a constant.
#[test]
fn the_usual_firmware() {
    fn with_length(head: &[u8], body: &[u8]) -> Vec<u8> {
        let length = body.len() + 2;
        let packed = [0x40 | (length & 0xf) as u8, (length >> 4) as u8];
        [head, &packed, body].concat()
    }
    fn entry(address: u32, pin: u8, source: &[u8], index: u8) -> Vec<u8> {
        let body = [&[4, 0x0c][..], &address.to_le_bytes(), &[0x0a, pin], source, &[0x0a, index]];
        with_length(&[0x12], &body.concat())
    }
    let table = |entries: &[Vec<u8>]| {
        with_length(&[0x12], &[&[entries.len() as u8][..], &entries.concat()].concat())
    };
    let for_pair = table(&[entry(0x0003_ffff, 0, b"LNKA", 0)]);
    let for_apics = table(&[entry(0x0003_ffff, 0, &[0], 19), entry(0x0004_0002, 3, &[0], 23)]);
    let chosen = [&[0xa0, 11][..], b"PICM", &[RETURN], b"AR00", &[RETURN], b"PR00"].concat();
    let choose = with_length(&[0x14], &[b"_PRT", &[0][..], &chosen].concat());
    let behind = [
        &b"RP01"[..],
        &[0x08],
        b"_ADR",
        &[0x0c, 0, 0, 0x1c, 0, 0x08],
        b"_PRT",
        &table(&[entry(0xffff, 0, &[0], 16), entry(0xffff, 1, b"LNKX", 0)]),
    ]
    .concat();
    let host = [
        &b"PCI0"[..],
        &[0x08],
        b"_HID",
        &[0x0c, 0x41, 0xd0, 0x0a, 0x08, 0x08],
        b"_BBN",
        &[0x00, 0x08],
        b"PR00",
        &for_pair,
        &[0x08],
        b"AR00",
        &for_apics,
        &choose,
        &with_length(&[0x5b, 0x82], &behind),
    ]
    .concat();
    let picm =
        [&[0x08][..], b"PICM", &[0x00, 0x14, 12], b"_PIC", &[1, 0x70, 0x68], b"PICM"].concat();
    let code = [picm, with_length(&[0x5b, 0x82], &host)].concat();
    let mut aml = loaded(&code);
    use_io_apics(&mut aml, &mut NoHost).expect("it stores to a name alone");
    let bridges = host_bridges(&mut aml, &mut NoHost).expect("memory");
    let [bridge] = &bridges[..] else { panic!("one host bridge: {bridges:?}") };
    assert_eq!(bridge.ranges, Err(Error::NotFound(*b"_CRS")));
    let low = |gsi| Ok(Line { gsi, level: true, active_low: true });
    let routes = bridge.routing[0].routes.as_ref().expect("a table");
    let found: Vec<_> =
        routes.iter().map(|one| (one.device, one.function, one.pin, one.line)).collect();
    assert_eq!(found, [(3, None, 0, low(19)), (4, Some(2), 3, low(23))]);
    let port = &bridge.routing[1];
    assert_eq!(port.bridges, [(0x1c, 0)]);
    let lines: Vec<_> = port.routes.as_ref().expect("a table").iter().map(|one| one.line).collect();
    assert_eq!(lines, [low(16), Err(Error::NotFound(*b"LNKX"))]);
}
