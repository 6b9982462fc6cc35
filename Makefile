# A thin front for cmake and the scripts: `make help` lists what there is.
BUILD ?= build
JOBS ?= $(shell nproc)
SEEDS ?= 200
FUZZ_SECONDS = $(or $(SECONDS),60)
CHAOS_SECONDS = $(or $(SECONDS),60)
CTEST = ctest --output-on-failure --timeout 300 -j $(JOBS)

.DEFAULT_GOAL := build
# Each step is parallel in itself; two setups at once would fight over dpkg.
.NOTPARALLEL:
.PHONY: help setup configure build run test bench sim sim-actors chaos chaos-runs chaos-linda fuzz \
	asan tsan \
	docs check install clean

help:
	@echo "make build            install what is missing, build into build/bin"
	@echo "make run              the demo: the suite, a load, a killed worker"
	@echo "make test             build and run every test"
	@echo "make bench            measure the real path; table and build/bench.json"
	@echo "make bench-actors     the actor runtime against Erlang and CAF"
	@echo "make sim SEEDS=1000   simulated clusters under faults"
	@echo "make sim-boundaries   the same with a strike at each I/O of a turn"
	@echo "make sim-actors SEEDS=1000 random trees of supervision"
	@echo "make chaos SECONDS=60 real daemons, killed and stopped under load"
	@echo "make bench-journal-big N=5000000  one actor and the next timer among N turns"
	@echo "make chaos-runs      10,000 transfers under kill -9: nothing lost, nothing twice"
	@echo "make chaos-linda SECONDS=60  the tuple space under kill -9 is linearizable"
	@echo "make fuzz SECONDS=60  each fuzz target for so long (clang)"
	@echo "make asan | tsan      the tests under sanitizers"
	@echo "make docs             write docs/operations.md from --help"
	@echo "make check            format, sizes, dependency directions"
	@echo "make install          into DESTDIR and PREFIX (/usr/local)"

setup:
	@scripts/setup.sh

configure: setup
	@cmake -S . -B $(BUILD) -G Ninja $(CMAKE_ARGS) >$(BUILD).log 2>&1 || \
		{ cat $(BUILD).log; exit 1; }
	@mv $(BUILD).log $(BUILD)/configure.log

build: configure
	cmake --build $(BUILD) -j $(JOBS)

run: build
	scripts/demo.sh $(BUILD)

test: setup-test build
	scripts/test-redis.sh run scripts/test-postgres.sh run $(CTEST) --test-dir $(BUILD)

setup-test:
	@scripts/setup.sh --test
.PHONY: setup-test

bench: setup-test build
	scripts/test-postgres.sh run tests/bench/run.sh $(BUILD)

# Runs of 1, 3 and 9 recorded effects, on SQLite and Postgres.
bench-durable: setup-test build
	scripts/test-postgres.sh run tests/bench/durable.sh $(BUILD)
.PHONY: bench-durable

# Reading one actor and the next due timer, at a million turns and at N.
N ?= 5000000
bench-journal-big: setup-test build
	scripts/test-postgres.sh run tests/bench/journal_big.sh $(BUILD) $(N)
.PHONY: bench-journal-big

# The same, filled by COPY: 100 million turns take 33 GB and half an hour.
TURNS ?= 100000000
bench-journal-copy: setup-test build
	tests/bench/journal_copy.sh $(BUILD) $(TURNS)
.PHONY: bench-journal-copy

# Records of 1 KiB: the back end by itself, and through the journal.
bench-journal-append: setup-test build
	scripts/test-postgres.sh run tests/bench/journal_append.sh $(BUILD)
.PHONY: bench-journal-append

# Timers that come due, with so many millions pending besides.
MILLIONS ?= 0
bench-timers: setup-test build
	scripts/test-postgres.sh run tests/bench/timers.sh $(BUILD) $(MILLIONS)
.PHONY: bench-timers

# Calls between processes of two workers.
bench-dist: build
	$(BUILD)/bin/bench_dist
.PHONY: bench-dist

# The engine in process, over a link on every store there is, over HTTP, beside
# Redis and Erlang. BENCH_ARGS=--long: also 10 million tuples.
bench-tuplespace: setup-test build
	@scripts/setup.sh --bench
	scripts/test-redis.sh run scripts/test-postgres.sh run \
	    tests/bench/tuplespace/run.py $(BUILD) $(BENCH_ARGS)
.PHONY: bench-tuplespace

# A crash at each operation of the journal's files, each with so many disks.
journal-crashes: build
	CK_FORK=no CK_DEFAULT_TIMEOUT=3600 TEST_SEEDS=$(or $(DISKS),20) \
	    $(BUILD)/test/test_journal_faults
.PHONY: journal-crashes

bench-sourced: build
	$(BUILD)/bin/bench_sourced sqlite: 50000
	$(BUILD)/bin/bench_sourced mem: 200000
.PHONY: bench-sourced

bench-objects: build
	$(BUILD)/bin/bench_registry_objects
.PHONY: bench-objects

bench-actors: build
	@scripts/setup.sh --bench
	tests/bench/actors/run.py $(BUILD) $(BENCH_ARGS)
.PHONY: bench-actors

sim: build
	$(BUILD)/bin/plex-sim --seeds 1..$(SEEDS) $(SIM_ARGS)

# A crash, a stop, a lost connection... at each I/O of a turn, and pairs of them.
sim-boundaries: build
	$(BUILD)/bin/plex-sim --boundaries --seeds 1..$(or $(SEEDS_EACH),3) --pairs 2000
.PHONY: sim-boundaries

sim-actors: build
	$(BUILD)/bin/plex-sim-actors --seeds 1..$(SEEDS) $(SIM_ARGS)
	$(BUILD)/bin/plex-sim-actors --storm --seeds 1..$(SEEDS) $(SIM_ARGS)

chaos: setup-test build
	scripts/test-postgres.sh run tests/chaos/chaos.sh $(BUILD) $(CHAOS_SECONDS)

chaos-runs: setup-test build
	scripts/test-postgres.sh run tests/chaos/runs.sh $(BUILD) 10000 2000

chaos-linda: setup-test build
	scripts/test-postgres.sh run scripts/test-redis.sh run \
	    tests/chaos/linda.sh $(BUILD) $(CHAOS_SECONDS)

fuzz:
	@scripts/setup.sh --fuzz
	scripts/fuzz.sh build-fuzz $(FUZZ_SECONDS) $(FUZZ_TARGETS)

asan: setup-test
	cmake -S . -B build-asan -G Ninja -DPLEX_SANITIZE=address,undefined
	cmake --build build-asan -j $(JOBS)
	scripts/test-redis.sh run scripts/test-postgres.sh run scripts/sanitized.sh build-asan \
		$(CTEST) --test-dir build-asan

tsan: setup-test
	cmake -S . -B build-tsan -G Ninja -DPLEX_SANITIZE=thread
	cmake --build build-tsan -j $(JOBS)
	scripts/test-redis.sh run scripts/test-postgres.sh run scripts/sanitized.sh build-tsan \
		$(CTEST) --test-dir build-tsan

docs: build
	scripts/gen-operations.sh $(BUILD)/bin >docs/operations.md.new
	mv docs/operations.md.new docs/operations.md

check:
	scripts/check.sh

install: build
	cmake --install $(BUILD) --prefix $(or $(PREFIX),/usr/local)

clean:
	rm -rf $(BUILD) $(BUILD).log build-asan build-tsan build-fuzz
