// make_broken HELLO DIRECTORY: writes one damaged copy of HELLO for each thing that
// an ELF file can get wrong. Runs on the build machine.
//
// Each file differs from a program that runs in one respect only, so that the loader
// has to look at that one. What must come of it is in programs.txt.

#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct image {
    union {
        unsigned char bytes[65536];
        Elf64_Ehdr header;
    };
    size_t size;
};

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static Elf64_Phdr *headers(struct image *image)
{
    return (Elf64_Phdr *)(image->bytes + image->header.e_phoff);
}

// The first program header of that type with that flag (any, if 0).
static Elf64_Phdr *find(struct image *image, Elf64_Word type, Elf64_Word flag)
{
    for (int i = 0; i < image->header.e_phnum; i++) {
        Elf64_Phdr *header = headers(image) + i;
        if (header->p_type == type && (!flag || header->p_flags & flag))
            return header;
    }
    fprintf(stderr, "make_broken: no program header of type %#x\n", type);
    exit(1);
}

static Elf64_Phdr *text(struct image *image) { return find(image, PT_LOAD, PF_X); }
static Elf64_Phdr *data(struct image *image) { return find(image, PT_LOAD, PF_W); }

// Moves the data segment to the page of that address; file offset and address stay
// congruent.
static void move_data(struct image *image, Elf64_Addr page)
{
    data(image)->p_vaddr = page + data(image)->p_vaddr % 4096;
    data(image)->p_paddr = data(image)->p_vaddr;
}

static void empty(struct image *image) { image->size = 0; }

static void no_elf(struct image *image)
{
    image->size = (size_t)sprintf((char *)image->bytes, "This is no program.\n");
}

static void truncated_ident(struct image *image) { image->size = 8; }
static void truncated_header(struct image *image) { image->size = 40; }

static void truncated_program_headers(struct image *image)
{
    image->size = image->header.e_phoff + sizeof(Elf64_Phdr) + 20;
}

static void truncated_text(struct image *image)
{
    image->size = text(image)->p_offset + image->header.e_entry - text(image)->p_vaddr + 4;
}

static void truncated_data(struct image *image)
{
    image->size = data(image)->p_offset + data(image)->p_filesz / 2;
}

static void no_magic(struct image *image) { image->header.e_ident[EI_MAG3] = 'E'; }
static void class_32(struct image *image) { image->header.e_ident[EI_CLASS] = ELFCLASS32; }
static void big_endian(struct image *image) { image->header.e_ident[EI_DATA] = ELFDATA2MSB; }
static void wrong_machine(struct image *image) { image->header.e_machine = EM_AARCH64; }
static void wrong_type(struct image *image) { image->header.e_type = ET_CORE; }
static void relocatable(struct image *image) { image->header.e_type = ET_REL; }

static void no_program_headers(struct image *image) { image->header.e_phnum = 0; }
static void many_program_headers(struct image *image) { image->header.e_phnum = 0xffff; }
static void small_program_headers(struct image *image) { image->header.e_phentsize = 32; }
static void program_headers_beyond(struct image *image) { image->header.e_phoff = 1UL << 40; }
static void program_headers_wrap(struct image *image) { image->header.e_phoff = -16UL; }

static void no_load(struct image *image)
{
    for (int i = 0; i < image->header.e_phnum; i++)
        headers(image)[i].p_type = PT_NULL;
}

static void interpreter(struct image *image)
{
    Elf64_Phdr *header = find(image, PT_GNU_STACK, 0);
    static const char path[] = "/lib/no-such-interpreter";
    header->p_type = PT_INTERP;
    header->p_offset = image->size;
    header->p_filesz = header->p_memsz = sizeof path;
    memcpy(image->bytes + image->size, path, sizeof path);
    image->size += sizeof path;
}

static void entry_unmapped(struct image *image) { image->header.e_entry = 0x10000000; }
static void entry_data(struct image *image) { image->header.e_entry = data(image)->p_vaddr; }
static void entry_null(struct image *image) { image->header.e_entry = 0; }
static void entry_kernel(struct image *image) { image->header.e_entry = 0xffffffff80000000; }

static void segment_kernel_image(struct image *image) { move_data(image, 0xffffffff80000000); }
static void segment_kernel_half(struct image *image) { move_data(image, 0xffff800000000000); }
static void segment_non_canonical(struct image *image) { move_data(image, 0x0000900000000000); }

static void segment_across_user_end(struct image *image)
{
    move_data(image, 0x00007fffffffe000);
    data(image)->p_memsz = 0x4000;
}

