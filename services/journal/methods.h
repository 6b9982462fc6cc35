#ifndef SERVICES_JOURNAL_METHODS_H
#define SERVICES_JOURNAL_METHODS_H

/* Numbers of journal.v1 JournalMethod; wire.c asserts that they agree. */
enum journal_method {
    JOURNAL_METHOD_APPEND = 501,
    JOURNAL_METHOD_LOAD = 502,
    JOURNAL_METHOD_FENCE = 503,
    JOURNAL_METHOD_LOOKUP = 504,
    JOURNAL_METHOD_PENDING = 505,
};

#endif
