# What a user types: `make help` explains the targets and variables. What is more than a
# line or two is a script in tools/.

SHELL := /bin/bash
MAKEFLAGS += --no-builtin-rules
.DELETE_ON_ERROR:
.SUFFIXES:
.PHONY: help run test bench check iso run-debug gdb setup build clean
.PHONY: variables run-in-qemu FORCE
help:
	@cat tools/help.txt

ifneq ($(words $(CURDIR)),1)
$(error make cannot work in a folder whose path has a blank: $(CURDIR))
endif

# Variables that a user sets. `value` keeps `$` and all else as typed. They reach the
# scripts through the environment, and no other make as a command-line variable.
VARIABLES := RUST_BUILD_MODE UEFI GRAPHICS CMDLINE SMP MEM ACCEL EXTRA INITRAMFS DISK \
	QEMU_EXTRA RUN_QEMU_GDB GDB_PORT
$(foreach v,$(VARIABLES) TEST,$(eval override $v := $$(value $v)))
export $(VARIABLES) TEST
MAKEOVERRIDES :=

MODE      := $(or $(RUST_BUILD_MODE),debug)
KERNEL    := target/x86_64-unknown-none/$(MODE)/basalt
SYMBOLIZE := target/debug/symbolize
# What GRUB loads: the kernel without debug information, with a symbol table.
IMAGE     := target/image/$(MODE)/basalt
ARCHIVE   := target/userspace/initramfs.cpio
ISO       := target/basalt-$(MODE).iso

## Before anything is built: good variables, and the programs that are needed. -----------

variables:
	@. tools/variables.sh

GOALS := $(or $(MAKECMDGOALS),help)
STAGE := $(or $(if $(filter setup test check gdb,$(GOALS)),all),\
	$(if $(filter run run-debug,$(GOALS)),run),build)
setup: variables
	@tools/setup.sh $(STAGE)

## Building: cargo and userspace/Makefile know best what there is to do. -------------------

build: $(IMAGE) $(ARCHIVE)

$(KERNEL): FORCE | setup
	@tools/cargo.sh kernel build $(if $(filter release,$(MODE)),--release)

$(SYMBOLIZE): FORCE | setup
	@tools/cargo.sh host build --package symbolize

$(IMAGE): $(KERNEL) $(SYMBOLIZE)
	@mkdir -p $(@D)
	$(SYMBOLIZE) $(KERNEL) $@.new
	@mv -f $@.new $@

$(ARCHIVE): FORCE | setup
	@$(MAKE) --silent --no-print-directory -C userspace OUT=$(abspath $(@D)) \
		CARGO='$(abspath tools/cargo.sh) host' EXTRA=$(abspath $(EXTRA))

iso: build
	@tools/make-iso.sh $(IMAGE) "$${INITRAMFS:-$(ARCHIVE)}" $(ISO) "$$CMDLINE"
	@echo "$(ISO) boots by BIOS and UEFI, as a CD and as a USB stick."

## Running. Each run has a directory and an ISO of its own. ---------------------------------

RUN := target/run/$(shell echo $$PPID)

run-debug: QEMU_ARGUMENTS = -S -gdb tcp:localhost:$(or $(GDB_PORT),1234)
run-in-qemu: build
	@tools/run.sh $(RUN) $(IMAGE) "$${INITRAMFS:-$(ARCHIVE)}" $(QEMU_ARGUMENTS)

# make itself is to end with the status of the run (tools/exit_with.c). A make that cannot
# load that ends with 2 and tells the status.
EXIT_WITH := $(if $(filter load,$(.FEATURES)),target/exit_with.so)
target/exit_with.so: tools/exit_with.c | setup
	@mkdir -p $(@D)
	@gcc -Wall -Wextra -O1 -shared -fPIC -o $@ $<

run run-debug: run-in-qemu | $(EXIT_WITH)
	$(eval STATUS := $(file <$(RUN)/status))$(shell rm -rf $(RUN))
	$(if $(and $(EXIT_WITH),$(filter-out 0,$(STATUS))),$(eval load $(EXIT_WITH))$(exit-with $(STATUS)))
	@exit $(STATUS)

gdb: setup
	@tools/gdb.sh $(MODE)

## Tests. --------------------------------------------------------------------------------------

check: setup
	@tools/check.sh

# The tests say themselves what they want, whatever variables are set here.
test: setup
	@unset $(VARIABLES) && for mode in debug release; do \
		$(MAKE) --no-print-directory build RUST_BUILD_MODE=$$mode || exit; \
	done
	@unset $(VARIABLES) && tools/cargo.sh host run --quiet --package boot-tests -- "$$TEST"

bench:
	@echo "There are no benchmarks yet: they come with the work on speed."
	@exit 1

clean:
	rm -rf target
