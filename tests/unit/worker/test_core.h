#ifndef TESTS_UNIT_WORKER_TEST_CORE_H
#define TESTS_UNIT_WORKER_TEST_CORE_H

#include <check.h>

TCase *core_ahead_tests(void);
TCase *core_fault_tests(void);
TCase *core_journals_tests(void);
TCase *core_later_tests(void);
TCase *core_stateless_tests(void);
TCase *core_virtual_tests(void);
TCase *core_aside_tests(void);

#endif
