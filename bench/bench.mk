# SPDX-License-Identifier: MIT
# The tools of the bench and of the kill tests: a load generator and a sink.

BENCH_BINS := $(B)/bin/bench-load $(B)/bin/bench-sink

$(B)/bin/bench-load: $(addprefix bench/,load.c conn.c mail.c conn.h mail.h)
$(B)/bin/bench-sink: $(addprefix bench/,sink.c conn.c conn.h)
$(BENCH_BINS):
	@mkdir -p $(@D)
	$(CC) -std=gnu11 -D_GNU_SOURCE $(OPT) $(WARN) $(HARDEN) $(LDOPT) $(LDHARDEN) -o $@ $(filter %.c,$^) -lssl -lcrypto

# Message search is measured through the code of the service.
$(B)/obj/bench/search_bench.o: CFLAGS += -Iservices/delivery
$(B)/bin/bench-search: $(B)/obj/bench/search_bench.o $(B)/lib/svc-delivery.a $(LIB_A) $(PROTO_A)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS_ALL) -o $@ $< $(B)/lib/svc-delivery.a -Wl,--start-group $(LIB_A) $(PROTO_A) -Wl,--end-group $(LIBS_SYS)

# The record without database and bus: append rate, verifier, size of a proof.
$(B)/bin/bench-record: $(B)/obj/bench/record_bench.o $(B)/lib/librecord.a $(B)/lib/libcore.a
	@mkdir -p $(@D)
	$(CC) $(LDOPT) $(LDHARDEN) -o $@ $^ -ljansson -lcrypto -lpthread

.PHONY: bench-bins
bench-bins: $(BENCH_BINS) $(B)/bin/bench-record ## build the load generator and the sink
