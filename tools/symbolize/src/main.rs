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
    write_whole(output, &image).map_err(|source| Error::Write {
        path: output.to_owned(),
        source,
    })?;
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
