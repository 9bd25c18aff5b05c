//! The ELF file that the boot loader loads: [`with_symbols`].

use object::build::elf::{Builder, SectionData};
use object::elf::{EM_X86_64, ET_EXEC, FileHeader64, SHT_PROGBITS};
use object::read::elf::{ElfFile64, FileHeader, ProgramHeader};
use object::{Endianness, Object, ObjectSection};

use crate::error::Error;

/// Where the kernel finds its symbol table (kernel/memory/src/boot_data.rs).
pub(crate) const SECTION: &str = ".basalt.symbols";
/// The names of sections stay in the file.
const SECTION_NAMES: &[u8] = b".shstrtab";

/// A boot loader looks for the Multiboot2 header in so many bytes (Multiboot2
/// specification, section 3.1).
const MULTIBOOT2_SEARCH: usize = 32 * 1024;
const MULTIBOOT2_MAGIC: u32 = 0xe852_50d6;
const MULTIBOOT2_ALIGN: usize = 8;

/// Makes sure that a file is a kernel that GRUB would start.
pub(crate) fn check_kernel(kernel: &[u8]) -> Result<(), Error> {
    let header = FileHeader64::<Endianness>::parse(kernel)?;
    let endian = header.endian()?;
    if endian != Endianness::Little || header.e_machine(endian) != EM_X86_64 {
        return Err(Error::NotAKernel("it is not for x86_64"));
    }
    if header.e_type(endian) != ET_EXEC {
        return Err(Error::NotAKernel("it is not linked at a fixed address"));
    }
    if multiboot2_header(kernel).is_none() {
        return Err(Error::NotAKernel("it has no Multiboot2 header in its first 32 KiB"));
    }
    Ok(())
}

/// File offset of the Multiboot2 header.
fn multiboot2_header(file: &[u8]) -> Option<usize> {
    let search = &file[..file.len().min(MULTIBOOT2_SEARCH)];
    let found = search.chunks_exact(MULTIBOOT2_ALIGN).position(|words| {
        // Magic and architecture i386.
        words.starts_with(&MULTIBOOT2_MAGIC.to_le_bytes()) && words.ends_with(&[0; 4])
    });
    found.map(|index| index * MULTIBOOT2_ALIGN)
}

/// The kernel without symbols and debug information, with the table. What is loaded stays
/// where it is in the file and in memory.
pub(crate) fn with_symbols(kernel: &[u8], table: &[u8]) -> Result<Vec<u8>, Error> {
    let mut builder = Builder::read(kernel)?;
    for section in &mut builder.sections {
        section.delete = !section.is_alloc() && section.name.as_slice() != SECTION_NAMES;
    }
    for symbol in &mut builder.symbols {
        symbol.delete = true;
    }
    let section = builder.sections.add();
    section.name = SECTION.into();
    section.sh_type = SHT_PROGBITS;
    section.sh_addralign = 8;
    section.sh_size = table.len() as u64;
    section.data = SectionData::Data(table.into());
    let mut image = Vec::new();
    builder.write(&mut image)?;
    check_same(kernel, &image, table)?;
    Ok(image)
}

/// What a loader looks at of a segment.
type Segment<'a> = (u32, u32, [u64; 6], &'a [u8]);

fn segments(file: &[u8]) -> Result<Vec<Segment<'_>>, Error> {
    let elf = ElfFile64::<Endianness>::parse(file)?;
    let endian = elf.endian();
    let segment = |header: &object::elf::ProgramHeader64<Endianness>| {
        let numbers = [
            header.p_offset(endian),
            header.p_vaddr(endian),
            header.p_paddr(endian),
            header.p_filesz(endian),
            header.p_memsz(endian),
            header.p_align(endian),
        ];
        let data = header.data(endian, file).map_err(|()| Error::Changed("segment data"))?;
        Ok((header.p_type(endian), header.p_flags(endian), numbers, data))
    };
    elf.elf_program_headers().iter().map(segment).collect()
}

