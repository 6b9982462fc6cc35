#include "tests/bench/load.h"

#include <inttypes.h>
#include <stdio.h>

static double
run_seconds(const struct load *load)
{
    uint64_t ns = load->stats.end_ns - load->stats.begin_ns;

    return ns > 0 ? (double)ns / 1e9 : 1e-9;
}

static void
print_table(const struct load *load, const struct load_verdict *verdict)
{
    const struct load_stats *stats = &load->stats;

    (void)printf("%" PRIu64 " answers in %.2f s: %.0f/s  (%u connections, "
                 "%u keys, %s %s%s)\n",
                 stats->count, run_seconds(load),
                 (double)stats->count / run_seconds(load),
                 load->config.connections, load->config.keys, load->config.type,
                 load->config.mode, load->config.keyed ? ", keyed" : "");
    (void)printf("latency ms  p50 %.3f  p90 %.3f  p99 %.3f  p99.9 %.3f  "
                 "max %.3f\n",
                 (double)load_stats_quantile(stats, 0.5) / 1e3,
                 (double)load_stats_quantile(stats, 0.9) / 1e3,
                 (double)load_stats_quantile(stats, 0.99) / 1e3,
                 (double)load_stats_quantile(stats, 0.999) / 1e3,
                 (double)stats->max_us / 1e3);
    (void)printf("longest gap %.0f ms, at %.2f s\n",
                 (double)stats->gap_ns / 1e6,
                 (double)(stats->gap_at_ns - load->run_begin_ns) / 1e9);
    if (load_stats_errors(stats) > 0 || stats->replayed > 0) {
        (void)printf("attempts without success:");
        for (unsigned i = 300; i < 600; i++)
            if (stats->statuses[i] > 0)
                (void)printf(" %u: %" PRIu64, i, stats->statuses[i]);
        (void)printf(" refused: %" PRIu64 " lost: %" PRIu64 " timeout: %" PRIu64
                     "; replayed answers: %" PRIu64 "\n",
                     stats->refused, stats->lost, stats->timeouts,
                     stats->replayed);
    }
    if (load->config.ledger)
        (void)printf("%" PRIu64 " acknowledged, %" PRIu64 " lost, %" PRIu64
                     " twice, %" PRIu64 " unknown; longest gap %.0f ms\n",
                     verdict->acked, verdict->lost, verdict->twice,
                     verdict->unknown, (double)stats->gap_ns / 1e6);
}

static void
print_json(const struct load *load, const struct load_verdict *verdict)
{
    const struct load_stats *stats = &load->stats;
    const char *comma = "";

    (void)printf("{\"answers\":%" PRIu64 ",\"answers_with_warmup\":%" PRIu64
                 ",\"seconds\":%.3f,\"per_s\":%.1f,",
                 stats->count, load->answered, run_seconds(load),
                 (double)stats->count / run_seconds(load));
    (void)printf(
        "\"p50_us\":%" PRIu64 ",\"p90_us\":%" PRIu64 ",\"p99_us\":%" PRIu64
        ",\"p999_us\":%" PRIu64 ",\"max_us\":%" PRIu64
        ",\"gap_ms\":%.1f,\"replayed\":%" PRIu64 ",\"errors\":{",
        load_stats_quantile(stats, 0.5), load_stats_quantile(stats, 0.9),
        load_stats_quantile(stats, 0.99), load_stats_quantile(stats, 0.999),
        stats->max_us, (double)stats->gap_ns / 1e6, stats->replayed);
    for (unsigned i = 300; i < 600; i++) {
        if (stats->statuses[i] == 0)
            continue;
        (void)printf("%s\"%u\":%" PRIu64, comma, i, stats->statuses[i]);
        comma = ",";
    }
    (void)printf("%s\"refused\":%" PRIu64 ",\"lost\":%" PRIu64
                 ",\"timeout\":%" PRIu64 "}",
                 comma, stats->refused, stats->lost, stats->timeouts);
    if (load->config.ledger)
        (void)printf(",\"acknowledged\":%" PRIu64 ",\"lost\":%" PRIu64
                     ",\"twice\":%" PRIu64 ",\"unknown\":%" PRIu64,
                     verdict->acked, verdict->lost, verdict->twice,
                     verdict->unknown);
    (void)printf("}\n");
}

bool
load_print(const struct load *load)
{
    struct load_verdict verdict = {0};

    if (load->config.ledger)
        verdict = load_ledger_verdict(&load->ledger, load->prefix);
    if (load->config.json)
        print_json(load, &verdict);
    else
        print_table(load, &verdict);
    return verdict.lost == 0 && verdict.twice == 0;
}
