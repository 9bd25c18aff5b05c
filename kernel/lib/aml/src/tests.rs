//! Tests: pieces of AML, the tables of QEMU's machines, and any bytes.

use proptest::prelude::*;

use super::*;

mod machines;
mod pieces;

/// A namespace with this code.
fn loaded(code: &[u8]) -> Aml {
    let mut aml = Aml::new();
    assert_eq!(aml.load(code.to_vec(), 2, &mut NoHost), []);
    aml
}

/// What the body of a method without arguments returns.
fn run(body: &[u8]) -> Result<Value, Error> {
    let mut code = vec![0x14];
    // Two bytes of length, the name, the flags.
    let length = 2 + 4 + 1 + body.len();
    code.extend([0x40 | (length & 0xf) as u8, (length >> 4) as u8]);
    code.extend(b"TEST");
    code.push(0);
    code.extend(body);
    let mut aml = loaded(&code);
    let method = aml.find(aml.root(), "TEST").expect("it was made");
    aml.evaluate(method, &[], &mut NoHost)
}

/// Bytes that are more like AML than most.
fn aml_bytes() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![
        4 => any::<u8>(),
        2 => prop::sample::select(vec![0x00, 0x01, 0x0a, 0x0b, 0x60, 0x61, 0x68, 0x69]),
        2 => prop::sample::select(vec![
            0x06, 0x08, 0x10, 0x11, 0x12, 0x13, 0x14, 0x5b, 0x70, 0x72, 0x75, 0x80, 0x81, 0x82,
            0x86, 0x87, 0x88, 0x8a, 0x93, 0xa0, 0xa1, 0xa2, 0xa4, 0xa5, 0x9f, 0x71, 0x83, 0x73,
        ]),
    ];
    let piece = prop_oneof![
        6 => byte.prop_map(|byte| vec![byte]),
        2 => prop::sample::select(vec![&b"ABCD"[..], b"_SB_", b"_PRT", b"\\ABCD", b"^ABCD"])
            .prop_map(<[u8]>::to_vec),
    ];
    prop::collection::vec(piece, 0..120).prop_map(|pieces| pieces.concat())
}

/// Loads the code, and evaluates all that is there.
fn try_all(code: Vec<u8>) {
    let mut aml = Aml::new();
    aml.load(code, 2, &mut NoHost);
    let _ = pci::use_io_apics(&mut aml, &mut NoHost);
    let _ = pci::host_bridges(&mut aml, &mut NoHost);
    for node in aml.all().take(100).collect::<Vec<_>>() {
        let _ = aml.evaluate(node, &[Value::Integer(1)], &mut NoHost);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn garbage_does_no_harm(code in prop::collection::vec(any::<u8>(), 0..300)) {
        try_all(code);
    }

    #[test]
    fn what_looks_like_aml_does_no_harm(code in aml_bytes()) {
        try_all(code);
    }

    #[test]
    fn damaged_tables_do_no_harm(
        which in prop::sample::select(vec![machines::Q35, machines::PC, machines::SEABIOS]),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20),
    ) {
        let mut code = which[36..].to_vec();
        for (at, byte) in damage {
            let at = at.index(code.len());
            code[at] = byte;
        }
        try_all(code);
    }

    #[test]
    fn templates_do_no_harm(template in prop::collection::vec(any::<u8>(), 0..100)) {
        let _ = resource::resources(&template).count();
    }
}
