# SPDX-License-Identifier: MIT
# The tools of the bench and of the kill tests: a load generator and a sink.

BENCH_BINS := $(B)/bin/bench-load $(B)/bin/bench-sink

$(B)/bin/bench-load: $(addprefix bench/,load.c conn.c mail.c conn.h mail.h)
$(B)/bin/bench-sink: $(addprefix bench/,sink.c conn.c conn.h)
$(BENCH_BINS):
	@mkdir -p $(@D)
	$(CC) -std=gnu11 -D_GNU_SOURCE $(OPT) $(WARN) $(HARDEN) $(LDOPT) $(LDHARDEN) -o $@ $(filter %.c,$^) -lssl -lcrypto

.PHONY: bench-bins
bench-bins: $(BENCH_BINS) ## build the load generator and the sink