/// Makes sure that a boot loader loads the new file as the old one, and the table.
fn check_same(kernel: &[u8], image: &[u8], table: &[u8]) -> Result<(), Error> {
    if segments(kernel)? != segments(image)? {
        return Err(Error::Changed("segments"));
    }
    let new = ElfFile64::<Endianness>::parse(image)?;
    if new.entry() != ElfFile64::<Endianness>::parse(kernel)?.entry() {
        return Err(Error::Changed("entry point"));
    }
    if multiboot2_header(image) != multiboot2_header(kernel) {
        return Err(Error::Changed("Multiboot2 header"));
    }
    let section = new.section_by_name(SECTION).ok_or(Error::Changed("sections"))?;
    if section.data()? != table || section.address() != 0 {
        return Err(Error::Changed("symbols"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use object::elf::{PF_R, PF_X, PT_LOAD, SHF_ALLOC, SHF_EXECINSTR, SHT_STRTAB};

    use super::*;

    /// A kernel of one segment, with the Multiboot2 header at an offset in it, and a
    /// section of debug information.
    fn kernel(header: usize) -> Vec<u8> {
        let mut code = vec![0x90; 0x9000];
        code[header..header + 4].copy_from_slice(&MULTIBOOT2_MAGIC.to_le_bytes());
        code[header + 4..header + 8].fill(0);
        let mut builder = Builder::new(Endianness::Little, true);
        builder.header.e_type = ET_EXEC;
        builder.header.e_machine = EM_X86_64;
        builder.header.e_phoff = 64;
        builder.header.e_entry = 0x20_0010;
        let segment = builder.segments.add();
        segment.p_type = PT_LOAD;
        segment.p_flags = PF_R | PF_X;
        segment.p_offset = 0x1000;
        segment.p_vaddr = 0xffff_ffff_8020_0000;
        segment.p_paddr = 0x20_0000;
        segment.p_filesz = code.len() as u64;
        segment.p_memsz = 0xa000;
        segment.p_align = 0x1000;
        let section = builder.sections.add();
        section.name = ".text".into();
        section.sh_type = SHT_PROGBITS;
        section.sh_flags = u64::from(SHF_ALLOC | SHF_EXECINSTR);
        section.sh_addr = 0xffff_ffff_8020_0000;
        section.sh_offset = 0x1000;
        section.sh_addralign = 0x1000;
        section.sh_size = code.len() as u64;
        section.data = SectionData::Data(code.into());
        let section = builder.sections.add();
        section.name = ".debug_info".into();
        section.sh_type = SHT_PROGBITS;
        section.sh_addralign = 1;
        section.data = SectionData::Data(vec![1; 1000].into());
        let section = builder.sections.add();
        section.name = ".shstrtab".into();
        section.sh_type = SHT_STRTAB;
        section.sh_addralign = 1;
        section.data = SectionData::SectionString;
        let mut file = Vec::new();
        builder.write(&mut file).unwrap();
        file
    }

    #[test]
    fn what_is_loaded_stays_and_the_table_comes() {
        let kernel = kernel(0x40);
        check_kernel(&kernel).unwrap();
        let table = b"basaltst and more".repeat(99);
        let image = with_symbols(&kernel, &table).unwrap();
        assert_eq!(segments(&image).unwrap(), segments(&kernel).unwrap());
        assert_eq!(multiboot2_header(&image), Some(0x1040));
        let elf = ElfFile64::<Endianness>::parse(&*image).unwrap();
        let names: Vec<_> = elf.sections().filter_map(|section| section.name().ok()).collect();
        assert_eq!(names, [".text", ".shstrtab", SECTION]);
        assert_eq!(elf.section_by_name(SECTION).unwrap().data().unwrap(), table);
        // What has been made cannot be taken for what the linker made.
        assert!(matches!(crate::table(&image, "/".as_ref()), Err(Error::NotAKernel(_))));
    }

    #[test]
    fn what_is_no_kernel_is_refused() {
        let error = |file: &[u8]| check_kernel(file).unwrap_err().to_string();
        assert!(error(b"").starts_with("not a good ELF file"));
        assert!(error(&[b'x'; 100]).starts_with("not a good ELF file"));
        assert!(error(&kernel(0x7000)).contains("no Multiboot2 header"));
        let mut dynamic = kernel(0x40);
        dynamic[16] = 3;
        assert!(error(&dynamic).contains("not linked at a fixed address"));
        let mut other = kernel(0x40);
        other[18] = 40;
        assert!(error(&other).contains("not for x86_64"));
    }

    #[test]
    fn cut_files_are_refused() {
        let kernel = kernel(0x40);
        for len in (0..kernel.len()).step_by(61) {
            let cut = &kernel[..len];
            let result = check_kernel(cut).and_then(|()| with_symbols(cut, b"table"));
            assert!(result.is_err(), "{len} of {} bytes", kernel.len());
        }
    }
}
