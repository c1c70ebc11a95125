# SPDX-License-Identifier: MIT
# Sekisho's build. `make help` lists the targets. Everything generated goes to $(B).
#
# A library is a folder under libs/, a service a folder under services/ with a main.c. `*_test.c` (cmocka)
# and `*_fuzz.c` (libFuzzer) stand beside the code they try and are found by name.

B      ?= build
CC     := $(if $(filter default,$(origin CC)),gcc,$(CC))
SAN    ?=
SHELL  := /bin/bash
# V=1 shows whole command lines.
Q      := $(if $(V),,@)
say     = $(if $(V),,@printf '  %-5s %s\n' $(1) $(2);)

LIBS     := core record crypt db bus content smtp mail facts svc client
SERVICES := $(patsubst services/%/main.c,%,$(wildcard services/*/main.c))
PROTOS   := $(wildcard proto/*.proto)

PKGS      = libpq libnats libssl libcrypto libsodium libzstd libevent libevent_pthreads libevent_openssl \
            libmicrohttpd jansson libprotobuf-c libidn2 libutf8proc libunbound libcurl
PKGS_SCAN = libclamav gmime-3.0 icu-uc icu-i18n libseccomp libprotobuf-c libcrypto libmicrohttpd zlib
CFLAGS_SYS = $(shell pkg-config --cflags $(PKGS) $(PKGS_SCAN))
LIBS_SYS   = $(shell pkg-config --libs $(PKGS)) -lpthread -lm
LIBS_SCAN  = $(shell pkg-config --libs $(PKGS_SCAN)) -lpthread -lm

WARN     := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wvla \
            -Wformat=2 -Wno-unknown-warning-option -Wno-format-truncation -Wundef -Wno-unused-parameter -Wno-missing-field-initializers
HARDEN   := -fstack-protector-strong -fstack-clash-protection -fcf-protection -fPIE
LDHARDEN := -pie -Wl,-z,relro,-z,now -Wl,--as-needed
ifeq ($(SAN),1)
OPT   := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
LDOPT := -fsanitize=address,undefined
else ifeq ($(SAN),fuzz)
OPT   := -O1 -g -fsanitize=address,undefined,fuzzer-no-link -fno-omit-frame-pointer
LDOPT := -fsanitize=address,undefined
else
OPT   := -O2 -g -D_FORTIFY_SOURCE=3
LDOPT :=
endif
CFLAGS_ALL = -std=gnu11 -D_GNU_SOURCE $(OPT) $(WARN) $(HARDEN) -Ilibs -I$(B)/gen -MMD -MP $(CFLAGS)
LDFLAGS_ALL = $(LDOPT) $(LDHARDEN) $(LDFLAGS)

# --- generated code -------------------------------------------------------------------------------------
GEN_PB  := $(patsubst proto/%.proto,$(B)/gen/proto/%.pb-c.c,$(PROTOS))
GEN_PBH := $(GEN_PB:.c=.h)
GEN     := $(GEN_PBH) $(B)/gen/subjects.h $(B)/gen/subjects.c $(B)/gen/actions.h $(B)/gen/actions.c

$(B)/gen/proto/%.pb-c.c $(B)/gen/proto/%.pb-c.h &: proto/%.proto
	@mkdir -p $(B)/gen/proto
	$(call say,PROTO,$<)protoc-c -I. --c_out=$(B)/gen $<

$(B)/gen/subjects.h $(B)/gen/subjects.c &: proto/subjects.tsv proto/permissions.tsv tools/gen_subjects.py
	@mkdir -p $(B)/gen
	/usr/bin/python3 tools/gen_subjects.py --c $(B)/gen/subjects.h $(B)/gen/subjects.c

$(B)/gen/actions.h $(B)/gen/actions.c &: proto/actions.tsv tools/gen_actions.py
	@mkdir -p $(B)/gen
	/usr/bin/python3 tools/gen_actions.py --c $(B)/gen/actions.h $(B)/gen/actions.c

# --- objects and archives -------------------------------------------------------------------------------
srcs    = $(filter-out %_test.c %_fuzz.c %/main.c,$(wildcard $(1)/*.c))
objs    = $(patsubst %.c,$(B)/obj/%.o,$(1))
tests  := $(wildcard libs/*/*_test.c services/*/*_test.c cli/*_test.c)
fuzzes := $(wildcard libs/*/*_fuzz.c services/*/*_fuzz.c cli/*_fuzz.c)

LIB_A   := $(patsubst %,$(B)/lib/lib%.a,$(LIBS))
PROTO_A := $(B)/lib/libproto.a
SVC_A   := $(patsubst %,$(B)/lib/svc-%.a,$(SERVICES))
BINS    := $(patsubst %,$(B)/bin/sekisho-%,$(SERVICES)) $(if $(wildcard cli/main.c),$(B)/bin/sekisho) $(B)/bin/sekisho-audit-verify

$(B)/obj/libs/facts/%.o $(B)/obj/services/scan/%.o: EXTRA = $(CFLAGS_SYS)
$(B)/obj/%.o: %.c Makefile | $(GEN)
	@mkdir -p $(@D)
	$(call say,CC,$<)$(CC) $(CFLAGS_ALL) $(CFLAGS_SYS) -I$(dir $<) -c -o $@ $<

$(B)/obj/gen/%.o: $(B)/gen/%.c | $(GEN)
	@mkdir -p $(@D)
	$(call say,CC,$<)$(CC) $(CFLAGS_ALL) $(CFLAGS_SYS) -I$(B)/gen -Wno-error -c -o $@ $<

define LIB_RULE
$(B)/lib/lib$(1).a: $(call objs,$(call srcs,libs/$(1)))
	@mkdir -p $$(@D); rm -f $$@
	$$(Q)ar rcs $$@ $$^
endef
$(foreach l,$(LIBS),$(eval $(call LIB_RULE,$(l))))

$(PROTO_A): $(patsubst $(B)/gen/%.c,$(B)/obj/gen/%.o,$(GEN_PB) $(B)/gen/subjects.c $(B)/gen/actions.c)
	@mkdir -p $(@D); rm -f $@
	$(Q)ar rcs $@ $^

define SVC_RULE
$(B)/lib/svc-$(1).a: $(call objs,$(call srcs,services/$(1)))
	@mkdir -p $$(@D); rm -f $$@
	$$(Q)ar rcs $$@ $$^
$(B)/bin/sekisho-$(1): $(B)/obj/services/$(1)/main.o $(B)/lib/svc-$(1).a $(LIB_A) $(PROTO_A)
	@mkdir -p $$(@D)
	$$(call say,LINK,$$@)$(CC) $$(LDFLAGS_ALL) -o $$@ $$< $(B)/lib/svc-$(1).a -Wl,--start-group $$(LIB_A) $$(PROTO_A) -Wl,--end-group $$(LIBS_$(1))
endef
$(foreach s,$(SERVICES),$(eval LIBS_$(s) = $$(LIBS_SYS)))
LIBS_scan = $(LIBS_SCAN)
$(foreach s,$(SERVICES),$(eval $(call SVC_RULE,$(s))))

$(B)/lib/cli.a: $(call objs,$(call srcs,cli))
	@mkdir -p $(@D); rm -f $@
	$(Q)ar rcs $@ $^
$(B)/bin/sekisho: $(B)/obj/cli/main.o $(B)/lib/cli.a $(LIB_A) $(PROTO_A)
	@mkdir -p $(@D)
	$(call say,LINK,$@)$(CC) $(LDFLAGS_ALL) -o $@ $< $(B)/lib/cli.a -Wl,--start-group $(LIB_A) $(PROTO_A) -Wl,--end-group $(LIBS_SYS)

# The verifier of audit exports: one static file. Sanitizers do not link statically.
$(B)/bin/sekisho-audit-verify: $(B)/obj/cli/audit-verify/main.o $(B)/lib/librecord.a $(B)/lib/libcore.a
	@mkdir -p $(@D)
	$(call say,LINK,$@)$(CC) $(LDOPT) $(if $(SAN),,-static-pie -Wl,-z,relro,-z,now,--no-warnings) -o $@ $^ -ljansson -lcrypto -lpthread -ldl

# --- tests ----------------------------------------------------------------------------------------------
TEST_BINS := $(patsubst %.c,$(B)/test/%,$(tests))
.SECONDEXPANSION:
own_a = $(if $(filter services/%,$(1)),$(B)/lib/svc-$(word 2,$(subst /, ,$(1))).a,$(if $(filter cli/%,$(1)),$(B)/lib/cli.a))
scan_side = $(filter services/scan/% libs/facts/%,$(1))
$(B)/test/%: $(B)/obj/%.o $$(call own_a,$$*) $(LIB_A) $(PROTO_A)
	@mkdir -p $(@D)
	$(call say,LINK,$@)$(CC) $(LDFLAGS_ALL) -o $@ $< $(call own_a,$*) -Wl,--start-group $(LIB_A) $(PROTO_A) -Wl,--end-group \
	  $(if $(call scan_side,$*),$(LIBS_SCAN),$(LIBS_SYS)) -lcmocka

FUZZ_BINS := $(patsubst %.c,$(B)/fuzz/%,$(fuzzes))
$(B)/fuzz/%: $(B)/obj/%.o $$(call own_a,$$*) $(LIB_A) $(PROTO_A)
	@mkdir -p $(@D)
	$(call say,LINK,$@)$(CC) $(LDFLAGS_ALL) -fsanitize=fuzzer -o $@ $< $(call own_a,$*) -Wl,--start-group $(LIB_A) $(PROTO_A) -Wl,--end-group \
	  $(if $(call scan_side,$*),$(LIBS_SCAN),$(LIBS_SYS))

.PHONY: all deps bins unit unit-bins component integration test run lint fmt fuzz fuzz-bins asan bench clean help signatures docs node-tools proto-check client man
.DEFAULT_GOAL := all
# All processors build, unless make was told how many.
JOBS = $(if $(findstring -j,$(MAKEFLAGS)),,-j$(shell nproc) --output-sync=target)
.PRECIOUS: $(B)/obj/%.o $(B)/obj/gen/%.o $(B)/gen/proto/%.pb-c.c $(B)/gen/proto/%.pb-c.h

all: deps ## install what is missing, then build everything
	$(MAKE) $(JOBS) bins

deps: ## install the packages the build and the tests need (apt)
	deploy/local/packages.sh

bins: $(BINS)

unit-bins: $(TEST_BINS)

unit: $(TEST_BINS) ## run the unit tests of what is built
	@tools/with-postgres.sh tools/run-tests.sh $(TEST_BINS)

integration: bins ## run the integration tests against the real parts
	SEKISHO_BUILD=$(B) /usr/bin/python3 -m pytest -q tests/integration $(PYTEST_ARGS)

component: bins unit-bins ## run the tests of single parts from outside: the cage, schemas
	SEKISHO_BUILD=$(B) /usr/bin/python3 -m pytest -q services
	SEKISHO_BUILD=$(B) /usr/bin/python3 -m pytest -q tests/scan

test: deps node-tools ## set up everything, then run every test
	$(MAKE) $(JOBS) bins unit-bins
	$(MAKE) unit
	$(MAKE) component
	$(MAKE) integration

run: deps ## set up everything, start Sekisho on loopback and run the demo
	$(MAKE) $(JOBS) bins
	deploy/local/run.sh

lint: deps node-tools ## layers, formatting, static analysis, generated documents, protobuf, OpenAPI, AsyncAPI
	$(MAKE) $(JOBS) bins
	tools/lint.sh

fmt: ## format the C code
	clang-format -i $$(git ls-files '*.c' '*.h')

fuzz-bins: $(FUZZ_BINS)

fuzz: deps ## build the fuzz targets and run each for FUZZ_SECONDS (default 60)
	$(MAKE) $(JOBS) B=build/fuzz-build CC=clang SAN=fuzz fuzz-bins
	tools/fuzz.sh build/fuzz-build/fuzz $${FUZZ_SECONDS:-60}

asan: deps ## every test under AddressSanitizer and UBSan
	$(MAKE) $(JOBS) B=build/asan SAN=1 bins unit-bins
	$(MAKE) B=build/asan SAN=1 unit
	$(MAKE) B=build/asan SAN=1 component
	$(MAKE) B=build/asan SAN=1 integration

bench: deps ## measure against Postfix + clamav-milter + OpenDKIM in the same run; message search
	$(MAKE) $(JOBS) bins
	bench/run.sh
	SEKISHO_BUILD=$(abspath $(B)) bench/search.sh
	SEKISHO_BUILD=$(abspath $(B)) /usr/bin/python3 bench/api_read.py

signatures: ## fetch real ClamAV signatures with freshclam
	deploy/local/signatures.sh

docs: ## regenerate the documents that come from tables
	/usr/bin/python3 tools/gen_subjects.py --doc docs/SUBJECTS.md
	/usr/bin/python3 tools/gen_legs.py docs/LEGS.md
	/usr/bin/python3 tools/gen_actions.py --doc docs/EVENTS.md
	/usr/bin/python3 tools/gen_asyncapi.py docs/asyncapi.yaml
	/usr/bin/python3 tools/gen_subjects.py --permissions docs/PERMISSIONS.md

node-tools: ## install the npm packages of the checks and of the TypeScript client, as their lock files say
	@tools/node.sh install $(dir $(wildcard tools/node/package.json clients/*/package.json))

proto-check: node-tools ## style of the protobuf files, and nothing that the version before cannot read
	tools/proto-check.sh

client: node-tools ## build the TypeScript client and run the tests that need no site
	cd clients/typescript && npm run --silent build && npm test --silent

man: $(B)/bin/sekisho ## manual pages in build/man/man1, completions in build/completions
	@mkdir -p $(B)/man/man1 $(B)/completions
	$(B)/bin/sekisho man --output $(B)/man/man1
	for shell in bash zsh fish; do $(B)/bin/sekisho completion $$shell >$(B)/completions/sekisho.$$shell; done

clean: ## remove everything generated
	rm -rf build

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

-include bench/bench.mk
-include $(shell find $(B)/obj -name '*.d' 2>/dev/null)
