//! `boot-info`: the loader's information, and the CPU.

use alloc::string::String;

use base::println;
use memory::boot_data::{BootData, Framebuffer, FramebufferKind, RootTable};
use memory::frames::{self, RegionKind};

use crate::banner;
use crate::shell::command::{Context, Outcome, none};
use crate::shell::format::Size;

/// Prints all of it.
pub(in crate::shell) fn boot_info(context: &mut Context<'_>, arguments: &[String]) -> Outcome {
    none(arguments)?;
    let boot = context.boot;
    println!("kernel        {} ({} build)", banner::VERSION, banner::BUILD);
    println!("loader        {}", if boot.loader.is_empty() { "unnamed" } else { &boot.loader });
    println!("command line  {}", banner::command_line(boot));
    print_modules(boot);
    match &boot.framebuffer {
        Some(framebuffer) => print_framebuffer(framebuffer),
        None => println!("framebuffer   none"),
    }
    match boot.acpi {
        Some(RootTable::Rsdt(address)) => println!("ACPI          RSDT at {address:#x}"),
        Some(RootTable::Xsdt(address)) => println!("ACPI          XSDT at {address:#x}"),
        None => println!("ACPI          none"),
    }
    println!("CPU           {}", banner::cpu_brand());
    println!("CPU features  {}", banner::cpu_features(&arch::cpu::features()));
    println!("protections   {}", banner::protections());
    print_memory_map();
    print_sections(boot);
    Ok(())
}

fn print_modules(boot: &BootData) {
    if boot.modules.is_empty() {
        println!("modules       none");
    }
    for module in &boot.modules {
        let (start, len) = (module.memory.start(), module.memory.len() as u64);
        println!("module        {:24} {start:#x}, {}", module.name, Size(len));
    }
    match &boot.symbols {
        Some(symbols) => {
            println!("symbols       {:#x}, {}", symbols.start(), Size(symbols.len() as u64));
        }
        None => println!("symbols       none"),
    }
}

fn print_framebuffer(framebuffer: &Framebuffer) {
    let Framebuffer { address, pitch, width, height, bits, kind } = framebuffer;
    let unit = if *kind == FramebufferKind::Text { "characters" } else { "pixels" };
    println!("framebuffer   {width} by {height} {unit} at {address:#x}, {pitch} bytes a line");
    match kind {
        FramebufferKind::Text => println!("              text, {bits} bits a character"),
        FramebufferKind::Indexed => println!("              {bits} bits a pixel, with a palette"),
        FramebufferKind::Rgb { red, green, blue } => {
            let channel = |(position, bits): &(u8, u8)| alloc::format!("{bits} at {position}");
            println!(
                "              {bits} bits a pixel: red {}, green {}, blue {}",
                channel(red),
                channel(green),
                channel(blue)
            );
        }
    }
}

fn print_memory_map() {
    println!("\n{:>18} {:>18} {:>10}  MEMORY MAP", "START", "END", "SIZE");
    frames::regions(|region| {
        let kind = match region.kind {
            RegionKind::Usable => "usable",
            RegionKind::AcpiTables => "ACPI tables",
            RegionKind::AcpiNvs => "ACPI non-volatile",
            RegionKind::Reserved => "reserved",
        };
        let (start, end) = (region.start, region.end);
        println!("{start:#18x} {end:#18x} {:>10}  {kind}", Size(end - start));
    });
}

fn print_sections(boot: &BootData) {
    if boot.sections.is_empty() {
        return;
    }
    println!("\n{:>18} {:>10}  SECTION OF THE KERNEL FILE", "ADDRESS", "SIZE");
    for section in boot.sections.iter().filter(|section| section.size > 0) {
        let kind = if section.allocated { "" } else { "  (not in the image)" };
        let size = Size(section.size);
        println!("{:#18x} {size:>10}  {}{kind}", section.address, section.name);
    }
}
