# make && make install && make installcheck	the usual way, with PG_CONFIG= for a PostgreSQL that is not first on PATH
# make installcheck-tap				the tests that start servers of their own (not as root)
# make check, make demo, make bench	bring what they need, and a throw-away server; see tools/

ifneq ($(filter check demo bench,$(MAKECMDGOALS)),)

# These must work before PostgreSQL is there, and PGXS has a "check" of its own that only refuses: so no PGXS here.
.PHONY: check demo bench
check demo bench:
	@tools/run.sh $@

# Other goals on the same command line, as in "make clean check", get a make of their own.
OTHER_GOALS = $(filter-out check demo bench,$(MAKECMDGOALS))
.PHONY: $(OTHER_GOALS)
$(OTHER_GOALS):
	@$(MAKE) $@

else

# "make -f path/to/Makefile" builds into the current folder.
SOURCE = $(dir $(firstword $(MAKEFILE_LIST)))

EXTENSION = mtl_rank
EXTVERSION := $(shell awk -F"'" '/^default_version/ { print $$2 }' '$(SOURCE)$(EXTENSION).control')

MODULE_big = mtl_rank
OBJS = $(patsubst $(SOURCE)%.c,%.o,$(sort $(wildcard $(SOURCE)src/*.c $(SOURCE)src/*/*.c)))
DATA = $(patsubst $(SOURCE)%,%,$(wildcard $(SOURCE)sql/mtl_rank--*--*.sql))
DATA_built = sql/$(EXTENSION)--$(EXTVERSION).sql

PG_CPPFLAGS = -I$(srcdir)/src -DMTL_RANK_VERSION='"$(EXTVERSION)"' -MMD -MP

# A multiplication and an addition must not be contracted into one operation where the CPU has it: a score is the same
# bits on every CPU.
PG_CFLAGS = -ffp-contract=off

# Every module lives in one process with the server and all other modules, so only what SQL calls is visible. Before
# PostgreSQL 16, PGDLLEXPORT is empty unless defined here.
PG_CFLAGS += -fvisibility=hidden
PG_CPPFLAGS += -DPGDLLEXPORT='__attribute__((visibility("default")))'

# pg_config reports the flags of the compiler that built PostgreSQL. Where that was gcc, clang does not know some of them, nor
# the gnu_printf attribute in the server's headers.
IS_CLANG = $(findstring clang,$(shell $(CC) --version))
PG_CFLAGS += $(if $(IS_CLANG),-Wno-unknown-warning-option -Wno-ignored-optimization-argument -Wno-ignored-attributes)

# PG_FUNCTION_ARGS and callbacks give a function parameters that it need not use. gcc finds mixed signs in the server's own
# macros, as in ARR_DATA_PTR; clang looks at ours alone, but finds the cast that the server makes of a tree walker.
ifdef WERROR
PG_CFLAGS += -Wall -Wextra -Wno-unused-parameter $(if $(IS_CLANG),-Wno-cast-function-type-strict,-Wno-sign-compare) -Werror
endif

# SANITIZE=address,undefined: the first report ends the process.
ifdef SANITIZE
PG_CFLAGS += -fsanitize=$(SANITIZE) -fno-sanitize-recover=all -fno-omit-frame-pointer
endif

# No bitcode: nothing here is small enough for the JIT to inline, and the arithmetic is compiled only once, by one compiler.
override with_llvm = no

# FLOAT64=1: training in double precision, and the function that compares its gradients with differences; for tests.
ifdef FLOAT64
OBJS += test/gradients/gradients.o
PG_CPPFLAGS += -DMTL_TRAIN_FLOAT64
endif

# FAIL_ALLOCATION=1: allocations that fail, or wait, when a test says so.
ifdef FAIL_ALLOCATION
OBJS += test/memory/fail_allocation.o test/memory/pause_loading.o
PG_CPPFLAGS += -include $(srcdir)/test/memory/fail_allocation.h
endif

TESTS = $(wildcard $(SOURCE)test/sql/*.sql)
REGRESS = $(sort $(notdir $(basename $(TESTS))))
REGRESS_OPTS = --inputdir=$(srcdir)/test --load-extension=$(EXTENSION)
SPEC_FOLDER = $(if $(FAIL_ALLOCATION),test/memory,test/isolation)
SPECS = $(wildcard $(SOURCE)$(SPEC_FOLDER)/specs/*.spec)
ISOLATION = $(sort $(notdir $(basename $(SPECS))))
ISOLATION_OPTS = --inputdir=$(srcdir)/$(SPEC_FOLDER) --load-extension=$(EXTENSION)
PROVE_TESTS = test/t/*.pl

# For tests and benchmarks: functions that call the engine directly. It is not installed.
ENGINE_MODULE = test/module/engine_module.so
MODULE_OWN = $(patsubst $(SOURCE)%.c,%.o,$(sort $(wildcard $(SOURCE)test/module/*.c)))
MODULE_OBJS = $(MODULE_OWN) $(filter-out src/mtl_rank.o src/plan/% src/quantize/% src/score/% src/registry/% src/type/%,$(OBJS))

EXTRA_CLEAN = $(OBJS:.o=.d) $(ENGINE_MODULE) $(MODULE_OWN) $(MODULE_OWN:.o=.d)

# A build in another folder needs the folders of the objects.
$(shell mkdir -p sql $(sort $(dir $(OBJS) $(MODULE_OWN))))

PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)

# Traps of floating point are never enabled; compilers that must think of them do not vectorise some loops.
src/engine/%.o: override CFLAGS += -O3 -fno-trapping-math

src/features/dense.o src/features/value_list.o: override CFLAGS += -O3 -fno-trapping-math

# Nothing asks errno what a square root did, and with it loops are not vectorized.
src/train/%.o: override CFLAGS += -O3 -fno-math-errno

# The sanitizers do not see into fortified functions of libc.
ifdef SANITIZE
override CPPFLAGS += -U_FORTIFY_SOURCE
endif

$(OBJS) $(MODULE_OWN): $(firstword $(MAKEFILE_LIST)) $(EXTENSION).control
-include $(OBJS:.o=.d) $(MODULE_OWN:.o=.d)

.PHONY: engine-module
engine-module: $(ENGINE_MODULE)
$(ENGINE_MODULE): $(MODULE_OBJS)
	$(CC) $(CFLAGS) $(MODULE_OBJS) $(LDFLAGS) $(LDFLAGS_SL) -shared -o $@

$(DATA_built): sql/$(EXTENSION).sql
	cp $< $@

.PHONY: installcheck-tap
installcheck-tap:
	$(prove_installcheck)

# build may be a link, see tools/run.sh
.PHONY: clean-build
clean: clean-build
clean-build:
	rm -rf "$$(readlink -f build)" build

# The archive for PGXN, which wants the version in META.json too.
.PHONY: dist
dist:
	mkdir -p build
	sed 's/__VERSION__/$(EXTVERSION)/' META.json > build/META.json
	git archive --format=zip --prefix=$(EXTENSION)-$(EXTVERSION)/ --add-file=build/META.json \
		--output=build/$(EXTENSION)-$(EXTVERSION).zip HEAD . ':(exclude)META.json'

endif
