//! Host tool: makes the kernel that the boot loader loads from the kernel that the
//! linker made.
//!
//! `symbolize IN OUT` reads the functions of IN and where its code comes from, and writes
//! OUT: the same program without debug information and symbols, with a section
//! `.basalt.symbols` that tells the same in the format of the crate `symbols`. GRUB loads
//! that section although it belongs to no segment, and the kernel finds it by its name.
//!
//! Files: `functions.rs` the functions, from the ELF symbols; `lines.rs` their lines and
//! inlined functions, from the DWARF; `names.rs` and `paths.rs` how functions and source
//! files are named; `image.rs` the new ELF; `error.rs` the errors.

mod error;
mod functions;
mod image;
mod lines;
mod names;
mod paths;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, fs};

use crate::error::Error;

fn main() -> ExitCode {
    let arguments: Vec<PathBuf> = env::args_os().skip(1).map(PathBuf::from).collect();
    let [input, output] = &arguments[..] else {
        eprintln!("usage: symbolize IN OUT");
        return ExitCode::FAILURE;
    };
    match symbolize(input, output) {
        Ok(summary) => {
            println!("{}: {summary}", output.display());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("symbolize: {}: {error}", input.display());
            ExitCode::FAILURE
        }
    }
}

fn symbolize(input: &Path, output: &Path) -> Result<String, Error> {
    let kernel = fs::read(input).map_err(Error::Read)?;
    image::check_kernel(&kernel)?;
    let table = table(&kernel, &paths::workspace_root())?;
    let functions = symbols::SymbolTable::parse(&table)
        .and_then(|parsed| parsed.check().map(|()| parsed.functions().count()))
        .map_err(Error::BrokenTable)?;
    let image = image::with_symbols(&kernel, &table)?;
    write_whole(output, &image)
        .map_err(|source| Error::Write { path: output.to_owned(), source })?;
    Ok(format!(
        "{} KiB, of them {} KiB symbols and lines of {functions} functions",
        image.len().div_ceil(1024),
        table.len().div_ceil(1024)
    ))
}

/// The symbol table of an ELF file with debug information.
fn table(elf: &[u8], root: &Path) -> Result<Vec<u8>, Error> {
    let elf = object::read::elf::ElfFile64::parse(elf)?;
    let functions = functions::functions(&elf)?;
    let functions = lines::Lines::new(&elf, root)?.add_to(functions)?;
    symbols::write(&functions).map_err(Error::Table)
}

/// Writes a file that is either whole or not there.
fn write_whole(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}.tmp", std::process::id()));
    let temporary = PathBuf::from(name);
    let done = fs::write(&temporary, bytes).and_then(|()| fs::rename(&temporary, path));
    if done.is_err() {
        // The write's error is the one to tell.
        let _ = fs::remove_file(&temporary);
    }
    done
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use addr2line::Context;
    use gimli::{Dwarf, EndianSlice, LittleEndian};
    use object::read::elf::ElfFile64;
    use object::{Object, ObjectSection};
    use symbols::SymbolTable;

    use super::*;

    type Section<'a> = EndianSlice<'a, LittleEndian>;

    /// Asks `addr2line` itself: function, file and line of each frame.
    fn expected(context: &Context<Section<'_>>, address: u64) -> Vec<(String, String, u32)> {
        let mut frames = context.find_frames(address).skip_all_loads().unwrap();
        let mut expected = Vec::new();
        while let Some(frame) = frames.next().unwrap() {
            let function = frame.function.unwrap();
            let location = frame.location.unwrap();
            expected.push((
                names::of_inlined(&function.raw_name().unwrap()),
                paths::shorten(location.file.unwrap(), &paths::workspace_root()),
                location.line.unwrap_or(0),
            ));
        }
        expected
    }

    #[test]
    fn the_table_says_what_addr2line_says() {
        // This test itself is a program with functions, lines and inlining enough.
        let file = fs::read(env::current_exe().unwrap()).unwrap();
        let bytes = table(&file, &paths::workspace_root()).unwrap();
        let table = SymbolTable::parse(&bytes).unwrap();
        table.check().unwrap();

        let elf = ElfFile64::<object::Endianness>::parse(&*file).unwrap();
        let load = |id: gimli::SectionId| -> Result<Section<'_>, gimli::Error> {
            let data = elf.section_by_name(id.name()).map(|section| section.uncompressed_data());
            let Ok(Cow::Borrowed(data)) = data.unwrap_or(Ok(Cow::Borrowed(&[]))) else {
                panic!("{} is compressed", id.name())
            };
            Ok(Section::new(data, LittleEndian))
        };
        let context = Context::from_dwarf(Dwarf::load(load).unwrap()).unwrap();

        let ours: Vec<_> = table.functions().filter(|f| f.name.contains("symbolize::")).collect();
        assert!(ours.len() > 50, "{} functions", ours.len());
        let (mut asked, mut inlined) = (0, 0);
        for function in ours {
            for address in (function.start..function.start + function.size).step_by(7) {
                let expected = expected(&context, address);
                let frames: Vec<_> = table.frames(address).collect();
                asked += 1;
                inlined += usize::from(frames.len() > 1);
                assert_eq!(frames.len(), expected.len().max(1), "{address:#x}: {frames:?}");
                for (frame, (name, file, line)) in frames.iter().zip(expected) {
                    assert!(!frame.inlined || frame.function == name, "{address:#x}: {frame:?}");
                    assert_eq!(frame.file, Some(&*file), "{address:#x}: {frame:?}");
                    assert_eq!(frame.line, line, "{address:#x}: {frame:?}");
                }
                assert_eq!(frames.last().map(|frame| frame.function), Some(function.name));
            }
        }
        assert!(asked > 1000 && inlined > 100, "{asked} addresses, {inlined} inlined");
    }
}