static void segment_into_kernel(struct image *image)
{
    data(image)->p_memsz = 0xffffffff80000000 - data(image)->p_vaddr + 4096;
}

static void segment_wrap(struct image *image)
{
    move_data(image, -4096UL);
    data(image)->p_memsz = 0x4000;
}

static void segment_wrap_size(struct image *image)
{
    data(image)->p_memsz = -data(image)->p_vaddr + 4096;
}

// Where the kernel puts the stack.
static void segment_stack(struct image *image) { move_data(image, 0x00007fffffff0000); }

// Position-independent, and linked where no user address is.
static void pie_at(struct image *image, Elf64_Addr address)
{
    Elf64_Addr by = address - (text(image)->p_vaddr & -4096UL);
    image->header.e_type = ET_DYN;
    image->header.e_entry += by;
    for (int i = 0; i < image->header.e_phnum; i++) {
        headers(image)[i].p_vaddr += by;
        headers(image)[i].p_paddr += by;
    }
}

static void pie_high(struct image *image) { pie_at(image, 0x0000700000000000); }
static void pie_kernel(struct image *image) { pie_at(image, 0xffffffff80000000); }

static void segment_page_zero(struct image *image) { move_data(image, 0); }
static void segment_huge(struct image *image) { data(image)->p_memsz = 1UL << 40; }
static void segment_overlap(struct image *image) { move_data(image, text(image)->p_vaddr & -4096UL); }
static void segment_beyond_file(struct image *image) { text(image)->p_offset += 1UL << 40; }
static void segment_offset_wrap(struct image *image)
{
    data(image)->p_offset = -4096UL + data(image)->p_vaddr % 4096;
}

static void segment_file_above_memory(struct image *image)
{
    data(image)->p_filesz = data(image)->p_memsz + 1;
}

static void segment_unaligned(struct image *image) { data(image)->p_offset -= 8; }

static const struct {
    const char *name;
    void (*damage)(struct image *);
} kinds[] = {
    {"empty", empty},
    {"no-elf", no_elf},
    {"truncated-ident", truncated_ident},
    {"truncated-header", truncated_header},
    {"truncated-program-headers", truncated_program_headers},
    {"truncated-text", truncated_text},
    {"truncated-data", truncated_data},
    {"no-magic", no_magic},
    {"class-32", class_32},
    {"big-endian", big_endian},
    {"wrong-machine", wrong_machine},
    {"wrong-type", wrong_type},
    {"relocatable", relocatable},
    {"no-program-headers", no_program_headers},
    {"many-program-headers", many_program_headers},
    {"small-program-headers", small_program_headers},
    {"program-headers-beyond", program_headers_beyond},
    {"program-headers-wrap", program_headers_wrap},
    {"no-load", no_load},
    {"interpreter", interpreter},
    {"entry-unmapped", entry_unmapped},
    {"entry-data", entry_data},
    {"entry-null", entry_null},
    {"entry-kernel", entry_kernel},
    {"segment-kernel-image", segment_kernel_image},
    {"segment-kernel-half", segment_kernel_half},
    {"segment-non-canonical", segment_non_canonical},
    {"segment-across-user-end", segment_across_user_end},
    {"segment-into-kernel", segment_into_kernel},
    {"segment-wrap", segment_wrap},
    {"segment-wrap-size", segment_wrap_size},
    {"segment-page-zero", segment_page_zero},
    {"segment-stack", segment_stack},
    {"pie-high", pie_high},
    {"pie-kernel", pie_kernel},
    {"segment-huge", segment_huge},
    {"segment-overlap", segment_overlap},
    {"segment-beyond-file", segment_beyond_file},
    {"segment-offset-wrap", segment_offset_wrap},
    {"segment-file-above-memory", segment_file_above_memory},
    {"segment-unaligned", segment_unaligned},
};

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: make_broken HELLO DIRECTORY\n");
        return 2;
    }
    static struct image original, image;
    FILE *file = fopen(argv[1], "rb");
    if (!file)
        fail(argv[1]);
    original.size = fread(original.bytes, 1, sizeof original.bytes, file);
    fclose(file);
    if (original.size < sizeof(Elf64_Ehdr) || original.size > sizeof original.bytes - 4096) {
        fprintf(stderr, "make_broken: %s: %zu bytes\n", argv[1], original.size);
        return 1;
    }
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/%s", argv[2], kinds[i].name);
        image = original;
        kinds[i].damage(&image);
        file = fopen(path, "wb");
        if (!file || fwrite(image.bytes, 1, image.size, file) != image.size || fclose(file))
            fail(path);
    }
    return 0;
}
